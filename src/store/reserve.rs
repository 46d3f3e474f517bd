//! Room on the disk that is given up when the disk is full, so that acknowledgements can still be written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::error::StoreError;

/// Enough for a log at its usual size and for copying it into the file.
const RESERVE_BYTES: u64 = 2 << 20;

/// A file of nothing beside the database: `<name>.reserve`.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    is_there: bool,
}

impl Reserve {
    /// Makes it when it is missing. A disk without room for it is a full disk.
    pub(super) fn new(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push(".reserve");
        let mut reserve = Self { path: path.into(), is_there: false };
        reserve.restore();
        reserve
    }

    /// Gives the room up.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub(super) fn spend(&mut self) -> Result<(), StoreError> {
        self.is_there = false;
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::file("remove", &self.path, &error))
            }
            _ => Ok(()),
        }
    }

    /// Takes the room back if there is enough on the disk; whether it is held now.
    pub(super) fn restore(&mut self) -> bool {
        if !self.is_there {
            self.is_there = allocate(&self.path).is_ok();
            if !self.is_there {
                // half a reserve is room that others need more; what cannot be removed is tried again by the next call
                let _ = fs::remove_file(&self.path);
            }
        }
        self.is_there
    }
}

fn allocate(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    match fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES) {
        // FAT and some network file systems know no fallocate
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill(&file),
        other => Ok(other?),
    }
}

fn fill(mut file: &File) -> io::Result<()> {
    const BLOCK: [u8; 4096] = [0; 4096];
    for _ in 0..RESERVE_BYTES / BLOCK.len() as u64 {
        file.write_all(&BLOCK)?;
    }
    file.sync_all()
}
