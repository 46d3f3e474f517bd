//! Pressure and height in the ICAO standard atmosphere (Doc 7488): 15 °C at sea level, 6.5 K less each kilometre.

use crate::base::units::Hectopascal;

const SEA_LEVEL_KELVIN: f64 = 288.15;
const LAPSE_KELVIN_PER_METRE: f64 = 0.0065;
/// Gravity over the gas constant of dry air and the lapse rate: 9.80665 / (287.05287 · 0.0065).
const EXPONENT: f64 = 5.255_88;

/// The pressure at sea level that gives `station` at this height above it, as an altimeter reckons (QNH). Not the
/// temperature of a room that a gateway stands in, but the standard atmosphere's is taken: heating does not move it.
pub fn sea_level_pressure(Hectopascal(station): Hectopascal, altitude_m: f64) -> Hectopascal {
    let ratio = 1.0 - LAPSE_KELVIN_PER_METRE * altitude_m / SEA_LEVEL_KELVIN;
    Hectopascal(station * ratio.powf(-EXPONENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_atmosphere_is_1013_25_at_sea_level_from_every_height() {
        // Doc 7488, table 2: height in m, pressure in hPa
        for (altitude_m, hpa) in
            [(-400.0, 1062.22), (0.0, 1013.25), (500.0, 954.61), (1000.0, 898.75), (3000.0, 701.09)]
        {
            let sea_level = sea_level_pressure(Hectopascal(hpa), altitude_m).0;
            assert!((sea_level - 1013.25).abs() < 0.05, "{altitude_m} m: {sea_level}");
        }
    }
}
