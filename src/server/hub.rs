//! The machine and the sockets it speaks to: carries its outputs out, in order.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use slotmap::SlotMap;
use tokio::io::ReadBuf;
use tokio::sync::Notify;

use super::connection::Input;
use super::durable::{self, Durable, Meaning};
use super::handshake::{HandshakeKey, PendingHandshake};
use super::log_lines::{self, Line, Log, Subject};
use super::login_bytes::{LoginBudget, LoginMeter};
use super::logins::{Authenticator, ListenerPolicy};
use super::outbox::Pool;
use super::peers::{Peer, Peers};
use super::ready::{ReadyQueue, ReadyWaker};
use super::slots::ConnectionSlots;
use super::stream::{Read, Stream};
use super::workers::{self, Workers};
use crate::base::clock::{self, Monotonic};
use crate::broker::state::State;
use crate::broker::{Broker, CloseReason, ConnectionId, Output, SendClass};
use crate::mqtt::{ClientId, DecodeError, Frame, Packet, ProtocolVersion, disallowed_code_point};
use crate::store::Answer;

/// Outputs after which a connection's turn is over, so that a packet to many receivers is not followed by a thousand
/// more of its kind before anybody else is heard.
const TURN_OUTPUTS_MAX: usize = 16_384;

/// How long a socket may take over what waits for it once its connection has ended; then it is closed all the same.
pub(super) const LINGER: Duration = Duration::from_secs(10);

/// Ended connections that are gone and not worth tidying up.
const GONE_LINGERING_MAX: usize = 64;

/// What all tasks of the broker's thread share. Nobody holds a borrow over an `await`.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) hub: RefCell<Hub>,
    /// One buffer for all reads: what came is handled before the next read.
    pub(super) scratch: RefCell<Box<[u8]>>,
    /// Who is to be read from, and whether something is to be written.
    pub(super) ready: Arc<ReadyQueue>,
    /// Notified when a login has to be verified.
    pub(super) login: Notify,
    /// Verify logins and compute TLS handshakes.
    pub(super) workers: Workers,
    /// Limits what connections send before they have logged in.
    pub(super) login_budget: Arc<LoginBudget>,
    /// The largest CONNECT.
    pub(super) login_bytes_max: usize,
    /// The machine's next deadline has come nearer.
    pub(super) deadline: Notify,
    pub(super) send_buffer_bytes_max: usize,
    pub(super) packet_bytes_max: usize,
    /// Bytes that came from sockets, and that they took.
    pub(super) received: Cell<u64>,
    pub(super) sent: Cell<u64>,
    /// Whether a flush is asked for already.
    flush_asked: Cell<bool>,
}

/// The machine with the peers it knows.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) broker: Broker,
    pub(super) peers: Peers,
    pub(super) authenticator: Authenticator,
    /// Connections whose handshakes of TLS and WebSocket are not finished.
    pub(super) handshakes: SlotMap<HandshakeKey, PendingHandshake>,
    pub(super) dirty: Vec<ConnectionId>,
    /// Connections that ended, and until when their peers may take what waits. Those that are gone already are among
    /// them.
    lingering: VecDeque<(Monotonic, ConnectionId)>,
    pub(super) pool: Pool,
    /// Where the machine's state goes.
    pub(super) durable: Durable,
    /// The deadline that the timer's task waits for.
    armed: Option<Monotonic>,
    pub(super) log: Log,
    /// Outputs carried out in this turn.
    turn_outputs: usize,
    /// Messages of QoS 0 that were left out, of all peers there ever were.
    left_out: u64,
    /// The largest packet of a client that has logged in.
    packet_bytes_max: usize,
}

/// What follows for the reader of a connection whose packet was handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextStep {
    /// It handles its next packet.
    Continue,
    /// Its turn ends: its outbox is full, or the turn has cost enough.
    Pause,
    /// The connection has ended.
    End,
}

impl Shared {
    pub(super) fn new(broker: Broker, durable: Durable, options: &super::Options, packet_bytes_max: usize) -> Self {
        let hub = Hub {
            broker,
            peers: Peers::new(ConnectionSlots::new(options.connections_max, options.connections_per_address_max)),
            authenticator: Authenticator::new(options.access.clone(), &options.listeners),
            handshakes: SlotMap::with_key(),
            dirty: Vec::new(),
            lingering: VecDeque::new(),
            pool: Pool::default(),
            durable,
            armed: None,
            log: Log::default(),
            turn_outputs: 0,
            left_out: 0,
            packet_bytes_max,
        };
        Self {
            hub: RefCell::new(hub),
            scratch: RefCell::new(vec![0; super::rounds::LONE_TURN_BYTES_MAX].into_boxed_slice()),
            ready: Arc::default(),
            login: Notify::new(),
            workers: Workers::new(workers::threads()),
            login_budget: LoginBudget::new(options.login_bytes_max, options.logins_bytes_max),
            login_bytes_max: options.login_bytes_max,
            deadline: Notify::new(),
            send_buffer_bytes_max: options.send_buffer_bytes_max,
            packet_bytes_max,
            received: Cell::new(0),
            sent: Cell::new(0),
            flush_asked: Cell::new(false),
        }
    }

    /// Takes in a socket that has a place; its first turn comes at once.
    pub(super) fn open(&self, policy: ListenerPolicy, address: Option<IpAddr>, stream: Stream) -> ConnectionId {
        let mut hub = self.hub.borrow_mut();
        let connection = hub.broker.handle_open(policy.origin(), clock::monotonic());
        let waker = ReadyWaker::new(connection, &self.ready);
        waker.request_turn();
        let login_meter = match stream.login_meter() {
            _ if policy == ListenerPolicy::Internal => None,
            Some(meter) => Some(meter.clone()),
            None => Some(LoginMeter::new(&self.login_budget)),
        };
        hub.peers.insert(connection, Box::new(Peer::new(policy, address, stream, login_meter, waker)));
        self.carry_out(&mut hub);
        connection
    }

    /// Whether somebody waits for a turn or for a flush.
    pub(super) fn has_work(&self) -> bool {
        self.flush_asked.get() || !self.ready.is_empty()
    }

    /// Returns whether the core has work that it does in slices.
    pub(super) fn has_deferred_work(&self) -> bool {
        self.hub.borrow().broker.has_work()
    }

    /// Does one slice of the core's work.
    pub(super) fn do_deferred_work(&self) {
        let mut hub = self.hub.borrow_mut();
        if hub.broker.has_work() {
            hub.broker.handle_work(clock::monotonic());
            self.carry_out(&mut hub);
        }
    }

    /// Reads once from a connection that is not paused.
    pub(super) fn poll_read(
        &self,
        connection: ConnectionId,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Read>> {
        let mut hub = self.hub.borrow_mut();
        let Some(peer) = hub.peers.get_mut(connection) else { return Poll::Ready(Ok(Read::Closed)) };
        let read = peer.stream.poll_read(cx, buffer);
        // the bytes below TLS and WebSocket are counted already
        if let Some(meter) = peer.login_meter.as_ref().filter(|_| peer.stream.login_meter().is_none()) {
            meter.charge(buffer.filled().len())?;
        }
        read
    }

    /// Returns the largest packet that the client of this connection may send now.
    pub(super) fn packet_bytes_max_of(&self, connection: ConnectionId) -> usize {
        let is_before_login = self.hub.borrow().peers.get(connection).is_some_and(|peer| peer.login_meter.is_some());
        if is_before_login { self.packet_bytes_max.min(self.login_bytes_max) } else { self.packet_bytes_max }
    }

    /// A connection's turn begins.
    pub(super) fn begin_turn(&self) {
        self.hub.borrow_mut().turn_outputs = 0;
    }

    /// Hands a packet to the machine; tells what follows for its reader.
    pub(super) fn packet(&self, connection: ConnectionId, packet: Packet<'_>, now: Monotonic) -> NextStep {
        let mut hub = self.hub.borrow_mut();
        if let Packet::Connect(connect) = &packet
            && let Some(peer) = hub.peers.get_mut(connection)
        {
            peer.claimed_client_id = Some(connect.client_id.clone());
        }
        hub.broker.handle_packet(connection, packet, now);
        while let Some(output) = hub.broker.poll_immediate() {
            self.perform(&mut hub, output);
        }
        match hub.peers.get(connection) {
            Some(peer) if peer.is_closing => NextStep::End,
            None => NextStep::End,
            Some(peer) if peer.outbox.bytes() > self.send_buffer_bytes_max => NextStep::Pause,
            Some(peer) if peer.login.is_some() => NextStep::Pause,
            Some(_) if hub.turn_outputs > TURN_OUTPUTS_MAX => NextStep::Pause,
            Some(_) if !hub.broker.accepts_input(connection) => NextStep::Pause,
            Some(_) => NextStep::Continue,
        }
    }

    /// Tells the machine of bytes that are no packet.
    pub(super) fn malformed(&self, connection: ConnectionId, error: DecodeError, version: Option<ProtocolVersion>) {
        let mut hub = self.hub.borrow_mut();
        hub.broker.handle_malformed(connection, error, version, clock::monotonic());
        self.carry_out(&mut hub);
    }

    /// Lets go of a socket and tells the machine that it is gone.
    pub(super) fn close(&self, connection: ConnectionId) {
        let mut hub = self.hub.borrow_mut();
        if let Some(peer) = hub.peers.remove(connection) {
            if !peer.is_closing {
                let subject = Subject { client: peer.logged_client_id(), address: peer.address };
                hub.log.write(&log_lines::gone(peer.left_out), subject, clock::monotonic());
            }
            peer.stop();
        }
        hub.broker.handle_close(connection, clock::monotonic());
        self.carry_out(&mut hub);
    }

    /// Tells the machine that time has passed, and lets go of those who had [`LINGER`] to take what waits for them;
    /// gives the next deadline.
    pub(super) fn timeout(&self, now: Monotonic) -> Option<Monotonic> {
        let mut hub = self.hub.borrow_mut();
        while let Some(connection) = hub.pop_overdue(now) {
            hub.peers.remove(connection).iter().for_each(|peer| peer.stop());
        }
        let left_out = hub.left_out;
        hub.broker.handle_traffic(self.received.get(), self.sent.get(), left_out, now);
        hub.log.summarise(now);
        hub.broker.handle_timeout(now);
        self.carry_out(&mut hub);
        hub.armed = hub.next_deadline();
        hub.armed
    }

    /// Begins with what outlived the last process.
    pub(super) fn restore(&self, state: State) {
        let mut hub = self.hub.borrow_mut();
        let Hub { broker, authenticator, log, .. } = &mut *hub;
        let retained = state.retained.iter().map(|retained| retained.message.topic.as_str());
        for topic in retained.filter(|topic| disallowed_code_point(topic).is_some()) {
            log.write(&log_lines::retained_not_sent(topic), Subject { client: "", address: None }, clock::monotonic());
        }
        broker.restore(state, clock::monotonic(), |user, client_id| authenticator.standing_today(user, client_id));
        self.carry_out(&mut hub);
    }

    /// Begins to serve.
    pub(super) fn start(&self) {
        let mut hub = self.hub.borrow_mut();
        hub.broker.handle_start(clock::monotonic());
        self.carry_out(&mut hub);
    }

    /// Says goodbye to everybody who can be told.
    pub(super) fn shut_down(&self) {
        let mut hub = self.hub.borrow_mut();
        hub.broker.handle_shutdown(clock::monotonic());
        self.carry_out(&mut hub);
    }

    /// Takes an answer of the store's thread.
    pub(super) fn answered(&self, answer: Answer) {
        let mut hub = self.hub.borrow_mut();
        let now = clock::monotonic();
        match durable::read(answer) {
            Meaning::Written(tickets) => tickets.iter().for_each(|ticket| hub.broker.handle_persisted(ticket, now)),
            Meaning::Loaded(client_id, deliveries) => hub.broker.handle_loaded(&client_id, deliveries, now),
            Meaning::Disk(disk) => {
                hub.broker.handle_disk(disk, now);
                hub.peers.resume();
            }
            Meaning::None => {}
        }
        let was_choked = hub.durable.is_choked();
        hub.durable.hand_on();
        if was_choked && !hub.durable.is_choked() {
            hub.peers.resume();
        }
        self.carry_out(&mut hub);
    }

    /// Tells the broker that a connection has room for more retained messages.
    pub(super) fn room(&self, connection: ConnectionId) {
        let mut hub = self.hub.borrow_mut();
        hub.broker.handle_room(connection, clock::monotonic());
        self.carry_out(&mut hub);
    }

    /// A connection's turn is over: what its packets asked for together is asked for now.
    pub(super) fn end_turn(&self) {
        self.carry_out(&mut self.hub.borrow_mut());
    }

    fn perform(&self, hub: &mut Hub, output: Output) {
        if let Output::RequestAuthenticate { connection, user_name, password, client_id } = output {
            if hub.authenticate(connection, user_name, password, client_id) {
                self.login.notify_one();
            }
        } else {
            hub.perform(output, self.send_buffer_bytes_max);
        }
    }

    /// Empties the machine's outputs into outboxes and the log.
    pub(super) fn carry_out(&self, hub: &mut Hub) {
        loop {
            while let Some(output) = hub.broker.poll_output() {
                self.perform(hub, output);
            }
            let Some(ticket) = hub.durable.poll_settled() else { break };
            hub.broker.handle_persisted(ticket, clock::monotonic());
        }
        let has_to_flush = !hub.dirty.is_empty() && !self.flush_asked.replace(true);
        if has_to_flush || hub.broker.has_work() {
            self.ready.notify();
        }
        let next = hub.next_deadline();
        if next.is_some() && hub.armed.is_none_or(|armed| next < Some(armed)) {
            hub.armed = next;
            self.deadline.notify_one();
        }
    }

    /// The peers with bytes to flush. From here on a new flush may be asked for.
    pub(super) fn take_dirty(&self) -> Vec<ConnectionId> {
        self.flush_asked.set(false);
        std::mem::take(&mut self.hub.borrow_mut().dirty)
    }
}

impl Hub {
    fn next_deadline(&self) -> Option<Monotonic> {
        let lingering = self.lingering.front().map(|(deadline, _)| *deadline);
        self.broker.next_deadline().into_iter().chain(lingering).chain(self.log.next_deadline()).min()
    }

    fn pop_overdue(&mut self, now: Monotonic) -> Option<ConnectionId> {
        let is_due = self.lingering.front().is_some_and(|(deadline, _)| *deadline <= now);
        is_due.then(|| self.lingering.pop_front().map(|(_, connection)| connection)).flatten()
    }

    fn perform(&mut self, output: Output, send_buffer_bytes_max: usize) {
        self.turn_outputs += 1;
        match output {
            Output::RequestSend { connection, frame, class } => {
                self.send(connection, &frame, class, send_buffer_bytes_max);
            }
            Output::RequestClose { connection, reason } => self.close(connection, &reason),
            Output::RequestRoom { connection } => {
                if let Some(peer) = self.peers.get_mut(connection) {
                    peer.wants_room = true;
                }
                // the flush answers, also where nothing is left to be written
                self.mark(connection);
            }
            Output::RequestRead { connection } => {
                if let Some(peer) = self.peers.get_mut(connection) {
                    peer.resume();
                }
            }
            Output::RequestPersist { ticket, changes } => self.durable.persist(ticket, changes),
            Output::RequestLoad { client_id, after, count } => self.durable.load(client_id, after, count),
            Output::NotifyConnected { connection, client_id, session_present } => {
                if let Some(peer) = self.peers.get_mut(connection) {
                    let subject = Subject { client: client_id.as_str(), address: peer.address };
                    self.log.write(&log_lines::connected(session_present), subject, clock::monotonic());
                    (peer.client_id, peer.claimed_client_id) = (Some(client_id), None);
                    peer.end_login(self.packet_bytes_max);
                }
            }
            // carried out by `Hub::ask`
            Output::RequestAuthenticate { .. } => {}
            Output::NotifyDenied { client_id, topic } => {
                self.log_of_session(&log_lines::publish_denied(&topic), &client_id);
            }
            Output::NotifySubscriptionRefused { client_id, filter, code } => {
                self.log_of_session(&log_lines::subscription_refused(filter.as_str(), code), &client_id);
            }
            Output::NotifyDropped { client_id } => {
                self.log_of_session(&log_lines::message_dropped(), &client_id);
            }
            Output::NotifyRetainedFull { client_id, topic, outcome } => {
                let client_id = client_id.unwrap_or_else(|| ClientId::new(""));
                self.log_of_session(&log_lines::not_retained(topic.as_str(), outcome), &client_id);
            }
        }
    }

    fn send(&mut self, connection: ConnectionId, frame: &Frame, class: SendClass, send_buffer_bytes_max: usize) {
        let Some(peer) = self.peers.get_mut(connection) else { return };
        if class == SendClass::MayDrop && peer.outbox.bytes() > send_buffer_bytes_max {
            peer.left_out += 1;
            self.left_out += 1;
            if peer.left_out == 1 {
                let subject = Subject { client: peer.logged_client_id(), address: peer.address };
                self.log.write(&log_lines::slow_client(), subject, clock::monotonic());
            }
            return;
        }
        peer.outbox.push(frame, &mut self.pool);
        self.mark(connection);
    }

    fn close(&mut self, connection: ConnectionId, reason: &CloseReason) {
        let Some(peer) = self.peers.get_mut(connection) else { return };
        peer.is_closing = true;
        peer.login = None;
        peer.input = Input::default();
        let subject = Subject { client: peer.logged_client_id(), address: peer.address };
        self.log.write(&log_lines::closed(reason, peer.left_out), subject, clock::monotonic());
        self.linger(connection);
        self.mark(connection);
    }

    /// Writes a line about a session, with its address while it is connected.
    fn log_of_session(&mut self, line: &Line<'_>, client_id: &ClientId) {
        let peer = self.broker.connection_of(client_id).and_then(|connection| self.peers.get(connection));
        let subject = Subject { client: client_id.as_str(), address: peer.and_then(|peer| peer.address) };
        self.log.write(line, subject, clock::monotonic());
    }

    /// Sets the deadline of an ended connection, whatever waits for its socket: TLS and WebSocket may hold bytes of their
    /// own.
    fn linger(&mut self, connection: ConnectionId) {
        self.lingering.push_back((clock::monotonic() + LINGER, connection));
        if self.lingering.len() > 2 * self.peers.len() + GONE_LINGERING_MAX {
            let peers = &self.peers;
            self.lingering.retain(|(_, connection)| peers.get(*connection).is_some());
        }
    }

    fn mark(&mut self, connection: ConnectionId) {
        if let Some(peer) = self.peers.get_mut(connection)
            && !peer.is_dirty
        {
            peer.is_dirty = true;
            self.dirty.push(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::rc::Rc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;
    use tokio::task::LocalSet;

    use super::super::layered::Layered;
    use super::super::stream::Stream;
    use super::super::transport::MeteredSocket;
    use super::super::websocket::WebSocket;
    use super::super::{connection, flush};
    use super::*;
    use crate::broker;

    fn shared() -> Shared {
        let options = super::super::Options {
            listeners: Vec::new(),
            house_socket: PathBuf::new(),
            connections_max: 10,
            connections_per_address_max: 10,
            send_buffer_bytes_max: 4096,
            login_bytes_max: 100_000,
            logins_bytes_max: 8 << 20,
            access: super::super::Access::default(),
        };
        Shared::new(
            Broker::new(broker::Options::default(), 1),
            Durable::Memory(std::collections::VecDeque::new()),
            &options,
            1 << 20,
        )
    }

    /// A connection with the other end, which has to stay open.
    fn open(shared: &Shared) -> (ConnectionId, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        (shared.open(ListenerPolicy::Public { allow_anonymous: true }, None, Stream::Unix(near)), far)
    }

    #[tokio::test]
    async fn what_waits_for_a_closing_peer_outlives_the_next_connection() {
        let shared = shared();
        let (first, _far) = open(&shared);
        shared.malformed(first, DecodeError::UnsupportedProtocolLevel(9), None);
        let (_second, _far) = open(&shared);
        let waiting = shared.hub.borrow().peers.get(first).map(|peer| peer.outbox.bytes());
        assert_eq!(waiting, Some(4), "CONNACK with its refusal");
    }

    /// CONNECT of a clean session without a name.
    const CONNECT: &[u8] = &[0x10, 0x0C, 0x00, 0x04, b'M', b'Q', b'T', b'T', 0x04, 0x02, 0x00, 0x00, 0x00, 0x00];

    #[tokio::test]
    async fn a_closing_peer_is_let_go_in_time_whatever_waits_above_its_socket() {
        let shared = Rc::new(shared());
        let (near, mut far) = tokio::io::duplex(2 * CONNECT.len());
        // a binary frame with a mask of zeros
        let frame = [&[0x82, 0x80 | 0x0E, 0, 0, 0, 0][..], CONNECT].concat();
        far.write_all(&frame).await.unwrap();
        let meter = LoginMeter::new(&shared.login_budget);
        let transport = Box::new(MeteredSocket::new(near, meter.clone()));
        let layered = Layered::new(transport, Some(WebSocket::new(Vec::new(), 1 << 20)), None, meter);
        let policy = ListenerPolicy::Public { allow_anonymous: true };
        let connection = shared.open(policy, None, Stream::Layered(Box::new(layered)));
        LocalSet::new()
            .run_until(async {
                connection::turn(&shared, connection, 4096);
                let peer_of = |hub: &Hub| hub.peers.get(connection).map(|peer| (peer.outbox.bytes(), peer.is_closing));
                // what the socket does not take is held back by WebSocket
                for _ in 0..10 {
                    let pong = Frame::Whole(vec![0xD0, 0x00].into());
                    shared.hub.borrow_mut().send(connection, &pong, SendClass::Must, 1 << 20);
                    flush::all(&shared);
                }
                while peer_of(&shared.hub.borrow()).is_some_and(|(bytes, _)| bytes > 0) {
                    assert!(far.read(&mut [0; 1]).await.is_ok());
                    tokio::task::yield_now().await;
                }
                assert_eq!(peer_of(&shared.hub.borrow()), Some((0, false)));
                shared.malformed(connection, DecodeError::UnsupportedProtocolLevel(9), None);
                flush::all(&shared);
                assert_eq!(peer_of(&shared.hub.borrow()), Some((0, true)));
                shared.timeout(clock::monotonic() + LINGER);
                assert_eq!(peer_of(&shared.hub.borrow()), None);
            })
            .await;
    }

    #[tokio::test]
    async fn ended_connections_leave_no_deadlines_behind() {
        let shared = shared();
        for _ in 0..1000 {
            let (connection, _far) = open(&shared);
            shared.malformed(connection, DecodeError::UnsupportedProtocolLevel(9), None);
            shared.close(connection);
        }
        assert!(shared.hub.borrow().lingering.len() <= GONE_LINGERING_MAX + 1);
    }

    #[tokio::test]
    async fn a_closing_peer_that_takes_nothing_is_let_go_in_time() {
        let shared = shared();
        let (stuck, _far) = open(&shared);
        shared.malformed(stuck, DecodeError::UnsupportedProtocolLevel(9), None);
        let now = clock::monotonic();
        assert!(shared.timeout(now).is_some_and(|deadline| deadline <= now + LINGER));
        assert!(shared.hub.borrow().peers.get(stuck).is_some());
        shared.timeout(now + LINGER);
        assert!(shared.hub.borrow().peers.get(stuck).is_none());
    }
}
