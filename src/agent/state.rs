//! The state: one JSON a cycle that tells everything the gateway knows about its readings.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::sample::Sample;
use crate::base::clock::Monotonic;
use crate::sensors::{ChipCounts, Counts, Heat, Quantity, Reading};

/// Finer than what either chip resolves (HTS221: 0.016 °C and 0.004 %RH; LPS25H: 0.0002 hPa).
const DECIMALS: f64 = 10_000.0;

/// The state's JSON. Numbers are numbers, and what belongs to the whole stands at the top, so that a collector that
/// flattens JSON has nothing to unpack but the quantities:
///
/// ```json
/// {"version":"0.1.0","source":"i2c","health":"degraded","sequence":81234,"boot_id":"…","uptime_s":12.0,
///  "monotonic_s":86.5,"time":"2026-11-22T19:55:31.250Z","synchronised":true,
///  "chips":{"hts221":{"reads":71,"recoveries":0,"errors":{}},
///           "lps25h":{"reads":42,"recoveries":0,"errors":{"no_chip":6}}},
///  "temperature":{"valid":true,"value":21.37,"unit":"°C","time":"2026-11-22T19:55:31.250Z",
///                 "since":"2026-11-22T19:54:20.001Z"},
///  "pressure":{"valid":false,"value":null,"unit":"hPa","reason":"no_chip","text":"…",
///              "since":"2026-11-22T19:55:01.250Z","absent_s":30.0}, "humidity":{}}
/// ```
///
/// `chips` counts since the start of the gateway: bursts read, times that a chip recovered, and failures by their
/// reasons. `since` is when the present run of values, or the absence, began.
///
/// `health` is `ok` when every quantity has a value, `degraded` when some have, `absent` when none has; the tendency does
/// not count. `boot_id` and `sequence` together name the sample: it begins at the milliseconds since boot at which the
/// process started, and counts by one. Times are as right as `synchronised` says. `started` is when the gateway started.
pub fn state_json(sample: &Sample, started: Monotonic) -> String {
    json(&State::new(sample, started))
}

/// The JSON of a payload.
pub(super) fn json(payload: &impl Serialize) -> String {
    serde_json::to_string(payload).expect("a struct of texts and numbers has a JSON form")
}

#[derive(Serialize)]
struct State<'a> {
    version: &'static str,
    source: &'static str,
    health: &'static str,
    sequence: u64,
    boot_id: &'a str,
    uptime_s: f64,
    monotonic_s: f64,
    time: String,
    synchronised: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    processor_temperature: Option<f64>,
    chips: Chips,
    #[serde(flatten)]
    entries: Entries<'a>,
}

/// What happened on the bus, by the chips' names.
struct Chips(Counts);

#[derive(Serialize)]
struct ChipEntry {
    reads: u64,
    recoveries: u64,
    errors: BTreeMap<&'static str, u64>,
}

impl Serialize for Chips {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(chip, counts)| (chip.name(), ChipEntry::of(counts))))
    }
}

impl ChipEntry {
    fn of(counts: ChipCounts) -> Self {
        let errors = counts.all_errors().map(|(reason, count)| (reason.name(), count)).collect();
        Self { reads: counts.reads, recoveries: counts.recoveries, errors }
    }
}

/// The quantities by their names, in their order.
struct Entries<'a>(Vec<(Quantity, Entry<'a>)>);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(quantity, entry)| (quantity.name(), entry)))
    }
}

impl<'a> State<'a> {
    fn new(sample: &'a Sample, started: Monotonic) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            source: sample.source.name(),
            health: health(sample),
            sequence: sample.sequence,
            boot_id: sample.boot_id.as_str(),
            uptime_s: seconds(sample.monotonic.since(started)),
            monotonic_s: seconds(sample.monotonic.since_boot()),
            time: sample.wall.to_string(),
            synchronised: sample.synchronised,
            processor_temperature: sample.readings.heat().processor.map(rounded),
            chips: Chips(sample.counts),
            entries: Entries(
                sample
                    .readings
                    .iter()
                    .map(|(quantity, reading)| (quantity, entry(sample, quantity, reading)))
                    .collect(),
            ),
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    Valid {
        valid: bool,
        value: f64,
        unit: &'static str,
        time: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        since: Option<String>,
        #[serde(flatten)]
        origin: Option<Origin>,
    },
    Absent {
        valid: bool,
        value: Option<f64>,
        unit: &'static str,
        reason: &'static str,
        text: &'a str,
        since: String,
        absent_s: f64,
    },
}

/// What a corrected value was made of.
#[derive(Serialize)]
struct Origin {
    raw: f64,
    correction: &'static str,
}

fn origin(heat: Heat, quantity: Quantity) -> Option<Origin> {
    let raw = match quantity {
        Quantity::Temperature => heat.raw_temperature,
        Quantity::Humidity => heat.raw_humidity,
        _ => None,
    };
    raw.map(|raw| Origin { raw: rounded(raw), correction: heat.method })
}

fn rounded(value: f64) -> f64 {
    (value * DECIMALS).round() / DECIMALS
}

fn entry<'a>(sample: &Sample, quantity: Quantity, reading: &'a Reading) -> Entry<'a> {
    let unit = quantity.unit();
    match reading {
        Ok(value) => Entry::Valid {
            valid: true,
            value: rounded(*value),
            unit,
            time: sample.wall.to_string(),
            since: sample.valid_since.get(quantity).map(|since| sample.wall_at(since).to_string()),
            origin: origin(sample.readings.heat(), quantity),
        },
        Err(absence) => Entry::Absent {
            valid: false,
            value: None,
            unit,
            reason: absence.reason.name(),
            text: &absence.text,
            since: sample.wall_at(absence.since).to_string(),
            absent_s: seconds(sample.monotonic.since(absence.since)),
        },
    }
}

fn health(sample: &Sample) -> &'static str {
    // what looks back for hours has no value for hours, and nothing is wrong
    let readings = sample.readings.of_one_cycle();
    match readings.iter().filter(|(_, reading)| reading.is_ok()).count() {
        0 => "absent",
        valid if valid == readings.iter().count() => "ok",
        _ => "degraded",
    }
}

/// Seconds to the microsecond.
fn seconds(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::super::sample::tests::{absent, sample};
    use super::*;
    use crate::sensors::Reason;

    fn state_of(sample: &Sample) -> Value {
        serde_json::from_str(&state_json(sample, Monotonic::from_boot(Duration::from_secs(2)))).unwrap()
    }

    #[test]
    fn state_tells_value_unit_time_and_where_the_readings_come_from() {
        let state = state_of(&sample(12, |_| Ok(21.370_04)));
        assert_eq!(
            state["temperature"],
            json!({"valid": true, "value": 21.37, "unit": "°C", "time": "2026-11-22T19:55:43.250Z"})
        );
        assert_eq!((&state["source"], &state["health"]), (&json!("simulated"), &json!("ok")));
        assert_eq!((&state["sequence"], &state["boot_id"]), (&json!(12), &json!("a-boot")));
        assert_eq!((&state["uptime_s"], &state["synchronised"]), (&json!(10.0), &json!(true)));
    }

    #[test]
    fn a_tendency_that_has_not_looked_back_for_long_enough_is_nothing_wrong() {
        let mut sample = sample(12, |_| Ok(1.0));
        sample.readings = crate::sensors::Readings::of(|quantity| match quantity {
            Quantity::Pressure => Some(Ok(1013.0)),
            Quantity::PressureTendency => Some(absent(Reason::Starting, 1)),
            _ => None,
        });
        assert_eq!(state_of(&sample)["health"], json!("ok"));
    }

    #[test]
    fn state_tells_why_and_since_when_a_quantity_is_absent() {
        let state = state_of(&sample(12, |quantity| match quantity {
            Quantity::Pressure => absent(Reason::NoChip, 4),
            _ => Ok(1.0),
        }));
        assert_eq!(
            state["pressure"],
            json!({"valid": false, "value": null, "unit": "hPa", "reason": "no_chip", "text": "it is no_chip",
                   "since": "2026-11-22T19:55:35.250Z", "absent_s": 8.0})
        );
        assert_eq!(state["health"], json!("degraded"));
        assert_eq!(state_of(&sample(12, |_| absent(Reason::NoBus, 1)))["health"], json!("absent"));
    }
}
