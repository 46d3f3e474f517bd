//! Why there is no stick.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::NAME;

/// Why the stick cannot be found, opened or read.
#[derive(Debug, thiserror::Error)]
pub enum StickError {
    /// No input device has the name of the stick, or the one that has it has no file.
    #[error("no stick: `{}` has no input device named `{NAME}`; is the HAT plugged in, and the overlay rpi-sense loaded?",
        .class.display())]
    Absent {
        /// The directory that was searched.
        class: PathBuf,
    },
    /// The device may not be opened by this user.
    #[error("no permission to read the stick at `{}`: the user has to be in the group `input`", .path.display())]
    Permission {
        /// The device.
        path: PathBuf,
    },
    /// Another program has grabbed it.
    #[error("the stick at `{}` is busy: another program has grabbed it; `sensegate doctor` looks who", .path.display())]
    Busy {
        /// The device.
        path: PathBuf,
    },
    /// What has the stick's name does not answer as an input device.
    #[error("`{}` does not answer as an input device of the kernel", .path.display())]
    WrongKind {
        /// The file.
        path: PathBuf,
    },
    /// It was there and is there no more.
    #[error("the stick at `{}` is gone", .path.display())]
    Lost {
        /// The device.
        path: PathBuf,
    },
    /// Nobody is behind the emulator's socket, or there is none.
    #[error("no stick: the Sense HAT emulator does not listen at `{}`; is it running?", .path.display())]
    NoEmulator {
        /// The emulator's socket.
        path: PathBuf,
    },
    /// The emulator's socket may not be written to by this user.
    #[error("no permission to speak to the Sense HAT emulator at `{}`: it is another user's", .path.display())]
    EmulatorPermission {
        /// The emulator's socket.
        path: PathBuf,
    },
    /// Any other failure.
    #[error("cannot use the stick at `{}`: {source}", .path.display())]
    Io {
        /// The device.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl StickError {
    /// What a failed call on `path` means.
    pub(super) fn new(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match (source.kind(), source.raw_os_error()) {
            (ErrorKind::PermissionDenied, _) => Self::Permission { path },
            (_, Some(libc::EBUSY)) => Self::Busy { path },
            (_, Some(libc::ENOTTY | libc::EINVAL)) => Self::WrongKind { path },
            (_, Some(libc::ENODEV)) => Self::Lost { path },
            _ => Self::Io { path, source },
        }
    }
}
