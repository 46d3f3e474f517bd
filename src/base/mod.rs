//! The ground floor: time, units, identifiers, backoff, secrets, and small files of state.
//!
//! - Holds no state of its own but the constants that the types name.
//! - Never enters: sockets, buses, files of the user, MQTT. [`clock`] is the only reader of real time in this crate
//!   (`clippy.toml` bans the others); [`keep`] reads and writes what it is named, [`memory`] and [`ids`] what
//!   the kernel reports.
//! - Uses nothing above it.
//!
//! Start reading at [`clock::Monotonic`]: every deadline in the broker and every age of a reading is one.

pub mod backoff;
pub mod clock;
pub mod ids;
pub mod keep;
pub mod memory;
pub mod progress;
pub mod queued;
pub mod secret;
pub(crate) mod sys;
pub mod units;
