//! How many samples the chips average into one conversion.

use std::time::Duration;

use super::{hts221, lps25h};

/// Samples in each conversion, by what is measured. The defaults are the chips' own (HTS221), and the least noise
/// (LPS25H).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oversampling {
    /// The HTS221's temperature.
    pub temperature: hts221::TemperatureAveraging,
    /// Humidity.
    pub humidity: hts221::HumidityAveraging,
    /// Pressure.
    pub pressure: lps25h::PressureAveraging,
    /// The LPS25H's temperature.
    pub temperature_from_pressure: lps25h::TemperatureAveraging,
}

impl Oversampling {
    /// How the HTS221 is set for one sample in `interval`.
    pub(super) fn hts221(self, interval: Duration) -> hts221::Settings {
        hts221::Settings {
            rate: hts221::Rate::above(interval),
            temperature_averaging: self.temperature,
            humidity_averaging: self.humidity,
        }
    }

    /// How the LPS25H is set for one sample in `interval`.
    pub(super) fn lps25h(self, interval: Duration) -> lps25h::Settings {
        lps25h::Settings {
            rate: lps25h::Rate::above(interval),
            temperature_averaging: self.temperature_from_pressure,
            pressure_averaging: self.pressure,
        }
    }
}
