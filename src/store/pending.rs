//! The net difference between what was asked and what is on disk.
//!
//! A message enqueued and acknowledged between two commits leaves nothing here, so it is never written. What could not
//! be written stays, so that disk and memory meet again when there is room. Bounded by what the broker itself holds:
//! each entry stands for something it remembers, or for a row on disk that is to go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::book::Book;
use crate::base::clock::Monotonic;
use crate::broker::state::{Kept, KeptWill, Phase, Retained, Sent};
use crate::broker::{Change, Delivery, Granted, Message, Owner, Terms};
use crate::mqtt::{ClientId, PacketId, QoS, TopicFilter, TopicName};

/// Facts by what they are about, the last one wins.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) sessions: BTreeMap<ClientId, SessionPart>,
    /// By arrival number.
    pub(super) deliveries: BTreeMap<u64, DeliveryPart>,
    /// `None`: cleared.
    pub(super) retained: BTreeMap<TopicName, Option<Retained>>,
    pub(super) wills: BTreeMap<ClientId, WillChange>,
    /// Retained messages of QoS 0 that may be written later.
    late: BTreeMap<TopicName, Arc<Message>>,
    /// When the first of them came.
    late_since: Option<Monotonic>,
}

/// What happened to a session.
#[derive(Debug, Default)]
pub(super) struct SessionPart {
    /// The one on disk is gone; what follows belongs to a new one.
    pub(super) ended: bool,
    /// It is there, on these terms.
    pub(super) kept: Option<Terms>,
    /// `None`: unsubscribed.
    pub(super) subscriptions: BTreeMap<TopicFilter, Option<Granted>>,
    /// Whether it is remembered or forgotten.
    pub(super) received: BTreeMap<PacketId, bool>,
}

/// What happened to a delivery.
#[derive(Debug)]
pub(super) struct DeliveryPart {
    pub(super) client_id: ClientId,
    pub(super) what: DeliveryChange,
}

#[derive(Debug)]
pub(super) enum DeliveryChange {
    /// Not on disk yet.
    Insert(Kept),
    /// On disk, went out under an identifier.
    Sent(Sent),
    /// On disk under an identifier, the receiver has it.
    Released,
    /// On disk, no longer needed.
    Remove,
}

/// What happened to a will.
#[derive(Debug)]
pub(super) enum WillChange {
    /// A new one, or another in its place.
    Set(KeptWill),
    /// The one on disk waits until then.
    Delayed(Monotonic),
    /// The one on disk is no longer needed.
    Cleared,
}

impl Pending {
    /// Takes a fact in.
    pub(super) fn record(&mut self, change: &Change, now: Monotonic) {
        match change {
            Change::SessionKept { client_id, terms } => self.session(client_id).kept = Some(terms.clone()),
            Change::SessionEnded { client_id } => self.end_session(client_id),
            Change::Subscribed { client_id, filter, granted, .. } => {
                self.session(client_id).subscriptions.insert(filter.clone(), Some(*granted));
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
            Change::WillSet { client_id, user, will } => {
                let kept = KeptWill { client_id: client_id.clone(), user: user.clone(), will: will.clone(), due: None };
                self.wills.insert(client_id.clone(), WillChange::Set(kept));
            }
            Change::WillDelayed { client_id, due } => self.delay_will(client_id, *due),
            Change::WillCleared { client_id } => {
                self.wills.insert(client_id.clone(), WillChange::Cleared);
            }
            message => self.record_message(message, now),
        }
    }

    fn record_message(&mut self, change: &Change, now: Monotonic) {
        match change {
            Change::Enqueued { client_id, delivery } => {
                let kept = Kept { delivery: delivery.clone(), sent: None };
                self.set_delivery(client_id, delivery.arrival, DeliveryChange::Insert(kept));
            }
            Change::Sent { client_id, arrival, packet_id } => self.send(client_id, *arrival, *packet_id),
            Change::Released { client_id, arrival } => self.release(client_id, *arrival),
            Change::Dequeued { client_id, arrival } => self.remove(client_id, *arrival),
            Change::Retained { message, qos, .. } => self.retain(message, *qos, now),
            Change::RetainedCleared { topic } => {
                self.late.remove(topic);
                self.retained.insert(topic.clone(), None);
            }
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

    fn delay_will(&mut self, client_id: &ClientId, due: Monotonic) {
        match self.wills.get_mut(client_id) {
            Some(WillChange::Set(kept)) => kept.due = Some(due),
            // there is none any more
            Some(WillChange::Cleared) => {}
            Some(WillChange::Delayed(_)) | None => {
                self.wills.insert(client_id.clone(), WillChange::Delayed(due));
            }
        }
    }

    fn set_delivery(&mut self, client_id: &ClientId, arrival: u64, what: DeliveryChange) {
        self.deliveries.insert(arrival, DeliveryPart { client_id: client_id.clone(), what });
    }

    fn send(&mut self, client_id: &ClientId, arrival: u64, packet_id: PacketId) {
        let sent = Sent { packet_id, phase: Phase::Sent };
        match self.deliveries.get_mut(&arrival) {
            Some(DeliveryPart { what: DeliveryChange::Insert(kept), .. }) => kept.sent = Some(sent),
            _ => self.set_delivery(client_id, arrival, DeliveryChange::Sent(sent)),
        }
    }

    fn release(&mut self, client_id: &ClientId, arrival: u64) {
        match self.deliveries.get_mut(&arrival).map(|part| &mut part.what) {
            Some(DeliveryChange::Insert(Kept { sent: Some(sent), .. }) | DeliveryChange::Sent(sent)) => {
                sent.phase = Phase::Released;
            }
            _ => self.set_delivery(client_id, arrival, DeliveryChange::Released),
        }
    }

    /// The delivery is no longer needed.
    pub(super) fn remove(&mut self, client_id: &ClientId, arrival: u64) {
        match self.deliveries.get(&arrival) {
            Some(DeliveryPart { what: DeliveryChange::Insert(_), .. }) => {
                self.deliveries.remove(&arrival);
            }
            _ => self.set_delivery(client_id, arrival, DeliveryChange::Remove),
        }
    }

    /// One of QoS 0 waits for company. An earlier one of QoS 1 or 2 of the same topic is written nevertheless: it was
    /// or will be acknowledged.
    fn retain(&mut self, message: &Arc<Message>, qos: QoS, now: Monotonic) {
        let topic = message.topic.clone();
        if qos == QoS::AtMostOnce {
            self.late.insert(topic, message.clone());
            self.late_since.get_or_insert(now);
        } else {
            self.late.remove(&topic);
            self.retained.insert(topic, Some(Retained { message: message.clone(), qos, owner: Owner::Anonymous }));
        }
    }

    /// When the late ones are due, `coalesce` behind the first of them.
    pub(super) fn late_due(&self, coalesce: Duration) -> Option<Monotonic> {
        self.late_since.map(|since| since + coalesce)
    }

    /// The late ones wait no longer.
    pub(super) fn take_late(&mut self) {
        self.late_since = None;
        for (topic, message) in std::mem::take(&mut self.late) {
            self.retained.insert(topic, Some(Retained { message, qos: QoS::AtMostOnce, owner: Owner::Anonymous }));
        }
    }

    /// Whether nothing waits but the late ones.
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.deliveries.is_empty() && self.retained.is_empty() && self.wills.is_empty()
    }

    /// Everything but the late ones is on disk.
    pub(super) fn clear(&mut self) {
        self.sessions.clear();
        self.deliveries.clear();
        self.retained.clear();
        self.wills.clear();
    }

    /// What needs no room is on disk, as the book knows already; the rest stays.
    pub(super) fn clear_relief(&mut self, book: &Book) {
        self.sessions.retain(|client_id, part| {
            part.ended = false;
            // the row of a session that was there was written anew in place
            part.kept.take_if(|_| book.sessions.contains_key(client_id));
            part.subscriptions.retain(|_, granted| granted.is_some());
            part.received.retain(|_, remembered| *remembered);
            part.kept.is_some() || !part.subscriptions.is_empty() || !part.received.is_empty()
        });
        self.deliveries.retain(|_, part| matches!(part.what, DeliveryChange::Insert(_)));
        self.retained.retain(|_, retained| retained.is_some());
        self.wills.retain(|_, will| matches!(will, WillChange::Set(_)));
    }

    /// Whether what this change is about is not as durable as the change asks.
    pub(super) fn concerns(&self, change: &Change) -> bool {
        match change {
            Change::SessionKept { client_id, .. } | Change::SessionEnded { client_id } => {
                self.sessions.get(client_id).is_some_and(|part| part.kept.is_some() || part.ended)
            }
            Change::Subscribed { client_id, filter, .. } | Change::Unsubscribed { client_id, filter } => {
                self.sessions.get(client_id).is_some_and(|part| part.subscriptions.contains_key(filter))
            }
            Change::Received { client_id, packet_id } | Change::Forgotten { client_id, packet_id } => {
                self.sessions.get(client_id).is_some_and(|part| part.received.contains_key(packet_id))
            }
            Change::Enqueued { delivery: Delivery { arrival, .. }, .. }
            | Change::Sent { arrival, .. }
            | Change::Released { arrival, .. }
            | Change::Dequeued { arrival, .. } => self.deliveries.contains_key(arrival),
            Change::Retained { qos: QoS::AtMostOnce, .. } => false,
            Change::Retained { message, .. } => self.retained.contains_key(&message.topic),
            Change::RetainedCleared { topic } => self.retained.contains_key(topic),
            Change::WillSet { client_id, .. }
            | Change::WillDelayed { client_id, .. }
            | Change::WillCleared { client_id } => self.wills.contains_key(client_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::book::Effect;
    use super::super::boot::{Boots, Clocks};
    use super::*;
    use crate::base::clock::Wall;
    use crate::base::ids::BootId;
    use crate::mqtt::{MessageProperties, Will};

    fn client() -> ClientId {
        ClientId::new("c")
    }

    fn message(payload: &'static str) -> Arc<Message> {
        Arc::new(Message::new(TopicName::new("t").unwrap(), payload.into()))
    }

    fn book() -> Book {
        let clocks = Clocks { boot_id: BootId::new("b"), monotonic: Monotonic::ZERO, wall: Wall::default() };
        Book::new(Boots::new(&clocks))
    }

    fn enqueued(arrival: u64) -> Change {
        let delivery = Delivery { arrival, message: message("x"), qos: QoS::ExactlyOnce, retain: false, marks: None };
        Change::Enqueued { client_id: client(), delivery }
    }

    fn sent(arrival: u64) -> Change {
        Change::Sent { client_id: client(), arrival, packet_id: PacketId::new(9).unwrap() }
    }

    fn pending(changes: &[Change]) -> Pending {
        let mut pending = Pending::default();
        for change in changes {
            pending.record(change, Monotonic::ZERO);
        }
        pending
    }

    #[test]
    fn what_comes_and_goes_leaves_nothing() {
        let (client_id, arrival) = (client(), 1);
        let pending = pending(&[
            enqueued(1),
            sent(1),
            Change::Released { client_id: client_id.clone(), arrival },
            Change::Dequeued { client_id, arrival },
        ]);
        assert!(pending.is_empty());
    }

    #[test]
    fn a_delivery_is_written_once_with_all_that_happened_to_it() {
        let pending = pending(&[enqueued(1), sent(1), Change::Released { client_id: client(), arrival: 1 }]);
        let DeliveryChange::Insert(kept) = &pending.deliveries[&1].what else { panic!("{pending:?}") };
        assert_eq!(kept.sent, Some(Sent { packet_id: PacketId::new(9).unwrap(), phase: Phase::Released }));
    }

    #[test]
    fn the_end_of_a_session_takes_what_was_enqueued_for_it() {
        let pending = pending(&[
            enqueued(1),
            Change::SessionEnded { client_id: client() },
            Change::SessionKept { client_id: client(), terms: Terms::forever() },
            enqueued(2),
        ]);
        assert_eq!(pending.deliveries.keys().collect::<Vec<_>>(), [&2]);
        let part = &pending.sessions[&client()];
        assert!(part.ended && part.kept.is_some());
    }

    #[test]
    fn retained_of_qos_0_wait_from_the_first_and_the_newest_stays() {
        let mut pending = Pending::default();
        let at = |s| Monotonic::from_boot(Duration::from_secs(s));
        for (s, payload) in [(5, "a"), (6, "b"), (7, "c")] {
            pending.record(
                &Change::Retained { message: message(payload), qos: QoS::AtMostOnce, owner: Owner::Anonymous },
                at(s),
            );
        }
        assert!(pending.is_empty());
        assert_eq!(pending.late_due(Duration::from_secs(30)), Some(at(35)));
        pending.take_late();
        let kept = pending.retained.values().flatten().map(|kept| kept.message.payload.clone()).collect::<Vec<_>>();
        assert_eq!(kept, ["c"]);
        assert_eq!(pending.late_due(Duration::from_secs(30)), None);
    }

    #[test]
    fn an_acknowledged_retained_message_is_not_swallowed_by_a_late_one_and_ends_an_older_late_one() {
        let acknowledged = Change::Retained { message: message("1"), qos: QoS::AtLeastOnce, owner: Owner::Anonymous };
        let late = |text| Change::Retained { message: message(text), qos: QoS::AtMostOnce, owner: Owner::Anonymous };
        let mut both = pending(&[late("0"), acknowledged, late("2")]);
        let now: Vec<_> = both.retained.values().flatten().map(|kept| kept.message.payload.clone()).collect();
        assert_eq!(now, ["1"]);
        both.clear();
        both.take_late();
        let later: Vec<_> = both.retained.values().flatten().map(|kept| kept.message.payload.clone()).collect();
        assert_eq!(later, ["2"]);
        let mut cleared = pending(&[late("0"), Change::RetainedCleared { topic: TopicName::new("t").unwrap() }]);
        cleared.take_late();
        assert!(cleared.retained.values().all(Option::is_none));
    }

    #[test]
    fn relief_leaves_what_needs_room_and_concerns_tells_it() {
        let removed = Change::Dequeued { client_id: client(), arrival: 1 };
        let mut pending = pending(&[removed.clone(), enqueued(2), sent(2), sent(3)]);
        pending.clear_relief(&book());
        assert_eq!(
            [&removed, &enqueued(2), &sent(2), &sent(3)].map(|c| pending.concerns(c)),
            [false, true, true, false]
        );
        pending.record(&Change::Dequeued { client_id: client(), arrival: 2 }, Monotonic::ZERO);
        assert!(pending.is_empty());
    }

    fn kept(ends: Option<Monotonic>) -> Change {
        Change::SessionKept { client_id: client(), terms: Terms { ends, ..Terms::forever() } }
    }

    #[test]
    fn new_terms_of_a_session_on_disk_need_no_room_and_those_of_a_new_one_do() {
        let changes = [kept(None), kept(Some(Monotonic::ZERO))];
        let mut fresh = pending(&changes);
        assert_eq!(fresh.sessions[&client()].kept.as_ref().unwrap().ends, Some(Monotonic::ZERO));
        fresh.clear_relief(&book());
        assert!(fresh.concerns(&changes[1]));
        let mut known = book();
        known.apply(Effect::SessionStarted(client(), 1));
        fresh.clear_relief(&known);
        assert!(fresh.is_empty());
    }

    #[test]
    fn a_delay_belongs_to_the_will_that_was_set_last() {
        let (client_id, due) = (client(), Monotonic::from_boot(Duration::from_secs(9)));
        let set = Change::WillSet { client_id: client(), user: None, will: will() };
        let delayed = Change::WillDelayed { client_id: client(), due };
        let due_of = |changes: &[Change]| match pending(changes).wills.remove(&client()) {
            Some(WillChange::Set(kept)) => ("set", kept.due),
            Some(WillChange::Delayed(due)) => ("delayed", Some(due)),
            Some(WillChange::Cleared) => ("cleared", None),
            None => ("none", None),
        };
        let cleared = Change::WillCleared { client_id };
        assert_eq!(due_of(&[set.clone(), delayed.clone()]), ("set", Some(due)));
        assert_eq!(due_of(&[delayed.clone(), set]), ("set", None));
        assert_eq!(due_of(std::slice::from_ref(&delayed)), ("delayed", Some(due)));
        assert_eq!(due_of(&[cleared, delayed.clone()]), ("cleared", None));
        let mut relieved = pending(std::slice::from_ref(&delayed));
        assert!(relieved.concerns(&delayed));
        relieved.clear_relief(&book());
        assert!(relieved.is_empty());
    }

    fn will() -> Will {
        Will {
            topic: TopicName::new("w").unwrap(),
            payload: "gone".into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            delay_interval_s: 9,
            message_expiry_interval_s: None,
            properties: MessageProperties::NONE,
        }
    }
}
