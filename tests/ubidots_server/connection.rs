//! One connection: bytes to packets for the state, its orders to bytes.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::time::Duration;

use sensegate::base::clock::{self, Monotonic};
use sensegate::mqtt::{Connect, Decoded, Packet, ProtocolVersion, decode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;

use super::listener::Door;
use super::packet::{Kind, Order, Outgoing, clear_bridge_bit};
use super::session::{ConnectionId, Line};
use super::state::{End, Now, Shared};

/// The largest packet; a larger one ends the connection. What Ubidots takes of a payload is far below.
const PACKET_BYTES_MAX: usize = 1 << 20;

/// How much is read at once at least, if it is there.
const READ_BYTES: usize = 16 << 10;

/// How long a connection may wait with its CONNECT.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// What carries bytes, with the socket beneath.
trait Link: AsyncRead + AsyncWrite + Send + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl Link for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Link for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Where the dialogue stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A CONNECT is to come.
    Fresh,
    /// The CONNACK is to go; packets wait for it.
    Greeting,
    /// Both have gone.
    Greeted,
}

/// What a connection wakes up for.
enum Event {
    HalfOpen,
    Told(Order),
    Due,
    Read(io::Result<usize>),
    Silent,
}

struct Connection {
    id: ConnectionId,
    shared: Shared,
    link: Box<dyn Link>,
    line: Line,
    orders: UnboundedReceiver<Order>,
    half_open: watch::Receiver<bool>,
    stage: Stage,
    received: Vec<u8>,
    /// In the order in which they are due.
    later: VecDeque<(Monotonic, Outgoing)>,
    /// `None` when the client may be silent for ever.
    patience: Option<Duration>,
    silent_at: Option<Monotonic>,
}

/// Serves a connection until it ends.
pub(super) async fn serve(tcp: TcpStream, door: Door, shared: Shared) {
    let (id, mut half_open, acceptor) = {
        let mut state = shared.lock();
        (state.handle_arrival(Now::read()), state.half_open.subscribe(), state.acceptor.clone())
    };
    let _ = tcp.set_nodelay(true);
    turned(&mut half_open, false).await;
    let link: Box<dyn Link> = match door {
        Door::Plain => Box::new(tcp),
        Door::Tls => {
            let Ok(tls) = acceptor.accept(tcp).await else {
                shared.lock().journal.counters.failed_handshakes += 1;
                return;
            };
            Box::new(tls)
        }
    };
    let mut connection = Connection::new(id, shared.clone(), link, half_open);
    let end = connection.run().await;
    shared.lock().handle_end(Now::read(), id, end);
    if end != End::Reset {
        let _ = connection.link.shutdown().await;
    }
}

impl Connection {
    fn new(id: ConnectionId, shared: Shared, link: Box<dyn Link>, half_open: watch::Receiver<bool>) -> Self {
        let (sender, orders) = unbounded_channel();
        let mut connection = Self {
            id,
            shared,
            link,
            line: Line { version: ProtocolVersion::V311, orders: sender },
            orders,
            half_open,
            stage: Stage::Fresh,
            received: Vec::new(),
            later: VecDeque::new(),
            patience: Some(CONNECT_TIMEOUT),
            silent_at: None,
        };
        connection.handle_sign_of_life();
        connection
    }

    async fn run(&mut self) -> End {
        loop {
            if let Err(end) = self.turn().await {
                return end;
            }
        }
    }

    async fn turn(&mut self) -> Result<(), End> {
        match self.next().await {
            Event::HalfOpen => turned(&mut self.half_open, false).await,
            Event::Told(order) => self.obey(order).await?,
            Event::Due => {
                if let Some((_, outgoing)) = self.later.pop_front() {
                    self.send(outgoing).await?;
                }
            }
            Event::Read(Ok(0) | Err(_)) => return Err(End::Lost),
            Event::Read(Ok(_)) => self.handle_sign_of_life(),
            Event::Silent => {
                self.shared.lock().journal.counters.silent += 1;
                return Err(End::Lost);
            }
        }
        self.take_packets().await
    }

    /// What comes first; of what is there already the one that stands first here.
    async fn next(&mut self) -> Event {
        self.received.reserve(READ_BYTES);
        let due_at = self.later.front().map(|(at, _)| *at);
        tokio::select! {
            biased;
            () = turned(&mut self.half_open, true) => Event::HalfOpen,
            Some(order) = self.orders.recv() => Event::Told(order),
            () = until(due_at) => Event::Due,
            read = self.link.read_buf(&mut self.received) => Event::Read(read),
            () = until(self.silent_at) => Event::Silent,
        }
    }

    /// Handles the whole packets among what was received, and obeys after each.
    async fn take_packets(&mut self) -> Result<(), End> {
        while self.stage != Stage::Greeting && !*self.half_open.borrow() {
            let mut received = mem::take(&mut self.received);
            if self.stage == Stage::Fresh {
                clear_bridge_bit(&mut received);
            }
            let taken = self.take_packet(&received)?;
            received.drain(..taken);
            self.received = received;
            if taken == 0 {
                break;
            }
            while let Ok(order) = self.orders.try_recv() {
                self.obey(order).await?;
            }
        }
        Ok(())
    }

    /// Handles the first packet of `bytes`; gives its length, 0 when it is not whole.
    fn take_packet(&mut self, bytes: &[u8]) -> Result<usize, End> {
        match decode(bytes, self.line.version, PACKET_BYTES_MAX) {
            Ok(Decoded::Incomplete { .. }) => Ok(0),
            Ok(Decoded::Packet { packet, length }) => {
                if let Packet::Connect(connect) = &packet {
                    self.handle_connect(connect);
                }
                self.shared.lock().handle_packet(Now::read(), self.id, &self.line, packet)?;
                Ok(length)
            }
            Err(_) => {
                self.shared.lock().journal.counters.malformed += 1;
                Err(End::Lost)
            }
        }
    }

    fn handle_connect(&mut self, connect: &Connect) {
        self.line.version = connect.version;
        self.stage = Stage::Greeting;
        // one and a half times the keep alive [MQTT-3.1.2-24]
        let keep_alive = Duration::from_secs(connect.keep_alive_s.into());
        self.patience = Some(keep_alive * 3 / 2).filter(|patience| !patience.is_zero());
        self.handle_sign_of_life();
    }

    fn handle_sign_of_life(&mut self) {
        self.silent_at = self.patience.map(|patience| clock::monotonic() + patience);
    }

    async fn obey(&mut self, order: Order) -> Result<(), End> {
        match order {
            Order::Send(outgoing) => self.send(outgoing).await,
            Order::SendLater(delay, outgoing) => {
                let at = clock::monotonic() + delay;
                let index = self.later.partition_point(|(due_at, _)| *due_at <= at);
                self.later.insert(index, (at, outgoing));
                Ok(())
            }
            Order::Close => Err(End::Lost),
        }
    }

    async fn send(&mut self, outgoing: Outgoing) -> Result<(), End> {
        let is_reset = self.shared.lock().handle_sending(Now::read(), self.id, &outgoing);
        let bytes = if is_reset { outgoing.bytes.split_at(outgoing.bytes.len() / 2).0 } else { &outgoing.bytes };
        self.write(bytes).await.map_err(|_| End::Lost)?;
        if is_reset {
            let _ = self.link.tcp().set_zero_linger();
            return Err(End::Reset);
        }
        if outgoing.kind == Kind::ConnAck {
            self.stage = Stage::Greeted;
            self.shared.lock().journal.counters.early += u64::from(!self.received.is_empty());
        }
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.link.write_all(bytes).await?;
        self.link.flush().await
    }
}

/// Waits until the switch is as wanted.
async fn turned(switch: &mut watch::Receiver<bool>, wanted: bool) {
    let _ = switch.wait_for(|is_on| *is_on == wanted).await;
}

/// Waits for ever without a deadline.
async fn until(deadline: Option<Monotonic>) {
    match deadline {
        Some(deadline) => tokio::time::sleep(deadline.since(clock::monotonic())).await,
        None => std::future::pending().await,
    }
}
