//! Registers of the HTS221 (datasheet §6, §7) and the values that are written to them.

use std::time::Duration;

use crate::sensors::chip::{Chip, Register};

const fn register(name: &'static str, address: u8) -> Register {
    Register { chip: Chip::Hts221, name, address }
}

/// Who answers.
pub(super) const WHO_AM_I: Register = register("WHO_AM_I", 0x0f);
/// What [`WHO_AM_I`] holds.
pub(super) const IDENTITY: u8 = 0xbc;
/// Samples averaged into one conversion.
pub(super) const AV_CONF: Register = register("AV_CONF", 0x10);
/// Power, block data update, rate.
pub(super) const CTRL_REG1: Register = register("CTRL_REG1", 0x20);
/// Reboot, heater (33 mA; it spoils both outputs and is never switched on here), one-shot.
pub(super) const CTRL_REG2: Register = register("CTRL_REG2", 0x21);
/// Which outputs are new. A burst from here goes on through both outputs.
pub(super) const STATUS: Register = register("STATUS_REG", 0x27);
/// First of the 16 calibration registers.
pub(super) const CALIBRATION: Register = register("H0_rH_x2", 0x30);

/// The bits that are not reserved: what the others read as is not said.
pub(super) const AV_CONF_MASK: u8 = 0x3f;
pub(super) const CTRL_REG1_MASK: u8 = 0x87;
pub(super) const CTRL_REG2_MASK: u8 = 0x83;

/// Powered off, in either control register.
pub(super) const OFF: u8 = 0x00;
const POWER_ON: u8 = 1 << 7;
const BLOCK_DATA_UPDATE: u8 = 1 << 2;

/// Which outputs are new since they were read last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status(pub(super) u8);

impl Status {
    pub(super) const fn has_humidity(self) -> bool {
        self.0 & 1 << 1 != 0
    }

    pub(super) const fn has_temperature(self) -> bool {
        self.0 & 1 != 0
    }

    /// Six of the eight bits are reserved: no chip sets them all.
    pub(super) const fn is_stuck(self) -> bool {
        self.0 == 0xff
    }
}

/// Conversions a second, by the code in `CTRL_REG1` bits 1:0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// 1 Hz.
    Hz1 = 0b01,
    /// 7 Hz.
    Hz7 = 0b10,
    /// 12.5 Hz.
    Hz12_5 = 0b11,
}

impl Rate {
    const ALL: [Self; 3] = [Self::Hz1, Self::Hz7, Self::Hz12_5];

    /// The slowest rate above one sample in `interval`, so that each sample finds new values although two clocks
    /// never agree; the fastest when there is none above.
    pub fn above(interval: Duration) -> Self {
        Self::ALL.into_iter().find(|rate| rate.period() < interval).unwrap_or(Self::Hz12_5)
    }

    /// Time between two conversions.
    pub const fn period(self) -> Duration {
        match self {
            Self::Hz1 => Duration::from_secs(1),
            Self::Hz7 => Duration::from_micros(142_857),
            Self::Hz12_5 => Duration::from_millis(80),
        }
    }
}

/// Temperature samples averaged, by the code in `AV_CONF` bits 5:3; the noise is in °C rms (datasheet table 16).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TemperatureAveraging {
    /// 2 samples, 0.08.
    Of2 = 0,
    /// 4 samples, 0.05.
    Of4 = 1,
    /// 8 samples, 0.04.
    Of8 = 2,
    /// 16 samples, 0.03.
    #[default]
    Of16 = 3,
    /// 32 samples, 0.02.
    Of32 = 4,
    /// 64 samples, 0.015.
    Of64 = 5,
    /// 128 samples, 0.01.
    Of128 = 6,
    /// 256 samples, 0.007.
    Of256 = 7,
}

impl TemperatureAveraging {
    /// All of them, the fewest samples first.
    pub const ALL: [Self; 8] =
        [Self::Of2, Self::Of4, Self::Of8, Self::Of16, Self::Of32, Self::Of64, Self::Of128, Self::Of256];

    /// How many samples.
    pub const fn samples(self) -> u16 {
        2 << self as u16
    }
}

/// Humidity samples averaged, by the code in `AV_CONF` bits 2:0; the noise is in %RH rms (datasheet table 16).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HumidityAveraging {
    /// 4 samples, 0.4.
    Of4 = 0,
    /// 8 samples, 0.3.
    Of8 = 1,
    /// 16 samples, 0.2.
    Of16 = 2,
    /// 32 samples, 0.15.
    #[default]
    Of32 = 3,
    /// 64 samples, 0.1.
    Of64 = 4,
    /// 128 samples, 0.07.
    Of128 = 5,
    /// 256 samples, 0.05.
    Of256 = 6,
    /// 512 samples, 0.03.
    Of512 = 7,
}

impl HumidityAveraging {
    /// All of them, the fewest samples first.
    pub const ALL: [Self; 8] =
        [Self::Of4, Self::Of8, Self::Of16, Self::Of32, Self::Of64, Self::Of128, Self::Of256, Self::Of512];

    /// How many samples.
    pub const fn samples(self) -> u16 {
        4 << self as u16
    }
}

/// How the chip converts. The averaging defaults are the chip's own: noise far below its accuracy, and little heat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Conversions a second.
    pub rate: Rate,
    /// Temperature samples a conversion.
    pub temperature_averaging: TemperatureAveraging,
    /// Humidity samples a conversion.
    pub humidity_averaging: HumidityAveraging,
}

impl Settings {
    /// The value of `AV_CONF`.
    pub(super) const fn av_conf(self) -> u8 {
        (self.temperature_averaging as u8) << 3 | self.humidity_averaging as u8
    }

    /// The value of `CTRL_REG1`: on, outputs never half old and half new, at the rate.
    pub(super) const fn ctrl_reg1(self) -> u8 {
        POWER_ON | BLOCK_DATA_UPDATE | self.rate as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensors::Oversampling;

    #[test]
    fn rate_is_the_next_one_above_the_sampling_rate() {
        let rate = |ms| Rate::above(Duration::from_millis(ms));
        assert_eq!(rate(10_000), Rate::Hz1);
        assert_eq!(rate(1_001), Rate::Hz1);
        assert_eq!(rate(1_000), Rate::Hz7);
        assert_eq!(rate(143), Rate::Hz7);
        assert_eq!(rate(142), Rate::Hz12_5);
        assert_eq!(rate(80), Rate::Hz12_5);
        assert_eq!(rate(1), Rate::Hz12_5);
    }

    #[test]
    fn settings_become_the_bits_of_the_datasheet() {
        let settings = Oversampling::default().hts221(Duration::from_secs(1));
        assert_eq!(settings.av_conf(), 0x1b);
        assert_eq!(settings.ctrl_reg1(), 0x86);
        assert_eq!(TemperatureAveraging::ALL.map(TemperatureAveraging::samples), [2, 4, 8, 16, 32, 64, 128, 256]);
        assert_eq!(HumidityAveraging::ALL.map(HumidityAveraging::samples), [4, 8, 16, 32, 64, 128, 256, 512]);
    }
}
