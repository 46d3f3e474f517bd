//! The codes that answers carry.

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
