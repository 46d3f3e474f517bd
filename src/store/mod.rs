//! The durable state of the broker: one SQLite file.
//!
//! - State: the connection to the file ([`Store`]), the keys of its rows by name (`book`), so that the file needs no
//!   index, and the tickets that could not be written (`unwritten`).
//! - Never contains: rules of MQTT. A [`Change`](crate::broker::Change) is recorded whatever it means. Time comes as an
//!   argument; only [`StoreThread`] and the name of a file set aside read a clock. Moments outlive their boot (`boot`).
//! - Uses `base`, `mqtt` (types only) and `broker` (`Change`, `Ticket` and their parts).
//! - File: `schema`; every row carries a CRC-32 of its values. WAL, flushed at each commit under [`Sync::Always`].
//!
//! A ticket (a list of changes) is written whole or not at all, in every state of the disk. On a full disk the tickets
//! that need no room are written, the others wait, and no ticket is written before an earlier one with a key in common
//! (`unwritten` has the rule).
//!
//! Four conditions make SQLite write little: the queue's key is one global arrival number (`schema`), the log is
//! recycled (`connection`), what comes and goes between two commits is never written (`pending`), and retained
//! messages of QoS 0 are written at most once in `coalesce` (`late`). Two keep it alive: the check sums (`table`) and
//! room reserved for acknowledgements on a full disk (`reserve`).
//!
//! Start reading at [`Store::open`] and [`Store::commit_tickets`], then `pending`, `unwritten` and `write`.

mod book;
mod boot;
mod connection;
mod durable;
mod error;
mod key;
mod late;
mod loaded;
mod pending;
mod read;
mod reserve;
mod row;
mod salvage;
mod schema;
mod table;
#[cfg(test)]
mod tests;
mod thread;
mod tickets;
mod unwritten;
mod write;

pub use crate::broker::state::{Backlog, Kept, KeptWill, Phase, Retained, Sent, SessionState, State};
pub use boot::Clocks;
pub use durable::Store;
pub use error::{Damage, StoreError};
pub use loaded::Loaded;
pub use thread::{Answer, Request, StoreThread, ThreadOptions};
pub use tickets::Tickets;

use std::time::Duration;

/// How the store writes, and how much it may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// When a commit is flushed to the disk.
    pub sync: Sync,
    /// The longest time that a retained message of QoS 0 stays unwritten; each topic is written at most once in it.
    pub coalesce: Duration,
    /// Waiting deliveries a session that are handed over when the file is opened; the rest stays on disk until
    /// [`Store::load`] asks for it. Deliveries in flight are always handed over.
    pub deliveries_max: usize,
    /// Maximum size of the database file. At this size the disk counts as full.
    pub bytes_max: u64,
}

/// When a commit is flushed. The death of the process loses nothing that was committed in any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// At each commit: a power cut loses nothing that was committed.
    Always,
    /// Once in this time: a power cut loses at most what was committed within it.
    Interval(Duration),
    /// When the system sees fit: a power cut may lose all since then, or leave a damaged file.
    Off,
}

impl Default for Options {
    fn default() -> Self {
        Self { sync: Sync::Always, coalesce: Duration::from_secs(30), deliveries_max: 1_000, bytes_max: 1 << 30 }
    }
}
