//! The packets of MQTT as values. What both versions share stands once; what only version 5 has is optional.

use super::message::{MessageProperties, PublishProperties};
use super::properties::Properties;
use super::reason::ReasonCode;
use super::topic::{TopicFilter, TopicName};

pub use super::scalar::{ClientId, PacketId, Password, ProtocolVersion, QoS};

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
    /// Version 5: seconds between the end of the connection and the publication; ends early with the session.
    pub delay_interval_s: u32,
    /// Version 5: seconds from its publication on in which it is of use; `None` for ever.
    pub message_expiry_interval_s: Option<u32>,
    /// Version 5: what goes to the receivers as it came.
    pub properties: MessageProperties,
}

impl Will {
    /// QoS 0, not retained, without delay or properties.
    pub const fn new(topic: TopicName, payload: bytes::Bytes) -> Self {
        Self {
            topic,
            payload,
            qos: QoS::AtMostOnce,
            retain: false,
            delay_interval_s: 0,
            message_expiry_interval_s: None,
            properties: MessageProperties::NONE,
        }
    }
}

/// CONNECT (section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The level of the protocol.
    pub version: ProtocolVersion,
    /// Whether an old session is thrown away; before version 5 the new one then ends with the connection. Version 5
    /// calls it clean start, and its session lives by the session expiry interval.
    pub clean_session: bool,
    /// Seconds between two packets of the client; 0 turns the mechanism off.
    pub keep_alive_s: u16,
    /// Version 5.
    pub properties: Properties,
    /// Empty when the server is to choose.
    pub client_id: ClientId,
    /// The last will.
    pub will: Option<Will>,
    /// The user name.
    pub user_name: Option<String>,
    /// The password: any bytes.
    pub password: Option<Password>,
}

/// CONNACK (section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnAck {
    /// Whether the server had a session for the client.
    pub session_present: bool,
    /// Accepted, or why not. 3.1.1 carries the nearest [`super::ConnectReturnCode`].
    pub reason: ReasonCode,
    /// Version 5.
    pub properties: Properties,
}

impl ConnAck {
    /// Without properties.
    pub const fn new(session_present: bool, reason: ReasonCode) -> Self {
        Self { session_present, reason, properties: Properties::NONE }
    }
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
    /// The topic name: no wildcard, no NUL, not empty unless a topic alias stands for it (checked by the decoder).
    pub topic: &'a str,
    /// With QoS 1 and 2 only [MQTT-2.3.1-5].
    pub packet_id: Option<PacketId>,
    /// Version 5.
    pub properties: PublishProperties<'a>,
    /// The application message.
    pub payload: &'a [u8],
}

impl<'a> Publish<'a> {
    /// QoS 0, not retained, without properties.
    pub const fn new(topic: &'a str, payload: &'a [u8]) -> Self {
        Self {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic,
            packet_id: None,
            properties: PublishProperties::NONE,
            payload,
        }
    }
}

/// PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The packet identifier it speaks of.
    pub packet_id: PacketId,
    /// Version 5; always [`ReasonCode::Success`] before.
    pub reason: ReasonCode,
    /// Version 5.
    pub properties: Properties,
}

impl Acknowledgement {
    /// All went well.
    pub const fn success(packet_id: PacketId) -> Self {
        Self::new(packet_id, ReasonCode::Success)
    }

    /// Without properties.
    pub const fn new(packet_id: PacketId, reason: ReasonCode) -> Self {
        Self { packet_id, reason, properties: Properties::NONE }
    }
}

/// Which retained messages a subscription brings at once (version 5, section 3.8.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RetainHandling {
    /// All that match: what 3.1.1 does.
    #[default]
    Send = 0,
    /// All that match, if the subscription is new.
    SendIfNew = 1,
    /// None.
    DoNotSend = 2,
}

impl RetainHandling {
    /// The one with this number; `None` for 3 and above.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::Send),
            1 => Some(Self::SendIfNew),
            2 => Some(Self::DoNotSend),
            _ => None,
        }
    }
}

/// One topic filter of a SUBSCRIBE with what is asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The topic filter.
    pub filter: TopicFilter,
    /// The highest quality of service wanted.
    pub qos: QoS,
    /// Version 5: what the subscriber publishes itself does not come back.
    pub no_local: bool,
    /// Version 5: messages keep the RETAIN flag that they were published with.
    pub retain_as_published: bool,
    /// Version 5.
    pub retain_handling: RetainHandling,
}

impl Subscription {
    /// With the options that 3.1.1 knows.
    pub const fn new(filter: TopicFilter, qos: QoS) -> Self {
        Self { filter, qos, no_local: false, retain_as_published: false, retain_handling: RetainHandling::Send }
    }
}

/// SUBSCRIBE (section 3.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// Its packet identifier.
    pub packet_id: PacketId,
    /// Version 5.
    pub properties: Properties,
    /// At least one [MQTT-3.8.3-3].
    pub subscriptions: Vec<Subscription>,
}

impl Subscribe {
    /// Without properties.
    pub const fn new(packet_id: PacketId, subscriptions: Vec<Subscription>) -> Self {
        Self { packet_id, properties: Properties::NONE, subscriptions }
    }
}

/// SUBACK (section 3.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubAck {
    /// The SUBSCRIBE's.
    pub packet_id: PacketId,
    /// Version 5.
    pub properties: Properties,
    /// One a filter, in the SUBSCRIBE's order [MQTT-3.9.3-1]. 3.1.1 has one code for every failure.
    pub codes: Vec<ReasonCode>,
}

impl SubAck {
    /// Without properties.
    pub const fn new(packet_id: PacketId, codes: Vec<ReasonCode>) -> Self {
        Self { packet_id, properties: Properties::NONE, codes }
    }
}

/// UNSUBSCRIBE (section 3.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    /// Its packet identifier.
    pub packet_id: PacketId,
    /// Version 5.
    pub properties: Properties,
    /// At least one [MQTT-3.10.3-2].
    pub filters: Vec<TopicFilter>,
}

impl Unsubscribe {
    /// Without properties.
    pub const fn new(packet_id: PacketId, filters: Vec<TopicFilter>) -> Self {
        Self { packet_id, properties: Properties::NONE, filters }
    }
}

/// UNSUBACK (section 3.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsubAck {
    /// The UNSUBSCRIBE's.
    pub packet_id: PacketId,
    /// Version 5.
    pub properties: Properties,
    /// Version 5: one a filter, in the UNSUBSCRIBE's order [MQTT-3.11.3-1]. Not written before.
    pub codes: Vec<ReasonCode>,
}

impl UnsubAck {
    /// Without properties.
    pub const fn new(packet_id: PacketId, codes: Vec<ReasonCode>) -> Self {
        Self { packet_id, properties: Properties::NONE, codes }
    }
}

/// DISCONNECT (section 3.14). Version 5 lets servers send it too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// Version 5; always [`ReasonCode::NORMAL_DISCONNECTION`] before.
    pub reason: ReasonCode,
    /// Version 5.
    pub properties: Properties,
}

impl Disconnect {
    /// In good order: all that 3.1.1 knows.
    pub const NORMAL: Self = Self::new(ReasonCode::NORMAL_DISCONNECTION);

    /// Without properties.
    pub const fn new(reason: ReasonCode) -> Self {
        Self { reason, properties: Properties::NONE }
    }
}

/// AUTH (version 5, section 3.15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Success, continue or again.
    pub reason: ReasonCode,
    /// With the method.
    pub properties: Properties,
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
    /// Client leaves; in version 5 also the server, with its reason.
    Disconnect(Disconnect),
    /// Version 5: one more step of an authentication.
    Auth(Auth),
}

impl Packet<'_> {
    /// The same without reason string and user properties, for an answer that is larger than its receiver takes.
    #[must_use]
    pub fn without_problem_information(self) -> Self {
        let bare = Properties::without_problem_information;
        match self {
            Self::PubAck(ack) => Self::PubAck(Acknowledgement { properties: bare(ack.properties), ..ack }),
            Self::PubRec(ack) => Self::PubRec(Acknowledgement { properties: bare(ack.properties), ..ack }),
            Self::SubAck(ack) => Self::SubAck(SubAck { properties: bare(ack.properties), ..ack }),
            other => other,
        }
    }

    /// The version that it is written in on a connection of `version`: a CONNECT tells its own.
    pub(super) const fn version_in(&self, version: ProtocolVersion) -> ProtocolVersion {
        match self {
            Self::Connect(connect) => connect.version,
            _ => version,
        }
    }
}
