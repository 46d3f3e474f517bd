//! Sockets to the broker's core: TCP and Unix listeners, reading in bulk, one vectored write a wake-up.
//!
//! - Holds sockets, buffers on their way out, and the core itself.
//! - Never enters: protocol rules (those are `broker`'s) and what the agent does.
//! - Uses `base`, `mqtt`, `broker`.
//!
//! Start reading at `Server::bind`.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Where the broker listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Listeners for everyone.
    pub listeners: Vec<ListenerOptions>,
    /// The private Unix socket of the gateway's own clients (mode 0600).
    pub house_socket: PathBuf,
    /// Connections at one time, over all listeners; one more is closed at once.
    pub connections_max: usize,
    /// Bytes that may wait for one slow client; beyond it its QoS 0 messages are dropped.
    pub send_buffer_bytes_max: usize,
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerOptions {
    /// Where it listens.
    pub address: ListenerAddress,
}

/// A listener's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerAddress {
    /// MQTT over TCP. Beyond loopback it is refused until passwords exist.
    Tcp(SocketAddr),
    /// MQTT over a Unix socket for other programs on this machine.
    Unix(PathBuf),
}
