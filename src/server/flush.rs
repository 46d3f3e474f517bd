//! Writes outboxes to sockets: one vectored write for each peer and round, and a task only while a socket is full.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll};

use super::hub::Shared;
use super::outbox::SLICES_MAX;
use crate::broker::ConnectionId;

/// Bytes in an outbox up to which the broker is asked for more retained messages.
const ROOM_BYTES: usize = 16 * 1024;

/// Writes the outboxes of all peers that are marked as dirty.
pub(super) fn all(shared: &Rc<Shared>) {
    for connection in shared.take_dirty() {
        if let Some(peer) = shared.hub.borrow_mut().peers.get_mut(connection) {
            peer.is_dirty = false;
        }
        flush(shared, connection);
    }
}

/// Writes all outboxes until they are empty or their sockets fail. Cancel safe.
pub(super) async fn finish(shared: &Rc<Shared>) {
    let waiting = shared.hub.borrow().peers.waiting();
    let mut draining = tokio::task::JoinSet::new();
    for connection in waiting {
        let task = draining.spawn_local(drain(shared.clone(), connection));
        if let Some(peer) = shared.hub.borrow_mut().peers.get_mut(connection) {
            // replaces the peer's own draining task, because a socket wakes only one
            peer.stop();
            peer.draining = Some(task);
        }
    }
    while draining.join_next().await.is_some() {}
}

/// The result of one attempt to write.
enum Flushed {
    /// Everything is written.
    All,
    /// The socket is full.
    Blocked,
    /// The socket failed.
    Failed,
}

/// Writes the outbox of one peer; starts a draining task if the socket does not accept everything.
fn flush(shared: &Rc<Shared>, connection: ConnectionId) {
    let is_draining = shared.hub.borrow().peers.get(connection).is_none_or(|peer| peer.draining.is_some());
    if is_draining {
        return;
    }
    if let Flushed::Blocked = settle(shared, connection) {
        let draining = tokio::task::spawn_local(drain(shared.clone(), connection)).abort_handle();
        if let Some(peer) = shared.hub.borrow_mut().peers.get_mut(connection) {
            peer.draining = Some(draining);
        }
    }
}

/// Writes whenever the socket is writable, until everything is written.
async fn drain(shared: Rc<Shared>, connection: ConnectionId) {
    loop {
        if poll_fn(|cx| poll_writable(&shared, connection, cx)).await.is_err() {
            return shared.close(connection);
        }
        if !matches!(settle(&shared, connection), Flushed::Blocked) {
            break;
        }
    }
    if let Some(peer) = shared.hub.borrow_mut().peers.get_mut(connection) {
        peer.draining = None;
    }
}

/// Waits until the peer's socket is writable. A peer that is gone counts as writable.
fn poll_writable(shared: &Shared, connection: ConnectionId, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    let mut hub = shared.hub.borrow_mut();
    hub.peers.get_mut(connection).map_or(Poll::Ready(Ok(())), |peer| peer.stream.poll_writable(cx))
}

/// Writes the outbox, then closes the connection if it has ended, or reads from it again if it was paused.
fn settle(shared: &Shared, connection: ConnectionId) -> Flushed {
    let flushed = write(shared, connection);
    let mut hub = shared.hub.borrow_mut();
    let Some(peer) = hub.peers.get_mut(connection) else { return Flushed::All };
    if peer.login.is_none() && peer.outbox.bytes() <= shared.send_buffer_bytes_max / 2 {
        peer.resume();
    }
    let has_room = peer.wants_room && !peer.is_closing && peer.outbox.bytes() <= ROOM_BYTES;
    if has_room {
        peer.wants_room = false;
    }
    let is_over = match flushed {
        Flushed::All => peer.is_closing,
        Flushed::Blocked => false,
        Flushed::Failed => true,
    };
    drop(hub);
    if is_over {
        shared.close(connection);
    } else if has_room {
        shared.room(connection);
    }
    flushed
}

fn write(shared: &Shared, connection: ConnectionId) -> Flushed {
    let mut hub = shared.hub.borrow_mut();
    let super::hub::Hub { peers, pool, .. } = &mut *hub;
    let Some(peer) = peers.get_mut(connection) else { return Flushed::All };
    while peer.outbox.bytes() > 0 {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let slices = peer.outbox.slices(&mut slices);
        match peer.stream.try_write(slices) {
            Ok(0) => return Flushed::Failed,
            Ok(count) => {
                shared.sent.set(shared.sent.get() + count as u64);
                peer.outbox.advance(count, pool);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Flushed::Blocked,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Flushed::Failed,
        }
    }
    match if peer.is_closing { peer.stream.try_finish() } else { peer.stream.try_flush() } {
        Ok(()) => Flushed::All,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Flushed::Blocked,
        Err(_) => Flushed::Failed,
    }
}
