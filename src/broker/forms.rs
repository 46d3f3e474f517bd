//! The bytes of a message as each receiver gets them: encoded once for all who get the same.

use std::num::NonZeroU16;
use std::sync::Arc;

use bytes::Bytes;

use super::alias::Alias;
use super::connection::Connection;
use super::message::{Delivery, Message};
use super::output::SendClass;
use crate::base::clock::Monotonic;
use crate::mqtt::{
    Frame, MessagePropertiesRef, PacketId, ProtocolVersion, Publish, PublishProperties, PublishTemplate, QoS,
    SubscriptionId, SubscriptionIds, TopicName,
};

/// A stored payload longer than this is shared with each receiver's packet instead of copied.
const SHARED_BYTES_MIN: usize = 1024;

/// What all receivers get, borrowed from wherever it is.
#[derive(Clone, Copy)]
pub(super) struct Content<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    /// The payload where it is stored; `None` for one that was borrowed from a connection's read buffer.
    pub(super) stored: Option<&'a Bytes>,
    pub(super) properties: MessagePropertiesRef<'a>,
    /// Seconds in which it is still of use [MQTT-3.3.2-6].
    pub(super) expiry_s: Option<u32>,
}

impl<'a> Content<'a> {
    /// What is left of a message that waited until `now`.
    pub(super) fn of(message: &'a Message, now: Monotonic) -> Self {
        Self {
            topic: message.topic.as_str(),
            payload: &message.payload,
            stored: Some(&message.payload),
            properties: message.properties.as_ref(),
            expiry_s: message.expires.map(|expires| seconds_left(expires, now)),
        }
    }
}

/// Whole seconds from `now` to `expires`, begun ones counted.
fn seconds_left(expires: Monotonic, now: Monotonic) -> u32 {
    let left = expires - now;
    u32::try_from(left.as_secs()).unwrap_or(u32::MAX).saturating_add(u32::from(left.subsec_nanos() > 0))
}

/// What is one receiver's own.
#[derive(Clone, Copy)]
pub(super) struct Own<'a> {
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) dup: bool,
    /// With QoS 1 and 2.
    pub(super) packet_id: Option<PacketId>,
    pub(super) subscription_ids: &'a [SubscriptionId],
}

impl<'a> Own<'a> {
    /// Of a delivery that goes out under `packet_id`.
    pub(super) fn of(delivery: &'a Delivery, packet_id: Option<PacketId>) -> Self {
        let Delivery { qos, retain, .. } = *delivery;
        Self { qos, retain, dup: false, packet_id, subscription_ids: delivery.subscription_ids() }
    }
}

impl Connection {
    /// The message for this one receiver, and whether it may be left out; `None` when its client does not take a packet
    /// of that size [MQTT-3.1.2-24], [MQTT-3.1.2-25].
    pub(super) fn encode(&mut self, content: &Content<'_>, own: &Own<'_>) -> Option<(Frame, SendClass)> {
        let alias = self.five.as_ref().and_then(|five| five.outgoing.of(content.topic));
        let frame = encode(content, own, alias, self.version);
        if self.takes(frame.wire_len()) {
            if let (Some(Alias::Told(alias)), Some(five)) = (alias, &mut self.five) {
                five.outgoing.told(alias, content.topic);
                return Some((frame, SendClass::Must));
            }
            return Some((frame, class(own.qos)));
        }
        // the alias itself may be what makes it too large
        let frame = encode(content, own, None, self.version);
        self.takes(frame.wire_len()).then_some((frame, class(own.qos)))
    }

    /// Whether topics go out under aliases, which makes each packet this connection's own.
    fn has_aliases(&self) -> bool {
        self.five.as_ref().is_some_and(|five| five.outgoing.is_used())
    }
}

fn class(qos: QoS) -> SendClass {
    if qos == QoS::AtMostOnce { SendClass::MayDrop } else { SendClass::Must }
}

fn encode(content: &Content<'_>, own: &Own<'_>, alias: Option<Alias>, version: ProtocolVersion) -> Frame {
    let (topic, topic_alias): (_, Option<NonZeroU16>) = match alias {
        Some(Alias::Known(alias)) => ("", Some(alias)),
        Some(Alias::Told(alias)) => (content.topic, Some(alias)),
        None => (content.topic, None),
    };
    let publish = Publish {
        qos: own.qos,
        retain: own.retain,
        properties: PublishProperties {
            message_expiry_interval_s: content.expiry_s,
            topic_alias,
            subscription_ids: SubscriptionIds::new(own.subscription_ids),
            message: content.properties,
        },
        ..Publish::new(topic, content.payload)
    };
    match content.stored.filter(|payload| payload.len() > SHARED_BYTES_MIN) {
        Some(payload) => {
            let publish = Publish { packet_id: own.packet_id, dup: own.dup, ..publish };
            Frame::of_shared_payload(&publish, payload, version)
        }
        None => PublishTemplate::of(&publish, version).into_frame(own.packet_id, own.dup),
    }
}

/// The forms of one publication, each made when the first receiver needs it.
pub(super) struct Forms<'a> {
    pub(super) content: Content<'a>,
    expires: Option<Monotonic>,
    message: Option<Arc<Message>>,
    /// By quality of service: of 3.1 and 3.1.1, and of version 5 without anything that is a receiver's own.
    templates: [Option<PublishTemplate>; 3],
    templates_of_5: [Option<PublishTemplate>; 3],
}

impl<'a> Forms<'a> {
    pub(super) fn new(content: Content<'a>, now: Monotonic) -> Self {
        let expires = content.expiry_s.map(|seconds| now + std::time::Duration::from_secs(seconds.into()));
        let (templates, templates_of_5) = ([const { None }; 3], [const { None }; 3]);
        Self { content, expires, message: None, templates, templates_of_5 }
    }

    /// As [`Connection::encode`], from the form that others got when it is the same.
    pub(super) fn frame(&mut self, receiver: &mut Connection, own: &Own<'_>) -> Option<(Frame, SendClass)> {
        if own.retain || !own.subscription_ids.is_empty() || receiver.has_aliases() {
            return receiver.encode(&self.content, own);
        }
        let template = self.template(own.qos, receiver.version);
        let fits = receiver.takes(template.wire_len());
        fits.then(|| (template.frame(own.packet_id, own.dup), class(own.qos)))
    }

    fn template(&mut self, qos: QoS, version: ProtocolVersion) -> &PublishTemplate {
        let templates = if version.has_properties() { &mut self.templates_of_5 } else { &mut self.templates };
        let [q0, q1, q2] = templates;
        let place = match qos {
            QoS::AtMostOnce => q0,
            QoS::AtLeastOnce => q1,
            QoS::ExactlyOnce => q2,
        };
        place.get_or_insert_with(|| {
            let Content { topic, payload, properties, expiry_s, .. } = self.content;
            let properties = PublishProperties {
                message_expiry_interval_s: expiry_s,
                message: properties,
                ..PublishProperties::NONE
            };
            PublishTemplate::of(&Publish { qos, properties, ..Publish::new(topic, payload) }, version)
        })
    }

    /// The message to keep; `None` only for a topic that is none, which the decoder does not let in.
    pub(super) fn message(&mut self) -> Option<Arc<Message>> {
        if self.message.is_none() {
            let Content { topic, payload, properties, .. } = self.content;
            self.message = Some(Arc::new(Message {
                topic: TopicName::new(topic).ok()?,
                payload: Bytes::copy_from_slice(payload),
                properties: properties.to_owned(),
                expires: self.expires,
            }));
        }
        self.message.clone()
    }
}
