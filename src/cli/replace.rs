//! Atomic replacement of files: a reader sees the old content or the new one, also after a power cut.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::process;

use rustix::fs::{CWD, RenameFlags, renameat_with};

/// The group of the service.
const GROUP: &str = "sensegate";

/// Mode and group of a new file. A file that is replaced keeps its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Access {
    /// Mode, as for chmod(2).
    pub(super) mode: u32,
    /// Group id; `None` for the group of the process.
    pub(super) group: Option<u32>,
}

impl Access {
    /// Readable and writable by its owner only.
    pub(super) const OWNER: Self = Self { mode: 0o600, group: None };
    /// Readable by everybody.
    pub(super) const ALL: Self = Self { mode: 0o644, group: None };
}

/// Returns the access of a file that only the service may read.
///
/// If root creates the file and `etc/group` below `root` has the service's group, this group may read it; otherwise only
/// the owner may.
pub(super) fn secret_access(root: &Path, is_root: bool) -> Access {
    let groups = fs::read_to_string(root.join("etc/group")).unwrap_or_default();
    let mut lines = groups.lines().map(|line| line.split(':'));
    let group = lines.find_map(|mut fields| (fields.next()? == GROUP).then(|| fields.nth(1)?.parse().ok())?);
    match group {
        Some(group) if is_root => Access { mode: 0o640, group: Some(group) },
        _ => Access::OWNER,
    }
}

/// Replaces `file`, keeping its mode and owner, or creates it with `access`. A symbolic link stays a link: its target is
/// replaced.
///
/// # Errors
/// When the temporary file cannot be written or renamed, or the owner cannot be kept. `file` is unchanged then.
pub(super) fn replace(file: &Path, text: &str, access: Access) -> io::Result<()> {
    Draft::write(file, text, access)?.put()
}

/// Creates `file` with `access`, and never overwrites one, even if another program creates it at the same moment.
///
/// # Errors
/// With [`io::ErrorKind::AlreadyExists`] when there is such a file, otherwise as [`replace`].
pub(super) fn create(file: &Path, text: &str, access: Access) -> io::Result<()> {
    Draft::write(file, text, access)?.put_new()
}

/// A temporary file beside the file whose content it will become. It is removed when the value is dropped.
#[derive(Debug)]
pub(super) struct Draft {
    beside: PathBuf,
    file: PathBuf,
}

impl Draft {
    /// Writes and flushes the temporary file; `file` itself is not changed.
    ///
    /// # Errors
    /// As [`replace`].
    pub(super) fn write(file: &Path, text: &str, access: Access) -> io::Result<Self> {
        // a symbolic link stays a link, and its target is replaced
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
        // after fchown, which clears some bits; and independent of the umask
        new.set_permissions(Permissions::from_mode(access.mode))?;
        new.sync_all()
    }

    /// Copies the owner of the file that is replaced, and returns its mode; `None` if there is no such file.
    fn inherit(&self, new: &File) -> io::Result<Option<Access>> {
        let Ok(old) = fs::metadata(&self.file) else { return Ok(None) };
        let is = new.metadata()?;
        if (is.uid(), is.gid()) != (old.uid(), old.gid()) {
            fchown(new, Some(old.uid()), Some(old.gid()))?;
        }
        Ok(Some(Access { mode: old.mode() & 0o7777, group: None }))
    }

    /// Renames the temporary file to its file and flushes the directory.
    ///
    /// # Errors
    /// When it cannot be renamed; nothing is changed then. When the directory cannot be flushed.
    pub(super) fn put(self) -> io::Result<()> {
        fs::rename(&self.beside, &self.file)?;
        self.flush_directory()
    }

    /// As [`Draft::put`], for a file that must not exist yet.
    ///
    /// # Errors
    /// As [`Draft::put`], and with [`io::ErrorKind::AlreadyExists`] when the file exists.
    pub(super) fn put_new(self) -> io::Result<()> {
        // link(2) fails where the name exists, on every file system that has it; FAT has only the rename
        match fs::hard_link(&self.beside, &self.file) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) => renameat_with(CWD, &self.beside, CWD, &self.file, RenameFlags::NOREPLACE)?,
            Ok(()) => fs::remove_file(&self.beside)?,
        }
        self.flush_directory()
    }

    fn flush_directory(&self) -> io::Result<()> {
        File::open(directory(&self.file))?.sync_all()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // after the rename there is no temporary file
        let _ = fs::remove_file(&self.beside);
    }
}

/// Returns the name of the temporary file: in the same directory, hidden, and with the id of this process.
fn beside(file: &Path) -> io::Result<PathBuf> {
    let name = file.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    Ok(file.with_file_name(format!(".{}.{}", name.to_string_lossy(), process::id())))
}

/// Returns the directory that contains `file`.
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
    fn file_that_is_created_never_overwrites_another() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        create(&file, "first", Access::OWNER).unwrap();
        assert_eq!(mode(&file), 0o600);
        let error = create(&file, "second", Access::OWNER).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&file).unwrap(), "first");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn failure_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("directory");
        fs::create_dir(&file).unwrap();
        assert!(replace(&file, "new", Access::OWNER).is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn secrets_belong_to_the_service_s_group_where_root_makes_them() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(secret_access(root.path(), true), Access::OWNER);
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/group"), "i2c:x:7:\nsensegate:x:987:\n").unwrap();
        assert_eq!(secret_access(root.path(), true), Access { mode: 0o640, group: Some(987) });
        assert_eq!(secret_access(root.path(), false), Access::OWNER);
    }
}
