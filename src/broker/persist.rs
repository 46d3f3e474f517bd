//! What waits for durability: changes gathered into tickets, and the outputs that a ticket holds back.
//!
//! Changes pile up in one open ticket until the outputs are drained; then the ticket is requested and the next one
//! opens. A held output waits for its own ticket, and for what its connection has to send before it; nothing else waits.

use std::collections::{BTreeSet, VecDeque};

use super::change::Change;
use super::output::{Output, Ticket};

/// The open ticket, the requested ones, and what waits for them.
#[derive(Debug)]
pub(super) struct Persist {
    open: Vec<Change>,
    open_ticket: Ticket,
    /// Every ticket up to this one is answered.
    answered: Ticket,
    /// Those beyond it that are answered too: an earlier one still fails.
    early: BTreeSet<Ticket>,
    /// In the order of their places.
    held: VecDeque<Held>,
    /// The place that was given last.
    last: Place,
}

/// Where an output is held; 0 for one that is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

/// What an output has to wait for, beside what goes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing.
    Nothing,
    /// One ticket, whatever becomes of earlier ones.
    One(Ticket),
    /// A ticket and all earlier ones.
    UpTo(Ticket),
}

#[derive(Debug)]
struct Held {
    place: Place,
    /// What goes before it.
    behind: Place,
    need: Need,
    output: Output,
}

impl Persist {
    pub(super) fn new() -> Self {
        Self {
            open: Vec::new(),
            open_ticket: Ticket(1),
            answered: Ticket(0),
            early: BTreeSet::new(),
            held: VecDeque::new(),
            last: Place::default(),
        }
    }

    /// Adds a change to the open ticket.
    pub(super) fn record(&mut self, change: Change) {
        self.open.push(change);
    }

    /// The ticket that the next change goes with.
    pub(super) const fn open_ticket(&self) -> Ticket {
        self.open_ticket
    }

    /// The need of what promises the changes that were just recorded.
    pub(super) fn latest(&self) -> Need {
        if self.open.is_empty() { Need::Nothing } else { Need::One(self.open_ticket) }
    }

    /// The need of what promises something that may have been recorded at any time.
    pub(super) fn everything(&self) -> Need {
        Need::UpTo(if self.open.is_empty() { Ticket(self.open_ticket.0 - 1) } else { self.open_ticket })
    }

    /// Whether an output waits neither for its need nor for what goes before it.
    pub(super) fn is_free(&self, behind: Place, need: Need) -> bool {
        !self.is_held(behind) && self.is_met(need)
    }

    /// Whether `ticket` was answered.
    pub(super) fn is_answered(&self, ticket: Ticket) -> bool {
        ticket <= self.answered || self.early.contains(&ticket)
    }

    /// Whether `ticket` and all earlier ones were answered.
    pub(super) fn is_settled(&self, ticket: Ticket) -> bool {
        ticket <= self.answered
    }

    /// Whether the output at this place still waits.
    pub(super) fn is_held(&self, place: Place) -> bool {
        place > Place::default() && self.held.binary_search_by_key(&place, |held| held.place).is_ok()
    }

    /// Holds `output` back until its need is met and what is at `behind` has gone.
    pub(super) fn hold(&mut self, behind: Place, need: Need, output: Output) -> Place {
        self.last = Place(self.last.0 + 1);
        self.held.push_back(Held { place: self.last, behind, need, output });
        self.last
    }

    /// Closes the open ticket, if it has changes, and opens the next.
    pub(super) fn poll_request(&mut self) -> Option<Output> {
        if self.open.is_empty() {
            return None;
        }
        let ticket = self.open_ticket;
        self.open_ticket = Ticket(ticket.0 + 1);
        Some(Output::RequestPersist { ticket, changes: std::mem::take(&mut self.open) })
    }

    /// Takes an answer: what `ticket` stands for is durable. Gives the outputs that wait for nothing more, in order.
    /// Cost: those, and while an earlier ticket fails all that are held.
    pub(super) fn settle(&mut self, ticket: Ticket) -> Vec<Output> {
        self.early.insert(ticket);
        while self.early.remove(&Ticket(self.answered.0 + 1)) {
            self.answered = Ticket(self.answered.0 + 1);
        }
        if self.early.is_empty() { self.release_first() } else { self.release_any() }
    }

    /// While tickets are answered in order, needs are met in the order of their places.
    fn release_first(&mut self) -> Vec<Output> {
        let count = self.held.iter().take_while(|held| self.is_met(held.need)).count();
        self.held.drain(..count).map(|held| held.output).collect()
    }

    fn release_any(&mut self) -> Vec<Output> {
        let mut released = Vec::new();
        for held in std::mem::take(&mut self.held) {
            if self.is_free(held.behind, held.need) {
                released.push(held.output);
            } else {
                self.held.push_back(held);
            }
        }
        released
    }

    fn is_met(&self, need: Need) -> bool {
        match need {
            Need::Nothing => true,
            Need::One(ticket) => self.is_answered(ticket),
            Need::UpTo(ticket) => ticket <= self.answered,
        }
    }
}
