//! How a broker is reached: options for rumqttc, TLS, and its errors in words.

use std::path::Path;
use std::time::Duration;

use rumqttc::{ConnectReturnCode, ConnectionError, LastWill, MqttOptions, StateError, TlsConfiguration, Transport};

use super::publish::{Presence, status_publication};
use super::{BrokerAddress, Options};
use crate::client::{self, TlsError, io_error_text};
use crate::mqtt::QoS;

/// Packets up to this size are sent; rumqttc's own 10 KiB would cut a long state off.
const SENT_BYTES_MAX: usize = 1 << 20;

/// Packets up to this size are taken, the largest there are (section 2.2.3): the broker decides what is too long. A
/// retained one that ends the connection would end every further one too.
const TAKEN_BYTES_MAX: usize = 268_435_455 + 5;

/// The transport that checks the broker's certificate against `ca_file`, or against the system's roots without one.
///
/// # Errors
/// When the file cannot be read or holds no certificate, or the system has none.
pub fn tls_transport(ca_file: Option<&Path>) -> Result<Transport, TlsError> {
    let options = client::TlsOptions { ca_file: ca_file.map(Path::to_owned), identity: None };
    Ok(Transport::tls_with_config(TlsConfiguration::Rustls(client::client_config(&options)?)))
}

/// The host as rumqttc wants it before a colon and a port: an IPv6 address in brackets. With TLS the host is left as
/// it is, because rumqttc 0.25 compares the same text with the certificate; an IPv6 address cannot be reached by TLS.
pub fn socket_host(host: &str, is_tls: bool) -> String {
    if host.contains(':') && !host.starts_with('[') && !is_tls { format!("[{host}]") } else { host.to_owned() }
}

/// What rumqttc needs to know to connect once.
pub(super) fn mqtt_options(options: &Options) -> Result<MqttOptions, TlsError> {
    let mut mqtt = addressed(&options.broker, &options.client_id)?;
    mqtt.set_keep_alive(keep_alive(options.keep_alive));
    mqtt.set_max_packet_size(TAKEN_BYTES_MAX, SENT_BYTES_MAX);
    if let Some(will) = last_will(options) {
        mqtt.set_last_will(will);
    }
    Ok(mqtt)
}

fn addressed(broker: &BrokerAddress, client_id: &str) -> Result<MqttOptions, TlsError> {
    match broker {
        BrokerAddress::House { socket } => {
            let mut mqtt = MqttOptions::new(client_id, socket.to_string_lossy(), 0);
            mqtt.set_transport(Transport::unix());
            Ok(mqtt)
        }
        BrokerAddress::External { host, port, credentials, tls } => {
            let mut mqtt = MqttOptions::new(client_id, socket_host(host, tls.is_some()), *port);
            if let Some(tls) = tls {
                mqtt.set_transport(tls_transport(tls.ca_file.as_deref())?);
            }
            if let Some((user, password)) = credentials {
                mqtt.set_credentials(user, password.reveal());
            }
            Ok(mqtt)
        }
    }
}

/// Whole seconds, 1..=65535, as CONNECT carries them; zero stays zero and turns the mechanism off.
fn keep_alive(wanted: Duration) -> Duration {
    if wanted.is_zero() {
        return wanted;
    }
    Duration::from_secs(wanted.as_secs().clamp(1, u16::MAX.into()))
}

/// The will: the status, offline.
pub(super) fn last_will(options: &Options) -> Option<LastWill> {
    let status = options.status.as_ref()?;
    let said = status_publication(status, Presence::Offline);
    Some(LastWill::new(said.topic.as_str(), said.payload, rumqttc_qos(said.qos), said.retain))
}

/// Whether `after` needs another CONNECT than `before`: another broker or identity, or another will, which is a part
/// of CONNECT.
pub(super) fn needs_new_connection(before: &Options, after: &Options) -> bool {
    before.broker != after.broker
        || before.client_id != after.client_id
        || before.keep_alive != after.keep_alive
        || last_will(before) != last_will(after)
}

pub(super) fn rumqttc_qos(qos: QoS) -> rumqttc::QoS {
    match qos {
        QoS::AtMostOnce => rumqttc::QoS::AtMostOnce,
        QoS::AtLeastOnce => rumqttc::QoS::AtLeastOnce,
        QoS::ExactlyOnce => rumqttc::QoS::ExactlyOnce,
    }
}

/// Why a connection could not be made or was lost, in words.
pub fn connection_error_text(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionRefused(code) => format!("the broker refused: {}", connack_text(*code)),
        ConnectionError::Io(error) => io_error_text(error),
        ConnectionError::NetworkTimeout => "no answer in time".into(),
        ConnectionError::FlushTimeout => "the broker takes no bytes".into(),
        ConnectionError::NotConnAck(_) => "the broker answered CONNECT with another packet than CONNACK".into(),
        ConnectionError::MqttState(error) => state_error_text(error),
        ConnectionError::Tls(rumqttc::TlsError::Io(error)) => format!("TLS: {error}"),
        other => other.to_string(),
    }
}

fn state_error_text(error: &StateError) -> String {
    match error {
        StateError::ConnectionAborted => "the broker closed the connection".into(),
        StateError::AwaitPingResp => "the broker did not answer a ping".into(),
        StateError::Io(error) | StateError::Deserialization(rumqttc::Error::Io(error)) => io_error_text(error),
        other => other.to_string(),
    }
}

/// CONNACK's return code in words (MQTT 3.1.1 table 3.1).
pub fn connack_text(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::Success => "accepted (CONNACK 0)",
        ConnectReturnCode::RefusedProtocolVersion => "this version of MQTT is not spoken there (CONNACK 1)",
        ConnectReturnCode::BadClientId => "the client identifier is not allowed (CONNACK 2)",
        ConnectReturnCode::ServiceUnavailable => "the service is not available (CONNACK 3)",
        ConnectReturnCode::BadUserNamePassword => "the user name or the password is wrong (CONNACK 4)",
        ConnectReturnCode::NotAuthorized => "not authorised (CONNACK 5)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_ipv6_address_without_tls_gets_brackets() {
        assert_eq!(socket_host("::1", false), "[::1]");
        assert_eq!(socket_host("[::1]", false), "[::1]");
        assert_eq!(socket_host("::1", true), "::1");
        assert_eq!(socket_host("broker.lan", false), "broker.lan");
    }

    #[test]
    fn keep_alive_is_whole_seconds_that_connect_can_carry() {
        assert_eq!(keep_alive(Duration::ZERO), Duration::ZERO);
        assert_eq!(keep_alive(Duration::from_millis(1)), Duration::from_secs(1));
        assert_eq!(keep_alive(Duration::from_secs(100_000)), Duration::from_secs(65_535));
    }
}
