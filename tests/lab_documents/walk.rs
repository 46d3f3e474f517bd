//! A document done from its first block to its last.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::conversation::{Turn, turns};
use crate::document::{Block, Document};
use crate::machine::Machine;
use crate::support::Paho;
use crate::terminal::{Result, Terminal};

/// What paho-mqtt 2 wants to be told first by programs written for 1.
const VERSION_1: &str = "mqtt.CallbackAPIVersion.VERSION1";

/// A document under way.
pub(crate) struct Walk<'machine> {
    machine: &'machine Machine,
    paho: Paho,
    terminals: BTreeMap<String, Terminal>,
    /// The files as the document has them.
    files: BTreeMap<String, String>,
    /// Lines of the blocks that were run.
    done: BTreeSet<usize>,
}

/// Runs every block that `paho` is to run; gives their lines.
///
/// # Errors
/// Tells the first that does not do what it shows.
pub(crate) fn walk(machine: &Machine, paho: Paho, document: &Document) -> std::result::Result<BTreeSet<usize>, String> {
    let mut walk = Walk { machine, paho, terminals: BTreeMap::new(), files: BTreeMap::new(), done: BTreeSet::new() };
    for block in &document.blocks {
        walk.run(block).map_err(|error| format!("{}:{}: {error}", document.path, block.line))?;
    }
    for (name, terminal) in &mut walk.terminals {
        terminal.become_idle().map_err(|error| format!("{}: terminal {name} at the end: {error}", document.path))?;
    }
    Ok(walk.done)
}

impl Walk<'_> {
    fn run(&mut self, block: &Block) -> Result {
        let is_for_other = block.attribute("paho") == Some("2") && self.paho == Paho::One;
        if block.not_run.is_some() || is_for_other {
            return Ok(());
        }
        self.done.insert(block.line);
        match (block.language.as_str(), block.attribute("terminal"), block.attribute("file")) {
            ("console", Some(terminal), None) => self.converse(terminal, block),
            ("diff", None, Some(file)) => self.edit(file, block),
            (_, None, Some(file)) => self.write(file, block.body.join("\n") + "\n"),
            _ => Err("neither run nor excused".into()),
        }
    }

    fn converse(&mut self, name: &str, block: &Block) -> Result {
        let terminal = self.terminals.entry(name.to_owned()).or_insert_with(|| Terminal::open(self.machine));
        let turns = turns(&block.body);
        let last_command = turns.iter().rposition(|turn| matches!(turn, Turn::Command(_)));
        for (index, turn) in turns.iter().enumerate() {
            match turn {
                Turn::Command(command) => {
                    let is_to_fail = block.attribute("fails").is_some() && last_command == Some(index);
                    terminal.type_command(command, is_to_fail)?;
                }
                Turn::Output(lines) => terminal.expect(lines, block.attribute("typed"))?,
                Turn::Interrupt => terminal.interrupt()?,
            }
        }
        terminal.settle()
    }

    /// Replaces the lines that a diff begins with by those that it ends with.
    fn edit(&mut self, file: &str, block: &Block) -> Result {
        let side = |sign: char| -> String {
            let lines = block.body.iter().filter_map(|line| line.strip_prefix([sign, ' ']));
            lines.flat_map(|line| [line, "\n"]).collect()
        };
        let (old, new) = (side('-'), side('+'));
        if block.attribute("paho") == Some("2") {
            // the rule by which every file is written for it
            return if for_paho_2(&old) == new { Ok(()) } else { Err(format!("not the rule: {new}")) };
        }
        let text = self.files.get(file).ok_or_else(|| format!("{file} is not there yet"))?;
        match text.matches(&old).count() {
            1 => self.write(file, text.replacen(&old, &new, 1)),
            count => Err(format!("{count} times in {file}: {old}")),
        }
    }

    fn write(&mut self, file: &str, text: String) -> Result {
        let is_ported =
            self.paho == Paho::Two && Path::new(file).extension().is_some_and(|extension| extension == "py");
        let ported = if is_ported { for_paho_2(&text) } else { text.clone() };
        fs::write(self.machine.place_of(file), ported).map_err(|error| format!("{file}: {error}"))?;
        self.files.insert(file.to_owned(), text);
        Ok(())
    }
}

/// What the documents tell those to do who have paho-mqtt 2.
fn for_paho_2(text: &str) -> String {
    let with_version = text.replace("mqtt.Client(", &format!("mqtt.Client({VERSION_1}, "));
    with_version.replace(&format!("{VERSION_1}, )"), &format!("{VERSION_1})"))
}
