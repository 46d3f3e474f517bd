//! Version 5's properties (section 2.2.2): read one by one, each checked against its row of table 2-4.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;

use super::super::code_points::CodePoints;
use super::super::message::{
    MessageProperties, MessagePropertiesRef, PublishProperties, SubscriptionId, SubscriptionIds,
};
use super::super::packet::ProtocolVersion;
use super::super::packet_type::PacketType;
use super::super::place::Place;
use super::super::properties::{Properties, PropertyFields};
use super::super::property::{Kind, PropertyId};
use super::cursor::Cursor;
use super::error::DecodeError;

/// A property's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Value<'a> {
    /// Of a byte, two bytes, four bytes or a variable byte integer.
    Number(u32),
    Text(&'a str),
    Binary(&'a [u8]),
    Pair(&'a str, &'a str),
}

impl Value<'_> {
    fn number(self) -> Option<u32> {
        if let Value::Number(number) = self { Some(number) } else { None }
    }

    fn two(self) -> Option<u16> {
        self.number().and_then(|number| u16::try_from(number).ok())
    }

    fn flag(self) -> Option<bool> {
        self.number().map(|number| number == 1)
    }

    fn string(self) -> Option<String> {
        if let Value::Text(text) = self { Some(text.to_owned()) } else { None }
    }
}

/// A property with the bytes it was read from.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Property<'a> {
    pub(in super::super) id: PropertyId,
    pub(in super::super) value: Value<'a>,
    /// Identifier and value.
    pub(in super::super) bytes: &'a [u8],
}

/// Properties one after the other, up to the first that breaks a rule. No allocation.
pub(in super::super) struct Walk<'a> {
    cursor: Cursor<'a>,
    /// `None`: the bytes were checked before.
    place: Option<Place>,
    /// A bit for each identifier that has come.
    seen: u64,
}

impl<'a> Walk<'a> {
    /// Through the properties of `place`, checking each, and their strings for all but `code_points`.
    pub(in super::super) const fn new(bytes: &'a [u8], place: Place, code_points: CodePoints) -> Self {
        let cursor = Cursor::new(bytes, place.packet(), ProtocolVersion::V5, code_points);
        Self { cursor, place: Some(place), seen: 0 }
    }

    /// Through bytes that were checked before.
    pub(in super::super) const fn again(bytes: &'a [u8]) -> Self {
        let cursor = Cursor::new(bytes, PacketType::Publish, ProtocolVersion::V5, CodePoints::All);
        Self { cursor, place: None, seen: 0 }
    }

    fn property(&mut self) -> Result<Property<'a>, DecodeError> {
        let before = self.cursor.rest();
        let id = self.id()?;
        let value = self.value(id)?;
        let length = before.len() - self.cursor.rest().len();
        Ok(Property { id, value, bytes: before.get(..length).unwrap_or(before) })
    }

    fn id(&mut self) -> Result<PropertyId, DecodeError> {
        let packet = self.cursor.packet().name();
        let number = self.cursor.variable("property identifier")?;
        let id = PropertyId::from_number(number).ok_or(DecodeError::UnknownProperty { packet, id: number })?;
        let Some(place) = self.place else { return Ok(id) };
        if !id.may_stand_in(place) {
            return Err(DecodeError::MisplacedProperty { packet, property: id });
        }
        let bit = 1 << id as u8;
        if self.seen & bit != 0 && !id.may_repeat_in(place) {
            return Err(DecodeError::RepeatedProperty { packet, property: id });
        }
        self.seen |= bit;
        Ok(id)
    }

    fn value(&mut self, id: PropertyId) -> Result<Value<'a>, DecodeError> {
        let (cursor, name) = (&mut self.cursor, id.name());
        let number = match id.kind() {
            Kind::Text => return cursor.text(name).map(Value::Text),
            Kind::Topic => return cursor.topic(name).map(Value::Text),
            Kind::Binary => return cursor.binary(name).map(Value::Binary),
            Kind::Pair => return Ok(Value::Pair(cursor.text(name)?, cursor.text(name)?)),
            Kind::Flag => u32::from(cursor.u8(name)?),
            Kind::Two | Kind::TwoNonZero => u32::from(cursor.u16(name)?),
            Kind::Four | Kind::FourNonZero => cursor.u32(name)?,
            Kind::VariableNonZero => cursor.variable(name)?,
        };
        let is_allowed = match id.kind() {
            Kind::Flag => number <= 1,
            Kind::TwoNonZero | Kind::FourNonZero | Kind::VariableNonZero => number != 0,
            _ => true,
        };
        if is_allowed {
            Ok(Value::Number(number))
        } else {
            Err(DecodeError::PropertyValue { property: id, value: number })
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Result<Property<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.cursor.is_empty()).then(|| self.property())
    }
}

/// As [`properties`], in a packet that may end before them.
pub(super) fn properties_if_any(body: &mut Cursor<'_>) -> Result<Properties, DecodeError> {
    if body.is_empty() { Ok(Properties::NONE) } else { properties(body) }
}

/// The properties of a packet other than PUBLISH; none where the version has none.
pub(super) fn properties(body: &mut Cursor<'_>) -> Result<Properties, DecodeError> {
    let bytes = body.property_bytes()?;
    if bytes.is_empty() {
        return Ok(Properties::NONE);
    }
    let mut fields = PropertyFields::default();
    for property in Walk::new(bytes, Place::Of(body.packet()), body.code_points()) {
        set(&mut fields, property?);
    }
    if fields.authentication_data.is_some() && fields.authentication_method.is_none() {
        return Err(DecodeError::AuthenticationDataWithoutMethod { packet: body.packet().name() });
    }
    Ok(Properties::new(fields))
}

fn set(fields: &mut PropertyFields, Property { id, value, .. }: Property<'_>) {
    match (id, value) {
        (PropertyId::SessionExpiryInterval, value) => fields.session_expiry_interval_s = value.number(),
        (PropertyId::ReceiveMaximum, value) => fields.receive_maximum = value.two().and_then(NonZeroU16::new),
        (PropertyId::MaximumPacketSize, value) => fields.maximum_packet_size = value.number().and_then(NonZeroU32::new),
        (PropertyId::TopicAliasMaximum, value) => fields.topic_alias_maximum = value.two(),
        (PropertyId::RequestResponseInformation, value) => fields.request_response_information = value.flag(),
        (PropertyId::RequestProblemInformation, value) => fields.request_problem_information = value.flag(),
        (PropertyId::AuthenticationMethod, value) => fields.authentication_method = value.string(),
        (PropertyId::AuthenticationData, Value::Binary(data)) => {
            fields.authentication_data = Some(Bytes::copy_from_slice(data));
        }
        (PropertyId::MaximumQoS, value) => fields.maximum_qos_is_1 = value.flag(),
        (PropertyId::RetainAvailable, value) => fields.retain_available = value.flag(),
        (PropertyId::AssignedClientIdentifier, value) => fields.assigned_client_identifier = value.string(),
        (PropertyId::ResponseInformation, value) => fields.response_information = value.string(),
        (PropertyId::WildcardSubscriptionAvailable, value) => fields.wildcard_subscription_available = value.flag(),
        (PropertyId::SubscriptionIdentifierAvailable, value) => {
            fields.subscription_identifier_available = value.flag();
        }
        (PropertyId::SharedSubscriptionAvailable, value) => fields.shared_subscription_available = value.flag(),
        (PropertyId::ServerKeepAlive, value) => fields.server_keep_alive_s = value.two(),
        (PropertyId::ServerReference, value) => fields.server_reference = value.string(),
        (PropertyId::SubscriptionIdentifier, value) => {
            fields.subscription_identifier = value.number().and_then(SubscriptionId::new);
        }
        (PropertyId::ReasonString, value) => fields.reason_string = value.string(),
        (PropertyId::UserProperty, Value::Pair(name, value)) => {
            fields.user_properties.push((name.to_owned(), value.to_owned()));
        }
        // a message's own, which stand in PUBLISH and in the will only
        _ => {}
    }
}

/// The properties of a PUBLISH, left where they are.
pub(super) fn publish_properties<'a>(body: &mut Cursor<'a>) -> Result<PublishProperties<'a>, DecodeError> {
    let bytes = body.property_bytes()?;
    if bytes.is_empty() {
        return Ok(PublishProperties::NONE);
    }
    let mut found = PublishProperties::NONE;
    let mut passed_on = 0;
    for property in Walk::new(bytes, Place::Of(PacketType::Publish), body.code_points()) {
        let Property { id, value, bytes: its_bytes } = property?;
        match id {
            PropertyId::MessageExpiryInterval => found.message_expiry_interval_s = value.number(),
            PropertyId::TopicAlias => found.topic_alias = value.two().and_then(NonZeroU16::new),
            PropertyId::SubscriptionIdentifier => found.subscription_ids = SubscriptionIds::received(bytes),
            _ => passed_on += its_bytes.len(),
        }
    }
    found.message = MessagePropertiesRef::among(bytes, passed_on);
    Ok(found)
}

/// The properties of a will.
#[derive(Default)]
pub(super) struct WillProperties {
    pub(super) delay_interval_s: u32,
    pub(super) message_expiry_interval_s: Option<u32>,
    pub(super) message: MessageProperties,
}

pub(super) fn will_properties(body: &mut Cursor<'_>) -> Result<WillProperties, DecodeError> {
    let bytes = body.property_bytes()?;
    let mut found = WillProperties::default();
    let mut passed_on = 0;
    for property in Walk::new(bytes, Place::Will, body.code_points()) {
        let Property { id, value, bytes: its_bytes } = property?;
        match id {
            PropertyId::WillDelayInterval => found.delay_interval_s = value.number().unwrap_or(0),
            PropertyId::MessageExpiryInterval => found.message_expiry_interval_s = value.number(),
            _ => passed_on += its_bytes.len(),
        }
    }
    found.message = MessagePropertiesRef::among(bytes, passed_on).to_owned();
    Ok(found)
}
