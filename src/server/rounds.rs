//! Rounds: everybody who is ready gets a turn, then everything that the turns brought is written, and one slice of the
//! broker's deferred work is done.

use std::rc::Rc;
use std::time::Duration;

use super::connection::{self, Left};
use super::flush;
use super::hub::Shared;
use crate::base::clock;
use crate::broker::ConnectionId;

/// Bytes that a turn may read. What others send meanwhile waits until they are handled, and what came before them is
/// written.
const TURN_BYTES_MAX: usize = 4 * 1024;

/// Bytes that it may read when nobody else had a turn for [`ALONE_ROUNDS_MIN`]: that costs fewer system calls.
pub(super) const LONE_TURN_BYTES_MAX: usize = 16 * 1024;

/// Some 20 ms of a flood.
const ALONE_ROUNDS_MIN: u32 = 1000;

/// A wait up to this long is spent awake when the last [`SHORT_WAITS_MIN`] were so short too: peers that answer at once
/// wait longer for a processor that has to be woken than for the broker.
const SHORT_WAIT: Duration = Duration::from_micros(100);

/// More than the packets that follow a single message of QoS 2, each of which may end a short wait.
const SHORT_WAITS_MIN: u32 = 16;

/// Gives turns and writes. Runs until its task is dropped.
pub(super) async fn run(shared: Rc<Shared>) {
    let (mut ready, mut busy, mut earlier) = (Vec::new(), Vec::new(), Vec::new());
    let (mut solo, mut short_waits) = (Solo::default(), 0);
    loop {
        if busy.is_empty() && !shared.has_deferred_work() {
            short_waits = wait(&shared, short_waits).await;
        } else {
            // those that are ready by now come into this round, and other tasks go on
            tokio::task::yield_now().await;
        }
        shared.ready.take(&mut ready);
        std::mem::swap(&mut busy, &mut earlier);
        let bytes_max = solo.turn_bytes_max(&ready, &earlier);
        // whoever sends without end comes behind those who do not
        for round in [&mut ready, &mut earlier] {
            give_turns(&shared, round, bytes_max, &mut busy);
            flush::all(&shared);
        }
        shared.do_deferred_work();
    }
}

/// Waits for work. Takes how many short waits came before without a long one between, gives how many they are now.
async fn wait(shared: &Shared, short_waits: u32) -> u32 {
    let began = clock::monotonic();
    let has_time = || clock::monotonic().since(began) < SHORT_WAIT;
    if short_waits >= SHORT_WAITS_MIN {
        while !shared.has_work() && has_time() {
            tokio::task::yield_now().await;
        }
    }
    shared.ready.work().await;
    if has_time() { short_waits.saturating_add(1) } else { 0 }
}

/// Empties `round`; those who have more go to `busy`.
fn give_turns(shared: &Shared, round: &mut Vec<ConnectionId>, bytes_max: usize, busy: &mut Vec<ConnectionId>) {
    for connection in round.drain(..) {
        if connection::turn(shared, connection, bytes_max) == Left::More {
            busy.push(connection);
        }
    }
}

/// Whether one connection has all turns.
#[derive(Debug, Default)]
struct Solo {
    connection: Option<ConnectionId>,
    rounds: u32,
}

impl Solo {
    /// Counts a round of `ready` and `earlier`; gives the bytes that each of its turns may read.
    fn turn_bytes_max(&mut self, ready: &[ConnectionId], earlier: &[ConnectionId]) -> usize {
        let mut all = ready.iter().chain(earlier).copied();
        match (all.next(), all.next()) {
            (None, _) => {}
            (only, None) if only == self.connection => self.rounds = self.rounds.saturating_add(1),
            (first, _) => *self = Self { connection: first, rounds: 0 },
        }
        if self.rounds >= ALONE_ROUNDS_MIN { LONE_TURN_BYTES_MAX } else { TURN_BYTES_MAX }
    }
}

#[cfg(test)]
mod tests {
    use slotmap::SlotMap;

    use super::*;

    #[test]
    fn turns_are_long_for_whoever_is_alone_and_short_as_soon_as_another_is_ready() {
        let mut connections = SlotMap::<ConnectionId, ()>::with_key();
        let (flood, other) = (connections.insert(()), connections.insert(()));
        let mut solo = Solo::default();
        assert_eq!(solo.turn_bytes_max(&[flood], &[]), TURN_BYTES_MAX);
        for _ in 0..ALONE_ROUNDS_MIN {
            solo.turn_bytes_max(&[], &[flood]);
        }
        assert_eq!(solo.turn_bytes_max(&[], &[flood]), LONE_TURN_BYTES_MAX);
        assert_eq!(solo.turn_bytes_max(&[other], &[flood]), TURN_BYTES_MAX);
        assert_eq!(solo.turn_bytes_max(&[], &[flood]), TURN_BYTES_MAX);
    }
}
