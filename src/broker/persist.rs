//! What is being made durable: changes gathered into tickets, the tickets that were answered, and the barriers that
//! outputs wait for.
//!
//! Changes gather in one open ticket until the outputs are drained; then the ticket is requested and the next one opens.
//! What was removed and is not durably gone yet is remembered with its ticket: an acknowledgement of a request that found
//! nothing to remove promises that nothing is there, so it waits for the earlier removal.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;

use super::change::Change;
use super::output::{Output, Ticket};
use crate::mqtt::{ClientId, PacketId, TopicFilter, TopicName};

/// What an output waits for, beside the outputs before it in its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Barrier {
    /// Nothing: it promises nothing that is kept.
    None,
    /// The changes that this input has recorded.
    ThisInput,
    /// The last change to one key, whatever becomes of earlier tickets. See [`Persist::last_removal`].
    Change(Ticket),
    /// Every change up to this ticket.
    Everything(Ticket),
}

/// A barrier with its ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// No ticket.
    Nothing,
    /// One ticket.
    One(Ticket),
    /// A ticket and all earlier ones.
    UpTo(Ticket),
}

impl Awaited {
    pub(super) const fn ticket(self) -> Option<Ticket> {
        match self {
            Self::Nothing => None,
            Self::One(ticket) | Self::UpTo(ticket) => Some(ticket),
        }
    }
}

/// Durable state that can be removed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// A session.
    Session(ClientId),
    /// A session's subscription.
    Subscription(ClientId, TopicFilter),
    /// The identifier of a QoS 2 message that a client has published and not released.
    Received(ClientId, PacketId),
    /// A topic's retained message.
    Retained(TopicName),
}

/// The open ticket, and what has become of the requested ones.
#[derive(Debug)]
pub(super) struct Persist {
    open: Vec<Change>,
    open_ticket: Ticket,
    /// The tickets that are requested and not answered, with their numbers of changes. One that waits for room on the
    /// disk may be answered after later ones.
    waiting: BTreeMap<Ticket, usize>,
    /// The sum of the numbers in `waiting`.
    unanswered: usize,
    /// The ticket of the last removal of each key, for tickets that are not answered.
    removed: HashMap<Key, Ticket, FixedState>,
    /// The same by ticket.
    removals: BTreeMap<Ticket, Vec<Key>>,
}

impl Persist {
    /// Equal seeds hash alike.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            open: Vec::new(),
            open_ticket: Ticket(1),
            waiting: BTreeMap::new(),
            unanswered: 0,
            removed: HashMap::with_hasher(FixedState::with_seed(seed)),
            removals: BTreeMap::new(),
        }
    }

    /// Adds a change to the open ticket; returns that ticket.
    pub(super) fn record(&mut self, change: Change) -> Ticket {
        if let Some(key) = removed_key(&change) {
            self.removed.insert(key.clone(), self.open_ticket);
            self.removals.entry(self.open_ticket).or_default().push(key);
        }
        self.open.push(change);
        self.open_ticket
    }

    /// Returns the ticket of the next change.
    pub(super) const fn open_ticket(&self) -> Ticket {
        self.open_ticket
    }

    /// Returns the barrier of an acknowledgement that promises the absence of `key`.
    pub(super) fn last_removal(&self, key: &Key) -> Barrier {
        self.removed.get(key).map_or(Barrier::None, |ticket| Barrier::Change(*ticket))
    }

    /// Returns what an output behind `barrier` has to wait for now.
    pub(super) fn awaited(&self, barrier: Barrier) -> Awaited {
        let awaited = match barrier {
            Barrier::None => Awaited::Nothing,
            Barrier::ThisInput if self.open.is_empty() => Awaited::Nothing,
            Barrier::ThisInput => Awaited::One(self.open_ticket),
            Barrier::Change(ticket) => Awaited::One(ticket),
            Barrier::Everything(ticket) => Awaited::UpTo(ticket),
        };
        if self.is_met(awaited) { Awaited::Nothing } else { awaited }
    }

    /// Returns the barrier of an output that waits for everything up to `ticket`.
    pub(super) fn everything_up_to(&self, ticket: Ticket) -> Barrier {
        if ticket <= self.answered() { Barrier::None } else { Barrier::Everything(ticket) }
    }

    /// Returns the barrier of an output that promises what two others promise.
    pub(super) fn both(&self, one: Barrier, other: Barrier) -> Barrier {
        match (self.awaited(one), self.awaited(other)) {
            (Awaited::Nothing, _) => other,
            (_, Awaited::Nothing) => one,
            (one, other) if one == other => match one {
                Awaited::Nothing => Barrier::None,
                Awaited::One(ticket) => Barrier::Change(ticket),
                Awaited::UpTo(ticket) => Barrier::Everything(ticket),
            },
            (one, other) => Barrier::Everything(one.ticket().max(other.ticket()).unwrap_or_default()),
        }
    }

    /// Returns whether `ticket` was answered.
    pub(super) fn is_answered(&self, ticket: Ticket) -> bool {
        ticket < self.open_ticket && !self.waiting.contains_key(&ticket)
    }

    /// Returns the last ticket of those that are answered without a gap.
    pub(super) fn answered(&self) -> Ticket {
        let next = self.waiting.first_key_value().map_or(self.open_ticket, |(ticket, _)| *ticket);
        Ticket(next.0 - 1)
    }

    /// Returns the number of changes that were requested and are not durable yet.
    pub(super) const fn unanswered(&self) -> usize {
        self.unanswered
    }

    /// Returns whether an output that waits for this may pass.
    pub(super) fn is_met(&self, awaited: Awaited) -> bool {
        match awaited {
            Awaited::Nothing => true,
            Awaited::One(ticket) => self.is_answered(ticket),
            Awaited::UpTo(ticket) => ticket <= self.answered(),
        }
    }

    /// Closes the open ticket, if it has changes, and opens the next.
    pub(super) fn poll_request(&mut self) -> Option<Output> {
        if self.open.is_empty() {
            return None;
        }
        let ticket = self.open_ticket;
        self.open_ticket = Ticket(ticket.0 + 1);
        self.waiting.insert(ticket, self.open.len());
        self.unanswered += self.open.len();
        Some(Output::RequestPersist { ticket, changes: std::mem::take(&mut self.open) })
    }

    /// Takes note that the changes of `ticket` are durable.
    pub(super) fn settle(&mut self, ticket: Ticket) {
        self.unanswered -= self.waiting.remove(&ticket).unwrap_or(0);
        for key in self.removals.remove(&ticket).unwrap_or_default() {
            if self.removed.get(&key) == Some(&ticket) {
                self.removed.remove(&key);
            }
        }
    }
}

/// Returns what `change` removes.
fn removed_key(change: &Change) -> Option<Key> {
    Some(match change {
        Change::SessionEnded { client_id } => Key::Session(client_id.clone()),
        Change::Unsubscribed { client_id, filter } => Key::Subscription(client_id.clone(), filter.clone()),
        Change::Forgotten { client_id, packet_id } => Key::Received(client_id.clone(), *packet_id),
        Change::RetainedCleared { topic } => Key::Retained(topic.clone()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(persist: &mut Persist, change: Change) -> Ticket {
        let ticket = persist.record(change);
        assert!(
            matches!(persist.poll_request(), Some(Output::RequestPersist { ticket: asked, .. }) if asked == ticket)
        );
        ticket
    }

    #[test]
    fn tickets_answered_behind_one_that_waits_for_the_disk_leave_nothing_behind() {
        let (client_id, packet_id) = (ClientId::new("c"), PacketId::new(1).unwrap());
        let mut persist = Persist::new(1);
        let blocked = request(&mut persist, Change::Received { client_id: client_id.clone(), packet_id });
        for _ in 0..1000 {
            let ticket = request(&mut persist, Change::Forgotten { client_id: client_id.clone(), packet_id });
            assert_eq!(persist.last_removal(&Key::Received(client_id.clone(), packet_id)), Barrier::Change(ticket));
            persist.settle(ticket);
            assert!(persist.is_answered(ticket) && !persist.is_answered(blocked));
            assert_eq!(persist.answered(), Ticket(0));
        }
        assert_eq!((persist.waiting.len(), persist.removed.len(), persist.removals.len()), (1, 0, 0));
        persist.settle(blocked);
        assert_eq!((persist.answered(), persist.unanswered()), (Ticket(1001), 0));
    }
}
