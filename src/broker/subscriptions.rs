//! Who gets what: a tree of topic levels, one step a level.
//!
//! | filter | ends at |
//! |---|---|
//! | `a/b` | node `a` → `b`, in `here` |
//! | `a/+` | node `a` → the `+` child, in `here` |
//! | `a/#` | node `a`, in `below`: catches `a` itself and all under it |
//! | `$share/g/a/b` | as `a/b`, among the groups there |

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::hash::TextHash;
use super::members::{Match, Members};
use super::message::Granted;
use super::session::SessionKey;
use super::share::{GroupKey, Groups, Presence};
use crate::mqtt::TopicFilter;

/// The tree of all subscriptions.
#[derive(Debug)]
pub(super) struct Subscriptions {
    root: Node,
    groups: Groups,
    hash: TextHash,
    count: usize,
}

/// Those whose filters end in one place.
#[derive(Debug, Default)]
struct Subscribers {
    own: Members,
    groups: Vec<GroupKey>,
}

#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<str>, Node, FixedState>,
    any: Option<Box<Node>>,
    here: Subscribers,
    below: Subscribers,
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
        Self { root: Node::default(), groups: Groups::default(), hash: TextHash::new(seed), count: 0 }
    }

    /// Adds a subscription, or replaces the session's earlier one with an equal filter [MQTT-3.8.4-3]. `presence` of
    /// its client matters to a shared subscription alone.
    pub(super) fn insert(&mut self, filter: &TopicFilter, session: SessionKey, granted: Granted, presence: Presence) {
        let member = Match { session, granted };
        let is_new = if shared(filter).is_none() {
            self.root.subscribers_mut(levels(filter)).own.insert(member).is_none()
        } else {
            self.insert_member(filter, member, presence)
        };
        self.count += usize::from(is_new);
    }

    fn insert_member(&mut self, filter: &TopicFilter, member: Match, presence: Presence) -> bool {
        let group = self.groups.find(filter, &self.hash).unwrap_or_else(|| {
            let list = &mut self.root.subscribers_mut(levels(filter)).groups;
            let group = self.groups.add(filter, list.len(), &self.hash);
            list.push(group);
            group
        });
        self.groups.get_mut(group).is_some_and(|group| group.insert(member, presence))
    }

    /// Removes a subscription, and the nodes that only it needed.
    pub(super) fn remove(&mut self, filter: &TopicFilter, session: SessionKey) {
        let removed = if shared(filter).is_none() {
            self.root.remove(levels(filter), &mut |subscribers| subscribers.own.remove(session).is_some())
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
            root.remove(levels(filter), &mut |subscribers| {
                groups.remove(key, &mut subscribers.groups, hash);
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
        // a wildcard in the first level leaves names that begin with $ alone [MQTT-4.7.2-1]
        let wildcards = !topic.starts_with('$');
        self.root.collect(topic.split('/'), wildcards, &mut |subscribers| {
            lists += usize::from(!subscribers.own.is_empty());
            found.own.extend_from_slice(subscribers.own.as_slice());
            found.groups.extend_from_slice(&subscribers.groups);
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

/// The levels of the filter itself, behind the name of a share.
fn levels(filter: &TopicFilter) -> impl Iterator<Item = &str> {
    shared(filter).unwrap_or(filter.as_str()).split('/')
}

/// The filter behind the name of a share; `None` for one that is not shared.
fn shared(filter: &TopicFilter) -> Option<&str> {
    filter.shared().ok().flatten().map(|(_, filter)| filter)
}

impl Subscribers {
    fn is_empty(&self) -> bool {
        self.own.is_empty() && self.groups.is_empty()
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

    /// Lets `remove` take an entry from where the filter ends; gives what it gave.
    fn remove<'a>(
        &mut self,
        mut levels: impl Iterator<Item = &'a str>,
        remove: &mut dyn FnMut(&mut Subscribers) -> bool,
    ) -> bool {
        match levels.next() {
            None => remove(&mut self.here),
            Some("#") => remove(&mut self.below),
            Some("+") => {
                let removed = self.any.as_mut().is_some_and(|any| any.remove(levels, remove));
                self.any.take_if(|any| any.is_empty());
                removed
            }
            Some(level) => {
                let Some(child) = self.children.get_mut(level) else { return false };
                let removed = child.remove(levels, remove);
                if child.is_empty() {
                    self.children.remove(level);
                }
                removed
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
