//! A disk of the simplest kind: changes are applied one by one to the state that a restart begins with.

use std::collections::VecDeque;

use super::super::super::state::{Backlog, Kept, KeptWill, Phase, Retained, Sent, SessionState, State};
use super::super::super::{Change, Delivery, Ticket};
use super::*;

/// What is durable, what is on its way there, and what it will be.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) durable: State,
    /// With everything that was requested.
    pub(super) latest: State,
    pub(super) waiting: VecDeque<(Ticket, Monotonic, Vec<Change>)>,
    pub(super) newest: Ticket,
    pub(super) answered: Ticket,
    pub(super) is_full: bool,
    /// Pieces that were asked for, each behind a ticket: whose, behind which arrival, how many.
    pub(super) loads: VecDeque<(Ticket, ClientId, u64, usize)>,
}

impl Disk {
    pub(super) fn request(&mut self, ticket: Ticket, now: Monotonic, changes: Vec<Change>) {
        assert_eq!(ticket.0, self.newest.0 + 1, "tickets are given in order");
        changes.iter().for_each(|change| apply(&mut self.latest, change));
        self.waiting.push_back((ticket, now, changes));
        self.newest = ticket;
    }

    /// Makes the oldest request durable.
    pub(super) fn commit(&mut self) -> Option<Ticket> {
        let (ticket, _, changes) = self.waiting.pop_front()?;
        changes.iter().for_each(|change| apply(&mut self.durable, change));
        self.answered = ticket;
        Some(ticket)
    }

    /// Answers the oldest request to load whose time has come.
    pub(super) fn load(&mut self) -> Option<(ClientId, Vec<Delivery>)> {
        self.loads.front().filter(|(behind, ..)| *behind <= self.answered)?;
        let (_, client_id, after, count) = self.loads.pop_front()?;
        let session = self.durable.sessions.iter().find(|session| session.client_id == client_id);
        let kept = session.into_iter().flat_map(|session| &session.deliveries);
        let waiting = kept.filter(|kept| kept.sent.is_none() && kept.delivery.arrival > after);
        Some((client_id, waiting.take(count).map(|kept| kept.delivery.clone()).collect()))
    }

    /// What a restart finds when at most `in_memory` waiting deliveries of each session are told one by one.
    pub(super) fn restored(&self, in_memory: usize) -> State {
        let mut state = self.durable.clone();
        for session in &mut state.sessions {
            let (sent, waiting): (Vec<_>, Vec<_>) = session.deliveries.drain(..).partition(|kept| kept.sent.is_some());
            let (first, rest) = waiting.split_at(waiting.len().min(in_memory));
            let bytes = rest.iter().map(|kept| kept.delivery.bytes() as u64).sum();
            session.rest = Backlog { count: rest.len() as u64, bytes };
            session.deliveries = [&sent, first].concat();
        }
        state
    }

    /// The power is back: what was not durable is gone.
    pub(super) fn restart(&mut self) {
        (self.newest, self.answered) = (Ticket(0), Ticket(0));
        self.latest = self.durable.clone();
        self.waiting.clear();
        self.loads.clear();
        self.is_full = false;
    }
}

fn apply(state: &mut State, change: &Change) {
    match change.clone() {
        Change::Retained { message, qos, owner } => {
            state.retained.retain(|kept| kept.message.topic != message.topic);
            state.retained.push(Retained { message, qos, owner });
        }
        Change::RetainedCleared { topic } => state.retained.retain(|kept| kept.message.topic != topic),
        Change::WillSet { client_id, user, will } => {
            state.wills.retain(|kept| kept.client_id != client_id);
            state.wills.push(KeptWill { client_id, user, will, due: None });
        }
        Change::WillDelayed { client_id, due } => {
            let will = state.wills.iter_mut().find(|kept| kept.client_id == client_id);
            will.expect("a will that is delayed was set").due = Some(due);
        }
        Change::WillCleared { client_id } => state.wills.retain(|kept| kept.client_id != client_id),
        Change::SessionKept { client_id, terms } => keep_session(state, client_id, terms),
        Change::SessionEnded { client_id } => state.sessions.retain(|kept| kept.client_id != client_id),
        other => apply_to_session(state, &other),
    }
}

fn keep_session(state: &mut State, client_id: ClientId, terms: Terms) {
    if let Some(known) = state.sessions.iter_mut().find(|kept| kept.client_id == client_id) {
        known.terms = terms;
        return;
    }
    let (subscriptions, received, deliveries) = (Vec::new(), Vec::new(), Vec::new());
    let rest = Backlog::default();
    state.sessions.push(SessionState {
        client_id,
        terms,
        subscriptions,
        replays: Vec::new(),
        received,
        deliveries,
        rest,
    });
}

/// Whose change it is, if it is a session's.
pub(super) fn owner(change: &Change) -> Option<&ClientId> {
    match change {
        Change::Subscribed { client_id, .. }
        | Change::Unsubscribed { client_id, .. }
        | Change::Enqueued { client_id, .. }
        | Change::Sent { client_id, .. }
        | Change::Released { client_id, .. }
        | Change::Dequeued { client_id, .. }
        | Change::Received { client_id, .. }
        | Change::Forgotten { client_id, .. } => Some(client_id),
        _ => None,
    }
}

fn apply_to_session(state: &mut State, change: &Change) {
    let session = state.sessions.iter_mut().find(|kept| Some(&kept.client_id) == owner(change));
    let session = session.unwrap_or_else(|| panic!("{change:?} of a session that is not kept"));
    if let Change::Enqueued { delivery, .. } = change {
        state.next_arrival = state.next_arrival.max(delivery.arrival + 1);
        assert!(session.deliveries.iter().all(|kept| kept.delivery.arrival < delivery.arrival), "{change:?} is late");
    }
    match change.clone() {
        Change::Subscribed { filter, granted, .. } => {
            session.subscriptions.retain(|(other, _)| *other != filter);
            session.subscriptions.push((filter, granted));
        }
        Change::Unsubscribed { filter, .. } => session.subscriptions.retain(|(other, _)| *other != filter),
        Change::Enqueued { delivery, .. } => session.deliveries.push(Kept { delivery, sent: None }),
        Change::Sent { arrival, packet_id, .. } => {
            waiting(session, arrival).sent = Some(Sent { packet_id, phase: Phase::Sent });
        }
        Change::Released { arrival, .. } => {
            waiting(session, arrival).sent.as_mut().expect("it was sent").phase = Phase::Released;
        }
        Change::Dequeued { arrival, .. } => session.deliveries.retain(|kept| kept.delivery.arrival != arrival),
        Change::Received { packet_id, .. } => session.received.push(packet_id),
        Change::Forgotten { packet_id, .. } => session.received.retain(|kept| *kept != packet_id),
        _ => {}
    }
}

fn waiting(session: &mut SessionState, arrival: u64) -> &mut Kept {
    let kept = session.deliveries.iter_mut().find(|kept| kept.delivery.arrival == arrival);
    kept.unwrap_or_else(|| panic!("no delivery {arrival} waits for {:?}", session.client_id))
}
