//! From raw counts to hPa and °C (AN4450 §4.2, §4.3).

use crate::base::units::{Celsius, Hectopascal};
use crate::sensors::chip::Chip;
use crate::sensors::error::ValueError;

/// What the chip can measure, in hPa (datasheet table 3).
const PRESSURE_MIN_HPA: f64 = 260.0;
const PRESSURE_MAX_HPA: f64 = 1260.0;
/// At which temperatures it works, in °C (datasheet table 4).
const TEMPERATURE_MIN_C: f64 = -30.0;
const TEMPERATURE_MAX_C: f64 = 105.0;

/// The signed count in `PRESS_OUT` (24 bits, low byte first).
pub fn pressure_count([low, middle, high]: [u8; 3]) -> i32 {
    // Into the upper 24 bits and back, which carries the sign along.
    i32::from_le_bytes([0, low, middle, high]) >> 8
}

/// The pressure for a count: 4096 counts are 1 hPa.
pub fn pressure(count: i32) -> Hectopascal {
    Hectopascal(f64::from(count) / 4096.0)
}

/// The chip's temperature for a count of `TEMP_OUT`: 480 counts are 1 °C, and zero is 42.5 °C.
pub fn temperature(count: i16) -> Celsius {
    Celsius(42.5 + f64::from(count) / 480.0)
}

/// The pressure for a count, when the chip can measure it.
///
/// # Errors
/// [`ValueError::OutOfRange`] outside 260..1260 hPa.
pub fn check_pressure(count: i32) -> Result<Hectopascal, ValueError> {
    check_hectopascal(pressure(count).0)
}

/// The pressure, when the chip can measure it.
///
/// # Errors
/// [`ValueError::OutOfRange`] outside 260..1260 hPa.
pub fn check_hectopascal(value: f64) -> Result<Hectopascal, ValueError> {
    ValueError::check_range(Chip::Lps25h, value, Hectopascal::SYMBOL, PRESSURE_MIN_HPA..=PRESSURE_MAX_HPA)
        .map(Hectopascal)
}

/// The temperature of a chip that works at it.
///
/// # Errors
/// [`ValueError::OutOfRange`] outside −30..105 °C.
pub fn check_temperature(celsius: f64) -> Result<Celsius, ValueError> {
    ValueError::check_range(Chip::Lps25h, celsius, Celsius::SYMBOL, TEMPERATURE_MIN_C..=TEMPERATURE_MAX_C).map(Celsius)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_carries_its_sign() {
        assert_eq!(pressure_count([0x8d, 0xf5, 0x3f]), 4_191_629);
        assert_eq!(pressure_count([0xff, 0xff, 0xff]), -1);
        assert_eq!(pressure_count([0x00, 0x00, 0x80]), -8_388_608);
    }

    #[test]
    fn range_has_its_ends_in_it() {
        assert!(check_pressure(260 * 4096).is_ok() && check_pressure(1260 * 4096).is_ok());
        for outside in [260 * 4096 - 1, 1260 * 4096 + 1, 0, -1] {
            assert!(check_pressure(outside).is_err());
        }
    }
}
