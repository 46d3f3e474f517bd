//! A file replaced at once: whoever reads it sees the old one or the new one, also after a power cut.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::process;

/// Permissions of a new file: it holds secrets.
const NEW_MODE: u32 = 0o600;

/// Puts `text` where `file` points to, with the permissions and the owner of what stood there.
///
/// # Errors
/// When the file beside it cannot be written or renamed, or its owner cannot be kept; nothing is changed then.
pub(super) fn replace(file: &Path, text: &str) -> io::Result<()> {
    // a link stays one, and what it points to is replaced
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let beside = beside(&file)?;
    let written = write(&beside, &file, text).and_then(|()| fs::rename(&beside, &file));
    if written.is_err() {
        // the first error is the one to tell
        let _ = fs::remove_file(&beside);
    }
    written.and_then(|()| File::open(directory(&file))?.sync_all())
}

fn write(beside: &Path, file: &Path, text: &str) -> io::Result<()> {
    let mut new = OpenOptions::new().write(true).create_new(true).mode(NEW_MODE).open(beside)?;
    new.write_all(text.as_bytes())?;
    if let Ok(old) = fs::metadata(file) {
        let is = new.metadata()?;
        if (is.uid(), is.gid()) != (old.uid(), old.gid()) {
            fchown(&new, Some(old.uid()), Some(old.gid()))?;
        }
        new.set_permissions(Permissions::from_mode(old.mode() & 0o7777))?;
    }
    new.sync_all()
}

/// A name of its own in the same directory, which only a process of this id uses.
fn beside(file: &Path) -> io::Result<PathBuf> {
    let name = file.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    Ok(file.with_file_name(format!(".{}.{}", name.to_string_lossy(), process::id())))
}

fn directory(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(file: &Path) -> u32 {
        fs::metadata(file).unwrap().mode() & 0o7777
    }

    #[test]
    fn new_file_is_for_its_owner_and_an_old_one_keeps_its_permissions() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("passwords");
        replace(&file, "a").unwrap();
        assert_eq!((fs::read_to_string(&file).unwrap().as_str(), mode(&file)), ("a", 0o600));
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        replace(&file, "b").unwrap();
        assert_eq!((fs::read_to_string(&file).unwrap().as_str(), mode(&file)), ("b", 0o640));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn link_stays_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, "old").unwrap();
        symlink(&file, &link).unwrap();
        replace(&link, "new").unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    }

    #[test]
    fn failure_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("directory");
        fs::create_dir(&file).unwrap();
        assert!(replace(&file, "new").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
