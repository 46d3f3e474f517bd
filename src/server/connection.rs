//! One connection: reads in bulk and hands the packets to the broker.

use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::io::ReadBuf;

use super::hub::{Hub, NextStep, Shared};
use super::logins::ListenerPolicy;
use super::stream::{Read, Stream};
use crate::base::clock;
use crate::broker::{Broker, ConnectionId};
use crate::mqtt::{Decoded, Packet, ProtocolVersion, connect_version, decode_from_client};

/// Opens a connection. Beyond a limit of connections the socket is closed at once.
pub(super) fn open(shared: &Rc<Shared>, stream: Stream, address: Option<IpAddr>, policy: ListenerPolicy) {
    if policy == ListenerPolicy::Internal || shared.has_slot(address) {
        shared.open(policy, address, stream);
    }
}

/// What follows a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TurnEnd {
    /// The connection's [`super::ready::ReadyWaker`] asks for the next turn.
    Idle,
    /// There may be more to read: the connection gets another turn without asking.
    More,
}

/// The result of one read.
enum Turn {
    /// Everything was handled, and the socket has no more for now.
    Drained,
    /// Bytes that came were handled, and there may be more.
    Read,
    /// The peer has closed the connection.
    Closed,
    /// The broker ended the connection; its outbox is still sent.
    Ended,
}

/// Bytes that were read and not handled.
#[derive(Debug)]
pub(super) struct Input {
    version: ProtocolVersion,
    /// The largest packet that the client may send, which was less before its login.
    packet_bytes_max: usize,
    /// Bytes that wait; `None` for an idle connection.
    rest: Option<Box<Rest>>,
}

#[derive(Debug, Default)]
struct Rest {
    /// The beginning of an incomplete packet.
    partial: Vec<u8>,
    /// The bytes behind a packet that ended its turn.
    unhandled: Bytes,
}

/// How much of some bytes was handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handled {
    /// All of them.
    All,
    /// All but this many at their end: the turn is over.
    Partly(usize),
    /// The connection has ended.
    Ended,
}

/// Reads once, at most `bytes_max` bytes, and handles them, or what was left of the last read. No turn is longer,
/// except for the packet that reaches a limit of [`NextStep::Pause`].
pub(super) fn turn(shared: &Shared, connection: ConnectionId, bytes_max: usize) -> TurnEnd {
    let Some((mut input, waker)) = begin(shared, connection) else { return TurnEnd::Idle };
    let mut cx = Context::from_waker(&waker);
    let mut read = poll_turn(shared, connection, &mut input, bytes_max, &mut cx);
    if let Poll::Ready(Ok(Turn::Drained)) = read {
        input.tidy();
        // registers the waker; costs no system call, because tokio knows that the socket is empty
        read = poll_turn(shared, connection, &mut input, bytes_max, &mut cx);
    }
    let has_more = matches!(read, Poll::Ready(Ok(Turn::Drained | Turn::Read)));
    if let Some(peer) = shared.hub.borrow_mut().peers.get_mut(connection) {
        if !peer.is_closing {
            peer.input = input;
        }
        if has_more {
            peer.waker.expect_turn();
        }
    }
    if shared.login_budget.is_exceeded() {
        shared.close_largest_logins();
    }
    match read {
        Poll::Ready(Ok(Turn::Drained | Turn::Read)) => return TurnEnd::More,
        Poll::Pending | Poll::Ready(Ok(Turn::Ended)) => {}
        Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
            shared.broken(connection, &error.to_string());
        }
        Poll::Ready(Ok(Turn::Closed) | Err(_)) => shared.close(connection),
    }
    TurnEnd::Idle
}

/// Begins a turn: takes the input of the connection and its waker. Returns `None` if nothing may be read: while the
/// outbox is full, the login is pending, or the broker or the store is behind, and after the connection has ended.
fn begin(shared: &Shared, connection: ConnectionId) -> Option<(Input, Waker)> {
    let mut hub = shared.hub.borrow_mut();
    let Hub { peers, durable, broker, .. } = &mut *hub;
    let peer = peers.get_mut(connection)?;
    peer.waker.begin_turn();
    let is_held_back = durable.is_choked() || !broker.accepts_input(connection);
    if !peer.is_closing && is_held_back != peer.is_held_back {
        peer.is_held_back = is_held_back;
        let handle = if is_held_back { Broker::handle_paused } else { Broker::handle_resumed };
        handle(broker, connection, clock::monotonic());
        // a deadline may have come nearer
        shared.carry_out(&mut hub);
    }
    let peer = hub.peers.get_mut(connection)?;
    peer.is_paused = is_held_back || peer.login.is_some() || peer.outbox.bytes() > shared.send_buffer_bytes_max;
    let is_read = !peer.is_paused && !peer.is_closing;
    is_read.then(|| (std::mem::take(&mut peer.input), Waker::from(peer.waker.clone())))
}

fn poll_turn(
    shared: &Shared,
    connection: ConnectionId,
    input: &mut Input,
    bytes_max: usize,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Turn>> {
    if let Some(bytes) = input.take_unhandled() {
        let handled = input.take(shared, connection, &bytes);
        return Poll::Ready(Ok(input.keep(handled, |count| bytes.slice(bytes.len().saturating_sub(count)..), true)));
    }
    let mut scratch = shared.scratch.borrow_mut();
    let mut buffer = ReadBuf::new(scratch.get_mut(..bytes_max).unwrap_or_default());
    let has_more = match std::task::ready!(shared.poll_read(connection, cx, &mut buffer))? {
        Read::Drained => false,
        Read::More => true,
        Read::Closed => return Poll::Ready(Ok(Turn::Closed)),
    };
    let bytes = buffer.filled();
    shared.received.set(shared.received.get() + bytes.len() as u64);
    let handled = input.take(shared, connection, bytes);
    let copy = |count| Bytes::copy_from_slice(bytes.get(bytes.len().saturating_sub(count)..).unwrap_or_default());
    Poll::Ready(Ok(input.keep(handled, copy, has_more)))
}

fn partial(rest: Option<&Rest>) -> &[u8] {
    rest.map_or(&[], |rest| &rest.partial)
}

impl Default for Input {
    fn default() -> Self {
        Self { version: ProtocolVersion::V311, packet_bytes_max: 0, rest: None }
    }
}

impl Input {
    /// Keeps the bytes that were not handled; `last` copies the last bytes. `has_more` says whether the socket may have
    /// more.
    fn keep(&mut self, handled: Handled, last: impl FnOnce(usize) -> Bytes, has_more: bool) -> Turn {
        match handled {
            Handled::All if has_more => Turn::Read,
            Handled::All => Turn::Drained,
            Handled::Ended => Turn::Ended,
            Handled::Partly(count) => {
                self.rest.get_or_insert_default().unhandled = last(count);
                Turn::Read
            }
        }
    }

    fn take_unhandled(&mut self) -> Option<Bytes> {
        self.rest.as_mut().map(|rest| std::mem::take(&mut rest.unhandled)).filter(|bytes| !bytes.is_empty())
    }

    /// Frees buffers that are empty.
    fn tidy(&mut self) {
        self.rest.take_if(|rest| rest.partial.is_empty() && rest.unhandled.is_empty());
    }

    /// Handles the complete packets in the waiting bytes and `bytes`, until the turn is over.
    fn take(&mut self, shared: &Shared, connection: ConnectionId, bytes: &[u8]) -> Handled {
        shared.begin_turn();
        if self.packet_bytes_max < shared.packet_bytes_max {
            self.packet_bytes_max = shared.packet_bytes_max_of(connection);
        }
        let handled = self.handle(shared, connection, bytes);
        shared.end_turn();
        handled
    }

    fn handle(&mut self, shared: &Shared, connection: ConnectionId, mut bytes: &[u8]) -> Handled {
        let now = clock::monotonic();
        while !bytes.is_empty() {
            let is_fresh = partial(self.rest.as_deref()).is_empty();
            if !is_fresh {
                bytes = self.fill(bytes);
            }
            let source = if is_fresh { bytes } else { partial(self.rest.as_deref()) };
            let (length, after) = match decode_from_client(source, self.version, self.packet_bytes_max) {
                Ok(Decoded::Packet { packet: Packet::Connect(mut connect), length }) => {
                    self.version = connect.version;
                    // the broker does not use them, and they would occupy memory while the login waits
                    connect.properties = connect.properties.without_problem_information();
                    let after = shared.packet(connection, Packet::Connect(connect), now);
                    self.packet_bytes_max = shared.packet_bytes_max_of(connection);
                    (length, after)
                }
                Ok(Decoded::Packet { packet, length }) => (length, shared.packet(connection, packet, now)),
                Ok(Decoded::Incomplete { .. }) if is_fresh => {
                    self.rest.get_or_insert_default().partial.extend_from_slice(bytes);
                    return Handled::All;
                }
                Ok(Decoded::Incomplete { .. }) => continue,
                Err(error) => {
                    shared.malformed(connection, error, connect_version(source));
                    return Handled::Ended;
                }
            };
            if is_fresh {
                bytes = bytes.get(length..).unwrap_or_default();
            } else {
                self.rest.get_or_insert_default().partial = Vec::new();
            }
            match after {
                NextStep::Continue => {}
                NextStep::Pause => return Handled::Partly(bytes.len()),
                NextStep::End => return Handled::Ended,
            }
        }
        Handled::All
    }

    /// Moves bytes to the partial packet, up to its end if that is known, else one. Returns the others.
    fn fill<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let partial = &mut self.rest.get_or_insert_default().partial;
        let missing = match decode_from_client(partial, self.version, self.packet_bytes_max) {
            Ok(Decoded::Incomplete { length: Some(length) }) => length.saturating_sub(partial.len()),
            _ => 1,
        };
        let (missing_bytes, rest) = bytes.split_at(missing.clamp(1, bytes.len()));
        partial.extend_from_slice(missing_bytes);
        rest
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::UnixStream;

    use super::super::durable::Durable;
    use super::super::rounds::LONE_TURN_BYTES_MAX;
    use super::*;
    use crate::broker::{self, Ticket};

    const LIMIT: usize = 4096;

    /// CONNECT of a clean session without a name.
    const CONNECT: &[u8] = &[0x10, 0x0C, 0x00, 0x04, b'M', b'Q', b'T', b'T', 0x04, 0x02, 0x00, 0x00, 0x00, 0x00];

    /// SUBSCRIBE to `#` with QoS 0.
    const SUBSCRIBE: &[u8] = &[0x82, 0x06, 0x00, 0x01, 0x00, 0x01, b'#', 0x00];

    fn shared() -> Shared {
        shared_with(8 << 20, Durable::Memory(std::collections::VecDeque::new()))
    }

    fn shared_with(logins_bytes_max: usize, durable: Durable) -> Shared {
        let options = super::super::Options {
            listeners: Vec::new(),
            house_socket: PathBuf::new(),
            connections_max: 10,
            connections_per_address_max: 10,
            send_buffer_bytes_max: LIMIT,
            login_bytes_max: 100_000,
            logins_bytes_max,
            access: super::super::Access::default(),
        };
        Shared::new(Broker::new(broker::Options::default(), 1), durable, &options, 1 << 20)
    }

    const PUBLIC: ListenerPolicy = ListenerPolicy::Public { allow_anonymous: true };

    /// The beginning of a CONNECT of this many bytes, header included.
    fn connect_of(bytes: u32) -> Vec<u8> {
        let remaining = bytes - 4;
        let length = [remaining & 0x7F | 0x80, remaining >> 7 & 0x7F | 0x80, remaining >> 14];
        let mut packet = vec![0x10];
        packet.extend(length.map(|byte| u8::try_from(byte).unwrap()));
        packet.extend([0x00, 0x04, b'M', b'Q', b'T', b'T', 0x05]);
        packet
    }

    #[tokio::test]
    async fn a_connect_that_is_too_large_ends_its_connection_at_the_header() {
        let shared = shared();
        for (bytes, expected) in [(100_000, Handled::All), (100_001, Handled::Ended)] {
            let (near, _far) = UnixStream::pair().unwrap();
            let connection = shared.open(PUBLIC, None, Stream::Unix(near));
            assert_eq!(Input::default().take(&shared, connection, &connect_of(bytes)), expected, "{bytes}");
        }
    }

    #[tokio::test]
    async fn packets_behind_an_accepted_connect_may_be_larger() {
        let shared = shared();
        let (near, _far) = UnixStream::pair().unwrap();
        let connection = shared.open(PUBLIC, None, Stream::Unix(near));
        // PUBLISH of 1 000 000 bytes
        let bytes = [CONNECT, &[0x30, 0xC0, 0x84, 0x3D, 0x00, 0x01, b't']].concat();
        assert_eq!(Input::default().take(&shared, connection, &bytes), Handled::All);
        assert!(shared.hub.borrow().peers.get(connection).is_some_and(|peer| !peer.is_closing));
    }

    #[tokio::test]
    async fn the_connection_with_the_most_bytes_is_closed_when_all_before_their_login_have_too_many() {
        let shared = shared_with(150_000, Durable::Memory(std::collections::VecDeque::new()));
        let mut connections = Vec::new();
        for bytes in [60_000, 70_000, 10_000, 20_000] {
            let (near, mut far) = UnixStream::pair().unwrap();
            let connection = shared.open(PUBLIC, None, Stream::Unix(near));
            let mut packet = connect_of(100_000);
            packet.resize(bytes, 0);
            far.write_all(&packet).await.unwrap();
            while shared
                .hub
                .borrow()
                .peers
                .get(connection)
                .is_some_and(|peer| peer.login_meter.as_ref().is_some_and(|meter| meter.bytes() < bytes))
            {
                turn(&shared, connection, LONE_TURN_BYTES_MAX);
                tokio::task::yield_now().await;
            }
            connections.push((connection, far));
        }
        let open: Vec<_> =
            connections.iter().map(|(connection, _)| shared.hub.borrow().peers.get(*connection).is_some()).collect();
        assert_eq!(open, [true, false, true, true]);
    }

    #[tokio::test]
    async fn clients_are_not_taken_for_dead_while_the_store_is_behind() {
        let directory = tempfile::tempdir().unwrap();
        let (release, wait) = std::sync::mpsc::channel();
        let (durable, mut answers) = Durable::start_slow(&directory.path().join("broker.db"), wait);
        let shared = shared_with(8 << 20, durable);
        let mut clients = Vec::new();
        for _ in 0..2 {
            let (near, far) = UnixStream::pair().unwrap();
            let connection = shared.open(PUBLIC, None, Stream::Unix(near));
            // a keep-alive of one second
            let mut bytes = CONNECT.to_vec();
            bytes[11] = 1;
            assert_eq!(Input::default().take(&shared, connection, &bytes), Handled::All);
            clients.push((connection, far));
        }
        for _ in 0..4 {
            shared.hub.borrow_mut().durable.persist(Ticket::default(), Vec::new());
        }
        let [(alive, mut far), (silent, _far)] = <[_; 2]>::try_from(clients).unwrap();
        far.write_all(&[0xC0, 0x00]).await.unwrap();
        assert_eq!(turn(&shared, alive, 4096), TurnEnd::Idle);
        let is_open = |connection| shared.hub.borrow().peers.get(connection).is_some_and(|peer| !peer.is_closing);
        shared.timeout(clock::monotonic() + Duration::from_secs(3600));
        assert_eq!((is_open(alive), is_open(silent)), (true, false), "PINGREQ came, and waits to be read");

        for _ in 0..4 {
            release.send(()).unwrap();
            shared.answered(answers.recv().await.unwrap());
        }
        turn(&shared, alive, 4096);
        shared.timeout(clock::monotonic() + Duration::from_secs(1));
        assert!(is_open(alive), "its keep-alive begins anew");
        shared.timeout(clock::monotonic() + Duration::from_secs(3600));
        assert!(!is_open(alive));
    }

    /// PUBLISH of 1000 bytes under `t`, retained, with QoS 0.
    fn publish() -> Vec<u8> {
        let mut packet = vec![0x31, 0xEB, 0x07, 0x00, 0x01, b't'];
        packet.resize(packet.len() + 1000, b'x');
        packet
    }

    #[tokio::test]
    async fn answers_of_one_turn_to_a_client_that_does_not_read_are_bounded() {
        let shared = shared();
        let (near, _far) = UnixStream::pair().unwrap();
        let connection = shared.open(ListenerPolicy::Public { allow_anonymous: true }, None, Stream::Unix(near));
        let mut input = Input::default();
        let bytes = [CONNECT, &publish(), &SUBSCRIBE.repeat(1000)].concat();
        let handled = input.take(&shared, connection, &bytes);
        let waiting = shared.hub.borrow().peers.get(connection).map(|peer| peer.outbox.bytes()).unwrap();
        assert!((LIMIT..LIMIT + 1100).contains(&waiting), "{waiting} bytes wait");
        let Handled::Partly(left) = handled else { panic!("{handled:?}") };
        assert_eq!(left % SUBSCRIBE.len(), 0);
        assert!(left > 900 * SUBSCRIBE.len(), "{left} bytes are left for later turns");
    }
}
