//! What each packet of a client has to bring about.

use super::super::super::Granted;
use super::model::{
    Answer, Connection, Content, FOREVER_S, Model, Owed, Publication, Says, Session, UNSEALED, is_shared, is_too_large,
    matches, owed, plain,
};
use super::*;
use crate::mqtt::{Disconnect, RetainHandling};

impl Model {
    /// Whether a CONNECT asks for a session that a full disk has no room for.
    pub(super) fn is_turned_away(&self, client: usize, connect: &Connect) -> bool {
        let needs_room = match self.sessions.get(&client) {
            Some(session) if connect.clean_session => {
                expiry_s(connect) > 0 || session.is_kept && connect.will.is_some()
            }
            Some(_) => false,
            None => expiry_s(connect) > 0,
        };
        self.is_disk_full && needs_room
    }

    /// A client is let in; gives whether it finds its session.
    pub(super) fn admit(&mut self, serial: usize, client: usize, connect: &Connect) {
        if let Some(other) = self.sessions.get(&client).and_then(|session| session.connection) {
            self.end(other, true);
        }
        let expiry_s = expiry_s(connect);
        let mut ends_another = false;
        if connect.clean_session {
            ends_another = self.sessions.get(&client).is_some_and(|session| session.is_kept);
            self.remove_session(client);
        }
        let is_present = self.sessions.contains_key(&client);
        let session =
            self.sessions.entry(client).or_insert_with(|| Session { is_kept: expiry_s > 0, ..Session::default() });
        let is_changed = !is_present || session.expiry_s != expiry_s || session.ends.is_some();
        let promises = session.is_kept && is_changed || connect.will.is_some() || ends_another;
        (session.expiry_s, session.ends, session.will) = (expiry_s, None, None);
        session.connection = Some(serial);
        let mut connection = self.greeted(client, connect);
        // nobody waits for room that only others can make
        let is_durable = promises && !(self.is_disk_full && connect.will.is_some());
        connection.answers.push_back(answer(Says::ConnAck(is_present), is_durable));
        self.connections.insert(serial, connection);
    }

    fn greeted(&self, client: usize, connect: &Connect) -> Connection {
        let fields = &connect.properties;
        let silence = (connect.keep_alive_s > 0).then(|| Duration::from_secs(connect.keep_alive_s.into()).mul_f64(1.5));
        Connection {
            client,
            is_five: connect.version == ProtocolVersion::V5,
            receive_max: fields.receive_maximum.map_or(usize::MAX, |most| most.get().into()).min(INFLIGHT_MAX),
            packet_max: fields.maximum_packet_size.map_or(usize::MAX, |most| most.get() as usize),
            alias_max: fields.topic_alias_maximum.unwrap_or(0),
            will: connect.will.clone(),
            heard: self.now,
            silence,
            answers: [].into(),
            pings: 0,
            unnumbered: [].into(),
            inflight: [].into(),
            aliases_in: [].into(),
            aliases_out: [].into(),
            rights: vec![self.rights[client].clone()],
            last_arrival: 0,
        }
    }

    /// Any packet but CONNECT.
    pub(super) fn packet(&mut self, serial: usize, packet: &Packet<'_>) {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(&serial) else { return };
        connection.heard = now;
        let client = connection.client;
        match packet {
            Packet::Publish(publish) => self.publish(serial, client, publish),
            Packet::PubAck(ack) => self.finish(serial, client, ack.packet_id.get(), false),
            Packet::PubRec(ack) => self.release(serial, client, ack.packet_id.get()),
            Packet::PubComp(ack) => self.finish(serial, client, ack.packet_id.get(), true),
            Packet::PubRel(ack) => {
                let session = self.sessions.get_mut(&client).unwrap();
                let is_durable = session.received.remove(&ack.packet_id.get()) && session.is_kept;
                self.answer(serial, Says::PubComp(ack.packet_id.get()), is_durable);
            }
            Packet::Subscribe(subscribe) => self.subscribe(serial, client, subscribe),
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(serial, client, unsubscribe),
            Packet::PingReq => connection.pings += 1,
            Packet::Disconnect(disconnect) => self.disconnect(serial, client, disconnect),
            other => panic!("no client of the simulation sends {other:?}"),
        }
    }

    fn answer(&mut self, serial: usize, says: Says, is_durable: bool) {
        let connection = self.connections.get_mut(&serial).unwrap();
        connection.answers.push_back(answer(says, is_durable));
    }

    fn publish(&mut self, serial: usize, client: usize, publish: &Publish<'_>) {
        let connection = self.connections.get_mut(&serial).unwrap();
        let is_five = connection.is_five;
        let mut topic = publish.topic.to_owned();
        if let Some(alias) = publish.properties.topic_alias {
            if topic.is_empty() {
                topic.clone_from(&connection.aliases_in[&alias.get()]);
            }
            connection.aliases_in.insert(alias.get(), topic.clone());
        }
        let packet_id = publish.packet_id.map(PacketId::get).unwrap_or_default();
        let is_known = publish.qos == QoS::ExactlyOnce && self.sessions[&client].received.contains(&packet_id);
        let is_full = self.is_disk_full && is_five && publish.qos > QoS::AtMostOnce && !is_known;
        let refusal = if !is_known && !self.rights[client].may_write(&topic) {
            Some(if is_five { ReasonCode::NotAuthorized } else { ReasonCode::Success })
        } else if is_full && self.needs_disk(client, publish, &topic) {
            Some(ReasonCode::QuotaExceeded)
        } else {
            None
        };
        let (code, is_durable) = match refusal {
            Some(code) => (code, false),
            None if is_known => (ReasonCode::Success, false),
            None => self.take_in(client, publish, topic),
        };
        let code = if is_five { code } else { ReasonCode::Success };
        match publish.qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.answer(serial, Says::PubAck(packet_id, code), is_durable),
            QoS::ExactlyOnce => self.answer(serial, Says::PubRec(packet_id, code), is_durable),
        }
    }

    fn take_in(&mut self, client: usize, publish: &Publish<'_>, topic: String) -> (ReasonCode, bool) {
        let is_held = publish.qos == QoS::ExactlyOnce && self.is_kept(client);
        if let (QoS::ExactlyOnce, Some(packet_id)) = (publish.qos, publish.packet_id) {
            self.sessions.get_mut(&client).unwrap().received.insert(packet_id.get());
        }
        let expiry = publish.properties.message_expiry_interval_s;
        let expires = expiry.map(|seconds| self.now + Duration::from_secs(seconds.into()));
        let content = Content { topic, payload: publish.payload.to_vec().into(), expires };
        let Publish { qos, retain, .. } = *publish;
        let routed = self.route(&Publication { content, qos, retain, from: Some(client), is_held });
        let code = if routed.has_receivers { ReasonCode::Success } else { ReasonCode::NoMatchingSubscribers };
        (code, routed.is_durable || is_held)
    }

    fn finish(&mut self, serial: usize, client: usize, packet_id: u16, is_released: bool) {
        let session = self.sessions.get_mut(&client).unwrap();
        let is_awaited = |owed: &Owed| {
            owed.sent.is_some_and(|sent| sent.0 == packet_id)
                && owed.is_released == is_released
                && (is_released || owed.qos == QoS::AtLeastOnce)
        };
        session.owed.iter_mut().filter(|owed| is_awaited(owed)).for_each(|owed| owed.is_done = true);
        if !session.is_kept {
            session.owed.retain(|owed| !owed.is_done);
        }
        self.connections.get_mut(&serial).unwrap().inflight.remove(&packet_id);
    }

    fn release(&mut self, serial: usize, client: usize, packet_id: u16) {
        let session = self.sessions.get_mut(&client).unwrap();
        let is_awaited =
            |owed: &&mut Owed| owed.qos == QoS::ExactlyOnce && owed.sent.is_some_and(|sent| sent.0 == packet_id);
        let owed = session.owed.iter_mut().find(is_awaited);
        let is_durable = owed.is_some_and(|owed| !std::mem::replace(&mut owed.is_released, true)) && session.is_kept;
        self.answer(serial, Says::PubRel(packet_id), is_durable);
    }

    fn subscribe(&mut self, serial: usize, client: usize, subscribe: &Subscribe) {
        let is_five = self.connections[&serial].is_five;
        let id = subscribe.properties.subscription_identifier;
        let (mut codes, mut asked) = (Vec::new(), Vec::new());
        for wanted in &subscribe.subscriptions {
            let filter = wanted.filter.as_str().to_owned();
            if !self.rights[client].could_read(&TopicFilter::new(plain(&filter)).unwrap()) {
                codes.push(if is_five { ReasonCode::NotAuthorized } else { ReasonCode::UnspecifiedError });
                continue;
            }
            let granted = Granted {
                qos: wanted.qos,
                no_local: wanted.no_local,
                retain_as_published: wanted.retain_as_published,
                id,
            };
            let session = self.sessions.get_mut(&client).unwrap();
            let is_new = session.subscriptions.insert(filter.clone(), granted).is_none();
            codes.push(ReasonCode::granted(wanted.qos));
            let brings = match wanted.retain_handling {
                RetainHandling::Send => true,
                RetainHandling::SendIfNew => is_new,
                RetainHandling::DoNotSend => false,
            };
            asked.extend((brings && !is_shared(&filter)).then_some(filter));
        }
        let is_durable = self.is_kept(client) && codes.iter().any(|code| !code.is_failure());
        self.answer(serial, Says::SubAck(subscribe.packet_id.get(), codes), is_durable);
        self.replay(client, &asked, id);
    }

    /// What is retained under those filters, once each, with the highest quality of service.
    fn replay(&mut self, client: usize, filters: &[String], id: Option<SubscriptionId>) {
        for (content, qos) in self.retained.clone().into_values() {
            let subscriptions = &self.sessions[&client].subscriptions;
            let matching = filters.iter().filter(|filter| matches(filter, &content.topic));
            let Some(most) = matching.map(|filter| subscriptions[filter].qos).max() else { continue };
            let ids = id.into_iter().map(SubscriptionId::get).collect();
            self.owe(client, Owed { retain: true, ids, ..owed(&content, most.min(qos), false) });
        }
    }

    fn unsubscribe(&mut self, serial: usize, client: usize, unsubscribe: &Unsubscribe) {
        let mut codes = Vec::new();
        for filter in &unsubscribe.filters {
            let filter = filter.as_str();
            let session = self.sessions.get_mut(&client).unwrap();
            if session.subscriptions.remove(filter).is_none() {
                codes.push(ReasonCode::NoSubscriptionExisted);
                continue;
            }
            codes.push(ReasonCode::Success);
            if is_shared(filter) {
                let is_back = |owed: &Owed| owed.share.as_deref() == Some(filter) && owed.sent.is_none();
                let is_kept = session.is_kept;
                // of a session that is kept the changes say which; what is on disk alone may stay with it
                session.owed.iter_mut().filter(|owed| is_back(owed)).for_each(|owed| owed.is_leaving = is_kept);
                let (back, stays) =
                    std::mem::take(&mut session.owed).into_iter().partition(|owed| !is_kept && is_back(owed));
                session.owed = stays;
                self.widen(filter, client);
                self.reopen(filter, back);
            }
        }
        let is_durable = self.is_kept(client) && codes.contains(&ReasonCode::Success);
        let codes = if self.connections[&serial].is_five { codes } else { Vec::new() };
        self.answer(serial, Says::UnsubAck(unsubscribe.packet_id.get(), codes), is_durable);
    }

    fn disconnect(&mut self, serial: usize, client: usize, disconnect: &Disconnect) {
        if let Some(seconds) = disconnect.properties.session_expiry_interval_s {
            self.sessions.get_mut(&client).unwrap().expiry_s = seconds;
        }
        self.end(serial, disconnect.reason != ReasonCode::NORMAL_DISCONNECTION);
    }

    /// Which queues are longer than memory holds.
    pub(super) fn note_spills(&mut self) {
        for session in self.sessions.values_mut() {
            let waiting = session.owed.iter().filter(|owed| owed.sent.is_none()).count();
            session.has_spilled = waiting >= IN_MEMORY || session.has_spilled && waiting > 0;
        }
    }

    /// What is too large for its client may go without a word.
    pub(super) fn excuse_large(&mut self) {
        for session in self.sessions.values_mut() {
            let connection = session.connection.and_then(|connection| self.connections.get(&connection));
            let Some(packet_max) = connection.map(|connection| connection.packet_max) else { continue };
            let large = session.owed.iter_mut().filter(|owed| is_too_large(&owed.content, packet_max));
            large.for_each(|owed| owed.is_excused = true);
        }
    }
}

/// Seconds that the session is to outlive its connection.
fn expiry_s(connect: &Connect) -> u32 {
    match connect.properties.session_expiry_interval_s {
        asked if connect.version == ProtocolVersion::V5 => asked.unwrap_or(0),
        _ if connect.clean_session => 0,
        _ => FOREVER_S,
    }
}

fn answer(says: Says, is_durable: bool) -> Answer {
    Answer { says, is_durable, ticket: UNSEALED }
}
