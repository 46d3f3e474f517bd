//! What was decided, as one value, and how two such values differ.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::layers::Variables;
use super::section::{Read, Section};
use super::uplink::{self as uplinks, Given, Uplink};
use super::{broker, general, leds, log, publish, samples, sensors, status, stick, storage};
use crate::agent::{self, BrokerAddress};
use crate::base::ids;
use crate::sensors::{Quantity, Refinement, SourceOptions};
use crate::{broker as machine, matrix, sensors as hat, server, stick as joystick, store, uplink};

/// Everything the gateway was asked to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How the HAT is read.
    pub sensors: hat::Options,
    /// What is published, and to which broker.
    pub agent: agent::Options,
    /// How the LED matrix shows what it is told; `None`: it is left alone.
    pub leds: Option<matrix::Options>,
    /// How the stick is read; `None`: it is left alone.
    pub stick: Option<joystick::Options>,
    /// Where readings and messages go on to; Ubidots first.
    pub uplinks: Vec<uplink::Options>,
    /// The broker that uplinks take from.
    pub outboxes: uplink::LocalOptions,
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
        self.set_stick_source(&self.sensors.source.clone());
    }

    /// Takes the stick that goes with `source`, which after a reload is the one in force until the next start.
    pub fn set_stick_source(&mut self, source: &SourceOptions) {
        if let Some(stick) = &mut self.stick {
            stick.source = stick::source_for(source);
        }
    }

    /// What is no problem and still good to know, one line each.
    pub fn notes(&self) -> Vec<String> {
        uplinks::notes(self)
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
            (Some(old), Some(new_broker)) => {
                names.extend(old.needs_restart(new_broker, [self.uplinks.len(), new.uplinks.len()]));
            }
            (None, None) if !self.agent.has_connection_of(&new.agent) => names.push("broker.external"),
            _ => {}
        }
        names
    }
}

impl EmbeddedBroker {
    /// The first of the queues are those of `uplinks`, as many here and there.
    fn needs_restart(&self, new: &Self, uplinks: [usize; 2]) -> impl Iterator<Item = &'static str> {
        let limits = |of: &Self, uplinks: usize| {
            let server::Options { connections_max, connections_per_address_max, send_buffer_bytes_max, .. } = of.server;
            let queues = of.machine.queues.get(uplinks..).unwrap_or_default().to_vec();
            let machine = machine::Options { queues, ..of.machine.clone() };
            (machine, connections_max, connections_per_address_max, send_buffer_bytes_max)
        };
        let listeners = |of: &Self| of.server.listeners.iter().map(without_certificates).collect::<Vec<_>>();
        let has = self.machine.queues.get(..uplinks[0]).unwrap_or_default();
        let needs = new.machine.queues.get(..uplinks[1]).unwrap_or_default();
        [
            (listeners(self) != listeners(new)).then_some("broker.listener"),
            (limits(self, uplinks[0]) != limits(new, uplinks[1])).then_some("broker.limits"),
            needs.iter().any(|queue| !has.contains(queue)).then_some("the queues of uplinks"),
        ]
        .into_iter()
        .flatten()
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
    let leds = root.section("leds", |section| leds::read(section, &mut topics));
    let stick = root.section("stick", |section| stick::read(section, &mut topics));
    let clock_wait = root.section("clock", samples::read_clock);
    let samples = root.section("samples", |section| samples::read_topic(section, topics.names()));
    let storage = root.section("storage", |section| storage::read(section, variables));
    let broker = root.section("broker", |section| broker::read(section, variables));
    let log = root.section("log", log::read);
    let outboxes = uplinks::local_options(&broker, &storage);
    let given = Given {
        variables,
        interval: sensors.as_ref().ok().map(|sensors| sensors.interval),
        clock_wait: clock_wait.unwrap_or_default(),
        samples: samples.clone().unwrap_or_else(|_| uplinks::unknown_topic()),
        status: status.as_ref().ok().and_then(Option::as_ref),
        local: outboxes.clone(),
        listeners: listeners(&broker),
    };
    let uplinks = root.section("uplink", |section| uplinks::read(section, &given, &mut topics));
    let carries_samples = uplinks.iter().flatten().any(|uplink| uplinks::carries_samples(&uplink.options));
    if let (Ok(samples), true) = (&samples, carries_samples) {
        topics.claim("samples.topic".into(), samples.clone());
    }
    topics.check_each_is_used_once(root);
    let (storage, broker, mut sensors, uplinks) = (storage?, broker?, sensors?, uplinks?);
    let quantities = quantities?;
    let (leds_topics, display) = leds?.map(|leds| (leds.topics, leds.display)).unzip();
    let (stick_topic, stick) = stick?.map(|stick| (stick.topic, stick.options)).unzip();
    sensors.refinement.extra = extra_quantities(&quantities, &uplinks);
    check_altitude(root, &sensors.refinement)?;
    let (samples, _) = (samples?, clock_wait?);
    let connection = connection(&broker, &storage);
    let interval = sensors.interval;
    let mut settings = Settings {
        sensors,
        agent: agent::Options {
            quantities,
            state: state?,
            status: status?,
            samples: carries_samples.then_some(agent::SamplesTopic { topic: samples }),
            leds: leds_topics,
            stick: stick_topic,
            broker: connection.address,
            client_id: connection.client_id,
            keep_alive: connection.keep_alive,
            interval,
        },
        leds: display,
        stick,
        broker: embedded(broker, &storage, &uplinks),
        uplinks: uplinks.into_iter().map(|uplink| uplink.options).collect(),
        outboxes,
        storage,
        log: log?,
    };
    settings.set_stick_source(&settings.sensors.source.clone());
    Ok(settings)
}

/// Quantities that somebody wants beside those that are always there.
fn extra_quantities(published: &[agent::QuantityTopic], uplinks: &[Uplink]) -> BTreeSet<Quantity> {
    let published = published.iter().map(|topic| topic.quantity);
    let sent = uplinks.iter().flat_map(|uplink| match &uplink.options.kind {
        uplink::Kind::Ubidots(account) => account.send.keys().filter_map(|name| Quantity::from_name(name)).collect(),
        uplink::Kind::Bridge(_) => Vec::new(),
    });
    published.chain(sent).filter(|quantity| !Quantity::MAIN.contains(quantity)).collect()
}

/// Sea level is told by who knows how high above it he is.
fn check_altitude(root: &mut Section<'_>, refinement: &Refinement) -> Read<()> {
    if refinement.altitude_m.is_none() && refinement.extra.contains(&Quantity::SeaLevelPressure) {
        let text = "is missing, and sea_level_pressure is wanted: metres above sea level are expected";
        return Err(root.notes().problem("sensors.altitude", text.into()));
    }
    Ok(())
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

/// Where the embedded broker listens, if there is one.
fn listeners(broker: &Read<broker::Broker>) -> &[server::ListenerOptions] {
    match broker {
        Ok(broker::Broker::Embedded { listeners, .. }) => listeners,
        Ok(broker::Broker::External(_)) | Err(_) => &[],
    }
}

/// The share of `broker.limits.memory` for all connections that have not logged in is one of so many parts.
const LOGINS_OF_MEMORY: usize = 8;

/// The queues of uplinks come first: a pattern of `[[broker.session]]` may match them too.
fn embedded(broker: broker::Broker, storage: &StorageOptions, uplinks: &[Uplink]) -> Option<EmbeddedBroker> {
    let broker::Broker::Embedded { listeners, mut limits, access } = broker else { return None };
    limits.machine.queues.splice(..0, uplinks.iter().map(Uplink::queue_of_session));
    let server = server::Options {
        listeners,
        house_socket: storage::house_socket(&storage.directory),
        connections_max: limits.connections_max,
        connections_per_address_max: limits.connections_per_address_max,
        send_buffer_bytes_max: limits.send_buffer_bytes_max,
        login_bytes_max: limits.machine.login_bytes_max,
        logins_bytes_max: limits.machine.memory_bytes_max / LOGINS_OF_MEMORY,
        access,
    };
    Some(EmbeddedBroker { machine: limits.machine, server })
}
