//! Reads password files and access control lists: the only functions of this module that open files.

use std::fmt::Write;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Acl, Passwords, Problem};

/// Largest size of a file in bytes, enough for about fifty thousand users. A larger file is refused.
pub const FILE_BYTES_MAX: u64 = 8 << 20;

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
    /// It is a pipe, a device or the like, which may never end, or have nothing to say until somebody writes.
    #[error("{}: is no file of the kind that can be read to its end; give the path of a plain file", path.display())]
    NotAFile {
        /// What is there.
        path: PathBuf,
    },
    /// It has more than [`FILE_BYTES_MAX`] bytes.
    #[error(
        "{}: is larger than {FILE_BYTES_MAX} bytes; take out users that are gone, and say with one pattern what many may do",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
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
/// When it cannot be read, is no plain file or a larger one than [`FILE_BYTES_MAX`], or when [`Passwords::parse`] finds problems.
pub fn load_passwords(path: &Path) -> Result<Passwords, LoadError> {
    Passwords::parse(&read_text(path)?).map_err(|problems| LoadError::Problems { path: path.into(), problems })
}

/// Reads an access control list.
///
/// # Errors
/// When it cannot be read, is no plain file or a larger one than [`FILE_BYTES_MAX`], or when [`Acl::parse`] finds problems.
pub fn load_acl(path: &Path) -> Result<Acl, LoadError> {
    Acl::parse(&read_text(path)?).map_err(|problems| LoadError::Problems { path: path.into(), problems })
}

/// Reads the text of a password file or an access control list, without checking its lines.
///
/// # Errors
/// When it cannot be read, is not UTF-8, is no regular file, or is larger than [`FILE_BYTES_MAX`].
pub fn read_text(path: &Path) -> Result<String, LoadError> {
    let unreadable = |source| LoadError::Read { path: path.into(), source };
    // asked before it is opened: a pipe without a writer opens only when one comes, and some devices act on it
    let kind = fs::metadata(path).map_err(unreadable)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Err(LoadError::NotAFile { path: path.into() });
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(LoadError::TooLarge { path: path.into() });
    }
    String::from_utf8(bytes).map_err(|error| unreadable(io::Error::new(io::ErrorKind::InvalidData, error)))
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
    #[test]
    fn a_file_beyond_the_limit_is_refused_and_one_at_the_limit_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("acl");
        let full = "#".repeat(usize::try_from(FILE_BYTES_MAX).unwrap());
        fs::write(&path, &full).unwrap();
        assert_eq!(load_acl(&path).unwrap(), Acl::parse("").unwrap());

        fs::write(&path, full + "#").unwrap();
        let refused = load_passwords(&path).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("{}: is larger than 8388608 bytes; ", path.display())), "{refused}");
    }

    #[test]
    fn what_may_never_end_is_refused_without_a_look() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        let status = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(status.success());
        for path in [pipe.as_path(), Path::new("/dev/zero")] {
            let refused = load_passwords(path).unwrap_err();
            assert!(matches!(&refused, LoadError::NotAFile { path: told } if told == path), "{refused}");
        }
    }
}
