//! The sockets that the hub speaks to, and what is known of each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use tokio::task::AbortHandle;

use super::connection::Input;
use super::gate::Door;
use super::outbox::Outbox;
use super::places::Places;
use super::ready::Knock;
use super::stream::Stream;
use crate::broker::ConnectionId;
use crate::mqtt::ClientId;

/// Connected sockets. Not a table by slots: the machine gives the slot of a connection that it has forgotten to the
/// next one, while bytes of the old one still wait.
#[derive(Debug)]
pub(super) struct Peers {
    /// Boxed: such a table has up to twice the room that it needs.
    by_id: HashMap<ConnectionId, Box<Peer>, FixedState>,
    /// Those of all peers, and of those who are still on their way in.
    pub(super) places: Places,
}

/// One connected socket.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Peer {
    pub(super) door: Door,
    /// Whether its login waits for a verdict: nothing is read from it then.
    pub(super) is_asking: bool,
    pub(super) stream: Stream,
    /// Wakes it to read.
    pub(super) knock: Arc<Knock>,
    /// What was read and not handled.
    pub(super) input: Input,
    pub(super) outbox: Outbox,
    pub(super) is_dirty: bool,
    /// The task that waits for the socket to take more.
    pub(super) draining: Option<AbortHandle>,
    /// Set when the socket is to be closed after what waits is sent.
    pub(super) is_closing: bool,
    /// Whether it is not read from until [`Peer::resume`].
    pub(super) is_paused: bool,
    pub(super) address: Option<IpAddr>,
    pub(super) client_id: Option<ClientId>,
    /// Deliveries of QoS 0 left out because it did not read.
    pub(super) left_out: u64,
}

impl Peers {
    pub(super) fn new(places: Places) -> Self {
        Self { by_id: HashMap::default(), places }
    }

    /// Each of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.by_id.values().map(Box::as_ref)
    }

    pub(super) fn get(&self, connection: ConnectionId) -> Option<&Peer> {
        self.by_id.get(&connection).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, connection: ConnectionId) -> Option<&mut Peer> {
        self.by_id.get_mut(&connection).map(Box::as_mut)
    }

    /// Reads again from all who are paused.
    pub(super) fn resume(&mut self) {
        self.by_id.values_mut().for_each(|peer| peer.resume());
    }

    /// Those for whom bytes wait, here or in what lies above their socket.
    pub(super) fn waiting(&self) -> Vec<ConnectionId> {
        self.by_id
            .iter()
            .filter(|(_, peer)| peer.outbox.bytes() > 0 || peer.draining.is_some())
            .map(|(connection, _)| *connection)
            .collect()
    }

    pub(super) fn insert(&mut self, connection: ConnectionId, peer: Box<Peer>) {
        self.places.take(peer.address);
        self.by_id.insert(connection, peer);
    }

    pub(super) fn remove(&mut self, connection: ConnectionId) -> Option<Box<Peer>> {
        let peer = self.by_id.remove(&connection)?;
        self.places.give_back(peer.address);
        Some(peer)
    }
}

impl Peer {
    pub(super) fn new(door: Door, address: Option<IpAddr>, stream: Stream, knock: Arc<Knock>) -> Self {
        Self {
            door,
            is_asking: false,
            stream,
            knock,
            input: Input::default(),
            outbox: Outbox::default(),
            is_dirty: false,
            draining: None,
            is_closing: false,
            is_paused: false,
            address,
            client_id: None,
            left_out: 0,
        }
    }

    /// Reads from it again when it was paused.
    pub(super) fn resume(&mut self) {
        if std::mem::take(&mut self.is_paused) {
            self.knock.knock();
        }
    }

    /// Ends the task that waits for the socket. It may be the caller: it runs to its end.
    pub(super) fn stop(&self) {
        self.draining.iter().for_each(AbortHandle::abort);
    }

    pub(super) fn name(&self) -> &str {
        self.client_id.as_ref().map_or("-", ClientId::as_str)
    }
}
