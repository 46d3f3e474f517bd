//! Driver of the HTS221: relative humidity and temperature.
//!
//! - Holds the settings and the calibration of one chip; the bus is handed to each call.
//! - Never enters: time, retries, the question whether a value is still fresh ([`super::Hat`] has them).
//! - Uses `embedded_hal::i2c::I2c`, and nothing that knows Linux.
//! - Follows ST's HTS221 datasheet and technical note TN1218 (interpolation).
//!
//! [`Hts221::initialise`] sets the chip up, [`Hts221::read_calibration`] reads its factory points (not within 100 ms
//! of power-up: they read as zero until then), [`Hts221::read_measurement`] is one burst of five bytes. What the
//! numbers mean is decided without a bus in [`Calibration`]; start reading there.

mod calibration;
mod driver;
mod registers;

pub use calibration::{Calibration, check_humidity, check_temperature, interpolate};
pub use driver::{Hts221, Measurement};
pub use registers::{HumidityAveraging, Rate, Settings, TemperatureAveraging};
