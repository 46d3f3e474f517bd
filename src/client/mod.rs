//! One connection of an MQTT client, from its socket to its DISCONNECT, over 3.1.1 or 5 with one set of names.
//!
//! - Holds a socket, bytes on their way, packet identifiers in use, and what CONNACK said.
//! - Never enters: sessions that outlive a connection, retries, what messages mean. Those are its user's.
//! - Uses `base` and `mqtt`: the codec that the broker has, read from the other side.
//! - Follows MQTT 3.1.1 and 5.0. Quality of service 2 is not spoken: whoever bridges needs no more than 1.
//!
//! A [`Link`] has no task and no channel: what is asked of it goes into its buffer at once, and [`Link::next_event`],
//! which may be dropped at any moment, writes and reads. So one task can hold two links and nothing can lock up
//! between them. Start reading at [`connect`], then at [`Link`].

mod connect;
mod error;
mod link;
mod outage;
mod stream;
mod terms;
mod tls;

pub use connect::{Connected, connect, connect_over, open, reach, resolve, secure};
pub use error::{ConnectError, Loss, Refusal, io_error_text};
pub use link::{Event, Link, Message, Publication};
pub use outage::Outage;
pub use stream::Stream;
pub use terms::Terms;
pub use tls::{TlsError, TlsOptions, client_config};

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use crate::base::secret::Secret;
use crate::mqtt::{ProtocolVersion, Will};

/// What CONNECT asks for. `Debug` shows no credentials: where a token is the user name, that is a secret too.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// The version of the protocol.
    pub version: ProtocolVersion,
    /// The client identifier; empty lets a server of version 5 choose.
    pub client_id: String,
    /// Whether an earlier session is thrown away. Without it the session lives on when the connection ends.
    pub clean_session: bool,
    /// Version 5: how long the session outlives the connection, unless it is to be clean. 3.1.1 keeps it for ever.
    pub session_expiry_s: u32,
    /// Longest silence before the connection is tested.
    pub keep_alive: Duration,
    /// User name and password.
    pub credentials: Option<(String, Option<Secret>)>,
    /// The last will.
    pub will: Option<Will>,
    /// The largest packet that is taken; version 5 tells it to the server.
    pub packet_bytes_max: usize,
    /// Version 5: messages of QoS 1 that may come without being acknowledged.
    pub receive_max: u16,
    /// How long a server may take from the first packet of TCP to CONNACK.
    pub patience: Duration,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_credentials = self.credentials.is_some();
        f.debug_struct("Options")
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("clean_session", &self.clean_session)
            .field("has_credentials", &has_credentials)
            .finish_non_exhaustive()
    }
}

/// Where a server is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// A host, by name or IP address.
    Tcp {
        /// Name or address, an IPv6 address without its brackets.
        host: String,
        /// Port.
        port: u16,
        /// Whether TLS is spoken there.
        is_tls: bool,
    },
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// TLS as it was set up for a server.
pub type TlsConfig = Arc<ClientConfig>;

#[cfg(test)]
mod tests;
