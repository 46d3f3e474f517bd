//! What is wrong with the configuration, and where it stands.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

/// A place in a text: both numbers from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character of the line.
    pub column: usize,
}

/// Where a problem comes from. Sorted as it is read: the file from top to bottom, then the environment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The file; without a position when the problem is the file itself, or something it lacks.
    File(PathBuf, Option<Position>),
    /// A variable of the environment.
    Variable(String),
    /// Nothing that was typed.
    Defaults,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, None) => write!(f, "{}", path.display()),
            Self::File(path, Some(Position { line, column })) => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Defaults => f.write_str("built-in defaults"),
        }
    }
}

/// One thing that is wrong: `place: key: what is wrong, what would be right`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// The key's path, `broker.listener[0].address`; empty when it is about the whole file.
    pub key: String,
    /// What is wrong and what would be right, on one line.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

/// Everything that is wrong, one line each, in the order of the file and then of the environment. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Sorts them by place.
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort();
        Self(problems)
    }

    /// One problem of the file at `path` as a whole.
    pub(super) fn of_file(path: PathBuf, position: Option<Position>, text: String) -> Self {
        Self(vec![Problem { place: Place::File(path, position), key: String::new(), text }])
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl Error for Problems {}
