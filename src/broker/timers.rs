//! Deadlines: one live entry each, moved on lazily.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::output::ConnectionId;
use super::session::SessionKey;
use crate::base::clock::Monotonic;

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// When to end a connection that sends no CONNECT, or nothing at all.
    Connection(ConnectionId),
    /// When to end an absent client's session, or to publish its will.
    Session(SessionKey),
    /// When to clear the retained message that expires first.
    Retained,
    /// When to publish `$SYS` next.
    System,
}

/// Deadlines in order. An entry that its owner no longer knows is passed over when it comes up.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Monotonic, Timer)>>,
}

impl Timers {
    /// Wakes for `timer` at `deadline`.
    pub(super) fn set(&mut self, timer: Timer, deadline: Monotonic) {
        self.heap.push(Reverse((deadline, timer)));
    }

    /// Entries, passed-over ones included.
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Keeps the entries that `is_live`. Cost: all of them.
    pub(super) fn retain(&mut self, is_live: impl Fn(Monotonic, Timer) -> bool) {
        self.heap.retain(|Reverse((deadline, timer))| is_live(*deadline, *timer));
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Monotonic> {
        self.heap.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// Takes the earliest entry that is due.
    pub(super) fn pop_due(&mut self, now: Monotonic) -> Option<(Monotonic, Timer)> {
        let due = self.heap.peek().is_some_and(|Reverse((deadline, _))| *deadline <= now);
        due.then(|| self.heap.pop().map(|Reverse(entry)| entry)).flatten()
    }
}
