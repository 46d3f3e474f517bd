//! What both chips measured in one cycle, where it does not come from registers.

use super::error::ValueError;
use super::{Absence, Quantity, Reading, Readings};
use crate::base::clock::Monotonic;

/// One reading of each measurement.
pub(super) struct Measured {
    /// Of the HTS221, in °C.
    pub(super) temperature: Reading,
    /// Of the HTS221, in %RH.
    pub(super) humidity: Reading,
    /// Of the LPS25H, in hPa.
    pub(super) pressure: Reading,
    /// Of the LPS25H, in °C.
    pub(super) temperature_beside_pressure: Reading,
}

impl Measured {
    /// Nothing, for one reason.
    pub(super) fn nothing(absence: &Absence) -> Self {
        let absent = || Err(absence.clone());
        Self { temperature: absent(), humidity: absent(), pressure: absent(), temperature_beside_pressure: absent() }
    }

    /// As the HAT tells it: the temperature is that of the HTS221.
    pub(super) fn readings(&self) -> Readings {
        Readings::of(|quantity| match quantity {
            Quantity::Temperature | Quantity::TemperatureFromHumidity => Some(self.temperature.clone()),
            Quantity::Pressure => Some(self.pressure.clone()),
            Quantity::Humidity => Some(self.humidity.clone()),
            Quantity::TemperatureFromPressure => Some(self.temperature_beside_pressure.clone()),
            _ => None,
        })
    }
}

/// What is no value, as an absence that begins now.
pub(super) fn absence(error: &ValueError, now: Monotonic) -> Absence {
    Absence { reason: error.reason(), text: error.to_string(), since: now }
}
