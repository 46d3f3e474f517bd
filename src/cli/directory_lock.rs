//! A lock that serialises the programs which read, edit and replace a file.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::replace::directory;

/// An exclusive lock on a directory, released when the value is dropped or the process ends (flock(2)).
///
/// The directory is locked and not the file: replacing a file by rename leaves a lock on the replaced one, and a
/// separate lock file would stay behind with an owner and a mode of its own. A program that does not lock, for example
/// an editor, is not held up.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _directory: File,
}

impl DirectoryLock {
    /// Locks the directory that contains `file`, or its target if `file` is a symbolic link.
    ///
    /// Waits while another process has the lock, after a line on standard error.
    ///
    /// # Errors
    /// When the directory does not exist, cannot be read, or its file system has no locks.
    pub(super) fn acquire(file: &Path) -> io::Result<Self> {
        Self::lock(&canonical_directory(file))
    }

    /// Locks the directories of all `files`, each once and always in the same order, so that two processes cannot wait
    /// for each other.
    ///
    /// # Errors
    /// As [`DirectoryLock::acquire`], for any of them.
    pub(super) fn acquire_all<'a>(files: impl Iterator<Item = &'a Path>) -> io::Result<Vec<Self>> {
        let mut directories: Vec<_> = files.map(canonical_directory).collect();
        directories.sort();
        directories.dedup();
        directories.iter().map(|directory| Self::lock(directory)).collect()
    }

    fn lock(path: &Path) -> io::Result<Self> {
        let directory = File::open(path)?;
        match directory.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!("sensegate: waiting for another process that changes files in {}", path.display());
                directory.lock()?;
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(Self { _directory: directory })
    }
}

/// Returns the directory of `file` without symbolic links, so that every process locks the same one.
fn canonical_directory(file: &Path) -> PathBuf {
    let target = fs::canonicalize(file);
    let directory = directory(target.as_deref().unwrap_or(file));
    fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Whether a lock for `file` is free, asked through a descriptor of its own.
    fn is_free(file: &Path) -> bool {
        File::open(canonical_directory(file)).unwrap().try_lock().is_ok()
    }

    #[test]
    fn lock_survives_the_replacement_of_the_file_and_leaves_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("passwords");
        let lock = DirectoryLock::acquire(&file).unwrap();
        assert!(!is_free(&file), "the file need not exist");
        super::super::replace::replace(&file, "a", super::super::replace::Access::OWNER).unwrap();
        assert!(!is_free(&file));
        drop(lock);
        assert!(is_free(&file));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "the file alone");
    }

    #[test]
    fn link_to_a_file_and_the_file_have_one_lock() {
        let root = tempfile::tempdir().unwrap();
        let (target, link) = (root.path().join("a/file"), root.path().join("b/link"));
        fs::create_dir(root.path().join("a")).unwrap();
        fs::create_dir(root.path().join("b")).unwrap();
        fs::write(&target, "").unwrap();
        symlink(&target, &link).unwrap();
        let _lock = DirectoryLock::acquire(&link).unwrap();
        assert!(!is_free(&target));
    }

    #[test]
    fn several_files_of_one_directory_are_locked_once() {
        let root = tempfile::tempdir().unwrap();
        let files = [root.path().join("a"), root.path().join("b")];
        let locks = DirectoryLock::acquire_all(files.iter().map(PathBuf::as_path)).unwrap();
        assert_eq!(locks.len(), 1);
        assert!(!is_free(&files[0]));
    }

    #[test]
    fn directory_that_is_missing_is_an_error() {
        let error = DirectoryLock::acquire(Path::new("/nonexistent/passwords")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
