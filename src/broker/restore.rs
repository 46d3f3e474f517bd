//! The machine after a restart: sessions, queues, retained messages and wills from the durable state.

use std::time::Duration;

use super::RESERVED_CLIENT_ID_PREFIX;
use super::authenticate::Standing;
use super::change::Change;
use super::inflight::{Awaits, Inflight};
use super::machine::Broker;
use super::message::{Delivery, Owner, Terms};
use super::output::Ticket;
use super::persist::Barrier;
use super::retained::Retained;
use super::route::Publication;
use super::session::{Session, SessionKey, WaitingWill};
use super::share::Presence;
use super::state::{self, Kept, KeptWill, Phase, SessionState, State};
use super::work::Work;
use crate::access::Rights;
use crate::base::clock::Monotonic;
use crate::mqtt::{ClientId, QoS};

impl Broker {
    /// Takes over what outlived the last process, before the first connection. `judge` says of each user name and client
    /// identifier what it may do today. Wills of the clients that were connected then are published [MQTT-3.1.2-8], or
    /// wait for their delay from now on.
    pub fn restore(&mut self, state: State, now: Monotonic, mut judge: impl FnMut(Option<&str>, &str) -> Standing) {
        self.now = now;
        let State { sessions, retained, wills, next_arrival } = state;
        self.arrivals = next_arrival.saturating_sub(1);
        let gone: Vec<SessionKey> =
            sessions.into_iter().filter_map(|session| self.restore_session(session, &mut judge)).collect();
        for state::Retained { message, qos, owner } in retained {
            self.set_retained(Retained { message, qos, owner });
        }
        self.expire_retained();
        for will in wills {
            self.restore_will(will, &mut judge);
        }
        // when all members of their groups are known
        for key in gone {
            self.remove_session(key);
        }
        let keys: Vec<_> = self.sessions.keys().collect();
        for key in keys {
            self.look_after(key);
        }
    }

    /// A piece of a queue was read; an empty one means that there is no more.
    pub fn handle_loaded(&mut self, client_id: &ClientId, mut deliveries: Vec<Delivery>, now: Monotonic) {
        self.now = now;
        if self.load_into_session_end(client_id, &mut deliveries) {
            return;
        }
        let Some(&key) = self.sessions_by_client.get(client_id) else { return };
        if self.sessions.get(key).and_then(|session| session.leaving).is_some_and(|leaving| leaving.is_loading) {
            self.search_loaded(key, deliveries);
            return self.load(key);
        }
        let left = self.filter_loaded(key, &mut deliveries);
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.queue.forget_stored(&left);
        let is_leaving = session.leaving.is_some();
        let limits = self.options.queue(session.limits);
        let dropped = session.queue.handle_loaded(deliveries, limits);
        self.give_away(key, left);
        if is_leaving {
            self.work.push_back(Work::LeaveGroups(key));
        }
        self.drop_from(key, dropped);
        self.pump(key);
    }

    /// Restores one session. Returns its key when its user is gone, so that it has to end.
    fn restore_session(
        &mut self,
        state: SessionState,
        judge: &mut dyn FnMut(Option<&str>, &str) -> Standing,
    ) -> Option<SessionKey> {
        let SessionState { client_id, terms, subscriptions, replays, received, deliveries, rest } = state;
        // nobody who is given the name of a user that is gone inherits the session
        let rights = rights(judge, terms.user.as_deref(), &client_id);
        let is_gone = rights.is_none();
        let rights = rights.unwrap_or_else(Rights::nothing);
        let mut session = Session::new(client_id.clone(), terms.expiry_interval_s, &self.options);
        (session.is_kept, session.rights, session.disconnected) = (true, rights, self.now);
        (session.user, session.ends) = (terms.user, terms.ends);
        if !is_gone && session.ends.is_none() && session.expiry_interval_s < Terms::FOREVER_S {
            // its client was connected
            session.ends = Some(self.now + Duration::from_secs(session.expiry_interval_s.into()));
            let change = Change::SessionKept { client_id: client_id.clone(), terms: session.terms() };
            session.recorded = self.persist.record(change);
        }
        session.received.extend(received.into_iter().map(|packet_id| (packet_id, Ticket::default())));
        session.subscriptions.extend(subscriptions.iter().cloned());
        let (sent, first): (Vec<_>, Vec<_>) = deliveries.into_iter().partition(|kept| kept.sent.is_some());
        session.window.restore(sent.into_iter().filter_map(inflight).collect());
        let count = usize::try_from(rest.count).unwrap_or(usize::MAX);
        let bytes = usize::try_from(rest.bytes).unwrap_or(usize::MAX);
        session.queue.restore(first.into_iter().map(|kept| kept.delivery).collect(), count, bytes);
        // what only the disk holds may have come by a shared subscription that was given up
        session.has_shared = rest.count > 0 || subscriptions.iter().any(|(filter, _)| filter.is_shared());
        let key = self.sessions.insert(session);
        self.sessions_by_client.insert(client_id, key);
        for (filter, granted) in &subscriptions {
            self.subscriptions.insert(filter, key, *granted, Presence::Absent);
        }
        self.restore_leaving(key);
        self.restore_replay(key, replays);
        is_gone.then_some(key)
    }

    fn restore_will(&mut self, kept: KeptWill, judge: &mut dyn FnMut(Option<&str>, &str) -> Standing) {
        let KeptWill { client_id, user, will, due } = kept;
        let key = self.sessions_by_client.get(&client_id).copied();
        let delay = Duration::from_secs(will.delay_interval_s.into());
        if let Some(session) = key.and_then(|key| self.sessions.get_mut(key))
            && (due.is_some() || !delay.is_zero())
        {
            let due = due.unwrap_or_else(|| self.now + delay);
            session.will = Some(Box::new(WaitingWill { will, due }));
            self.persist.record(Change::WillDelayed { client_id, due });
            return;
        }
        let rights = rights(judge, user.as_deref(), &client_id);
        self.persist.record(Change::WillCleared { client_id });
        if rights.is_some_and(|rights| rights.may_write(will.topic.as_str())) {
            let owner = Some(user.map_or(Owner::Anonymous, Owner::User));
            self.route(&Publication { from: key, owner, ..Publication::from_will(&will) }, Barrier::None);
        }
    }
}

/// What the client may do, the gateway's own clients everything; `None` when its user is gone.
fn rights(
    judge: &mut dyn FnMut(Option<&str>, &str) -> Standing,
    user: Option<&str>,
    client_id: &ClientId,
) -> Option<Rights> {
    if client_id.as_str().starts_with(RESERVED_CLIENT_ID_PREFIX) {
        return Some(Rights::everything());
    }
    match judge(user, client_id.as_str()) {
        Standing::Stays(rights) | Standing::Unproven(rights) => Some(rights),
        Standing::Gone => None,
    }
}

fn inflight(kept: Kept) -> Option<Inflight> {
    let Kept { delivery, sent } = kept;
    let sent = sent?;
    let awaits = match (delivery.qos, sent.phase) {
        (_, Phase::Released) => Awaits::Complete,
        (QoS::ExactlyOnce, Phase::Sent) => Awaits::Received,
        (_, Phase::Sent) => Awaits::Ack,
    };
    Some(Inflight::restored(sent.packet_id, awaits, delivery))
}
