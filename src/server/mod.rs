//! The broker's sockets: TCP, TLS, WebSocket and Unix listeners, bulk reads, one vectored write for each peer and
//! round.
//!
//! - Contains sockets, outboxes, logins, and the broker itself.
//! - Never contains protocol rules, which belong to `broker`, or anything about the agent.
//! - Uses `base`, `mqtt`, `access`, `broker`.
//!
//! One thread serves all connections in rounds: each ready connection has a turn, which reads and hands packets to the
//! broker; the broker's outputs fill outboxes, which are written after all turns. Connections have no tasks. Handshakes
//! of TLS and WebSocket have one (`handshake`); then `stream` and `layered` hide these layers. Password hashes and TLS
//! handshakes are computed by `workers`. Implements MQTT 3.1.1 section 6. Start reading at [`Server::bind`], then
//! `rounds`, `connection`, `hub`, `flush` and `logins`.

mod bind;
mod connection;
mod durable;
mod fair;
mod flush;
mod handshake;
mod hub;
mod layered;
mod listener;
mod log_limiter;
mod log_lines;
mod login_bytes;
mod logins;
mod network;
mod outbox;
mod peers;
mod ready;
mod rounds;
mod slots;
mod stream;
mod tls;
mod transport;
mod upgrade;
mod websocket;
mod workers;

pub use listener::BindError;
pub use logins::Access;
pub use tls::{Certificates, Tls, TlsError, certificates_of};

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::warn;

use crate::base::clock;
use crate::base::progress::Progress;
use crate::base::queued::Queued;
use crate::broker::state::State;
use crate::broker::{self, Broker};
use crate::mqtt::ClientId;
use crate::store::Store;
use bind::PortSharing;
use durable::{Answers, Durable};
use hub::Shared;
use listener::Listener;

/// How long a stop waits until the outboxes are sent.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// How often the loop reports its progress.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The listeners and limits of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Public listeners.
    pub listeners: Vec<ListenerOptions>,
    /// The private Unix socket of the gateway's own clients (mode 0600).
    pub house_socket: PathBuf,
    /// Connections at one time, over all listeners, unfinished handshakes included; one more is closed at once.
    pub connections_max: usize,
    /// Connections at one time of one IPv4 address or IPv6 /64, unfinished handshakes included; one more is closed at
    /// once. Unix sockets and loopback are not bounded by it.
    pub connections_per_address_max: usize,
    /// Bytes that may wait for one slow client; beyond it its QoS 0 messages are dropped.
    pub send_buffer_bytes_max: usize,
    /// Bytes of a CONNECT, header included. A longer one ends its connection as soon as its header has come, and so
    /// does as much that comes before the login in another way.
    pub login_bytes_max: usize,
    /// Bytes that all connections together may have sent before they have logged in. Beyond it the connection with the
    /// most bytes is closed, and further ones, until it is kept: clients with an ordinary CONNECT are spared.
    pub logins_bytes_max: usize,
    /// The users and their rights, until [`Server::access`] is sent newer ones.
    pub access: Access,
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerOptions {
    /// The address of the listener.
    pub address: ListenerAddress,
    /// Whether clients without a user name are accepted; without a password file, whether any client is.
    pub allow_anonymous: bool,
    /// The protocol of its clients; always MQTT over a Unix socket.
    pub protocol: Protocol,
    /// TLS below the protocol; always `None` over a Unix socket. If clients need certificates, their common names are
    /// the user names, and other clients are refused.
    pub tls: Option<Tls>,
}

/// The protocol of a listener's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT.
    Mqtt,
    /// MQTT in the binary frames of WebSocket.
    WebSocket,
}

/// A listener's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerAddress {
    /// MQTT over TCP.
    Tcp(SocketAddr),
    /// MQTT over a Unix socket for other programs on this machine.
    Unix(PathBuf),
}

impl ListenerAddress {
    /// The address of a TCP socket.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl ListenerOptions {
    /// MQTT without TLS for all clients.
    pub fn plain(address: ListenerAddress) -> Self {
        Self { address, allow_anonymous: true, protocol: Protocol::Mqtt, tls: None }
    }

    /// Returns whether clients are identified by certificates.
    pub fn asks_certificates(&self) -> bool {
        self.tls.as_ref().is_some_and(Tls::asks_certificate)
    }
}

/// Shows the address, and the layers other than plain MQTT.
impl fmt::Display for ListenerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            ListenerAddress::Tcp(address) => write!(f, "{address}")?,
            ListenerAddress::Unix(path) => write!(f, "{}", path.display())?,
        }
        match (self.protocol, &self.tls) {
            (Protocol::Mqtt, None) => Ok(()),
            (Protocol::Mqtt, Some(_)) => f.write_str(" (TLS)"),
            (Protocol::WebSocket, None) => f.write_str(" (WebSocket)"),
            (Protocol::WebSocket, Some(_)) => f.write_str(" (WebSocket, TLS)"),
        }
    }
}

/// A broker whose sockets are bound.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<Listener>,
    options: Options,
    broker_options: broker::Options,
    access: watch::Sender<Access>,
    certificates: watch::Sender<Certificates>,
    watched: watch::Sender<Watched>,
}

/// Sessions whose queue lengths are reported, by client identifier.
pub type Watched = Vec<(ClientId, Queued)>;

impl Server {
    /// Binds all listeners and the private socket. Listeners whose addresses overlap may share a port: a client reaches
    /// the one with the most specific address. An address that this machine does not have, such as `[::1]` without
    /// IPv6, is left out with a warning if another one remains.
    ///
    /// # Errors
    /// If one of them cannot be bound; the others are closed.
    pub fn bind(options: Options, broker_options: broker::Options) -> Result<Self, BindError> {
        let certificates = watch::Sender::new(certificates_of(&options.listeners));
        let mut listeners = vec![Listener::bind_internal(&options.house_socket)?];
        let mut left_out = None;
        let addresses: Vec<_> = options.listeners.iter().map(|listener| listener.address.tcp()).collect();
        for (index, listener) in options.listeners.iter().enumerate() {
            match Listener::bind(listener, &certificates, PortSharing::of(index, &addresses)) {
                Ok(listener) => listeners.push(listener),
                Err(error @ BindError::NoAddress { .. }) => {
                    warn!("{error}; it is left out");
                    left_out = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match left_out {
            Some(error) if listeners.len() == 1 => Err(error),
            _ => {
                let access = watch::Sender::new(options.access.clone());
                let watched = watch::Sender::new(Watched::new());
                Ok(Self { listeners, options, broker_options, access, certificates, watched })
            }
        }
    }

    /// Returns the public listeners, with the ports that the system chose.
    pub fn listeners(&self) -> Vec<ListenerOptions> {
        self.listeners.iter().filter_map(Listener::options).collect()
    }

    /// Returns the sender of newer users and rights. They apply to connected clients too.
    pub fn access(&self) -> watch::Sender<Access> {
        self.access.clone()
    }

    /// Returns the sender of newer certificates for further connections. A listener that is not among them keeps its
    /// first ones, and none gets or loses TLS by them.
    pub fn certificates(&self) -> watch::Sender<Certificates> {
        self.certificates.clone()
    }

    /// Returns the sender of the sessions whose queue lengths are reported once a second.
    pub fn watched(&self) -> watch::Sender<Watched> {
        self.watched.clone()
    }

    /// Serves on the calling thread until `stop` turns true, then sends the outboxes, for two seconds at most, and
    /// closes all connections. The files of the Unix sockets are removed.
    ///
    /// With a store, the durable state is restored from it before the first connection is accepted; without one, all
    /// state is lost at the end.
    ///
    /// # Errors
    /// If the runtime or the store's thread cannot be started, or if the store cannot be written at the end.
    pub fn run(
        self,
        seed: u64,
        store: Option<(Store, State)>,
        progress: &Progress,
        stop: watch::Receiver<bool>,
    ) -> std::io::Result<()> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.max_blocking_threads(workers::threads()).thread_name("worker");
        let runtime = runtime.enable_io().enable_time().build()?;
        let tasks = tokio::task::LocalSet::new();
        tasks.block_on(&runtime, self.serve(seed, store, progress.clone(), stop))
    }

    async fn serve(
        self,
        seed: u64,
        store: Option<(Store, State)>,
        progress: Progress,
        mut stop: watch::Receiver<bool>,
    ) -> std::io::Result<()> {
        let (packet_bytes_max, handshake_timeout) =
            (self.broker_options.packet_bytes_max, self.broker_options.connect_timeout);
        let broker_options = broker::Options { spills_queues: store.is_some(), ..self.broker_options };
        let broker = Broker::new(broker_options, seed);
        let shared = match store {
            None => {
                let durable = Durable::Memory(VecDeque::new());
                Rc::new(Shared::new(broker, durable, &self.options, packet_bytes_max))
            }
            Some((store, state)) => {
                let (durable, answers) = Durable::start(store)?;
                let shared = Rc::new(Shared::new(broker, durable, &self.options, packet_bytes_max));
                tokio::task::spawn_local(receive_answers(shared.clone(), answers));
                shared.restore(state);
                shared
            }
        };
        shared.start();
        let mut listening = tokio::task::JoinSet::new();
        for listener in self.listeners {
            listening.spawn_local(listener.run(shared.clone(), handshake_timeout));
        }
        // a round must not be interrupted: every ready connection has its turn
        tokio::task::spawn_local(tokio::task::unconstrained(rounds::run(shared.clone())));
        tokio::task::spawn_local(logins::run(shared.clone()));
        tokio::task::spawn_local(logins::reload(shared.clone(), self.access.subscribe()));
        tokio::task::spawn_local(run_timers(shared.clone()));
        tokio::task::spawn_local(report_progress(progress, shared.clone(), self.watched.subscribe()));
        let _ = stop.wait_for(|stop| *stop).await;
        listening.shutdown().await;
        shared.shut_down();
        let _ = tokio::time::timeout(STOP_TIMEOUT, flush::finish(&shared)).await;
        let durable = std::mem::replace(&mut shared.hub.borrow_mut().durable, Durable::Memory(VecDeque::new()));
        durable.stop().map_err(std::io::Error::other)
    }
}

/// Hands the store's answers to the broker.
async fn receive_answers(shared: Rc<Shared>, mut answers: Answers) {
    while let Some(answer) = answers.recv().await {
        shared.answered(answer);
    }
}

/// Runs the broker's timers.
async fn run_timers(shared: Rc<Shared>) {
    loop {
        let now = clock::monotonic();
        let wait = shared.timeout(now).map(|deadline| deadline - now);
        let nearer = shared.deadline.notified();
        match wait {
            Some(wait) => drop(tokio::time::timeout(wait, nearer).await),
            None => nearer.await,
        }
    }
}

/// Reports once a second that the loop makes progress, and the queue lengths that are asked for.
async fn report_progress(progress: Progress, shared: Rc<Shared>, watched: watch::Receiver<Watched>) {
    loop {
        progress.mark(clock::monotonic());
        for (client_id, queued) in watched.borrow().iter() {
            let (messages, dropped) = shared.hub.borrow().broker.queued(client_id);
            queued.set(messages, dropped);
        }
        tokio::time::sleep(HEARTBEAT).await;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::os::unix::net::UnixStream;
    use std::path::Path;

    use super::*;

    /// CONNECT of a clean session without a name.
    const CONNECT: &[u8] = &[0x10, 0x0C, 0x00, 0x04, b'M', b'Q', b'T', b'T', 0x04, 0x02, 0x00, 0x00, 0x00, 0x00];

    fn options(directory: &Path, address: ListenerAddress) -> Options {
        Options {
            listeners: vec![ListenerOptions::plain(address)],
            house_socket: directory.join("house.sock"),
            connections_max: 10,
            connections_per_address_max: 10,
            send_buffer_bytes_max: 1 << 20,
            login_bytes_max: 100_000,
            logins_bytes_max: 8 << 20,
            access: Access::default(),
        }
    }

    fn files(directory: &Path) -> Vec<PathBuf> {
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// A connection whose CONNACK has come.
    fn client(path: &Path) -> UnixStream {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(CONNECT).unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [0x20, 0x02, 0x00, 0x00]);
        stream
    }

    /// Publishes 256 KiB under `t` with QoS 1 and waits for the acknowledgement.
    fn publish_large(publisher: &mut UnixStream) {
        let mut packet = vec![0x32, 0x85, 0x80, 0x10, 0x00, 0x01, b't', 0x00, 0x01];
        packet.resize(packet.len() + (256 << 10), b'x');
        publisher.write_all(&packet).unwrap();
        let mut answer = [0; 4];
        publisher.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [0x40, 0x02, 0x00, 0x01]);
    }

    #[test]
    fn a_listener_that_cannot_be_bound_leaves_no_socket_behind() {
        let directory = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = ListenerAddress::Tcp(taken.local_addr().unwrap());
        let bound = Server::bind(options(directory.path(), address), broker::Options::default());
        assert!(matches!(bound, Err(BindError::InUse { .. })));
        assert_eq!(files(directory.path()), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_stop_sends_what_is_waiting_and_leaves_no_socket_behind() {
        let directory = tempfile::tempdir().unwrap();
        let public = directory.path().join("public.sock");
        let options = options(directory.path(), ListenerAddress::Unix(public.clone()));
        let server = Server::bind(options, broker::Options::default()).unwrap();
        let (stop, stopped) = watch::channel(false);
        let serving = std::thread::spawn(move || server.run(1, None, &Progress::new(clock::monotonic()), stopped));
        let (mut subscriber, mut publisher) = (client(&public), client(&public));
        // SUBSCRIBE to t with QoS 1
        subscriber.write_all(&[0x82, 0x06, 0x00, 0x01, 0x00, 0x01, b't', 0x01]).unwrap();
        let mut answer = [0; 5];
        subscriber.read_exact(&mut answer).unwrap();
        for _ in 0..4 {
            publish_large(&mut publisher);
        }
        stop.send(true).unwrap();
        let mut received = Vec::new();
        subscriber.read_to_end(&mut received).unwrap();
        serving.join().unwrap().unwrap();
        assert_eq!(received.len(), 4 * (9 + (256 << 10)));
        assert_eq!(files(directory.path()), Vec::<PathBuf>::new());
    }
}
