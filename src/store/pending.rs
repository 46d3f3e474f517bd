//! The net difference that changes make to what is on disk: one entry for each key, in which the last change counts.
//!
//! A message enqueued and acknowledged between two commits leaves no entry, so it is never written. Retained messages
//! of QoS 0 are not recorded here (`late`).

use std::collections::BTreeMap;

use super::book::Book;
use crate::base::clock::Monotonic;
use crate::broker::state::{Kept, KeptWill, Phase, Retained, Sent};
use crate::broker::{Change, Granted, Terms};
use crate::mqtt::{ClientId, PacketId, QoS, TopicFilter, TopicName};

/// A net difference.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    pub(super) sessions: BTreeMap<ClientId, SessionPart>,
    /// By arrival number.
    pub(super) deliveries: BTreeMap<u64, DeliveryPart>,
    /// `None`: cleared.
    pub(super) retained: BTreeMap<TopicName, Option<Retained>>,
    pub(super) wills: BTreeMap<ClientId, WillChange>,
}

/// What happened to a session.
#[derive(Clone, Debug, Default)]
pub(super) struct SessionPart {
    /// The session on disk ended. The other fields belong to a later session of the same client.
    pub(super) ended: bool,
    /// The session exists, on these terms.
    pub(super) kept: Option<Terms>,
    /// `None`: unsubscribed.
    pub(super) subscriptions: BTreeMap<TopicFilter, Option<Subscribed>>,
    /// Identifiers of QoS 2 messages: `true` for received, `false` for released.
    pub(super) received: BTreeMap<PacketId, bool>,
}

/// A subscription that was made or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subscribed {
    pub(super) granted: Granted,
    /// Whether retained messages are still to be sent.
    pub(super) replay: bool,
}

/// What happened to a delivery.
#[derive(Clone, Debug)]
pub(super) struct DeliveryPart {
    pub(super) client_id: ClientId,
    pub(super) what: DeliveryChange,
}

#[derive(Clone, Debug)]
pub(super) enum DeliveryChange {
    /// Not on disk yet.
    Insert(Kept),
    /// On disk, sent with a packet identifier.
    Sent(Sent),
    /// On disk with a packet identifier, received by the client (QoS 2).
    Released,
    /// On disk, no longer needed.
    Remove,
}

/// What happened to a will.
#[derive(Clone, Debug)]
pub(super) enum WillChange {
    /// A new one, or another in its place.
    Set(KeptWill),
    /// The one on disk waits until this moment.
    Delayed(Monotonic),
    /// The one on disk is no longer needed.
    Cleared,
}

impl Pending {
    /// Records a change, which counts more than all earlier ones of its key.
    pub(super) fn record(&mut self, change: &Change) {
        match change {
            Change::SessionKept { client_id, terms } => self.session(client_id).kept = Some(terms.clone()),
            Change::SessionEnded { client_id } => self.end_session(client_id),
            Change::Subscribed { client_id, filter, granted, replay } => {
                let subscribed = Subscribed { granted: *granted, replay: *replay };
                self.session(client_id).subscriptions.insert(filter.clone(), Some(subscribed));
            }
            Change::Unsubscribed { client_id, filter } => {
                self.session(client_id).subscriptions.insert(filter.clone(), None);
            }
            Change::Received { client_id, packet_id } => {
                self.session(client_id).received.insert(*packet_id, true);
            }
            Change::Forgotten { client_id, packet_id } => {
                self.session(client_id).received.insert(*packet_id, false);
            }
            message => self.record_message(message),
        }
    }

    fn record_message(&mut self, change: &Change) {
        match change {
            Change::Enqueued { client_id, delivery } => {
                let kept = Kept { delivery: delivery.clone(), sent: None };
                self.change_delivery(client_id, delivery.arrival, DeliveryChange::Insert(kept));
            }
            Change::Sent { client_id, arrival, packet_id } => {
                let sent = Sent { packet_id: *packet_id, phase: Phase::Sent };
                self.change_delivery(client_id, *arrival, DeliveryChange::Sent(sent));
            }
            Change::Released { client_id, arrival } => {
                self.change_delivery(client_id, *arrival, DeliveryChange::Released);
            }
            Change::Dequeued { client_id, arrival } => self.remove(client_id, *arrival),
            Change::Retained { qos: QoS::AtMostOnce, .. } => {}
            Change::Retained { message, qos, owner } => {
                let retained = Retained { message: message.clone(), qos: *qos, owner: owner.clone() };
                self.retained.insert(message.topic.clone(), Some(retained));
            }
            Change::RetainedCleared { topic } => {
                self.retained.insert(topic.clone(), None);
            }
            will => self.record_will(will),
        }
    }

    fn record_will(&mut self, change: &Change) {
        match change {
            Change::WillSet { client_id, user, will } => {
                let kept = KeptWill { client_id: client_id.clone(), user: user.clone(), will: will.clone(), due: None };
                self.change_will(client_id, WillChange::Set(kept));
            }
            Change::WillDelayed { client_id, due } => self.change_will(client_id, WillChange::Delayed(*due)),
            Change::WillCleared { client_id } => self.change_will(client_id, WillChange::Cleared),
            _ => {}
        }
    }

    fn session(&mut self, client_id: &ClientId) -> &mut SessionPart {
        self.sessions.entry(client_id.clone()).or_default()
    }

    fn end_session(&mut self, client_id: &ClientId) {
        self.sessions.insert(client_id.clone(), SessionPart { ended: true, ..SessionPart::default() });
        self.deliveries.retain(|_, part| part.client_id != *client_id);
    }

    /// The delivery is no longer needed.
    pub(super) fn remove(&mut self, client_id: &ClientId, arrival: u64) {
        self.change_delivery(client_id, arrival, DeliveryChange::Remove);
    }

    fn change_delivery(&mut self, client_id: &ClientId, arrival: u64, what: DeliveryChange) {
        let earlier = self.deliveries.get_mut(&arrival).map(|part| &mut part.what);
        match (earlier, what) {
            (Some(DeliveryChange::Insert(_)), DeliveryChange::Remove) => {
                self.deliveries.remove(&arrival);
            }
            (Some(DeliveryChange::Insert(kept)), DeliveryChange::Sent(sent)) => kept.sent = Some(sent),
            (
                Some(DeliveryChange::Insert(Kept { sent: Some(sent), .. }) | DeliveryChange::Sent(sent)),
                DeliveryChange::Released,
            ) => sent.phase = Phase::Released,
            // one that was never sent cannot have been received
            (Some(DeliveryChange::Insert(_)), DeliveryChange::Released) => {}
            (_, what) => {
                self.deliveries.insert(arrival, DeliveryPart { client_id: client_id.clone(), what });
            }
        }
    }

    fn change_will(&mut self, client_id: &ClientId, what: WillChange) {
        match (self.wills.get_mut(client_id), what) {
            (Some(WillChange::Set(kept)), WillChange::Delayed(due)) => kept.due = Some(due),
            // there is none any more
            (Some(WillChange::Cleared), WillChange::Delayed(_)) => {}
            (_, what) => {
                self.wills.insert(client_id.clone(), what);
            }
        }
    }

    /// Records all entries of `later`, which count more than those here. Entries that change nothing on disk are
    /// dropped, so that what is left is bounded by the rows on disk and by what the broker itself holds.
    pub(super) fn append(&mut self, later: Self, book: &Book) {
        for (client_id, part) in later.sessions {
            self.append_session(&client_id, part, book);
        }
        for (arrival, part) in later.deliveries {
            self.change_delivery(&part.client_id, arrival, part.what);
        }
        for (topic, retained) in later.retained {
            if retained.is_some() || book.retained.contains_key(&topic) {
                self.retained.insert(topic, retained);
            } else {
                self.retained.remove(&topic);
            }
        }
        for (client_id, what) in later.wills {
            self.change_will(&client_id, what);
            let is_set = matches!(self.wills.get(&client_id), Some(WillChange::Set(_)));
            if !is_set && !book.wills.contains_key(&client_id) {
                self.wills.remove(&client_id);
            }
        }
    }

    fn append_session(&mut self, client_id: &ClientId, later: SessionPart, book: &Book) {
        let on_disk = book.sessions.get(client_id);
        if later.ended {
            self.end_session(client_id);
        }
        let part = self.sessions.entry(client_id.clone()).or_default();
        part.ended &= on_disk.is_some();
        part.kept = later.kept.or(part.kept.take());
        // the subscriptions and identifiers of a session that ended are removed with it
        let rows = on_disk.filter(|_| !part.ended);
        for (filter, subscribed) in later.subscriptions {
            if subscribed.is_some() || rows.is_some_and(|entry| entry.subscriptions.contains_key(&filter)) {
                part.subscriptions.insert(filter, subscribed);
            } else {
                part.subscriptions.remove(&filter);
            }
        }
        for (packet_id, is_received) in later.received {
            if is_received || rows.is_some_and(|entry| entry.received.contains(&packet_id)) {
                part.received.insert(packet_id, is_received);
            } else {
                part.received.remove(&packet_id);
            }
        }
        if part.is_empty() {
            self.sessions.remove(client_id);
        }
    }

    /// Whether an entry adds a row. The others remove rows or update them in place. `removed` is what is written
    /// before the entries.
    pub(super) fn needs_room(&self, book: &Book, removed: &Self) -> bool {
        self.deliveries.values().any(|part| matches!(part.what, DeliveryChange::Insert(_)))
            || self.retained.values().any(Option::is_some)
            || self.wills.values().any(|will| matches!(will, WillChange::Set(_)))
            || self.sessions.iter().any(|(client_id, part)| part.needs_room(client_id, book, removed))
    }

    /// The number of sessions, deliveries, retained messages and wills with an entry.
    pub(super) fn size(&self) -> usize {
        self.sessions.len() + self.deliveries.len() + self.retained.len() + self.wills.len()
    }

    /// Whether there is no entry.
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.deliveries.is_empty() && self.retained.is_empty() && self.wills.is_empty()
    }
}

impl SessionPart {
    fn needs_room(&self, client_id: &ClientId, book: &Book, removed: &Pending) -> bool {
        let removed = removed.sessions.get(client_id);
        let is_ended = self.ended || removed.is_some_and(|part| part.ended);
        let rows = book.sessions.get(client_id).filter(|_| !is_ended);
        let is_removed = |filter| removed.is_some_and(|part| part.subscriptions.get(filter) == Some(&None));
        let has_row =
            |filter| rows.is_some_and(|entry| entry.subscriptions.contains_key(filter)) && !is_removed(filter);
        self.kept.is_some() && rows.is_none()
            || self.subscriptions.iter().any(|(filter, subscribed)| subscribed.is_some() && !has_row(filter))
            || self.received.values().any(|is_received| *is_received)
    }

    fn is_empty(&self) -> bool {
        !self.ended && self.kept.is_none() && self.subscriptions.is_empty() && self.received.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::book::Effect;
    use super::super::boot::{Boots, Clocks};
    use super::*;
    use crate::base::clock::Wall;
    use crate::base::ids::BootId;
    use crate::broker::{Delivery, Message, Owner};
    use crate::mqtt::{MessageProperties, Will};

    fn client() -> ClientId {
        ClientId::new("c")
    }

    fn topic() -> TopicName {
        TopicName::new("t").unwrap()
    }

    fn filter() -> TopicFilter {
        TopicFilter::new("f").unwrap()
    }

    fn packet_id() -> PacketId {
        PacketId::new(9).unwrap()
    }

    fn message(payload: &'static str) -> Arc<Message> {
        Arc::new(Message::new(topic(), payload.into()))
    }

    /// A book of a file with a row of each kind that `changes` name.
    fn book(effects: impl IntoIterator<Item = Effect>) -> Book {
        let clocks = Clocks { boot_id: BootId::new("b"), monotonic: Monotonic::ZERO, wall: Wall::default() };
        let mut book = Book::new(Boots::new(&clocks));
        effects.into_iter().for_each(|effect| book.apply(effect));
        book
    }

    fn full_book() -> Book {
        book([
            Effect::SessionStarted(client(), 1),
            Effect::Subscribed(client(), filter(), 2),
            Effect::Received(client(), packet_id()),
            Effect::Retained(topic(), 3),
            Effect::WillSet(client(), 4),
        ])
    }

    fn enqueued(arrival: u64) -> Change {
        let delivery = Delivery { arrival, message: message("x"), qos: QoS::ExactlyOnce, retain: false, marks: None };
        Change::Enqueued { client_id: client(), delivery }
    }

    fn sent(arrival: u64) -> Change {
        Change::Sent { client_id: client(), arrival, packet_id: packet_id() }
    }

    fn released(arrival: u64) -> Change {
        Change::Released { client_id: client(), arrival }
    }

    fn dequeued(arrival: u64) -> Change {
        Change::Dequeued { client_id: client(), arrival }
    }

    fn kept(ends: Option<Monotonic>) -> Change {
        Change::SessionKept { client_id: client(), terms: Terms { ends, ..Terms::forever() } }
    }

    fn ended() -> Change {
        Change::SessionEnded { client_id: client() }
    }

    fn retained() -> Change {
        Change::Retained { message: message("r"), qos: QoS::AtLeastOnce, owner: Owner::Anonymous }
    }

    fn will_set() -> Change {
        let will = Will {
            topic: topic(),
            payload: "gone".into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            delay_interval_s: 9,
            message_expiry_interval_s: None,
            properties: MessageProperties::NONE,
        };
        Change::WillSet { client_id: client(), user: None, will }
    }

    fn additions() -> Vec<Change> {
        let granted = Granted::new(QoS::AtMostOnce);
        vec![
            kept(None),
            Change::Subscribed { client_id: client(), filter: filter(), granted, replay: true },
            Change::Received { client_id: client(), packet_id: packet_id() },
            enqueued(1),
            retained(),
            will_set(),
        ]
    }

    fn removals() -> Vec<Change> {
        vec![
            Change::Unsubscribed { client_id: client(), filter: filter() },
            Change::Forgotten { client_id: client(), packet_id: packet_id() },
            dequeued(1),
            Change::RetainedCleared { topic: topic() },
            Change::WillCleared { client_id: client() },
            ended(),
        ]
    }

    fn pending(changes: &[Change]) -> Pending {
        let mut pending = Pending::default();
        for change in changes {
            pending.record(change);
        }
        pending
    }

    /// The same, each change appended as a difference of its own.
    fn appended(changes: &[Change], book: &Book) -> Pending {
        let mut all = Pending::default();
        for change in changes {
            all.append(pending(std::slice::from_ref(change)), book);
        }
        all
    }

    #[test]
    fn what_comes_and_goes_leaves_nothing() {
        let changes = [enqueued(1), sent(1), released(1), dequeued(1)];
        assert!(pending(&changes).is_empty());
        assert!(appended(&changes, &book([])).is_empty());
    }

    #[test]
    fn a_delivery_is_written_once_with_all_that_happened_to_it() {
        let changes = [enqueued(1), sent(1), released(1)];
        for pending in [pending(&changes), appended(&changes, &book([]))] {
            let DeliveryChange::Insert(kept) = &pending.deliveries[&1].what else { panic!("{pending:?}") };
            assert_eq!(kept.sent, Some(Sent { packet_id: packet_id(), phase: Phase::Released }));
        }
    }

    #[test]
    fn the_end_of_a_session_takes_what_was_enqueued_for_it() {
        let changes = [enqueued(1), ended(), kept(None), enqueued(2)];
        for pending in [pending(&changes), appended(&changes, &full_book())] {
            assert_eq!(pending.deliveries.keys().collect::<Vec<_>>(), [&2]);
            let part = &pending.sessions[&client()];
            assert!(part.ended && part.kept.is_some());
        }
    }

    #[test]
    fn everything_that_was_added_and_removed_before_it_was_on_disk_leaves_nothing() {
        let changes = [additions(), removals()].concat();
        assert!(appended(&changes, &book([])).is_empty());
        // one kind at a time
        for (added, removed) in additions().iter().skip(1).zip(removals()) {
            let pending = appended(&[added.clone(), removed.clone()], &book([]));
            assert!(pending.is_empty(), "{removed:?} leaves {pending:?}");
        }
    }

    #[test]
    fn what_is_on_disk_is_removed_however_often_it_was_replaced() {
        for (added, removed) in
            additions().iter().skip(1).zip(removals()).filter(|(_, removed)| *removed != dequeued(1))
        {
            let pending = appended(&[removed.clone(), added.clone(), removed.clone()], &full_book());
            assert_eq!(pending.keys().count(), 1, "{removed:?} leaves {pending:?}");
        }
        let of_another_session = [&[ended(), kept(None)], &additions()[1..3], &removals()[..2]].concat();
        let pending = appended(&of_another_session, &full_book());
        let part = &pending.sessions[&client()];
        assert_eq!((part.ended, part.subscriptions.len(), part.received.len()), (true, 0, 0));
    }

    #[test]
    fn only_what_adds_a_row_needs_room() {
        let needs_room =
            |changes: &[Change], book: &Book, removed: &[Change]| pending(changes).needs_room(book, &pending(removed));
        for change in additions() {
            assert!(needs_room(std::slice::from_ref(&change), &book([]), &[]), "{change:?}");
        }
        let delayed = Change::WillDelayed { client_id: client(), due: Monotonic::ZERO };
        for change in removals().into_iter().chain([sent(1), released(1), delayed]) {
            assert!(!needs_room(std::slice::from_ref(&change), &book([]), &[]), "{change:?}");
        }
        // the terms and the subscription of a session on disk are updated in place
        for change in &additions()[..2] {
            let change = std::slice::from_ref(change);
            assert!(!needs_room(change, &full_book(), &[]));
            assert!(needs_room(&[&[ended()], change].concat(), &full_book(), &[]));
            assert!(needs_room(change, &full_book(), &[ended()]));
        }
        assert!(needs_room(&additions()[1..2], &full_book(), &removals()[..1]), "its row is removed before");
    }

    #[test]
    fn retained_messages_of_qos_0_are_not_recorded() {
        assert!(
            pending(&[Change::Retained { message: message("0"), qos: QoS::AtMostOnce, owner: Owner::Anonymous }])
                .is_empty()
        );
    }

    #[test]
    fn a_delay_belongs_to_the_will_that_was_set_last() {
        let due = Monotonic::from_boot(std::time::Duration::from_secs(9));
        let delayed = Change::WillDelayed { client_id: client(), due };
        let cleared = Change::WillCleared { client_id: client() };
        let due_of = |changes: &[Change]| match pending(changes).wills.remove(&client()) {
            Some(WillChange::Set(kept)) => ("set", kept.due),
            Some(WillChange::Delayed(due)) => ("delayed", Some(due)),
            Some(WillChange::Cleared) => ("cleared", None),
            None => ("none", None),
        };
        assert_eq!(due_of(&[will_set(), delayed.clone()]), ("set", Some(due)));
        assert_eq!(due_of(&[delayed.clone(), will_set()]), ("set", None));
        assert_eq!(due_of(std::slice::from_ref(&delayed)), ("delayed", Some(due)));
        assert_eq!(due_of(&[cleared, delayed]), ("cleared", None));
    }
}
