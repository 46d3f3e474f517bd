//! Readings as JSON: `{"temperature": {"value": 21.37, "unit": "°C"}, "pressure": {"value": null, "unit": "hPa",
//! "reason": "no_chip", "text": "…"}, …}`.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{ReadingMessage, Readings};

impl Serialize for Readings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.iter().count()))?;
        for (quantity, reading) in self.iter() {
            map.serialize_entry(quantity.name(), &ReadingMessage::new(quantity, reading))?;
        }
        map.end()
    }
}

impl Readings {
    /// The readings as a JSON object with one entry a quantity; values are rounded to four decimals.
    #[expect(clippy::missing_panics_doc, reason = "it cannot happen, as the text below says")]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("keys are text and values are numbers, text or null")
    }

    /// Whether every quantity that is wanted has a value.
    pub fn is_complete(&self) -> bool {
        self.iter().all(|(_, reading)| reading.is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Monotonic;
    use crate::sensors::{Absence, Quantity, Reason};

    #[test]
    fn valid_and_absent_readings_have_one_shape() {
        let readings = Readings::new(|quantity| match quantity {
            Quantity::Pressure => {
                Err(Absence { reason: Reason::NoChip, text: "nobody answers".into(), since: Monotonic::ZERO })
            }
            _ => Ok(21.370_049),
        });
        let expected = serde_json::json!({
            "temperature": {"value": 21.37, "unit": "°C"},
            "pressure": {"value": null, "unit": "hPa", "reason": "no_chip", "text": "nobody answers"},
            "humidity": {"value": 21.37, "unit": "%RH"},
        });
        assert_eq!(readings.to_json(), expected);
        assert!(!readings.is_complete());
    }
}
