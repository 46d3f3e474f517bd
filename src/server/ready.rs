//! The queue of connections that have something to read, in the order in which they were woken.
//!
//! A connection has a [`ReadyWaker`] instead of a task. An idle connection costs only that waker, and the task of the
//! rounds sees all connections that wait for a turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

use tokio::sync::Notify;

use crate::broker::ConnectionId;

/// Connections that wait for their turn. Wakers may be used on any thread, hence the lock, which is held briefly.
#[derive(Debug, Default)]
pub(super) struct ReadyQueue {
    waiting: Mutex<Vec<ConnectionId>>,
    work: Notify,
}

/// Puts one connection into the queue when its socket can be read.
#[derive(Debug)]
pub(super) struct ReadyWaker {
    connection: ConnectionId,
    /// Whether the connection is in the queue, or gets its next turn without it.
    is_waiting: AtomicBool,
    queue: Arc<ReadyQueue>,
}

impl ReadyQueue {
    /// Waits until a connection is ready, or [`ReadyQueue::notify`] is called.
    pub(super) async fn wait(&self) {
        self.work.notified().await;
    }

    /// Ends the wait for something that is no turn, such as a flush.
    pub(super) fn notify(&self) {
        self.work.notify_one();
    }

    /// Moves all waiting connections into `round`, which is empty.
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

impl ReadyWaker {
    pub(super) fn new(connection: ConnectionId, queue: &Arc<ReadyQueue>) -> Arc<Self> {
        Arc::new(Self { connection, is_waiting: AtomicBool::new(false), queue: queue.clone() })
    }

    /// Begins the connection's turn: from now on it may ask for the next one.
    pub(super) fn begin_turn(&self) {
        self.is_waiting.store(false, Ordering::Release);
    }

    /// Ignores requests until the next turn, which the connection gets without one.
    pub(super) fn expect_turn(&self) {
        self.is_waiting.store(true, Ordering::Release);
    }

    /// Asks for a turn, unless the connection waits for one already.
    pub(super) fn request_turn(&self) {
        if !self.is_waiting.swap(true, Ordering::AcqRel) {
            self.queue.waiting().push(self.connection);
            self.queue.notify();
        }
    }
}

impl Wake for ReadyWaker {
    fn wake(self: Arc<Self>) {
        self.request_turn();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.request_turn();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_asks_twice_gets_one_turn() {
        let queue = Arc::new(ReadyQueue::default());
        let waker = ReadyWaker::new(ConnectionId::default(), &queue);
        let mut round = Vec::new();
        waker.request_turn();
        waker.request_turn();
        queue.take(&mut round);
        assert_eq!(round.len(), 1);
        waker.begin_turn();
        waker.request_turn();
        assert!(!queue.is_empty(), "it may ask again as soon as its turn has begun");
    }
}
