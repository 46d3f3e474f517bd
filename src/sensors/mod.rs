//! The Sense HAT's chips: registers in, readings out.
//!
//! - Holds the drivers' settings and calibration, and each quantity's health.
//! - Never enters: MQTT, the network, the configuration's text. Time is handed in.
//! - Uses `base`.
//! - Writes no log: an absence carries its reason, its sentence and its first moment, and whoever samples tells them.
//! - Follows the HTS221 and LPS25H datasheets, TN1218 and AN4450 (ST), and i2c-dev of the Linux kernel.
//!
//! A reading is valid, with its time and source, or absent, with the reason: never 0, never 760 hPa, never the last
//! value for ever. Start reading at [`Hat`], then the two drivers; [`simulated`] is the same HAT made of registers;
//! [`emulator`] and [`replay`] have no registers, and give what the chips would have measured.

#[cfg(test)]
mod chain;
mod chip;
mod counts;
mod error;
mod hat;
mod json;
mod measured;
mod open;
mod oversampling;
mod reading;
mod real;
mod refine;
mod samples;
#[cfg(test)]
mod testing;

pub mod air;
pub mod bus;
pub mod dump;
pub mod emulator;
pub mod hts221;
pub mod lps25h;
pub mod recording;
pub mod replay;
pub mod simulated;

pub use chip::{Changed, Chip, Register, UnknownChip};
pub use counts::{ChipCounts, Counts};
pub use error::{DriverError, ValueError};
pub use hat::Hat;
pub use open::{OpenError, Sensor, open};
pub use oversampling::Oversampling;
pub use reading::{Absence, Heat, Quantity, Reading, Readings, Reason, Source};
pub use refine::{
    Correction, Filter, FilterKind, Fit, MEASURED, Method, Moment, PROCESSOR_FILE, Refinement, Thermometer,
    read_processor,
};
pub use samples::{ReadingMessage, SampleMessage};

use std::path::PathBuf;
use std::time::Duration;

/// Where readings are asked from.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceOptions {
    /// A real HAT on `/dev/i2c-{bus}`. Never replaced by a simulated one.
    I2c {
        /// The bus number.
        bus: u8,
    },
    /// The simulated HAT in a room whose climate moves.
    Simulated,
    /// The simulated HAT with the registers of a dump.
    Dump(PathBuf),
    /// The Sense HAT emulator of Raspberry Pi OS.
    Emulator {
        /// Where its memory is: `/dev/shm`.
        directory: PathBuf,
    },
    /// A recording that is played.
    Replay(replay::Options),
}

/// How the HAT is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Where from.
    pub source: SourceOptions,
    /// Time between two samples; the chips convert at their next higher rate.
    pub interval: Duration,
    /// Samples that the chips average into one conversion.
    pub oversampling: Oversampling,
    /// What is done with readings before they are told.
    pub refinement: Refinement,
}

impl Options {
    /// One sample a second of `source`, with everything else as by default.
    pub fn of(source: SourceOptions) -> Self {
        Self {
            source,
            interval: Duration::from_secs(1),
            oversampling: Oversampling::default(),
            refinement: Refinement::default(),
        }
    }
}
