//! Why a run ends without a result.

use std::io;
use std::net::SocketAddr;

use sensegate::mqtt::{ConnectReturnCode, TopicError};

/// What is wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FleetError {
    /// The hard limit is too low.
    #[error(
        "{needed} files have to be open and the hard limit is {maximum}: fewer --gateways, several processes with \
         --first, or a higher limit (ulimit -Hn, LimitNOFILE=) are expected"
    )]
    TooFewFiles {
        /// Sockets and others.
        needed: u64,
        /// The limit.
        maximum: u64,
    },
    /// Nobody was let in before.
    #[error("{client_id} does not get to the broker at {address}: {reason}")]
    Unreachable {
        /// Who.
        client_id: String,
        /// Where.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
    /// CONNACK with a code that does not pass by itself.
    #[error("the broker refuses {client_id} with CONNACK code {}: {}", *code as u8, advice(*code))]
    Refused {
        /// Whom.
        client_id: String,
        /// The code.
        code: ConnectReturnCode,
    },
    /// SUBACK with 0x80.
    #[error("the broker does not grant {filter}: the access control list, or a broker without shared subscriptions")]
    NotGranted {
        /// What was asked for.
        filter: String,
    },
    /// A phase did not come to its end.
    #[error("{done} of {wanted} {what} after {waited_s} s without progress; the last reason: {reason}")]
    Stalled {
        /// How many are ready.
        done: u32,
        /// How many were to be.
        wanted: u32,
        /// Gateways or consumers.
        what: &'static str,
        /// How long nothing more happened.
        waited_s: u64,
        /// Why a connection was lost or refused last.
        reason: String,
    },
    /// A topic that no broker takes.
    #[error("the subscription is none: {0}")]
    Topic(#[from] TopicError),
    /// The system refuses.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// What a return code of CONNACK asks of the operator.
fn advice(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::Accepted => "accepted",
        ConnectReturnCode::UnacceptableProtocolVersion => "it does not speak MQTT 3.1.1",
        ConnectReturnCode::IdentifierRejected => {
            "the client identifier is not allowed, or its session is another user's"
        }
        ConnectReturnCode::ServerUnavailable => "it is there and serves nobody for now",
        ConnectReturnCode::BadUserNameOrPassword => "bad user name or password, see --username and --password",
        ConnectReturnCode::NotAuthorized => "not authorised, see --username and --password",
    }
}
