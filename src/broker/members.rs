//! The subscriptions of sessions to one filter.

#[cfg(test)]
use super::memory::allocation;
use super::message::Granted;
use super::session::SessionKey;

/// One session's subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) session: SessionKey,
    pub(super) granted: Granted,
}

/// Subscriptions in the order of their sessions, one for each session. A single one needs no allocation.
#[derive(Debug, Default)]
pub(super) enum Members {
    #[default]
    None,
    One(Match),
    Many(Vec<Match>),
}

impl Members {
    /// Returns the subscriptions in the order of their sessions.
    pub(super) fn as_slice(&self) -> &[Match] {
        match self {
            Self::None => &[],
            Self::One(member) => std::slice::from_ref(member),
            Self::Many(members) => members,
        }
    }

    /// Returns whether there is no subscription.
    pub(super) fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// Adds `member` and returns the earlier subscription of its session, which it replaces.
    pub(super) fn insert(&mut self, member: Match) -> Option<Match> {
        let mut members = match std::mem::take(self) {
            Self::None => {
                *self = Self::One(member);
                return None;
            }
            Self::One(other) => vec![other],
            Self::Many(members) => members,
        };
        let replaced = match members.binary_search_by_key(&member.session, |member| member.session) {
            Ok(index) => members.get_mut(index).map(|known| std::mem::replace(known, member)),
            Err(index) => {
                members.insert(index, member);
                None
            }
        };
        *self = Self::of(members);
        replaced
    }

    /// Removes and returns the session's subscription.
    pub(super) fn remove(&mut self, session: SessionKey) -> Option<Match> {
        let index = self.as_slice().binary_search_by_key(&session, |member| member.session).ok()?;
        match std::mem::take(self) {
            Self::None => None,
            Self::One(member) => Some(member),
            Self::Many(mut members) => {
                let removed = members.remove(index);
                *self = Self::of(members);
                Some(removed)
            }
        }
    }

    /// Returns the members behind `last` in turn, then those up to it.
    pub(super) fn after(&self, last: Option<SessionKey>) -> impl Iterator<Item = &Match> {
        let members = self.as_slice();
        let next = members.partition_point(|member| last.is_some_and(|last| member.session <= last));
        let (up_to_last, behind) = members.split_at(next);
        behind.iter().chain(up_to_last)
    }

    /// Returns the bytes of memory that the list uses beside itself.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::None | Self::One(_) => 0,
            Self::Many(members) => allocation::<Match>(members.capacity()),
        }
    }

    fn of(mut members: Vec<Match>) -> Self {
        if let [member] = members[..] {
            return Self::One(member);
        }
        if members.len() * 4 < members.capacity() {
            members.shrink_to(members.len() * 2);
        }
        Self::Many(members)
    }
}
