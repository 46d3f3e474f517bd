//! A file of the emulator, in a directory where everybody may put one.

use std::fs::{File, Metadata};
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::error::EmulatorError;

/// Opens the file for reading. It never waits: a pipe of that name would wait for a writer.
///
/// # Errors
/// When it cannot be opened, or is anything but a regular file; a link is not followed.
pub(super) fn open_regular(path: &Path) -> Result<(File, Metadata), EmulatorError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let irregular = || EmulatorError::Irregular { path: path.to_owned() };
    let file = match open(path, flags, Mode::empty()) {
        Ok(descriptor) => File::from(descriptor),
        // a link, and a socket
        Err(Errno::LOOP | Errno::NXIO) => return Err(irregular()),
        Err(error) => return Err(EmulatorError::of_file(path, &error.into())),
    };
    let metadata = file.metadata().map_err(|error| EmulatorError::of_file(path, &error))?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(irregular()) }
}
