//! What CONNACK said, and what it left to the standard.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use super::Options;
use crate::mqtt::{ConnAck, ProtocolVersion, QoS};

/// On which terms the server took the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The version that is spoken.
    pub version: ProtocolVersion,
    /// Whether the server had a session for the client.
    pub session_present: bool,
    /// The identifier, the server's own if it chose one.
    pub client_id: String,
    /// Messages of QoS 1 that the server takes at a time (section 3.2.2.3.3).
    pub receive_max: u16,
    /// The largest packet that the server takes (section 3.2.2.3.6).
    pub packet_bytes_max: usize,
    /// The highest quality of service that the server takes (section 3.2.2.3.4).
    pub qos_max: QoS,
    /// Whether the server keeps retained messages (section 3.2.2.3.5).
    pub retain_available: bool,
    /// Whether a filter may hold wildcards (section 3.2.2.3.11).
    pub wildcards_available: bool,
    /// How long the server keeps the session; `None` for ever.
    pub session_expiry_s: Option<u32>,
    /// How long either side may be silent. A server keep alive of 0 turns the server's side off (section 3.2.2.3.14);
    /// this side then goes on testing by its own.
    pub keep_alive: Duration,
}

impl Terms {
    pub(super) fn new(options: &Options, version: ProtocolVersion, accepted: &ConnAck) -> Self {
        let properties = &accepted.properties;
        let server_keep_alive = properties.server_keep_alive_s.filter(|seconds| *seconds > 0);
        let asked_expiry_s = if options.clean_session { 0 } else { options.session_expiry_s };
        let expiry_s = match version {
            ProtocolVersion::V5 => Some(properties.session_expiry_interval_s.unwrap_or(asked_expiry_s)),
            _ => options.clean_session.then_some(0),
        };
        Self {
            version,
            session_present: accepted.session_present,
            client_id: properties.assigned_client_identifier.clone().unwrap_or_else(|| options.client_id.clone()),
            receive_max: properties.receive_maximum.map_or(u16::MAX, NonZeroU16::get),
            packet_bytes_max: properties.maximum_packet_size.map_or(usize::MAX, bytes),
            qos_max: match properties.maximum_qos_is_1 {
                None => QoS::ExactlyOnce,
                Some(true) => QoS::AtLeastOnce,
                Some(false) => QoS::AtMostOnce,
            },
            retain_available: properties.retain_available.unwrap_or(true),
            wildcards_available: properties.wildcard_subscription_available.unwrap_or(true),
            session_expiry_s: expiry_s.filter(|seconds| *seconds < u32::MAX),
            keep_alive: server_keep_alive
                .map_or(options.keep_alive, |seconds| Duration::from_secs(u64::from(seconds)).min(options.keep_alive)),
        }
    }
}

fn bytes(most: NonZeroU32) -> usize {
    usize::try_from(most.get()).unwrap_or(usize::MAX)
}
