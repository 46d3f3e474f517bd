//! What can be wrong with bytes.

use thiserror::Error;

use super::super::property::PropertyId;
use super::super::reason::ReasonCode;
use super::super::topic::TopicError;

/// Why bytes are no packet. Every one of them ends the connection they came from [MQTT-4.8.0-1]. The messages name
/// clauses as [`DecodeError::clause`] does.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Section 2.2.1: type 0 is forbidden, and before version 5 type 15 too.
    #[error("packet type {0}, 1 to 14 are expected, and 15 in version 5 [MQTT-4.8.0-1]")]
    PacketType(u8),
    /// The lower half of the first byte of anything but PUBLISH.
    #[error("{packet} with fixed header flags {found:#06b}, {expected:#06b} is expected [MQTT-2.2.2-2]")]
    FixedHeaderFlags {
        /// The packet's name.
        packet: &'static str,
        /// The flags that came.
        found: u8,
        /// The only ones that are allowed.
        expected: u8,
    },
    /// Section 2.2.3: the fourth byte of the remaining length announces a fifth.
    #[error("remaining length goes on after its fourth byte {0:#04x}, at most four bytes are expected [MQTT-4.8.0-1]")]
    RemainingLength(u8),
    /// The packet is larger than the receiver takes.
    #[error("{packet} of {length} bytes, at most {max} are taken [MQTT-4.8.0-2]")]
    TooLarge {
        /// The packet's name.
        packet: &'static str,
        /// The announced length in bytes, header included.
        length: usize,
        /// The receiver's limit in bytes.
        max: usize,
    },
    /// A packet whose length is always the same has another one.
    #[error("{packet} with a remaining length of {found}, {expected} is expected [MQTT-4.8.0-1]")]
    BodyLength {
        /// The packet's name.
        packet: &'static str,
        /// The announced remaining length in bytes.
        found: usize,
        /// The only one that is allowed, in bytes.
        expected: usize,
    },
    /// The packet ends within a field.
    #[error("{packet} ends in its {field}: {left} bytes are left, {needed} are needed [MQTT-4.8.0-1]")]
    TooShort {
        /// The packet's name.
        packet: &'static str,
        /// What was being read.
        field: &'static str,
        /// Bytes that are left.
        left: usize,
        /// Bytes that the field takes.
        needed: usize,
    },
    /// The packet goes on after its last field.
    #[error("{packet} goes on for {count} bytes after its last field, none is expected [MQTT-4.8.0-1]")]
    TrailingBytes {
        /// The packet's name.
        packet: &'static str,
        /// How many bytes there are too many.
        count: usize,
    },
    /// A string that is no UTF-8; surrogates are none either.
    #[error("{field} is not UTF-8 from its byte {at} on [MQTT-1.5.3-1]")]
    Utf8 {
        /// Which string.
        field: &'static str,
        /// How many of its bytes are good.
        at: usize,
    },
    /// A string with the NUL character.
    #[error("{field} contains the NUL character [MQTT-1.5.3-2]")]
    Nul {
        /// Which string.
        field: &'static str,
    },
    /// A string from a client with a control character or a non-character of Unicode.
    #[error("{field} contains U+{character:04X}, a control character or non-character, which is refused [{clause}]", clause = self.clause())]
    DisallowedCodePoint {
        /// Which string.
        field: &'static str,
        /// The code point.
        character: u32,
    },
    /// A topic name or a topic filter that is none.
    #[error("{field} {error}")]
    Topic {
        /// Which text.
        field: &'static str,
        /// What is wrong with it.
        error: TopicError,
    },
    /// A packet identifier of 0.
    #[error("{packet} with packet identifier 0, 1 to 65535 are expected [MQTT-2.3.1-1]")]
    PacketIdZero {
        /// The packet's name.
        packet: &'static str,
    },
    /// Another protocol. The connection is closed without an answer.
    #[error("protocol name `{0}`, `MQTT` is expected [MQTT-3.1.2-1]")]
    ProtocolName(String),
    /// A level that is not spoken here. The server answers with return code 1 before it closes.
    #[error("protocol level {0}, 4 or 5 is expected [MQTT-3.1.2-2]")]
    UnsupportedProtocolLevel(u8),
    /// Bit 0 of CONNECT's flags.
    #[error("connect flags {0:#010b} with the reserved bit 0 set, 0 is expected [MQTT-3.1.2-3]")]
    ConnectReservedFlag(u8),
    /// A will's quality of service without a will.
    #[error("will QoS {0} without a will, 0 is expected [MQTT-3.1.2-13]")]
    WillQoSWithoutWill(u8),
    /// A will's quality of service of 3.
    #[error("will QoS {0}, 0 to 2 are expected [MQTT-3.1.2-14]")]
    WillQoS(u8),
    /// A will's retain flag without a will.
    #[error("connect flags {0:#010b} with will retain but no will [MQTT-3.1.2-15]")]
    WillRetainWithoutWill(u8),
    /// A password without a user name.
    #[error("connect flags {0:#010b} with a password but no user name [MQTT-3.1.2-22]")]
    PasswordWithoutUserName(u8),
    /// Reserved bits of CONNACK's acknowledge flags.
    #[error("CONNACK with acknowledge flags {0:#010b}, only bit 0 may be set [MQTT-4.8.0-1]")]
    ConnAckFlags(u8),
    /// A refusal that speaks of a session.
    #[error("CONNACK with {0} and session present, which only code 0 may say [MQTT-3.2.2-4]")]
    SessionPresentWithRefusal(ReasonCode),
    /// A reserved return code.
    #[error("CONNACK with return code {0}, 0 to 5 are expected [MQTT-3.2.2-6]")]
    ConnAckCode(u8),
    /// DUP with QoS 0.
    #[error("PUBLISH with QoS 0 and DUP, which only QoS 1 and 2 may have [MQTT-3.3.1-2]")]
    DupWithQoS0,
    /// QoS 3.
    #[error("PUBLISH with QoS 3, 0 to 2 are expected [MQTT-3.3.1-4]")]
    PublishQoS3,
    /// SUBSCRIBE that asks for nothing.
    #[error("SUBSCRIBE without a topic filter, at least one is expected [MQTT-3.8.3-3]")]
    NoSubscription,
    /// Reserved bits beside the requested quality of service, or a quality of service of 3.
    #[error("SUBSCRIBE with {0:#010b} for a requested QoS, 0 to 2 are expected [MQTT-3-8.3-4]")]
    RequestedQoS(u8),
    /// SUBACK that answers nothing.
    #[error("SUBACK without a return code, one for each topic filter is expected [MQTT-3.9.3-1]")]
    NoReturnCode,
    /// A reserved return code.
    #[error("SUBACK with return code {0:#04x}, 0x00, 0x01, 0x02 or 0x80 is expected [MQTT-3.9.3-2]")]
    SubAckCode(u8),
    /// UNSUBSCRIBE that gives nothing back.
    #[error("UNSUBSCRIBE without a topic filter, at least one is expected [MQTT-3.10.3-2]")]
    NoFilter,
    /// Version 5: a variable byte integer written with more bytes than it needs.
    #[error("{field} is written with more bytes than it needs [MQTT-1.5.5-1]")]
    NotMinimal {
        /// Which number.
        field: &'static str,
    },
    /// Version 5: the fourth byte of a variable byte integer announces a fifth.
    #[error("{field} goes on after its fourth byte, at most four bytes are expected [MQTT-4.13.1-1]")]
    VariableByteInteger {
        /// Which number.
        field: &'static str,
    },
    /// Version 5: a property that the standard does not know.
    #[error("{packet} with the unknown property {id:#04x} [MQTT-4.13.1-1]")]
    UnknownProperty {
        /// The packet's name.
        packet: &'static str,
        /// The property's identifier.
        id: u32,
    },
    /// Version 5: a property that belongs into other packets.
    #[error("{packet} with the property {property} where it may not stand [MQTT-4.13.1-1]")]
    MisplacedProperty {
        /// The packet's name.
        packet: &'static str,
        /// Which property.
        property: PropertyId,
    },
    /// Version 5: a property that may stand once stands there twice.
    #[error("{packet} with the property {property} more than once [MQTT-4.13.1-1]")]
    RepeatedProperty {
        /// The packet's name.
        packet: &'static str,
        /// Which property.
        property: PropertyId,
    },
    /// Version 5: a property with a value that it cannot have.
    #[error("property {property} with the value {value} [{clause}]", clause = self.clause())]
    PropertyValue {
        /// Which property.
        property: PropertyId,
        /// Its value.
        value: u32,
    },
    /// Version 5: authentication data that belongs to no method.
    #[error("{packet} with authentication data but no authentication method [MQTT-4.13.1-1]")]
    AuthenticationDataWithoutMethod {
        /// The packet's name.
        packet: &'static str,
    },
    /// Version 5: a reason code that is unknown or belongs into other packets.
    #[error("{packet} with the reason code {code:#04x}, which it may not carry [{clause}]", clause = self.clause())]
    ReasonCode {
        /// The packet's name.
        packet: &'static str,
        /// The code.
        code: u8,
    },
    /// Version 5: reserved bits of a subscription's options.
    #[error("SUBSCRIBE with the options {0:#010b}, whose bits 6 and 7 are expected to be 0 [MQTT-3.8.3-5]")]
    SubscriptionOptions(u8),
    /// Version 5: a retain handling of 3.
    #[error("SUBSCRIBE with the options {0:#010b}: retain handling 3, 0 to 2 are expected [MQTT-4.13.1-1]")]
    RetainHandling(u8),
    /// Version 5: no local on a shared subscription.
    #[error("SUBSCRIBE with no local on a shared subscription [MQTT-3.8.3-4]")]
    NoLocalOnShared,
    /// Version 5: UNSUBACK that answers nothing.
    #[error("UNSUBACK without a reason code, one for each topic filter is expected [MQTT-3.11.3-1]")]
    NoReasonCode,
}
