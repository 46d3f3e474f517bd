//! The ground floor: time, units, identifiers, backoff and secrets.
//!
//! - Holds no state of its own but the constants that the types name.
//! - Never enters: sockets, buses, files of the user, MQTT. The one exception is [`clock`], the only reader of real
//!   time in this crate (`clippy.toml` bans the others).
//! - Uses nothing above it.
//!
//! Start reading at [`clock::Monotonic`]: every deadline in the broker and every age of a reading is one.

pub mod backoff;
pub mod clock;
pub mod ids;
pub mod progress;
pub mod secret;
mod sys;
pub mod units;
