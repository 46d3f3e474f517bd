//! What was decided, as one value, and how two such values differ.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::layers::Variables;
use super::section::{Read, Section};
use super::{broker, general, log, publish, sensors, status, storage};
use crate::agent::{self, BrokerAddress};
use crate::base::ids;
use crate::sensors::SourceOptions;
use crate::{broker as machine, sensors as hat, server, store};

/// Everything the gateway was asked to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How the HAT is read.
    pub sensors: hat::Options,
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
    pub machine: machine::Options,
    /// Listeners.
    pub server: server::Options,
}

/// Where the state is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageOptions {
    /// The directory: the file's, else `$STATE_DIRECTORY`, else `$XDG_STATE_HOME/sensegate`, else
    /// `~/.local/state/sensegate`.
    pub directory: PathBuf,
    /// When what must outlive the process is flushed.
    pub sync: store::Sync,
    /// The longest time that a retained message of QoS 0 stays unwritten.
    pub coalesce: Duration,
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

impl Settings {
    /// Takes the simulated HAT instead of the configured source (`--simulate`), with the registers of `dump` if given.
    pub fn simulate(&mut self, dump: Option<&Path>) {
        self.sensors.source = dump.map_or(SourceOptions::Simulated, |dump| SourceOptions::Dump(dump.to_owned()));
    }

    /// What differs in `new` and only takes effect at the next start, by the names in the file.
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let differs = |differs: bool, name| differs.then_some(name);
        let mut names: Vec<_> = [
            differs(self.sensors.source != new.sensors.source, "sensors.source"),
            differs(self.broker.is_some() != new.broker.is_some(), "broker.mode"),
            differs(self.storage != new.storage, "storage"),
            differs(self.log.format != new.log.format, "log.format"),
        ]
        .into_iter()
        .flatten()
        .collect();
        match (&self.broker, &new.broker) {
            (Some(old), Some(new)) => names.extend(old.needs_restart(new)),
            (None, None) if !self.agent.has_connection_of(&new.agent) => names.push("broker.external"),
            _ => {}
        }
        names
    }
}

impl EmbeddedBroker {
    fn needs_restart(&self, new: &Self) -> impl Iterator<Item = &'static str> {
        let limits = |of: &Self| {
            let server::Options { connections_max, connections_per_address_max, send_buffer_bytes_max, .. } = of.server;
            (of.machine.clone(), connections_max, connections_per_address_max, send_buffer_bytes_max)
        };
        let listeners = |of: &Self| of.server.listeners.iter().map(without_certificates).collect::<Vec<_>>();
        let listeners = (listeners(self) != listeners(new)).then_some("broker.listener");
        listeners.into_iter().chain((limits(self) != limits(new)).then_some("broker.limits"))
    }
}

/// What of a listener cannot change while it listens: its certificates can, that it has some cannot.
fn without_certificates(listener: &server::ListenerOptions) -> (server::ListenerOptions, bool) {
    (server::ListenerOptions { tls: None, ..listener.clone() }, listener.tls.is_some())
}

impl agent::Options {
    fn has_connection_of(&self, other: &Self) -> bool {
        let connection = |of: &Self| (of.broker.clone(), of.client_id.clone(), of.keep_alive);
        connection(self) == connection(other)
    }
}

/// Reads every section, then what they are together.
pub(super) fn read(root: &mut Section<'_>, variables: &Variables) -> Read<Settings> {
    let names = general::read(root);
    let sensors = root.section("sensors", sensors::read);
    let mut topics = publish::Topics::new(names);
    let quantities = root.section("publish", |section| publish::read(section, &mut topics));
    let state = root.section("state", |section| status::read_state(section, &mut topics));
    let status = root.section("status", |section| status::read_status(section, &mut topics));
    topics.check_each_is_used_once(root);
    let storage = root.section("storage", |section| storage::read(section, variables));
    let broker = root.section("broker", broker::read);
    let log = root.section("log", log::read);
    let (storage, broker, sensors) = (storage?, broker?, sensors?);
    let connection = connection(&broker, &storage);
    let interval = sensors.interval;
    Ok(Settings {
        sensors,
        agent: agent::Options {
            quantities: quantities?,
            state: state?,
            status: status?,
            samples: None,
            broker: connection.address,
            client_id: connection.client_id,
            keep_alive: connection.keep_alive,
            interval,
        },
        broker: embedded(broker, &storage),
        storage,
        log: log?,
    })
}

/// How the agent reaches its broker.
fn connection(broker: &broker::Broker, storage: &StorageOptions) -> broker::Connection {
    match broker {
        broker::Broker::External(connection) => connection.clone(),
        broker::Broker::Embedded { .. } => broker::Connection {
            address: BrokerAddress::House { socket: storage::house_socket(&storage.directory) },
            client_id: ids::AGENT_CLIENT_ID.to_owned(),
            keep_alive: broker::HOUSE_KEEP_ALIVE,
        },
    }
}

fn embedded(broker: broker::Broker, storage: &StorageOptions) -> Option<EmbeddedBroker> {
    let broker::Broker::Embedded { listeners, limits, access } = broker else { return None };
    let server = server::Options {
        listeners,
        house_socket: storage::house_socket(&storage.directory),
        connections_max: limits.connections_max,
        connections_per_address_max: limits.connections_per_address_max,
        send_buffer_bytes_max: limits.send_buffer_bytes_max,
        access,
    };
    Some(EmbeddedBroker { machine: limits.machine, server })
}
