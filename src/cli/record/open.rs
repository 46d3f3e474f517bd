//! How an output is opened: nothing is lost that was not to be overwritten.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, bail};
use rustix::fs::{OFlags, fcntl_getfl};

/// What is done with a file that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// It is left alone, and there is no recording.
    Keep,
    /// It is overwritten.
    Overwrite,
}

/// Opens `path`, or the standard output without one. An existing file is empty then, and never `played`.
///
/// # Errors
/// A file that exists, cannot be made, or is `played`; a terminal.
pub(super) fn open(path: Option<&Path>, existing: Existing, played: Option<&Path>) -> anyhow::Result<File> {
    let file = match path {
        Some(path) => create(path, existing)?,
        None => standard_output()?,
    };
    if let Some(played) = played
        && is_same(&file, played)?
    {
        bail!("{} is the recording that is replayed: name another file", played.display());
    }
    if path.is_some() && file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    Ok(file)
}

/// Where the next byte goes.
///
/// # Errors
/// What the system says.
pub(super) fn position(mut file: &File) -> io::Result<u64> {
    let is_appended_to = fcntl_getfl(file)?.contains(OFlags::APPEND);
    if is_appended_to { Ok(file.metadata()?.len()) } else { file.stream_position() }
}

/// Opens the file with what is in it.
fn create(path: &Path, existing: Existing) -> anyhow::Result<File> {
    let created = match existing {
        Existing::Keep => File::create_new(path),
        Existing::Overwrite => File::options().write(true).create(true).truncate(false).open(path),
    };
    if let Err(error) = &created
        && error.kind() == ErrorKind::AlreadyExists
    {
        bail!("{} exists: name another file, or overwrite it with --force", path.display());
    }
    created.with_context(|| format!("cannot make {}", path.display()))
}

/// The standard output without the buffer of lines that it has in Rust.
fn standard_output() -> anyhow::Result<File> {
    let output = io::stdout();
    if output.is_terminal() {
        bail!("a recording is no text: name a file, or send the output into one or into a program");
    }
    Ok(File::from(output.as_fd().try_clone_to_owned()?))
}

/// Whether both are one file, whatever its names.
fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    let [one, other] = [file.metadata()?, std::fs::metadata(path)?];
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn existing_file_is_kept_unless_it_may_be_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.hat");
        std::fs::write(&path, "mine").unwrap();
        let refused = open(Some(&path), Existing::Keep, None).unwrap_err().to_string();
        assert!(refused.ends_with("a.hat exists: name another file, or overwrite it with --force"), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        open(Some(&path), Existing::Overwrite, None).unwrap().write_all(b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn recording_that_is_played_is_never_overwritten_under_no_name() {
        let directory = tempfile::tempdir().unwrap();
        let [played, link, other] = ["a.hat", "b.hat", "c.hat"].map(|name| directory.path().join(name));
        for path in [&played, &other] {
            std::fs::write(path, "mine").unwrap();
        }
        std::fs::hard_link(&played, &link).unwrap();
        for path in [&played, &link] {
            let refused = open(Some(path), Existing::Overwrite, Some(&played)).unwrap_err().to_string();
            assert!(refused.ends_with("a.hat is the recording that is replayed: name another file"), "{refused}");
            assert_eq!(std::fs::read(path).unwrap(), b"mine");
        }
        open(Some(&other), Existing::Overwrite, Some(&played)).unwrap();
        assert_eq!(std::fs::read(&other).unwrap(), b"");
    }
}
