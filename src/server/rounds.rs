//! Rounds: every ready connection gets a turn, then the outboxes that the turns filled are written, and one slice of the
//! broker's deferred work is done.

use std::rc::Rc;
use std::time::Duration;

use super::connection::{self, TurnEnd};
use super::flush;
use super::hub::Shared;
use crate::base::clock;
use crate::broker::ConnectionId;

/// Bytes that a turn may read. Other connections wait until these bytes are handled and their outputs are written.
const TURN_BYTES_MAX: usize = 4 * 1024;

/// Bytes that a turn may read if no other connection had a turn for [`ALONE_ROUNDS_MIN`]: this needs fewer system
/// calls.
pub(super) const LONE_TURN_BYTES_MAX: usize = 16 * 1024;

/// Rounds with a single connection after which its turns become longer: some 20 ms of a flood.
const ALONE_ROUNDS_MIN: u32 = 1000;

/// The thread waits this long without sleeping if the last [`SHORT_WAITS_MIN`] waits were as short: to wake a sleeping
/// processor takes longer than the broker's answer.
const SHORT_WAIT: Duration = Duration::from_micros(100);

/// Short waits before the thread waits without sleeping: more than the packets of a single message of QoS 2 cause.
const SHORT_WAITS_MIN: u32 = 16;

/// Runs rounds until the task is dropped.
pub(super) async fn run(shared: Rc<Shared>) {
    let (mut ready, mut busy, mut earlier) = (Vec::new(), Vec::new(), Vec::new());
    let (mut solo, mut short_waits) = (Solo::default(), 0);
    loop {
        if busy.is_empty() && !shared.has_deferred_work() {
            short_waits = wait(&shared, short_waits).await;
        } else {
            // lets other tasks run, and connections that are ready by then join this round
            tokio::task::yield_now().await;
        }
        shared.ready.take(&mut ready);
        std::mem::swap(&mut busy, &mut earlier);
        let bytes_max = solo.turn_bytes_max(&ready, &earlier);
        // connections that always have more come after the others
        for round in [&mut ready, &mut earlier] {
            give_turns(&shared, round, bytes_max, &mut busy);
            flush::all(&shared);
        }
        shared.do_deferred_work();
    }
}

/// Waits for work. Takes and returns the number of short waits since the last long one.
async fn wait(shared: &Shared, short_waits: u32) -> u32 {
    let began = clock::monotonic();
    let has_time = || clock::monotonic().since(began) < SHORT_WAIT;
    if short_waits >= SHORT_WAITS_MIN {
        while !shared.has_work() && has_time() {
            tokio::task::yield_now().await;
        }
    }
    shared.ready.wait().await;
    if has_time() { short_waits.saturating_add(1) } else { 0 }
}

/// Gives each connection of `round` a turn; those with more to read go to `busy`.
fn give_turns(shared: &Shared, round: &mut Vec<ConnectionId>, bytes_max: usize, busy: &mut Vec<ConnectionId>) {
    for connection in round.drain(..) {
        if connection::turn(shared, connection, bytes_max) == TurnEnd::More {
            busy.push(connection);
        }
    }
}

/// Detects that one connection has all turns.
#[derive(Debug, Default)]
struct Solo {
    connection: Option<ConnectionId>,
    rounds: u32,
}

impl Solo {
    /// Counts a round with these connections; returns the bytes that each of its turns may read.
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
    fn turns_are_long_for_a_single_connection_and_short_when_another_is_ready() {
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
