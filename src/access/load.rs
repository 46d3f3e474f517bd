//! The only two functions of the room that read files.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

use thiserror::Error;

use super::{Acl, Passwords, Problem};

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub enum LoadError {
    /// It cannot be read, or is not UTF-8.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Everything that is wrong with it, one line each: `path:line:column: text`.
    #[error("{}", lines(path, problems))]
    Problems {
        /// The file.
        path: PathBuf,
        /// In the order of the file; never empty.
        problems: Vec<Problem>,
    },
}

/// Reads a password file.
///
/// # Errors
/// When it cannot be read, or [`Passwords::parse`] finds problems.
pub fn load_passwords(path: &Path) -> Result<Passwords, LoadError> {
    Passwords::parse(&read(path)?).map_err(|problems| LoadError::Problems { path: path.into(), problems })
}

/// Reads an access control list.
///
/// # Errors
/// When it cannot be read, or [`Acl::parse`] finds problems.
pub fn load_acl(path: &Path) -> Result<Acl, LoadError> {
    Acl::parse(&read(path)?).map_err(|problems| LoadError::Problems { path: path.into(), problems })
}

fn read(path: &Path) -> Result<String, LoadError> {
    fs::read_to_string(path).map_err(|source| LoadError::Read { path: path.into(), source })
}

fn lines(path: &Path, problems: &[Problem]) -> String {
    let mut lines = String::new();
    for problem in problems {
        let separator = if lines.is_empty() { "" } else { "\n" };
        // writing to a string cannot fail
        let _ = write!(lines, "{separator}{}:{problem}", path.display());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_names_the_file_and_every_place_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("acl");
        let missing = load_acl(&path).unwrap_err().to_string();
        assert!(missing.starts_with(&format!("{}: cannot be read: ", path.display())), "{missing}");

        fs::write(&path, "topics a\nuser bob\ntopic read a#\n").unwrap();
        let wrong = load_acl(&path).unwrap_err().to_string();
        let places: Vec<_> = wrong.lines().filter_map(|line| line.strip_prefix(path.to_str()?)?.get(..5)).collect();
        assert_eq!(places, [":1:1:", ":3:12"], "{wrong}");
    }
}
