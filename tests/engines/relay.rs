//! A TCP relay on loopback whose connections are cut, frozen and refused while the test looks on.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use crate::place::Place;
use crate::server::{ENGINE_PATIENCE, within};
use crate::support::POLL;

/// How long the other end may take to accept.
const OPEN_MAX: Duration = Duration::from_secs(5);

/// Which bytes do not get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frozen {
    /// In neither direction.
    Both,
    /// Those that come from upstream: what clients send arrives, the answers do not.
    Answers,
}

/// A relay to one address. Dropping it resets its connections and refuses further ones.
pub(crate) struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    upstream: SocketAddr,
    is_refusing: AtomicBool,
    freezes_answers: AtomicBool,
    freezes_requests: AtomicBool,
    accepted: AtomicUsize,
    /// Those that have ended are gone.
    connections: Mutex<Vec<Weak<Pair>>>,
}

/// The two sockets of a connection that goes through.
struct Pair {
    client: TcpStream,
    upstream: TcpStream,
    is_cut: AtomicBool,
}

impl Relay {
    /// Relays from a free port of loopback to `upstream`, which need not be there yet.
    pub(crate) fn start(upstream: SocketAddr) -> Self {
        let shared = Arc::new(Shared {
            upstream,
            is_refusing: AtomicBool::new(false),
            freezes_answers: AtomicBool::new(false),
            freezes_requests: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            connections: Mutex::default(),
        });
        let mut relay = Self { address: Place::loopback().free_address(), shared, listener: None };
        relay.listen();
        relay
    }

    /// Where it listens, the whole time.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Resets all connections, at both ends; new ones are let through.
    pub(crate) fn cut(&self) {
        for pair in self.shared.connections.lock().unwrap().drain(..).filter_map(|pair| pair.upgrade()) {
            pair.cut();
        }
    }

    /// Lets no more bytes through while the sockets stay open: no end, no reset, no word. [`Self::heal`] lets go what
    /// was on its way, as the repetitions of TCP would; after [`Self::cut`] it is lost.
    pub(crate) fn freeze(&self, frozen: Frozen) {
        self.shared.freezes_answers.store(true, Ordering::Relaxed);
        self.shared.freezes_requests.store(frozen == Frozen::Both, Ordering::Relaxed);
    }

    /// Resets all connections and refuses new ones: the host is there, nobody listens.
    pub(crate) fn refuse(&mut self) {
        self.shared.is_refusing.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.take() {
            listener.join().unwrap();
        }
        self.cut();
    }

    /// Lets everything through again.
    pub(crate) fn heal(&mut self) {
        self.shared.freezes_answers.store(false, Ordering::Relaxed);
        self.shared.freezes_requests.store(false, Ordering::Relaxed);
        if self.listener.is_none() {
            self.listen();
        }
    }

    fn listen(&mut self) {
        self.shared.is_refusing.store(false, Ordering::Relaxed);
        let listener = within(ENGINE_PATIENCE, || TcpListener::bind(self.address).ok()).unwrap();
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::clone(&self.shared);
        self.listener = Some(thread::spawn(move || shared.accept(&listener)));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.refuse();
    }
}

impl Shared {
    /// Accepts until it is to refuse.
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        while !self.is_refusing.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((client, _)) => self.relay(client),
                Err(_) => thread::sleep(POLL),
            }
        }
    }

    /// A client whose upstream is not there is reset.
    fn relay(self: &Arc<Self>, client: TcpStream) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        let Ok(upstream) = TcpStream::connect_timeout(&self.upstream, OPEN_MAX) else {
            reset_at_end(&client);
            return;
        };
        for stream in [&client, &upstream] {
            stream.set_nonblocking(false).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(POLL)).unwrap();
            stream.set_write_timeout(Some(POLL)).unwrap();
        }
        let pair = Arc::new(Pair { client, upstream, is_cut: AtomicBool::new(false) });
        self.connections.lock().unwrap().push(Arc::downgrade(&pair));
        let (requests, answers) = ((Arc::clone(self), Arc::clone(&pair)), (Arc::clone(self), pair));
        thread::spawn(move || requests.1.pump(&requests.1.client, &requests.1.upstream, &requests.0.freezes_requests));
        thread::spawn(move || answers.1.pump(&answers.1.upstream, &answers.1.client, &answers.0.freezes_answers));
    }
}

impl Pair {
    /// Carries bytes one way until one end is gone or the connection is cut.
    fn pump(&self, mut from: &TcpStream, to: &TcpStream, is_frozen: &AtomicBool) {
        let mut chunk = vec![0; 65_536];
        while !self.is_cut.load(Ordering::Relaxed) {
            if is_frozen.load(Ordering::Relaxed) {
                thread::sleep(POLL);
                continue;
            }
            match from.read(&mut chunk) {
                Ok(0) => {
                    let _ = to.shutdown(Shutdown::Write);
                    return;
                }
                Ok(length) => self.write(&chunk[..length], to, is_frozen),
                Err(error) if is_patience(error.kind()) => {}
                Err(_) => self.cut(),
            }
        }
    }

    fn write(&self, mut bytes: &[u8], mut to: &TcpStream, is_frozen: &AtomicBool) {
        while !bytes.is_empty() && !self.is_cut.load(Ordering::Relaxed) {
            if is_frozen.load(Ordering::Relaxed) {
                thread::sleep(POLL);
                continue;
            }
            match to.write(bytes) {
                Ok(length) => bytes = &bytes[length..],
                Err(error) if is_patience(error.kind()) => {}
                Err(_) => self.cut(),
            }
        }
    }

    /// Both ends are reset as soon as both directions have noticed.
    fn cut(&self) {
        reset_at_end(&self.client);
        reset_at_end(&self.upstream);
        self.is_cut.store(true, Ordering::Relaxed);
    }
}

/// Whether a call has only waited long enough.
fn is_patience(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Makes the end of a socket a reset.
fn reset_at_end(stream: &TcpStream) {
    let _ = set_socket_linger(stream, Some(Duration::ZERO));
}
