//! What comes out of this room: readings that are valid or absent, and never anything between.

use std::fmt;

use crate::base::clock::Monotonic;
use crate::base::units::{Celsius, GramsPerCubicMetre, Hectopascal, RelativeHumidity};

/// A physical quantity that the HAT measures, or that follows from what it measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantity {
    /// Temperature of the air, in °C: what a chip measures, corrected for the heat of the processor where that is
    /// asked for.
    Temperature,
    /// Pressure by the LPS25H, in hPa.
    Pressure,
    /// Relative humidity of the air, in %RH, at [`Self::Temperature`].
    Humidity,
    /// What the HTS221 measures beside the humidity, in °C: what the official library calls the temperature.
    TemperatureFromHumidity,
    /// What the LPS25H measures beside the pressure, in °C.
    TemperatureFromPressure,
    /// The temperature at which the air is saturated, in °C.
    DewPoint,
    /// Water vapour in the air, in g/m³.
    AbsoluteHumidity,
    /// The pressure that a barometer at sea level would show, in hPa.
    SeaLevelPressure,
    /// How much the pressure has changed in three hours, in hPa.
    PressureTendency,
}

impl Quantity {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 9] = [
        Self::Temperature,
        Self::Pressure,
        Self::Humidity,
        Self::TemperatureFromHumidity,
        Self::TemperatureFromPressure,
        Self::DewPoint,
        Self::AbsoluteHumidity,
        Self::SeaLevelPressure,
        Self::PressureTendency,
    ];

    /// Those that are always there; the others are for who asks for them.
    pub const MAIN: [Self; 3] = [Self::Temperature, Self::Pressure, Self::Humidity];

    /// The name in configuration, JSON and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Temperature => "temperature",
            Self::Pressure => "pressure",
            Self::Humidity => "humidity",
            Self::TemperatureFromHumidity => "temperature_from_humidity",
            Self::TemperatureFromPressure => "temperature_from_pressure",
            Self::DewPoint => "dew_point",
            Self::AbsoluteHumidity => "absolute_humidity",
            Self::SeaLevelPressure => "sea_level_pressure",
            Self::PressureTendency => "pressure_tendency",
        }
    }

    /// The quantity with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quantity| quantity.name() == name)
    }

    /// The unit's symbol.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Temperature | Self::TemperatureFromHumidity | Self::TemperatureFromPressure | Self::DewPoint => {
                Celsius::SYMBOL
            }
            Self::Pressure | Self::SeaLevelPressure | Self::PressureTendency => Hectopascal::SYMBOL,
            Self::Humidity => RelativeHumidity::SYMBOL,
            Self::AbsoluteHumidity => GramsPerCubicMetre::SYMBOL,
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
    /// The Sense HAT emulator of Raspberry Pi OS.
    Emulator,
    /// A recording.
    Replay,
}

impl Source {
    /// The word in JSON and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::I2c => "i2c",
            Self::Simulated => "simulated",
            Self::Emulator => "emulator",
            Self::Replay => "replay",
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
    /// The chip was reset, or another program set it otherwise.
    Reset,
    /// The value lies outside the range the chip can measure.
    OutOfRange,
    /// The sensing element is damaged: a constant 760 hPa (AN4450).
    Damaged,
    /// The temperature of the processor, by which the reading is corrected, cannot be read.
    NoProcessorTemperature,
    /// The bus did not finish in time.
    Timeout,
    /// The recording that is replayed has no value for this moment.
    NotRecorded,
    /// The recording that is replayed is over, or the emulator is closed.
    Ended,
    /// Any other failure of the bus, or of the file that is read in its place.
    Bus,
}

impl Reason {
    /// All of them, in their order.
    pub const ALL: [Self; 16] = [
        Self::Starting,
        Self::NoBus,
        Self::Permission,
        Self::Busy,
        Self::NoChip,
        Self::WrongIdentity,
        Self::Calibration,
        Self::Stale,
        Self::Reset,
        Self::OutOfRange,
        Self::Damaged,
        Self::NoProcessorTemperature,
        Self::Timeout,
        Self::NotRecorded,
        Self::Ended,
        Self::Bus,
    ];

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
            Self::Reset => "reset",
            Self::OutOfRange => "out_of_range",
            Self::Damaged => "damaged",
            Self::NoProcessorTemperature => "no_processor_temperature",
            Self::Timeout => "timeout",
            Self::NotRecorded => "not_recorded",
            Self::Ended => "ended",
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

/// One reading of each quantity that is wanted, taken in one cycle, and what the corrected ones are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Readings {
    readings: [Option<Reading>; Quantity::ALL.len()],
    heat: Heat,
}

/// What was done about the heat of the processor.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heat {
    /// How the temperature was corrected ([`super::Correction::name`]); empty where nothing was corrected or measured.
    pub method: &'static str,
    /// The temperature before, in °C.
    pub raw_temperature: Option<f64>,
    /// The humidity before, in %RH.
    pub raw_humidity: Option<f64>,
    /// What the processor's temperature was taken for, in °C.
    pub processor: Option<f64>,
}

impl Readings {
    /// Puts together what `read` gives for each of the main quantities.
    pub fn new(mut read: impl FnMut(Quantity) -> Reading) -> Self {
        Self::of(|quantity| Quantity::MAIN.contains(&quantity).then(|| read(quantity)))
    }

    /// Puts together what `read` gives for each quantity; `None` for one that is not wanted.
    pub fn of(read: impl FnMut(Quantity) -> Option<Reading>) -> Self {
        Self { readings: Quantity::ALL.map(read), heat: Heat::default() }
    }

    /// With what was done about the heat.
    #[must_use]
    pub fn with_heat(self, heat: Heat) -> Self {
        Self { heat, ..self }
    }

    /// What was done about the heat.
    pub const fn heat(&self) -> Heat {
        self.heat
    }

    /// The reading of one quantity; `None` when it is not wanted.
    pub fn get(&self, quantity: Quantity) -> Option<&Reading> {
        self.iter().find_map(|(of, reading)| (of == quantity).then_some(reading))
    }

    /// Those that are wanted, with their quantities, in the order of [`Quantity::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Quantity, &Reading)> {
        let all = Quantity::ALL.into_iter().zip(&self.readings);
        all.filter_map(|(quantity, reading)| Some((quantity, reading.as_ref()?)))
    }

    /// Those that the first cycle can tell: not what looks back for hours.
    #[must_use]
    pub fn of_one_cycle(&self) -> Self {
        let is_told = |quantity| quantity != Quantity::PressureTendency;
        Self::of(|quantity| self.get(quantity).filter(|_| is_told(quantity)).cloned()).with_heat(self.heat)
    }

    /// The same quantities, each with what `change` makes of its reading.
    #[must_use]
    pub fn map(&self, mut change: impl FnMut(Quantity, &Reading) -> Reading) -> Self {
        Self::of(|quantity| self.get(quantity).map(|reading| change(quantity, reading))).with_heat(self.heat)
    }
}
