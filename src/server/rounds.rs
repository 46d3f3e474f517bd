//! Rounds: everybody who is ready gets a turn, then everything that the turns brought is written.

use std::rc::Rc;

use super::hub::Shared;
use super::{connection, flush};

/// Bytes that all turns of one round may read, as far as everybody gets [`TURN_BYTES_MIN`]. What comes meanwhile waits
/// until they are handled.
pub(super) const ROUND_BYTES_MAX: usize = 64 * 1024;

/// Bytes that a turn may read however many others are ready.
const TURN_BYTES_MIN: usize = 4 * 1024;

/// Gives turns and writes. Runs until its task is dropped.
pub(super) async fn run(shared: Rc<Shared>) {
    let mut round = Vec::new();
    loop {
        shared.ready.work().await;
        shared.ready.take(&mut round);
        let bytes_max = turn_bytes_max(round.len());
        for connection in round.drain(..) {
            connection::turn(&shared, connection, bytes_max);
        }
        flush::all(&shared);
        if !shared.ready.is_empty() {
            // those that are ready by now come into the next round, and other tasks go on
            tokio::task::yield_now().await;
        }
    }
}

fn turn_bytes_max(connections: usize) -> usize {
    (ROUND_BYTES_MAX / connections.max(1)).max(TURN_BYTES_MIN)
}
