//! Water vapour, by the Magnus formula over water (WMO-No. 8, annex 4.B): within half a percent of the tables.

use crate::base::units::{Celsius, GramsPerCubicMetre, Hectopascal, RelativeHumidity};

/// The vapour pressure of saturated air at 0 °C, in hPa.
const SATURATION_AT_ZERO: f64 = 6.112;
const MAGNUS_FACTOR: f64 = 17.62;
const MAGNUS_OFFSET: f64 = 243.12;

/// What one gram of vapour in a cubic metre and one kelvin is worth, in Pa: its gas constant, 461.5 J/(kg K).
const VAPOUR_GAS_CONSTANT: f64 = 0.4615;
const PASCALS: f64 = 100.0;
const KELVIN_AT_ZERO_CELSIUS: f64 = 273.15;

/// Less than any air on earth holds; below it a dew point has no meaning.
const DRIEST_HPA: f64 = 1e-3;

/// The vapour pressure at which air of this temperature is saturated.
pub fn saturation_pressure(Celsius(celsius): Celsius) -> Hectopascal {
    Hectopascal(SATURATION_AT_ZERO * (MAGNUS_FACTOR * celsius / (MAGNUS_OFFSET + celsius)).exp())
}

/// The vapour pressure of air of this humidity at the temperature at which the humidity was measured.
pub fn vapour_pressure(RelativeHumidity(percent): RelativeHumidity, measured_at: Celsius) -> Hectopascal {
    Hectopascal(percent / 100.0 * saturation_pressure(measured_at).0)
}

/// The relative humidity of the same air at another temperature: its vapour pressure is what stays. Air that would be
/// oversaturated there is saturated.
pub fn humidity_at(other: Celsius, humidity: RelativeHumidity, measured_at: Celsius) -> RelativeHumidity {
    let percent = 100.0 * vapour_pressure(humidity, measured_at).0 / saturation_pressure(other).0;
    RelativeHumidity(percent.clamp(0.0, 100.0))
}

/// The temperature at which air of this vapour pressure is saturated; `None` for air without vapour, which has none.
pub fn dew_point(Hectopascal(vapour): Hectopascal) -> Option<Celsius> {
    let logarithm = (vapour / SATURATION_AT_ZERO).ln();
    (vapour >= DRIEST_HPA).then(|| Celsius(MAGNUS_OFFSET * logarithm / (MAGNUS_FACTOR - logarithm)))
}

/// The mass of vapour in a cubic metre of air of this vapour pressure and temperature (the ideal gas law).
pub fn absolute_humidity(Hectopascal(vapour): Hectopascal, Celsius(celsius): Celsius) -> GramsPerCubicMetre {
    GramsPerCubicMetre(vapour * PASCALS / (VAPOUR_GAS_CONSTANT * (celsius + KELVIN_AT_ZERO_CELSIUS)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_near(value: f64, expected: f64, tolerance: f64) -> bool {
        (value - expected).abs() <= tolerance
    }

    #[test]
    fn saturation_pressure_agrees_with_the_tables() {
        // Goff and Gratch, as tabulated in the Smithsonian Meteorological Tables (table 94)
        for (celsius, hpa) in
            [(-20.0, 1.254), (0.0, 6.108), (10.0, 12.272), (20.0, 23.373), (30.0, 42.430), (40.0, 73.777)]
        {
            let computed = saturation_pressure(Celsius(celsius)).0;
            assert!(is_near(computed, hpa, hpa * 0.005), "{celsius} °C: {computed} hPa, {hpa} in the table");
        }
    }

    #[test]
    fn humid_air_that_is_cooled_keeps_its_vapour() {
        let room = humidity_at(Celsius(22.0), RelativeHumidity(25.0), Celsius(35.0));
        assert!(is_near(room.0, 53.2, 0.2), "{room}");
        assert_eq!(humidity_at(Celsius(5.0), RelativeHumidity(60.0), Celsius(30.0)), RelativeHumidity(100.0));
    }

    #[test]
    fn dew_point_and_absolute_humidity_of_a_known_room() {
        let vapour = vapour_pressure(RelativeHumidity(50.0), Celsius(25.0));
        assert!(is_near(dew_point(vapour).unwrap().0, 13.86, 0.05));
        assert!(is_near(absolute_humidity(vapour, Celsius(25.0)).0, 11.5, 0.05));
        let saturated = vapour_pressure(RelativeHumidity(100.0), Celsius(0.0));
        assert!(is_near(dew_point(saturated).unwrap().0, 0.0, 1e-9));
        assert!(is_near(absolute_humidity(saturated, Celsius(0.0)).0, 4.85, 0.01));
    }

    #[test]
    fn air_without_vapour_has_no_dew_point() {
        assert_eq!(dew_point(Hectopascal(0.0)), None);
        assert_eq!(dew_point(Hectopascal(-1.0)), None);
    }

    proptest! {
        #[test]
        fn dew_point_of_humid_air_is_below_its_temperature(percent in 1.0..99.9_f64, celsius in -39.0..60.0_f64) {
            let dew = dew_point(vapour_pressure(RelativeHumidity(percent), Celsius(celsius))).unwrap();
            prop_assert!(dew.0 < celsius);
            prop_assert!(is_near(humidity_at(dew, RelativeHumidity(percent), Celsius(celsius)).0, 100.0, 1e-6));
        }

        #[test]
        fn everything_is_finite_for_all_that_the_chip_can_say(percent in 0.0..=100.0_f64, celsius in -40.0..=120.0_f64, other in -40.0..=120.0_f64) {
            let vapour = vapour_pressure(RelativeHumidity(percent), Celsius(celsius));
            prop_assert!(vapour.0.is_finite() && vapour.0 >= 0.0);
            prop_assert!(dew_point(vapour).is_none_or(|dew| dew.0.is_finite()));
            prop_assert!(absolute_humidity(vapour, Celsius(celsius)).0.is_finite());
            prop_assert!((0.0..=100.0).contains(&humidity_at(Celsius(other), RelativeHumidity(percent), Celsius(celsius)).0));
        }
    }
}
