//! From what the chips say to what is told: filtered, corrected, and with what follows from it.
//!
//! - Holds the last accepted values of each measured quantity, the processor's smoothed temperature, and three hours of
//!   pressure.
//! - Never enters: the bus. Time is handed in; the one file is the processor's thermometer.
//! - Uses [`super::air`] and `base`.
//! - Follows law "valid or absent": what one quantity is made of and is absent makes it absent, for the same reason.
//!
//! Start reading at [`Refinery::refine`]: `filter` is the first step, `heat` the second, `tendency` looks back;
//! `fit` finds the correction.

mod filter;
mod fit;
mod heat;
#[cfg(test)]
mod heat_curve;
mod tendency;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use self::filter::{Filter, FilterKind};
pub use self::fit::{Fit, Method, Moment};
pub use self::heat::{Correction, PROCESSOR_FILE, Thermometer, read_processor};

use self::filter::Filtered;
use self::heat::HeatCorrection;
use self::tendency::Tendency;
use super::air;
use super::reading::Heat;
use super::{Absence, Quantity, Reading, Readings, Reason};
use crate::base::clock::Monotonic;
use crate::base::units::{Celsius, Hectopascal, RelativeHumidity};

/// What is done with readings before they are told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refinement {
    /// How the temperature is corrected for the heat of the processor.
    pub correction: Correction,
    /// Whose temperature is the temperature.
    pub thermometer: Thermometer,
    /// Filters, each by what is measured, in the order of [`MEASURED`].
    pub filters: [Filter; MEASURED.len()],
    /// Height above sea level, in metres: what [`Quantity::SeaLevelPressure`] needs.
    pub altitude_m: Option<f64>,
    /// Quantities that are wanted beside the main ones.
    pub extra: BTreeSet<Quantity>,
}

/// What the chips measure; everything else follows from these.
pub const MEASURED: [Quantity; 4] =
    [Quantity::TemperatureFromHumidity, Quantity::TemperatureFromPressure, Quantity::Humidity, Quantity::Pressure];

/// Refines one cycle after the other.
#[derive(Debug)]
pub(super) struct Refinery {
    options: Refinement,
    filtered: [Filtered; MEASURED.len()],
    heat: HeatCorrection,
    tendency: Tendency,
    /// What was told last: an absence that goes on began when it began.
    told: Option<Readings>,
}

impl Refinery {
    pub(super) fn new(options: Refinement) -> Self {
        let filtered = options.filters.map(Filtered::new);
        let heat = HeatCorrection::new(options.correction.clone());
        Self { options, filtered, heat, tendency: Tendency::default(), told: None }
    }

    /// Goes on with other options. What is remembered of the pressure stays.
    pub(super) fn set_options(&mut self, options: &Refinement) {
        if self.options != *options {
            let tendency = std::mem::take(&mut self.tendency);
            *self = Self { tendency, told: self.told.take(), ..Self::new(options.clone()) };
        }
    }

    /// Refines what the chips said in one cycle: each of [`MEASURED`].
    pub(super) fn refine(&mut self, raw: &Readings, now: Monotonic) -> Readings {
        let mut measured =
            MEASURED.map(|quantity| raw.get(quantity).cloned().unwrap_or_else(|| missing(quantity, now)));
        for (reading, filtered) in measured.iter_mut().zip(&mut self.filtered) {
            *reading = filtered.take(reading);
        }
        let cycle = Cycle::new(measured, self.options.thermometer, &mut self.heat, now);
        let tendency = self.tendency.take(&cycle.pressure, now);
        let wanted = |quantity| Quantity::MAIN.contains(&quantity) || self.options.extra.contains(&quantity);
        let altitude_m = self.options.altitude_m;
        let readings = Readings::of(|quantity| {
            wanted(quantity).then(|| match quantity {
                Quantity::PressureTendency => tendency.clone(),
                Quantity::SeaLevelPressure => cycle.sea_level_pressure(altitude_m, now),
                Quantity::DewPoint => cycle.dew_point(now),
                other => cycle.get(other),
            })
        });
        let readings = match &self.told {
            Some(told) => readings.map(|quantity, reading| since_it_began(reading, told.get(quantity))),
            None => readings,
        };
        self.told.insert(readings.with_heat(cycle.heat)).clone()
    }
}

/// The reading, or its absence with the first moment of the same one before it.
fn since_it_began(reading: &Reading, before: Option<&Reading>) -> Reading {
    match (reading, before) {
        (Err(absence), Some(Err(earlier))) if absence.reason == earlier.reason => {
            Err(Absence { since: earlier.since.min(absence.since), ..absence.clone() })
        }
        _ => reading.clone(),
    }
}

/// One cycle's readings, from the filtered to the corrected.
struct Cycle {
    from_humidity: Reading,
    from_pressure: Reading,
    raw_humidity: Reading,
    pressure: Reading,
    temperature: Reading,
    humidity: Reading,
    heat: Heat,
}

impl Cycle {
    fn new(measured: [Reading; MEASURED.len()], of: Thermometer, heat: &mut HeatCorrection, now: Monotonic) -> Self {
        let [from_humidity, from_pressure, raw_humidity, pressure] = measured;
        let raw = match of {
            Thermometer::Hts221 => &from_humidity,
            Thermometer::Lps25h => &from_pressure,
        };
        let temperature = heat.correct(raw, now);
        let humidity = if heat.is_off() && of == Thermometer::Hts221 {
            raw_humidity.clone()
        } else {
            humidity_at(&temperature, &raw_humidity, &from_humidity)
        };
        let told = Heat {
            method: heat.name(),
            raw_temperature: raw.as_ref().ok().copied(),
            raw_humidity: raw_humidity.as_ref().ok().copied(),
            processor: heat.processor(),
        };
        Self { from_humidity, from_pressure, raw_humidity, pressure, temperature, humidity, heat: told }
    }

    fn get(&self, quantity: Quantity) -> Reading {
        match quantity {
            Quantity::Temperature => self.temperature.clone(),
            Quantity::Humidity => self.humidity.clone(),
            Quantity::TemperatureFromHumidity => self.from_humidity.clone(),
            Quantity::TemperatureFromPressure => self.from_pressure.clone(),
            Quantity::AbsoluteHumidity => self.absolute_humidity(),
            _ => self.pressure.clone(),
        }
    }

    /// What stays whatever warms the chip: measured with its own temperature beside the humidity.
    fn vapour(&self) -> Result<Hectopascal, Absence> {
        let (humidity, celsius) = (self.raw_humidity.clone()?, self.from_humidity.clone()?);
        Ok(air::vapour_pressure(RelativeHumidity(humidity), Celsius(celsius)))
    }

    fn dew_point(&self, now: Monotonic) -> Reading {
        let dew_point = air::dew_point(self.vapour()?);
        dew_point.map(|Celsius(value)| value).ok_or_else(|| Absence {
            reason: Reason::OutOfRange,
            text: "the air is too dry for a dew point".into(),
            since: now,
        })
    }

    fn absolute_humidity(&self) -> Reading {
        Ok(air::absolute_humidity(self.vapour()?, Celsius(self.temperature.clone()?)).0)
    }

    fn sea_level_pressure(&self, altitude_m: Option<f64>, now: Monotonic) -> Reading {
        let altitude_m = altitude_m.ok_or_else(|| Absence {
            reason: Reason::Starting,
            text: "the height above sea level is not known: sensors.altitude".into(),
            since: now,
        })?;
        Ok(air::sea_level_pressure(Hectopascal(self.pressure.clone()?), altitude_m).0)
    }
}

/// The humidity of the same air at the corrected temperature.
fn humidity_at(temperature: &Reading, humidity: &Reading, measured_at: &Reading) -> Reading {
    let (temperature, humidity) = (Celsius(temperature.clone()?), RelativeHumidity(humidity.clone()?));
    Ok(air::humidity_at(temperature, humidity, Celsius(measured_at.clone()?)).0)
}

/// What stands for a quantity that a source does not know.
fn missing(quantity: Quantity, now: Monotonic) -> Reading {
    Err(Absence { reason: Reason::NoChip, text: format!("this source has no {quantity}"), since: now })
}
