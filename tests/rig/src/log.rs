//! What the test and the serving threads share beside the bus itself: faults of the system, and a log of transactions.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Transactions kept; older ones are forgotten, the counts go on.
const KEPT_MAX: usize = 10_000;
/// The longest time that a held transaction waits: a test that failed meanwhile must not hang for ever.
const HELD_MAX: Duration = Duration::from_secs(30);

/// One transaction as it was seen on the bus: from its start condition to its stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The chip's address, 7 bits.
    pub address: u8,
    /// All bytes written, the register first.
    pub written: Vec<u8>,
    /// The number of bytes read.
    pub read_bytes: usize,
    /// The error number it was answered with.
    pub errno: Option<i32>,
}

/// Shared between the test and the serving threads.
#[derive(Default)]
pub(crate) struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    count: u64,
    kept: VecDeque<Transaction>,
    held: BTreeSet<u8>,
    waiting: usize,
    bound: BTreeSet<u16>,
    open_errno: Option<i32>,
    serving: usize,
}

impl Log {
    pub(crate) fn push(&self, transaction: Transaction) {
        let mut state = self.lock();
        state.count += 1;
        if state.kept.len() == KEPT_MAX {
            state.kept.pop_front();
        }
        state.kept.push_back(transaction);
    }

    pub(crate) fn count(&self) -> u64 {
        self.lock().count
    }

    pub(crate) fn transactions(&self) -> Vec<Transaction> {
        self.lock().kept.iter().cloned().collect()
    }

    pub(crate) fn hold(&self, address: u8) {
        self.lock().held.insert(address);
    }

    pub(crate) fn release(&self, address: u8) {
        self.lock().held.remove(&address);
        self.changed.notify_all();
    }

    pub(crate) fn release_all(&self) {
        self.lock().held.clear();
        self.changed.notify_all();
    }

    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// Returns when nobody holds `address` any more.
    pub(crate) fn wait(&self, address: u8) {
        let mut state = self.lock();
        state.waiting += 1;
        let is_held = |state: &mut State| state.held.contains(&address);
        let waited = self.changed.wait_timeout_while(state, HELD_MAX, is_held);
        waited.unwrap_or_else(PoisonError::into_inner).0.waiting -= 1;
    }

    pub(crate) fn set_bound(&self, address: u16, is_bound: bool) {
        let mut state = self.lock();
        if is_bound {
            state.bound.insert(address)
        } else {
            state.bound.remove(&address)
        };
    }

    pub(crate) fn is_bound(&self, address: u16) -> bool {
        self.lock().bound.contains(&address)
    }

    pub(crate) fn set_open_errno(&self, errno: Option<i32>) {
        self.lock().open_errno = errno;
    }

    pub(crate) fn open_errno(&self) -> Option<i32> {
        self.lock().open_errno
    }

    pub(crate) fn add_serving(&self) {
        self.lock().serving += 1;
    }

    pub(crate) fn remove_serving(&self) {
        self.lock().serving -= 1;
    }

    pub(crate) fn serving(&self) -> usize {
        self.lock().serving
    }

    /// A test that panicked with the lock leaves plain numbers behind, which are as good as before.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
