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

use super::message::Granted;
use super::session::SessionKey;
use super::share::{Group, Groups, Rank};
use crate::mqtt::TopicFilter;

/// The tree of all subscriptions.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    root: Node,
    count: usize,
}

/// One session's subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) session: SessionKey,
    pub(super) granted: Granted,
}

/// Those whose filters end in one place.
#[derive(Debug, Default)]
struct Subscribers {
    /// Sorted by session, so that one session stands once.
    own: Vec<Match>,
    shared: Option<Box<Groups>>,
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
    /// One member of each group, with the group's filter.
    pub(super) shared: Vec<(Match, TopicFilter)>,
}

impl Subscriptions {
    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Adds a subscription, or replaces the session's earlier one with an equal filter [MQTT-3.8.4-3].
    pub(super) fn insert(&mut self, filter: &TopicFilter, session: SessionKey, granted: Granted) {
        let subscribers = self.root.subscribers_mut(levels(filter));
        let is_new = match shared(filter) {
            Some(_) => subscribers.shared.get_or_insert_default().insert(filter, Match { session, granted }),
            None => insert(&mut subscribers.own, Match { session, granted }),
        };
        self.count += usize::from(is_new);
    }

    /// Takes a subscription away, and the nodes that only it needed.
    pub(super) fn remove(&mut self, filter: &TopicFilter, session: SessionKey) {
        let was_there = self.root.remove(levels(filter), &mut |subscribers| match shared(filter) {
            Some(_) => subscribers.remove_member(filter, session),
            None => remove(&mut subscribers.own, session),
        });
        self.count -= usize::from(was_there);
    }

    /// Puts what matches `topic` into `found`; of each group the member whose turn it is among those of the highest
    /// `rank`. Cost: the levels of `topic`, and those found; other subscriptions cost nothing.
    pub(super) fn collect(&mut self, topic: &str, found: &mut Found, rank: &dyn Fn(SessionKey) -> Rank) {
        let mut lists = 0;
        // a wildcard in the first level leaves names that begin with $ alone [MQTT-4.7.2-1]
        let wildcards = !topic.starts_with('$');
        self.root.collect(topic.split('/'), wildcards, &mut |subscribers| {
            lists += usize::from(!subscribers.own.is_empty());
            found.own.extend_from_slice(&subscribers.own);
            if let Some(groups) = &mut subscribers.shared {
                found.shared.extend(groups.iter_mut().filter_map(|group| group.pick(rank)));
            }
        });
        if lists > 1 {
            found.own.sort_unstable_by_key(|found| found.session);
        }
    }

    /// Another member of the group that shares `filter`; `None` when nobody is left who may have the message.
    pub(super) fn pick(&mut self, filter: &TopicFilter, rank: &dyn Fn(SessionKey) -> Rank) -> Option<Match> {
        let subscribers = self.root.find_mut(levels(filter))?;
        subscribers.shared.as_mut()?.get_mut(filter)?.pick(rank).map(|(found, _)| found)
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

/// Adds `entry` or replaces the session's earlier one; tells whether it is new.
pub(super) fn insert(entries: &mut Vec<Match>, entry: Match) -> bool {
    match entries.binary_search_by_key(&entry.session, |entry| entry.session) {
        Ok(place) => {
            if let Some(earlier) = entries.get_mut(place) {
                *earlier = entry;
            }
            false
        }
        Err(place) => {
            entries.insert(place, entry);
            true
        }
    }
}

/// Takes the session's entry away; tells whether there was one.
pub(super) fn remove(entries: &mut Vec<Match>, session: SessionKey) -> bool {
    let place = entries.binary_search_by_key(&session, |entry| entry.session);
    place.is_ok_and(|place| {
        entries.remove(place);
        true
    })
}

impl Subscribers {
    fn is_empty(&self) -> bool {
        self.own.is_empty() && self.shared.is_none()
    }

    fn remove_member(&mut self, filter: &TopicFilter, session: SessionKey) -> bool {
        let Some(groups) = &mut self.shared else { return false };
        let was_there = groups.get_mut(filter).is_some_and(|group: &mut Group| group.remove(session));
        groups.tidy();
        self.shared.take_if(|groups| groups.is_empty());
        was_there
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

    fn find_mut<'a>(&mut self, mut levels: impl Iterator<Item = &'a str>) -> Option<&mut Subscribers> {
        match levels.next() {
            None => Some(&mut self.here),
            Some("#") => Some(&mut self.below),
            Some("+") => self.any.as_mut()?.find_mut(levels),
            Some(level) => self.children.get_mut(level)?.find_mut(levels),
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
        &mut self,
        mut levels: impl Iterator<Item = &'a str> + Clone,
        wildcards: bool,
        found: &mut dyn FnMut(&mut Subscribers),
    ) {
        if wildcards {
            found(&mut self.below);
        }
        let Some(level) = levels.next() else {
            return found(&mut self.here);
        };
        if let Some(child) = self.children.get_mut(level) {
            child.collect(levels.clone(), true, found);
        }
        if let (Some(any), true) = (&mut self.any, wildcards) {
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
        let mut subscriptions = Subscriptions::default();
        for (number, text) in [(2, "a/#"), (1, "a/+"), (2, "a/b"), (1, "#")] {
            subscriptions.insert(&filter(text), key(number), granted());
        }
        let mut found = Found::default();
        subscriptions.collect("a/b", &mut found, &|_| Rank::Connected);
        let sessions: Vec<_> = found.own.iter().map(|found| found.session).collect();
        assert_eq!(sessions, [key(1), key(1), key(2), key(2)]);
        assert_eq!(subscriptions.len(), 4);
    }

    #[test]
    fn each_group_gives_one_member_and_they_take_turns() {
        let mut subscriptions = Subscriptions::default();
        for number in 1..=3 {
            subscriptions.insert(&filter("$share/g/a/+"), key(number), granted());
        }
        subscriptions.insert(&filter("$share/h/a/#"), key(3), granted());
        let mut taken = Vec::new();
        for _ in 0..6 {
            let mut found = Found::default();
            subscriptions.collect("a/b", &mut found, &|_| Rank::Connected);
            assert_eq!((found.own.len(), found.shared.len()), (0, 2));
            taken.extend(
                found.shared.iter().filter(|(_, share)| *share == filter("$share/g/a/+")).map(|(m, _)| m.session),
            );
        }
        taken.sort_unstable();
        assert_eq!(taken, [1, 1, 2, 2, 3, 3].map(key));
    }

    #[test]
    fn removed_subscriptions_leave_no_node_behind() {
        let mut subscriptions = Subscriptions::default();
        let filters = ["a/b/c", "a/+/c", "a/#", "+", "#", "$SYS/#", "$share/g/a/#", "$share/g/+"];
        for text in filters {
            subscriptions.insert(&filter(text), key(3), granted());
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
            let mut subscriptions = Subscriptions::default();
            let mut expected = Vec::new();
            for (number, text) in (0..).zip(&filters) {
                let filter = filter(text);
                subscriptions.insert(&filter, key(number), granted());
                if filter.matches(&topic) {
                    expected.push(key(number));
                }
            }
            let mut found = Found::default();
            subscriptions.collect(&topic, &mut found, &|_| Rank::Connected);
            let mut receivers: Vec<_> = found.own.iter().map(|found| found.session).collect();
            receivers.sort_unstable();
            prop_assert_eq!(receivers, expected);
        }
    }
}
