//! What commands share that change the configuration: questions, keys, what differs, and files written all or none.
//!
//! - Holds nothing that outlives a command.
//! - Never enters: which command it is for.

pub(super) mod ask;
mod diff;
pub(super) mod files;
pub(super) mod toml;

#[cfg(test)]
pub(super) use diff::changes;
