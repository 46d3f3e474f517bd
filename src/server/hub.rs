//! The machine and the sockets it speaks to: carries its outputs out, in order.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use slotmap::SecondaryMap;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tracing::{info, warn};

use super::complaints::{Complaints, Verdict};
use super::outbox::{Outbox, Pool};
use super::stream::Writer;
use crate::base::clock::{self, Monotonic};
use crate::broker::{Broker, CloseReason, ConnectionId, Origin, Output, SendClass, Ticket};
use crate::mqtt::{ClientId, DecodeError, Frame, Packet};

/// What all tasks of the broker's thread share. Nobody holds a borrow over an `await`.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) hub: RefCell<Hub>,
    /// One buffer for all reads: a task reads and handles what came in one go.
    pub(super) scratch: RefCell<Box<[u8]>>,
    /// Somebody has bytes to flush.
    pub(super) flush: Notify,
    /// The machine's next deadline has come nearer.
    pub(super) deadline: Notify,
    pub(super) send_buffer_bytes_max: usize,
    pub(super) connections_max: usize,
    pub(super) packet_bytes_max: usize,
    /// Whether a flush is asked for already.
    flush_asked: Cell<bool>,
}

/// The machine with the peers it knows.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) broker: Broker,
    pub(super) peers: SecondaryMap<ConnectionId, Peer>,
    pub(super) dirty: Vec<ConnectionId>,
    pub(super) pool: Pool,
    /// What the machine wants to be durable, newest last.
    requested: Option<Ticket>,
    /// The deadline that the timer's task waits for.
    armed: Option<Monotonic>,
    complaints: Complaints,
}

/// One connected socket.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) writer: Rc<Writer>,
    pub(super) outbox: Outbox,
    pub(super) is_dirty: bool,
    /// Whether a task waits for the socket to take more.
    pub(super) is_draining: bool,
    /// Set when the socket is to be closed after what waits is sent.
    pub(super) is_closing: bool,
    /// The reading task, which holds the other half of the socket.
    pub(super) reading: Option<AbortHandle>,
    /// The reading task, when it waits for this peer to take its bytes.
    pub(super) paused: Option<std::task::Waker>,
    address: Option<IpAddr>,
    client_id: Option<ClientId>,
    /// Deliveries of QoS 0 left out because it did not read.
    left_out: u64,
}

impl Shared {
    pub(super) fn new(broker: Broker, options: &super::Options, packet_bytes_max: usize) -> Self {
        let hub = Hub {
            broker,
            peers: SecondaryMap::new(),
            dirty: Vec::new(),
            pool: Pool::default(),
            requested: None,
            armed: None,
            complaints: Complaints::default(),
        };
        Self {
            hub: RefCell::new(hub),
            scratch: RefCell::new(vec![0; super::READ_BYTES_MAX].into_boxed_slice()),
            flush: Notify::new(),
            deadline: Notify::new(),
            send_buffer_bytes_max: options.send_buffer_bytes_max,
            connections_max: options.connections_max,
            packet_bytes_max,
            flush_asked: Cell::new(false),
        }
    }

    /// Takes a socket in.
    pub(super) fn open(&self, origin: Origin, address: Option<IpAddr>, writer: Writer) -> ConnectionId {
        let mut hub = self.hub.borrow_mut();
        let connection = hub.broker.handle_open(origin, clock::monotonic());
        hub.peers.insert(connection, Peer::new(address, writer));
        self.carry_out(&mut hub);
        connection
    }

    /// Hands a packet to the machine; `false` when the connection is over.
    pub(super) fn packet(&self, connection: ConnectionId, packet: Packet<'_>, now: Monotonic) -> bool {
        let mut hub = self.hub.borrow_mut();
        hub.broker.handle_packet(connection, packet, now);
        self.carry_out(&mut hub);
        hub.peers.get(connection).is_some_and(|peer| !peer.is_closing)
    }

    /// Tells the machine of bytes that are no packet.
    pub(super) fn malformed(&self, connection: ConnectionId, error: DecodeError) {
        let mut hub = self.hub.borrow_mut();
        hub.broker.handle_malformed(connection, error);
        self.carry_out(&mut hub);
    }

    /// Tells the machine that a socket is gone.
    pub(super) fn close(&self, connection: ConnectionId) {
        let mut hub = self.hub.borrow_mut();
        if let Some(peer) = hub.peers.remove(connection)
            && !peer.is_closing
        {
            info!(client = peer.name(), "connection closed by the client without DISCONNECT");
        }
        hub.broker.handle_close(connection);
        self.carry_out(&mut hub);
    }

    /// Tells the machine that time has passed; gives its next deadline.
    pub(super) fn timeout(&self, now: Monotonic) -> Option<Monotonic> {
        let mut hub = self.hub.borrow_mut();
        hub.broker.handle_timeout(now);
        self.carry_out(&mut hub);
        hub.armed = hub.broker.next_deadline();
        hub.armed
    }

    /// Empties the machine's outputs into outboxes and the log.
    fn carry_out(&self, hub: &mut Hub) {
        loop {
            while let Some(output) = hub.broker.poll_output() {
                hub.perform(output, self.send_buffer_bytes_max);
            }
            // state lives in memory: what is asked to be durable is as durable as it gets
            let Some(ticket) = hub.requested.take() else { break };
            hub.broker.handle_persisted(ticket, Ok(()));
        }
        if !hub.dirty.is_empty() && !self.flush_asked.replace(true) {
            self.flush.notify_one();
        }
        let next = hub.broker.next_deadline();
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
    fn perform(&mut self, output: Output, send_buffer_bytes_max: usize) {
        match output {
            Output::RequestSend { connection, frame, class } => {
                self.send(connection, &frame, class, send_buffer_bytes_max);
            }
            Output::RequestClose { connection, reason } => self.close(connection, &reason),
            Output::RequestPersist { ticket, .. } => self.requested = Some(ticket),
            Output::NotifyConnected { connection, client_id, session_present } => {
                if let Some(peer) = self.peers.get_mut(connection) {
                    info!(client = %client_id, address = peer.address.map(tracing::field::display), session_present, "client connected");
                    peer.client_id = Some(client_id);
                }
            }
            Output::NotifyDropped { client_id } => {
                if self.complaints.judge(None, clock::monotonic()) != Verdict::Hide {
                    warn!(client = %client_id, "queue is full: a message was dropped; raise broker.limits.queue_messages or queue_size, or let the client connect more often");
                }
            }
            Output::NotifyRetainedFull { topic } => {
                if self.complaints.judge(None, clock::monotonic()) != Verdict::Hide {
                    warn!(%topic, "the store of retained messages is full: this one is not kept; raise broker.limits.retained_messages or retained_size");
                }
            }
        }
    }

    fn send(&mut self, connection: ConnectionId, frame: &Frame, class: SendClass, send_buffer_bytes_max: usize) {
        let Some(peer) = self.peers.get_mut(connection) else { return };
        if class == SendClass::MayDrop && peer.outbox.bytes() > send_buffer_bytes_max {
            peer.left_out += 1;
            return;
        }
        peer.outbox.push(frame, &mut self.pool);
        self.mark(connection);
    }

    fn close(&mut self, connection: ConnectionId, reason: &CloseReason) {
        let Some(peer) = self.peers.get_mut(connection) else { return };
        peer.is_closing = true;
        let (client, address) = (peer.name(), peer.address);
        if reason.is_peers_fault() {
            match self.complaints.judge(address, clock::monotonic()) {
                Verdict::Show => warn!(client, ?address, %reason, "connection closed"),
                Verdict::ShowLast => {
                    warn!(client, ?address, %reason, "connection closed; further ones of this address are not logged for a minute");
                }
                Verdict::Hide => {}
            }
        } else {
            info!(client, ?address, %reason, left_out = peer.left_out, "connection closed");
        }
        self.mark(connection);
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

impl Peer {
    fn new(address: Option<IpAddr>, writer: Writer) -> Self {
        Self {
            writer: Rc::new(writer),
            outbox: Outbox::default(),
            is_dirty: false,
            is_draining: false,
            is_closing: false,
            reading: None,
            paused: None,
            address,
            client_id: None,
            left_out: 0,
        }
    }

    fn name(&self) -> &str {
        self.client_id.as_ref().map_or("-", ClientId::as_str)
    }
}
