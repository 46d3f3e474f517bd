//! Shared subscriptions: of a group, one member receives each message (version 5, section 4.8.2).

use std::collections::HashMap;

use super::hash::{CarriedHash, HashedFilter, TextHash, shrink};
use super::members::{Match, Members};
use super::memory::{ALLOCATION, table_entry};
#[cfg(test)]
use super::memory::{allocation, table_bytes};
use super::session::SessionKey;
use crate::mqtt::TopicFilter;

/// A group, from its first member to the end of its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct GroupKey(u64);

impl GroupKey {
    /// Returns another key, of which 2^64 differ; their bits are spread as a table wants them.
    const fn next(self) -> Self {
        Self(self.0.wrapping_add(0x9e37_79b9_7f4a_7c15))
    }
}

/// Members without permission to read a topic that are skipped, among the connected and among the absent ones, before a
/// message has no receiver in a group. The group's next message begins behind those that were skipped.
pub(super) const SKIPPED_MAX: usize = 256;

/// Whether a member's client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It receives messages before absent members do.
    Connected,
    /// Messages would wait for it.
    Absent,
}

/// All groups.
#[derive(Debug)]
pub(super) struct Groups {
    by_key: HashMap<GroupKey, Box<Group>, CarriedHash>,
    by_filter: HashMap<HashedFilter, GroupKey, CarriedHash>,
    /// The key of the group that was made last.
    last: GroupKey,
}

/// An entry of each of the tables of groups, which are a quarter full at least.
pub(super) const GROUP_COST: usize = size_of::<Group>()
    + table_entry::<(GroupKey, Box<Group>)>()
    + table_entry::<(HashedFilter, GroupKey)>()
    + ALLOCATION;

impl Default for Groups {
    fn default() -> Self {
        Self { by_key: HashMap::default(), by_filter: HashMap::default(), last: GroupKey(0) }
    }
}

/// The members that share one filter under one name.
#[derive(Debug)]
pub(super) struct Group {
    /// The filter with the share's name in front of it.
    filter: TopicFilter,
    connected: Members,
    absent: Members,
    /// The member that received the last message.
    last: Option<SessionKey>,
    /// Index of this group in the list of groups with the same filter behind the name.
    index: usize,
}

impl Groups {
    /// Returns the group that shares `filter`. Cost: one look-up.
    pub(super) fn find(&self, filter: &TopicFilter, hash: &TextHash) -> Option<GroupKey> {
        self.by_filter.get(&HashedFilter::new(filter.clone(), hash)).copied()
    }

    /// Returns the filter of a group, with the share's name in front of it.
    pub(super) fn filter(&self, group: GroupKey) -> Option<&TopicFilter> {
        self.by_key.get(&group).map(|group| &group.filter)
    }

    /// Makes a group without members.
    pub(super) fn add(&mut self, filter: &TopicFilter, index: usize, hash: &TextHash) -> GroupKey {
        let (connected, absent) = (Members::default(), Members::default());
        let key = self.last.next();
        self.last = key;
        self.by_key.insert(key, Box::new(Group { filter: filter.clone(), connected, absent, last: None, index }));
        self.by_filter.insert(HashedFilter::new(filter.clone(), hash), key);
        key
    }

    /// Removes a group, which has its index in `list`, from there as well.
    pub(super) fn remove(&mut self, key: GroupKey, list: &mut Vec<GroupKey>, hash: &TextHash) {
        let Some(group) = self.by_key.remove(&key) else { return };
        self.by_filter.remove(&HashedFilter::new(group.filter, hash));
        if group.index < list.len() {
            list.swap_remove(group.index);
        }
        if let Some(moved) = list.get(group.index).and_then(|moved| self.by_key.get_mut(moved)) {
            moved.index = group.index;
        }
        shrink(&mut self.by_key);
        shrink(&mut self.by_filter);
        if list.len() * 4 < list.capacity() {
            list.shrink_to(list.len() * 2);
        }
    }

    /// Returns a group to change.
    pub(super) fn get_mut(&mut self, key: GroupKey) -> Option<&mut Group> {
        self.by_key.get_mut(&key).map(|group| &mut **group)
    }

    /// Returns the member whose turn it is among those that `may_read`, a connected one if there is any. Cost: the
    /// members that are skipped, [`SKIPPED_MAX`] at most among the connected ones and as many among the absent.
    pub(super) fn peek(&self, group: GroupKey, may_read: &dyn Fn(SessionKey) -> bool) -> Option<Match> {
        self.by_key.get(&group).and_then(|group| group.peek(may_read))
    }

    /// Returns the same member as [`Groups::peek`] and ends its turn.
    pub(super) fn pick(&mut self, group: GroupKey, may_read: &dyn Fn(SessionKey) -> bool) -> Option<Match> {
        let group = self.by_key.get_mut(&group)?;
        let picked = group.peek(may_read);
        match picked {
            Some(member) => group.last = Some(member.session),
            None => group.skip(),
        }
        picked
    }
}

impl Group {
    /// Adds a member, or replaces what it was granted; returns whether it is new.
    pub(super) fn insert(&mut self, member: Match, presence: Presence) -> bool {
        let known = self.remove(member.session);
        self.members_mut(presence).insert(member);
        !known
    }

    /// Removes a member; returns whether it was one.
    pub(super) fn remove(&mut self, session: SessionKey) -> bool {
        self.connected.remove(session).or_else(|| self.absent.remove(session)).is_some()
    }

    /// Records that a member's client has connected or is gone.
    pub(super) fn set_presence(&mut self, session: SessionKey, presence: Presence) {
        let (from, to) = match presence {
            Presence::Connected => (&mut self.absent, &mut self.connected),
            Presence::Absent => (&mut self.connected, &mut self.absent),
        };
        if let Some(member) = from.remove(session) {
            to.insert(member);
        }
    }

    /// Returns whether it has no member.
    pub(super) fn is_empty(&self) -> bool {
        self.connected.is_empty() && self.absent.is_empty()
    }

    fn members_mut(&mut self, presence: Presence) -> &mut Members {
        match presence {
            Presence::Connected => &mut self.connected,
            Presence::Absent => &mut self.absent,
        }
    }

    fn peek(&self, may_read: &dyn Fn(SessionKey) -> bool) -> Option<Match> {
        let candidates = |members: &Members| {
            let mut members = members.after(self.last).take(SKIPPED_MAX);
            members.find(|member| may_read(member.session)).copied()
        };
        candidates(&self.connected).or_else(|| candidates(&self.absent))
    }

    /// Ends the turns of the members that were skipped, unless those were all.
    fn skip(&mut self) {
        let last_skipped =
            |members: &Members| members.after(self.last).nth(SKIPPED_MAX - 1).map(|member| member.session);
        let skipped = last_skipped(&self.connected).or_else(|| last_skipped(&self.absent));
        self.last = skipped.or(self.last);
    }
}

#[cfg(test)]
impl Groups {
    /// Returns the bytes of memory that the groups use beside the tables themselves.
    pub(super) fn bytes(&self) -> usize {
        let groups = self.by_key.values();
        let boxed = groups.map(|group| group.connected.bytes() + group.absent.bytes() + allocation::<Group>(1));
        boxed.sum::<usize>() + table_bytes(&self.by_key) + table_bytes(&self.by_filter)
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Granted;
    use super::*;
    use crate::mqtt::QoS;
    use std::cell::Cell;

    fn key(number: u32) -> SessionKey {
        slotmap::KeyData::from_ffi((1 << 32) | u64::from(number)).into()
    }

    fn member(number: u32) -> Match {
        Match { session: key(number), granted: Granted::new(QoS::AtLeastOnce) }
    }

    fn group_of(connected: impl IntoIterator<Item = u32>, absent: impl IntoIterator<Item = u32>) -> (Groups, GroupKey) {
        let mut groups = Groups::default();
        let key = groups.add(&TopicFilter::new("$share/g/a").unwrap(), 0, &TextHash::new(1));
        let group = groups.get_mut(key).unwrap();
        for number in connected {
            group.insert(member(number), Presence::Connected);
        }
        for number in absent {
            group.insert(member(number), Presence::Absent);
        }
        (groups, key)
    }

    fn picks(groups: &mut Groups, key: GroupKey, count: usize) -> Vec<SessionKey> {
        (0..count).filter_map(|_| groups.pick(key, &|_| true)).map(|picked| picked.session).collect()
    }

    #[test]
    fn connected_members_take_turns_and_absent_ones_only_when_nobody_is_connected() {
        let (mut groups, group) = group_of([2, 1], [3, 4]);
        assert_eq!(picks(&mut groups, group, 3), [1, 2, 1].map(key));
        groups.get_mut(group).unwrap().set_presence(key(1), Presence::Absent);
        assert_eq!(picks(&mut groups, group, 2), [2, 2].map(key));
        groups.get_mut(group).unwrap().set_presence(key(2), Presence::Absent);
        assert_eq!(picks(&mut groups, group, 5), [3, 4, 1, 2, 3].map(key));
        groups.get_mut(group).unwrap().set_presence(key(4), Presence::Connected);
        assert_eq!(picks(&mut groups, group, 2), [4, 4].map(key));
    }

    #[test]
    fn a_look_at_the_next_member_does_not_end_its_turn() {
        let (mut groups, group) = group_of([1, 2], []);
        for number in [1, 2, 1] {
            for _ in 0..3 {
                assert_eq!(groups.peek(group, &|_| true), Some(member(number)));
            }
            assert_eq!(picks(&mut groups, group, 1), [key(number)]);
        }
    }

    #[test]
    fn absent_members_cost_nothing_while_one_is_connected() {
        let (mut groups, group) = group_of([10_000], 0..10_000);
        let asked = Cell::new(0);
        let may_read = |_| {
            asked.set(asked.get() + 1);
            true
        };
        assert_eq!(groups.pick(group, &may_read), Some(member(10_000)));
        assert_eq!(asked.get(), 1);
    }

    #[test]
    fn members_that_may_not_read_are_skipped_up_to_a_maximum_and_later_ones_have_the_next_turn() {
        let (mut groups, group) = group_of(0..1000, []);
        let asked = Cell::new(0);
        let may_read = |session| {
            asked.set(asked.get() + 1);
            session == key(999)
        };
        let picked = (0..4).map(|_| groups.pick(group, &may_read)).collect::<Vec<_>>();
        assert_eq!(picked, [None, None, None, Some(member(999))]);
        assert_eq!(asked.get(), 1000);
        let (mut groups, group) = group_of([999], 0..999);
        let picked = (0..4).map(|_| groups.pick(group, &|session| session == key(998))).collect::<Vec<_>>();
        assert_eq!(picked, [None, None, None, Some(member(998))]);
    }

    #[test]
    fn nobody_is_picked_when_no_member_may_read() {
        let (mut groups, group) = group_of([1, 2], [3]);
        assert_eq!(groups.pick(group, &|_| false), None);
        assert_eq!(groups.pick(group, &|session| session == key(3)), Some(member(3)));
    }

    #[test]
    fn a_member_is_in_a_group_once_however_often_it_joins() {
        let (mut groups, key_of_group) = group_of([1], []);
        let group = groups.get_mut(key_of_group).unwrap();
        assert!(!group.insert(member(1), Presence::Absent));
        assert!(group.remove(key(1)) && !group.remove(key(1)) && group.is_empty());
    }

    #[test]
    fn removed_groups_leave_the_others_in_their_list() {
        let (mut groups, hash, mut list) = (Groups::default(), TextHash::new(1), Vec::new());
        let filters: Vec<_> =
            (0..1000).map(|number| TopicFilter::new(&format!("$share/{number}/a")).unwrap()).collect();
        for filter in &filters {
            list.push(groups.add(filter, list.len(), &hash));
        }
        for filter in filters.iter().step_by(2) {
            groups.remove(groups.find(filter, &hash).unwrap(), &mut list, &hash);
        }
        let mut left: Vec<_> = list.iter().map(|key| groups.filter(*key).unwrap()).collect();
        left.sort_unstable();
        let mut expected: Vec<_> = filters.iter().skip(1).step_by(2).collect();
        expected.sort_unstable();
        assert_eq!(left, expected);
        for filter in filters.iter().skip(1).step_by(2) {
            groups.remove(groups.find(filter, &hash).unwrap(), &mut list, &hash);
        }
        assert!(list.is_empty() && groups.by_filter.is_empty());
    }
}
