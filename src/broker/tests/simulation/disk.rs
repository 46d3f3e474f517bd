//! A disk of the simplest kind: tickets are applied one by one to the state that a restart begins with.
//!
//! A ticket is atomic. While the disk writes, tickets become durable in order. While it is full, a ticket that needs no
//! room may become durable before earlier ones, unless it touches a key that one of these touches.

use std::collections::VecDeque;

use super::super::super::state::{Backlog, Kept, KeptWill, Phase, Retained, Sent, SessionState, State};
use super::super::super::{Change, Delivery, Ticket};
use super::*;

/// A ticket that is not durable yet.
#[derive(Clone)]
pub(super) struct Waiting {
    pub(super) ticket: Ticket,
    /// When it was requested, by the clock and in the order of inputs.
    pub(super) since: (Monotonic, u64),
    changes: Vec<Change>,
}

/// A request to load that is not answered.
struct Load {
    client_id: ClientId,
    after: u64,
    count: usize,
    /// The latest ticket that was requested before.
    behind: Ticket,
}

/// What is durable, and what is on its way there.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) durable: State,
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) is_full: bool,
    newest: Ticket,
    loads: VecDeque<Load>,
}

impl Disk {
    pub(super) fn request(&mut self, ticket: Ticket, since: (Monotonic, u64), changes: Vec<Change>) {
        assert_eq!(ticket.0, self.newest.0 + 1, "tickets are given in order");
        self.waiting.push_back(Waiting { ticket, since, changes });
        self.newest = ticket;
    }

    pub(super) fn request_load(&mut self, client_id: ClientId, after: u64, count: usize) {
        self.loads.push_back(Load { client_id, after, count, behind: self.newest });
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.loads.is_empty()
    }

    /// Makes the next ticket durable; on a full disk one that needs no room.
    pub(super) fn commit(&mut self) -> Option<Ticket> {
        let place = (0..self.waiting.len()).find(|place| !self.is_full || self.is_relief(*place))?;
        let Waiting { ticket, changes, .. } = self.waiting.remove(place)?;
        changes.iter().for_each(|change| apply(&mut self.durable, change));
        Some(ticket)
    }

    /// Whether a ticket can be written although the disk is full and earlier ones wait.
    fn is_relief(&self, place: usize) -> bool {
        let Some(Waiting { changes, .. }) = self.waiting.get(place) else { return false };
        let mut earlier = self.waiting.iter().take(place).flat_map(|waiting| &waiting.changes).flat_map(keys);
        let touched: Vec<Key> = changes.iter().flat_map(keys).collect();
        let is_touched = earlier.any(|other| touched.iter().any(|key| key.meets(&other)));
        !is_touched && changes.iter().all(|change| self.needs_no_room(change))
    }

    fn needs_no_room(&self, change: &Change) -> bool {
        match change {
            Change::SessionKept { client_id, .. } => {
                self.durable.sessions.iter().any(|session| session.client_id == *client_id)
            }
            Change::SessionEnded { .. }
            | Change::Unsubscribed { .. }
            | Change::Sent { .. }
            | Change::Released { .. }
            | Change::Dequeued { .. }
            | Change::Forgotten { .. }
            | Change::RetainedCleared { .. }
            | Change::WillDelayed { .. }
            | Change::WillCleared { .. } => true,
            Change::Subscribed { .. }
            | Change::Enqueued { .. }
            | Change::Received { .. }
            | Change::Retained { .. }
            | Change::WillSet { .. } => false,
        }
    }

    /// Answers the oldest request to load when the tickets before it were handled. What is not written yet for lack of
    /// room is read nevertheless.
    pub(super) fn load(&mut self) -> Option<(ClientId, Vec<Delivery>)> {
        let oldest = self.waiting.front().map(|waiting| waiting.ticket);
        self.loads.front().filter(|load| self.is_full || oldest.is_none_or(|oldest| oldest > load.behind))?;
        let Load { client_id, after, count, behind } = self.loads.pop_front()?;
        let mut state = self.durable.clone();
        for waiting in self.waiting.iter().take_while(|waiting| waiting.ticket <= behind) {
            waiting.changes.iter().for_each(|change| apply(&mut state, change));
        }
        let session = state.sessions.iter().find(|session| session.client_id == client_id);
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
        self.newest = Ticket(0);
        self.waiting.clear();
        self.loads.clear();
        self.is_full = false;
    }
}

/// A row, or a session with all of its rows.
struct Key {
    name: String,
    /// Whether it stands for more than its row: whoever touches it meets it.
    is_whole: bool,
}

impl Key {
    fn new(name: String, is_whole: bool) -> Self {
        Self { name, is_whole }
    }

    fn meets(&self, other: &Self) -> bool {
        self.name == other.name && (self.is_whole || other.is_whole)
    }
}

/// The rows that a change touches.
fn keys(change: &Change) -> Vec<Key> {
    let row = |name: String| Key::new(name, true);
    let own = match change {
        Change::Retained { message, .. } => return vec![row(format!("retained {}", message.topic))],
        Change::RetainedCleared { topic } => return vec![row(format!("retained {topic}"))],
        Change::WillSet { client_id, .. }
        | Change::WillDelayed { client_id, .. }
        | Change::WillCleared { client_id } => {
            return vec![row(format!("will {client_id}"))];
        }
        Change::SessionKept { client_id, .. } | Change::SessionEnded { client_id } => {
            return vec![row(format!("session {client_id}"))];
        }
        Change::Subscribed { filter, .. } | Change::Unsubscribed { filter, .. } => format!("filter {filter}"),
        Change::Enqueued { delivery: Delivery { arrival, .. }, .. }
        | Change::Sent { arrival, .. }
        | Change::Released { arrival, .. }
        | Change::Dequeued { arrival, .. } => format!("delivery {arrival}"),
        Change::Received { packet_id, .. } | Change::Forgotten { packet_id, .. } => format!("received {packet_id:?}"),
    };
    let client_id = owner(change).expect("a row of a session");
    vec![row(format!("{client_id} {own}")), Key::new(format!("session {client_id}"), false)]
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
    match change.clone() {
        Change::Subscribed { filter, granted, replay, .. } => {
            session.subscriptions.retain(|(other, _)| *other != filter);
            session.replays.retain(|other| *other != filter);
            session.replays.extend(replay.then(|| filter.clone()));
            session.subscriptions.push((filter, granted));
        }
        Change::Unsubscribed { filter, .. } => {
            session.subscriptions.retain(|(other, _)| *other != filter);
            session.replays.retain(|other| *other != filter);
        }
        Change::Enqueued { delivery, .. } => {
            state.next_arrival = state.next_arrival.max(delivery.arrival + 1);
            session.deliveries.push(Kept { delivery, sent: None });
            session.deliveries.sort_by_key(|kept| kept.delivery.arrival);
        }
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
