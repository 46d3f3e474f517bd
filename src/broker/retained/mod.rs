//! The last retained message of each topic (section 3.3.1.3).
//!
//! - Holds the messages in one map in the order of topic levels, and the order in which they expire. A message costs its
//!   own bytes and one entry of the map, however many levels its topic has.
//! - Never limits anything: the caller decides with [`cost`] what may be kept.
//! - A SUBSCRIBE reads them with [`RetainedMessages::next_match`], in slices.
//!
//! Start reading in `walk.rs`; `filters.rs` matches one topic with many filters, `order.rs` is the order of the map.

mod filters;
mod order;
mod walk;

pub(super) use filters::FilterSet;
pub(super) use walk::{Position, Walk};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::memory::{ALLOCATION, ARC, tree_entry};
use super::message::{Message, Owner};
use crate::base::clock::Monotonic;
use crate::mqtt::{QoS, TopicName};
use order::{AsTopic, TopicKey, TopicStr};

/// A retained message with the quality of service it was published with.
#[derive(Clone, Debug)]
pub(super) struct Retained {
    pub(super) message: Arc<Message>,
    pub(super) qos: QoS,
    /// Whose share of the retained messages it counts towards.
    pub(super) owner: Owner,
}

/// All retained messages.
#[derive(Debug, Default)]
pub(super) struct RetainedMessages {
    messages: BTreeMap<TopicKey, Retained>,
    /// Bytes of all topics, payloads and properties.
    bytes: usize,
    /// Times at which messages expire, with their topics.
    expiring: BTreeSet<(Monotonic, TopicName)>,
}

impl RetainedMessages {
    /// Keeps `retained` as the message of its topic and returns the message that it replaces.
    pub(super) fn set(&mut self, retained: Retained) -> Option<Retained> {
        let topic = retained.message.topic.clone();
        self.bytes += retained.message.bytes();
        let expires = retained.message.expires;
        // a replaced entry keeps its old key, and with it the old topic's allocation
        let replaced = self.clear(topic.as_str());
        self.expiring.extend(expires.map(|expires| (expires, topic.clone())));
        self.messages.insert(TopicKey(topic), retained);
        replaced
    }

    /// Removes and returns the topic's message.
    pub(super) fn clear(&mut self, topic: &str) -> Option<Retained> {
        let cleared = self.messages.remove(&TopicStr(topic) as &dyn AsTopic)?;
        if let Some(expires) = cleared.message.expires {
            self.expiring.remove(&(expires, cleared.message.topic.clone()));
        }
        self.bytes -= cleared.message.bytes();
        Some(cleared)
    }

    /// Returns the topic's message.
    pub(super) fn get(&self, topic: &str) -> Option<&Retained> {
        self.messages.get(&TopicStr(topic) as &dyn AsTopic)
    }

    /// Returns the number of messages.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Returns the bytes of all topics, payloads and properties.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns when the first message expires.
    pub(super) fn next_expiry(&self) -> Option<Monotonic> {
        self.expiring.first().map(|(expires, _)| *expires)
    }

    /// Returns the topic of a message that has expired.
    pub(super) fn poll_expired(&self, now: Monotonic) -> Option<TopicName> {
        self.expiring.first().filter(|(expires, _)| *expires <= now).map(|(_, topic)| topic.clone())
    }
}

/// Bytes of memory that a retained message uses beside the bytes of its topic, payload and properties.
pub(super) const RETAINED_COST: usize = {
    // a payload that is shared has an owner: a vector's pointer and capacity, and a counter
    let payload = 3 * size_of::<usize>() + 2 * ALLOCATION;
    ARC + size_of::<Message>() + ARC + payload + tree_entry::<(TopicKey, Retained)>()
};

/// Bytes of memory that properties use beside their own bytes: as those of a payload.
const PROPERTIES_COST: usize = 3 * size_of::<usize>() + 2 * ALLOCATION;

/// Bytes of memory that the entry for the expiry uses.
const EXPIRY_COST: usize = tree_entry::<(Monotonic, TopicName)>();

/// Returns the bytes of memory that a retained message uses: [`RETAINED_COST`] and what depends on the message.
pub(super) fn cost(retained: &Retained) -> usize {
    let Message { topic, payload, properties, expires } = &*retained.message;
    cost_of(topic.as_str().len() + payload.len(), properties.as_bytes().len(), expires.is_some())
}

/// Returns the bytes of memory that a message uses whose topic and payload have `bytes` together.
pub(super) fn cost_of(bytes: usize, properties_bytes: usize, expires: bool) -> usize {
    let properties = if properties_bytes == 0 { 0 } else { PROPERTIES_COST + properties_bytes };
    RETAINED_COST + bytes + properties + if expires { EXPIRY_COST } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    pub(super) fn retained(topic: &str) -> Retained {
        let message = Message::new(TopicName::new(topic).unwrap(), "x".into());
        Retained { message: Arc::new(message), qos: QoS::AtMostOnce, owner: Owner::Anonymous }
    }

    fn expiring(topic: &str, seconds: u64) -> Retained {
        let expires = Some(Monotonic::from_boot(Duration::from_secs(seconds)));
        let message = Message { expires, ..Message::new(TopicName::new(topic).unwrap(), "x".into()) };
        Retained { message: Arc::new(message), qos: QoS::AtMostOnce, owner: Owner::Anonymous }
    }

    #[test]
    fn a_message_replaces_the_one_of_its_topic_alone_and_both_are_counted() {
        let mut store = RetainedMessages::default();
        assert!(store.set(retained("a")).is_none());
        assert!(store.set(retained("a/b")).is_none());
        assert_eq!((store.len(), store.bytes()), (2, 2 + 4));
        let longer = Message::new(TopicName::new("a").unwrap(), "longer".into());
        let replaced =
            store.set(Retained { message: Arc::new(longer), qos: QoS::AtLeastOnce, owner: Owner::Anonymous });
        assert_eq!(&replaced.unwrap().message.payload[..], b"x");
        assert_eq!((store.len(), store.bytes()), (2, 7 + 4));
        assert_eq!(store.get("a").map(|retained| &retained.message.payload[..]), Some(&b"longer"[..]));
        assert_eq!(store.clear("a").map(|cleared| cleared.qos), Some(QoS::AtLeastOnce));
        assert!(store.clear("a").is_none() && store.get("a").is_none());
        assert_eq!((store.len(), store.bytes()), (1, 4));
    }

    #[test]
    fn only_the_latest_message_of_a_topic_expires() {
        let mut store = RetainedMessages::default();
        store.set(expiring("a", 5));
        store.set(expiring("b", 7));
        store.set(expiring("a", 9));
        let at = |seconds| Monotonic::from_boot(Duration::from_secs(seconds));
        assert_eq!(store.next_expiry(), Some(at(7)));
        assert_eq!(store.poll_expired(at(6)), None);
        assert_eq!(store.poll_expired(at(7)), TopicName::new("b").ok());
        store.clear("b");
        store.set(retained("a"));
        assert_eq!(store.next_expiry(), None);
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_retained_message_costs_its_bytes_and_a_few_hundred_more() {
        const { assert!(RETAINED_COST <= 480) };
        assert_eq!(cost(&retained("abc")), RETAINED_COST + 4);
        // 10 000 topics of 127 levels: less than 6 MB
        assert!(10_000 * cost(&retained(&format!("1234{}", "/".repeat(127)))) < 6_000_000);
        assert_eq!(cost(&expiring("abc", 1)), RETAINED_COST + 4 + EXPIRY_COST);
    }
}
