//! How the stick is, told to the log whenever that changes.

use tracing::{info, warn};

use crate::stick::StickError;

/// How the stick is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It is read.
    Ok,
    /// There is none, or it is gone.
    Absent(String),
    /// It is there and cannot be used.
    Refused(String),
}

impl Health {
    /// What `error` says of it.
    pub(super) fn of(error: &StickError) -> Self {
        match error {
            StickError::Absent { .. } | StickError::NoEmulator { .. } | StickError::Lost { .. } => {
                Self::Absent(error.to_string())
            }
            _ => Self::Refused(error.to_string()),
        }
    }

    /// A HAT without its overlay is common, and no reason to worry whoever only wants readings.
    pub(super) fn log(&self) {
        match self {
            Self::Ok => info!("the stick is there"),
            Self::Absent(text) => info!("{text}"),
            Self::Refused(text) => warn!("{text}"),
        }
    }
}
