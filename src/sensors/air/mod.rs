//! Moist air and the atmosphere: formulas, and nothing else.
//!
//! - Holds no state; never enters: chips, time, configuration.
//! - Uses `base::units`.
//! - Follows WMO-No. 8 (Guide to Instruments and Methods of Observation), annex 4.B, for vapour, and ICAO Doc 7488
//!   (Manual of the ICAO Standard Atmosphere) for height.
//!
//! What stays when air is warmed or cooled is its vapour pressure: [`vapour_pressure`] is the root of the rest.

mod barometric;
mod vapour;

pub use barometric::sea_level_pressure;
pub use vapour::{absolute_humidity, dew_point, humidity_at, saturation_pressure, vapour_pressure};
