//! Whose turn it is: connections that have something to read, in the order in which it came.
//!
//! A connection is woken by its [`Knock`] in place of a task of its own: an idle one costs its waker, and whoever gives
//! the turns sees how many wait for one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

use tokio::sync::Notify;

use crate::broker::ConnectionId;

/// Connections that wait for their turn. A waker may come from any thread, hence the lock; nobody waits for it.
#[derive(Debug, Default)]
pub(super) struct Ready {
    waiting: Mutex<Vec<ConnectionId>>,
    work: Notify,
}

/// Wakes one connection.
#[derive(Debug)]
pub(super) struct Knock {
    connection: ConnectionId,
    /// Whether it is among those that wait already.
    is_waiting: AtomicBool,
    ready: Arc<Ready>,
}

impl Ready {
    /// Waits until somebody is ready, or something else is to be done.
    pub(super) async fn work(&self) {
        self.work.notified().await;
    }

    /// Something is to be done that is no turn.
    pub(super) fn ask(&self) {
        self.work.notify_one();
    }

    /// Moves those that wait into `round`, which is empty.
    pub(super) fn take(&self, round: &mut Vec<ConnectionId>) {
        std::mem::swap(&mut *self.waiting(), round);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting().is_empty()
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<ConnectionId>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Knock {
    pub(super) fn new(connection: ConnectionId, ready: &Arc<Ready>) -> Arc<Self> {
        Arc::new(Self { connection, is_waiting: AtomicBool::new(false), ready: ready.clone() })
    }

    /// Its turn begins: whoever knocks from here on asks for the next one.
    pub(super) fn answer(&self) {
        self.is_waiting.store(false, Ordering::Release);
    }

    /// It gets its next turn without asking.
    pub(super) fn hold(&self) {
        self.is_waiting.store(true, Ordering::Release);
    }

    /// Asks for a turn.
    pub(super) fn knock(&self) {
        if !self.is_waiting.swap(true, Ordering::AcqRel) {
            self.ready.waiting().push(self.connection);
            self.ready.ask();
        }
    }
}

impl Wake for Knock {
    fn wake(self: Arc<Self>) {
        self.knock();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.knock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_knocks_twice_gets_one_turn() {
        let ready = Arc::new(Ready::default());
        let knock = Knock::new(ConnectionId::default(), &ready);
        let mut round = Vec::new();
        knock.knock();
        knock.knock();
        ready.take(&mut round);
        assert_eq!(round.len(), 1);
        knock.answer();
        knock.knock();
        assert!(!ready.is_empty(), "it may ask again as soon as its turn has begun");
    }
}
