//! What comes out of this room: readings that are valid or absent, and never anything between.

use std::fmt;

use crate::base::clock::Monotonic;
use crate::base::units::{Celsius, Hectopascal, RelativeHumidity};

/// A physical quantity that the HAT measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantity {
    /// Temperature by the HTS221, in °C: what the official library calls the temperature.
    Temperature,
    /// Pressure by the LPS25H, in hPa.
    Pressure,
    /// Relative humidity by the HTS221, in %RH.
    Humidity,
}

impl Quantity {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Temperature, Self::Pressure, Self::Humidity];

    /// The name in configuration, JSON and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Temperature => "temperature",
            Self::Pressure => "pressure",
            Self::Humidity => "humidity",
        }
    }

    /// The quantity with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quantity| quantity.name() == name)
    }

    /// The unit's symbol.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Temperature => Celsius::SYMBOL,
            Self::Pressure => Hectopascal::SYMBOL,
            Self::Humidity => RelativeHumidity::SYMBOL,
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where readings come from, as it is told in the state topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A real HAT.
    I2c,
    /// The simulated HAT.
    Simulated,
}

impl Source {
    /// The word in JSON and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::I2c => "i2c",
            Self::Simulated => "simulated",
        }
    }
}

/// The class of a cause, for counters and for tests; [`Absence::text`] tells the whole story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Started a moment ago: no conversion is finished yet.
    Starting,
    /// The bus device is not there.
    NoBus,
    /// No permission to open the bus device.
    Permission,
    /// A kernel driver owns the chip.
    Busy,
    /// Nobody answers at the address.
    NoChip,
    /// Another chip answers at the address.
    WrongIdentity,
    /// The calibration registers make no sense.
    Calibration,
    /// The chip stopped converting.
    Stale,
    /// The value lies outside the range the chip can measure.
    OutOfRange,
    /// The sensing element is damaged: a constant 760 hPa (AN4450).
    Damaged,
    /// The bus did not finish in time.
    Timeout,
    /// Any other failure of the bus.
    Bus,
}

impl Reason {
    /// The word in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::NoBus => "no_bus",
            Self::Permission => "permission",
            Self::Busy => "busy",
            Self::NoChip => "no_chip",
            Self::WrongIdentity => "wrong_identity",
            Self::Calibration => "calibration",
            Self::Stale => "stale",
            Self::OutOfRange => "out_of_range",
            Self::Damaged => "damaged",
            Self::Timeout => "timeout",
            Self::Bus => "bus",
        }
    }
}

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absence {
    /// The class of the cause.
    pub reason: Reason,
    /// The cause in a sentence: chip, register, what was found, what to do.
    pub text: String,
    /// Since when the quantity has been absent for this reason.
    pub since: Monotonic,
}

/// A value in the quantity's unit, or why there is none.
pub type Reading = Result<f64, Absence>;

/// One reading of each quantity, taken in one cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct Readings([Reading; Quantity::ALL.len()]);

impl Readings {
    /// Puts together what `read` gives for each quantity.
    pub fn new(read: impl FnMut(Quantity) -> Reading) -> Self {
        Self(Quantity::ALL.map(read))
    }

    /// The reading of one quantity.
    pub fn get(&self, quantity: Quantity) -> &Reading {
        let [temperature, pressure, humidity] = &self.0;
        match quantity {
            Quantity::Temperature => temperature,
            Quantity::Pressure => pressure,
            Quantity::Humidity => humidity,
        }
    }

    /// All of them with their quantities, in the order of [`Quantity::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Quantity, &Reading)> {
        Quantity::ALL.into_iter().zip(&self.0)
    }
}
