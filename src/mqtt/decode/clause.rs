//! Which rule an error broke: its clause in either standard, and version 5's reason code for it.

use super::super::packet::ProtocolVersion;
use super::super::property::PropertyId;
use super::super::reason::ReasonCode;
use super::super::topic::TopicError;
use super::error::DecodeError;

/// What stands for rules of 3.1.1 without a number of their own.
const GENERAL: &str = "MQTT-4.8.0-1";

/// What stands for rules of 5 without a number of their own.
const GENERAL_OF_5: &str = "MQTT-4.13.1-1";

impl DecodeError {
    /// The clause that was broken, without its brackets: 3.1.1's where it has the rule too, 5's otherwise. Rules that
    /// stand in the text without a number of their own come under the general one, `MQTT-4.8.0-1` or `MQTT-4.13.1-1`.
    pub const fn clause(&self) -> &'static str {
        match self {
            Self::PacketType(_)
            | Self::RemainingLength(_)
            | Self::BodyLength { .. }
            | Self::TooShort { .. }
            | Self::TrailingBytes { .. }
            | Self::ConnAckFlags(_) => GENERAL,
            Self::TooLarge { .. } => "MQTT-4.8.0-2",
            Self::FixedHeaderFlags { .. } => "MQTT-2.2.2-2",
            Self::Utf8 { .. } => "MQTT-1.5.3-1",
            Self::Nul { .. } => "MQTT-1.5.3-2",
            Self::DisallowedCodePoint { .. } => "section 1.5.3",
            Self::Topic { error, .. } => error.clause(),
            Self::PacketIdZero { .. } => "MQTT-2.3.1-1",
            Self::ProtocolName(_) => "MQTT-3.1.2-1",
            Self::UnsupportedProtocolLevel(_) => "MQTT-3.1.2-2",
            Self::ConnectReservedFlag(_) => "MQTT-3.1.2-3",
            Self::WillQoSWithoutWill(_) => "MQTT-3.1.2-13",
            Self::WillQoS(_) => "MQTT-3.1.2-14",
            Self::WillRetainWithoutWill(_) => "MQTT-3.1.2-15",
            Self::PasswordWithoutUserName(_) => "MQTT-3.1.2-22",
            Self::SessionPresentWithRefusal(_) => "MQTT-3.2.2-4",
            Self::ConnAckCode(_) => "MQTT-3.2.2-6",
            Self::DupWithQoS0 => "MQTT-3.3.1-2",
            Self::PublishQoS3 => "MQTT-3.3.1-4",
            Self::NoSubscription => "MQTT-3.8.3-3",
            // the standard's own spelling
            Self::RequestedQoS(_) => "MQTT-3-8.3-4",
            Self::NoReturnCode => "MQTT-3.9.3-1",
            Self::SubAckCode(_) => "MQTT-3.9.3-2",
            Self::NoFilter => "MQTT-3.10.3-2",
            Self::NotMinimal { .. } => "MQTT-1.5.5-1",
            Self::VariableByteInteger { .. }
            | Self::UnknownProperty { .. }
            | Self::MisplacedProperty { .. }
            | Self::RepeatedProperty { .. }
            | Self::AuthenticationDataWithoutMethod { .. }
            | Self::RetainHandling(_) => GENERAL_OF_5,
            Self::PropertyValue { property, .. } => value_clause(*property),
            Self::ReasonCode { packet, .. } => reason_clause(packet),
            Self::SubscriptionOptions(_) => "MQTT-3.8.3-5",
            Self::NoLocalOnShared => "MQTT-3.8.3-4",
            Self::NoReasonCode => "MQTT-3.11.3-1",
        }
    }

    /// As [`DecodeError::clause`], numbered as in the standard of `version`.
    pub fn clause_in(&self, version: ProtocolVersion) -> &'static str {
        match (version, self) {
            (ProtocolVersion::V31 | ProtocolVersion::V311, _) => self.clause(),
            (_, Self::TooLarge { .. } | Self::RequestedQoS(_)) => GENERAL_OF_5,
            (_, Self::FixedHeaderFlags { .. }) => "MQTT-2.1.3-1",
            (_, Self::Utf8 { .. }) => "MQTT-1.5.4-1",
            (_, Self::Nul { .. }) => "MQTT-1.5.4-2",
            (_, Self::DisallowedCodePoint { .. }) => "section 1.5.4",
            (_, Self::Topic { field, error }) => topic_clause(field, *error),
            (_, Self::PacketIdZero { .. }) => "MQTT-2.2.1-3",
            (_, Self::WillQoSWithoutWill(_)) => "MQTT-3.1.2-11",
            (_, Self::WillQoS(_)) => "MQTT-3.1.2-12",
            (_, Self::WillRetainWithoutWill(_)) => "MQTT-3.1.2-13",
            (_, Self::ConnAckFlags(_)) => "MQTT-3.2.2-1",
            (_, Self::SessionPresentWithRefusal(_)) => "MQTT-3.2.2-6",
            (_, Self::NoSubscription) => "MQTT-3.8.3-2",
            _ => match self.clause() {
                GENERAL => GENERAL_OF_5,
                clause => clause,
            },
        }
    }

    /// What version 5 tells the peer, in CONNACK before it was let in and in DISCONNECT after that.
    pub fn reason(&self) -> ReasonCode {
        match self {
            Self::TooLarge { .. } => ReasonCode::PacketTooLarge,
            Self::ProtocolName(_) | Self::UnsupportedProtocolLevel(_) => ReasonCode::UnsupportedProtocolVersion,
            Self::Topic { field, error } => topic_reason(field, *error),
            Self::PropertyValue { property: PropertyId::TopicAlias, .. } => ReasonCode::TopicAliasInvalid,
            Self::PacketIdZero { .. }
            | Self::SessionPresentWithRefusal(_)
            | Self::ConnAckCode(_)
            | Self::SubAckCode(_)
            | Self::ReasonCode { .. }
            | Self::NoSubscription
            | Self::NoFilter
            | Self::NoReturnCode
            | Self::NoReasonCode
            | Self::RequestedQoS(_)
            | Self::RetainHandling(_)
            | Self::NoLocalOnShared
            | Self::RepeatedProperty { .. }
            | Self::PropertyValue { .. }
            | Self::AuthenticationDataWithoutMethod { .. } => ReasonCode::ProtocolError,
            _ => ReasonCode::MalformedPacket,
        }
    }
}

const RESPONSE_TOPIC: &str = PropertyId::ResponseTopic.name();

fn topic_clause(field: &str, error: TopicError) -> &'static str {
    match error {
        TopicError::WildcardInName(_) if field == RESPONSE_TOPIC => "MQTT-3.3.2-14",
        TopicError::MultiLevelWildcard => "MQTT-4.7.1-1",
        TopicError::SingleLevelWildcard => "MQTT-4.7.1-2",
        error => error.clause(),
    }
}

/// A topic name that is empty has neither text nor alias (section 3.3.2.1); a wildcard makes a name or a filter
/// invalid; all else is not well formed.
fn topic_reason(field: &str, error: TopicError) -> ReasonCode {
    match error {
        _ if field == RESPONSE_TOPIC => ReasonCode::ProtocolError,
        TopicError::Empty => ReasonCode::ProtocolError,
        TopicError::WildcardInName(_) => ReasonCode::TopicNameInvalid,
        TopicError::MultiLevelWildcard
        | TopicError::SingleLevelWildcard
        | TopicError::NoShareName
        | TopicError::NoSharedFilter => ReasonCode::TopicFilterInvalid,
        TopicError::Nul | TopicError::TooLong(_) | TopicError::DisallowedCodePoint(_) => ReasonCode::MalformedPacket,
    }
}

const fn value_clause(property: PropertyId) -> &'static str {
    match property {
        PropertyId::TopicAlias => "MQTT-3.3.2-8",
        _ => GENERAL_OF_5,
    }
}

const fn reason_clause(packet: &str) -> &'static str {
    match packet.as_bytes() {
        b"CONNACK" => "MQTT-3.2.2-8",
        b"PUBACK" => "MQTT-3.4.2-1",
        b"PUBREC" => "MQTT-3.5.2-1",
        b"PUBREL" => "MQTT-3.6.2-1",
        b"PUBCOMP" => "MQTT-3.7.2-1",
        b"SUBACK" => "MQTT-3.9.3-2",
        b"UNSUBACK" => "MQTT-3.11.3-2",
        b"DISCONNECT" => "MQTT-3.14.2-1",
        b"AUTH" => "MQTT-3.15.2-1",
        _ => GENERAL_OF_5,
    }
}
