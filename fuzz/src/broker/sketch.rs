//! Packets in few bytes, of few clients, topics and identifiers, so that they meet.

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::OnceLock;

use arbitrary::Arbitrary;
use bytes::Bytes;
use sensegate::mqtt::{
    Acknowledgement, Auth, ClientId, Connect, Disconnect, MessageFields, MessageProperties, MessagePropertiesRef,
    Packet, PacketId, Properties, PropertyFields, ProtocolVersion, Publish, PublishProperties, QoS, ReasonCode,
    RetainHandling, Subscribe, Subscription, SubscriptionId, TopicFilter, TopicName, Unsubscribe, Will, encode,
};

const CLIENT_IDS: [&str; 6] = ["a", "b", "c", "", "sensegate/agent", "d"];
const USERS: [&str; 3] = ["bob", "eve", ""];
const TOPICS: [&str; 6] = ["a", "b", "a/c", "$SYS/x", "a/b/c/d/e", ""];
const FILTERS: [&str; 9] = ["#", "+", "a/#", "b", "+/c", "$share/g/a", "$share/g/#", "$SYS/#", "a/b/c/d/e"];
const EXPIRIES_S: [u32; 5] = [0, 1, 100, u32::MAX - 1, u32::MAX];

/// A packet that a client may send. Small numbers choose among the constants above.
#[derive(Arbitrary, Debug)]
pub enum Sketch {
    /// CONNECT; of version 5 three times out of four of the higher values.
    Connect(Greeting),
    /// PUBLISH.
    Publish(Message),
    /// SUBSCRIBE with an identifier, an optional subscription identifier, and filters with their options.
    Subscribe(u8, Option<u8>, Vec<(u8, u8)>),
    /// UNSUBSCRIBE with an identifier and filters.
    Unsubscribe(u8, Vec<u8>),
    /// PUBACK, PUBREC, PUBREL or PUBCOMP, an identifier, and whether it is a failure.
    Acknowledge(u8, u8, bool),
    /// PINGREQ.
    Ping,
    /// DISCONNECT, with the will, and with another session expiry interval.
    Disconnect(bool, Option<u8>),
    /// AUTH.
    Authenticate,
}

/// What stands in a CONNECT.
#[derive(Arbitrary, Debug)]
pub struct Greeting {
    version: u8,
    client_id: u8,
    is_clean: bool,
    keep_alive_s: u16,
    user: Option<u8>,
    will: Option<Message>,
    expiry: Option<u8>,
    receive_maximum: Option<u8>,
    packet_size_maximum: Option<u8>,
    alias_maximum: Option<u8>,
    wants_no_reasons: bool,
}

/// What stands in a PUBLISH or in a will.
#[derive(Arbitrary, Debug)]
pub struct Message {
    topic: u8,
    qos: u8,
    flags: u8,
    packet_id: u8,
    payload: u8,
    expiry: Option<u8>,
    alias: Option<u8>,
}

impl Sketch {
    /// Its bytes on a connection of `version`; a CONNECT tells its own.
    pub fn bytes(&self, version: ProtocolVersion) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Publish(message) => {
                encode(&Packet::Publish(message.publish(&message.payload())), version, &mut bytes)
            }
            sketch => encode(&sketch.owned(), version, &mut bytes),
        }
        bytes
    }

    fn owned(&self) -> Packet<'static> {
        match self {
            Self::Connect(greeting) => Packet::Connect(greeting.connect()),
            Self::Subscribe(id, identifier, filters) => Packet::Subscribe(subscribe(*id, *identifier, filters)),
            Self::Unsubscribe(id, filters) => {
                let filters =
                    filters.iter().map(|filter| TopicFilter::new(pick(&FILTERS, *filter)).expect("a constant"));
                Packet::Unsubscribe(Unsubscribe {
                    packet_id: packet_id(*id),
                    properties: Properties::NONE,
                    filters: filters.collect(),
                })
            }
            Self::Acknowledge(kind, id, is_failure) => acknowledge(*kind, *id, *is_failure),
            Self::Disconnect(with_will, expiry) => disconnect(*with_will, *expiry),
            Self::Authenticate => Packet::Auth(Auth { reason: ReasonCode::Success, properties: Properties::NONE }),
            Self::Ping | Self::Publish(_) => Packet::PingReq,
        }
    }
}

impl Greeting {
    fn connect(&self) -> Connect {
        let version = match self.version % 8 {
            0 => ProtocolVersion::V31,
            1..=3 => ProtocolVersion::V311,
            _ => ProtocolVersion::V5,
        };
        Connect {
            version,
            clean_session: self.is_clean,
            keep_alive_s: self.keep_alive_s,
            properties: self.properties(),
            client_id: ClientId::new(pick(&CLIENT_IDS, self.client_id)),
            will: self.will.as_ref().and_then(Message::will),
            user_name: self.user.map(|user| pick(&USERS, user).to_owned()),
            password: self.user.map(|user| Bytes::copy_from_slice(&[user]).into()),
        }
    }

    fn properties(&self) -> Properties {
        Properties::new(PropertyFields {
            session_expiry_interval_s: self.expiry.map(|expiry| pick(&EXPIRIES_S, expiry)),
            receive_maximum: self.receive_maximum.and_then(|number| NonZeroU16::new(number.into())),
            maximum_packet_size: self.packet_size_maximum.and_then(|number| NonZeroU32::new(number.into())),
            topic_alias_maximum: self.alias_maximum.map(u16::from),
            request_problem_information: self.wants_no_reasons.then_some(false),
            ..PropertyFields::default()
        })
    }
}

impl Message {
    fn payload(&self) -> Vec<u8> {
        vec![self.payload; usize::from(self.payload % 32)]
    }

    fn publish<'a>(&self, payload: &'a [u8]) -> Publish<'a> {
        let qos = pick(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce], self.qos);
        let topic_alias = self.alias.and_then(|alias| NonZeroU16::new(alias.into()));
        Publish {
            qos,
            dup: self.flags & 1 != 0,
            retain: self.flags & 2 != 0,
            packet_id: (qos != QoS::AtMostOnce).then(|| packet_id(self.packet_id)),
            properties: PublishProperties {
                message_expiry_interval_s: self.expiry.map(u32::from),
                topic_alias,
                message: if self.flags & 4 != 0 { properties().as_ref() } else { MessagePropertiesRef::NONE },
                ..PublishProperties::NONE
            },
            ..Publish::new(pick(&TOPICS, self.topic), payload)
        }
    }

    fn will(&self) -> Option<Will> {
        let topic = TopicName::new(pick(&TOPICS, self.topic)).ok()?;
        let qos = pick(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce], self.qos);
        Some(Will {
            qos,
            retain: self.flags & 2 != 0,
            delay_interval_s: self.alias.unwrap_or_default().into(),
            properties: if self.flags & 4 != 0 { properties().clone() } else { MessageProperties::NONE },
            message_expiry_interval_s: self.expiry.map(u32::from),
            ..Will::new(topic, self.payload().into())
        })
    }
}

/// Properties of a message that are passed on.
fn properties() -> &'static MessageProperties {
    static PROPERTIES: OnceLock<MessageProperties> = OnceLock::new();
    PROPERTIES.get_or_init(|| {
        MessageProperties::new(&MessageFields { user_properties: &[("k", "v")], ..MessageFields::default() })
    })
}

fn subscribe(id: u8, identifier: Option<u8>, filters: &[(u8, u8)]) -> Subscribe {
    let subscription = |&(filter, options): &(u8, u8)| {
        let filter = TopicFilter::new(pick(&FILTERS, filter)).expect("a constant");
        Subscription {
            no_local: options & 4 != 0 && !filter.as_str().starts_with("$share"),
            retain_as_published: options & 8 != 0,
            retain_handling: RetainHandling::from_bits(options >> 4 & 3).unwrap_or_default(),
            ..Subscription::new(filter, QoS::from_bits(options & 3).unwrap_or_default())
        }
    };
    let properties = PropertyFields {
        subscription_identifier: identifier.and_then(|number| SubscriptionId::new(number.into())),
        ..PropertyFields::default()
    };
    let subscriptions = filters.iter().map(subscription).collect();
    Subscribe { properties: Properties::new(properties), ..Subscribe::new(packet_id(id), subscriptions) }
}

fn acknowledge(kind: u8, id: u8, is_failure: bool) -> Packet<'static> {
    let with = |reason| Acknowledgement::new(packet_id(id), if is_failure { reason } else { ReasonCode::Success });
    match kind % 4 {
        0 => Packet::PubAck(with(ReasonCode::UnspecifiedError)),
        1 => Packet::PubRec(with(ReasonCode::UnspecifiedError)),
        2 => Packet::PubRel(with(ReasonCode::PacketIdentifierNotFound)),
        _ => Packet::PubComp(with(ReasonCode::PacketIdentifierNotFound)),
    }
}

fn disconnect(with_will: bool, expiry: Option<u8>) -> Packet<'static> {
    let reason = if with_will { ReasonCode::DisconnectWithWillMessage } else { ReasonCode::NORMAL_DISCONNECTION };
    let fields = PropertyFields {
        session_expiry_interval_s: expiry.map(|expiry| pick(&EXPIRIES_S, expiry)),
        ..PropertyFields::default()
    };
    Packet::Disconnect(Disconnect { reason, properties: Properties::new(fields) })
}

/// 1 to 8.
fn packet_id(number: u8) -> PacketId {
    PacketId::new(u16::from(number % 8) + 1).expect("1 at least")
}

fn pick<T: Copy>(among: &[T], number: u8) -> T {
    among[usize::from(number) % among.len()]
}
