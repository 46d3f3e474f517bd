//! The bytes of one chip, as they were at one moment.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::error::EmulatorError;
use super::file::open_regular;

/// More than any layout has, so that a file that is too long is seen.
const BYTES_MAX: usize = 32;
/// So often two looks may differ. The emulator writes 25 times a second, and a look takes microseconds.
const LOOKS_MAX: u32 = 16;

/// Reads the file until two looks in a row are equal: the emulator fills it with zeros and then field by field, and
/// readers have no lock. The flags come last, so that a writer that is interrupted in between leaves no value that
/// looks valid.
///
/// A file that does not belong to `owner`, the user id of who made the lock, is not the emulator's.
pub(super) fn read(path: &Path, owner: u32) -> Result<Vec<u8>, EmulatorError> {
    let refused = |error: io::Error| EmulatorError::of_file(path, &error);
    let (file, metadata) = open_regular(path)?;
    if metadata.uid() != owner {
        return Err(EmulatorError::Owner { path: path.to_owned(), found: metadata.uid(), expected: owner });
    }
    let mut before = look(&file).map_err(refused)?;
    for _ in 0..LOOKS_MAX {
        let now = look(&file).map_err(refused)?;
        if now == before {
            return Ok(now);
        }
        before = now;
    }
    Err(EmulatorError::Unsteady { path: path.to_owned() })
}

fn look(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; BYTES_MAX];
    let length = file.read_at(&mut bytes, 0)?;
    bytes.truncate(length);
    Ok(bytes)
}
