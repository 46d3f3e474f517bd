//! The machine after a restart: sessions, queues, retained messages and wills from the durable state.

use super::inflight::{Awaits, Delivery, Inflight};
use super::machine::Broker;
use super::output::Change;
use super::retained::Retained;
use super::route::Publication;
use super::session::{Lifetime, Session};
use super::state::{self, Phase, SessionState, State};
use crate::mqtt::{ClientId, QoS};

impl Broker {
    /// Takes over what outlived the last process, before the first connection. Wills of the clients that were connected
    /// then are published [MQTT-3.1.2-8].
    pub fn restore(&mut self, state: State) {
        let State { sessions, retained, wills, next_arrival } = state;
        self.arrivals = next_arrival.saturating_sub(1);
        for session in sessions {
            self.restore_session(session);
        }
        for state::Retained { message, qos } in retained {
            self.retained.set(Retained { message, qos }, &self.options);
        }
        for (client_id, will) in wills {
            self.persist.record(Change::WillCleared { client_id });
            self.route(&Publication::from_will(&will), false);
        }
    }

    /// A piece of a queue was read; an empty one means that there is no more.
    pub fn handle_loaded(&mut self, client_id: &ClientId, deliveries: Vec<state::Delivery>) {
        let Some(&key) = self.sessions_by_client.get(client_id) else { return };
        let Some(session) = self.sessions.get_mut(key) else { return };
        let dropped = session.queue.handle_loaded(deliveries.into_iter().map(waiting).collect(), &self.options);
        self.drop_from(key, dropped);
        self.pump(key);
    }

    fn restore_session(&mut self, state: SessionState) {
        let SessionState { client_id, subscriptions, received, deliveries, rest } = state;
        let mut session = Session::new(client_id.clone(), Lifetime::Persistent);
        session.received.extend(received);
        session.subscriptions.extend(subscriptions.iter().cloned());
        let (sent, first): (Vec<_>, Vec<_>) = deliveries.into_iter().partition(|delivery| delivery.sent.is_some());
        session.window.restore(sent.into_iter().filter_map(inflight).collect());
        let count = usize::try_from(rest.count).unwrap_or(usize::MAX);
        let bytes = usize::try_from(rest.bytes).unwrap_or(usize::MAX);
        session.queue.restore(first.into_iter().map(waiting).collect(), count, bytes);
        let key = self.sessions.insert(session);
        self.sessions_by_client.insert(client_id, key);
        for (filter, qos) in &subscriptions {
            self.subscriptions.insert(filter, key, *qos);
        }
    }
}

fn waiting(delivery: state::Delivery) -> Delivery {
    let state::Delivery { arrival, message, qos, retain, .. } = delivery;
    Delivery { arrival, message, qos, retain }
}

fn inflight(delivery: state::Delivery) -> Option<Inflight> {
    let sent = delivery.sent?;
    let awaits = match (delivery.qos, sent.phase) {
        (_, Phase::Released) => Awaits::Complete,
        (QoS::ExactlyOnce, Phase::Sent) => Awaits::Received,
        (_, Phase::Sent) => Awaits::Ack,
    };
    Some(Inflight::restored(sent.packet_id, awaits, waiting(delivery)))
}
