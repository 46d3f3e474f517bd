//! One connection: reads in bulk and hands the packets to the machine.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::ReadBuf;

use super::gate::Door;
use super::hub::{After, Shared};
use super::stream::{Reader, Stream};
use crate::base::clock;
use crate::broker::ConnectionId;
use crate::mqtt::{Decoded, Packet, ProtocolVersion, connect_version, decode};

/// Takes a socket in. Beyond a limit of connections it is closed at once.
pub(super) fn open(shared: &Rc<Shared>, stream: Stream, address: Option<IpAddr>, door: Door) {
    if door == Door::House || shared.has_place(address) {
        enter(shared, stream, address, door);
    }
}

/// Reads a socket that has a place, in a task of its own.
pub(super) fn enter(shared: &Rc<Shared>, stream: Stream, address: Option<IpAddr>, door: Door) {
    let (reader, writer) = stream.split();
    let connection = shared.open(door, address, writer);
    let task = tokio::task::spawn_local(run(shared.clone(), connection, reader));
    if let Some(peer) = shared.hub.borrow_mut().peers.get_mut(connection) {
        peer.reading = Some(task.abort_handle());
    }
}

/// Reads until the peer closes, or until the machine has had enough (then this task is aborted).
async fn run(shared: Rc<Shared>, connection: ConnectionId, mut reader: Reader) {
    let mut input = Input { version: ProtocolVersion::V311, partial: Vec::new(), unhandled: Bytes::new() };
    loop {
        let read = poll_fn(|cx| poll_turn(&shared, connection, &mut reader, &mut input, cx)).await;
        match read {
            // the next poll knows without a system call that the socket is empty
            Ok(Turn::Emptied) => {}
            Ok(Turn::Read) => tokio::task::yield_now().await,
            Ok(Turn::Over) => return,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return shared.broken(connection, &error.to_string());
            }
            Ok(Turn::Closed) | Err(_) => break,
        }
    }
    shared.close(connection);
}

/// What one turn came to.
enum Turn {
    /// All that had come was handled.
    Emptied,
    /// Bytes came and were handled, and there may be more.
    Read,
    /// The peer has closed its side.
    Closed,
    /// The machine ended the connection; what waits is still sent.
    Over,
}

/// Bytes that were read and not handled.
struct Input {
    version: ProtocolVersion,
    /// The beginning of a packet that has not come in whole.
    partial: Vec<u8>,
    /// What follows a packet that ended its turn.
    unhandled: Bytes,
}

/// What came of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// All were handled.
    All,
    /// So many at their end were not: the turn is over.
    Left(usize),
    /// The connection has ended.
    Over,
}

/// One read and the handling of what it brought, or of what was left of it: the turn that no connection can make
/// longer than [`super::READ_BYTES_MAX`] bytes, nor than one packet beyond what [`After::Pause`] stands for.
fn poll_turn(
    shared: &Shared,
    connection: ConnectionId,
    reader: &mut Reader,
    input: &mut Input,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Turn>> {
    if is_paused(shared, connection, cx) {
        return Poll::Pending;
    }
    if !input.unhandled.is_empty() {
        let bytes = std::mem::take(&mut input.unhandled);
        let taken = input.take(shared, connection, &bytes);
        return Poll::Ready(Ok(input.keep(taken, |at| bytes.slice(at..), bytes.len())));
    }
    let mut scratch = shared.scratch.borrow_mut();
    let mut buffer = ReadBuf::new(&mut scratch);
    std::task::ready!(reader.poll_read(cx, &mut buffer))?;
    let bytes = buffer.filled();
    if bytes.is_empty() {
        return Poll::Ready(Ok(Turn::Closed));
    }
    shared.received.set(shared.received.get() + bytes.len() as u64);
    let taken = input.take(shared, connection, bytes);
    let copy = |at| Bytes::copy_from_slice(bytes.get(at..).unwrap_or_default());
    Poll::Ready(Ok(input.keep(taken, copy, bytes.len())))
}

/// A peer that does not take its bytes is not read from until it does, nor one that waits to be let in.
fn is_paused(shared: &Shared, connection: ConnectionId, cx: &Context<'_>) -> bool {
    let mut hub = shared.hub.borrow_mut();
    let is_choked = hub.durable.is_choked();
    let Some(peer) = hub.peers.get_mut(connection) else { return false };
    let is_paused = is_choked || peer.is_asking || peer.outbox.bytes() > shared.send_buffer_bytes_max;
    peer.paused = is_paused.then(|| cx.waker().clone());
    is_paused
}

impl Input {
    /// Keeps what was left of `length` bytes; `rest` gives those from a place on.
    fn keep(&mut self, taken: Taken, rest: impl FnOnce(usize) -> Bytes, length: usize) -> Turn {
        match taken {
            Taken::All if length < super::READ_BYTES_MAX => Turn::Emptied,
            Taken::All => Turn::Read,
            Taken::Over => Turn::Over,
            Taken::Left(count) => {
                self.unhandled = rest(length.saturating_sub(count));
                Turn::Read
            }
        }
    }

    /// Handles the whole packets in what came before and `bytes`, until the turn is over.
    fn take(&mut self, shared: &Shared, connection: ConnectionId, bytes: &[u8]) -> Taken {
        shared.begin_turn();
        let taken = self.handle(shared, connection, bytes);
        shared.end_turn();
        taken
    }

    fn handle(&mut self, shared: &Shared, connection: ConnectionId, mut bytes: &[u8]) -> Taken {
        let now = clock::monotonic();
        while !bytes.is_empty() {
            let is_fresh = self.partial.is_empty();
            if !is_fresh {
                bytes = self.fill(shared, bytes);
            }
            let source = if is_fresh { bytes } else { &self.partial };
            let (length, after) = match decode(source, self.version, shared.packet_bytes_max) {
                Ok(Decoded::Packet { packet, length }) => {
                    if let Packet::Connect(connect) = &packet {
                        self.version = connect.version;
                    }
                    (length, shared.packet(connection, packet, now))
                }
                Ok(Decoded::Incomplete { .. }) if is_fresh => {
                    self.partial.extend_from_slice(bytes);
                    return Taken::All;
                }
                Ok(Decoded::Incomplete { .. }) => continue,
                Err(error) => {
                    shared.malformed(connection, error, connect_version(source));
                    return Taken::Over;
                }
            };
            if is_fresh {
                bytes = bytes.get(length..).unwrap_or_default();
            } else {
                self.partial = Vec::new();
            }
            match after {
                After::Next => {}
                After::Pause => return Taken::Left(bytes.len()),
                After::Over => return Taken::Over,
            }
        }
        Taken::All
    }

    /// Moves bytes to the partial packet: up to its end where that is known, else one. Gives those that are left.
    fn fill<'a>(&mut self, shared: &Shared, bytes: &'a [u8]) -> &'a [u8] {
        let missing = match decode(&self.partial, self.version, shared.packet_bytes_max) {
            Ok(Decoded::Incomplete { length: Some(length) }) => length.saturating_sub(self.partial.len()),
            _ => 1,
        };
        let (taken, rest) = bytes.split_at(missing.clamp(1, bytes.len()));
        self.partial.extend_from_slice(taken);
        rest
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tokio::net::UnixStream;

    use super::super::durable::Durable;
    use super::*;
    use crate::broker::{self, Broker};

    const LIMIT: usize = 4096;

    /// CONNECT of a clean session without a name.
    const CONNECT: &[u8] = &[0x10, 0x0C, 0x00, 0x04, b'M', b'Q', b'T', b'T', 0x04, 0x02, 0x00, 0x00, 0x00, 0x00];

    /// SUBSCRIBE to `#` with QoS 0.
    const SUBSCRIBE: &[u8] = &[0x82, 0x06, 0x00, 0x01, 0x00, 0x01, b'#', 0x00];

    fn shared() -> Shared {
        let options = super::super::Options {
            listeners: Vec::new(),
            house_socket: PathBuf::new(),
            connections_max: 10,
            connections_per_address_max: 10,
            send_buffer_bytes_max: LIMIT,
            access: super::super::Access::default(),
        };
        Shared::new(
            Broker::new(broker::Options::default(), 1),
            Durable::Memory(std::collections::VecDeque::new()),
            &options,
            1 << 20,
        )
    }

    /// PUBLISH of 1000 bytes under `t`, retained, with QoS 0.
    fn publish() -> Vec<u8> {
        let mut packet = vec![0x31, 0xEB, 0x07, 0x00, 0x01, b't'];
        packet.resize(packet.len() + 1000, b'x');
        packet
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_not_answered_without_bound_in_one_turn() {
        let shared = shared();
        let (near, _far) = UnixStream::pair().unwrap();
        let (_reader, writer) = Stream::Unix(near).split();
        let connection = shared.open(Door::Public { allow_anonymous: true }, None, writer);
        let mut input = Input { version: ProtocolVersion::V311, partial: Vec::new(), unhandled: Bytes::new() };
        let bytes = [CONNECT, &publish(), &SUBSCRIBE.repeat(1000)].concat();
        let taken = input.take(&shared, connection, &bytes);
        let waiting = shared.hub.borrow().peers.get(connection).map(|peer| peer.outbox.bytes()).unwrap();
        assert!((LIMIT..LIMIT + 1100).contains(&waiting), "{waiting} bytes wait");
        let Taken::Left(left) = taken else { panic!("{taken:?}") };
        assert_eq!(left % SUBSCRIBE.len(), 0);
        assert!(left > 900 * SUBSCRIBE.len(), "{left} bytes are left for later turns");
    }
}
