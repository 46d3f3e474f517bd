//! Why the emulator shows no value.

use std::io;
use std::path::{Path, PathBuf};

use crate::sensors::Reason;
use crate::sensors::error::ValueError;

/// What is wrong with the emulator, or with what it shows.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EmulatorError {
    /// Nothing of it is there.
    #[error("the Sense HAT emulator is not running: {} is not there", path.display())]
    NotStarted {
        /// The file that it would have made.
        path: PathBuf,
    },
    /// It was there, and is gone.
    #[error("the Sense HAT emulator has ended: {} names process {id}, which is not it", path.display())]
    Ended {
        /// Its lock.
        path: PathBuf,
        /// The process in it.
        id: i32,
    },
    /// It was there, and has taken its lock away.
    #[error("the Sense HAT emulator has ended: it has taken {} away, and what it left is not read", path.display())]
    Closed {
        /// Its lock.
        path: PathBuf,
    },
    /// Its lock names no process.
    #[error("{} holds no process id, a number is expected", path.display())]
    Lock {
        /// Its lock.
        path: PathBuf,
    },
    /// A file of it may not be read.
    #[error("{} may not be read by this user", path.display())]
    Permission {
        /// The file.
        path: PathBuf,
    },
    /// A file of it cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// A file of it is a pipe, a link, a directory, or the like.
    #[error("{} is no regular file, as the emulator's are", path.display())]
    Irregular {
        /// The file.
        path: PathBuf,
    },
    /// A file of it may have been put there by somebody else.
    #[error(
        "{} belongs to user {found}, and the emulator's lock to user {expected}: one user is expected",
        path.display()
    )]
    Owner {
        /// The file.
        path: PathBuf,
        /// The user id of its owner.
        found: u32,
        /// The user id of the lock's owner.
        expected: u32,
    },
    /// A file of it has another size than the emulator gives it.
    #[error("{} has {bytes} bytes, {expected} are expected", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Its size; what is larger than expected is not measured to the end.
        bytes: usize,
        /// Its sizes in known versions.
        expected: &'static str,
    },
    /// A file of it is about another chip.
    #[error("{} is of chip type {found}, {expected} is expected", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// The type in it.
        found: u8,
        /// The type that belongs there.
        expected: u8,
    },
    /// A file of it has not been filled in yet.
    #[error("the Sense HAT emulator has not filled {} in yet", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A file of it was another at each look.
    #[error("{} changes faster than it can be read", path.display())]
    Unsteady {
        /// The file.
        path: PathBuf,
    },
    /// The emulator itself says that the value is none.
    #[error("the Sense HAT emulator says that its {what} is not valid")]
    Invalid {
        /// Which one.
        what: &'static str,
    },
    /// The value is none.
    #[error(transparent)]
    Value(#[from] ValueError),
}

impl EmulatorError {
    /// What the system said of a file.
    pub(super) fn of_file(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotStarted { path },
            io::ErrorKind::PermissionDenied => Self::Permission { path },
            _ => Self::Unreadable { path, cause: error.to_string() },
        }
    }

    /// The class of the cause.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::NotStarted { .. } => Reason::NoChip,
            Self::Ended { .. } | Self::Closed { .. } => Reason::Ended,
            Self::Permission { .. } => Reason::Permission,
            Self::Size { .. } | Self::Identity { .. } | Self::Irregular { .. } | Self::Owner { .. } => {
                Reason::WrongIdentity
            }
            Self::Empty { .. } => Reason::Starting,
            Self::Invalid { .. } => Reason::Stale,
            Self::Lock { .. } | Self::Unreadable { .. } | Self::Unsteady { .. } => Reason::Bus,
            Self::Value(error) => error.reason(),
        }
    }
}
