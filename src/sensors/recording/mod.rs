//! Recordings of a Sense HAT: the file format of `sense_rec` and `sense_play`.
//!
//! - Holds of a file one record and where it is.
//! - Never enters: the clock, the bus, what is done with values. Whether a value is one is asked when it is replayed.
//! - Uses files, and `sensors::Readings`.
//! - Follows `sense_emu` 1.2: a header of 24 bytes (`SENSEHAT`, a version, seven bytes of padding, the time of the start)
//!   and records of 136 bytes, seventeen doubles each: the time, pressure and its chip's temperature, humidity and its
//!   chip's temperature, then twelve of the IMU. Times are seconds since 1970; what was not measured is NaN.
//!
//! Numbers are written in the machine's own byte order there, which is little-endian on every Raspberry Pi: so it is
//! here, on every machine. The IMU's are written as NaN, the pose as 0, and all of them are passed over when read.
//!
//! Start reading at [`Record`]; [`Reader`] goes through a file, [`survey`] tells its span without reading all of it.

mod error;
mod header;
mod reader;
mod record;
mod survey;

pub use error::RecordingError;
pub use header::{HEADER_BYTES, Header};
pub use reader::Reader;
pub use record::{RECORD_BYTES, Record};
pub use survey::{Survey, survey};
