//! The subscriptions of all sessions, found by topic (section 4.7).
//!
//! - Holds the tree of filters (`trie.rs`) and the groups that share some of them (`../share.rs`). A shared filter is in
//!   the tree without `$share` and its name.
//! - Finds what matches a topic without a change; whose turn it is in a group is a separate step.
//! - Never knows what a session may read or whether its client is connected, beyond what its caller tells it.

pub(super) mod cost;
mod trie;

use super::hash::TextHash;
use super::members::Match;
use super::message::Granted;
use super::session::SessionKey;
use super::share::{GroupKey, Groups, Presence};
use crate::mqtt::TopicFilter;
use trie::Branches;

/// All subscriptions.
#[derive(Debug)]
pub(super) struct Subscriptions {
    root: Branches,
    groups: Groups,
    hash: TextHash,
    count: usize,
}

/// Subscriptions that a topic matches.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By session; a session stands once for each of its filters that match.
    pub(super) own: Vec<Match>,
    /// Groups, of each of which one member receives the message.
    pub(super) groups: Vec<GroupKey>,
}

impl Subscriptions {
    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Makes an empty tree whose tables are hashed with a function made from `seed`.
    pub(super) fn new(seed: u64) -> Self {
        Self { root: Branches::default(), groups: Groups::default(), hash: TextHash::new(seed), count: 0 }
    }

    /// Adds a subscription, or replaces the session's earlier one with an equal filter [MQTT-3.8.4-3]. `presence` of
    /// its client matters to a shared subscription alone.
    pub(super) fn insert(&mut self, filter: &TopicFilter, session: SessionKey, granted: Granted, presence: Presence) {
        let member = Match { session, granted };
        let is_new = if shared(filter).is_none() {
            self.root.insert(plain(filter), &self.hash).members.insert(member).is_none()
        } else {
            self.insert_member(filter, member, presence)
        };
        self.count += usize::from(is_new);
    }

    fn insert_member(&mut self, filter: &TopicFilter, member: Match, presence: Presence) -> bool {
        let group = self.groups.find(filter, &self.hash).unwrap_or_else(|| {
            let list = self.root.insert(plain(filter), &self.hash).groups_mut();
            let group = self.groups.add(filter, list.len(), &self.hash);
            list.push(group);
            group
        });
        self.groups.get_mut(group).is_some_and(|group| group.insert(member, presence))
    }

    /// Removes a subscription, and the nodes that only it needed.
    pub(super) fn remove(&mut self, filter: &TopicFilter, session: SessionKey) {
        let removed = if shared(filter).is_none() {
            self.root.remove(plain(filter), &self.hash, &mut |node| node.members.remove(session).is_some())
        } else {
            self.remove_member(filter, session)
        };
        self.count -= usize::from(removed);
    }

    fn remove_member(&mut self, filter: &TopicFilter, session: SessionKey) -> bool {
        let Self { root, groups, hash, .. } = self;
        let Some(key) = groups.find(filter, hash) else { return false };
        let Some(group) = groups.get_mut(key) else { return false };
        let removed = group.remove(session);
        if group.is_empty() {
            root.remove(plain(filter), hash, &mut |node| {
                groups.remove(key, node.groups_mut(), hash);
                true
            });
        }
        removed
    }

    /// Records that the client of a session with the shared subscription `filter` has connected or is gone; changes
    /// nothing for other filters.
    pub(super) fn set_presence(&mut self, filter: &TopicFilter, session: SessionKey, presence: Presence) {
        if shared(filter).is_none() {
            return;
        }
        if let Some(group) = self.group(filter).and_then(|key| self.groups.get_mut(key)) {
            group.set_presence(session, presence);
        }
    }

    /// Adds what matches `topic` to `found`. Cost: the levels of `topic`, and what is found; other subscriptions cost
    /// nothing.
    pub(super) fn collect(&self, topic: &str, found: &mut Found) {
        let mut lists = 0;
        self.root.collect(topic, &self.hash, &mut |node| {
            lists += usize::from(!node.members.is_empty());
            found.own.extend_from_slice(node.members.as_slice());
            found.groups.extend_from_slice(node.groups());
        });
        if lists > 1 {
            found.own.sort_unstable_by_key(|found| found.session);
        }
    }

    /// Returns the group that shares `filter`, its name included.
    pub(super) fn group(&self, filter: &TopicFilter) -> Option<GroupKey> {
        self.groups.find(filter, &self.hash)
    }

    /// Returns the filter of a group, its name included.
    pub(super) fn group_filter(&self, group: GroupKey) -> Option<&TopicFilter> {
        self.groups.filter(group)
    }

    /// Returns the member of a group that [`Subscriptions::pick`] would return, and changes nothing.
    pub(super) fn peek(&self, group: GroupKey, may_read: &dyn Fn(SessionKey) -> bool) -> Option<Match> {
        self.groups.peek(group, may_read)
    }

    /// Returns the member of a group whose turn it is among those that `may_read`, a connected one if there is any, and
    /// ends its turn.
    pub(super) fn pick(&mut self, group: GroupKey, may_read: &dyn Fn(SessionKey) -> bool) -> Option<Match> {
        self.groups.pick(group, may_read)
    }
}

#[cfg(test)]
impl Subscriptions {
    /// Returns the bytes of memory that the tree and the groups use.
    fn bytes(&self) -> usize {
        self.root.bytes() + self.groups.bytes()
    }
}

/// Returns the filter behind the name of a share; a filter that is not shared as it is.
fn plain(filter: &TopicFilter) -> &str {
    shared(filter).unwrap_or(filter.as_str())
}

/// Returns the filter behind the name of a share; `None` for one that is not shared.
fn shared(filter: &TopicFilter) -> Option<&str> {
    filter.shared().ok().flatten().map(|(_, filter)| filter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::QoS;
    use proptest::prelude::*;

    fn key(number: u32) -> SessionKey {
        slotmap::KeyData::from_ffi((1 << 32) | u64::from(number)).into()
    }

    fn filter(text: &str) -> TopicFilter {
        TopicFilter::new(text).unwrap()
    }

    fn granted() -> Granted {
        Granted::new(QoS::AtMostOnce)
    }

    #[test]
    fn overlapping_filters_stand_beside_each_other_by_session() {
        let mut subscriptions = Subscriptions::new(1);
        for (number, text) in [(2, "a/#"), (1, "a/+"), (2, "a/b"), (1, "#")] {
            subscriptions.insert(&filter(text), key(number), granted(), Presence::Connected);
        }
        let mut found = Found::default();
        subscriptions.collect("a/b", &mut found);
        let sessions: Vec<_> = found.own.iter().map(|found| found.session).collect();
        assert_eq!(sessions, [key(1), key(1), key(2), key(2)]);
        assert_eq!(subscriptions.len(), 4);
    }

    #[test]
    fn each_group_gives_one_member_and_they_take_turns() {
        let mut subscriptions = Subscriptions::new(1);
        for number in 1..=3 {
            subscriptions.insert(&filter("$share/g/a/+"), key(number), granted(), Presence::Connected);
        }
        subscriptions.insert(&filter("$share/h/a/#"), key(3), granted(), Presence::Connected);
        let mut taken = Vec::new();
        for _ in 0..6 {
            let mut found = Found::default();
            subscriptions.collect("a/b", &mut found);
            assert_eq!((found.own.len(), found.groups.len()), (0, 2));
            for group in found.groups {
                let picked = subscriptions.pick(group, &|_| true).unwrap().session;
                if subscriptions.group_filter(group) == Some(&filter("$share/g/a/+")) {
                    taken.push(picked);
                }
            }
        }
        taken.sort_unstable();
        assert_eq!(taken, [1, 1, 2, 2, 3, 3].map(key));
    }

    #[test]
    fn removed_subscriptions_leave_no_node_behind() {
        let mut subscriptions = Subscriptions::new(1);
        let filters = ["a/b/c", "a/+/c", "a/#", "+", "#", "$SYS/#", "$share/g/a/#", "$share/g/+"];
        for text in filters {
            subscriptions.insert(&filter(text), key(3), granted(), Presence::Connected);
        }
        for text in filters {
            subscriptions.remove(&filter(text), key(3));
        }
        assert!(subscriptions.root.is_empty());
        assert_eq!(subscriptions.len(), 0);
    }

    proptest! {
        #[test]
        fn the_tree_agrees_with_matching_one_filter_at_a_time(
            filters in prop::collection::vec("(\\$?[ab]|\\+)(/([ab]?|\\+)){0,3}(/#)?", 0..12),
            topic in "\\$?[ab](/[ab]?){0,3}",
        ) {
            let mut subscriptions = Subscriptions::new(1);
            let mut expected = Vec::new();
            for (number, text) in (0..).zip(&filters) {
                let filter = filter(text);
                subscriptions.insert(&filter, key(number), granted(), Presence::Connected);
                if filter.matches(&topic) {
                    expected.push(key(number));
                }
            }
            let mut found = Found::default();
            subscriptions.collect(&topic, &mut found);
            let mut receivers: Vec<_> = found.own.iter().map(|found| found.session).collect();
            receivers.sort_unstable();
            prop_assert_eq!(receivers, expected);
        }
    }
}
