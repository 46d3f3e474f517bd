//! All that the server knows. It is handed packets and moments, and answers with orders to connections.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sensegate::base::clock::{self, Monotonic, Wall};
use sensegate::mqtt::{ConnectReturnCode, Packet, UnsubAck};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::accounts::Accounts;
use super::faults::{Faults, QoS2};
use super::journal::{Journal, Logged, Way};
use super::limits::Meter;
use super::packet::{Order, Outgoing};
use super::session::{ConnectionId, Line, Session};
use super::store::Store;

/// When something happens, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) monotonic: Monotonic,
    pub(super) wall: Wall,
}

impl Now {
    pub(super) fn read() -> Self {
        Self { monotonic: clock::monotonic(), wall: clock::wall() }
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By a DISCONNECT: the will is not published.
    Farewell,
    /// In every other way, but in good order of what lies beneath.
    Lost,
    /// Within a packet, by a fault.
    Reset,
}

/// Between the threads: the server's and those of the test.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub(super) fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    /// Never held over a wait.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything.
pub(super) struct State {
    pub(super) accounts: Accounts,
    /// What an unknown token is answered.
    pub(super) bad_token_code: ConnectReturnCode,
    pub(super) qos_2: QoS2,
    pub(super) meter: Meter,
    pub(super) faults: Faults,
    /// [`super::Fault::HalfOpen`].
    pub(super) half_open: watch::Sender<bool>,
    /// What the next handshake shows.
    pub(super) acceptor: TlsAcceptor,
    pub(super) store: Store,
    pub(super) journal: Journal,
    pub(super) sessions: BTreeMap<ConnectionId, Session>,
}

impl State {
    pub(super) fn new(acceptor: TlsAcceptor) -> Self {
        Self {
            accounts: Accounts::default(),
            bad_token_code: ConnectReturnCode::BadUserNameOrPassword,
            qos_2: QoS2::default(),
            meter: Meter::default(),
            faults: Faults::default(),
            half_open: watch::Sender::new(false),
            acceptor,
            store: Store::default(),
            journal: Journal::default(),
            sessions: BTreeMap::new(),
        }
    }

    /// Numbers a connection that was accepted.
    pub(super) fn handle_arrival(&mut self, now: Now) -> ConnectionId {
        self.journal.arrivals.push(now.monotonic);
        self.journal.arrivals.len() as ConnectionId
    }

    /// Does what a client asks for. `Err` ends its connection.
    pub(super) fn handle_packet(
        &mut self,
        now: Now,
        connection: ConnectionId,
        line: &Line,
        packet: Packet<'_>,
    ) -> Result<(), End> {
        let client_id = match (&packet, self.sessions.get(&connection)) {
            (Packet::Connect(connect), _) => connect.client_id.as_str(),
            (_, session) => session.map_or("", |session| &session.client_id),
        };
        self.journal.note_received(now.monotonic, connection, client_id, &packet);
        match packet {
            Packet::Connect(_) if self.sessions.contains_key(&connection) => Err(End::Lost),
            Packet::Connect(connect) => {
                self.handle_connect(now, connection, line, connect);
                Ok(())
            }
            // whoever was not let in, or was taken over, is not listened to
            packet if self.sessions.contains_key(&connection) => self.handle_request(now, connection, line, packet),
            _ => Err(End::Lost),
        }
    }

    fn handle_request(
        &mut self,
        now: Now,
        connection: ConnectionId,
        line: &Line,
        packet: Packet<'_>,
    ) -> Result<(), End> {
        match packet {
            Packet::Publish(publish) => self.handle_publish(now, connection, line, &publish),
            Packet::PubRel(release) => line.send(&Packet::PubComp(release)),
            Packet::Subscribe(subscribe) => self.handle_subscribe(connection, line, subscribe),
            Packet::Unsubscribe(unsubscribe) => {
                let codes = self.handle_unsubscribe(connection, &unsubscribe.filters);
                line.send(&Packet::UnsubAck(UnsubAck::new(unsubscribe.packet_id, codes)));
            }
            Packet::PingReq => line.send(&Packet::PingResp),
            Packet::Disconnect(disconnect) => return Err(ending(disconnect.reason)),
            Packet::PubAck(_) => {}
            _ => return Err(End::Lost),
        }
        Ok(())
    }

    /// Notes a packet that is about to be sent; whether the connection is to be reset within it.
    pub(super) fn handle_sending(&mut self, now: Now, connection: ConnectionId, outgoing: &Outgoing) -> bool {
        let client_id = self.sessions.get(&connection).map(|session| session.client_id.clone()).unwrap_or_default();
        let (kind, published) = (outgoing.kind, outgoing.published.clone());
        let at = now.monotonic;
        self.journal.note_sent(Logged { at, connection, client_id, way: Way::Out, kind, published });
        self.faults.strike_packet(kind)
    }

    /// Forgets a client; one that is lost leaves its will.
    pub(super) fn handle_end(&mut self, now: Now, connection: ConnectionId, end: End) {
        let Some(session) = self.sessions.remove(&connection) else { return };
        if let (End::Lost | End::Reset, Some(will)) = (end, &session.will) {
            self.publish_will(now, connection, &session, will);
        }
    }

    /// Closes the connections of the clients that `is_meant` names.
    pub(super) fn close(&self, is_meant: impl Fn(&Session) -> bool) {
        for session in self.sessions.values().filter(|session| is_meant(session)) {
            session.line.order(Order::Close);
        }
    }
}

/// A client of version 5 may ask for its will.
fn ending(reason: sensegate::mqtt::ReasonCode) -> End {
    if reason == sensegate::mqtt::ReasonCode::NORMAL_DISCONNECTION { End::Farewell } else { End::Lost }
}
