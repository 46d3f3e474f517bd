//! What is wrong with a file, and where.

use std::fmt;

/// One thing that is wrong with a password file or an access control list. Shown as `line:column: text`; never holds
/// a password or its hash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The character of the line, from 1.
    pub column: usize,
    /// What is wrong and what would be right, on one line.
    pub text: String,
}

impl Problem {
    /// At the character of `line` that begins at byte `at`; `index` is the line's number from 0. Control characters of
    /// the file that the text repeats are not shown: a carriage return would let it overwrite its place.
    pub(super) fn new(index: usize, line: &str, at: usize, text: impl fmt::Display) -> Self {
        let before = line.get(..at).unwrap_or(line);
        Self {
            line: index + 1,
            column: before.chars().count() + 1,
            text: text.to_string().replace(char::is_control, "\u{fffd}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.text)
    }
}
