//! What a start says: what is read, where it listens, and the line to paste in another terminal.

use std::net::SocketAddr;

use tracing::info;

use crate::config::Settings;
use crate::sensors::SourceOptions;
use crate::server::{ListenerAddress, ListenerOptions, Protocol};

/// Says it, in the log.
pub(super) fn greet(settings: &Settings, listeners: &[ListenerOptions]) {
    let interval = humantime::format_duration(settings.sensors.interval);
    info!("reading {}, every {interval}", source(&settings.sensors.source));
    if settings.broker.is_none() {
        return info!("publishing to {}", settings.agent.broker);
    }
    let places: Vec<String> = listeners.iter().map(ToString::to_string).collect();
    info!("listening on {}", places.join(", "));
    if let Some(line) = subscribe_line(settings, listeners) {
        info!("to see it: {line}");
    }
}

fn source(source: &SourceOptions) -> String {
    match source {
        SourceOptions::I2c { bus } => format!("the Sense HAT on /dev/i2c-{bus}"),
        SourceOptions::Simulated => "a simulated Sense HAT (its values are made up)".into(),
        SourceOptions::Dump(file) => format!("a simulated Sense HAT with the registers of {}", file.display()),
        SourceOptions::Emulator { directory } => {
            format!("the Sense HAT emulator in {} (its values are set by hand)", directory.display())
        }
        SourceOptions::Replay(replay) => {
            format!("the recording {} (its values are not of now)", replay.file.display())
        }
    }
}

/// The command that shows everything, for the first TCP listener that mosquitto_sub can speak to; one without TLS first.
fn subscribe_line(settings: &Settings, listeners: &[ListenerOptions]) -> Option<String> {
    let reachable = listeners.iter().filter(|listener| listener.protocol == Protocol::Mqtt);
    let mut reachable = reachable.filter_map(|listener| match listener.address {
        ListenerAddress::Tcp(address) => Some((address, listener)),
        ListenerAddress::Unix(_) => None,
    });
    let first = reachable.clone().find(|(_, listener)| listener.tls.is_none());
    let (address, listener) = first.or_else(|| reachable.next())?;
    Some(format!("mosquitto_sub {}{}-t '{}' -v", host_and_port(address), proof(listener), common_filter(settings)))
}

/// What the client shows, and what it needs to know the broker by.
fn proof(listener: &ListenerOptions) -> String {
    let ca = if listener.tls.is_some() { "--cafile CA.pem " } else { "" };
    let own = match listener {
        listener if listener.asks_certificates() => "--cert CLIENT.pem --key CLIENT.key ",
        listener if listener.allow_anonymous => "",
        _ => "-u USER -P PASSWORD ",
    };
    format!("{ca}{own}")
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
