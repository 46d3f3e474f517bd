//! Version 5's properties (section 2.2.2), behind their length.

use super::super::message::{MessageFields, PublishProperties, SubscriptionId};
use super::super::packet::Will;
use super::super::packet_type::PacketType;
use super::super::place::Place;
use super::super::properties::{Properties, PropertyFields};
use super::super::property::PropertyId;
use super::{push_field, push_variable, variable_len};

/// Writes the properties that may stand in one place; passes over all others.
struct Writer<'a> {
    place: Place,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn value(&mut self, id: PropertyId, value: &[u8]) {
        if id.may_stand_in(self.place) {
            self.out.push(id as u8);
            self.out.extend_from_slice(value);
        }
    }

    fn flag(&mut self, id: PropertyId, value: Option<bool>) {
        if let Some(value) = value {
            self.value(id, &[u8::from(value)]);
        }
    }

    fn two(&mut self, id: PropertyId, value: Option<u16>) {
        if let Some(value) = value {
            self.value(id, &value.to_be_bytes());
        }
    }

    fn four(&mut self, id: PropertyId, value: Option<u32>) {
        if let Some(value) = value {
            self.value(id, &value.to_be_bytes());
        }
    }

    fn variable(&mut self, id: PropertyId, value: Option<u32>) {
        if let Some(value) = value.filter(|_| id.may_stand_in(self.place)) {
            self.out.push(id as u8);
            push_variable(value as usize, self.out);
        }
    }

    fn field(&mut self, id: PropertyId, value: Option<&[u8]>) {
        if let Some(value) = value.filter(|_| id.may_stand_in(self.place)) {
            self.out.push(id as u8);
            push_field(value, self.out);
        }
    }

    fn text(&mut self, id: PropertyId, value: Option<&str>) {
        self.field(id, value.map(str::as_bytes));
    }

    fn pair(&mut self, name: &str, value: &str) {
        self.text(PropertyId::UserProperty, Some(name));
        push_field(value.as_bytes(), self.out);
    }

    fn fields(&mut self, fields: &PropertyFields) {
        self.four(PropertyId::SessionExpiryInterval, fields.session_expiry_interval_s);
        self.two(PropertyId::ReceiveMaximum, fields.receive_maximum.map(Into::into));
        self.four(PropertyId::MaximumPacketSize, fields.maximum_packet_size.map(Into::into));
        self.two(PropertyId::TopicAliasMaximum, fields.topic_alias_maximum);
        self.flag(PropertyId::RequestResponseInformation, fields.request_response_information);
        self.flag(PropertyId::RequestProblemInformation, fields.request_problem_information);
        self.text(PropertyId::AuthenticationMethod, fields.authentication_method.as_deref());
        self.field(PropertyId::AuthenticationData, fields.authentication_data.as_deref());
        self.flag(PropertyId::MaximumQoS, fields.maximum_qos_is_1);
        self.flag(PropertyId::RetainAvailable, fields.retain_available);
        self.text(PropertyId::AssignedClientIdentifier, fields.assigned_client_identifier.as_deref());
        self.text(PropertyId::ResponseInformation, fields.response_information.as_deref());
        self.flag(PropertyId::WildcardSubscriptionAvailable, fields.wildcard_subscription_available);
        self.flag(PropertyId::SubscriptionIdentifierAvailable, fields.subscription_identifier_available);
        self.flag(PropertyId::SharedSubscriptionAvailable, fields.shared_subscription_available);
        self.two(PropertyId::ServerKeepAlive, fields.server_keep_alive_s);
        self.text(PropertyId::ServerReference, fields.server_reference.as_deref());
        self.variable(PropertyId::SubscriptionIdentifier, fields.subscription_identifier.map(SubscriptionId::get));
        self.text(PropertyId::ReasonString, fields.reason_string.as_deref());
        fields.user_properties.iter().for_each(|(name, value)| self.pair(name, value));
    }
}

/// Appends what `write` writes behind its length.
fn push_behind_length(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut properties = Vec::new();
    write(&mut properties);
    push_variable(properties.len(), out);
    out.extend_from_slice(&properties);
}

/// Without any it costs no allocation.
pub(super) fn push_properties(packet: PacketType, properties: &Properties, out: &mut Vec<u8>) {
    if properties.is_empty() {
        return out.push(0); // [MQTT-2.2.2-1]
    }
    push_behind_length(out, |out| Writer { place: Place::Of(packet), out }.fields(properties));
}

pub(super) fn push_will_properties(will: &Will, out: &mut Vec<u8>) {
    push_behind_length(out, |out| {
        let mut writer = Writer { place: Place::Will, out };
        writer.four(PropertyId::WillDelayInterval, Some(will.delay_interval_s).filter(|delay| *delay > 0));
        writer.four(PropertyId::MessageExpiryInterval, will.message_expiry_interval_s);
        will.properties.as_ref().append_to(out);
    });
}

/// The properties of a message that are passed on, without a length before them.
pub(in super::super) fn encode_message_fields(fields: &MessageFields<'_>, out: &mut Vec<u8>) {
    let mut writer = Writer { place: Place::Of(PacketType::Publish), out };
    writer.flag(PropertyId::PayloadFormatIndicator, fields.payload_is_utf8);
    writer.text(PropertyId::ContentType, fields.content_type);
    writer.text(PropertyId::ResponseTopic, fields.response_topic);
    writer.field(PropertyId::CorrelationData, fields.correlation_data);
    fields.user_properties.iter().for_each(|(name, value)| writer.pair(name, value));
}

/// How many bytes [`push_publish_properties`] appends behind the length.
pub(super) fn publish_properties_len(properties: &PublishProperties<'_>) -> usize {
    let expiry = properties.message_expiry_interval_s.map_or(0, |_| 5);
    let alias = properties.topic_alias.map_or(0, |_| 3);
    let ids: usize = properties.subscription_ids.iter().map(|id| 1 + variable_len(id.get() as usize)).sum();
    expiry + alias + ids + properties.message.len()
}

/// What the sender makes anew, then what is passed on, `length` bytes behind that length.
pub(super) fn push_publish_properties(properties: &PublishProperties<'_>, length: usize, out: &mut Vec<u8>) {
    push_variable(length, out);
    let mut writer = Writer { place: Place::Of(PacketType::Publish), out };
    writer.four(PropertyId::MessageExpiryInterval, properties.message_expiry_interval_s);
    writer.two(PropertyId::TopicAlias, properties.topic_alias.map(Into::into));
    properties
        .subscription_ids
        .iter()
        .for_each(|id| writer.variable(PropertyId::SubscriptionIdentifier, Some(id.get())));
    properties.message.append_to(out);
}
