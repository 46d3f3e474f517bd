//! Ubidots by its MQTT API v1.6: readings as dots of a device's variables, and variables as commands.
//!
//! - A publish goes to `/v1.6/devices/{device}` and carries all variables of one sample, or of many: `{"temperature":
//!   [{"value": 21.37, "timestamp": 1702933911000}, …], …}`, at most 10 000 bytes. Timestamps are milliseconds.
//! - The broker acknowledges what it takes in; what its plan does not take it drops without a word. So this side keeps
//!   to the limits by itself.
//! - A subscription of `/v1.6/devices/{device}/{variable}/lv` brings the last value at once, each time.

mod batch;
mod labels;
mod load;
mod receive;

pub use labels::{LabelError, check_label};
pub use load::{Drain, Load};
pub use receive::{Form, ReceiveRule, Received};

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::lane::Entry;
use super::pace::Pace;
use super::stamps::Now;
use super::work::{Draw, Receive};
use crate::client::{Message, Publication};
use crate::mqtt::{ProtocolVersion, QoS, Subscription, TopicFilter, TopicName, Will};
use batch::Batch;
use receive::Receiver;

/// The most that is put into one publish: Ubidots takes 10 000 bytes.
pub const BODY_BYTES_MAX: usize = 9_500;

/// What an account is asked for and promised.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The device's label.
    pub device: String,
    /// Quantities that are sent, with the labels of their variables.
    pub send: BTreeMap<String, String>,
    /// Quality of service, 0 or 1.
    pub qos: QoS,
    /// Whether each dot says from which sample it is.
    pub context: bool,
    /// One dot, the mean, for so long; `None` for each sample.
    pub every: Option<Duration>,
    /// Publishes a second at most.
    pub publishes_per_s: f64,
    /// Dots a second at most; `None` for as many as fit the publishes.
    pub dots_per_s: Option<f64>,
    /// The variable that is 1 while the gateway is there and 0, by its will, when it is not.
    pub online: Option<String>,
    /// Variables whose values come back.
    pub receive: Vec<ReceiveRule>,
    /// Where samples come from.
    pub samples: TopicName,
}

/// The topic of a device, or of what stands behind it.
pub(crate) fn device_topic(device: &str) -> String {
    format!("/v1.6/devices/{device}")
}

/// The account at work.
#[derive(Clone, Debug)]
pub(crate) struct Ubidots {
    options: Options,
    publishes: Pace,
    dots: Option<Pace>,
    receiver: Receiver,
}

impl Ubidots {
    pub(crate) fn new(options: Options, received: Received) -> Self {
        let quantities = f64::from(u32::try_from(options.send.len()).unwrap_or(u32::MAX));
        let dots = options.dots_per_s.map(|rate| Pace::new(rate, rate.max(quantities)));
        let publishes = Pace::new(options.publishes_per_s, 1.0);
        Self { publishes, dots, receiver: Receiver::new(&options, received), options }
    }

    /// The first waiting samples as one publish, as many as fit and are allowed.
    pub(in crate::uplink) fn draw(&mut self, waiting: &[&Entry], now: Now, is_alone: bool) -> Draw {
        // asked first: to put a batch together costs more
        if self.publishes.available(now.monotonic) < 1.0 {
            return Draw::Wait(Some(self.publishes.when(1.0, now.monotonic)));
        }
        let budget = self.dots.as_mut().map(|dots| dots.available(now.monotonic));
        let batch = match Batch::of(waiting, &self.options, now, budget, is_alone) {
            Ok(batch) if batch.is_empty() => return Draw::Settle { count: batch.count },
            Ok(batch) => batch,
            Err(draw) => return draw,
        };
        if let Some(dots) = &mut self.dots {
            let needed = batch.dots();
            if dots.available(now.monotonic) < needed {
                return Draw::Wait(Some(dots.when(needed, now.monotonic)));
            }
            dots.take(needed);
        }
        self.publishes.take(1.0);
        batch.times().for_each(|(label, time_ms)| self.receiver.remember_sent(label, time_ms));
        let publication = Publication {
            qos: self.options.qos,
            ..Publication::new(device_topic(&self.options.device), batch.body().into())
        };
        Draw::Publish { publication, count: batch.count }
    }

    /// What a message of the far side is here.
    pub(in crate::uplink) fn receive(&mut self, message: &Message) -> Receive {
        self.receiver.receive(message)
    }

    /// The local broker has the oldest of those that were passed on.
    pub(in crate::uplink) fn handle_passed_on(&mut self) {
        self.receiver.handle_passed_on();
    }

    /// The last values that came, when they have changed since this was asked last.
    pub(in crate::uplink) fn poll_received(&mut self) -> Option<&Received> {
        self.receiver.poll_received()
    }

    pub(in crate::uplink) fn local_subscriptions(&self) -> Vec<Subscription> {
        let filter = TopicFilter::from(&self.options.samples);
        vec![Subscription { no_local: true, ..Subscription::new(filter, QoS::AtLeastOnce) }]
    }

    pub(in crate::uplink) fn far_subscriptions(&self) -> Vec<Subscription> {
        self.receiver.subscriptions()
    }

    /// An ordinary publish, so it has to be a dot.
    pub(in crate::uplink) fn will(&self, _version: ProtocolVersion) -> Option<Will> {
        let topic = TopicName::new(&self.online_topic()?).ok()?;
        Some(Will { qos: QoS::AtLeastOnce, ..Will::new(topic, Bytes::from_static(br#"{"value":0}"#)) })
    }

    pub(in crate::uplink) fn birth(&mut self, now: Now) -> Option<Publication> {
        self.presence(1, now)
    }

    pub(in crate::uplink) fn farewell(&mut self, now: Now) -> Option<Publication> {
        self.presence(0, now)
    }

    /// Without a time while that is not known: then Ubidots takes its own.
    fn presence(&mut self, value: u8, now: Now) -> Option<Publication> {
        let topic = self.online_topic()?;
        self.publishes.take(1.0);
        let timestamp = now.is_synchronised.then_some(now.wall.unix_ms());
        let dot = timestamp
            .map_or_else(|| json!({"value": value}), |timestamp| json!({"value": value, "timestamp": timestamp}));
        Some(Publication::new(topic, dot.to_string().into()))
    }

    fn online_topic(&self) -> Option<String> {
        let label = self.options.online.as_ref()?;
        Some(format!("{}/{label}", device_topic(&self.options.device)))
    }

    /// The current values come once more now.
    pub(in crate::uplink) fn handle_far_up(&mut self) {
        self.receiver.handle_far_up();
    }
}

#[cfg(test)]
mod tests;
