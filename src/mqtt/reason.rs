//! The codes that answers carry: version 5's reason codes, and CONNACK's of 3.1.1.

use std::fmt;

use super::packet::QoS;
use super::packet_type::PacketType;
use super::place::{AUTH, CONNACK, DISCONNECT, PUBACK, PUBCOMP, PUBREC, PUBREL, Place, SUBACK, UNSUBACK};

/// CONNACK's return code, MQTT 3.1.1 table 3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ConnectReturnCode {
    /// The connection is accepted.
    Accepted = 0,
    /// The server does not support this level of the protocol.
    UnacceptableProtocolVersion = 1,
    /// The client identifier is correct UTF-8 but not allowed.
    IdentifierRejected = 2,
    /// The network connection is there but the service is not.
    ServerUnavailable = 3,
    /// The user name or the password is malformed or wrong.
    BadUserNameOrPassword = 4,
    /// The client may not connect.
    NotAuthorized = 5,
}

impl ConnectReturnCode {
    /// The code with this number; `None` for 6 and above, which are reserved.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Accepted,
            1 => Self::UnacceptableProtocolVersion,
            2 => Self::IdentifierRejected,
            3 => Self::ServerUnavailable,
            4 => Self::BadUserNameOrPassword,
            5 => Self::NotAuthorized,
            _ => return None,
        })
    }
}

impl From<ConnectReturnCode> for ReasonCode {
    fn from(code: ConnectReturnCode) -> Self {
        match code {
            ConnectReturnCode::Accepted => Self::Success,
            ConnectReturnCode::UnacceptableProtocolVersion => Self::UnsupportedProtocolVersion,
            ConnectReturnCode::IdentifierRejected => Self::ClientIdentifierNotValid,
            ConnectReturnCode::ServerUnavailable => Self::ServerUnavailable,
            ConnectReturnCode::BadUserNameOrPassword => Self::BadUserNameOrPassword,
            ConnectReturnCode::NotAuthorized => Self::NotAuthorized,
        }
    }
}

impl From<ReasonCode> for ConnectReturnCode {
    /// The nearest that 3.1.1 can say; what it has no word for is [`ConnectReturnCode::ServerUnavailable`].
    fn from(reason: ReasonCode) -> Self {
        match reason {
            reason if !reason.is_failure() => Self::Accepted,
            ReasonCode::UnsupportedProtocolVersion => Self::UnacceptableProtocolVersion,
            ReasonCode::ClientIdentifierNotValid => Self::IdentifierRejected,
            ReasonCode::BadUserNameOrPassword => Self::BadUserNameOrPassword,
            ReasonCode::NotAuthorized | ReasonCode::Banned | ReasonCode::BadAuthenticationMethod => Self::NotAuthorized,
            _ => Self::ServerUnavailable,
        }
    }
}

/// Table 2-6: name, number, the standard's words, and the packets that may carry it.
macro_rules! reason_codes {
    ($($variant:ident = $number:literal, $words:literal, $places:expr;)*) => {
        /// Why, or how well (version 5, section 2.4). 3.1.1's answers are told in the same codes:
        /// CONNACK's by their counterparts, SUBACK's as [`ReasonCode::granted`] and
        /// [`ReasonCode::UnspecifiedError`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum ReasonCode {
            $(#[doc = $words] $variant = $number,)*
        }

        impl ReasonCode {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code with this number; `None` for one that the standard does not know.
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The standard's words for it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $words,)*
                }
            }

            const fn places(self) -> u16 {
                match self {
                    $(Self::$variant => $places,)*
                }
            }
        }
    };
}

const ACKNOWLEDGED: u16 = PUBACK | PUBREC;
const ANSWERED: u16 = ACKNOWLEDGED | SUBACK | UNSUBACK;
const REFUSED: u16 = CONNACK | DISCONNECT;

reason_codes! {
    Success = 0x00, "Success", REFUSED | ANSWERED | PUBREL | PUBCOMP | AUTH;
    GrantedQoS1 = 0x01, "Granted QoS 1", SUBACK;
    GrantedQoS2 = 0x02, "Granted QoS 2", SUBACK;
    DisconnectWithWillMessage = 0x04, "Disconnect with Will Message", DISCONNECT;
    NoMatchingSubscribers = 0x10, "No matching subscribers", ACKNOWLEDGED;
    NoSubscriptionExisted = 0x11, "No subscription existed", UNSUBACK;
    ContinueAuthentication = 0x18, "Continue authentication", AUTH;
    ReAuthenticate = 0x19, "Re-authenticate", AUTH;
    UnspecifiedError = 0x80, "Unspecified error", REFUSED | ANSWERED;
    MalformedPacket = 0x81, "Malformed Packet", REFUSED;
    ProtocolError = 0x82, "Protocol Error", REFUSED;
    ImplementationSpecificError = 0x83, "Implementation specific error", REFUSED | ANSWERED;
    UnsupportedProtocolVersion = 0x84, "Unsupported Protocol Version", CONNACK;
    ClientIdentifierNotValid = 0x85, "Client Identifier not valid", CONNACK;
    BadUserNameOrPassword = 0x86, "Bad User Name or Password", CONNACK;
    NotAuthorized = 0x87, "Not authorized", REFUSED | ANSWERED;
    ServerUnavailable = 0x88, "Server unavailable", CONNACK;
    ServerBusy = 0x89, "Server busy", REFUSED;
    Banned = 0x8a, "Banned", CONNACK;
    ServerShuttingDown = 0x8b, "Server shutting down", DISCONNECT;
    BadAuthenticationMethod = 0x8c, "Bad authentication method", REFUSED;
    KeepAliveTimeout = 0x8d, "Keep Alive timeout", DISCONNECT;
    SessionTakenOver = 0x8e, "Session taken over", DISCONNECT;
    TopicFilterInvalid = 0x8f, "Topic Filter invalid", SUBACK | UNSUBACK | DISCONNECT;
    TopicNameInvalid = 0x90, "Topic Name invalid", REFUSED | ACKNOWLEDGED;
    PacketIdentifierInUse = 0x91, "Packet Identifier in use", ANSWERED;
    PacketIdentifierNotFound = 0x92, "Packet Identifier not found", PUBREL | PUBCOMP;
    ReceiveMaximumExceeded = 0x93, "Receive Maximum exceeded", DISCONNECT;
    TopicAliasInvalid = 0x94, "Topic Alias invalid", DISCONNECT;
    PacketTooLarge = 0x95, "Packet too large", REFUSED;
    MessageRateTooHigh = 0x96, "Message rate too high", DISCONNECT;
    QuotaExceeded = 0x97, "Quota exceeded", REFUSED | ACKNOWLEDGED | SUBACK;
    AdministrativeAction = 0x98, "Administrative action", DISCONNECT;
    PayloadFormatInvalid = 0x99, "Payload format invalid", REFUSED | ACKNOWLEDGED;
    RetainNotSupported = 0x9a, "Retain not supported", REFUSED;
    QoSNotSupported = 0x9b, "QoS not supported", REFUSED;
    UseAnotherServer = 0x9c, "Use another server", REFUSED;
    ServerMoved = 0x9d, "Server moved", REFUSED;
    SharedSubscriptionsNotSupported = 0x9e, "Shared Subscriptions not supported", SUBACK | DISCONNECT;
    ConnectionRateExceeded = 0x9f, "Connection rate exceeded", REFUSED;
    MaximumConnectTime = 0xa0, "Maximum connect time", DISCONNECT;
    SubscriptionIdentifiersNotSupported = 0xa1, "Subscription Identifiers not supported", SUBACK | DISCONNECT;
    WildcardSubscriptionsNotSupported = 0xa2, "Wildcard Subscriptions not supported", SUBACK | DISCONNECT;
}

impl ReasonCode {
    /// What 0x00 means in DISCONNECT.
    pub const NORMAL_DISCONNECTION: Self = Self::Success;
    /// What 0x00 means in SUBACK.
    pub const GRANTED_QOS_0: Self = Self::Success;

    /// SUBACK's code that grants `qos`.
    pub const fn granted(qos: QoS) -> Self {
        match qos {
            QoS::AtMostOnce => Self::GRANTED_QOS_0,
            QoS::AtLeastOnce => Self::GrantedQoS1,
            QoS::ExactlyOnce => Self::GrantedQoS2,
        }
    }

    /// Whether what was asked for was not done: 0x80 and above.
    pub const fn is_failure(self) -> bool {
        self as u8 >= 0x80
    }

    /// Whether a packet of this type may carry it (table 2-6).
    pub(super) const fn may_stand_in(self, packet: PacketType) -> bool {
        self.places() & Place::Of(packet).bit() != 0
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#04x})", self.name(), *self as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_back_from_their_numbers() {
        for byte in 0..=u8::MAX {
            let connect = ConnectReturnCode::from_byte(byte).map(|code| code as u8);
            assert_eq!(connect, (byte <= 5).then_some(byte));
            let reason = ReasonCode::from_byte(byte);
            let known = matches!(byte, 0..=2 | 4 | 0x10 | 0x11 | 0x18 | 0x19 | 0x80..=0xa2);
            assert_eq!(reason.map(|reason| reason as u8), known.then_some(byte));
            assert!(reason.is_none_or(|reason| reason.is_failure() == (byte >= 0x80)));
        }
        assert_eq!(ReasonCode::ALL.len(), 43);
    }

    #[test]
    fn a_granted_code_is_the_number_of_its_qos() {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            assert_eq!(ReasonCode::granted(qos) as u8, qos as u8);
        }
    }

    #[test]
    fn return_codes_of_3_1_1_come_back_from_their_reason_codes() {
        for byte in 0..=5 {
            let code = ConnectReturnCode::from_byte(byte).unwrap();
            assert_eq!(ConnectReturnCode::from(ReasonCode::from(code)), code);
        }
        for reason in ReasonCode::ALL {
            let is_accepted = ConnectReturnCode::from(*reason) == ConnectReturnCode::Accepted;
            assert_eq!(is_accepted, !reason.is_failure(), "{reason}");
        }
        assert_eq!(ConnectReturnCode::from(ReasonCode::Banned), ConnectReturnCode::NotAuthorized);
        assert_eq!(ConnectReturnCode::from(ReasonCode::QuotaExceeded), ConnectReturnCode::ServerUnavailable);
    }

    /// The numbers that each packet may carry, as the packet's own section lists them.
    #[test]
    fn each_packet_carries_the_codes_of_its_section() {
        let connack = "00 80 81 82 83 84 85 86 87 88 89 8a 8c 90 95 97 99 9a 9b 9c 9d 9f";
        let acknowledged = "00 10 80 83 87 90 91 97 99";
        let disconnect = "00 04 80 81 82 83 87 89 8b 8c 8d 8e 8f 90 93 94 95 96 97 98 99 9a 9b 9c 9d 9e 9f a0 a1 a2";
        for (packet, expected) in [
            (PacketType::Connect, ""),
            (PacketType::ConnAck, connack), // section 3.2.2.2
            (PacketType::Publish, ""),
            (PacketType::PubAck, acknowledged), // section 3.4.2.1
            (PacketType::PubRec, acknowledged), // section 3.5.2.1
            (PacketType::PubRel, "00 92"),      // section 3.6.2.1
            (PacketType::PubComp, "00 92"),     // section 3.7.2.1
            (PacketType::Subscribe, ""),
            (PacketType::SubAck, "00 01 02 80 83 87 8f 91 97 9e a1 a2"), // section 3.9.3
            (PacketType::Unsubscribe, ""),
            (PacketType::UnsubAck, "00 11 80 83 87 8f 91"), // section 3.11.3
            (PacketType::PingReq, ""),
            (PacketType::PingResp, ""),
            (PacketType::Disconnect, disconnect), // section 3.14.2.1
            (PacketType::Auth, "00 18 19"),       // section 3.15.2.1
        ] {
            let may = ReasonCode::ALL.iter().filter(|reason| reason.may_stand_in(packet));
            let found: Vec<_> = may.map(|reason| format!("{:02x}", *reason as u8)).collect();
            assert_eq!(found.join(" "), expected, "{}", packet.name());
        }
    }
}
