//! How much waits in a queue: its keeper says it, and somebody else looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What waits, and what had to go. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Queued(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    messages: AtomicU64,
    dropped: AtomicU64,
}

impl Queued {
    /// So many messages wait now, and so many had to go since the start.
    pub fn set(&self, messages: u64, dropped: u64) {
        self.0.messages.store(messages, Ordering::Relaxed);
        self.0.dropped.store(dropped, Ordering::Relaxed);
    }

    /// Messages that wait, and messages that had to go.
    pub fn get(&self) -> (u64, u64) {
        (self.0.messages.load(Ordering::Relaxed), self.0.dropped.load(Ordering::Relaxed))
    }
}
