//! The stick as the crate `sensehat-stick` opens it; it is read through its descriptor.
//!
//! The crate's own events cannot be used: their fields are private and have no getters, and its read waits in a loop.

use std::os::fd::OwnedFd;
use std::path::Path;

use sensehat_stick::JoyStick;

use super::StickError;
use crate::base::sys;

/// Opens the stick; `path` names it in errors. The crate opens the machine's input devices one after the other until
/// one has the stick's name, and fails at the first that this user may not open.
///
/// # Errors
/// When the crate finds none.
pub(super) fn open(path: &Path) -> Result<OwnedFd, StickError> {
    let failed = |error: std::io::Error| StickError::new(path, error);
    let stick = JoyStick::open().map_err(|error| failed(std::io::Error::other(error.to_string())))?;
    sys::duplicate(stick.fd()).map_err(failed)
}
