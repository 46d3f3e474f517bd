//! Retained messages of QoS 0 that are not yet written. They promise nothing to anybody, so several of a topic are
//! written as one, and none of them waits in a ticket.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::clock::Monotonic;
use crate::broker::Change;
use crate::broker::state::Retained;
use crate::mqtt::{QoS, TopicName};

/// The newest retained message of each topic, where its QoS is 0.
#[derive(Debug, Default)]
pub(super) struct Late {
    messages: BTreeMap<TopicName, Retained>,
    /// When the first of them was recorded; `None` while there is none.
    since: Option<Monotonic>,
}

impl Late {
    /// Records a retained message of QoS 0, or drops the one that `change` replaces.
    pub(super) fn record(&mut self, change: &Change, now: Monotonic) {
        match change {
            Change::Retained { message, qos: QoS::AtMostOnce, owner } => {
                let retained = Retained { message: message.clone(), qos: QoS::AtMostOnce, owner: owner.clone() };
                self.messages.insert(message.topic.clone(), retained);
                self.since.get_or_insert(now);
            }
            Change::Retained { message, .. } => self.drop(&message.topic),
            Change::RetainedCleared { topic } => self.drop(topic),
            _ => {}
        }
    }

    fn drop(&mut self, topic: &TopicName) {
        self.messages.remove(topic);
        if self.messages.is_empty() {
            self.since = None;
        }
    }

    /// When they must be written: `coalesce` after the first of them was recorded.
    pub(super) fn due(&self, coalesce: Duration) -> Option<Monotonic> {
        self.since.map(|since| since + coalesce)
    }

    /// The messages by topic.
    pub(super) fn messages(&self) -> impl Iterator<Item = (&TopicName, &Retained)> {
        self.messages.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Forgets the messages: they are written.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::broker::{Message, Owner};

    const COALESCE: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_secs(seconds))
    }

    fn topic(name: &str) -> TopicName {
        TopicName::new(name).unwrap()
    }

    fn retained(name: &str, payload: &'static str, qos: QoS) -> Change {
        let message = Arc::new(Message::new(topic(name), payload.into()));
        Change::Retained { message, qos, owner: Owner::Anonymous }
    }

    fn payloads(late: &Late) -> Vec<&[u8]> {
        late.messages().map(|(_, retained)| &retained.message.payload[..]).collect()
    }

    #[test]
    fn the_newest_of_each_topic_is_due_a_fixed_time_after_the_first() {
        let mut late = Late::default();
        for (seconds, name, payload) in [(5, "t", "a"), (6, "u", "b"), (7, "t", "c")] {
            late.record(&retained(name, payload, QoS::AtMostOnce), at(seconds));
        }
        assert_eq!((late.due(COALESCE), payloads(&late)), (Some(at(35)), vec![&b"c"[..], b"b"]));
        late.clear();
        assert_eq!((late.due(COALESCE), payloads(&late)), (None, vec![]));
    }

    #[test]
    fn a_newer_message_of_qos_1_or_a_cleared_topic_drops_the_late_message() {
        let replacements = [retained("t", "b", QoS::AtLeastOnce), Change::RetainedCleared { topic: topic("t") }];
        for replacement in replacements {
            let mut late = Late::default();
            late.record(&retained("t", "a", QoS::AtMostOnce), at(5));
            late.record(&replacement, at(6));
            assert_eq!((late.due(COALESCE), payloads(&late)), (None, vec![]));
        }
    }
}
