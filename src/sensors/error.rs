//! What can go wrong between a register and a reading.

use std::ops::RangeInclusive;

use super::chip::{Chip, Register};
use super::reading::Reason;

/// A chip could not be talked to, or is not the chip it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverError<E> {
    /// The bus failed while a register, or a burst that starts there, was read.
    #[error("cannot read {register}: {cause}")]
    Read {
        /// Which one.
        register: Register,
        /// What the bus said.
        cause: E,
    },
    /// The bus failed while a register was written.
    #[error("cannot write 0x{value:02x} to {register}: {cause}")]
    Write {
        /// Which one.
        register: Register,
        /// What should have been written.
        value: u8,
        /// What the bus said.
        cause: E,
    },
    /// The bus failed, or a kernel driver owns the chip, when nothing but the sub-address was written.
    #[error("cannot select {register}: {cause}")]
    Select {
        /// Which one.
        register: Register,
        /// What the bus said.
        cause: E,
    },
    /// Another chip answers.
    #[error("{register} reads 0x{found:02x}, expected 0x{expected:02x}: this is not a {chip}", chip = register.chip)]
    Identity {
        /// The identity register.
        register: Register,
        /// What it holds.
        found: u8,
        /// What it holds in the right chip.
        expected: u8,
    },
    /// Every bit reads the same, where no chip says so: the data line is stuck.
    #[error(
        "{register} reads 0x{level:02x}, as all of them do: the data line is stuck; a HAT that holds it lets go without \
         power"
    )]
    StuckLine {
        /// Which one, or where the burst starts.
        register: Register,
        /// What it reads: 0x00 or 0xff.
        level: u8,
    },
}

/// The chip answers, but what it says is no value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// Calibration that gives no line between raw counts and units.
    #[error("{chip} calibration (0x30..0x3f) is useless: {detail}")]
    Calibration {
        /// The chip.
        chip: Chip,
        /// Which registers, and why.
        detail: String,
    },
    /// A value that the chip cannot measure.
    #[error("{chip} says {value:.2} {unit}, outside {}..{} {unit}: a fault, not a reading", range.start(), range.end())]
    OutOfRange {
        /// The chip.
        chip: Chip,
        /// The value.
        value: f64,
        /// Its unit.
        unit: &'static str,
        /// What the chip can measure.
        range: RangeInclusive<f64>,
    },
    /// The pressure stays at the power-on value.
    #[error("LPS25H says 760.0 hPa, its power-on value, again and again: the sensing element is damaged (AN4450 §4.3)")]
    Damaged,
}

impl ValueError {
    /// The class of the cause.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Calibration { .. } => Reason::Calibration,
            Self::OutOfRange { .. } => Reason::OutOfRange,
            Self::Damaged => Reason::Damaged,
        }
    }

    /// The value itself when it lies in `range`.
    pub(super) fn check_range(
        chip: Chip,
        value: f64,
        unit: &'static str,
        range: RangeInclusive<f64>,
    ) -> Result<f64, Self> {
        if range.contains(&value) { Ok(value) } else { Err(Self::OutOfRange { chip, value, unit, range }) }
    }
}
