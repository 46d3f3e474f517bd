//! Deadlines of connections: one live entry each, moved on lazily.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::output::ConnectionId;
use crate::base::clock::Monotonic;

/// Deadlines in order. An entry that its connection no longer knows is passed over when it comes up.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Monotonic, ConnectionId)>>,
}

impl Timers {
    /// Wakes for `connection` at `deadline`.
    pub(super) fn set(&mut self, connection: ConnectionId, deadline: Monotonic) {
        self.heap.push(Reverse((deadline, connection)));
    }

    /// Entries, passed-over ones included.
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Keeps the entries that `is_live`. Cost: all of them.
    pub(super) fn retain(&mut self, is_live: impl Fn(Monotonic, ConnectionId) -> bool) {
        self.heap.retain(|Reverse((deadline, connection))| is_live(*deadline, *connection));
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Monotonic> {
        self.heap.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// Takes the earliest entry that is due.
    pub(super) fn pop_due(&mut self, now: Monotonic) -> Option<(Monotonic, ConnectionId)> {
        let due = self.heap.peek().is_some_and(|Reverse((deadline, _))| *deadline <= now);
        due.then(|| self.heap.pop().map(|Reverse(entry)| entry)).flatten()
    }
}
