//! Connected sockets, with the state that the server keeps for each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use tokio::task::AbortHandle;

use super::connection::Input;
use super::login_bytes::LoginMeter;
use super::logins::{ListenerPolicy, PendingLogin};
use super::outbox::Outbox;
use super::ready::ReadyWaker;
use super::slots::ConnectionSlots;
use super::stream::Stream;
use crate::broker::ConnectionId;
use crate::mqtt::ClientId;

/// Connected sockets by connection. This is a hash map, not a secondary slot map: the broker reuses the slot of an
/// ended connection while bytes of the old one are still to be sent.
#[derive(Debug)]
pub(super) struct Peers {
    /// Boxed, because up to half of a hash map is empty.
    by_id: HashMap<ConnectionId, Box<Peer>, FixedState>,
    /// The slots of all peers and of unfinished handshakes.
    pub(super) slots: ConnectionSlots,
}

/// One connected socket.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Peer {
    pub(super) policy: ListenerPolicy,
    /// The login that waits for its verdict. Nothing is read from the connection meanwhile.
    pub(super) login: Option<PendingLogin>,
    /// Counts what comes until the client has logged in; `None` for one that has, and for the gateway's own clients.
    pub(super) login_meter: Option<Arc<LoginMeter>>,
    pub(super) stream: Stream,
    /// Asks for the connection's turn when the socket can be read.
    pub(super) waker: Arc<ReadyWaker>,
    /// Bytes that were read and not handled.
    pub(super) input: Input,
    pub(super) outbox: Outbox,
    pub(super) is_dirty: bool,
    /// The task that waits until the socket accepts more bytes.
    pub(super) draining: Option<AbortHandle>,
    /// Whether the socket is closed as soon as its outbox is sent.
    pub(super) is_closing: bool,
    /// Whether nothing is read until [`Peer::resume`].
    pub(super) is_paused: bool,
    /// Whether nothing is read for a reason that is not the peer's, such as a slow store: its keep-alive is suspended.
    pub(super) is_held_back: bool,
    pub(super) address: Option<IpAddr>,
    pub(super) client_id: Option<ClientId>,
    /// The identifier in a CONNECT that is not accepted, for the log alone: any client may send any identifier.
    pub(super) claimed_client_id: Option<ClientId>,
    /// Whether the broker sends more retained messages as soon as its outbox is nearly empty.
    pub(super) wants_room: bool,
    /// Deliveries of QoS 0 that were dropped because the client did not read.
    pub(super) left_out: u64,
}

impl Peers {
    pub(super) fn new(slots: ConnectionSlots) -> Self {
        Self { by_id: HashMap::default(), slots }
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

    /// Returns the connections with unsent bytes, in the outbox or in TLS and WebSocket.
    pub(super) fn waiting(&self) -> Vec<ConnectionId> {
        self.by_id
            .iter()
            .filter(|(_, peer)| peer.outbox.bytes() > 0 || peer.draining.is_some())
            .map(|(connection, _)| *connection)
            .collect()
    }

    pub(super) fn insert(&mut self, connection: ConnectionId, peer: Box<Peer>) {
        self.slots.acquire(peer.address);
        self.by_id.insert(connection, peer);
    }

    pub(super) fn remove(&mut self, connection: ConnectionId) -> Option<Box<Peer>> {
        let peer = self.by_id.remove(&connection)?;
        self.slots.release(peer.address);
        Some(peer)
    }
}

impl Peer {
    pub(super) fn new(
        policy: ListenerPolicy,
        address: Option<IpAddr>,
        stream: Stream,
        login_meter: Option<Arc<LoginMeter>>,
        waker: Arc<ReadyWaker>,
    ) -> Self {
        Self {
            policy,
            login: None,
            login_meter,
            stream,
            waker,
            input: Input::default(),
            outbox: Outbox::default(),
            is_dirty: false,
            draining: None,
            is_closing: false,
            is_paused: false,
            is_held_back: false,
            address,
            client_id: None,
            claimed_client_id: None,
            wants_room: false,
            left_out: 0,
        }
    }

    /// Reads from the connection again if it was paused.
    pub(super) fn resume(&mut self) {
        if std::mem::take(&mut self.is_paused) {
            self.waker.request_turn();
        }
    }

    /// Aborts the task that waits for the socket. If that is the calling task, it runs to its end.
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

    /// Returns what a log calls the client: its identifier, whether its CONNECT was accepted or not; empty before CONNECT.
    pub(super) fn logged_client_id(&self) -> &str {
        self.client_id.as_ref().or(self.claimed_client_id.as_ref()).map_or("", ClientId::as_str)
    }
}
