//! A bridge to another MQTT broker: which messages cross, under which names, and what they may be there.

mod echo;
mod loops;
mod profile;
mod rule;

pub use loops::{Loop, find_loops, find_loops_within};
pub use profile::{Lint, Profile};
pub use rule::{Direction, Rule, RuleError};

use bytes::Bytes;

use super::lane::Entry;
use super::stamps::Now;
use super::work::{Draw, Receive, stamped};
use crate::client::{Message, Publication, Terms};
use crate::mqtt::{ProtocolVersion, QoS, Subscription, TopicName, Will, disallowed_code_point};
use echo::Echoes;

/// What a bridge carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What crosses, by the first rule that matches.
    pub rules: Vec<Rule>,
    /// What kind of broker is there.
    pub profile: Profile,
    /// The gateway's status, and what becomes of it there when the gateway is gone; `None` when it does not cross.
    pub status: Option<Status>,
}

/// How the far side is told that the gateway is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Where, under its name there.
    pub topic: TopicName,
    /// Said on each connection.
    pub online: String,
    /// The will; empty clears the topic.
    pub offline: String,
    /// Whether it is retained.
    pub retain: bool,
}

/// The bridge at work.
#[derive(Clone, Debug)]
pub(crate) struct Bridge {
    options: Options,
    /// What was sent to a far side that sends it back.
    echoes: Echoes,
    /// What was published at a local broker that sends it back; `None` where it does not.
    local_echoes: Option<Echoes>,
}

impl Bridge {
    pub(crate) fn new(options: Options) -> Self {
        Self { options, echoes: Echoes::default(), local_echoes: None }
    }

    fn rules(&self, is_meant: impl Fn(Direction) -> bool) -> impl Iterator<Item = &Rule> {
        self.options.rules.iter().filter(move |rule| is_meant(rule.direction))
    }

    /// A connection to the far side stands.
    pub(in crate::uplink) fn handle_far_up(&mut self, terms: &Terms) {
        self.echoes.handle_connection(terms.session_present);
    }

    /// A connection to the local broker stands. An external one may be of 3.1.1.
    pub(in crate::uplink) fn handle_local_up(&mut self, terms: &Terms) {
        if terms.version.has_properties() {
            self.local_echoes = None;
        } else {
            self.local_echoes.get_or_insert_default().handle_connection(terms.session_present);
        }
    }

    /// What the first waiting message is there.
    pub(in crate::uplink) fn draw(&mut self, entry: &Entry, terms: &Terms, now: Now) -> Draw {
        let message = &entry.message;
        if let Some(echoes) = &mut self.local_echoes
            && echoes.take(&message.topic, &message.payload, now.monotonic)
        {
            return Draw::Settle { count: 1 };
        }
        let mapped = self.rules(Direction::goes_out).find_map(|rule| Some((rule.out(&message.topic)?, rule)));
        let Some((topic, rule)) = mapped else { return Draw::Settle { count: 1 } };
        if let Err(reason) = self.options.profile.check_topic(&topic) {
            return Draw::Reject { reason: format!("{topic:?}: {reason}") };
        }
        let publication = Publication {
            payload: entry.stamp.map_or_else(|| message.payload.clone(), |stamp| stamped(&message.payload, stamp)),
            qos: message.qos.min(rule.qos),
            retain: message.retain && rule.retain,
            properties: message.properties.clone(),
            expiry_s: message.expiry_s,
            topic,
        };
        if self.comes_back(&publication.topic, terms) {
            self.echoes.remember(&publication.topic, &publication.payload, now.monotonic);
        }
        Draw::Publish { publication, count: 1 }
    }

    /// Whether the far side would send to us what we publish there. Version 5 keeps it from us (no local).
    fn comes_back(&self, topic: &str, terms: &Terms) -> bool {
        !terms.version.has_properties() && self.rules(Direction::comes_in).any(|rule| rule.remote.matches(topic))
    }

    /// What a message of the far side is here.
    pub(in crate::uplink) fn receive(&mut self, message: &Message, terms: &Terms, now: Now) -> Receive {
        if self.comes_back(&message.topic, terms) && self.echoes.take(&message.topic, &message.payload, now.monotonic) {
            return Receive::Drop;
        }
        let mapped = self.rules(Direction::comes_in).find_map(|rule| Some((rule.inward(&message.topic)?, rule)));
        let Some((topic, rule)) = mapped else { return Receive::Drop };
        // some brokers accept these, ours and mosquitto end the connection
        let disallowed = disallowed_code_point(&topic).or_else(|| message.properties.as_ref().disallowed_code_point());
        if let Some(character) = disallowed {
            let number = u32::from(character);
            let reason = format!("U+{number:04X} in the topic or in a property, which the local broker refuses");
            return Receive::Reject { reason };
        }
        let publication = Publication {
            topic,
            payload: message.payload.clone(),
            qos: message.qos.min(rule.qos),
            retain: message.retain && rule.retain,
            properties: message.properties.clone(),
            expiry_s: message.expiry_s,
        };
        let comes_back = self.rules(Direction::goes_out).any(|rule| rule.local.matches(&publication.topic));
        if let Some(echoes) = self.local_echoes.as_mut().filter(|_| comes_back) {
            echoes.remember(&publication.topic, &publication.payload, now.monotonic);
        }
        Receive::Publish(publication)
    }

    pub(in crate::uplink) fn local_subscriptions(&self) -> Vec<Subscription> {
        self.rules(Direction::goes_out).map(|rule| subscription(rule, rule.local.clone())).collect()
    }

    pub(in crate::uplink) fn far_subscriptions(&self) -> Vec<Subscription> {
        self.rules(Direction::comes_in).map(|rule| subscription(rule, rule.remote.clone())).collect()
    }

    pub(in crate::uplink) fn will(&self, _version: ProtocolVersion) -> Option<Will> {
        let status = self.options.status.as_ref()?;
        let payload = Bytes::copy_from_slice(status.offline.as_bytes());
        Some(Will { qos: QoS::AtLeastOnce, retain: status.retain, ..Will::new(status.topic.clone(), payload) })
    }

    pub(in crate::uplink) fn birth(&mut self, _now: Now) -> Option<Publication> {
        self.options.status.as_ref().map(|status| presence(status, &status.online))
    }

    pub(in crate::uplink) fn farewell(&mut self, _now: Now) -> Option<Publication> {
        self.options.status.as_ref().map(|status| presence(status, &status.offline))
    }
}

/// What is said of the gateway there.
fn presence(status: &Status, said: &str) -> Publication {
    let payload = Bytes::copy_from_slice(said.as_bytes());
    Publication { retain: status.retain, ..Publication::new(status.topic.as_str().to_owned(), payload) }
}

/// Our own messages stay away, and flags stay as they are.
fn subscription(rule: &Rule, filter: crate::mqtt::TopicFilter) -> Subscription {
    Subscription { no_local: true, retain_as_published: true, ..Subscription::new(filter, rule.qos) }
}

#[cfg(test)]
mod tests;
