//! The properties of an application message: those that are passed on as they came, kept as bytes, and the few that
//! each server makes anew.

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;

use super::code_points::{CodePoints, disallowed_code_point};
use super::decode::{DecodeError, Property, Value, Walk};
use super::encode::encode_message_fields;
use super::packet_type::PacketType;
use super::place::Place;
use super::property::PropertyId;

/// A subscription's identifier: 1 to 268 435 455 (section 3.8.2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(NonZeroU32);

impl SubscriptionId {
    /// The identifier with this number; `None` for 0 and for what a variable byte integer cannot say.
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) if number.get() <= 268_435_455 => Some(Self(number)),
            _ => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// The properties of a PUBLISH (section 3.3.2.3), borrowed like the packet. Without any it costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishProperties<'a> {
    /// Seconds from now on in which the message is of use; `None` for ever.
    pub message_expiry_interval_s: Option<u32>,
    /// Stands for the topic name on this connection; with an empty topic name, in its place.
    pub topic_alias: Option<NonZeroU16>,
    /// Server to client: the identifiers of the subscriptions that matched. A client may send none [MQTT-3.3.4-6].
    pub subscription_ids: SubscriptionIds<'a>,
    /// What goes to the receivers as it came.
    pub message: MessagePropertiesRef<'a>,
}

impl PublishProperties<'_> {
    /// No property at all: all that 3.1.1 knows.
    pub const NONE: Self = Self {
        message_expiry_interval_s: None,
        topic_alias: None,
        subscription_ids: SubscriptionIds::NONE,
        message: MessagePropertiesRef::NONE,
    };
}

/// The subscription identifiers of a PUBLISH: listed to be sent, or among the bytes that were received.
#[derive(Clone, Copy)]
pub struct SubscriptionIds<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    Listed(&'a [SubscriptionId]),
    /// A PUBLISH's properties, checked.
    Received(&'a [u8]),
}

impl<'a> SubscriptionIds<'a> {
    /// None.
    pub const NONE: Self = Self(Source::Listed(&[]));

    /// These, in this order.
    pub const fn new(ids: &'a [SubscriptionId]) -> Self {
        Self(Source::Listed(ids))
    }

    /// Those among a PUBLISH's checked properties.
    pub(super) const fn received(properties: &'a [u8]) -> Self {
        Self(Source::Received(properties))
    }

    /// Each, in order.
    pub fn iter(self) -> impl Iterator<Item = SubscriptionId> + use<'a> {
        let (listed, received): (&[_], &[_]) = match self.0 {
            Source::Listed(ids) => (ids, &[]),
            Source::Received(properties) => (&[], properties),
        };
        let received = checked(received).filter_map(|property| match (property.id, property.value) {
            (PropertyId::SubscriptionIdentifier, Value::Number(number)) => SubscriptionId::new(number),
            _ => None,
        });
        listed.iter().copied().chain(received)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }
}

impl Default for SubscriptionIds<'_> {
    fn default() -> Self {
        Self::NONE
    }
}

impl PartialEq for SubscriptionIds<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for SubscriptionIds<'_> {}

impl fmt::Debug for SubscriptionIds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(SubscriptionId::get)).finish()
    }
}

/// What a server passes on with a message as it came: payload format indicator, content type, response topic,
/// correlation data and user properties, as bytes in their order [MQTT-3.3.2-18].
///
/// Borrowed from the properties of a packet. Others may stand between them; each use passes over these.
#[derive(Clone, Copy, Default)]
pub struct MessagePropertiesRef<'a> {
    /// Checked properties of a PUBLISH or of a will.
    bytes: &'a [u8],
    /// How many of the bytes are of properties that are passed on.
    length: usize,
}

impl<'a> MessagePropertiesRef<'a> {
    /// None.
    pub const NONE: Self = Self { bytes: &[], length: 0 };

    /// Those among checked properties, `length` bytes of them.
    pub(super) const fn among(bytes: &'a [u8], length: usize) -> Self {
        Self { bytes: if length == 0 { &[] } else { bytes }, length }
    }

    /// Their length on the wire in bytes.
    pub const fn len(self) -> usize {
        self.length
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.length == 0
    }

    /// Appends their bytes. Cost: a copy when they stand together, else a walk over them.
    pub fn append_to(self, out: &mut Vec<u8>) {
        if self.length == self.bytes.len() {
            out.extend_from_slice(self.bytes);
        } else {
            self.iter().for_each(|property| out.extend_from_slice(property.bytes));
        }
    }

    /// The same, kept. Without any it costs no allocation.
    pub fn to_owned(self) -> MessageProperties {
        let mut bytes = Vec::with_capacity(self.length);
        self.append_to(&mut bytes);
        MessageProperties(bytes.into())
    }

    /// Whether the payload is said to be UTF-8. Nobody has looked whether it is.
    pub fn payload_is_utf8(self) -> bool {
        self.iter().any(|property| {
            matches!((property.id, property.value), (PropertyId::PayloadFormatIndicator, Value::Number(1)))
        })
    }

    /// What the payload is, in the publisher's words.
    pub fn content_type(self) -> Option<&'a str> {
        self.text(PropertyId::ContentType)
    }

    /// Where an answer is expected: a topic name.
    pub fn response_topic(self) -> Option<&'a str> {
        self.text(PropertyId::ResponseTopic)
    }

    /// What the answer is to carry.
    pub fn correlation_data(self) -> Option<&'a [u8]> {
        self.iter().find_map(|property| match (property.id, property.value) {
            (PropertyId::CorrelationData, Value::Binary(data)) => Some(data),
            _ => None,
        })
    }

    /// Names and values, in order.
    pub fn user_properties(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.iter().filter_map(|property| match property.value {
            Value::Pair(name, value) => Some((name, value)),
            _ => None,
        })
    }

    /// Returns the first [disallowed code point](disallowed_code_point) of all strings.
    pub fn disallowed_code_point(self) -> Option<char> {
        self.iter().find_map(|property| match property.value {
            Value::Text(text) => disallowed_code_point(text),
            Value::Pair(name, value) => disallowed_code_point(name).or_else(|| disallowed_code_point(value)),
            Value::Number(_) | Value::Binary(_) => None,
        })
    }

    fn text(self, id: PropertyId) -> Option<&'a str> {
        self.iter().find_map(|property| match property.value {
            Value::Text(text) if property.id == id => Some(text),
            _ => None,
        })
    }

    fn iter(self) -> impl Iterator<Item = Property<'a>> {
        checked(self.bytes).filter(|property| property.id.is_passed_on())
    }
}

impl PartialEq for MessagePropertiesRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.length == other.length
            && self.iter().map(|property| property.bytes).eq(other.iter().map(|property| property.bytes))
    }
}

impl Eq for MessagePropertiesRef<'_> {}

impl fmt::Debug for MessagePropertiesRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|property| (property.id, property.value))).finish()
    }
}

/// [`MessagePropertiesRef`], owned: what is kept with a retained or queued message. Cheap to clone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MessageProperties(Bytes);

/// The same one by one, to make them from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageFields<'a> {
    /// Whether the payload is said to be UTF-8.
    pub payload_is_utf8: Option<bool>,
    /// What the payload is.
    pub content_type: Option<&'a str>,
    /// Where an answer is expected: a topic name; its maker has checked it.
    pub response_topic: Option<&'a str>,
    /// What the answer is to carry.
    pub correlation_data: Option<&'a [u8]>,
    /// Names and values, in order.
    pub user_properties: &'a [(&'a str, &'a str)],
}

impl MessageProperties {
    /// None.
    pub const NONE: Self = Self(Bytes::new());

    /// These.
    pub fn new(fields: &MessageFields<'_>) -> Self {
        let mut bytes = Vec::new();
        encode_message_fields(fields, &mut bytes);
        Self(bytes.into())
    }

    /// Checks and takes bytes that [`MessageProperties::as_bytes`] gave, for instance those that a store has kept.
    ///
    /// # Errors
    /// When they are not properties, or not only of those that are passed on.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, DecodeError> {
        for property in Walk::new(&bytes, MESSAGE, CodePoints::All) {
            let Property { id, .. } = property?;
            if !id.is_passed_on() {
                return Err(DecodeError::MisplacedProperty { packet: "a kept message", property: id });
            }
        }
        Ok(Self(bytes))
    }

    /// The bytes as they stand in a PUBLISH, without their length before them.
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The same, borrowed.
    pub fn as_ref(&self) -> MessagePropertiesRef<'_> {
        MessagePropertiesRef { bytes: &self.0, length: self.0.len() }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for MessageProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// PUBLISH has all that a will has and is passed on.
const MESSAGE: Place = Place::Of(PacketType::Publish);

/// The properties in bytes that were checked before: an error cannot come.
fn checked(bytes: &[u8]) -> impl Iterator<Item = Property<'_>> {
    // a will's delay may stand among them
    Walk::again(bytes).map_while(Result::ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: MessageFields<'static> = MessageFields {
        payload_is_utf8: Some(true),
        content_type: Some("text/plain"),
        response_topic: Some("a/b"),
        correlation_data: Some(&[0, 1]),
        user_properties: &[("k", "1"), ("k", "2")],
    };

    #[test]
    fn what_is_put_in_is_read_back() {
        let owned = MessageProperties::new(&FIELDS);
        let message = owned.as_ref();
        assert!(message.payload_is_utf8());
        assert_eq!(message.content_type(), Some("text/plain"));
        assert_eq!(message.response_topic(), Some("a/b"));
        assert_eq!(message.correlation_data(), Some(&[0, 1][..]));
        assert_eq!(message.user_properties().collect::<Vec<_>>(), FIELDS.user_properties);
        assert_eq!(MessageProperties::from_bytes(owned.as_bytes().clone()), Ok(owned.clone()));
        assert_eq!(message.to_owned(), owned);
    }

    #[test]
    fn no_property_is_no_bytes() {
        assert_eq!(MessageProperties::new(&MessageFields::default()), MessageProperties::NONE);
        assert!(!MessageProperties::NONE.as_ref().payload_is_utf8());
        assert_eq!(MessageProperties::NONE.as_ref().to_owned(), MessageProperties::NONE);
    }

    #[test]
    fn kept_bytes_that_are_not_a_messages_own_are_refused() {
        // a topic alias of 1
        assert!(MessageProperties::from_bytes(Bytes::from_static(&[0x23, 0x00, 0x01])).is_err());
        // a content type that is cut
        assert!(MessageProperties::from_bytes(Bytes::from_static(&[0x03, 0x00, 0x02, b'a'])).is_err());
    }

    #[test]
    fn subscription_identifiers_have_their_bounds() {
        assert_eq!(SubscriptionId::new(0), None);
        assert_eq!(SubscriptionId::new(268_435_455).map(SubscriptionId::get), Some(268_435_455));
        assert_eq!(SubscriptionId::new(268_435_456), None);
    }
}
