//! From an accepted TCP connection to a connection of the broker. Plain MQTT is opened at once. TLS and WebSocket get a
//! task for their handshakes. TLS computes its part on the workers, so that other connections do not wait for it.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connection;
use super::fair::Source;
use super::hub::{Hub, Shared};
use super::layered::Layered;
use super::log_lines::{self, Kind, Line, Subject};
use super::login_bytes::LoginMeter;
use super::logins::ListenerPolicy;
use super::network::Network;
use super::slots::SlotsFull;
use super::stream::Stream;
use super::tls::{self, Certificates, Tls};
use super::transport::{MeteredSocket, Transport};
use super::upgrade::{UpgradeError, upgrade};
use super::websocket::WebSocket;
use super::workers::Workers;
use super::{ListenerOptions, Protocol};
use crate::base::clock;
use crate::broker::ConnectionId;

/// The layers that a listener adds above TCP.
#[derive(Debug)]
pub(super) struct Layers {
    /// The options from the configuration. Their address identifies the listener among the certificates.
    pub(super) options: ListenerOptions,
    /// The certificates of all listeners, as they were last read.
    certificates: watch::Receiver<Certificates>,
}

/// Why a handshake failed.
#[derive(Debug, Error)]
enum HandshakeError {
    #[error("TLS: {0}")]
    Tls(#[source] io::Error),
    #[error("the client's certificate has no common name that could be a user name")]
    NoName,
    #[error("WebSocket: {0}")]
    Upgrade(#[from] UpgradeError),
    #[error("the handshake was not finished within broker.limits.connect_timeout")]
    Late,
}

slotmap::new_key_type! {
    /// Names a connection whose handshakes are not finished.
    pub(super) struct HandshakeKey;
}

/// A connection whose handshakes are not finished.
#[derive(Debug)]
pub(super) struct PendingHandshake {
    address: Option<IpAddr>,
    login_meter: Arc<LoginMeter>,
    /// The task of its handshakes, once it has begun.
    task: Option<AbortHandle>,
}

/// The slot of a pending handshake; released when this is dropped.
struct HandshakeSlot {
    shared: Rc<Shared>,
    key: HandshakeKey,
}

impl Layers {
    pub(super) fn new(options: &ListenerOptions, certificates: &watch::Sender<Certificates>) -> Self {
        Self { options: options.clone(), certificates: certificates.subscribe() }
    }

    fn is_plain(&self) -> bool {
        self.options.tls.is_none() && self.options.protocol == Protocol::Mqtt
    }

    /// Returns the certificates that were read last; `None` without TLS.
    fn tls(&self) -> Option<Tls> {
        let first = self.options.tls.as_ref()?;
        let certificates = self.certificates.borrow();
        let newest = certificates.iter().find(|(address, _)| *address == self.options.address);
        Some(newest.map_or(first, |(_, tls)| tls).clone())
    }
}

impl HandshakeSlot {
    fn new(shared: &Rc<Shared>, address: Option<IpAddr>, login_meter: Arc<LoginMeter>) -> Self {
        let mut hub = shared.hub.borrow_mut();
        hub.peers.slots.acquire(address);
        let key = hub.handshakes.insert(PendingHandshake { address, login_meter, task: None });
        Self { shared: shared.clone(), key }
    }
}

impl Drop for HandshakeSlot {
    fn drop(&mut self) {
        let mut hub = self.shared.hub.borrow_mut();
        if let Some(pending) = hub.handshakes.remove(self.key) {
            hub.peers.slots.release(pending.address);
        }
    }
}

/// Opens a TCP connection, one with TLS or WebSocket when their handshakes are finished. The client may take
/// `client_time` for its part of them.
pub(super) fn open(
    shared: &Rc<Shared>,
    (stream, address): (TcpStream, SocketAddr),
    policy: ListenerPolicy,
    layers: &Layers,
    client_time: Duration,
) {
    // without it an answer waits for the peer's delayed acknowledgement
    let _ = stream.set_nodelay(true);
    let (port, address) = (address.port(), Some(address.ip()));
    if layers.is_plain() {
        return connection::open(shared, Stream::Tcp(stream), address, policy);
    }
    if !shared.has_slot(address) {
        return;
    }
    shared.close_largest_logins();
    let login_meter = LoginMeter::new(&shared.login_budget);
    let slot = HandshakeSlot::new(shared, address, login_meter.clone());
    let key = slot.key;
    let handshakes = Handshakes {
        shared: shared.clone(),
        tls: layers.tls(),
        protocol: layers.options.protocol,
        source: Network::of(address).map_or(Source::Local(port.into()), Source::Remote),
        client_time: ClientTime(client_time),
        login_meter,
    };
    let task = tokio::task::spawn_local(async move {
        let shared = slot.shared.clone();
        let result = Box::pin(handshakes.perform(stream)).await;
        drop(slot);
        match result {
            Ok(layered) => drop(shared.open(policy, address, Stream::Layered(Box::new(layered)))),
            Err(error) => {
                let reason = error.to_string();
                shared.log_of_address(&log_lines::broken(Kind::NoLogin, &reason), address);
            }
        }
    });
    if let Some(pending) = shared.hub.borrow_mut().handshakes.get_mut(key) {
        pending.task = Some(task.abort_handle());
    }
}

/// The handshakes of one connection.
struct Handshakes {
    shared: Rc<Shared>,
    tls: Option<Tls>,
    protocol: Protocol,
    source: Source,
    client_time: ClientTime,
    login_meter: Arc<LoginMeter>,
}

impl Handshakes {
    /// Adds the layers of the listener above the socket.
    async fn perform(mut self, stream: TcpStream) -> Result<Layered, HandshakeError> {
        let mut user = None;
        let mut transport: Box<dyn Transport> = match self.tls.clone() {
            None => Box::new(MeteredSocket::new(stream, self.login_meter.clone())),
            Some(tls) => {
                let stream = self.accept_tls(&tls, stream).await?;
                if tls.asks_certificate() {
                    user = Some(user_of(&stream).ok_or(HandshakeError::NoName)?);
                }
                Box::new(stream)
            }
        };
        let websocket = match self.protocol {
            Protocol::Mqtt => None,
            Protocol::WebSocket => {
                let early = self.client_time.wait(upgrade(&mut *transport)).await??;
                Some(WebSocket::new(early, self.shared.login_bytes_max))
            }
        };
        Ok(Layered::new(transport, websocket, user, self.login_meter))
    }

    async fn accept_tls(
        &mut self,
        tls: &Tls,
        stream: TcpStream,
    ) -> Result<TlsStream<MeteredSocket<TcpStream>>, HandshakeError> {
        // a client that sends nothing occupies no worker
        self.client_time.wait(stream.readable()).await?.map_err(HandshakeError::Tls)?;
        let accept = TlsAcceptor::from(tls.config.clone()).accept(MeteredSocket::new(stream, self.login_meter.clone()));
        let accepted = poll_on_workers(&self.shared.workers, self.source, accept, &mut self.client_time).await?;
        self.shared.close_largest_logins();
        accepted.map_err(|error| {
            self.shared.workers.record_failure(self.source);
            HandshakeError::Tls(error)
        })
    }
}

/// Returns the name in the certificate that the client has shown, which the handshake has verified.
fn user_of(stream: &TlsStream<MeteredSocket<TcpStream>>) -> Option<Box<str>> {
    let (_, session) = stream.get_ref();
    tls::common_name(session.peer_certificates()?.first()?)
}

/// The time that the client may still use. Waiting for a worker does not count.
struct ClientTime(Duration);

impl ClientTime {
    /// Waits for something that the client has to do.
    async fn wait<F: Future>(&mut self, future: F) -> Result<F::Output, HandshakeError> {
        let began = clock::monotonic();
        let output = tokio::time::timeout(self.0, future).await.map_err(|_| HandshakeError::Late)?;
        self.0 = self.0.saturating_sub(clock::monotonic().since(began));
        Ok(output)
    }
}

/// Asks for the next poll of a future.
#[derive(Debug, Default)]
struct PollRequest(Notify);

impl Wake for PollRequest {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// Runs a future to its end, each poll on a worker.
async fn poll_on_workers<T: Send + 'static>(
    workers: &Workers,
    source: Source,
    future: impl Future<Output = T> + Send + 'static,
    client_time: &mut ClientTime,
) -> Result<T, HandshakeError> {
    let mut future: Pin<Box<dyn Future<Output = T> + Send>> = Box::pin(future);
    let request = Arc::new(PollRequest::default());
    loop {
        let waker = Waker::from(request.clone());
        let poll = move || (future.as_mut().poll(&mut Context::from_waker(&waker)), future);
        let (polled, pending) = workers.run(source, poll).await;
        match polled {
            Poll::Ready(output) => return Ok(output),
            Poll::Pending => future = pending,
        }
        client_time.wait(request.0.notified()).await?;
    }
}

impl Shared {
    /// Returns whether a connection from `address` has a slot; logs when there is none.
    pub(super) fn has_slot(&self, address: Option<IpAddr>) -> bool {
        let full = self.hub.borrow().peers.slots.check(address);
        match full {
            None => return true,
            Some(SlotsFull::Total) => self.log_of_address(&log_lines::too_many_connections(), address),
            Some(SlotsFull::Network) => self.log_of_address(&log_lines::too_many_connections_of_address(), address),
        }
        false
    }

    /// Closes the connections that have sent the most before their login, until all together have sent no more than
    /// they may.
    pub(super) fn close_largest_logins(&self) {
        const REASON: &str = "clients that have not logged in have sent more than an eighth of broker.limits.memory \
                              together, and this one the most";
        while self.login_budget.is_exceeded() {
            let hub = self.hub.borrow();
            let of_peer = |(connection, peer): (ConnectionId, &super::peers::Peer)| {
                Some((peer.login_meter.as_ref()?.clone(), Ok(connection)))
            };
            let peers = hub.peers.iter().filter_map(of_peer);
            let pending = hub.handshakes.iter().map(|(key, pending)| (pending.login_meter.clone(), Err(key)));
            let largest = peers.chain(pending).max_by_key(|(meter, _)| meter.bytes());
            drop(hub);
            let Some((meter, whose)) = largest.filter(|(meter, _)| meter.bytes() > 0) else { return };
            meter.close();
            match whose {
                Ok(connection) => self.broken(connection, REASON),
                Err(key) => self.abort_handshakes(key, REASON),
            }
        }
    }

    fn abort_handshakes(&self, key: HandshakeKey, reason: &str) {
        let hub = self.hub.borrow();
        let Some(pending) = hub.handshakes.get(key) else { return };
        pending.task.iter().for_each(AbortHandle::abort);
        let address = pending.address;
        drop(hub);
        self.log_of_address(&log_lines::broken(Kind::NoLogin, reason), address);
    }

    /// Closes a connection at once, without sending its outbox, and logs the reason.
    pub(super) fn broken(&self, connection: ConnectionId, why: &str) {
        let mut hub = self.hub.borrow_mut();
        let Hub { peers, log, .. } = &mut *hub;
        if let Some(peer) = peers.get_mut(connection) {
            peer.is_closing = true;
            let subject = Subject { client: peer.logged_client_id(), address: peer.address };
            log.write(&log_lines::broken(Kind::ProtocolError, why), subject, clock::monotonic());
        }
        drop(hub);
        self.close(connection);
    }

    /// Writes a line about a connection that has sent no CONNECT.
    fn log_of_address(&self, line: &Line<'_>, address: Option<IpAddr>) {
        self.hub.borrow_mut().log.write(line, Subject { client: "", address }, clock::monotonic());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn time_in_the_queue_of_the_workers_does_not_count_as_the_clients() {
        let tasks = LocalSet::new();
        tasks
            .run_until(async {
                let workers = Rc::new(Workers::new(1));
                let (end, wait) = mpsc::channel::<()>();
                let occupied = workers.clone();
                spawn_local(async move { occupied.run(Source::Local(0), move || wait.recv()).await });
                tokio::task::yield_now().await;
                let waiting = workers.clone();
                let handshake = spawn_local(async move {
                    let mut client_time = ClientTime(Duration::from_secs(10));
                    poll_on_workers(&waiting, Source::Local(1), async { 7 }, &mut client_time).await
                });
                // time does not pass by itself while a worker is occupied
                tokio::time::advance(HOUR).await;
                tokio::task::yield_now().await;
                assert!(!handshake.is_finished());
                drop(end);
                assert!(matches!(handshake.await.unwrap(), Ok(7)));
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_go_on_occupies_no_worker_and_is_late() {
        let tasks = LocalSet::new();
        tasks
            .run_until(async {
                let workers = Workers::new(1);
                let mut client_time = ClientTime(Duration::from_secs(10));
                let silent =
                    poll_on_workers(&workers, Source::Local(0), std::future::pending::<()>(), &mut client_time);
                let (result, others) = tokio::join!(silent, workers.run(Source::Local(1), || 7));
                assert_eq!(others, 7);
                assert!(matches!(result, Err(HandshakeError::Late)));
            })
            .await;
    }

    #[tokio::test]
    async fn a_future_is_polled_on_a_worker_whenever_it_is_woken() {
        let broker_thread = std::thread::current().id();
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let future = async move {
            let mut threads = vec![std::thread::current().id()];
            while let Some(()) = receiver.recv().await {
                threads.push(std::thread::current().id());
            }
            threads
        };
        let (workers, mut client_time) = (Workers::new(1), ClientTime(HOUR));
        let send = async {
            for _ in 0..3 {
                sender.send(()).unwrap();
                tokio::task::yield_now().await;
            }
            drop(sender);
        };
        let (threads, ()) = tokio::join!(poll_on_workers(&workers, Source::Local(0), future, &mut client_time), send);
        let threads = threads.unwrap();
        assert_eq!(threads.len(), 4);
        assert!(threads.iter().all(|thread| *thread != broker_thread));
    }
}
