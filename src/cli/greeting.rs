//! What a start says: what is read, where it listens, and the line to paste in another terminal.

use std::net::SocketAddr;

use tracing::info;

use crate::config::{EmbeddedBroker, Settings};
use crate::sensors::SourceOptions;
use crate::server::ListenerAddress;

/// Says it, in the log.
pub(super) fn greet(settings: &Settings, addresses: &[ListenerAddress]) {
    let interval = humantime::format_duration(settings.sensors.interval);
    info!("reading {}, every {interval}", source(&settings.sensors.source));
    if settings.broker.is_none() {
        return info!("publishing to {}", settings.agent.broker);
    }
    let places: Vec<String> = addresses.iter().map(place).collect();
    info!("listening on {}", places.join(", "));
    if let Some(line) = subscribe_line(settings, addresses) {
        info!("to see it: {line}");
    }
}

fn source(source: &SourceOptions) -> String {
    match source {
        SourceOptions::I2c { bus } => format!("the Sense HAT on /dev/i2c-{bus}"),
        SourceOptions::Simulated => "a simulated Sense HAT (its values are made up)".into(),
        SourceOptions::Dump(file) => format!("a simulated Sense HAT with the registers of {}", file.display()),
    }
}

fn place(address: &ListenerAddress) -> String {
    match address {
        ListenerAddress::Tcp(address) => address.to_string(),
        ListenerAddress::Unix(path) => path.display().to_string(),
    }
}

/// The command that shows everything, for the first TCP listener.
fn subscribe_line(settings: &Settings, addresses: &[ListenerAddress]) -> Option<String> {
    let address = addresses.iter().find_map(|address| match address {
        ListenerAddress::Tcp(address) => Some(*address),
        ListenerAddress::Unix(_) => None,
    })?;
    let is_open = |broker: &EmbeddedBroker| broker.server.listeners.iter().all(|listener| listener.allow_anonymous);
    let login = if settings.broker.as_ref().is_none_or(is_open) { "" } else { "-u USER -P PASSWORD " };
    Some(format!("mosquitto_sub {}{login}-t '{}' -v", host_and_port(address), common_filter(settings)))
}

/// Nothing that mosquitto_sub assumes anyway.
fn host_and_port(address: SocketAddr) -> String {
    let host = match address.ip() {
        ip if ip.is_loopback() && ip.is_ipv4() => String::new(),
        ip => format!("-h {ip} "),
    };
    let port = if address.port() == 1883 { String::new() } else { format!("-p {} ", address.port()) };
    host + &port
}

/// `prefix/#` when every topic begins with one prefix, else `#`.
fn common_filter(settings: &Settings) -> String {
    let agent = &settings.agent;
    let topics = agent.quantities.iter().map(|quantity| quantity.topic.as_str());
    let mut first_levels = topics.filter_map(|topic| topic.split_once('/')).map(|(first, _)| first);
    match first_levels.next() {
        Some(first)
            if agent.quantities.iter().all(|quantity| quantity.topic.as_str().starts_with(&format!("{first}/"))) =>
        {
            format!("{first}/#")
        }
        _ => "#".into(),
    }
}
