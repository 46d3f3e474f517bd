//! The effect of changes in the plainest words, and random changes that a broker could make.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// What a restart must find.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Model {
    sessions: BTreeMap<ClientId, Session>,
    retained: BTreeMap<TopicName, Retained>,
    wills: BTreeMap<ClientId, KeptWill>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Session {
    /// `None`: only what belongs to the session is known, so there is no session.
    terms: Option<Terms>,
    /// What was granted, and whether retained messages are still to be sent.
    subscriptions: BTreeMap<TopicFilter, (Granted, bool)>,
    received: BTreeSet<PacketId>,
    deliveries: BTreeMap<u64, Kept>,
}

impl Model {
    pub(super) fn of<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Self {
        let mut model = Self::default();
        changes.into_iter().for_each(|change| model.apply(change));
        model.sessions.retain(|_, session| session.terms.is_some());
        model
    }

    pub(super) fn of_state(state: State) -> Self {
        let sessions = state.sessions.into_iter().map(|session| {
            let deliveries = session.deliveries.into_iter().map(|kept| (kept.delivery.arrival, kept)).collect();
            let replays: BTreeSet<_> = session.replays.into_iter().collect();
            let subscriptions = session.subscriptions.into_iter().map(|(filter, granted)| {
                let replay = replays.contains(&filter);
                (filter, (granted, replay))
            });
            let (subscriptions, received) = (subscriptions.collect(), session.received.into_iter().collect());
            let terms = Some(session.terms);
            (session.client_id, Session { terms, subscriptions, received, deliveries })
        });
        let retained = state.retained.into_iter().map(|kept| (kept.message.topic.clone(), kept));
        let wills = state.wills.into_iter().map(|kept| (kept.client_id.clone(), kept));
        Self { sessions: sessions.collect(), retained: retained.collect(), wills: wills.collect() }
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change.clone() {
            Change::SessionKept { client_id, terms } => self.session(&client_id).terms = Some(terms),
            Change::SessionEnded { client_id } => drop(self.sessions.remove(&client_id)),
            Change::Subscribed { client_id, filter, granted, replay } => {
                self.session(&client_id).subscriptions.insert(filter, (granted, replay));
            }
            Change::Unsubscribed { client_id, filter } => {
                self.session(&client_id).subscriptions.remove(&filter);
            }
            Change::Received { client_id, packet_id } => {
                self.session(&client_id).received.insert(packet_id);
            }
            Change::Forgotten { client_id, packet_id } => {
                self.session(&client_id).received.remove(&packet_id);
            }
            Change::Enqueued { client_id, delivery } => {
                let kept = Kept { delivery: delivery.clone(), sent: None };
                self.session(&client_id).deliveries.insert(delivery.arrival, kept);
            }
            Change::Sent { client_id, arrival, packet_id } => {
                let sent = Some(Sent { packet_id, phase: Phase::Sent });
                self.with_delivery(&client_id, arrival, |kept| kept.sent = sent);
            }
            Change::Released { client_id, arrival } => self.with_delivery(&client_id, arrival, |kept| {
                kept.sent = kept.sent.map(|sent| Sent { phase: Phase::Released, ..sent });
            }),
            Change::Dequeued { client_id, arrival } => drop(self.session(&client_id).deliveries.remove(&arrival)),
            Change::Retained { message, qos, owner } => {
                self.retained.insert(message.topic.clone(), Retained { message, qos, owner });
            }
            Change::RetainedCleared { topic } => drop(self.retained.remove(&topic)),
            Change::WillSet { client_id, user, will } => {
                self.wills.insert(client_id.clone(), KeptWill { client_id, user, will, due: None });
            }
            Change::WillDelayed { client_id, due } => {
                self.wills.entry(client_id).and_modify(|kept| kept.due = Some(due));
            }
            Change::WillCleared { client_id } => drop(self.wills.remove(&client_id)),
        }
    }

    fn session(&mut self, client_id: &ClientId) -> &mut Session {
        self.sessions.entry(client_id.clone()).or_default()
    }

    fn with_delivery(&mut self, client_id: &ClientId, arrival: u64, change: impl Fn(&mut Kept)) {
        self.session(client_id).deliveries.get_mut(&arrival).into_iter().for_each(change);
    }
}

/// Makes changes that fit to all earlier ones.
pub(super) struct Generator {
    pub(super) random: fastrand::Rng,
    pub(super) latest: Model,
    pub(super) next_arrival: u64,
}

impl Generator {
    /// A ticket of one to four changes, or of a few more where they belong together.
    pub(super) fn ticket(&mut self) -> Vec<Change> {
        let mut ticket = Vec::new();
        for _ in 0..self.random.usize(1..4) {
            let changes = self.changes();
            for change in &changes {
                self.latest.apply(change);
            }
            ticket.extend(changes);
        }
        ticket
    }

    fn changes(&mut self) -> Vec<Change> {
        let client_id = client(self.random.u8(..4));
        match self.random.u8(..10) {
            0 | 1 => vec![self.retained_or_cleared()],
            2 | 3 => vec![self.will(client_id)],
            _ if !self.latest.sessions.contains_key(&client_id) => vec![self.kept(client_id)],
            4 if self.random.bool() => self.end_and_reassign(client_id),
            4 => vec![self.kept(client_id)],
            5 => vec![self.subscription(client_id)],
            6 => vec![self.received_or_forgotten(client_id)],
            7 => self.enqueued_to_all(),
            _ => vec![self.delivery_step(client_id)],
        }
    }

    fn bytes(&mut self) -> usize {
        if self.random.bool() { self.random.usize(..100) } else { self.random.usize(..9_000) }
    }

    fn kept(&mut self, client_id: ClientId) -> Change {
        let ends = self.random.bool().then(|| at(self.random.u64(1_000..2_000)));
        Change::SessionKept { client_id, terms: Terms { ends, ..Terms::forever() } }
    }

    fn retained_or_cleared(&mut self) -> Change {
        let name = self.random.u8(..4);
        if self.latest.retained.contains_key(&topic(name)) && self.random.bool() {
            return Change::RetainedCleared { topic: topic(name) };
        }
        let owner = match self.random.u8(..3) {
            0 => Owner::Internal,
            1 => Owner::Anonymous,
            _ => Owner::User("internal".into()),
        };
        Change::Retained { message: message(name, self.bytes()), qos: QoS::AtLeastOnce, owner }
    }

    fn will(&mut self, client_id: ClientId) -> Change {
        match self.random.u8(..3) {
            0 if self.latest.wills.contains_key(&client_id) => Change::WillCleared { client_id },
            1 if self.latest.wills.contains_key(&client_id) => {
                Change::WillDelayed { client_id, due: at(self.random.u64(1_000..2_000)) }
            }
            _ => will_set(&client_id, self.bytes()),
        }
    }

    fn subscription(&mut self, client_id: ClientId) -> Change {
        let filter = filter(self.random.u8(..4));
        if self.latest.session(&client_id).subscriptions.contains_key(&filter) && self.random.bool() {
            return Change::Unsubscribed { client_id, filter };
        }
        let granted = Granted { no_local: self.random.bool(), ..Granted::new(QoS::AtLeastOnce) };
        Change::Subscribed { client_id, filter, granted, replay: self.random.bool() }
    }

    fn received_or_forgotten(&mut self, client_id: ClientId) -> Change {
        let packet_id = packet_id(self.random.u16(1..5));
        if self.latest.session(&client_id).received.contains(&packet_id) {
            Change::Forgotten { client_id, packet_id }
        } else {
            Change::Received { client_id, packet_id }
        }
    }

    fn enqueue(&mut self, client_id: ClientId, message: &Arc<Message>) -> Change {
        self.next_arrival += 1;
        Change::Enqueued { client_id, delivery: delivery(self.next_arrival, message) }
    }

    fn enqueued_to_all(&mut self) -> Vec<Change> {
        let message = message("m", self.bytes());
        let clients: Vec<_> = self.latest.sessions.keys().cloned().collect();
        clients.into_iter().map(|client_id| self.enqueue(client_id, &message)).collect()
    }

    /// The end of a session, whose deliveries go to another one, as those of a shared subscription do.
    fn end_and_reassign(&mut self, client_id: ClientId) -> Vec<Change> {
        let other = self.latest.sessions.keys().find(|other| **other != client_id).cloned();
        let deliveries: Vec<_> = self.latest.session(&client_id).deliveries.values().cloned().collect();
        let mut changes = Vec::new();
        for (kept, other) in deliveries.into_iter().zip(other.iter().cycle()) {
            changes.push(Change::Dequeued { client_id: client_id.clone(), arrival: kept.delivery.arrival });
            changes.push(self.enqueue(other.clone(), &kept.delivery.message));
        }
        changes.push(Change::SessionEnded { client_id });
        changes
    }

    fn delivery_step(&mut self, client_id: ClientId) -> Change {
        let kept: Vec<_> = self.latest.session(&client_id).deliveries.values().cloned().collect();
        let Some(kept) = self.random.choice(&kept) else {
            let message = message("m", self.bytes());
            return self.enqueue(client_id, &message);
        };
        let arrival = kept.delivery.arrival;
        match kept.sent.map(|sent| sent.phase) {
            None if self.random.bool() => Change::Sent { client_id, arrival, packet_id: packet_id(7) },
            Some(Phase::Sent) if self.random.bool() => Change::Released { client_id, arrival },
            _ => Change::Dequeued { client_id, arrival },
        }
    }
}
