//! From raw counts to °C and %RH: two factory points a quantity and a line through them (TN1218).
//!
//! | trap | what happens here |
//! |---|---|
//! | bits 7:4 of 0x35 are junk on real parts | masked |
//! | 0x34, 0x38, 0x39 are reserved and not zero | not looked at |
//! | differences of two `i16` overflow | all in `f64` |
//! | most parts have a falling humidity line | nothing is assumed about the slope |
//! | T1_OUT = T0_OUT, or H1_T0_OUT = H0_T0_OUT | that quantity is an error, the other goes on |
//! | both points at one value: the reading could never move | the same |
//! | all zero just after power-up | the same for both, and worth reading again |
//! | T0_OUT = 0 | legal |

use crate::base::units::{Celsius, RelativeHumidity};
use crate::sensors::chip::Chip;
use crate::sensors::error::ValueError;

/// What the chip can measure, in °C (datasheet table 3).
const TEMPERATURE_MIN_C: f64 = -40.0;
const TEMPERATURE_MAX_C: f64 = 120.0;
/// How far beyond 0..100 %RH a healthy part may come to lie: wet ones have said 117 %RH. Within it the humidity is
/// clamped, beyond it the value is a fault.
const HUMIDITY_EXCESS_MAX: f64 = 25.0;

/// The factory calibration of one chip, decoded from registers 0x30..0x3f.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Calibration {
    /// Humidity of the first point, in %RH.
    pub h0_rh: f64,
    /// Humidity of the second point, in %RH.
    pub h1_rh: f64,
    /// Temperature of the first point, in °C.
    pub t0_c: f64,
    /// Temperature of the second point, in °C.
    pub t1_c: f64,
    /// Humidity count of the first point.
    pub h0_t0_out: i16,
    /// Humidity count of the second point.
    pub h1_t0_out: i16,
    /// Temperature count of the first point.
    pub t0_out: i16,
    /// Temperature count of the second point.
    pub t1_out: i16,
}

impl Calibration {
    /// Decodes the 16 registers from 0x30 on.
    pub fn from_registers(bytes: [u8; 16]) -> Self {
        let [h0, h1, t0, t1, _, top, h0_l, h0_h, _, _, h1_l, h1_h, t0_l, t0_h, t1_l, t1_h] = bytes;
        Self {
            h0_rh: f64::from(h0) / 2.0,
            h1_rh: f64::from(h1) / 2.0,
            t0_c: f64::from(u16::from_le_bytes([t0, top & 0b11])) / 8.0,
            t1_c: f64::from(u16::from_le_bytes([t1, top >> 2 & 0b11])) / 8.0,
            h0_t0_out: i16::from_le_bytes([h0_l, h0_h]),
            h1_t0_out: i16::from_le_bytes([h1_l, h1_h]),
            t0_out: i16::from_le_bytes([t0_l, t0_h]),
            t1_out: i16::from_le_bytes([t1_l, t1_h]),
        }
    }

    /// The temperature for a count of `TEMP_OUT`.
    ///
    /// # Errors
    /// [`ValueError::Calibration`] when the points give no line, [`ValueError::OutOfRange`] outside −40..120 °C.
    pub fn temperature(&self, raw: i16) -> Result<Celsius, ValueError> {
        let value = interpolate(raw, (self.t0_out, self.t0_c), (self.t1_out, self.t1_c))
            .ok_or_else(|| self.temperature_error())?;
        let value = check_temperature(value)?;
        if is_flat(self.t0_c, self.t1_c) { Err(self.temperature_error()) } else { Ok(value) }
    }

    /// The relative humidity for a count of `HUMIDITY_OUT`, clamped to 0..100.
    ///
    /// # Errors
    /// [`ValueError::Calibration`] when the points give no line, [`ValueError::OutOfRange`] when the line leads more
    /// than 25 %RH outside.
    pub fn humidity(&self, raw: i16) -> Result<RelativeHumidity, ValueError> {
        let value = interpolate(raw, (self.h0_t0_out, self.h0_rh), (self.h1_t0_out, self.h1_rh))
            .ok_or_else(|| self.humidity_error())?;
        let clamped = check_humidity(value)?;
        if is_flat(self.h0_rh, self.h1_rh) { Err(self.humidity_error()) } else { Ok(clamped) }
    }

    /// Whether both quantities have a line.
    pub fn is_complete(&self) -> bool {
        let has_line = |(x0, y0), (x1, y1)| x0 != x1 && !is_flat(y0, y1);
        has_line((self.t0_out, self.t0_c), (self.t1_out, self.t1_c))
            && has_line((self.h0_t0_out, self.h0_rh), (self.h1_t0_out, self.h1_rh))
    }

    fn temperature_error(&self) -> ValueError {
        let Self { t0_out, t1_out, t0_c, t1_c, .. } = self;
        self.error(format!("T0_OUT = {t0_out} and T1_OUT = {t1_out} at {t0_c} and {t1_c} °C make no line"))
    }

    fn humidity_error(&self) -> ValueError {
        let Self { h0_t0_out, h1_t0_out, h0_rh, h1_rh, .. } = self;
        self.error(format!(
            "H0_T0_OUT = {h0_t0_out} and H1_T0_OUT = {h1_t0_out} at {h0_rh} and {h1_rh} %RH make no line"
        ))
    }

    fn error(&self, detail: String) -> ValueError {
        let detail = if *self == Self::default() { "all registers read zero".to_owned() } else { detail };
        ValueError::Calibration { chip: Chip::Hts221, detail }
    }
}

/// The temperature, when the chip can measure it.
///
/// # Errors
/// [`ValueError::OutOfRange`] outside −40..120 °C.
pub fn check_temperature(celsius: f64) -> Result<Celsius, ValueError> {
    let range = TEMPERATURE_MIN_C..=TEMPERATURE_MAX_C;
    ValueError::check_range(Chip::Hts221, celsius, Celsius::SYMBOL, range).map(Celsius)
}

/// The relative humidity, clamped to 0..100.
///
/// # Errors
/// [`ValueError::OutOfRange`] when it lies more than 25 %RH outside.
pub fn check_humidity(percent: f64) -> Result<RelativeHumidity, ValueError> {
    let range = -HUMIDITY_EXCESS_MAX..=100.0 + HUMIDITY_EXCESS_MAX;
    let value = ValueError::check_range(Chip::Hts221, percent, RelativeHumidity::SYMBOL, range)?;
    Ok(RelativeHumidity(value.clamp(0.0, 100.0)))
}

/// Two points at one value: the reading could never move. Both values are multiples of 1/8, so the difference of
/// equal ones is exactly zero.
fn is_flat(y0: f64, y1: f64) -> bool {
    (y1 - y0).abs() < f64::EPSILON
}

/// The line through two points (count, value) at the count `raw`; `None` when both have the same count. The result
/// is finite for finite values.
pub fn interpolate(raw: i16, (x0, y0): (i16, f64), (x1, y1): (i16, f64)) -> Option<f64> {
    let count = |raw: i16| f64::from(raw);
    (x0 != x1).then(|| y0 + (count(raw) - count(x0)) * (y1 - y0) / (count(x1) - count(x0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A real part: the reserved 0x34, 0x38 and 0x39 and the upper half of 0x35 are not zero.
    const REAL: [u8; 16] =
        [0x40, 0x90, 0x9f, 0x0a, 0x00, 0xc4, 0xee, 0xff, 0x04, 0x04, 0xc5, 0xc9, 0xfe, 0xff, 0xb3, 0x02];

    #[test]
    fn junk_in_reserved_bits_changes_nothing() {
        let mut clean = REAL;
        clean[5] &= 0x0f;
        (clean[4], clean[8], clean[9]) = (0, 0, 0);
        assert_eq!(Calibration::from_registers(REAL), Calibration::from_registers(clean));
    }

    #[test]
    fn extreme_counts_do_not_overflow() {
        let calibration = Calibration { t0_out: i16::MIN, t1_out: i16::MAX, t0_c: 0.0, t1_c: 100.0, ..real() };
        assert!((calibration.temperature(i16::MAX).unwrap().0 - 100.0).abs() < 1e-9);
        assert!((calibration.temperature(i16::MIN).unwrap().0).abs() < 1e-9);
    }

    fn real() -> Calibration {
        Calibration::from_registers(REAL)
    }

    #[test]
    fn one_useless_line_leaves_the_other_quantity_alone() {
        let calibration = Calibration { t1_out: 5, t0_out: 5, ..real() };
        let error = calibration.temperature(5).unwrap_err().to_string();
        assert!(error.contains("T0_OUT = 5 and T1_OUT = 5"), "{error}");
        assert!(calibration.humidity(-9000).is_ok());
        assert!(!calibration.is_complete());
        let calibration = Calibration { h1_rh: 32.0, ..real() };
        assert!(matches!(calibration.humidity(0), Err(ValueError::Calibration { .. })));
        assert!(calibration.temperature(0).is_ok());
    }

    #[test]
    fn zero_calibration_is_named_as_such() {
        let calibration = Calibration::from_registers([0; 16]);
        assert!(calibration.temperature(100).unwrap_err().to_string().contains("all registers read zero"));
        assert!(calibration.humidity(100).is_err());
    }

    #[test]
    fn humidity_is_clamped_near_its_ends_and_refused_far_outside() {
        let calibration = Calibration { h0_rh: 0.0, h1_rh: 100.0, h0_t0_out: 0, h1_t0_out: 1000, ..real() };
        let humidity = |raw| calibration.humidity(raw).map(|humidity| humidity.0);
        assert_eq!(humidity(1171), Ok(100.0));
        assert_eq!(humidity(-30), Ok(0.0));
        assert!(matches!(humidity(1300), Err(ValueError::OutOfRange { .. })));
        assert!(matches!(humidity(-300), Err(ValueError::OutOfRange { .. })));
    }
}
