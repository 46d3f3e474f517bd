//! Shared subscriptions: of a group, one member gets each message (version 5, section 4.8.2).

use super::session::SessionKey;
use super::subscriptions::{Match, insert, remove};
use crate::mqtt::TopicFilter;

/// Who is to get a message rather than others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// May not read it, or is no more.
    Unfit,
    /// Away; it would wait for it.
    Absent,
    /// There.
    Connected,
}

/// The groups of one place in the tree.
#[derive(Debug, Default)]
pub(super) struct Groups(Vec<Group>);

/// The members that share one filter under one name.
#[derive(Debug)]
pub(super) struct Group {
    filter: TopicFilter,
    /// Sorted by session.
    members: Vec<Match>,
    /// Whose turn it is.
    next: usize,
}

impl Groups {
    /// Adds a member, or changes what it was granted; tells whether it is new.
    pub(super) fn insert(&mut self, filter: &TopicFilter, member: Match) -> bool {
        if let Some(group) = self.get_mut(filter) {
            return insert(&mut group.members, member);
        }
        self.0.push(Group { filter: filter.clone(), members: vec![member], next: 0 });
        true
    }

    pub(super) fn get_mut(&mut self, filter: &TopicFilter) -> Option<&mut Group> {
        self.0.iter_mut().find(|group| group.filter == *filter)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.0.iter_mut()
    }

    /// Forgets groups without members.
    pub(super) fn tidy(&mut self) {
        self.0.retain(|group| !group.members.is_empty());
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Group {
    /// The next of the members with the highest rank, in turn; `None` when all are unfit. Cost: all members, when the
    /// next ones are not connected.
    pub(super) fn pick(&mut self, rank: &dyn Fn(SessionKey) -> Rank) -> Option<(Match, TopicFilter)> {
        let count = self.members.len();
        let mut best: Option<(Rank, usize)> = None;
        for place in (0..count).map(|step| (self.next + step) % count) {
            let Some(found) = self.members.get(place).map(|member| rank(member.session)) else { continue };
            if found > best.map_or(Rank::Unfit, |(rank, _)| rank) {
                best = Some((found, place));
            }
            if found == Rank::Connected {
                break;
            }
        }
        let (_, place) = best?;
        self.next = place + 1;
        self.members.get(place).map(|member| (*member, self.filter.clone()))
    }

    /// Takes a member away; tells whether it was one.
    pub(super) fn remove(&mut self, session: SessionKey) -> bool {
        remove(&mut self.members, session)
    }
}
