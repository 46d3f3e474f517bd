//! The properties of version 5 that speak of sessions and answers; a message's own stand in [`super::message`].

use std::num::{NonZeroU16, NonZeroU32};
use std::ops::Deref;

use bytes::Bytes;

use super::message::SubscriptionId;

/// The properties of a packet other than PUBLISH. Reads like its [`PropertyFields`]; without any it costs no
/// allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties(Option<Box<PropertyFields>>);

/// Every property with its value. Which packets may carry it stands beside it; encoding leaves out what a packet may
/// not carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PropertyFields {
    /// CONNECT, CONNACK, DISCONNECT: seconds that the session outlives its connection. 0 or `None`: not at all,
    /// `u32::MAX`: for ever.
    pub session_expiry_interval_s: Option<u32>,
    /// CONNECT, CONNACK: QoS 1 and 2 messages that the sender takes at a time; 65 535 when `None`.
    pub receive_maximum: Option<NonZeroU16>,
    /// CONNECT, CONNACK: the largest packet in bytes that the sender takes.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// CONNECT, CONNACK: the greatest topic alias that the sender takes; 0 when `None`.
    pub topic_alias_maximum: Option<u16>,
    /// CONNECT: whether CONNACK may carry response information; no when `None`.
    pub request_response_information: Option<bool>,
    /// CONNECT: whether answers may carry reason strings and user properties; yes when `None`.
    pub request_problem_information: Option<bool>,
    /// CONNECT, CONNACK, AUTH: the name of the way to authenticate.
    pub authentication_method: Option<String>,
    /// CONNECT, CONNACK, AUTH: what the method needs.
    pub authentication_data: Option<Bytes>,
    /// CONNACK: whether QoS 1 is the most that the server takes (`true`) or QoS 0 (`false`); QoS 2 when `None`.
    pub maximum_qos_is_1: Option<bool>,
    /// CONNACK: whether the server retains; yes when `None`.
    pub retain_available: Option<bool>,
    /// CONNACK: the identifier that the server chose.
    pub assigned_client_identifier: Option<String>,
    /// CONNACK: what the client may build response topics from.
    pub response_information: Option<String>,
    /// CONNACK: whether filters may hold wildcards; yes when `None`.
    pub wildcard_subscription_available: Option<bool>,
    /// CONNACK: whether subscriptions may have identifiers; yes when `None`.
    pub subscription_identifier_available: Option<bool>,
    /// CONNACK: whether subscriptions may be shared; yes when `None`.
    pub shared_subscription_available: Option<bool>,
    /// CONNACK: seconds that take the place of the client's keep alive.
    pub server_keep_alive_s: Option<u16>,
    /// CONNACK, DISCONNECT: another server to use.
    pub server_reference: Option<String>,
    /// SUBSCRIBE: what deliveries of these subscriptions are to be marked with.
    pub subscription_identifier: Option<SubscriptionId>,
    /// All answers, DISCONNECT, AUTH: words for a human.
    pub reason_string: Option<String>,
    /// Everywhere: names and values, in order; a name may repeat.
    pub user_properties: Vec<(String, String)>,
}

impl PropertyFields {
    const NONE: &Self = &Self {
        session_expiry_interval_s: None,
        receive_maximum: None,
        maximum_packet_size: None,
        topic_alias_maximum: None,
        request_response_information: None,
        request_problem_information: None,
        authentication_method: None,
        authentication_data: None,
        maximum_qos_is_1: None,
        retain_available: None,
        assigned_client_identifier: None,
        response_information: None,
        wildcard_subscription_available: None,
        subscription_identifier_available: None,
        shared_subscription_available: None,
        server_keep_alive_s: None,
        server_reference: None,
        subscription_identifier: None,
        reason_string: None,
        user_properties: Vec::new(),
    };
}

impl Properties {
    /// No property at all: all that 3.1.1 knows.
    pub const NONE: Self = Self(None);

    /// These.
    pub fn new(fields: PropertyFields) -> Self {
        if fields == *PropertyFields::NONE { Self::NONE } else { Self(Some(Box::new(fields))) }
    }

    /// A reason string alone.
    pub fn reason_string(text: impl Into<String>) -> Self {
        Self::new(PropertyFields { reason_string: Some(text.into()), ..PropertyFields::default() })
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The same without reason string and user properties: for a client that did not ask for them [MQTT-3.1.2-32],
    /// and where they would make the packet larger than the client takes.
    #[must_use]
    pub fn without_problem_information(self) -> Self {
        let Some(fields) = self.0 else { return self };
        Self::new(PropertyFields { reason_string: None, user_properties: Vec::new(), ..*fields })
    }
}

impl Deref for Properties {
    type Target = PropertyFields;

    fn deref(&self) -> &PropertyFields {
        self.0.as_deref().unwrap_or(PropertyFields::NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_property_is_one_value_however_it_is_made() {
        assert_eq!(Properties::new(PropertyFields::default()), Properties::NONE);
        assert_eq!(*Properties::NONE, PropertyFields::default());
        assert_eq!(Properties::reason_string("x").without_problem_information(), Properties::NONE);
    }

    #[test]
    fn properties_are_as_small_as_a_pointer() {
        assert_eq!(size_of::<Properties>(), size_of::<usize>());
    }
}
