//! What can be wrong with bytes.

use thiserror::Error;

use super::super::topic::TopicError;

/// Why bytes are no packet. Every one of them ends the connection they came from [MQTT-4.8.0-1].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Section 2.2.1: the types 0 and 15 are forbidden.
    #[error("packet type {0}, 1 to 14 are expected [MQTT-4.8.0-1]")]
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
    #[error("protocol level {0}, 4 is expected [MQTT-3.1.2-2]")]
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
    #[error("CONNACK with return code {0} and session present, which only return code 0 may say [MQTT-3.2.2-4]")]
    SessionPresentWithRefusal(u8),
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
}

impl DecodeError {
    /// The clause that was broken, without its brackets. Rules that stand in the text without a number of their own
    /// come under the general one, `MQTT-4.8.0-1`.
    pub const fn clause(&self) -> &'static str {
        match self {
            Self::PacketType(_)
            | Self::RemainingLength(_)
            | Self::BodyLength { .. }
            | Self::TooShort { .. }
            | Self::TrailingBytes { .. }
            | Self::ConnAckFlags(_) => "MQTT-4.8.0-1",
            Self::TooLarge { .. } => "MQTT-4.8.0-2",
            Self::FixedHeaderFlags { .. } => "MQTT-2.2.2-2",
            Self::Utf8 { .. } => "MQTT-1.5.3-1",
            Self::Nul { .. } => "MQTT-1.5.3-2",
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
        }
    }
}
