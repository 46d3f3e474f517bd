//! What one sample puts where: a function of options and samples, without a side effect.

use std::collections::BTreeSet;

use serde::Serialize;

use super::said::Said;
use super::sample::Sample;
use super::state::{json, state_json};
use super::{Options, PayloadFormat, QuantityTopic, StatusTopic};
use crate::base::clock::Monotonic;
use crate::mqtt::{QoS, TopicName};
use crate::sensors::{Absence, Reading, Reason};

/// A message to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Where.
    pub topic: TopicName,
    /// What; empty and retained it clears the topic.
    pub payload: Vec<u8>,
    /// With which quality of service.
    pub qos: QoS,
    /// Whether the broker keeps it.
    pub retain: bool,
}

/// What `sample` publishes: the quantities in the order of the options, then the state.
///
/// A value goes out each cycle. An absence goes out once, when it begins, because a retained value that stays while the
/// sensor is dead would be the last value for ever:
///
/// - `plain`, retained: an empty message, which clears the retained value (live subscribers get it too, empty);
/// - `plain`, not retained: nothing, there is nothing to take back;
/// - `json`: `{"value":null,"reason":…}`, and again when the reason changes.
///
/// `said` is what was last published on this connection; where nothing was, every absence is said again. A quantity that never had a value and is still starting is not spoken of: its first value is a moment away.
pub fn publications(options: &Options, sample: &Sample, said: &Said, started: Monotonic) -> Vec<Publication> {
    let quantities = options.quantities.iter().filter_map(|topic| quantity_publication(topic, sample, said));
    quantities.chain(state_publication(options, sample, started)).collect()
}

fn quantity_publication(topic: &QuantityTopic, sample: &Sample, said: &Said) -> Option<Publication> {
    let payload = match sample.readings.get(topic.quantity)? {
        Ok(value) if !said.is_due(topic, *value, sample.monotonic) => return None,
        Ok(value) => value_payload(topic, sample, *value),
        Err(absence) => absence_payload(topic, sample, absence, said.last(topic.quantity))?,
    };
    Some(Publication { topic: topic.topic.clone(), payload, qos: topic.qos, retain: topic.retain })
}

fn state_publication(options: &Options, sample: &Sample, started: Monotonic) -> Option<Publication> {
    let state = options.state.as_ref()?;
    let payload = state_json(sample, started).into_bytes();
    Some(Publication { topic: state.topic.clone(), payload, qos: state.qos, retain: state.retain })
}

fn value_payload(topic: &QuantityTopic, sample: &Sample, value: f64) -> Vec<u8> {
    let text = decimal(value, topic.decimals);
    match topic.payload {
        PayloadFormat::Plain => text.into_bytes(),
        PayloadFormat::Json => json_bytes(&ValueJson {
            value: text.parse().unwrap_or(value),
            unit: topic.quantity.unit(),
            time: sample.wall.to_string(),
            source: sample.source.name(),
        }),
    }
}

/// The message of an absence; `None` when there is nothing to say.
fn absence_payload(
    topic: &QuantityTopic,
    sample: &Sample,
    absence: &Absence,
    before: Option<&Reading>,
) -> Option<Vec<u8>> {
    if !is_news(topic.payload, absence.reason, before) {
        return None;
    }
    match topic.payload {
        PayloadFormat::Plain => topic.retain.then(Vec::new),
        PayloadFormat::Json => Some(json_bytes(&AbsenceJson {
            value: None,
            unit: topic.quantity.unit(),
            reason: absence.reason.name(),
            text: &absence.text,
            since: sample.wall_at(absence.since).to_string(),
            time: sample.wall.to_string(),
            source: sample.source.name(),
        })),
    }
}

/// Whether the absence says something that the message before it did not.
fn is_news(format: PayloadFormat, reason: Reason, before: Option<&Reading>) -> bool {
    match (before, format) {
        (Some(Ok(_)), _) => true,
        (None, _) => reason != Reason::Starting,
        // nothing was said while it was starting for the first time
        (Some(Err(earlier)), PayloadFormat::Plain) => earlier.reason == Reason::Starting && reason != Reason::Starting,
        (Some(Err(earlier)), PayloadFormat::Json) => earlier.reason != reason,
    }
}

/// The number with `decimals` digits behind the point, without the sign of a zero.
pub(super) fn decimal(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(digits) if digits.bytes().all(|byte| matches!(byte, b'0' | b'.')) => digits.to_owned(),
        _ => text,
    }
}

#[derive(Serialize)]
struct ValueJson {
    value: f64,
    unit: &'static str,
    time: String,
    source: &'static str,
}

#[derive(Serialize)]
struct AbsenceJson<'a> {
    value: Option<f64>,
    unit: &'static str,
    reason: &'static str,
    text: &'a str,
    since: String,
    time: String,
    source: &'static str,
}

fn json_bytes(payload: &impl Serialize) -> Vec<u8> {
    json(payload).into_bytes()
}

/// What the status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Online,
    Offline,
}

/// The message that says whether the gateway is there.
pub(super) fn status_publication(status: &StatusTopic, presence: Presence) -> Publication {
    let payload = match presence {
        Presence::Online => &status.online,
        Presence::Offline => &status.offline,
    };
    Publication {
        topic: status.topic.clone(),
        payload: payload.clone().into_bytes(),
        qos: status.qos,
        retain: status.retain,
    }
}

/// The empty retained message that clears `topic`; QoS 1, because only its acknowledgement ends the matter.
pub(super) fn clearing(topic: TopicName) -> Publication {
    Publication { topic, payload: Vec::new(), qos: QoS::AtLeastOnce, retain: true }
}

/// The topics on which `options` leave a retained message.
pub(super) fn retained_topics(options: &Options) -> BTreeSet<TopicName> {
    let quantities = options.quantities.iter().filter(|topic| topic.retain).map(|topic| &topic.topic);
    let state = options.state.iter().filter(|state| state.retain).map(|state| &state.topic);
    let status = options.status.iter().filter(|status| status.retain).map(|status| &status.topic);
    let leds = options.leds.iter().map(|leds| &leds.state);
    quantities.chain(state).chain(status).chain(leds).cloned().collect()
}

#[cfg(test)]
pub(super) mod tests;
