//! What the lifecycle asks of a chip, and what the two chips answer.

use std::time::Duration;

use embedded_hal::i2c::I2c;

use crate::base::units::{Celsius, Hectopascal, RelativeHumidity};
use crate::sensors::bus::BusError;
use crate::sensors::chip::Changed;
use crate::sensors::error::{DriverError, ValueError};
use crate::sensors::hts221::Hts221;
use crate::sensors::lps25h::{Judgement, Lps25h, PowerOnGuard, check_pressure, check_temperature};

/// What one burst says about one quantity.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fresh {
    /// Nothing was converted since the burst before.
    Nothing,
    /// Something was converted that is not to be published yet.
    Withheld,
    /// A value, or why it is none.
    Converted(Result<f64, ValueError>),
}

impl Fresh {
    fn of<T>(value: Option<Result<T, ValueError>>, number: impl FnOnce(T) -> f64) -> Self {
        value.map_or(Self::Nothing, |value| Self::Converted(value.map(number)))
    }
}

/// A chip that measures `N` quantities.
pub(super) trait Part<const N: usize> {
    /// Sets the chip up.
    fn initialise<I: I2c<Error = BusError>>(&mut self, i2c: &mut I) -> Result<(), DriverError<BusError>>;
    /// Reads what the chip can tell only some time after power-up, and tells whether it makes sense.
    fn settle<I: I2c<Error = BusError>>(&mut self, i2c: &mut I) -> Result<bool, DriverError<BusError>>;
    /// Reads the control registers back; gives the first that does not hold what was written.
    fn read_back<I: I2c<Error = BusError>>(&self, i2c: &mut I) -> Result<Option<Changed>, DriverError<BusError>>;
    /// Reads what was converted: one transaction.
    fn measure<I: I2c<Error = BusError>>(&mut self, i2c: &mut I) -> Result<[Fresh; N], DriverError<BusError>>;
    /// Time between two conversions.
    fn period(&self) -> Duration;
}

/// Temperature and humidity.
impl Part<2> for Hts221 {
    fn initialise<I: I2c<Error = BusError>>(&mut self, i2c: &mut I) -> Result<(), DriverError<BusError>> {
        Hts221::initialise(self, i2c)
    }

    fn settle<I: I2c<Error = BusError>>(&mut self, i2c: &mut I) -> Result<bool, DriverError<BusError>> {
        self.read_calibration(i2c)
    }

    fn read_back<I: I2c<Error = BusError>>(&self, i2c: &mut I) -> Result<Option<Changed>, DriverError<BusError>> {
        Hts221::read_back(self, i2c)
    }

    fn measure<I: I2c<Error = BusError>>(&mut self, i2c: &mut I) -> Result<[Fresh; 2], DriverError<BusError>> {
        let measurement = self.read_measurement(i2c)?;
        Ok([
            Fresh::of(measurement.temperature, |Celsius(value)| value),
            Fresh::of(measurement.humidity, |RelativeHumidity(value)| value),
        ])
    }

    fn period(&self) -> Duration {
        self.settings().rate.period()
    }
}

/// The LPS25H, with what keeps its power-on value out.
#[derive(Clone, Debug)]
pub(super) struct Pressure {
    driver: Lps25h,
    guard: PowerOnGuard,
}

impl Pressure {
    pub(super) fn new(driver: Lps25h) -> Self {
        Self { driver, guard: PowerOnGuard::default() }
    }

    fn judge(&mut self, count: i32) -> Fresh {
        match self.guard.judge(count) {
            Judgement::Real => Fresh::Converted(check_pressure(count).map(|Hectopascal(value)| value)),
            Judgement::Doubtful => Fresh::Withheld,
            Judgement::Damaged => Fresh::Converted(Err(ValueError::Damaged)),
        }
    }
}

/// Pressure and temperature.
impl Part<2> for Pressure {
    fn initialise<I: I2c<Error = BusError>>(&mut self, i2c: &mut I) -> Result<(), DriverError<BusError>> {
        self.guard = PowerOnGuard::default();
        self.driver.initialise(i2c)
    }

    fn settle<I: I2c<Error = BusError>>(&mut self, _i2c: &mut I) -> Result<bool, DriverError<BusError>> {
        Ok(true)
    }

    fn read_back<I: I2c<Error = BusError>>(&self, i2c: &mut I) -> Result<Option<Changed>, DriverError<BusError>> {
        self.driver.read_back(i2c)
    }

    fn measure<I: I2c<Error = BusError>>(&mut self, i2c: &mut I) -> Result<[Fresh; 2], DriverError<BusError>> {
        let measurement = self.driver.read_measurement(i2c)?;
        let temperature = measurement.temperature.map(|Celsius(value)| check_temperature(value));
        Ok([
            measurement.pressure_count.map_or(Fresh::Nothing, |count| self.judge(count)),
            Fresh::of(temperature, |Celsius(value)| value),
        ])
    }

    fn period(&self) -> Duration {
        self.driver.settings().rate.period()
    }
}
