//! What `pub` and `sub` share: the flags of the connection, and a link that speaks MQTT 3.1.1 or 5.
//!
//! - Holds one connection.
//! - Never enters: the gateway. These commands are clients like any other, of any broker.
//! - Follows the flags of `mosquitto_pub(1)` and `mosquitto_sub(1)`.
//!
//! Start reading at [`ConnectionArgs`], then [`Link`].

mod link;
mod v311;
mod v5;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use rumqttc::Transport;

pub(crate) use link::{Event, Link, Loss, Message};

use crate::agent::tls_transport;
use crate::mqtt::{QoS, TopicName};

/// Packets up to MQTT's own limit pass (section 2.2.3).
const PACKET_BYTES_MAX: u32 = 268_435_455;

/// Exit code of a command line that makes no sense (`EX_USAGE` of sysexits.h).
const WRONG_USE: u8 = 64;

/// How to reach a broker, with the letters of mosquitto's clients.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct ConnectionArgs {
    /// Broker's name or address
    #[arg(short = 'h', long, value_name = "HOST", default_value = "localhost")]
    pub(crate) host: String,
    /// Port [default: 1883, with --cafile 8883]
    #[arg(short, long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// User name
    #[arg(short, long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) username: Option<String>,
    /// Password
    #[arg(short = 'P', long = "pw", requires = "username", allow_hyphen_values = true)]
    pub(crate) password: Option<String>,
    /// Client identifier [default: made up]
    #[arg(short, long)]
    pub(crate) id: Option<String>,
    /// Keep the session when the connection ends; needs -i
    #[arg(short = 'c', long, requires = "id")]
    pub(crate) disable_clean_session: bool,
    /// Seconds between signs of life, 0 for none
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) keepalive: u16,
    /// Version of MQTT: 311, 5, mqttv311 or mqttv5
    #[arg(short = 'V', long, value_name = "VERSION", default_value = "311", value_parser = parse_version)]
    pub(crate) protocol_version: Version,
    /// PEM file of certificates to trust; turns TLS on
    #[arg(long, value_name = "FILE")]
    pub(crate) cafile: Option<PathBuf>,
    /// Topic of the will
    #[arg(long, value_name = "TOPIC", value_parser = parse_topic)]
    pub(crate) will_topic: Option<TopicName>,
    /// Message of the will [default: empty]
    #[arg(long, value_name = "TEXT", requires = "will_topic", allow_hyphen_values = true)]
    pub(crate) will_payload: Option<String>,
    /// Quality of service of the will: 0, 1 or 2
    #[arg(long, value_name = "QOS", requires = "will_topic", default_value = "0", value_parser = parse_qos)]
    pub(crate) will_qos: QoS,
    /// Retain the will
    #[arg(long, requires = "will_topic")]
    pub(crate) will_retain: bool,
    /// Show what is sent and received
    #[arg(short, long)]
    pub(crate) debug: bool,
    /// Show no errors
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// A version of MQTT that these clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// Version 3.1.1.
    V311,
    /// Version 5.0.
    V5,
}

/// The last will.
#[derive(Clone, Debug, PartialEq, Eq)]
struct WillArgs {
    topic: String,
    payload: String,
    qos: QoS,
    retain: bool,
}

impl ConnectionArgs {
    /// Checks what one flag cannot know of another; what is wrong is printed.
    ///
    /// # Errors
    /// With the exit code of a wrong use.
    pub(crate) fn check(&self) -> Result<(), ExitCode> {
        if self.protocol_version == Version::V5 && self.keepalive < v5::KEEP_ALIVE_MIN_S {
            eprintln!("error: -k {}: with -V 5 at least {} s was expected", self.keepalive, v5::KEEP_ALIVE_MIN_S);
            return Err(ExitCode::from(WRONG_USE));
        }
        Ok(())
    }

    /// The port that was given, else the usual one.
    fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(if self.cafile.is_some() { 8883 } else { 1883 })
    }

    /// Host and port, as an error names them.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", crate::agent::socket_host(&self.host, false), self.port_or_default())
    }

    /// The client identifier, the given one or `{command}-` with something random.
    pub(crate) fn client_id(&self, command: &str) -> String {
        self.id.clone().unwrap_or_else(|| format!("sensegate-{command}-{:08x}", fastrand::u32(..)))
    }

    /// Why there is no connection, and what to do about it.
    pub(crate) fn failure_text(&self, loss: &Loss) -> String {
        let address = self.address();
        if loss.is_refusal {
            return format!("{address}: {}", loss.why);
        }
        let remedy = match loss.why.as_str() {
            why if why.starts_with("TLS") => "check --cafile, and that the port speaks TLS",
            "the broker closed the connection" => "it may want TLS (--cafile) or another version (-V)",
            _ => "start a broker there (`sensegate run`) or name another with -h and -p",
        };
        format!("no connection to {address}: {}; {remedy}", loss.why)
    }

    fn transport(&self) -> anyhow::Result<Transport> {
        match &self.cafile {
            None => Ok(Transport::tcp()),
            Some(path) => tls_transport(Some(path)).context("--cafile"),
        }
    }

    fn will(&self) -> Option<WillArgs> {
        let topic = self.will_topic.as_ref()?.as_str().to_owned();
        let payload = self.will_payload.clone().unwrap_or_default();
        Some(WillArgs { topic, payload, qos: self.will_qos, retain: self.will_retain })
    }
}

fn parse_version(text: &str) -> Result<Version, String> {
    match text.trim_start_matches("mqttv") {
        "311" | "3.1.1" => Ok(Version::V311),
        "5" => Ok(Version::V5),
        "31" | "3.1" => Err("MQTT 3.1 was never a standard and is not spoken here: use 311, its standard form".into()),
        _ => Err("one of 311, 5, mqttv311, mqttv5 was expected".into()),
    }
}

/// A quality of service from its digit.
pub(crate) fn parse_qos(text: &str) -> Result<QoS, String> {
    let qos = text.parse().ok().and_then(QoS::from_bits);
    qos.ok_or_else(|| "0, 1 or 2 was expected".into())
}

/// Parses a topic to publish to.
pub(crate) fn parse_topic(text: &str) -> Result<TopicName, String> {
    TopicName::new_strict(text).map_err(|error| format!("the topic {error}"))
}

#[cfg(test)]
mod tests;
