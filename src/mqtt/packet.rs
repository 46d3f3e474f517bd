//! The packets of MQTT as values. What both versions share stands once; what only version 5 has is optional.

use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;

use super::reason::{ConnectReturnCode, SubscribeReturnCode};
use super::topic::{TopicFilter, TopicName};

/// The level of the protocol that a CONNECT names (section 3.1.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProtocolVersion {
    /// `MQTT`, level 4.
    V311,
    /// `MQTT`, level 5.
    V5,
}

/// Quality of service of a delivery (section 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum QoS {
    /// Sent once and forgotten.
    #[default]
    AtMostOnce = 0,
    /// Sent until it is acknowledged; may come twice.
    AtLeastOnce = 1,
    /// Delivered once, by a handshake of four packets.
    ExactlyOnce = 2,
}

impl QoS {
    /// The quality of service with this number; `None` for 3 and above.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// A packet identifier: never zero [MQTT-2.3.1-1].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(pub NonZeroU16);

impl PacketId {
    /// The identifier with this number; `None` for 0.
    pub const fn new(number: u16) -> Option<Self> {
        match NonZeroU16::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

/// A client identifier: UTF-8, at most 65 535 bytes, cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// Takes the text as it is; the decoder has checked it.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a client asks the server to publish when it is gone without a DISCONNECT (section 3.1.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// Where.
    pub topic: TopicName,
    /// What; may be empty.
    pub payload: bytes::Bytes,
    /// With which quality of service.
    pub qos: QoS,
    /// Whether it is kept as the topic's retained message.
    pub retain: bool,
}

/// CONNECT (section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The level of the protocol.
    pub version: ProtocolVersion,
    /// Whether an old session is thrown away and the new one ends with the connection.
    pub clean_session: bool,
    /// Seconds between two packets of the client; 0 turns the mechanism off.
    pub keep_alive_s: u16,
    /// Empty when the server is to choose.
    pub client_id: ClientId,
    /// The last will.
    pub will: Option<Will>,
    /// The user name.
    pub user_name: Option<String>,
    /// The password: any bytes.
    pub password: Option<bytes::Bytes>,
}

/// CONNACK (section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnAck {
    /// Whether the server had a session for the client.
    pub session_present: bool,
    /// Accepted, or why not.
    pub code: ConnectReturnCode,
}

/// PUBLISH (section 3.3), borrowed from the bytes it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Whether this may be a copy of an earlier one. Always false with QoS 0 [MQTT-3.3.1-2].
    pub dup: bool,
    /// The quality of service.
    pub qos: QoS,
    /// Client to server: keep it. Server to client: it comes from the store.
    pub retain: bool,
    /// The topic name: not empty, no wildcard, no NUL (checked by the decoder).
    pub topic: &'a str,
    /// With QoS 1 and 2 only [MQTT-2.3.1-5].
    pub packet_id: Option<PacketId>,
    /// The application message.
    pub payload: &'a [u8],
}

/// PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The packet identifier it speaks of.
    pub packet_id: PacketId,
}

/// One topic filter of a SUBSCRIBE with what is asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The topic filter.
    pub filter: TopicFilter,
    /// The highest quality of service wanted.
    pub qos: QoS,
}

/// SUBSCRIBE (section 3.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// Its packet identifier.
    pub packet_id: PacketId,
    /// At least one [MQTT-3.8.3-3].
    pub subscriptions: Vec<Subscription>,
}

/// SUBACK (section 3.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubAck {
    /// The SUBSCRIBE's.
    pub packet_id: PacketId,
    /// One a filter, in the SUBSCRIBE's order [MQTT-3.9.3-1].
    pub codes: Vec<SubscribeReturnCode>,
}

/// UNSUBSCRIBE (section 3.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    /// Its packet identifier.
    pub packet_id: PacketId,
    /// At least one [MQTT-3.10.3-2].
    pub filters: Vec<TopicFilter>,
}

/// UNSUBACK (section 3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsubAck {
    /// The UNSUBSCRIBE's.
    pub packet_id: PacketId,
}

/// A control packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Client asks for a session.
    Connect(Connect),
    /// Server answers.
    ConnAck(ConnAck),
    /// An application message.
    Publish(Publish<'a>),
    /// Answers a PUBLISH of QoS 1.
    PubAck(Acknowledgement),
    /// Answers a PUBLISH of QoS 2.
    PubRec(Acknowledgement),
    /// Answers PUBREC.
    PubRel(Acknowledgement),
    /// Answers PUBREL.
    PubComp(Acknowledgement),
    /// Client asks for topics.
    Subscribe(Subscribe),
    /// Server answers.
    SubAck(SubAck),
    /// Client gives topics back.
    Unsubscribe(Unsubscribe),
    /// Server answers.
    UnsubAck(UnsubAck),
    /// Client is there.
    PingReq,
    /// Server too.
    PingResp,
    /// Client leaves in good order.
    Disconnect,
}
