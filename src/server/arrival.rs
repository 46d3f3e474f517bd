//! The way in of a TCP connection: at once to plain MQTT, through a task of its own to TLS and WebSocket, so that
//! nobody else waits for a handshake.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::warn;

use super::carrier::{Carrier, Wire};
use super::complaints::Verdict;
use super::connection;
use super::frames::Frames;
use super::gate::Door;
use super::hub::Shared;
use super::layered::Layered;
use super::places::Full;
use super::stream::Stream;
use super::tls::{self, Certificates, Tls};
use super::upgrade::{UpgradeError, upgrade};
use super::{ListenerOptions, Protocol};
use crate::base::clock;
use crate::broker::ConnectionId;

/// What a listener lays above TCP.
#[derive(Debug)]
pub(super) struct Layers {
    /// As the configuration gives it, its address too: that is its name among the certificates.
    pub(super) options: ListenerOptions,
    /// The certificates of all listeners.
    certificates: watch::Receiver<Certificates>,
}

/// Why a connection did not come in.
#[derive(Debug, Error)]
enum ArrivalError {
    #[error("TLS: {0}")]
    Tls(#[source] io::Error),
    #[error("the client's certificate has no common name that could be a user name")]
    NoName,
    #[error("WebSocket: {0}")]
    Upgrade(#[from] UpgradeError),
    #[error("nothing whole came within broker.limits.connect_timeout")]
    Late,
}

/// A place taken by somebody who is not in yet.
struct Arriving {
    shared: Rc<Shared>,
    address: Option<IpAddr>,
}

impl Layers {
    pub(super) fn new(options: &ListenerOptions, certificates: &watch::Sender<Certificates>) -> Self {
        Self { options: options.clone(), certificates: certificates.subscribe() }
    }

    fn is_plain(&self) -> bool {
        self.options.tls.is_none() && self.options.protocol == Protocol::Mqtt
    }

    /// What is to be shown now: what was read last, else what it began with; `None` without TLS.
    fn tls(&self) -> Option<Tls> {
        let first = self.options.tls.as_ref()?;
        let certificates = self.certificates.borrow();
        let newest = certificates.iter().find(|(address, _)| *address == self.options.address);
        Some(newest.map_or(first, |(_, tls)| tls).clone())
    }
}

impl Arriving {
    fn new(shared: &Rc<Shared>, address: Option<IpAddr>) -> Self {
        shared.hub.borrow_mut().peers.places.take(address);
        Self { shared: shared.clone(), address }
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.shared.hub.borrow_mut().peers.places.give_back(self.address);
    }
}

/// Takes a TCP connection in; one with further layers as soon as these stand, within `patience`.
pub(super) fn open(
    shared: &Rc<Shared>,
    (stream, address): (TcpStream, SocketAddr),
    door: Door,
    layers: &Layers,
    patience: Duration,
) {
    // without it an answer waits for the peer's delayed acknowledgement
    let _ = stream.set_nodelay(true);
    let address = Some(address.ip());
    if layers.is_plain() {
        return connection::open(shared, Stream::Tcp(stream), address, door);
    }
    if !shared.has_place(address) {
        return;
    }
    let arriving = Arriving::new(shared, address);
    let (tls, protocol) = (layers.tls(), layers.options.protocol);
    tokio::task::spawn_local(async move {
        let shared = &arriving.shared;
        let welcomed = welcome(stream, tls, protocol, shared.packet_bytes_max);
        match tokio::time::timeout(patience, Box::pin(welcomed)).await.unwrap_or(Err(ArrivalError::Late)) {
            Ok(layered) => drop(shared.open(door, address, Stream::Layered(Box::new(layered)))),
            Err(error) => shared.complain(address, "connection refused", &error.to_string()),
        }
    });
}

/// Lays everything above the socket that its listener asks for.
async fn welcome(
    stream: TcpStream,
    tls: Option<Tls>,
    protocol: Protocol,
    packet_bytes_max: usize,
) -> Result<Layered, ArrivalError> {
    let mut user = None;
    let stream = Wire::new(stream);
    let mut carrier: Box<dyn Carrier> = match tls {
        None => Box::new(stream),
        Some(tls) => {
            let stream = TlsAcceptor::from(tls.config.clone()).accept(stream).await.map_err(ArrivalError::Tls)?;
            if tls.asks_certificate() {
                user = Some(user_of(&stream).ok_or(ArrivalError::NoName)?);
            }
            Box::new(stream)
        }
    };
    let frames = match protocol {
        Protocol::Mqtt => None,
        Protocol::WebSocket => Some(Frames::new(upgrade(&mut *carrier).await?, packet_bytes_max)),
    };
    Ok(Layered::new(carrier, frames, user))
}

/// The name in the certificate that the client has shown, which the handshake has verified.
fn user_of(stream: &TlsStream<Wire<TcpStream>>) -> Option<Box<str>> {
    let (_, session) = stream.get_ref();
    tls::common_name(session.peer_certificates()?.first()?)
}

impl Shared {
    /// Whether there is a place for one more from `address`; complains when there is none.
    pub(super) fn has_place(&self, address: Option<IpAddr>) -> bool {
        let lack = self.hub.borrow().peers.places.lack(address);
        match lack {
            None => return true,
            Some(Full::InAll) => self.complain(address, "connection refused", "broker.limits.connections are open"),
            Some(Full::Address) => {
                let why = "its address has broker.limits.connections_per_address open";
                self.complain(address, "connection refused", why);
            }
        }
        false
    }

    /// Ends a connection whose TLS or WebSocket is broken.
    pub(super) fn broken(&self, connection: ConnectionId, why: &str) {
        let address = self.hub.borrow_mut().peers.get_mut(connection).and_then(|peer| {
            peer.is_closing = true;
            peer.address
        });
        self.complain(address, "connection closed", why);
        self.close(connection);
    }

    /// Tells, now and then, what became of somebody, and why.
    fn complain(&self, address: Option<IpAddr>, what: &str, why: &str) {
        match self.hub.borrow_mut().complaints.judge(address, clock::monotonic()) {
            Verdict::Show => warn!(?address, "{what}: {why}"),
            Verdict::ShowLast => {
                warn!(?address, "{what}: {why}; further ones of this address are not logged for a minute");
            }
            Verdict::Hide => {}
        }
    }
}
