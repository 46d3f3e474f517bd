//! Sockets to the broker's core: TCP, TLS, WebSocket and Unix listeners, reading in bulk, one vectored write a wake-up.
//!
//! - Holds sockets, buffers on their way out, and the core itself.
//! - Never enters: protocol rules (those are `broker`'s) and what the agent does.
//! - Uses `base`, `mqtt`, `access`, `broker`.
//!
//! Everything runs on one thread, in rounds: each connection that is ready has a turn, which reads and hands the
//! packets to the core; the core's outputs fill outboxes; behind all turns these are written. No connection has a task
//! of its own. TLS and WebSocket are laid above a socket by a task (`arrival`) and then hidden behind the same stream
//! (`stream`, `layered`). Follows MQTT 3.1.1 section 6. Start reading at [`Server::bind`], then `rounds`, `connection`,
//! `hub` and `flush`.

mod arrival;
mod bind;
mod carrier;
mod connection;
mod durable;
mod fair;
mod flush;
mod frames;
mod gate;
mod hub;
mod layered;
mod listener;
mod log_limiter;
mod log_lines;
mod login_bytes;
mod network;
mod outbox;
mod peers;
mod places;
mod ready;
mod rounds;
mod stream;
mod tls;
mod upgrade;
mod workers;

pub use gate::Access;
pub use listener::BindError;
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
use bind::Share;
use durable::{Answers, Durable};
use hub::Shared;
use listener::Listener;

/// How long a stop waits for peers to take what waits for them.
const FAREWELL: Duration = Duration::from_secs(2);

/// How often the loop shows that it goes on.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Where the broker listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Listeners for everyone.
    pub listeners: Vec<ListenerOptions>,
    /// The private Unix socket of the gateway's own clients (mode 0600).
    pub house_socket: PathBuf,
    /// Connections at one time, over all listeners, unfinished handshakes included; one more is closed at once.
    pub connections_max: usize,
    /// Connections at one time of one IPv4 address or IPv6 /64, unfinished handshakes included; one more is closed at once. Unix sockets
    /// and loopback are not bounded by it.
    pub connections_per_address_max: usize,
    /// Bytes that may wait for one slow client; beyond it its QoS 0 messages are dropped.
    pub send_buffer_bytes_max: usize,
    /// Bytes of a CONNECT, header included. A longer one ends its connection as soon as its header has come, and so does
    /// as much that comes before the login in another way.
    pub login_bytes_max: usize,
    /// Bytes that all connections together may have sent before they have logged in. Beyond it the connection with the
    /// most bytes is closed, and further ones, until it is kept: clients with an ordinary CONNECT are spared.
    pub logins_bytes_max: usize,
    /// Who may come in and what they may do, until [`Server::access`] is sent something newer.
    pub access: Access,
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerOptions {
    /// Where it listens.
    pub address: ListenerAddress,
    /// Whether clients without a user name are let in; without a password file, whether anybody is.
    pub allow_anonymous: bool,
    /// What its clients speak; over a Unix socket always MQTT.
    pub protocol: Protocol,
    /// TLS below it; over a Unix socket always none. With client certificates, their common names are the users, and
    /// nobody else comes in.
    pub tls: Option<Tls>,
}

/// What the clients of a listener speak.
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
    /// MQTT without TLS for everybody.
    pub fn plain(address: ListenerAddress) -> Self {
        Self { address, allow_anonymous: true, protocol: Protocol::Mqtt, tls: None }
    }

    /// Whether its clients show certificates, and are who these say.
    pub fn asks_certificates(&self) -> bool {
        self.tls.as_ref().is_some_and(Tls::asks_certificate)
    }
}

/// Where it listens, and what is not plain MQTT.
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
    machine: broker::Options,
    access: watch::Sender<Access>,
    certificates: watch::Sender<Certificates>,
    watched: watch::Sender<Watched>,
}

/// Sessions whose queues somebody looks at, by client identifier.
pub type Watched = Vec<(ClientId, Queued)>;

impl Server {
    /// Binds every listener and the private socket. Listeners whose addresses overlap may share a port: a client meets
    /// the narrowest. An address that this machine has not got (`[::1]` where IPv6 is
    /// switched off) is left out with a warning, as long as another one is left.
    ///
    /// # Errors
    /// When one of them cannot be bound; none is left behind then.
    pub fn bind(options: Options, machine: broker::Options) -> Result<Self, BindError> {
        let certificates = watch::Sender::new(certificates_of(&options.listeners));
        let mut listeners = vec![Listener::bind_house(&options.house_socket)?];
        let mut left_out = None;
        let addresses: Vec<_> = options.listeners.iter().map(|listener| listener.address.tcp()).collect();
        for (index, listener) in options.listeners.iter().enumerate() {
            match Listener::bind(listener, &certificates, Share::of(index, &addresses)) {
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
                Ok(Self { listeners, options, machine, access, certificates, watched })
            }
        }
    }

    /// Where it listens, ports that the system chose included; the private socket is not among them.
    pub fn listeners(&self) -> Vec<ListenerOptions> {
        self.listeners.iter().filter_map(Listener::options).collect()
    }

    /// Takes newer passwords and rights while it serves; they apply to connected clients too.
    pub fn access(&self) -> watch::Sender<Access> {
        self.access.clone()
    }

    /// Takes newer certificates while it serves, for connections from then on. A listener that is not among them keeps
    /// what it began with, and none gets or loses TLS by them.
    pub fn certificates(&self) -> watch::Sender<Certificates> {
        self.certificates.clone()
    }

    /// Takes the sessions whose queues are looked at, also while it serves; told about once a second.
    pub fn watched(&self) -> watch::Sender<Watched> {
        self.watched.clone()
    }

    /// Serves on the calling thread until `stop` turns true, then sends what is waiting, for two seconds at most, and
    /// closes. The Unix sockets' files are gone then.
    ///
    /// What outlived the last process is taken over from `store` before the first connection, and all that has to
    /// outlive this one goes there; without a store, state lives in memory.
    ///
    /// # Errors
    /// When the runtime or the store's thread cannot be made, and when the store cannot be written at the end.
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
        let (packet_bytes_max, patience) = (self.machine.packet_bytes_max, self.machine.connect_timeout);
        let machine = broker::Options { spills_queues: store.is_some(), ..self.machine };
        let broker = Broker::new(machine, seed);
        let shared = match store {
            None => {
                let durable = Durable::Memory(VecDeque::new());
                Rc::new(Shared::new(broker, durable, &self.options, packet_bytes_max))
            }
            Some((store, state)) => {
                let (durable, answers) = Durable::start(store)?;
                let shared = Rc::new(Shared::new(broker, durable, &self.options, packet_bytes_max));
                tokio::task::spawn_local(listen_to_store(shared.clone(), answers));
                shared.restore(state);
                shared
            }
        };
        shared.start();
        let mut listening = tokio::task::JoinSet::new();
        for listener in self.listeners {
            listening.spawn_local(listener.run(shared.clone(), patience));
        }
        // a round takes as long as it takes: everybody who is ready is in it
        tokio::task::spawn_local(tokio::task::unconstrained(rounds::run(shared.clone())));
        tokio::task::spawn_local(gate::run(shared.clone()));
        tokio::task::spawn_local(gate::reload(shared.clone(), self.access.subscribe()));
        tokio::task::spawn_local(keep_time(shared.clone()));
        tokio::task::spawn_local(beat(progress, shared.clone(), self.watched.subscribe()));
        let _ = stop.wait_for(|stop| *stop).await;
        listening.shutdown().await;
        shared.shut_down();
        let _ = tokio::time::timeout(FAREWELL, flush::finish(&shared)).await;
        let durable = std::mem::replace(&mut shared.hub.borrow_mut().durable, Durable::Memory(VecDeque::new()));
        durable.stop().map_err(std::io::Error::other)
    }
}

/// Brings the store's answers to the machine.
async fn listen_to_store(shared: Rc<Shared>, mut answers: Answers) {
    while let Some(answer) = answers.recv().await {
        shared.answered(answer);
    }
}

/// Wakes the machine at its deadlines.
async fn keep_time(shared: Rc<Shared>) {
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

/// Shows that the loop goes on, and how much waits in the queues that are looked at.
async fn beat(progress: Progress, shared: Rc<Shared>, watched: watch::Receiver<Watched>) {
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
