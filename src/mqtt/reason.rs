//! The codes that answers carry.

use super::packet::QoS;

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

/// SUBACK's return code, MQTT 3.1.1 section 3.9.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SubscribeReturnCode {
    /// Granted with at most QoS 0.
    GrantedQoS0 = 0x00,
    /// Granted with at most QoS 1.
    GrantedQoS1 = 0x01,
    /// Granted with at most QoS 2.
    GrantedQoS2 = 0x02,
    /// Refused.
    Failure = 0x80,
}

impl SubscribeReturnCode {
    /// The code that grants `qos`.
    pub const fn granted(qos: QoS) -> Self {
        match qos {
            QoS::AtMostOnce => Self::GrantedQoS0,
            QoS::AtLeastOnce => Self::GrantedQoS1,
            QoS::ExactlyOnce => Self::GrantedQoS2,
        }
    }

    /// The code with this number; `None` for the reserved ones.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x00 => Self::GrantedQoS0,
            0x01 => Self::GrantedQoS1,
            0x02 => Self::GrantedQoS2,
            0x80 => Self::Failure,
            _ => return None,
        })
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
            let subscribe = SubscribeReturnCode::from_byte(byte).map(|code| code as u8);
            assert_eq!(subscribe, matches!(byte, 0..=2 | 0x80).then_some(byte));
        }
    }

    #[test]
    fn a_granted_code_is_the_number_of_its_qos() {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            assert_eq!(SubscribeReturnCode::granted(qos) as u8, qos as u8);
        }
    }
}
