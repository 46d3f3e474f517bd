//! Registers of the LPS25H (datasheet §8, §9) and the values that are written to them.

use std::time::Duration;

use crate::sensors::chip::{Chip, Register};

const fn register(name: &'static str, address: u8) -> Register {
    Register { chip: Chip::Lps25h, name, address }
}

/// Who answers.
pub(super) const WHO_AM_I: Register = register("WHO_AM_I", 0x0f);
/// What [`WHO_AM_I`] holds.
pub(super) const IDENTITY: u8 = 0xbd;
/// Samples averaged into one conversion.
pub(super) const RES_CONF: Register = register("RES_CONF", 0x10);
/// Power, rate, block data update.
pub(super) const CTRL_REG1: Register = register("CTRL_REG1", 0x20);
/// Reboot, FIFO, reset, one-shot; on the LPS25HB bit 3 switches I²C off for good and is never set.
pub(super) const CTRL_REG2: Register = register("CTRL_REG2", 0x21);
/// Which outputs are new. A burst from here goes on through both outputs.
pub(super) const STATUS: Register = register("STATUS_REG", 0x27);
/// The FIFO, which stays off: with it on, the temperature needs a transaction of its own.
pub(super) const FIFO_CTRL: Register = register("FIFO_CTRL", 0x2e);

/// The bits of `RES_CONF` that are not reserved.
pub(super) const RES_CONF_MASK: u8 = 0x0f;
/// No bit is reserved.
pub(super) const ALL_BITS: u8 = 0xff;

/// Powered off, in any control register.
pub(super) const OFF: u8 = 0x00;
const POWER_ON: u8 = 1 << 7;
const BLOCK_DATA_UPDATE: u8 = 1 << 2;

/// Which outputs are new since they were read last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status(pub(super) u8);

impl Status {
    pub(super) const fn has_pressure(self) -> bool {
        self.0 & 1 << 1 != 0
    }

    pub(super) const fn has_temperature(self) -> bool {
        self.0 & 1 != 0
    }

    /// Four of the eight bits are reserved: no chip sets them all.
    pub(super) const fn is_stuck(self) -> bool {
        self.0 == 0xff
    }
}

/// Conversions a second, by the code in `CTRL_REG1` bits 6:4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// 1 Hz.
    Hz1 = 0b001,
    /// 7 Hz.
    Hz7 = 0b010,
    /// 12.5 Hz.
    Hz12_5 = 0b011,
    /// 25 Hz.
    Hz25 = 0b100,
}

impl Rate {
    const ALL: [Self; 4] = [Self::Hz1, Self::Hz7, Self::Hz12_5, Self::Hz25];

    /// The slowest rate above one sample in `interval`, so that each sample finds new values although two clocks
    /// never agree; the fastest when there is none above.
    pub fn above(interval: Duration) -> Self {
        Self::ALL.into_iter().find(|rate| rate.period() < interval).unwrap_or(Self::Hz25)
    }

    /// Time between two conversions.
    pub const fn period(self) -> Duration {
        match self {
            Self::Hz1 => Duration::from_secs(1),
            Self::Hz7 => Duration::from_micros(142_857),
            Self::Hz12_5 => Duration::from_millis(80),
            Self::Hz25 => Duration::from_millis(40),
        }
    }
}

/// Temperature samples averaged, by the code in `RES_CONF` bits 3:2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TemperatureAveraging {
    /// 8 samples.
    Of8 = 0,
    /// 16 samples.
    #[default]
    Of16 = 1,
    /// 32 samples.
    Of32 = 2,
    /// 64 samples.
    Of64 = 3,
}

impl TemperatureAveraging {
    /// All of them, the fewest samples first.
    pub const ALL: [Self; 4] = [Self::Of8, Self::Of16, Self::Of32, Self::Of64];

    /// How many samples.
    pub const fn samples(self) -> u16 {
        8 << self as u16
    }
}

/// Pressure samples averaged, by the code in `RES_CONF` bits 1:0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PressureAveraging {
    /// 8 samples.
    Of8 = 0,
    /// 32 samples.
    Of32 = 1,
    /// 128 samples.
    Of128 = 2,
    /// 512 samples: the least noise.
    #[default]
    Of512 = 3,
}

impl PressureAveraging {
    /// All of them, the fewest samples first.
    pub const ALL: [Self; 4] = [Self::Of8, Self::Of32, Self::Of128, Self::Of512];

    /// How many samples.
    pub const fn samples(self) -> u16 {
        8 << (2 * self as u16)
    }
}

/// How the chip converts. The averaging defaults take 62·(512 + 16) + 975 µs = 33.7 ms (AN4450 §4.1): the least
/// noise that leaves a sixth of the period to spare at 25 Hz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Conversions a second.
    pub rate: Rate,
    /// Temperature samples a conversion.
    pub temperature_averaging: TemperatureAveraging,
    /// Pressure samples a conversion.
    pub pressure_averaging: PressureAveraging,
}

impl Settings {
    /// The value of `RES_CONF`.
    pub(super) const fn res_conf(self) -> u8 {
        (self.temperature_averaging as u8) << 2 | self.pressure_averaging as u8
    }

    /// The value of `CTRL_REG1`: on, at the rate, outputs never half old and half new.
    pub(super) const fn ctrl_reg1(self) -> u8 {
        POWER_ON | (self.rate as u8) << 4 | BLOCK_DATA_UPDATE
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
        assert_eq!(rate(1_000), Rate::Hz7);
        assert_eq!(rate(100), Rate::Hz12_5);
        assert_eq!(rate(80), Rate::Hz25);
        assert_eq!(rate(1), Rate::Hz25);
    }

    #[test]
    fn settings_become_the_bits_of_the_datasheet() {
        let settings = Oversampling::default().lps25h(Duration::from_secs(1));
        assert_eq!(settings.res_conf(), 0x07);
        assert_eq!(settings.ctrl_reg1(), 0xa4);
        assert_eq!(TemperatureAveraging::ALL.map(TemperatureAveraging::samples), [8, 16, 32, 64]);
        assert_eq!(PressureAveraging::ALL.map(PressureAveraging::samples), [8, 32, 128, 512]);
    }
}
