//! Who gets what: a tree of topic levels, one step a level.
//!
//! | filter | ends at |
//! |---|---|
//! | `a/b` | node `a` → `b`, in `here` |
//! | `a/+` | node `a` → the `+` child, in `here` |
//! | `a/#` | node `a`, in `below`: catches `a` itself and all under it |

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::session::SessionKey;
use crate::mqtt::{QoS, TopicFilter};

/// The tree of all subscriptions.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    root: Node,
}

/// Sorted by session, so that one session stands once.
type Subscribers = Vec<(SessionKey, QoS)>;

#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<str>, Node, FixedState>,
    any: Option<Box<Node>>,
    here: Subscribers,
    below: Subscribers,
}

impl Subscriptions {
    /// Adds a subscription, or replaces the session's earlier one with an equal filter [MQTT-3.8.4-3].
    pub(super) fn insert(&mut self, filter: &TopicFilter, session: SessionKey, qos: QoS) {
        let subscribers = self.root.subscribers_mut(filter.as_str().split('/'));
        match subscribers.binary_search_by_key(&session, |entry| entry.0) {
            Ok(place) => {
                if let Some(entry) = subscribers.get_mut(place) {
                    entry.1 = qos;
                }
            }
            Err(place) => subscribers.insert(place, (session, qos)),
        }
    }

    /// Takes a subscription away, and the nodes that only it needed.
    pub(super) fn remove(&mut self, filter: &TopicFilter, session: SessionKey) {
        self.root.remove(filter.as_str().split('/'), session);
    }

    /// Puts every session with a matching subscription into `receivers`, once, with the highest granted QoS
    /// [MQTT-3.3.5-1]. Cost: the levels of `topic`, and those found; other subscriptions cost nothing.
    pub(super) fn collect(&self, topic: &str, receivers: &mut Vec<(SessionKey, QoS)>) {
        let mut lists = 0;
        // a wildcard in the first level leaves names that begin with $ alone [MQTT-4.7.2-1]
        let wildcards = !topic.starts_with('$');
        self.root.collect(topic.split('/'), wildcards, &mut |subscribers| {
            lists += usize::from(!subscribers.is_empty());
            receivers.extend_from_slice(subscribers);
        });
        if lists > 1 {
            receivers.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
            receivers.dedup_by_key(|entry| entry.0);
        }
    }
}

impl Node {
    fn subscribers_mut<'a>(&mut self, mut levels: impl Iterator<Item = &'a str>) -> &mut Subscribers {
        match levels.next() {
            None => &mut self.here,
            Some("#") => &mut self.below,
            Some("+") => self.any.get_or_insert_default().subscribers_mut(levels),
            Some(level) => self.children.entry(level.into()).or_default().subscribers_mut(levels),
        }
    }

    fn remove<'a>(&mut self, mut levels: impl Iterator<Item = &'a str>, session: SessionKey) {
        match levels.next() {
            None => self.here.retain(|entry| entry.0 != session),
            Some("#") => self.below.retain(|entry| entry.0 != session),
            Some("+") => {
                if let Some(any) = &mut self.any {
                    any.remove(levels, session);
                }
                self.any.take_if(|any| any.is_empty());
            }
            Some(level) => {
                let Some(child) = self.children.get_mut(level) else { return };
                child.remove(levels, session);
                if child.is_empty() {
                    self.children.remove(level);
                }
            }
        }
    }

    fn collect<'a>(
        &self,
        mut levels: impl Iterator<Item = &'a str> + Clone,
        wildcards: bool,
        found: &mut dyn FnMut(&Subscribers),
    ) {
        if wildcards {
            found(&self.below);
        }
        let Some(level) = levels.next() else {
            return found(&self.here);
        };
        if let Some(child) = self.children.get(level) {
            child.collect(levels.clone(), true, found);
        }
        if let (Some(any), true) = (&self.any, wildcards) {
            any.collect(levels, true, found);
        }
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.any.is_none() && self.here.is_empty() && self.below.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(number: u32) -> SessionKey {
        slotmap::KeyData::from_ffi((1 << 32) | u64::from(number)).into()
    }

    fn filter(text: &str) -> TopicFilter {
        TopicFilter::new(text).unwrap()
    }

    #[test]
    fn overlapping_filters_give_one_delivery_with_the_highest_qos() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.insert(&filter("a/#"), key(1), QoS::AtLeastOnce);
        subscriptions.insert(&filter("a/+"), key(1), QoS::ExactlyOnce);
        subscriptions.insert(&filter("a/b"), key(1), QoS::AtMostOnce);
        let mut receivers = Vec::new();
        subscriptions.collect("a/b", &mut receivers);
        assert_eq!(receivers, [(key(1), QoS::ExactlyOnce)]);
    }

    #[test]
    fn removed_subscriptions_leave_no_node_behind() {
        let mut subscriptions = Subscriptions::default();
        let filters = ["a/b/c", "a/+/c", "a/#", "+", "#", "$SYS/#"];
        for text in filters {
            subscriptions.insert(&filter(text), key(3), QoS::AtMostOnce);
        }
        for text in filters {
            subscriptions.remove(&filter(text), key(3));
        }
        assert!(subscriptions.root.is_empty());
    }

    proptest! {
        #[test]
        fn the_tree_agrees_with_matching_one_filter_at_a_time(
            filters in prop::collection::vec("(\\$?[ab]|\\+)(/([ab]?|\\+)){0,3}(/#)?", 0..12),
            topic in "\\$?[ab](/[ab]?){0,3}",
        ) {
            let mut subscriptions = Subscriptions::default();
            let mut expected = Vec::new();
            for (number, text) in (0..).zip(&filters) {
                let filter = filter(text);
                subscriptions.insert(&filter, key(number), QoS::AtMostOnce);
                if filter.matches(&topic) {
                    expected.push((key(number), QoS::AtMostOnce));
                }
            }
            let mut receivers = Vec::new();
            subscriptions.collect(&topic, &mut receivers);
            receivers.sort_unstable();
            prop_assert_eq!(receivers, expected);
        }
    }
}
