//! A sample as one JSON object: what travels on the topic of samples, written by who samples and read by who passes
//! it on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Quantity, Reading, Readings};

/// Digits that are worth showing: the finest count is 1/4096 hPa.
const DECIMALS_FACTOR: f64 = 10_000.0;

/// One cycle's readings, with everything that says when they were taken:
///
/// ```json
/// {"boot_id":"…","sequence":81234,"monotonic_ms":81234,"time_ms":1795377331250,"synchronised":true,"source":"i2c",
///  "readings":{"humidity":{"value":44.9,"unit":"%RH"},
///              "pressure":{"value":null,"unit":"hPa","reason":"no_chip","text":"…"},
///              "temperature":{"value":21.37,"unit":"°C"}}}
/// ```
///
/// `boot_id` and `sequence` together name a sample: one that comes twice is one sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleMessage {
    /// Whose boot `monotonic_ms` and `sequence` count from.
    pub boot_id: String,
    /// The number of the sample within the boot; later ones have greater numbers.
    pub sequence: u64,
    /// When it was taken: milliseconds since the boot.
    pub monotonic_ms: u64,
    /// The same moment by the wall clock: milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: i64,
    /// Whether the wall clock was known to be right then.
    #[serde(default)]
    pub synchronised: bool,
    /// Where the readings come from ([`super::Source::name`]).
    #[serde(default)]
    pub source: String,
    /// The readings by the name of their quantity.
    #[serde(default)]
    pub readings: BTreeMap<String, ReadingMessage>,
}

/// One quantity's reading: a value, or the reason why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReadingMessage {
    /// The value, rounded to four decimals. One that is not finite is written as `null`.
    #[serde(default)]
    pub value: Option<f64>,
    /// The unit's symbol.
    #[serde(default)]
    pub unit: String,
    /// The class of the cause that there is no value ([`super::Reason::name`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The cause in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl SampleMessage {
    /// The message as JSON.
    #[expect(clippy::missing_panics_doc, reason = "it cannot happen, as the text below says")]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("keys are text and values are numbers, text or null")
    }

    /// Reads what [`Self::to_json`] wrote. What is not known is passed over, so that another version may say more.
    ///
    /// # Errors
    /// When it is no JSON, or lacks what names the sample and its time.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }
}

impl ReadingMessage {
    /// The message of a reading.
    pub fn new(quantity: Quantity, reading: &Reading) -> Self {
        let (value, absence) = match reading {
            Ok(value) => (Some((value * DECIMALS_FACTOR).round() / DECIMALS_FACTOR), None),
            Err(absence) => (None, Some(absence)),
        };
        Self {
            value,
            unit: quantity.unit().to_owned(),
            reason: absence.map(|absence| absence.reason.name().to_owned()),
            text: absence.map(|absence| absence.text.clone()),
        }
    }

    /// The messages of all readings, by the name of the quantity.
    pub fn of(readings: &Readings) -> BTreeMap<String, Self> {
        readings.iter().map(|(quantity, reading)| (quantity.name().to_owned(), Self::new(quantity, reading))).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::clock::Monotonic;
    use crate::sensors::{Absence, Reason};

    fn message(readings: &Readings) -> SampleMessage {
        SampleMessage {
            boot_id: "a-boot".into(),
            sequence: 81_234,
            monotonic_ms: 81_240,
            time_ms: 1_795_377_331_250,
            synchronised: true,
            source: "i2c".into(),
            readings: ReadingMessage::of(readings),
        }
    }

    fn one_absent(value: f64) -> Readings {
        Readings::new(|quantity| match quantity {
            Quantity::Pressure => {
                Err(Absence { reason: Reason::NoChip, text: "nobody answers".into(), since: Monotonic::ZERO })
            }
            _ => Ok(value),
        })
    }

    #[test]
    fn a_sample_has_this_json() {
        let expected = serde_json::json!({
            "boot_id": "a-boot", "sequence": 81_234, "monotonic_ms": 81_240, "time_ms": 1_795_377_331_250_i64,
            "synchronised": true, "source": "i2c",
            "readings": {
                "temperature": {"value": 21.37, "unit": "°C"},
                "pressure": {"value": null, "unit": "hPa", "reason": "no_chip", "text": "nobody answers"},
                "humidity": {"value": 21.37, "unit": "%RH"},
            }
        });
        let json = message(&one_absent(21.370_049)).to_json();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), expected);
    }

    #[test]
    fn what_is_not_known_is_passed_over_and_what_may_be_left_out_has_a_default() {
        let json = br#"{"boot_id":"b","sequence":1,"monotonic_ms":2,"time_ms":-3,"new":{"a":[1]},
                        "readings":{"light":{"value":7,"unit":"lx","gain":2},"temperature":{}}}"#;
        let read = SampleMessage::from_json(json).unwrap();
        assert_eq!((read.boot_id.as_str(), read.sequence, read.monotonic_ms, read.time_ms), ("b", 1, 2, -3));
        assert_eq!((read.synchronised, read.source.as_str()), (false, ""));
        assert_eq!(read.readings["light"].value, Some(7.0));
        assert_eq!(read.readings["temperature"].value, None);
    }

    #[test]
    fn what_does_not_name_a_sample_is_refused() {
        for json in ["", "21.37", "{}", r#"{"boot_id":"b","sequence":-1,"monotonic_ms":2,"time_ms":3}"#] {
            assert!(SampleMessage::from_json(json.as_bytes()).is_err(), "{json}");
        }
    }

    #[test]
    fn a_number_that_is_not_finite_is_neither_written_nor_read() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let json = message(&one_absent(value)).to_json();
            assert_eq!(SampleMessage::from_json(json.as_bytes()).unwrap().readings["humidity"].value, None, "{json}");
        }
        for number in ["NaN", "Infinity", "1e999"] {
            let json = message(&one_absent(21.5)).to_json().replace("21.5", number);
            assert!(SampleMessage::from_json(json.as_bytes()).is_err(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(value in -1e6..1e6_f64, sequence: u64, time_ms: i64, synchronised: bool) {
            let written = SampleMessage { sequence, time_ms, synchronised, ..message(&one_absent(value)) };
            prop_assert_eq!(SampleMessage::from_json(written.to_json().as_bytes()).unwrap(), written);
        }
    }
}
