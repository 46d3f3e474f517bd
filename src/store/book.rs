//! Keys of rows by name: what indexes would be, in memory. Changed only behind a commit that succeeded.

use std::collections::{HashMap, HashSet};

use super::boot::Boots;
use crate::mqtt::{ClientId, PacketId, TopicFilter, TopicName};

/// Where everything with a name stands.
#[derive(Debug)]
pub(super) struct Book {
    /// What moments in rows count from.
    pub(super) boots: Boots,
    pub(super) sessions: HashMap<ClientId, Entry>,
    pub(super) retained: HashMap<TopicName, i64>,
    pub(super) wills: HashMap<ClientId, i64>,
    /// Deliveries of sessions that ended, to be removed a piece at a time.
    pub(super) garbage: Vec<Garbage>,
    last_key: i64,
}

/// One session.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) id: i64,
    pub(super) subscriptions: HashMap<TopicFilter, i64>,
    /// Rows of `received`.
    pub(super) received: HashSet<PacketId>,
    /// Rows of `delivery`.
    pub(super) deliveries: u64,
    /// No delivery stands before this.
    pub(super) lowest: i64,
}

/// What a session that ended left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Garbage {
    pub(super) session: i64,
    /// No delivery stands before this.
    pub(super) lowest: i64,
}

/// What a commit changed, taken over when it succeeded.
#[derive(Debug)]
pub(super) enum Effect {
    SessionEnded(ClientId),
    SessionStarted(ClientId, i64),
    Subscribed(ClientId, TopicFilter, i64),
    Unsubscribed(ClientId, TopicFilter),
    Received(ClientId, PacketId),
    Forgotten(ClientId, PacketId),
    DeliveryAdded(ClientId, i64),
    DeliveryRemoved(ClientId, i64),
    Retained(TopicName, i64),
    RetainedCleared(TopicName),
    WillSet(ClientId, i64),
    WillCleared(ClientId),
    /// When the present boot was.
    BootWritten(i64),
    /// The first piece of garbage has nothing before this, or is gone.
    Swept(Option<i64>),
}

impl Book {
    /// Of a file without rows.
    pub(super) fn new(boots: Boots) -> Self {
        let (sessions, retained, wills, garbage) = (HashMap::new(), HashMap::new(), HashMap::new(), Vec::new());
        Self { boots, sessions, retained, wills, garbage, last_key: 0 }
    }

    /// A key that was never given. Keys of sessions, subscriptions, retained messages and wills are one sequence, so
    /// that a session never gets the key of one whose deliveries are not yet swept.
    pub(super) fn fresh_key(&mut self) -> i64 {
        self.last_key += 1;
        self.last_key
    }

    /// Keys up to `key` are taken.
    pub(super) fn note_key(&mut self, key: i64) {
        self.last_key = self.last_key.max(key);
    }

    /// Takes over what a commit changed.
    pub(super) fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::SessionEnded(client_id) => self.end_session(&client_id),
            Effect::SessionStarted(client_id, id) => {
                self.sessions.insert(client_id, Entry { id, ..Entry::default() });
            }
            Effect::Subscribed(client_id, filter, key) => {
                self.with(&client_id, |entry| entry.subscriptions.insert(filter, key));
            }
            Effect::Unsubscribed(client_id, filter) => {
                self.with(&client_id, |entry| entry.subscriptions.remove(&filter));
            }
            Effect::Received(client_id, packet_id) => {
                self.with(&client_id, |entry| entry.received.insert(packet_id));
            }
            Effect::Forgotten(client_id, packet_id) => {
                self.with(&client_id, |entry| entry.received.remove(&packet_id));
            }
            Effect::DeliveryAdded(client_id, arrival) => self.with(&client_id, |entry| entry.add(arrival)),
            Effect::DeliveryRemoved(client_id, arrival) => self.with(&client_id, |entry| entry.remove(arrival)),
            Effect::Retained(topic, key) => {
                self.retained.insert(topic, key);
            }
            Effect::RetainedCleared(topic) => {
                self.retained.remove(&topic);
            }
            Effect::WillSet(client_id, key) => {
                self.wills.insert(client_id, key);
            }
            Effect::WillCleared(client_id) => {
                self.wills.remove(&client_id);
            }
            Effect::BootWritten(offset_ms) => self.boots.set_written(offset_ms),
            Effect::Swept(lowest) => self.swept(lowest),
        }
    }

    fn with<T>(&mut self, client_id: &ClientId, change: impl FnOnce(&mut Entry) -> T) {
        if let Some(entry) = self.sessions.get_mut(client_id) {
            change(entry);
        }
    }

    fn end_session(&mut self, client_id: &ClientId) {
        if let Some(entry) = self.sessions.remove(client_id)
            && entry.deliveries > 0
        {
            self.garbage.push(Garbage { session: entry.id, lowest: entry.lowest });
        }
    }

    fn swept(&mut self, lowest: Option<i64>) {
        match (lowest, self.garbage.first_mut()) {
            (Some(lowest), Some(first)) => first.lowest = lowest,
            (None, Some(_)) => {
                self.garbage.remove(0);
            }
            (_, None) => {}
        }
    }
}

impl Entry {
    pub(super) fn add(&mut self, arrival: i64) {
        if self.deliveries == 0 {
            self.lowest = arrival;
        }
        self.lowest = self.lowest.min(arrival);
        self.deliveries += 1;
    }

    fn remove(&mut self, arrival: i64) {
        self.deliveries = self.deliveries.saturating_sub(1);
        if arrival == self.lowest {
            self.lowest += 1;
        }
    }
}
