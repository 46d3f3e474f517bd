//! A document's code blocks, in order.
//!
//! A fence's first word is the language. What follows it tells this test what to do, and is not shown to readers:
//!
//! - `console terminal=N`: typed and printed in that terminal. `$ ` begins a command, which goes on behind a `\`; `^C`
//!   interrupts it; other lines are what it prints. A block without a command goes on where the terminal stood. `fails`
//!   says that its last command does, and `typed=…` what is typed where a line asks for a password.
//! - a language with `file=…`: the whole text of a file, whose directory is the terminals', unless the path is absolute.
//! - `diff file=…`: lines of that file which go (`-`), stay (` `), and come (`+`).
//! - `paho=2`: only with that release.
//!
//! A block that is not run stands under `<!-- not run: why -->`.

use std::fs;
use std::path::Path;

const FENCE: &str = "```";

/// A document by its path in the tree.
pub(crate) struct Document {
    pub(crate) path: &'static str,
    pub(crate) blocks: Vec<Block>,
}

/// A fenced code block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Number of its first line in the document.
    pub(crate) line: usize,
    pub(crate) language: String,
    /// The words behind the language.
    attributes: Vec<(String, String)>,
    pub(crate) body: Vec<String>,
    /// Why it is not run.
    pub(crate) not_run: Option<String>,
}

impl Document {
    /// Reads it.
    pub(crate) fn read(path: &'static str) -> Self {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        Self::parse(path, &text)
    }

    /// Takes the blocks out of `text`.
    pub(crate) fn parse(path: &'static str, text: &str) -> Self {
        let mut blocks = Vec::new();
        let mut not_run = None;
        let mut lines = text.lines().enumerate();
        while let Some((index, line)) = lines.next() {
            if let Some(info) = line.strip_prefix(FENCE) {
                let body = lines.by_ref().map(|(_, line)| line.to_owned()).take_while(|line| line != FENCE).collect();
                blocks.push(Block::new(index + 1, info, body, not_run.take()));
                continue;
            }
            assert!(!is_other_code(line), "{path}:{}: code that is no block at the margin: {line}", index + 1);
            if let Some(reason) = line.strip_prefix("<!-- not run: ") {
                not_run = reason.strip_suffix(" -->").map(str::to_owned);
            }
            assert!(line.starts_with("<!--") || not_run.is_none(), "{path}:{}: no block follows", index + 1);
        }
        Self { path, blocks }
    }
}

/// Whether Markdown would show this as code, outside of what is read here.
fn is_other_code(line: &str) -> bool {
    let text = line.trim_start();
    line.starts_with('\t') || line.starts_with("    ") || text.starts_with(FENCE) || text.starts_with("~~~")
}

impl Block {
    fn new(line: usize, info: &str, body: Vec<String>, not_run: Option<String>) -> Self {
        let mut words = info.split_whitespace();
        let language = words.next().unwrap_or_default().to_owned();
        let pairs = words.map(|word| word.split_once('=').unwrap_or((word, "")));
        let attributes = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { line, language, attributes, body, not_run }
    }

    /// The value of an attribute; empty for a bare word.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// What it does, whatever language its comments are in.
    pub(crate) fn meaning(&self) -> (String, String, Vec<String>, Option<String>) {
        let body = self.body.iter().map(|line| without_comment(line).to_owned()).collect();
        (self.language.clone(), format!("{:?}", self.attributes), body, self.not_run.clone())
    }
}

/// The line before its comment; of one that is nothing else, what a diff sets before it.
fn without_comment(line: &str) -> &str {
    let begins = ["# ", "+# ", "-# "].iter().find(|begin| line.starts_with(**begin));
    let comment = begins.map(|begin| begin.len() - 2).or_else(|| line.find(" # "));
    comment.and_then(|at| line.get(..at)).unwrap_or(line).trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_with_their_attributes_and_reasons() {
        let text = "# Title\n\n```console terminal=1 fails\n$ ls\n```\n<!-- not run: no -->\n```sh\nrm\n```\n";
        let blocks = Document::parse("test", text).blocks;
        let [first, second] = blocks.as_slice() else { panic!("{blocks:?}") };
        assert_eq!((first.line, first.language.as_str(), first.body.as_slice()), (3, "console", &["$ ls".into()][..]));
        assert_eq!((first.attribute("terminal"), first.attribute("fails")), (Some("1"), Some("")));
        assert_eq!((first.attribute("typed"), second.not_run.as_deref()), (None, Some("no")));
    }

    #[test]
    #[should_panic(expected = "no block follows")]
    fn a_reason_without_its_block_is_a_mistake() {
        Document::parse("test", "<!-- not run: no -->\nText.\n");
    }

    #[test]
    fn comments_are_left_out_and_topics_are_not() {
        assert_eq!(without_comment("qos = 1 # at least once"), "qos = 1");
        assert_eq!(without_comment("$ mosquitto_sub -t '#' -t 'a/#'"), "$ mosquitto_sub -t '#' -t 'a/#'");
    }
}
