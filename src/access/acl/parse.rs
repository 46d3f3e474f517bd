//! The text of an `acl_file`: a keyword, an access and a filter a line, parted by spaces; the filter, and a user's
//! name, go to the end of the line and may hold spaces.

use std::collections::HashMap;
use std::fmt::Display;
use std::mem;

use super::super::Problem;
use super::rights::{Access, Rule};
use super::{Lines, Pattern};
use crate::mqtt::TopicFilter;

pub(super) fn parse(text: &str) -> Result<Lines, Vec<Problem>> {
    let mut reader = Reader::default();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_ascii_end();
        if !line.starts_with('#') {
            reader.take(Words::new(index, line)).unwrap_or_else(|problem| reader.problems.push(problem));
        }
    }
    if reader.problems.is_empty() { Ok(reader.finish()) } else { Err(reader.problems) }
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    /// Whose topics follow; `None` before the first user.
    user: Option<Box<str>>,
    topics: HashMap<Option<Box<str>>, Vec<Rule>>,
    patterns: Vec<Pattern>,
    problems: Vec<Problem>,
}

impl Reader {
    fn take(&mut self, mut words: Words<'_>) -> Result<(), Problem> {
        match words.next() {
            "" => Ok(()),
            "user" => self.take_user(words),
            "topic" => {
                let (access, filter) = words.access_and_filter()?;
                self.topics.entry(self.user.clone()).or_default().push(Rule::new(access, filter));
                Ok(())
            }
            "pattern" => {
                let (access, filter) = words.access_and_filter()?;
                self.patterns.push(Pattern { access, filter });
                Ok(())
            }
            word => Err(words.refuse_keyword(word)),
        }
    }

    fn take_user(&mut self, mut words: Words<'_>) -> Result<(), Problem> {
        match words.rest() {
            "" => Err(words.problem("the user's name is missing")),
            name => {
                self.user = Some(name.into());
                Ok(())
            }
        }
    }

    /// What denies goes to the front of each list.
    fn finish(mut self) -> Lines {
        for rules in self.topics.values_mut() {
            rules.sort_by_key(|rule| !rule.denies());
        }
        self.patterns.sort_by_key(|pattern| pattern.access != Access::Deny);
        let mut topics = mem::take(&mut self.topics);
        let anonymous = topics.remove(&None).unwrap_or_default().into();
        let users = topics.into_iter().filter_map(|(user, rules)| Some((user?, rules.into()))).collect();
        Lines { anonymous, users, patterns: self.patterns }
    }
}

/// A line, read from left to right.
#[derive(Clone, Copy)]
struct Words<'a> {
    index: usize,
    line: &'a str,
    /// Where what was last read begins, and where it ends.
    at: usize,
    behind: usize,
}

impl<'a> Words<'a> {
    fn new(index: usize, line: &'a str) -> Self {
        Self { index, line, at: 0, behind: 0 }
    }

    /// The next word; empty at the end.
    fn next(&mut self) -> &'a str {
        let word = self.rest().split(' ').next().unwrap_or_default();
        self.behind = self.at + word.len();
        word
    }

    /// All that is left.
    fn rest(&mut self) -> &'a str {
        let rest = self.line.get(self.behind..).unwrap_or_default().trim_start_matches(' ');
        self.at = self.line.len() - rest.len();
        self.behind = self.line.len();
        rest
    }

    /// `[read|write|readwrite|deny] FILTER`. An access may only be left out when the filter holds no space.
    fn access_and_filter(mut self) -> Result<(Access, TopicFilter), Problem> {
        let access = self.next();
        let mut behind = self;
        match (access_of(access), behind.rest()) {
            (None, "") if access.is_empty() => Err(self.problem("the filter is missing")),
            (None, "") => Ok((Access::ReadWrite, self.filter(access)?)),
            (Some(access), filter) if !filter.is_empty() => Ok((access, behind.filter(filter)?)),
            (Some(_), _) => Err(self.problem(format_args!(
                "the filter is missing; a topic that is called `{access}` is written `readwrite {access}`"
            ))),
            (None, _) => Err(self.problem(format_args!("`{access}` is none of read, write, readwrite, deny"))),
        }
    }

    fn filter(&self, text: &str) -> Result<TopicFilter, Problem> {
        TopicFilter::new(text).map_err(|error| self.problem(format_args!("the filter `{text}` {error}")))
    }

    fn refuse_keyword(&self, word: &str) -> Problem {
        if word.starts_with('#') {
            self.problem("a comment begins in the first column")
        } else if word.contains('\t') {
            self.problem("words are parted by spaces, and here is a tab")
        } else {
            self.problem(format_args!("`{word}` is none of user, topic, pattern"))
        }
    }

    fn problem(&self, text: impl Display) -> Problem {
        Problem::new(self.index, self.line, self.at, text)
    }
}

fn access_of(word: &str) -> Option<Access> {
    match word {
        "read" => Some(Access::Read),
        "write" => Some(Access::Write),
        "readwrite" => Some(Access::ReadWrite),
        "deny" => Some(Access::Deny),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Acl;

    #[test]
    fn every_problem_is_told_with_its_place_and_what_would_be_right() {
        let text = "\
topics a
 # late
topic
pattern read
topic  raed a
user
topic read a/#/b
topic\tread a
topic read été/a+b
x\r\u{1b}y
";
        let problems: Vec<_> = Acl::parse(text).unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "1:1: `topics` is none of user, topic, pattern",
                "2:2: a comment begins in the first column",
                "3:6: the filter is missing",
                "4:9: the filter is missing; a topic that is called `read` is written `readwrite read`",
                "5:8: `raed` is none of read, write, readwrite, deny",
                "6:5: the user's name is missing",
                "7:12: the filter `a/#/b` has `#` in another place than alone in its last level [MQTT-4.7.1-2]",
                "8:1: words are parted by spaces, and here is a tab",
                "9:12: the filter `été/a+b` has `+` beside other characters of its level [MQTT-4.7.1-3]",
                "10:1: `x\u{fffd}\u{fffd}y` is none of user, topic, pattern",
            ]
        );
    }

    #[test]
    fn spaces_comments_and_line_ends_are_as_mosquitto_takes_them() {
        let text = "# first\r\n\r\n  user   bob  smith  \r\n  topic   read   a b/c  d \r\ntopic x#\n";
        assert_eq!(Acl::parse(text).unwrap_err().len(), 1, "x# only");
        let text = text.replace("x#", "x");
        let bob = Acl::parse(&text).unwrap().rights(Some("bob  smith"), "c");
        assert!(bob.may_read("a b/c  d") && !bob.may_write("a b/c  d"));
        assert!(bob.may_read("x") && bob.may_write("x"));
    }
}
