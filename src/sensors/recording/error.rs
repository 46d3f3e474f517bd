//! What can be wrong with a recording.

use std::io;

/// Why a file is no recording, or cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The system does not give it.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is a directory, a pipe, or the like: a recording is read more than once.
    #[error("is no regular file")]
    NoFile,
    /// It ends within the header.
    #[error("has {bytes} bytes, a header of 24 is expected: this is no recording of a Sense HAT")]
    NoHeader {
        /// How many there are.
        bytes: usize,
    },
    /// It begins with something else.
    #[error("begins with {found:?}, \"SENSEHAT\" is expected: this is no recording of a Sense HAT")]
    Magic {
        /// Its first eight bytes.
        found: String,
    },
    /// Another version of the format.
    #[error("is of version {found} of the format, 1 is expected")]
    Version {
        /// The version in it.
        found: i8,
    },
    /// Its numbers are the wrong way round.
    #[error("was written on a big-endian machine; little-endian is expected, as on every Raspberry Pi")]
    BigEndian,
    /// Its start is no moment.
    #[error("begins at {found}, seconds since 1970 are expected")]
    Start {
        /// What stands in the header.
        found: f64,
    },
    /// Nothing was recorded.
    #[error("holds no record")]
    Empty,
    /// A record without a moment.
    #[error("record {record} is of {found}, seconds since 1970 are expected")]
    Time {
        /// Its number, from 1.
        record: u64,
        /// What stands there.
        found: f64,
    },
    /// A record that is older than the one before it.
    #[error("record {record} is of {found}, which is before {before}: times that do not go back are expected")]
    Backwards {
        /// Its number, from 1.
        record: u64,
        /// Its time, in seconds since 1970.
        found: f64,
        /// The time of the record before it.
        before: f64,
    },
}
