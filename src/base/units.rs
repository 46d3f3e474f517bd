//! Physical units as types, so that a pressure cannot be taken for a temperature.

use std::fmt;

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident, $symbol:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
        pub struct $name(pub f64);

        impl $name {
            /// The unit's symbol, as it stands in JSON and on screens.
            pub const SYMBOL: &'static str = $symbol;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)?;
                write!(f, " {}", $symbol)
            }
        }
    };
}

unit! {
    /// A temperature in degrees Celsius.
    Celsius, "°C"
}
unit! {
    /// A pressure in hectopascal.
    Hectopascal, "hPa"
}
unit! {
    /// Relative humidity in percent, 0..100.
    RelativeHumidity, "%RH"
}
unit! {
    /// Absolute humidity: grams of water vapour in a cubic metre of air.
    GramsPerCubicMetre, "g/m³"
}
