//! A PUBLISH or PUBREL that the broker sends to a client.

use super::types::Kind;
use super::*;

/// What a PUBLISH says of itself.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// `None` before version 5.
    pub(super) ids: Option<Vec<u32>>,
    /// Seconds until it expires; `None` before version 5.
    #[expect(clippy::option_option, reason = "version 5 says by its absence that a message does not expire")]
    pub(super) expiry_s: Option<Option<u32>>,
}

impl Oracle {
    pub(super) fn effective(&self, copy: usize) -> QoS {
        self.copies[copy].most.min(self.messages[self.copies[copy].message()].qos)
    }

    /// The copy that is in flight to a session under this identifier.
    pub(super) fn in_flight(&self, session: usize, packet_id: u16) -> Option<usize> {
        let copies = self.sessions[session].copies.iter().copied();
        copies.rev().find(|copy| {
            let copy = &self.copies[*copy];
            copy.sent == Some(packet_id) && !copy.is_complete && !copy.is_void
        })
    }

    /// A packet that goes out now may have been decided since then.
    fn earliest(&self) -> Monotonic {
        self.oldest_open.map_or(self.now, |(since, _)| since)
    }

    pub(super) fn delivered(&mut self, serial: usize, publish: &Publish<'_>, is_dropped: bool) {
        let connection = self.connections.get_mut(&serial).unwrap();
        let topic = connection.topic(publish, is_dropped);
        let is_five = connection.is_five;
        let shown = Shown {
            topic,
            payload: Bytes::copy_from_slice(publish.payload),
            qos: publish.qos,
            retain: publish.retain,
            ids: is_five.then(|| sorted(publish.properties.subscription_ids.iter())),
            expiry_s: is_five.then_some(publish.properties.message_expiry_interval_s),
        };
        let session = connection.session;
        let copy = match publish.packet_id.map(PacketId::get) {
            None => self.deliver_once(serial, session, &shown),
            Some(packet_id) => self.deliver_numbered(serial, session, &shown, packet_id, publish.dup),
        };
        let Some(copy) = copy else {
            let known = self.describe(&shown.topic, &shown.payload);
            panic!("{shown:?} is not for c{} on connection {serial}: {known}", self.sessions[session].client);
        };
        self.check_rights(serial, copy);
        self.keep_promise_of_origin(copy);
    }

    /// A message of QoS 2 that goes on to others must not be accepted again after a crash [MQTT-4.3.3-10]. What is
    /// retained is another matter: a new subscriber gets it at any time.
    fn keep_promise_of_origin(&mut self, copy: usize) {
        let is_replay = matches!(self.copies[copy].kind, Kind::Replay(_));
        let message = &mut self.messages[self.copies[copy].message()];
        assert!(!message.is_refused, "{message:?} was refused");
        message.is_tentative = false;
        let Message { flow: Some((session, packet_id)), mark, .. } = *message else { return };
        if is_replay {
            return;
        }
        if let Some((history, _)) = self.sessions[session].received.get_mut(&packet_id) {
            history.acknowledge_since(mark);
        }
    }

    /// The receiver may read the topic at the moment of the delivery [law 9].
    fn check_rights(&self, serial: usize, copy: usize) {
        let Connection { client, mark, .. } = self.connections[&serial];
        let message = &self.messages[self.copies[copy].message()];
        let since = self.oldest_open.map_or(Mark::MAX, |(_, mark)| mark).max(mark).max(message.mark);
        assert!(self.could_read_since(client, &message.topic, since), "c{client} may not read {message:?}");
    }

    fn candidates(&self, session: usize, shown: &Shown) -> Vec<(usize, usize)> {
        let key = (shown.topic.clone(), shown.payload.clone());
        let earliest = self.earliest();
        let mut found = Vec::new();
        for message in self.by_content.get(&key).into_iter().flatten() {
            for copy in &self.messages[*message].copies {
                let Copy { session: receiver, most, retain, ids, .. } = &self.copies[*copy];
                let is_it = *receiver == session
                    && self.copies[*copy].is_open()
                    && most.min(&self.messages[*message].qos) == &shown.qos
                    && *retain == shown.retain
                    && shown.ids.as_ref().is_none_or(|shown| shown == ids)
                    && self.tells_expiry(&self.messages[*message], shown, earliest);
                found.extend(is_it.then_some((*copy, *message)));
            }
        }
        // of equal ones first what has an order to keep, the oldest first, then what may not be missing
        found.sort_by_key(|(copy, message)| {
            let Copy { kind, is_due, .. } = &self.copies[*copy];
            (*kind != Kind::Own, !is_due, *message)
        });
        found
    }

    /// Whether a message is still of use, and says for how long [MQTT-3.3.2-5], [MQTT-3.3.2-6].
    pub(super) fn tells_expiry(&self, message: &Message, shown: &Shown, earliest: Monotonic) -> bool {
        let Some(expires) = message.expires else { return shown.expiry_s.flatten().is_none() };
        let left = |now: Monotonic| u32::try_from((expires - now).as_millis().div_ceil(1000)).unwrap();
        let is_told = match shown.expiry_s {
            None => true,
            Some(told) => told.is_some_and(|told| (left(self.now)..=left(earliest) + 1).contains(&told)),
        };
        expires > earliest && is_told
    }

    /// Finds what explains a PUBLISH that is seen for the first time. With DUP it was started on an earlier connection,
    /// on which nobody saw it.
    fn explain(&mut self, serial: usize, session: usize, shown: &Shown, dup: bool) -> Option<usize> {
        let before = if dup { self.connections[&serial].mark } else { Mark::MAX };
        let mut candidates = self.candidates(session, shown);
        candidates.retain(|(_, message)| self.messages[*message].mark < before);
        if candidates.iter().any(|(copy, message)| self.keeps_order(serial, *copy, *message)) {
            candidates.retain(|(copy, message)| self.keeps_order(serial, *copy, *message));
        }
        if let Some((copy, message)) = candidates.first().copied() {
            self.copies[copy].contents = vec![message];
            self.check_order(serial, session, copy);
            return Some(copy);
        }
        let mut may_fulfil = self.fulfils(session, shown, self.earliest());
        may_fulfil.retain(|group| self.messages[self.groups[*group].message].mark < before);
        if self.sessions[session].has_ended {
            return self.add_late_group_copy(session, shown, &may_fulfil);
        }
        self.add_group_copy(session, shown, may_fulfil)
    }

    /// The stream in which a copy has an order to keep: messages of one publisher, topic and quality of service, but for
    /// shared subscriptions and retained messages [MQTT-4.6.0-6]. Of a message that was published twice, nobody can tell
    /// which one came.
    fn stream(&self, copy: usize, message: usize) -> Option<(usize, String, u8)> {
        let Message { publisher, topic, payload, qos, .. } = &self.messages[message];
        if self.by_content[&(topic.clone(), payload.clone())].len() > 1 {
            return None;
        }
        let publisher = publisher.filter(|_| self.copies[copy].kind == Kind::Own)?;
        Some((publisher, topic.clone(), *qos as u8))
    }

    fn keeps_order(&self, serial: usize, copy: usize, message: usize) -> bool {
        let Some(stream) = self.stream(copy, message) else { return true };
        let connection = &self.connections[&serial];
        let on_connection = connection.latest.get(&stream).is_none_or(|before| *before <= message);
        let of_session = self.sessions[connection.session].latest.get(&stream);
        let is_first = self.copies[copy].sent.is_none();
        on_connection && (!is_first || of_session.is_none_or(|before| *before <= message))
    }

    fn check_order(&mut self, serial: usize, session: usize, copy: usize) {
        let index = self.copies[copy].message();
        let Some(stream) = self.stream(copy, index) else { return };
        let message = &self.messages[index];
        assert!(
            self.keeps_order(serial, copy, index),
            "{message:?} is late on connection {serial}: {}",
            self.describe(&message.topic, &message.payload)
        );
        self.connections.get_mut(&serial).unwrap().latest.insert(stream.clone(), index);
        if self.copies[copy].sent.is_none() {
            self.sessions[session].latest.insert(stream, index);
        }
    }

    fn deliver_once(&mut self, serial: usize, session: usize, shown: &Shown) -> Option<usize> {
        let is_ending = self.connections[&serial].is_ending;
        if is_ending && let Some(copy) = self.ended_copy(session, shown) {
            return Some(copy);
        }
        let copy = self.explain(serial, session, shown, false)?;
        (self.copies[copy].is_complete, self.copies[copy].sent_on) = (true, Some(serial));
        Some(copy)
    }

    fn deliver_numbered(
        &mut self,
        serial: usize,
        session: usize,
        shown: &Shown,
        packet_id: u16,
        dup: bool,
    ) -> Option<usize> {
        let connection = self.connections.get_mut(&serial).unwrap();
        let is_ending = connection.is_ending;
        let client = connection.client;
        assert!(connection.inflight.insert(packet_id), "identifier {packet_id} is in use on connection {serial}");
        let count = connection.inflight.len();
        // [MQTT-3.3.4-9]
        assert!(count <= connection.receive_max, "{count} in flight to c{client}");
        let earlier = self.in_flight(session, packet_id);
        if let Some(copy) = earlier.filter(|copy| self.is_again(*copy, shown)) {
            let again = &self.copies[copy];
            assert!(is_ending || !again.is_received, "{again:?} is with c{client} already [MQTT-4.3.3-1]");
            assert_ne!(again.sent_on, Some(serial), "{again:?} twice on connection {serial} [MQTT-4.4.0-1]");
            assert!(dup || is_ending, "{again:?} is sent again without DUP [MQTT-3.3.1-1]");
            self.copies[copy].sent_on = Some(serial);
            self.check_order(serial, session, copy);
            return Some(copy);
        }
        assert!(
            earlier.is_none() || is_ending,
            "identifier {packet_id} is in use for c{client}: {earlier:?} {shown:?}"
        );
        if is_ending && let Some(copy) = self.ended_copy(session, shown) {
            return Some(copy);
        }
        let copy = self.explain(serial, session, shown, dup)?;
        (self.copies[copy].sent, self.copies[copy].sent_on) = (Some(packet_id), Some(serial));
        Some(copy)
    }

    fn is_again(&self, copy: usize, shown: &Shown) -> bool {
        let message = &self.messages[self.copies[copy].message()];
        let is_same = message.topic == shown.topic && message.payload == shown.payload;
        is_same && self.effective(copy) == shown.qos && self.copies[copy].retain == shown.retain
    }

    /// What was decided before the end of a connection, of a session that has ended since.
    fn ended_copy(&self, session: usize, shown: &Shown) -> Option<usize> {
        let copies = self.sessions[session].copies.iter().copied();
        copies
            .rev()
            .find(|copy| (self.copies[*copy].is_void || self.copies[*copy].is_complete) && self.is_again(*copy, shown))
    }

    /// PUBREL that answers no PUBREC of this connection: the receiver had sent it on an earlier one [MQTT-4.4.0-1].
    pub(super) fn released_again(&mut self, serial: usize, packet_id: u16) {
        let Connection { session, client, is_ending, .. } = self.connections[&serial];
        let copy = self.in_flight(session, packet_id).filter(|copy| self.copies[*copy].is_received);
        // it may have been decided before the session ended
        let Some(copy) = copy else { return assert!(is_ending, "PUBREL {packet_id} to c{client} for nothing") };
        assert_ne!(self.copies[copy].sent_on, Some(serial), "PUBREL {packet_id} twice on connection {serial}");
        (self.copies[copy].sent_on, self.copies[copy].is_released) = (Some(serial), true);
        let connection = self.connections.get_mut(&serial).unwrap();
        connection.inflight.insert(packet_id);
    }
}

impl Connection {
    /// The topic of a PUBLISH, which an alias may stand for [MQTT-3.3.2-8] to [MQTT-3.3.2-12].
    fn topic(&mut self, publish: &Publish<'_>, is_dropped: bool) -> String {
        let Some(alias) = publish.properties.topic_alias.map(std::num::NonZeroU16::get) else {
            return publish.topic.to_owned();
        };
        assert!(alias <= self.alias_max, "alias {alias}");
        if is_dropped && !publish.topic.is_empty() {
            // its client never learns the alias
            return publish.topic.to_owned();
        }
        if !publish.topic.is_empty() {
            self.aliases_out.insert(alias, publish.topic.to_owned());
        }
        self.aliases_out.get(&alias).unwrap_or_else(|| panic!("alias {alias} stands for nothing")).clone()
    }
}
