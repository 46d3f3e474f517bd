//! Transactions with the chip.

use embedded_hal::i2c::I2c;

use super::convert::{pressure_count, temperature};
use super::registers::{
    ALL_BITS, CTRL_REG1, CTRL_REG2, FIFO_CTRL, IDENTITY, OFF, RES_CONF, RES_CONF_MASK, STATUS, Settings, Status,
    WHO_AM_I,
};
use crate::base::units::Celsius;
use crate::sensors::chip::Changed;
use crate::sensors::error::DriverError;

/// One LPS25H or LPS25HB: how it is set.
#[derive(Clone, Debug)]
pub struct Lps25h {
    settings: Settings,
}

/// What one burst brought: each quantity only when the chip had converted it since the burst before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measurement {
    /// The count of `PRESS_OUT`; [`super::PowerOnGuard`] and [`super::check_pressure`] say what it is worth.
    pub pressure_count: Option<i32>,
    /// The temperature of the chip, ±2 °C.
    pub temperature: Option<Celsius>,
}

impl Lps25h {
    /// A driver that has not talked to its chip yet.
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// How the chip converts after the next [`Self::initialise`].
    pub const fn settings(&self) -> Settings {
        self.settings
    }

    /// Checks the identity, switches the chip off, configures it and lets it convert: six transactions.
    ///
    /// # Errors
    /// [`DriverError::Identity`] for another chip, else the register at which the bus failed.
    pub fn initialise<I: I2c>(&self, i2c: &mut I) -> Result<(), DriverError<I::Error>> {
        WHO_AM_I.check_identity(i2c, IDENTITY)?;
        CTRL_REG1.write(i2c, OFF)?;
        CTRL_REG2.write(i2c, OFF)?;
        FIFO_CTRL.write(i2c, OFF)?;
        RES_CONF.write(i2c, self.settings.res_conf())?;
        CTRL_REG1.write(i2c, self.settings.ctrl_reg1())
    }

    /// Looks whether the bus lets write to the chip, checks the identity, and reads the control registers back: six
    /// transactions. Gives the first register that does not hold what [`Self::initialise`] wrote.
    ///
    /// # Errors
    /// [`DriverError::Identity`] for another chip, else the register at which the bus failed.
    pub fn read_back<I: I2c>(&self, i2c: &mut I) -> Result<Option<Changed>, DriverError<I::Error>> {
        WHO_AM_I.select(i2c)?;
        WHO_AM_I.check_identity(i2c, IDENTITY)?;
        for (register, mask, expected) in [
            (CTRL_REG1, ALL_BITS, self.settings.ctrl_reg1()),
            (CTRL_REG2, ALL_BITS, OFF),
            (FIFO_CTRL, ALL_BITS, OFF),
            (RES_CONF, RES_CONF_MASK, self.settings.res_conf()),
        ] {
            if let Some(changed) = register.check(i2c, mask, expected)? {
                return Ok(Some(changed));
            }
        }
        Ok(None)
    }

    /// Reads status and both outputs: one burst of six bytes (status, pressure ×3, temperature ×2).
    ///
    /// # Errors
    /// The bus failed, or all bits read as one.
    pub fn read_measurement<I: I2c>(&self, i2c: &mut I) -> Result<Measurement, DriverError<I::Error>> {
        let mut bytes = [0; 6];
        STATUS.read_burst(i2c, &mut bytes)?;
        let [status, lowest, middle, highest, t_l, t_h] = bytes;
        let status = Status(status);
        if status.is_stuck() {
            return Err(DriverError::StuckLine { register: STATUS, level: status.0 });
        }
        Ok(Measurement {
            pressure_count: status.has_pressure().then(|| pressure_count([lowest, middle, highest])),
            temperature: status.has_temperature().then(|| temperature(i16::from_le_bytes([t_l, t_h]))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensors::bus::BusError;
    use crate::sensors::lps25h::{PressureAveraging, Rate, TemperatureAveraging};
    use crate::sensors::testing::{Expected, ScriptedBus};

    // The registers once more, so that a slip in the driver's own does not agree with itself.
    const ADDRESS: u8 = 0x5c;
    const WHO: u8 = 0x0f;
    const RESOLUTION: u8 = 0x10;
    const CTRL1: u8 = 0x20;
    const CTRL2: u8 = 0x21;
    const FIFO: u8 = 0x2e;
    const STATUS_BURST: u8 = 0x27 | 0x80;

    fn driver() -> Lps25h {
        Lps25h::new(Settings {
            rate: Rate::Hz25,
            temperature_averaging: TemperatureAveraging::Of64,
            pressure_averaging: PressureAveraging::Of128,
        })
    }

    fn read(register: u8, bytes: &[u8]) -> Expected {
        Expected::read(ADDRESS, register, bytes)
    }

    fn write(register: u8, value: u8) -> Expected {
        Expected::write(ADDRESS, &[register, value])
    }

    #[test]
    fn chip_is_identified_switched_off_configured_and_switched_on() {
        let mut bus = ScriptedBus::new([
            read(WHO, &[0xbd]),
            write(CTRL1, 0x00),
            write(CTRL2, 0x00),
            write(FIFO, 0x00),
            write(RESOLUTION, 0b0000_1110),
            write(CTRL1, 0b1100_0100),
        ]);
        driver().initialise(&mut bus).unwrap();
        bus.check_done();
    }

    #[test]
    fn another_chip_is_refused_before_anything_is_written() {
        let mut bus = ScriptedBus::new([read(WHO, &[0xb1])]);
        let error = driver().initialise(&mut bus).unwrap_err().to_string();
        bus.check_done();
        assert!(error.contains("0xb1, expected 0xbd"), "{error}");
    }

    #[test]
    fn error_names_the_register_and_the_cause() {
        let mut bus = ScriptedBus::new([read(STATUS_BURST, &[0; 6]).failing(BusError::NoAcknowledge)]);
        let error = driver().read_measurement(&mut bus).unwrap_err().to_string();
        assert!(error.contains("STATUS_REG (0x27@0x5c)") && error.contains("nobody answers"), "{error}");
    }

    #[test]
    fn measurement_is_one_burst() {
        // The example of AN4450 §4.3: 1023.347 hPa, 25.7 °C.
        let mut bus = ScriptedBus::new([read(STATUS_BURST, &[0b11, 0x8d, 0xf5, 0x3f, 0x7c, 0xe0])]);
        let measurement = driver().read_measurement(&mut bus).unwrap();
        bus.check_done();
        assert_eq!(measurement.pressure_count, Some(4_191_629));
        assert!((measurement.temperature.unwrap().0 - 25.691_667).abs() < 1e-6);
    }

    #[test]
    fn output_without_its_status_bit_is_not_looked_at() {
        for (status, pressure, temperature) in [(0x30, false, false), (0b01, false, true), (0b10, true, false)] {
            let mut bus = ScriptedBus::new([read(STATUS_BURST, &[status, 0x00, 0x80, 0x2f, 0, 0])]);
            let measurement = driver().read_measurement(&mut bus).unwrap();
            assert_eq!(measurement.pressure_count.is_some(), pressure);
            assert_eq!(measurement.temperature.is_some(), temperature);
        }
    }

    #[test]
    fn line_stuck_high_is_an_error_and_not_a_value() {
        let mut bus = ScriptedBus::new([read(STATUS_BURST, &[0xff; 6])]);
        assert!(matches!(driver().read_measurement(&mut bus), Err(DriverError::StuckLine { .. })));
    }
}
