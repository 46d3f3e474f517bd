//! The sockets that the hub speaks to, and what is known of each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use tokio::task::AbortHandle;

use super::connection::Input;
use super::gate::{Door, PendingLogin};
use super::login_bytes::LoginMeter;
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
    /// The login that waits for its verdict. Nothing is read from the connection meanwhile.
    pub(super) login: Option<PendingLogin>,
    /// Counts what comes until the client has logged in; `None` for one that has, and for the gateway's own clients.
    pub(super) login_meter: Option<Arc<LoginMeter>>,
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
    /// Whether nothing is read for a reason that is not the peer's, such as a slow store: its keep-alive is suspended.
    pub(super) is_held_back: bool,
    pub(super) address: Option<IpAddr>,
    pub(super) client_id: Option<ClientId>,
    /// Whether the broker sends more retained messages as soon as its outbox is nearly empty.
    pub(super) wants_room: bool,
    /// Deliveries of QoS 0 left out because it did not read.
    pub(super) left_out: u64,
}

impl Peers {
    pub(super) fn new(places: Places) -> Self {
        Self { by_id: HashMap::default(), places }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Peer)> {
        self.by_id.iter().map(|(connection, peer)| (*connection, peer.as_ref()))
    }

    /// Reads again from all connections that are paused.
    pub(super) fn resume(&mut self) {
        self.by_id.values_mut().for_each(|peer| peer.resume());
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn get(&self, connection: ConnectionId) -> Option<&Peer> {
        self.by_id.get(&connection).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, connection: ConnectionId) -> Option<&mut Peer> {
        self.by_id.get_mut(&connection).map(Box::as_mut)
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
    pub(super) fn new(
        door: Door,
        address: Option<IpAddr>,
        stream: Stream,
        login_meter: Option<Arc<LoginMeter>>,
        knock: Arc<Knock>,
    ) -> Self {
        Self {
            door,
            login: None,
            login_meter,
            stream,
            knock,
            input: Input::default(),
            outbox: Outbox::default(),
            is_dirty: false,
            draining: None,
            is_closing: false,
            is_paused: false,
            is_held_back: false,
            address,
            client_id: None,
            wants_room: false,
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

    /// Ends the limits of a client that has not logged in.
    pub(super) fn end_login(&mut self, packet_bytes_max: usize) {
        self.login_meter.take().iter().for_each(|meter| meter.close());
        self.stream.set_packet_bytes_max(packet_bytes_max);
    }

    /// Returns the identifier of a client that is connected and was verified by its certificate.
    pub(super) fn certified_client_id(&self) -> Option<&ClientId> {
        let is_certified = !self.is_closing && self.stream.user().is_some();
        self.client_id.as_ref().filter(|_| is_certified)
    }

    /// Returns the client identifier; empty before CONNECT.
    pub(super) fn client_id(&self) -> &str {
        self.client_id.as_ref().map_or("", ClientId::as_str)
    }
}
