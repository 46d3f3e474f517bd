//! Files replaced at once: whoever reads one sees the old one or the new one, also after a power cut.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::process;

/// Who may do what with a file that is new. One that is replaced hands its own on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Access {
    /// Permissions.
    pub(super) mode: u32,
    /// The group, when it is not that of the process.
    pub(super) group: Option<u32>,
}

impl Access {
    /// Only whoever makes it.
    pub(super) const OWNER: Self = Self { mode: 0o600, group: None };
    /// Everybody may read it.
    pub(super) const ALL: Self = Self { mode: 0o644, group: None };
}

/// Puts `text` where `file` points to, with the permissions and the owner of what stood there, else with `access`.
///
/// # Errors
/// When the file beside it cannot be written or renamed, or its owner cannot be kept; nothing is changed then.
pub(super) fn replace(file: &Path, text: &str, access: Access) -> io::Result<()> {
    Draft::write(file, text, access)?.put()
}

/// A new text beside the file that it is for. Dropped, it is gone.
#[derive(Debug)]
pub(super) struct Draft {
    beside: PathBuf,
    file: PathBuf,
}

impl Draft {
    /// Writes it down for good, without touching the file.
    ///
    /// # Errors
    /// As [`replace`].
    pub(super) fn write(file: &Path, text: &str, access: Access) -> io::Result<Self> {
        // a link stays one, and what it points to is replaced
        let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let draft = Self { beside: beside(&file)?, file };
        draft.fill(text, access)?;
        Ok(draft)
    }

    fn fill(&self, text: &str, access: Access) -> io::Result<()> {
        let mut new = OpenOptions::new().write(true).create_new(true).mode(Access::OWNER.mode).open(&self.beside)?;
        new.write_all(text.as_bytes())?;
        let access = self.inherit(&new)?.unwrap_or(access);
        if let Some(group) = access.group {
            fchown(&new, None, Some(group))?;
        }
        // after the group, whose change takes bits away; and whatever the umask is
        new.set_permissions(Permissions::from_mode(access.mode))?;
        new.sync_all()
    }

    /// Takes over the owner of what stands there; tells what is left to do, and `None` where nothing stands there.
    fn inherit(&self, new: &File) -> io::Result<Option<Access>> {
        let Ok(old) = fs::metadata(&self.file) else { return Ok(None) };
        let is = new.metadata()?;
        if (is.uid(), is.gid()) != (old.uid(), old.gid()) {
            fchown(new, Some(old.uid()), Some(old.gid()))?;
        }
        Ok(Some(Access { mode: old.mode() & 0o7777, group: None }))
    }

    /// Lets it take the place of its file.
    ///
    /// # Errors
    /// When it cannot be renamed; nothing is changed then. When the directory cannot be flushed.
    pub(super) fn put(self) -> io::Result<()> {
        fs::rename(&self.beside, &self.file)?;
        File::open(directory(&self.file))?.sync_all()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // put in place, it is not there any more
        let _ = fs::remove_file(&self.beside);
    }
}

/// A name of its own in the same directory, which only a process of this id uses.
fn beside(file: &Path) -> io::Result<PathBuf> {
    let name = file.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    Ok(file.with_file_name(format!(".{}.{}", name.to_string_lossy(), process::id())))
}

/// Where `file` lies.
pub(super) fn directory(file: &Path) -> &Path {
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
    fn new_file_has_the_access_asked_for_and_an_old_one_keeps_its_permissions() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("passwords");
        replace(&file, "a", Access::OWNER).unwrap();
        assert_eq!((fs::read_to_string(&file).unwrap().as_str(), mode(&file)), ("a", 0o600));
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        replace(&file, "b", Access::ALL).unwrap();
        assert_eq!((fs::read_to_string(&file).unwrap().as_str(), mode(&file)), ("b", 0o640));
        let open = directory.path().join("open");
        replace(&open, "c", Access::ALL).unwrap();
        assert_eq!(mode(&open), 0o644);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing is left beside them");
    }

    #[test]
    fn draft_that_is_not_put_leaves_the_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "old").unwrap();
        drop(Draft::write(&file, "new", Access::ALL).unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn link_stays_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, "old").unwrap();
        symlink(&file, &link).unwrap();
        replace(&link, "new", Access::OWNER).unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    }

    #[test]
    fn failure_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("directory");
        fs::create_dir(&file).unwrap();
        assert!(replace(&file, "new", Access::OWNER).is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
