//! CONNECT and its answer.

use std::time::Duration;

use super::{Probe, within};
use crate::cli::doctor::finding::Finding;
use crate::client::{self, Address, ConnectError, Connected, Link, Options, Stream, Terms};
use crate::mqtt::{ProtocolVersion, QoS, ReasonCode};
use crate::uplink::{Kind, Version};

/// The longest time for CONNACK, another connection for another version included.
const CONNECT_WAIT: Duration = Duration::from_secs(10);

impl Probe<'_> {
    /// Comes in beside the uplink itself, and leaves no session behind.
    pub(super) async fn greet(&mut self, stream: Box<dyn Stream>) -> Result<Link, Finding> {
        let greeted = within(CONNECT_WAIT, self.connect(stream, &self.options())).await;
        let (link, terms) = greeted.map_err(|error| self.not_let_in(&error))?;
        let is_older = self.uplink.far.version == Version::Auto && terms.version != ProtocolVersion::V5;
        let why = if is_older { ", because 5 is not spoken there" } else { "" };
        self.ok(&format!("CONNECT is accepted, in version {}{why}{}", version(terms.version), limits(&terms)));
        self.warn_of(&terms);
        Ok(link)
    }

    fn options(&self) -> Options {
        let options = self.uplink.far.connect_options(CONNECT_WAIT);
        let client_id = format!("{}-doctor", options.client_id);
        Options { client_id, clean_session: true, session_expiry_s: 0, ..options }
    }

    /// As the uplink does: once more in 3.1.1 where 5 is not understood.
    async fn connect(&self, stream: Box<dyn Stream>, options: &Options) -> Result<Connected, ConnectError> {
        match client::connect_over(stream, options).await {
            Err(error) if self.uplink.far.version == Version::Auto && error.may_be_of_version() => {
                let stream = client::open(self.address, self.tls.as_ref()).await?;
                let older = Options { version: ProtocolVersion::V311, ..options.clone() };
                client::connect_over(stream, &older).await
            }
            connected => connected,
        }
    }

    fn not_let_in(&self, error: &ConnectError) -> Finding {
        let text = match error {
            ConnectError::Timeout => format!("no answer to CONNECT within {} s", CONNECT_WAIT.as_secs()),
            error => error.to_string(),
        };
        self.problem(&text, self.advise(error))
    }

    fn advise(&self, error: &ConnectError) -> String {
        let is_tls = matches!(self.address, Address::Tcp { is_tls: true, .. });
        match error {
            ConnectError::Refused { code, .. } => self.advise_refused(*code),
            ConnectError::Closed | ConnectError::Socket(_) if is_tls => {
                "does the broker ask for a certificate (certificate, key)?".into()
            }
            ConnectError::Closed | ConnectError::Socket(_) | ConnectError::NotMqtt(_) if !is_tls => {
                "is that port one of MQTT, without TLS? With TLS it is mqtts://".into()
            }
            ConnectError::NotMqtt(_) => "is that port one of MQTT?".into(),
            _ => "try again, and look at the broker's log".into(),
        }
    }

    fn advise_refused(&self, code: ReasonCode) -> String {
        match code {
            ReasonCode::BadUserNameOrPassword | ReasonCode::NotAuthorized if self.is_ubidots() => {
                "is the token in token_file whole, of this account, and not revoked?".into()
            }
            ReasonCode::BadUserNameOrPassword | ReasonCode::NotAuthorized => {
                "look at username and password_file, and at whom the broker lets in".into()
            }
            ReasonCode::ClientIdentifierNotValid => {
                let client_id = self.options().client_id;
                format!("another client_id, or a broker that lets {client_id:?} in as well")
            }
            ReasonCode::UnsupportedProtocolVersion => "protocol = \"auto\" finds the version".into(),
            ReasonCode::Banned | ReasonCode::ConnectionRateExceeded => {
                "too many attempts: wait some minutes, and look for a second client of this client_id".into()
            }
            ReasonCode::ServerMoved | ReasonCode::UseAnotherServer => "the broker is elsewhere: look at url".into(),
            _ => "try again later; the gateway does so by itself".into(),
        }
    }

    /// What the uplink does without here.
    fn warn_of(&mut self, terms: &Terms) {
        if terms.qos_max == QoS::AtMostOnce {
            let text = "takes QoS 0 alone: what is under way when the connection is cut is lost";
            self.warn(text, "no uplink can make up for it; look for a setting of the broker");
        }
        let retains = match &self.uplink.kind {
            Kind::Ubidots(_) => false,
            Kind::Bridge(bridge) => bridge.rules.iter().any(|rule| rule.direction.goes_out() && rule.retain),
        };
        if retains && !terms.retain_available {
            self.warn("retains nothing: who comes later has to wait for the next message", "retain = false in rules");
        }
    }
}

const fn version(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::V5 => "5",
        ProtocolVersion::V311 => "3.1.1",
        ProtocolVersion::V31 => "3.1",
    }
}

/// What the broker said of itself, if anything.
fn limits(terms: &Terms) -> String {
    let mut limits = Vec::new();
    if terms.qos_max < QoS::ExactlyOnce {
        limits.push(format!("QoS {} at most", terms.qos_max as u8));
    }
    if terms.receive_max < u16::MAX {
        limits.push(format!("{} messages under way", terms.receive_max));
    }
    if terms.packet_bytes_max < usize::MAX {
        limits.push(format!("packets of {} bytes", terms.packet_bytes_max));
    }
    if !terms.retain_available {
        limits.push("nothing retained".into());
    }
    if !terms.wildcards_available {
        limits.push("no wildcards".into());
    }
    if limits.is_empty() { String::new() } else { format!("; it takes {}", limits.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_told_where_there_are_any() {
        let unlimited = Terms {
            version: ProtocolVersion::V5,
            session_present: false,
            client_id: "a".into(),
            receive_max: u16::MAX,
            packet_bytes_max: usize::MAX,
            qos_max: QoS::ExactlyOnce,
            retain_available: true,
            wildcards_available: true,
            session_expiry_s: None,
            keep_alive: Duration::from_secs(60),
        };
        assert_eq!(limits(&unlimited), "");
        let limited = Terms {
            receive_max: 10,
            packet_bytes_max: 5000,
            qos_max: QoS::AtLeastOnce,
            retain_available: false,
            ..unlimited
        };
        let expected = "; it takes QoS 1 at most, 10 messages under way, packets of 5000 bytes, nothing retained";
        assert_eq!(limits(&limited), expected);
    }
}
