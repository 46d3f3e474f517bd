//! What was typed becomes what was decided, with every problem found at `file:line:column`.
//!
//! - Holds nothing at run time.
//! - Never enters: sockets, buses, tasks.
//! - Uses the `Options` of every room below it; nobody below knows TOML.

use std::path::PathBuf;

use crate::{agent, broker, sensors, server};

/// Everything the gateway was asked to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How the HAT is read.
    pub sensors: sensors::Options,
    /// What is published, and to which broker.
    pub agent: agent::Options,
    /// The embedded broker; `None` with `broker.mode = "external"`.
    pub broker: Option<EmbeddedBroker>,
    /// Where the state is kept.
    pub storage: StorageOptions,
    /// What is logged.
    pub log: LogOptions,
}

/// The embedded broker's machine and sockets.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedBroker {
    /// Limits of the machine.
    pub machine: broker::Options,
    /// Listeners.
    pub server: server::Options,
}

/// Where the state is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageOptions {
    /// The directory: the file's, else `$STATE_DIRECTORY`, else `$XDG_STATE_HOME/sensegate`, else
    /// `~/.local/state/sensegate`.
    pub directory: PathBuf,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// The least severe level that is shown.
    pub level: LogLevel,
    /// Text for people or JSON for machines.
    pub format: LogFormat,
}

/// Severity of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// The gateway cannot do what it is there for.
    Error,
    /// Something is wrong and the gateway goes on.
    Warn,
    /// What an operator wants to read.
    Info,
    /// What a developer wants to read.
    Debug,
    /// Every packet.
    Trace,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line an event.
    Text,
    /// One JSON object an event.
    Json,
}
