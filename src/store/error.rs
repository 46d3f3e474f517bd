//! What can fail, and what was found broken.

use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

/// Why the state could not be opened, written or read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// No room, on the disk or within `bytes_max`. What needs no room is written; the rest waits in memory and goes
    /// with the next commit for which there is room.
    #[error("no room for further state, on the disk or within the size that the file may have")]
    Full,
    /// The file was written by a later version of this program. It is left as it is.
    #[error(
        "`{path}` has format {found}, this version reads formats up to {known}: a newer sensegate wrote it; install that \
         version again, or move the file away to start with an empty state",
        path = .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// The file is a database of another program. It is left as it is.
    #[error("`{path}` is a database of another program (application id {application_id:#010x})", path = .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it says it belongs to; 0 for nobody in particular.
        application_id: i64,
    },
    /// Another process has it open.
    #[error("the state is in use by another process")]
    InUse,
    /// What is on disk contradicts itself. Opening it again sets the file aside and takes over what is readable.
    #[error("the state on disk is damaged: {0}")]
    Damaged(String),
    /// Any other complaint of the database or the system below it.
    #[error("the state could not be written or read: {0}")]
    Failed(String),
    /// A file beside the database could not be handled.
    #[error("cannot {action} `{path}`: {reason}", path = .path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl StoreError {
    /// Whether opening the file fails again until the operator replaces the program or moves the file.
    pub const fn is_permanent(&self) -> bool {
        matches!(self, Self::Newer { .. } | Self::Foreign { .. })
    }

    pub(super) fn file(action: &'static str, path: &Path, error: &std::io::Error) -> Self {
        Self::File { action, path: path.to_owned(), reason: error.to_string() }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) {
            return Self::Damaged(error.to_string());
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse,
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// `SQLITE_IOERR_READ`: the disk does not give a page back.
const IOERR_READ: i32 = 266;

/// `SQLITE_IOERR_SHORT_READ`: the file ends before a page that belongs to a large payload. Other pages that are missing
/// are read as zeros, and found corrupt then.
const IOERR_SHORT_READ: i32 = 522;

/// Whether an error says that the file is not what was written: the statements are ours, so that one which does not fit
/// the tables, or a value of another type, says so too.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error;
    match error {
        Error::SqliteFailure(failure, _) => {
            matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
                || matches!(failure.extended_code, IOERR_READ | IOERR_SHORT_READ)
        }
        Error::SqlInputError { .. }
        | Error::InvalidColumnType(..)
        | Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..) => true,
        _ => false,
    }
}

/// What was found broken when the state was opened, and where it went. Worth a loud line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What was wrong.
    pub reason: String,
    /// The broken file under its new name; its log, if it had one, has the same name with `-wal` behind it.
    pub aside: PathBuf,
    /// Rows that were taken over into the fresh file.
    pub kept: u64,
    /// Rows that were read but whose values had changed. Those on unreadable pages are not counted.
    pub lost: u64,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, aside, kept, lost } = self;
        let aside = aside.display();
        write!(f, "the state was damaged ({reason}): {kept} rows taken over, {lost} given up, the file kept as {aside}")
    }
}
