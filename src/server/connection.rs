//! One connection: reads in bulk and hands the packets to the machine.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;

use super::hub::Shared;
use super::stream::{Reader, Stream};
use crate::base::clock;
use crate::broker::{ConnectionId, Origin};
use crate::mqtt::{Decoded, Packet, ProtocolVersion, decode};

/// Takes a socket in and reads it in a task of its own. Beyond the limit of connections it is closed at once.
pub(super) fn open(shared: &Rc<Shared>, stream: Stream, origin: Origin) {
    if origin == Origin::Public && shared.hub.borrow().peers.len() >= shared.connections_max {
        return;
    }
    let address = stream.peer();
    let (reader, writer) = stream.split();
    let connection = shared.open(origin, address, writer);
    let task = tokio::task::spawn_local(run(shared.clone(), connection, reader));
    if let Some(peer) = shared.hub.borrow_mut().peers.get_mut(connection) {
        peer.reading = Some(task.abort_handle());
    }
}

/// Reads until the peer closes, or until the machine has had enough (then this task is aborted).
async fn run(shared: Rc<Shared>, connection: ConnectionId, mut reader: Reader) {
    let mut input = Input { version: ProtocolVersion::V311, partial: Vec::new() };
    loop {
        let read = poll_fn(|cx| poll_turn(&shared, connection, &mut reader, &mut input, cx)).await;
        match read {
            Ok(Turn::Read) => tokio::task::yield_now().await,
            Ok(Turn::Over) => return,
            Ok(Turn::Closed) | Err(_) => break,
        }
    }
    shared.close(connection);
}

/// What one turn came to.
enum Turn {
    /// Bytes came and were handled.
    Read,
    /// The peer has closed its side.
    Closed,
    /// The machine ended the connection; what waits is still sent.
    Over,
}

/// Bytes of a packet that has not come in whole.
struct Input {
    version: ProtocolVersion,
    partial: Vec<u8>,
}

/// One read and the handling of what it brought: the turn that no connection can make longer than
/// [`super::READ_BYTES_MAX`] bytes.
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
    let mut scratch = shared.scratch.borrow_mut();
    let mut buffer = ReadBuf::new(&mut scratch);
    std::task::ready!(reader.poll_read(cx, &mut buffer))?;
    let bytes = buffer.filled();
    if bytes.is_empty() {
        return Poll::Ready(Ok(Turn::Closed));
    }
    let goes_on = input.take(shared, connection, bytes);
    Poll::Ready(Ok(if goes_on { Turn::Read } else { Turn::Over }))
}

/// A peer that does not take its bytes is not read from until it does.
fn is_paused(shared: &Shared, connection: ConnectionId, cx: &Context<'_>) -> bool {
    let mut hub = shared.hub.borrow_mut();
    let Some(peer) = hub.peers.get_mut(connection) else { return false };
    let is_paused = peer.outbox.bytes() > shared.send_buffer_bytes_max;
    peer.paused = is_paused.then(|| cx.waker().clone());
    is_paused
}

impl Input {
    /// Handles every whole packet in what came before and `bytes`; `false` when the connection is over.
    fn take(&mut self, shared: &Shared, connection: ConnectionId, mut bytes: &[u8]) -> bool {
        let now = clock::monotonic();
        while !bytes.is_empty() {
            let is_fresh = self.partial.is_empty();
            if !is_fresh {
                bytes = self.fill(shared, bytes);
            }
            let source = if is_fresh { bytes } else { &self.partial };
            let length = match decode(source, self.version, shared.packet_bytes_max) {
                Ok(Decoded::Packet { packet, length }) => {
                    if let Packet::Connect(connect) = &packet {
                        self.version = connect.version;
                    }
                    if !shared.packet(connection, packet, now) {
                        return false;
                    }
                    length
                }
                Ok(Decoded::Incomplete { .. }) if is_fresh => {
                    self.partial.extend_from_slice(bytes);
                    return true;
                }
                Ok(Decoded::Incomplete { .. }) => continue,
                Err(error) => {
                    shared.malformed(connection, error);
                    return false;
                }
            };
            if is_fresh {
                bytes = bytes.get(length..).unwrap_or_default();
            } else {
                self.partial = Vec::new();
            }
        }
        true
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
