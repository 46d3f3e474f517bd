//! What the kernel says of the way to the emulator.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::stick::StickError;

/// What a failure to reach the emulator at `server` means. A file that is no socket, or is left of an emulator that has
/// crashed, refuses.
pub(super) fn of_open(server: &Path, error: io::Error) -> StickError {
    let path = server.to_owned();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => StickError::NoEmulator { path },
        ErrorKind::PermissionDenied => StickError::EmulatorPermission { path },
        _ => StickError::Io { path, source: error },
    }
}

/// What a failure means once the emulator was reached.
pub(super) fn of_hello(server: &Path, error: io::Error) -> StickError {
    let path = server.to_owned();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotConnected | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => {
            StickError::Lost { path }
        }
        _ => StickError::Io { path, source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_another_user_is_refused_and_told_as_that() {
        let error = of_open(Path::new("/dev/shm/x"), io::Error::from_raw_os_error(libc::EACCES));
        assert!(
            matches!(&error, StickError::EmulatorPermission { path } if path == Path::new("/dev/shm/x")),
            "{error}"
        );
        assert!(!error.to_string().contains("input"), "{error}");
    }

    #[test]
    fn what_is_neither_absent_nor_forbidden_is_told_as_the_kernel_says_it() {
        for of in [of_open, of_hello] {
            let error = of(Path::new("/x"), io::Error::from_raw_os_error(libc::EPROTOTYPE));
            assert!(matches!(error, StickError::Io { .. }), "{error}");
        }
    }
}
