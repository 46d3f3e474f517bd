//! The last retained message of each topic (section 3.3.1.3), in a tree of topic levels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Options;
use super::message::{Message, Owner};
use crate::base::clock::Monotonic;
use crate::mqtt::{QoS, TopicFilter, TopicName};

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
    root: Node,
    count: usize,
    bytes: usize,
    /// Those that expire, by when.
    expiring: BTreeSet<(Monotonic, TopicName)>,
}

#[derive(Debug, Default)]
struct Node {
    /// In order of their names, so that a replay has one order.
    children: BTreeMap<Box<str>, Node>,
    retained: Option<Retained>,
}

impl RetainedMessages {
    /// Keeps `retained` in place of the topic's earlier one; `false` when a limit forbids it and nothing changed.
    pub(super) fn set(&mut self, retained: Retained, options: &Options) -> bool {
        let topic = retained.message.topic.clone();
        let earlier = self.root.get(topic.as_str().split('/'));
        let count = self.count + usize::from(earlier.is_none());
        let bytes = self.bytes + cost(&retained) - earlier.map_or(0, cost);
        if count > options.retained_messages_max || bytes > options.retained_bytes_max {
            return false;
        }
        (self.count, self.bytes) = (count, bytes);
        let expires = retained.message.expires;
        if let Some(earlier) = self.root.set(topic.as_str().split('/'), retained) {
            self.forget_expiry(&earlier);
        }
        self.expiring.extend(expires.map(|expires| (expires, topic)));
        true
    }

    /// The payload of the topic's message.
    pub(super) fn payload(&self, topic: &str) -> Option<&[u8]> {
        self.root.get(topic.split('/')).map(|retained| &retained.message.payload[..])
    }

    /// How many there are, and the bytes of their topics, payloads and properties.
    pub(super) const fn size(&self) -> (usize, usize) {
        (self.count, self.bytes)
    }

    /// When the first of them expires.
    pub(super) fn next_expiry(&self) -> Option<Monotonic> {
        self.expiring.first().map(|(expires, _)| *expires)
    }

    /// The topic of one that has expired.
    pub(super) fn poll_expired(&self, now: Monotonic) -> Option<TopicName> {
        self.expiring.first().filter(|(expires, _)| *expires <= now).map(|(_, topic)| topic.clone())
    }

    fn forget_expiry(&mut self, retained: &Retained) {
        if let Some(expires) = retained.message.expires {
            self.expiring.remove(&(expires, retained.message.topic.clone()));
        }
    }

    /// Forgets the topic's message; `false` when there was none.
    pub(super) fn clear(&mut self, topic: &str) -> bool {
        let Some(retained) = self.root.take(topic.split('/')) else { return false };
        self.forget_expiry(&retained);
        self.count -= 1;
        self.bytes -= cost(&retained);
        true
    }

    /// Those whose topics match `filter`, in the order of their topics. Cost: the nodes that the filter can reach.
    pub(super) fn matching(&self, filter: &TopicFilter) -> Vec<Retained> {
        let mut found = Vec::new();
        self.root.collect(filter.as_str().split('/'), true, &mut found);
        found
    }
}

impl Node {
    fn get<'a>(&self, mut levels: impl Iterator<Item = &'a str>) -> Option<&Retained> {
        match levels.next() {
            None => self.retained.as_ref(),
            Some(level) => self.children.get(level)?.get(levels),
        }
    }

    /// Gives the earlier one.
    fn set<'a>(&mut self, mut levels: impl Iterator<Item = &'a str>, retained: Retained) -> Option<Retained> {
        match levels.next() {
            None => self.retained.replace(retained),
            Some(level) => self.children.entry(level.into()).or_default().set(levels, retained),
        }
    }

    fn take<'a>(&mut self, mut levels: impl Iterator<Item = &'a str>) -> Option<Retained> {
        let Some(level) = levels.next() else { return self.retained.take() };
        let child = self.children.get_mut(level)?;
        let taken = child.take(levels);
        if child.retained.is_none() && child.children.is_empty() {
            self.children.remove(level);
        }
        taken
    }

    fn collect<'a>(
        &self,
        mut levels: impl Iterator<Item = &'a str> + Clone,
        is_first_level: bool,
        found: &mut Vec<Retained>,
    ) {
        match levels.next() {
            None => found.extend(self.retained.clone()),
            Some("#") => self.collect_below(is_first_level, found),
            Some("+") => {
                for child in self.wildcard_children(is_first_level) {
                    child.collect(levels.clone(), false, found);
                }
            }
            Some(level) => {
                if let Some(child) = self.children.get(level) {
                    child.collect(levels, false, found);
                }
            }
        }
    }

    fn collect_below(&self, is_first_level: bool, found: &mut Vec<Retained>) {
        found.extend(self.retained.clone());
        for child in self.wildcard_children(is_first_level) {
            child.collect_below(false, found);
        }
    }

    /// The children that a wildcard reaches: in the first level not those with a `$` in front [MQTT-4.7.2-1].
    fn wildcard_children(&self, is_first_level: bool) -> impl Iterator<Item = &Node> {
        let hidden = move |name: &str| is_first_level && name.starts_with('$');
        self.children.iter().filter(move |(name, _)| !hidden(name)).map(|(_, child)| child)
    }
}

fn cost(retained: &Retained) -> usize {
    retained.message.bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn retained(topic: &str) -> Retained {
        let message = Message::new(TopicName::new(topic).unwrap(), "x".into());
        Retained { message: Arc::new(message), qos: QoS::AtMostOnce, owner: Owner::Anonymous }
    }

    #[test]
    fn limits_count_topics_and_bytes_and_clearing_gives_room() {
        let options = Options { retained_messages_max: 2, retained_bytes_max: 5, ..Options::default() };
        let mut store = RetainedMessages::default();
        assert!(store.set(retained("a"), &options));
        assert!(store.set(retained("b"), &options));
        assert!(!store.set(retained("c"), &options));
        assert!(store.set(retained("b"), &options));
        assert!(store.clear("a"));
        assert!(!store.clear("a"));
        assert!(!store.set(retained("long/topic"), &options));
        assert!(store.set(retained("c"), &options));
    }

    proptest! {
        #[test]
        fn the_tree_agrees_with_matching_one_topic_at_a_time(
            topics in prop::collection::btree_set("\\$?[ab](/[ab]?){0,3}", 0..12),
            filter in "(\\$?[ab]|\\+|#)|(\\$?[ab]|\\+)(/([ab]?|\\+)){0,3}(/#)?",
        ) {
            let mut store = RetainedMessages::default();
            for topic in &topics {
                store.set(retained(topic), &Options::default());
            }
            let filter = TopicFilter::new(&filter).unwrap();
            let mut found: Vec<_> = store.matching(&filter).iter().map(|r| r.message.topic.to_string()).collect();
            found.sort();
            let expected: Vec<_> = topics.into_iter().filter(|topic| filter.matches(topic)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
