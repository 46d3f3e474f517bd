//! Driver of the LPS25H and LPS25HB: pressure, and the temperature of the chip itself.
//!
//! - Holds the settings of one chip; the bus is handed to each call.
//! - Never enters: time, retries, the question whether a value is still fresh ([`super::Hat`] has them).
//! - Uses `embedded_hal::i2c::I2c`, and nothing that knows Linux.
//! - Follows ST's LPS25H and LPS25HB datasheets and application note AN4450. Both chips have one identity, and all
//!   that is used here is the same on both, so nothing here asks which one it is.
//!
//! [`Lps25h::initialise`] sets the chip up, [`Lps25h::read_measurement`] is one burst of six bytes. What the numbers
//! mean is decided without a bus in [`pressure`] and [`temperature`]; start reading there, and at [`PowerOnGuard`],
//! which keeps the fake 760.0 hPa of a chip that has measured nothing out of the readings.

mod convert;
mod driver;
mod guard;
mod registers;

pub use convert::{check_hectopascal, check_pressure, check_temperature, pressure, pressure_count, temperature};
pub use driver::{Lps25h, Measurement};
pub use guard::{Judgement, PowerOnGuard};
pub use registers::{PressureAveraging, Rate, Settings, TemperatureAveraging};
