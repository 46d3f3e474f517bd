//! The state directory: made when it is missing, used by one gateway at a time.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::uplink::Files;

/// A state directory that this process alone uses.
#[derive(Debug)]
pub(super) struct StateDirectory {
    path: PathBuf,
    /// Held as long as the process lives; the system lets go of it in every case.
    _lock: File,
}

impl StateDirectory {
    /// Makes `path` (mode 0700) where it is missing, and takes its lock.
    ///
    /// # Errors
    /// When it cannot be made or written, and when another gateway uses it.
    pub(super) fn take(path: &Path) -> anyhow::Result<Self> {
        make(path).with_context(|| format!("cannot make the state directory {}", path.display()))?;
        let lock = path.join("lock");
        let file = File::create(&lock).with_context(|| {
            format!("cannot write {}: give the directory to this user, or set storage.directory", lock.display())
        })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: file }),
            Err(TryLockError::WouldBlock) => bail!(
                "another sensegate uses {}: stop it (`systemctl stop sensegate`), or set storage.directory",
                path.display()
            ),
            Err(TryLockError::Error(cause)) => {
                Err(cause).with_context(|| format!("cannot take the lock {}", lock.display()))
            }
        }
    }

    /// The files of uplinks.
    pub(super) fn uplinks(&self) -> Files {
        Files::new(self.path.clone())
    }

    /// The file that remembers which retained topics were announced.
    pub(super) fn announced_topics(&self) -> PathBuf {
        self.path.join("topics.json")
    }
}

fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_gateway_is_refused_until_the_first_lets_go() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        let first = StateDirectory::take(&path).unwrap();
        let refusal = StateDirectory::take(&path).unwrap_err().to_string();
        assert!(refusal.contains("another sensegate uses"), "{refusal}");
        drop(first);
        StateDirectory::take(&path).unwrap();
    }
}
