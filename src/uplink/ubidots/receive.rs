//! Variables of Ubidots on their way to local topics.
//!
//! At each subscribe Ubidots sends the current value of a variable once more. A value that was passed on before is not
//! passed on again then, because it may be a command.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::batch::ORIGIN;
use super::{Options, device_topic};
use crate::client::{Message, Publication};
use crate::mqtt::{QoS, Subscription, TopicFilter, TopicName};
use crate::uplink::work::Receive;

/// Own dots that are known again by their time when they come back, for each variable.
const SENT_MAX: usize = 4096;

/// In which form a variable's value comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The number alone, from `/lv`.
    Number,
    /// `{"value": …, "timestamp": …, "context": {…}, "created_at": …}`.
    Json,
}

/// One variable that comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveRule {
    /// The label of its device.
    pub device: String,
    /// Its label.
    pub variable: String,
    /// In which form.
    pub form: Form,
    /// Where it is published here.
    pub topic: TopicName,
    /// Whether it is retained here.
    pub retain: bool,
}

impl ReceiveRule {
    fn remote(&self) -> String {
        let variable = format!("{}/{}", device_topic(&self.device), self.variable);
        match self.form {
            Form::Number => variable + "/lv",
            Form::Json => variable,
        }
    }
}

/// The last value of each variable that was passed on, by its topic at Ubidots. It outlives the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received(BTreeMap<String, Last>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
}

/// The rules at work.
#[derive(Clone, Debug)]
pub(super) struct Receiver {
    rules: Vec<ReceiveRule>,
    received: Received,
    is_changed: bool,
    /// What is on its way to the local broker, in order: it counts as passed on when that has it.
    passing: VecDeque<(String, Last)>,
    /// Variables whose current value is about to come once more.
    replayed: BTreeSet<String>,
    /// Times of own dots, for variables that are sent and received.
    sent: BTreeMap<String, VecDeque<i64>>,
    device: String,
}

impl Receiver {
    pub(super) fn new(options: &Options, received: Received) -> Self {
        let is_both = |label: &&String| {
            options.receive.iter().any(|rule| rule.device == options.device && rule.variable == **label)
        };
        let sent = options.send.values().filter(is_both).map(|label| (label.clone(), VecDeque::new())).collect();
        Self {
            rules: options.receive.clone(),
            received,
            is_changed: false,
            passing: VecDeque::new(),
            replayed: BTreeSet::new(),
            sent,
            device: options.device.clone(),
        }
    }

    pub(super) fn subscriptions(&self) -> Vec<Subscription> {
        let filters = self.rules.iter().filter_map(|rule| TopicFilter::new(&rule.remote()).ok());
        filters.map(|filter| Subscription::new(filter, QoS::AtLeastOnce)).collect()
    }

    pub(super) fn handle_far_up(&mut self) {
        self.replayed = self.rules.iter().map(ReceiveRule::remote).collect();
    }

    /// A dot goes out.
    pub(super) fn remember_sent(&mut self, label: &str, time_ms: i64) {
        if let Some(times) = self.sent.get_mut(label) {
            if times.len() >= SENT_MAX {
                times.pop_front();
            }
            times.push_back(time_ms);
        }
    }

    /// The local broker has the oldest of those that were passed on.
    pub(super) fn handle_passed_on(&mut self) {
        if let Some((topic, last)) = self.passing.pop_front() {
            self.received.0.insert(topic, last);
            self.is_changed = true;
        }
    }

    pub(super) fn poll_received(&mut self) -> Option<&Received> {
        std::mem::take(&mut self.is_changed).then_some(&self.received)
    }

    pub(super) fn receive(&mut self, message: &Message) -> Receive {
        let Some(rule) = self.rules.iter().find(|rule| rule.remote() == message.topic).cloned() else {
            return Receive::Drop;
        };
        let is_replay = self.replayed.remove(&message.topic);
        let Some((last, is_own)) = self.read(&rule, &message.payload) else { return Receive::Drop };
        let passing = self.passing.iter().rev().find(|(topic, _)| *topic == message.topic);
        let before = passing.map(|(_, last)| last).or_else(|| self.received.0.get(&message.topic));
        if is_own || is_replay && before == Some(&last) {
            return Receive::Drop;
        }
        let payload = match rule.form {
            Form::Number => last.value.clone().into(),
            Form::Json => message.payload.clone(),
        };
        self.passing.push_back((message.topic.clone(), last));
        let topic = rule.topic.as_str().to_owned();
        Receive::Publish(Publication { retain: rule.retain, ..Publication::new(topic, payload) })
    }

    /// The value and its time, and whether it is one that was sent from here; `None` for what is no value.
    fn read(&self, rule: &ReceiveRule, payload: &[u8]) -> Option<(Last, bool)> {
        match rule.form {
            Form::Number => {
                let value = std::str::from_utf8(payload).ok()?.trim();
                value.parse::<f64>().ok().filter(|number| number.is_finite())?;
                Some((Last { value: value.to_owned(), timestamp: None }, false))
            }
            Form::Json => {
                let dot: Value = serde_json::from_slice(payload).ok()?;
                let value = dot.get("value")?.as_f64()?.to_string();
                let timestamp = dot.get("timestamp").and_then(Value::as_i64);
                let sent = self.sent.get(&rule.variable).filter(|_| rule.device == self.device);
                let is_own = sent.is_some_and(|times| {
                    let origin = dot.get("context").and_then(|context| context.get("origin"));
                    timestamp.is_some_and(|timestamp| times.contains(&timestamp))
                        || origin.and_then(Value::as_str) == Some(ORIGIN)
                });
                Some((Last { value, timestamp }, is_own))
            }
        }
    }
}
