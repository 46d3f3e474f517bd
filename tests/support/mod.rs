//! What the tests that start the real program share.
//!
//! - [`Gateway`]: the built `sensegate` on a free port of loopback, with a directory of its own.
//! - [`Process`]: any program whose lines are read as they come, ended when dropped.
//! - [`Broker`]: a real mosquitto, on a free port as well.
//! - [`Subscriber`] and [`publish`]: `mosquitto_sub` and `mosquitto_pub`.
//! - [`sensegate`] and [`Listener`]: the program's own words, `sensegate sub` among them.
//! - [`Python`]: scripts under a given release of paho-mqtt, or under pika or `sense_emu`.
//! - [`in_private_network`]: a network of its own, so that the standard port is free.
//!
//! Nothing here sleeps to wait for something: every wait is a poll with a deadline. While these tests are
//! developed, `SENSEGATE_TEST_BROKER=mosquitto` puts mosquitto in the gateway's place; the steps that need what
//! only the gateway has are then left out.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part of this")]
#![allow(unused_imports, reason = "each test program uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(clippy::missing_panics_doc, reason = "a test that cannot go on panics")]

mod broker;
mod gateway;
mod mosquitto;
mod network;
mod own;
mod process;
mod python;

use std::io::Write;
use std::time::Duration;

use sensegate::base::clock;

pub use broker::{Broker, has_mosquitto};
pub use gateway::Gateway;
pub use mosquitto::{Message, Subscriber, has_mosquitto_clients, publish};
pub use network::{in_network_of, in_private_network};
pub use own::{Listener, sensegate};
pub use process::Process;
pub use python::{Paho, Python};

/// How long a wait may last before the test fails. Generous: a loaded machine is slow, not wrong.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long a poll rests between two looks.
pub const POLL: Duration = Duration::from_millis(10);

/// Says why a test is left out and returns; under `CI=true` leaving it out is a failure.
pub fn skip_or_fail(reason: &str) {
    assert!(!is_ci(), "under CI nothing may be left out: {reason}");
    // Straight to the stream: the macros' output is hidden when a test passes.
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}

/// Whether a test that cannot run is a failure.
pub fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// Looks until `look` finds something; panics with `what` when it did not within [`PATIENCE`].
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = clock::monotonic() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock::monotonic() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(POLL);
    }
}
