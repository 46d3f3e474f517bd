//! What the bytes mean: C structures in the machine's own byte order and packing.
//!
//! | humidity, 28 bytes | at | pressure, 28 bytes | at | in a 32-bit system, 20 bytes |
//! |---|---|---|---|---|
//! | type, 2 | 0 | type, 3 | 0 | 0 |
//! | H0, H1 in %RH, one byte each | 7, 8 | P_OUT, `long` | 16 | 12 |
//! | T0, T1 in °C, two bytes each | 10, 12 | T_OUT | 24 | 16 |
//! | H0_OUT, H1_OUT, T0_OUT, T1_OUT | 14, 16, 18, 20 | P_VALID, T_VALID | 26, 27 | 18, 19 |
//! | H_OUT, T_OUT | 22, 24 | | | |
//! | H_VALID, T_VALID | 26, 27 | | | |
//!
//! | trap | what happens here |
//! |---|---|
//! | the calibration is in °C and %RH, the chip's registers hold eighths and halves | taken as it is |
//! | the pressure chip's temperature is zero at 37 °C, the real chip's at 42.5 °C | 37 °C |
//! | C's `long` has 8 bytes, or 4 in a 32-bit system | told by the size of the file |

use std::path::Path;

use super::error::EmulatorError;
use crate::sensors::{hts221, lps25h};

const HTS221_TYPE: u8 = 2;
const LPS25H_TYPE: u8 = 3;

/// Sizes of the files.
const BYTES: usize = 28;
const BYTES_32_BIT: usize = 20;

/// Where the pressure chip's temperature has its zero, in °C, and its counts in one.
const TEMPERATURE_ZERO_C: f64 = 37.0;
const TEMPERATURE_COUNTS: f64 = 480.0;

/// The memory of the humidity chip.
#[derive(Debug)]
pub(super) struct HumidityChip {
    calibration: hts221::Calibration,
    /// `None` where it is not valid; so everywhere.
    humidity: Option<i16>,
    temperature: Option<i16>,
}

impl HumidityChip {
    pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<Self, EmulatorError> {
        if bytes.len() != BYTES {
            return Err(wrong_size(path, bytes, "28"));
        }
        check_type(path, byte(bytes, 0), HTS221_TYPE)?;
        let calibration = hts221::Calibration {
            h0_rh: byte(bytes, 7).into(),
            h1_rh: byte(bytes, 8).into(),
            t0_c: u16::from_ne_bytes(at(bytes, 10)).into(),
            t1_c: u16::from_ne_bytes(at(bytes, 12)).into(),
            h0_t0_out: count(bytes, 14),
            h1_t0_out: count(bytes, 16),
            t0_out: count(bytes, 18),
            t1_out: count(bytes, 20),
        };
        let humidity = (byte(bytes, 26) != 0).then_some(count(bytes, 22));
        let temperature = (byte(bytes, 27) != 0).then_some(count(bytes, 24));
        Ok(Self { calibration, humidity, temperature })
    }

    pub(super) fn humidity(&self) -> Result<f64, EmulatorError> {
        let count = self.humidity.ok_or(EmulatorError::Invalid { what: "humidity" })?;
        Ok(self.calibration.humidity(count)?.0)
    }

    pub(super) fn temperature(&self) -> Result<f64, EmulatorError> {
        let count = self.temperature.ok_or(EmulatorError::Invalid { what: "temperature" })?;
        Ok(self.calibration.temperature(count)?.0)
    }
}

/// The memory of the pressure chip.
#[derive(Debug)]
pub(super) struct PressureChip {
    pressure: Option<i32>,
    temperature: Option<i16>,
}

impl PressureChip {
    pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<Self, EmulatorError> {
        let (pressure, behind) = match bytes.len() {
            BYTES => (saturated(i64::from_ne_bytes(at(bytes, 16))), 24),
            BYTES_32_BIT => (i32::from_ne_bytes(at(bytes, 12)), 16),
            _ => return Err(wrong_size(path, bytes, "28, or 20 of a 32-bit system,")),
        };
        check_type(path, byte(bytes, 0), LPS25H_TYPE)?;
        Ok(Self {
            pressure: (byte(bytes, behind + 2) != 0).then_some(pressure),
            temperature: (byte(bytes, behind + 3) != 0).then_some(count(bytes, behind)),
        })
    }

    pub(super) fn pressure(&self) -> Result<f64, EmulatorError> {
        let count = self.pressure.ok_or(EmulatorError::Invalid { what: "pressure" })?;
        Ok(lps25h::check_pressure(count)?.0)
    }

    pub(super) fn temperature(&self) -> Result<f64, EmulatorError> {
        let count = self.temperature.ok_or(EmulatorError::Invalid { what: "pressure chip's temperature" })?;
        Ok(lps25h::check_temperature(TEMPERATURE_ZERO_C + f64::from(count) / TEMPERATURE_COUNTS)?.0)
    }
}

/// The bytes of a field. Zeros beyond the end, where no field of a file of the right size lies.
fn at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes.get(offset..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

fn byte(bytes: &[u8], offset: usize) -> u8 {
    u8::from_ne_bytes(at(bytes, offset))
}

fn count(bytes: &[u8], offset: usize) -> i16 {
    i16::from_ne_bytes(at(bytes, offset))
}

/// The ends of the smaller type are far outside what the chip measures.
fn saturated(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(if count < 0 { i32::MIN } else { i32::MAX })
}

fn wrong_size(path: &Path, bytes: &[u8], expected: &'static str) -> EmulatorError {
    EmulatorError::Size { path: path.to_owned(), bytes: bytes.len(), expected }
}

fn check_type(path: &Path, found: u8, expected: u8) -> Result<(), EmulatorError> {
    match found {
        0 => Err(EmulatorError::Empty { path: path.to_owned() }),
        found if found == expected => Ok(()),
        found => Err(EmulatorError::Identity { path: path.to_owned(), found, expected }),
    }
}
