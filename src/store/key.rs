//! The keys that changes are about. Two changes must be written in their order when they have a key in common, or when
//! one of them ends the session that the other one belongs to.

use super::pending::Pending;
use crate::mqtt::{ClientId, PacketId, TopicFilter, TopicName};

/// What one change is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// The end of a session, and with it everything that belongs to the session.
    SessionEnd(ClientId),
    /// The terms of a session.
    Terms(ClientId),
    Subscription(ClientId, TopicFilter),
    /// An identifier of a QoS 2 PUBLISH that was received.
    Received(ClientId, PacketId),
    /// A delivery by its arrival number.
    Delivery(u64),
    Retained(TopicName),
    Will(ClientId),
}

impl Pending {
    /// Returns the keys of all entries.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        let sessions = self.sessions.iter().flat_map(|(client_id, part)| {
            let end = part.ended.then(|| Key::SessionEnd(client_id.clone()));
            let terms = part.kept.as_ref().map(|_| Key::Terms(client_id.clone()));
            let filters = part.subscriptions.keys();
            let subscriptions = filters.map(|filter| Key::Subscription(client_id.clone(), filter.clone()));
            let received = part.received.keys().map(|packet_id| Key::Received(client_id.clone(), *packet_id));
            end.into_iter().chain(terms).chain(subscriptions).chain(received)
        });
        let deliveries = self.deliveries.keys().copied().map(Key::Delivery);
        let retained = self.retained.keys().cloned().map(Key::Retained);
        let wills = self.wills.keys().cloned().map(Key::Will);
        sessions.chain(deliveries).chain(retained).chain(wills)
    }

    /// Whether there is an entry for `key`.
    pub(super) fn contains(&self, key: &Key) -> bool {
        let session = |client_id| self.sessions.get(client_id);
        match key {
            Key::SessionEnd(client_id) => session(client_id).is_some_and(|part| part.ended),
            Key::Terms(client_id) => session(client_id).is_some_and(|part| part.kept.is_some()),
            Key::Subscription(client_id, filter) => {
                session(client_id).is_some_and(|part| part.subscriptions.contains_key(filter))
            }
            Key::Received(client_id, packet_id) => {
                session(client_id).is_some_and(|part| part.received.contains_key(packet_id))
            }
            Key::Delivery(arrival) => self.deliveries.contains_key(arrival),
            Key::Retained(topic) => self.retained.contains_key(topic),
            Key::Will(client_id) => self.wills.contains_key(client_id),
        }
    }

    /// Returns the clients whose sessions the entries belong to, some of them more than once.
    pub(super) fn clients(&self) -> impl Iterator<Item = &ClientId> {
        self.sessions.keys().chain(self.deliveries.values().map(|part| &part.client_id))
    }

    /// Returns the clients whose sessions ended.
    pub(super) fn ended(&self) -> impl Iterator<Item = &ClientId> {
        self.sessions.iter().filter(|(_, part)| part.ended).map(|(client_id, _)| client_id)
    }
}
