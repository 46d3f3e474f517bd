//! From outboxes to sockets: one vectored write a wake-up and peer, and a task only where a socket is full.

use std::io::{self, IoSlice};
use std::rc::Rc;

use super::hub::Shared;
use crate::broker::ConnectionId;

/// Writes whatever is marked, behind all readers that were ready. Runs until its task is dropped.
pub(super) async fn run(shared: Rc<Shared>) {
    loop {
        shared.flush.notified().await;
        for connection in shared.take_dirty() {
            if let Some(peer) = shared.hub.borrow_mut().peers.get_mut(connection) {
                peer.is_dirty = false;
            }
            flush(&shared, connection);
        }
    }
}

/// Writes everything that waits, as far as the sockets take it. May be dropped at any time.
pub(super) async fn finish(shared: &Rc<Shared>) {
    let waiting = shared.hub.borrow().peers.waiting();
    let mut draining = tokio::task::JoinSet::new();
    for connection in waiting {
        draining.spawn_local(drain(shared.clone(), connection));
    }
    while draining.join_next().await.is_some() {}
}

/// What one attempt came to.
enum Flushed {
    /// Nothing waits any more.
    All,
    /// The socket is full.
    Blocked,
    /// The socket is gone.
    Failed,
}

/// Writes what waits for one peer; what the socket does not take is left to a draining task.
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

/// Waits for the socket again and again until everything is written.
async fn drain(shared: Rc<Shared>, connection: ConnectionId) {
    loop {
        let Some(writer) = shared.hub.borrow().peers.get(connection).map(|peer| peer.writer.clone()) else { return };
        if writer.writable().await.is_err() {
            return shared.close(connection);
        }
        drop(writer);
        if !matches!(settle(&shared, connection), Flushed::Blocked) {
            break;
        }
    }
    if let Some(peer) = shared.hub.borrow_mut().peers.get_mut(connection) {
        peer.draining = None;
    }
}

/// Writes, then does what follows: closes what is to be closed, lets a waiting reader go on.
fn settle(shared: &Shared, connection: ConnectionId) -> Flushed {
    let flushed = write(shared, connection);
    let mut hub = shared.hub.borrow_mut();
    let Some(peer) = hub.peers.get_mut(connection) else { return Flushed::All };
    if !peer.is_asking
        && peer.outbox.bytes() <= shared.send_buffer_bytes_max / 2
        && let Some(waker) = peer.paused.take()
    {
        waker.wake();
    }
    let is_over = match flushed {
        Flushed::All => peer.is_closing,
        Flushed::Blocked => false,
        Flushed::Failed => true,
    };
    drop(hub);
    if is_over {
        shared.close(connection);
    }
    flushed
}

fn write(shared: &Shared, connection: ConnectionId) -> Flushed {
    let mut hub = shared.hub.borrow_mut();
    let super::hub::Hub { peers, pool, .. } = &mut *hub;
    let Some(peer) = peers.get_mut(connection) else { return Flushed::All };
    while peer.outbox.bytes() > 0 {
        let mut slices: Vec<IoSlice<'_>> = Vec::new();
        peer.outbox.slices(&mut slices);
        match peer.writer.try_write_vectored(&slices) {
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
    match if peer.is_closing { peer.writer.try_finish() } else { peer.writer.try_flush() } {
        Ok(()) => Flushed::All,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Flushed::Blocked,
        Err(_) => Flushed::Failed,
    }
}
