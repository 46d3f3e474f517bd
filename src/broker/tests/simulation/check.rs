//! What the machine does, held against the model: each change and each packet.

use super::super::super::{Change, Delivery};
use super::disk::owner;
use super::model::{Content, Model, Open, Owed, Says, UNSEALED, is_too_large, sorted};
use super::*;

/// The client of the simulation that has this identifier.
pub(super) fn number(client_id: &ClientId) -> usize {
    client_id.as_str()[1..].parse().unwrap()
}

/// What a delivery says of itself.
struct Shown {
    topic: String,
    payload: Vec<u8>,
    qos: QoS,
    retain: bool,
    /// `None` where the receiver's version has no word for them.
    ids: Option<Vec<u32>>,
    expires: Expires,
}

/// What a receiver is told of a message's end.
enum Expires {
    /// Its version has no word for it.
    Untold,
    Never,
    Between(Monotonic, Monotonic),
}

impl Shown {
    fn is(&self, owed: &Owed) -> bool {
        self.says(&owed.content) && (self.qos, self.retain) == (owed.qos, owed.retain) && self.has_ids(&owed.ids)
    }

    fn says(&self, content: &Content) -> bool {
        let expires = match (&self.expires, content.expires) {
            (Expires::Untold, _) | (Expires::Never, None) => true,
            (Expires::Between(first, last), Some(expires)) => (*first..=*last).contains(&expires),
            _ => false,
        };
        self.topic == content.topic && self.payload[..] == content.payload[..] && expires
    }

    fn has_ids(&self, ids: &[u32]) -> bool {
        self.ids.as_ref().is_none_or(|own| own == ids)
    }

    fn of(delivery: &Delivery) -> Self {
        Self {
            topic: delivery.message.topic.to_string(),
            payload: delivery.message.payload.to_vec(),
            qos: delivery.qos,
            retain: delivery.retain,
            ids: Some(sorted(delivery.subscription_ids().iter().copied())),
            expires: delivery.message.expires.map_or(Expires::Never, |moment| Expires::Between(moment, moment)),
        }
    }

    /// As a group's message for `client`.
    fn fits(&self, open: &Open, client: usize) -> bool {
        let Open { owed, candidates, is_widened, .. } = open;
        self.says(&owed.content)
            && candidates.iter().filter(|(candidate, _)| *candidate == client).any(|(_, granted)| {
                let retain = owed.retain && granted.retain_as_published;
                let most = granted.qos.min(owed.qos);
                (self.qos == most || *is_widened && self.qos < most)
                    && (self.retain == retain || self.retain == owed.retain || *is_widened && !self.retain)
                    && self.has_ids(&sorted(granted.id.into_iter()))
            })
    }
}

impl Model {
    /// Takes in what the machine recorded: it is what the model expects, or stands to reason.
    pub(super) fn observe(&mut self, changes: &[Change]) {
        for (place, change) in changes.iter().enumerate() {
            let Some(client_id) = owner(change) else { continue };
            let ends =
                |later: &Change| matches!(later, Change::SessionEnded { client_id: ended } if ended == client_id);
            if !changes[place..].iter().any(ends) {
                self.observe_of(number(client_id), change);
            }
        }
    }

    fn observe_of(&mut self, client: usize, change: &Change) {
        match change {
            Change::Enqueued { delivery, .. } => self.enqueued(client, delivery),
            Change::Sent { arrival, packet_id, .. } => self.sent(client, *arrival, packet_id.get()),
            Change::Dequeued { arrival, .. } => self.dequeued(client, *arrival),
            _ => {}
        }
    }

    fn enqueued(&mut self, client: usize, delivery: &Delivery) {
        let shown = Shown::of(delivery);
        let share = delivery.marks.as_ref().and_then(|marks| marks.share.as_ref());
        if let Some(share) = share {
            let share = share.as_str();
            // of equal ones the latest: what is recorded is not late
            let place = self.open.iter().rposition(|open| open.filter == share && shown.fits(open, client));
            let open = self.open.remove(place.unwrap_or_else(|| panic!("{delivery:?} is not for c{client}")));
            let owed =
                Owed { qos: shown.qos, retain: shown.retain, ids: shown.ids.clone().unwrap_or_default(), ..open.owed };
            self.sessions.get_mut(&client).unwrap().owed.push(owed);
            for answer in self.connections.values_mut().flat_map(|connection| &mut connection.answers) {
                let is_of_message = matches!(answer.says, Says::PubAck(..) | Says::PubRec(..));
                answer.is_durable |= answer.ticket == UNSEALED && is_of_message;
            }
        }
        let session = self.sessions.get_mut(&client).unwrap();
        let is_it = |owed: &&mut Owed| {
            owed.arrival.is_none() && owed.share.as_deref() == share.map(TopicFilter::as_str) && shown.is(owed)
        };
        let Some(owed) = session.owed.iter_mut().find(is_it) else { panic!("{delivery:?} is not for c{client}") };
        assert_eq!(owed.content.expires, delivery.message.expires, "when {delivery:?} expires");
        owed.arrival = Some(delivery.arrival);
        session.owed.sort_by_key(|owed| owed.arrival.unwrap_or(u64::MAX));
    }

    fn sent(&mut self, client: usize, arrival: u64, packet_id: u16) {
        let session = self.sessions.get_mut(&client).unwrap();
        let Some(serial) = session.connection.or(self.gone.get(&client).copied()) else {
            panic!("something is sent to c{client}, which is not there")
        };
        let is_free = session.owed.iter().all(|owed| owed.sent.is_none_or(|sent| sent.0 != packet_id) || owed.is_done);
        assert!(is_free, "identifier {packet_id} is in use for c{client}");
        let first = session.owed.iter_mut().find(|owed| owed.sent.is_none()).expect("nothing waits");
        assert_eq!(first.arrival, Some(arrival), "the order of what is sent to c{client}");
        let topic = &first.content.topic;
        assert!(self.rights[client].may_read(topic), "c{client} may not read what is sent under {topic}");
        first.sent = Some((packet_id, serial));
        if first.qos == QoS::ExactlyOnce {
            first.held = UNSEALED;
        }
        let most = self.connections.get(&serial).map_or(INFLIGHT_MAX, |connection| connection.receive_max);
        let count = session.owed.iter().filter(|owed| owed.sent.is_some() && !owed.is_done).count();
        assert!(count <= most, "{count} in flight to c{client}");
    }

    fn dequeued(&mut self, client: usize, arrival: u64) {
        let session = self.sessions.get_mut(&client).unwrap();
        let Some(place) = session.owed.iter().position(|owed| owed.arrival == Some(arrival)) else { return };
        let owed = session.owed.remove(place);
        let packet_max = session.connection.map_or(usize::MAX, |connection| self.connections[&connection].packet_max);
        let is_expired = owed.sent.is_none() && owed.content.expires.is_some_and(|expires| expires <= self.now);
        let is_unreadable = !self.may_read(client, &owed.content.topic) && !owed.is_released;
        let is_given_up = is_expired || is_unreadable || is_too_large(&owed.content, packet_max);
        if owed.is_leaving && !owed.is_done && owed.sent.is_none() {
            let filter = owed.share.clone().unwrap_or_default();
            return self.reopen(&filter, vec![owed]);
        }
        assert!(owed.is_done || is_given_up, "{owed:?} is dropped for c{client}");
    }

    /// The outputs of an input are drained; its changes have ticket `newest`, or it had none.
    pub(super) fn seal(&mut self, newest: u64) {
        self.newest = newest;
        self.gone.clear();
        let seal = |ticket: &mut u64| *ticket = if *ticket == UNSEALED { newest } else { *ticket };
        for connection in self.connections.values_mut() {
            connection.answers.iter_mut().for_each(|answer| seal(&mut answer.ticket));
            connection.unnumbered.iter_mut().for_each(|owed| seal(&mut owed.held));
        }
        let earliest = self.earliest;
        self.open.retain(|open| open.owed.content.expires.is_none_or(|expires| expires > earliest));
        self.open.iter_mut().for_each(|open| seal(&mut open.owed.held));
        self.sessions.values_mut().flat_map(|session| &mut session.owed).for_each(|owed| seal(&mut owed.held));
        self.excuse_large();
        self.note_spills();
    }

    /// A packet leaves for a connection while everything up to `answered` is durable.
    pub(super) fn emitted(&mut self, serial: usize, packet: &Packet<'_>, length: usize, answered: u64) {
        // of one that has ended only the rest comes
        let Some(connection) = self.connections.get_mut(&serial) else { return };
        assert!(length <= connection.packet_max, "{length} bytes to c{}: {packet:?}", connection.client);
        let says = match packet {
            Packet::Publish(publish) => return self.delivered(serial, publish, answered),
            Packet::PubRel(ack) if !connection.expects(&Says::PubRel(ack.packet_id.get())) => {
                return self.released_again(serial, ack.packet_id.get());
            }
            Packet::PubRel(ack) => Says::PubRel(ack.packet_id.get()),
            Packet::ConnAck(ack) => {
                assert_eq!(ack.reason, ReasonCode::Success);
                Says::ConnAck(ack.session_present)
            }
            Packet::PubAck(ack) => Says::PubAck(ack.packet_id.get(), ack.reason),
            Packet::PubRec(ack) => Says::PubRec(ack.packet_id.get(), ack.reason),
            Packet::PubComp(ack) => Says::PubComp(ack.packet_id.get()),
            Packet::SubAck(ack) => Says::SubAck(ack.packet_id.get(), ack.codes.clone()),
            Packet::UnsubAck(ack) => Says::UnsubAck(ack.packet_id.get(), ack.codes.clone()),
            Packet::PingResp => {
                assert!(
                    connection.answers.iter().all(|answer| !matches!(answer.says, Says::ConnAck(_))),
                    "before CONNACK"
                );
                connection.pings = connection.pings.checked_sub(1).expect("PINGRESP for nothing");
                return;
            }
            other => panic!("{other:?} to c{}", connection.client),
        };
        let Some(answer) = connection.answers.pop_front() else { panic!("{says:?} answers nothing") };
        assert_eq!(says, answer.says, "to c{}", connection.client);
        assert!(!answer.is_durable || answer.ticket <= answered, "{says:?} is not durable, {answer:?} {answered}");
    }

    fn released_again(&mut self, serial: usize, packet_id: u16) {
        let client = self.connections[&serial].client;
        let is_it = |owed: &&mut Owed| {
            owed.is_released && owed.sent.is_some_and(|sent| sent.0 == packet_id && sent.1 != serial)
        };
        let owed = self.sessions.get_mut(&client).and_then(|session| session.owed.iter_mut().find(is_it));
        let Some(owed) = owed else { panic!("PUBREL {packet_id} to c{client} for nothing") };
        assert_ne!(owed.seen_on.replace(serial), Some(serial), "PUBREL {packet_id} twice");
    }

    fn delivered(&mut self, serial: usize, publish: &Publish<'_>, answered: u64) {
        let connection = self.connections.get_mut(&serial).unwrap();
        let client = connection.client;
        assert!(connection.answers.iter().all(|answer| !matches!(answer.says, Says::ConnAck(_))), "before CONNACK");
        let topic = connection.topic(publish);
        let was_readable = connection.rights.iter().any(|rights| rights.may_read(&topic));
        assert!(was_readable, "c{client} may not read {publish:?}");
        let payload = publish.payload.to_vec();
        let ids = connection.is_five.then(|| sorted(publish.properties.subscription_ids.iter()));
        let is_five = connection.is_five;
        let expires = match publish.properties.message_expiry_interval_s {
            _ if !is_five => Expires::Untold,
            None => Expires::Never,
            Some(seconds) => self.told(seconds),
        };
        let shown = Shown { topic, payload, qos: publish.qos, retain: publish.retain, ids, expires };
        let owed = match publish.packet_id {
            None => self.unnumbered(serial, client, &shown),
            Some(packet_id) => self.numbered(serial, client, &shown, packet_id.get(), publish.dup),
        };
        let Some(owed) = owed else {
            let session = self.sessions.get(&client);
            panic!("{publish:?} under {} is not for c{client}: {session:?} {:?}", shown.topic, self.open);
        };
        assert!(owed.held <= answered, "{publish:?} to c{client} is not durable");
        self.check_expiry(serial, &owed, publish);
    }

    /// Between which moments a message expires of which a PUBLISH tells the seconds that are left. It may have been
    /// encoded when the oldest open request was made.
    fn told(&self, seconds: u32) -> Expires {
        let left = Duration::from_secs(seconds.into());
        let first = self.earliest + left.saturating_sub(Duration::from_secs(1)) + Duration::from_nanos(1);
        Expires::Between(if seconds == 0 { Monotonic::ZERO } else { first }, self.now + left)
    }

    fn unnumbered(&mut self, serial: usize, client: usize, shown: &Shown) -> Option<Owed> {
        let coming = &mut self.connections.get_mut(&serial).unwrap().unnumbered;
        if let Some(place) = coming.iter().position(|owed| shown.is(owed)) {
            let before: Vec<_> = coming.drain(..=place).collect();
            let (owed, before) = before.split_last().unwrap();
            assert!(before.iter().all(|owed| owed.is_excused), "{before:?} is lost or late for c{client}");
            return Some(owed.clone());
        }
        let place = self.open.iter().position(|open| shown.fits(open, client))?;
        Some(self.open.remove(place).owed)
    }

    fn numbered(&mut self, serial: usize, client: usize, shown: &Shown, packet_id: u16, dup: bool) -> Option<Owed> {
        let connection = self.connections.get_mut(&serial).unwrap();
        assert!(connection.inflight.insert(packet_id), "identifier {packet_id} is in use for c{client}");
        let count = connection.inflight.len();
        assert!(count <= connection.receive_max, "{count} in flight to c{client}");
        if !self.is_kept(client) {
            assert!(!dup, "DUP to c{client}, which has no session to continue");
            return self.numbered_at_once(serial, client, shown, packet_id);
        }
        let session = self.sessions.get_mut(&client).unwrap();
        let is_it = |owed: &&mut Owed| owed.sent.is_some_and(|sent| sent.0 == packet_id) && shown.is(owed);
        let owed = session.owed.iter_mut().find(is_it)?;
        assert!(!owed.is_released, "{owed:?} is with c{client} already");
        assert_eq!(dup, owed.sent.is_none_or(|sent| sent.1 != serial), "DUP of {owed:?} to c{client}");
        assert_ne!(owed.seen_on.replace(serial), Some(serial), "{owed:?} twice to c{client}");
        let arrival = owed.arrival.unwrap();
        let last = &mut self.connections.get_mut(&serial).unwrap().last_arrival;
        assert!(std::mem::replace(last, arrival) < arrival, "{owed:?} is late for c{client}");
        Some(owed.clone())
    }

    fn numbered_at_once(&mut self, serial: usize, client: usize, shown: &Shown, packet_id: u16) -> Option<Owed> {
        let now = self.now;
        let session = self.sessions.get_mut(&client).unwrap();
        assert!(session.owed.iter().all(|owed| owed.sent.is_none_or(|sent| sent.0 != packet_id)));
        let is_late = |owed: &Owed| {
            let is_expired = owed.content.expires.is_some_and(|expires| expires <= now);
            owed.sent.is_none() && owed.share.is_none() && !owed.is_excused && !is_expired
        };
        let own = session.owed.iter().position(|owed| owed.sent.is_none() && shown.is(owed));
        let late = own.and_then(|own| session.owed[..own].iter().find(|owed| is_late(owed)));
        // of equal copies it may be the group's
        let shared = self.open.iter().position(|open| shown.fits(open, client));
        let place = match (own, shared) {
            (Some(own), None) => {
                assert!(late.is_none(), "{late:?} is lost or late for c{client}");
                own
            }
            (Some(own), Some(_)) if late.is_none() => own,
            (_, shared) => {
                let owed = self.open.remove(shared?).owed;
                let ids = shown.ids.clone().unwrap_or_default();
                session.owed.push(Owed { qos: shown.qos, retain: shown.retain, ids, ..owed });
                session.owed.len() - 1
            }
        };
        session.owed[place].sent = Some((packet_id, serial));
        Some(session.owed[place].clone())
    }

    /// It is still of use, and says for how long.
    fn check_expiry(&self, serial: usize, owed: &Owed, publish: &Publish<'_>) {
        let told = publish.properties.message_expiry_interval_s;
        let Some(expires) = owed.content.expires else { return assert_eq!(told, None) };
        assert!(publish.dup || expires > self.earliest, "{publish:?} has expired");
        if !self.connections[&serial].is_five {
            return;
        }
        let left = |now: Monotonic| u32::try_from((expires - now).as_millis().div_ceil(1000)).unwrap();
        let told = told.expect("it expires");
        // a repeated publish may stand for an earlier copy, a second apart
        assert!((left(self.now)..=left(self.earliest) + 1).contains(&told), "{told} s, not {}", left(self.now));
    }
}

impl super::model::Connection {
    fn expects(&self, says: &Says) -> bool {
        self.answers.front().is_some_and(|answer| answer.says == *says)
    }

    fn topic(&mut self, publish: &Publish<'_>) -> String {
        let Some(alias) = publish.properties.topic_alias.map(std::num::NonZeroU16::get) else {
            return publish.topic.to_owned();
        };
        assert!(alias <= self.alias_max, "alias {alias}");
        if !publish.topic.is_empty() {
            self.aliases_out.insert(alias, publish.topic.to_owned());
        }
        self.aliases_out.get(&alias).unwrap_or_else(|| panic!("alias {alias} was never told")).clone()
    }
}
