//! Transactions with the chip.

use embedded_hal::i2c::I2c;

use super::calibration::Calibration;
use super::registers::{
    AV_CONF, AV_CONF_MASK, CALIBRATION, CTRL_REG1, CTRL_REG1_MASK, CTRL_REG2, CTRL_REG2_MASK, IDENTITY, OFF, STATUS,
    Settings, Status, WHO_AM_I,
};
use crate::base::units::{Celsius, RelativeHumidity};
use crate::sensors::chip::Changed;
use crate::sensors::error::{DriverError, ValueError};

/// One HTS221: how it is set, and what its factory calibration is.
#[derive(Clone, Debug)]
pub struct Hts221 {
    settings: Settings,
    calibration: Calibration,
}

/// What one burst brought: each quantity only when the chip had converted it since the burst before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measurement {
    /// The temperature, in °C.
    pub temperature: Option<Result<Celsius, ValueError>>,
    /// The relative humidity, in %RH.
    pub humidity: Option<Result<RelativeHumidity, ValueError>>,
}

impl Hts221 {
    /// A driver that has not talked to its chip yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, calibration: Calibration::default() }
    }

    /// How the chip converts after the next [`Self::initialise`].
    pub const fn settings(&self) -> Settings {
        self.settings
    }

    /// The calibration that was read last; all zero before.
    pub const fn calibration(&self) -> Calibration {
        self.calibration
    }

    /// Checks the identity, switches the chip off, configures it and lets it convert: five transactions.
    ///
    /// # Errors
    /// [`DriverError::Identity`] for another chip, else the register at which the bus failed.
    pub fn initialise<I: I2c>(&mut self, i2c: &mut I) -> Result<(), DriverError<I::Error>> {
        WHO_AM_I.check_identity(i2c, IDENTITY)?;
        CTRL_REG1.write(i2c, OFF)?;
        AV_CONF.write(i2c, self.settings.av_conf())?;
        CTRL_REG2.write(i2c, OFF)?;
        CTRL_REG1.write(i2c, self.settings.ctrl_reg1())
    }

    /// Looks whether the bus lets write to the chip, checks the identity, and reads the control registers back: five
    /// transactions. Gives the first register that does not hold what [`Self::initialise`] wrote.
    ///
    /// # Errors
    /// [`DriverError::Identity`] for another chip, else the register at which the bus failed.
    pub fn read_back<I: I2c>(&self, i2c: &mut I) -> Result<Option<Changed>, DriverError<I::Error>> {
        WHO_AM_I.select(i2c)?;
        WHO_AM_I.check_identity(i2c, IDENTITY)?;
        for (register, mask, expected) in [
            (CTRL_REG1, CTRL_REG1_MASK, self.settings.ctrl_reg1()),
            (CTRL_REG2, CTRL_REG2_MASK, OFF),
            (AV_CONF, AV_CONF_MASK, self.settings.av_conf()),
        ] {
            if let Some(changed) = register.check(i2c, mask, expected)? {
                return Ok(Some(changed));
            }
        }
        Ok(None)
    }

    /// Reads the factory calibration: one burst of 16 bytes. Tells whether both quantities can be computed with it;
    /// when not, the chip may have been powered up less than 100 ms ago.
    ///
    /// # Errors
    /// The bus failed; the calibration read before stays.
    pub fn read_calibration<I: I2c>(&mut self, i2c: &mut I) -> Result<bool, DriverError<I::Error>> {
        let mut bytes = [0; 16];
        CALIBRATION.read_burst(i2c, &mut bytes)?;
        self.calibration = Calibration::from_registers(bytes);
        Ok(self.calibration.is_complete())
    }

    /// Reads status and both outputs: one burst of five bytes (status, humidity ×2, temperature ×2).
    ///
    /// # Errors
    /// The bus failed, or all bits read as one.
    pub fn read_measurement<I: I2c>(&self, i2c: &mut I) -> Result<Measurement, DriverError<I::Error>> {
        let mut bytes = [0; 5];
        STATUS.read_burst(i2c, &mut bytes)?;
        let [status, h_l, h_h, t_l, t_h] = bytes;
        let status = Status(status);
        if status.is_stuck() {
            return Err(DriverError::StuckLine { register: STATUS, level: status.0 });
        }
        let temperature = || self.calibration.temperature(i16::from_le_bytes([t_l, t_h]));
        let humidity = || self.calibration.humidity(i16::from_le_bytes([h_l, h_h]));
        Ok(Measurement {
            temperature: status.has_temperature().then(temperature),
            humidity: status.has_humidity().then(humidity),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensors::bus::BusError;
    use crate::sensors::hts221::{HumidityAveraging, Rate, TemperatureAveraging};
    use crate::sensors::testing::{Expected, ScriptedBus};

    // The registers once more, so that a slip in the driver's own does not agree with itself.
    const ADDRESS: u8 = 0x5f;
    const WHO: u8 = 0x0f;
    const AVERAGE: u8 = 0x10;
    const CTRL1: u8 = 0x20;
    const CTRL2: u8 = 0x21;
    const STATUS_BURST: u8 = 0x27 | 0x80;
    const CALIBRATION_BURST: u8 = 0x30 | 0x80;
    const FACTORY: [u8; 16] =
        [0x3a, 0x85, 0xa6, 0x16, 0x00, 0xc4, 0xf3, 0xff, 0x00, 0x00, 0x88, 0xcf, 0xfd, 0xff, 0xfb, 0x02];

    fn driver() -> Hts221 {
        Hts221::new(Settings {
            rate: Rate::Hz12_5,
            temperature_averaging: TemperatureAveraging::Of256,
            humidity_averaging: HumidityAveraging::Of4,
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
            read(WHO, &[0xbc]),
            write(CTRL1, 0x00),
            write(AVERAGE, 0b00_111_000),
            write(CTRL2, 0x00),
            write(CTRL1, 0b1000_0111),
        ]);
        driver().initialise(&mut bus).unwrap();
        bus.check_done();
    }

    #[test]
    fn another_chip_is_refused_before_anything_is_written() {
        let mut bus = ScriptedBus::new([read(WHO, &[0xbd])]);
        let error = driver().initialise(&mut bus).unwrap_err();
        bus.check_done();
        assert_eq!(
            error.to_string(),
            "HTS221 register WHO_AM_I (0x0f@0x5f) reads 0xbd, expected 0xbc: this is not a HTS221"
        );
    }

    #[test]
    fn error_names_the_register_and_the_cause() {
        let mut bus = ScriptedBus::new([
            read(WHO, &[0xbc]),
            write(CTRL1, 0x00),
            write(AVERAGE, 0b00_111_000).failing(BusError::Timeout),
        ]);
        let error = driver().initialise(&mut bus).unwrap_err().to_string();
        assert!(error.contains("0x38") && error.contains("AV_CONF (0x10@0x5f)"), "{error}");
        assert!(error.contains("hangs"), "{error}");
    }

    #[test]
    fn measurement_is_one_burst_computed_with_the_calibration() {
        let mut bus =
            ScriptedBus::new([read(CALIBRATION_BURST, &FACTORY), read(STATUS_BURST, &[0b11, 0x1e, 0xe8, 0x58, 0x02])]);
        let mut driver = driver();
        assert!(driver.read_calibration(&mut bus).unwrap());
        let measurement = driver.read_measurement(&mut bus).unwrap();
        bus.check_done();
        assert!((measurement.temperature.unwrap().unwrap().0 - 31.770_887_7).abs() < 1e-6);
        assert!((measurement.humidity.unwrap().unwrap().0 - 47.458_047_6).abs() < 1e-6);
    }

    #[test]
    fn output_without_its_status_bit_is_not_looked_at() {
        for (status, temperature, humidity) in [(0b00, false, false), (0b01, true, false), (0b10, false, true)] {
            let mut bus = ScriptedBus::new([read(STATUS_BURST, &[status, 0x1e, 0xe8, 0x58, 0x02])]);
            let measurement = driver().read_measurement(&mut bus).unwrap();
            assert_eq!(measurement.temperature.is_some(), temperature);
            assert_eq!(measurement.humidity.is_some(), humidity);
        }
    }

    #[test]
    fn line_stuck_high_is_an_error_and_not_a_value() {
        let mut bus = ScriptedBus::new([read(STATUS_BURST, &[0xff; 5])]);
        assert!(matches!(driver().read_measurement(&mut bus), Err(DriverError::StuckLine { .. })));
    }
}
