//! Why there is no connection, or none any more, in classes and in words.

use std::io;

use thiserror::Error;

use crate::mqtt::ReasonCode;

/// Why a connection was not made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// The name of the host has no address.
    #[error("{0}")]
    Resolve(String),
    /// No connection of TCP, or of the Unix socket.
    #[error("{0}")]
    Socket(String),
    /// TLS failed.
    #[error("TLS: {0}")]
    Tls(String),
    /// The server said no.
    #[error("the broker refused: {text}")]
    Refused {
        /// With this code; 3.1.1's are told as their counterparts.
        code: ReasonCode,
        /// In words.
        text: String,
    },
    /// The server closed instead of answering.
    #[error("the broker closed the connection before it answered")]
    Closed,
    /// The answer to CONNECT is no CONNACK.
    #[error("no MQTT broker answers there: {0}")]
    NotMqtt(String),
    /// It took too long.
    #[error("no answer in time")]
    Timeout,
}

/// What a refusal means for the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It may be over soon: the network, a server that is busy or starts.
    Transient,
    /// Trying again changes nothing until somebody does: a password, a right, an identifier.
    Permanent,
    /// Another version of the protocol may be taken.
    Version,
}

impl ConnectError {
    /// What to make of it.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Refused { code, .. } => match code {
                ReasonCode::UnsupportedProtocolVersion => Refusal::Version,
                ReasonCode::BadUserNameOrPassword
                | ReasonCode::NotAuthorized
                | ReasonCode::Banned
                | ReasonCode::BadAuthenticationMethod
                | ReasonCode::ClientIdentifierNotValid
                | ReasonCode::QoSNotSupported
                | ReasonCode::RetainNotSupported
                | ReasonCode::TopicNameInvalid
                | ReasonCode::ServerMoved => Refusal::Permanent,
                _ => Refusal::Transient,
            },
            Self::Tls(_) => Refusal::Permanent,
            Self::Resolve(_) | Self::Socket(_) | Self::Closed | Self::NotMqtt(_) | Self::Timeout => Refusal::Transient,
        }
    }

    /// Whether another version than `tried` may be what is spoken there: because that is said, or because a CONNECT of
    /// version 5 was not understood.
    pub fn may_be_of_version(&self) -> bool {
        match self {
            Self::Closed | Self::NotMqtt(_) => true,
            _ => self.refusal() == Refusal::Version,
        }
    }
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Loss {
    /// The other side closed it, without a word.
    #[error("the broker closed the connection")]
    Closed,
    /// The other side said why.
    #[error("the broker ended the connection: {0}")]
    Disconnected(ReasonCode),
    /// Nothing came for one and a half keep-alive times, a question by PINGREQ included.
    #[error("the broker does not answer any more")]
    Silent,
    /// The network failed.
    #[error("{0}")]
    Network(String),
    /// What came is no MQTT, or breaks a rule of it.
    #[error("the broker breaks the protocol: {0}")]
    Protocol(String),
}

impl Loss {
    /// Whether the other side ended the connection, and what was sent last may be the reason.
    pub const fn may_be_provoked(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::Disconnected(reason) => !matches!(
                reason,
                ReasonCode::Success
                    | ReasonCode::ServerBusy
                    | ReasonCode::ServerShuttingDown
                    | ReasonCode::KeepAliveTimeout
                    | ReasonCode::SessionTakenOver
                    | ReasonCode::ReceiveMaximumExceeded
                    | ReasonCode::MessageRateTooHigh
                    | ReasonCode::AdministrativeAction
                    | ReasonCode::UseAnotherServer
                    | ReasonCode::ServerMoved
                    | ReasonCode::ConnectionRateExceeded
                    | ReasonCode::MaximumConnectTime
            ),
            Self::Silent | Self::Network(_) | Self::Protocol(_) => false,
        }
    }
}

/// An error of the network in words.
pub fn io_error_text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there".into(),
        io::ErrorKind::NotFound => "the socket is not there".into(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
            "the broker closed the connection".into()
        }
        _ => error.to_string(),
    }
}
