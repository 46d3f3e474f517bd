//! What waits for durability: changes gathered into tickets, and the outputs that a ticket holds back.
//!
//! Changes pile up in one open ticket until the outputs are drained; then the ticket is requested and the next one
//! opens. Held outputs leave in the order in which they were held.

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
    held: VecDeque<(Ticket, Output)>,
}

impl Persist {
    pub(super) fn new() -> Self {
        Self {
            open: Vec::new(),
            open_ticket: Ticket(1),
            answered: Ticket(0),
            early: BTreeSet::new(),
            held: VecDeque::new(),
        }
    }

    /// Adds a change to the open ticket.
    pub(super) fn record(&mut self, change: Change) {
        self.open.push(change);
    }

    /// The ticket that has to be answered before everything recorded so far is durable.
    pub(super) fn newest(&self) -> Ticket {
        if self.open.is_empty() { Ticket(self.open_ticket.0 - 1) } else { self.open_ticket }
    }

    /// Whether everything up to `ticket` is durable.
    pub(super) fn is_answered(&self, ticket: Ticket) -> bool {
        ticket <= self.answered
    }

    /// Holds `output` back until everything recorded so far is durable.
    pub(super) fn hold(&mut self, output: Output) -> Ticket {
        let ticket = self.newest();
        self.held.push_back((ticket, output));
        ticket
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

    /// Takes an answer: what `ticket` stands for is durable. Gives the outputs that waited for it and for no earlier
    /// one, in order.
    pub(super) fn settle(&mut self, ticket: Ticket) -> Vec<Output> {
        self.early.insert(ticket);
        while self.early.remove(&Ticket(self.answered.0 + 1)) {
            self.answered = Ticket(self.answered.0 + 1);
        }
        let count = self.held.iter().take_while(|(awaited, _)| *awaited <= self.answered).count();
        self.held.drain(..count).map(|(_, output)| output).collect()
    }
}
