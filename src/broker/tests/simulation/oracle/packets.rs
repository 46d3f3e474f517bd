//! Packets of an admitted client.

use super::super::super::super::Granted;
use super::answers::{Expected, Key, Says};
use super::route::{Needs, Publication};
use super::types::Membership;
use super::*;
use crate::mqtt::{Disconnect, RetainHandling};

impl Oracle {
    /// Any packet but CONNECT. One of a connection that has ended has no effect.
    pub(in super::super) fn packet(&mut self, serial: usize, packet: &Packet<'_>) {
        self.next_mark();
        let now = self.now;
        let Some(session) = self.session_of(serial) else { return };
        let connection = self.connections.get_mut(&serial).unwrap();
        connection.heard = now;
        let client = connection.client;
        match packet {
            Packet::Publish(publish) => self.publish(serial, client, session, publish),
            Packet::PubAck(ack) => self.complete(serial, session, ack.packet_id.get(), QoS::AtLeastOnce),
            Packet::PubRec(ack) => self.received(serial, session, ack.packet_id.get()),
            Packet::PubComp(ack) => self.complete(serial, session, ack.packet_id.get(), QoS::ExactlyOnce),
            Packet::PubRel(ack) => self.release(serial, session, ack.packet_id.get()),
            Packet::Subscribe(subscribe) => self.subscribe(serial, client, session, subscribe),
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(serial, session, unsubscribe),
            Packet::PingReq => connection.pings += 1,
            Packet::Disconnect(disconnect) => self.disconnect(serial, session, disconnect),
            other => panic!("no client of the simulation sends {other:?}"),
        }
    }

    fn publish(&mut self, serial: usize, client: usize, session: usize, publish: &Publish<'_>) {
        let connection = self.connections.get_mut(&serial).unwrap();
        let is_five = connection.is_five;
        let mut topic = publish.topic.to_owned();
        if let Some(alias) = publish.properties.topic_alias {
            if topic.is_empty() {
                topic.clone_from(&connection.aliases_in[&alias.get()]);
            }
            connection.aliases_in.insert(alias.get(), topic.clone());
        }
        let packet_id = publish.packet_id.map_or(0, PacketId::get);
        let says = if publish.qos == QoS::ExactlyOnce { Says::PubRec } else { Says::PubAck };
        let known = self.sessions[session].received.get(&packet_id).filter(|(history, _)| *history.current());
        if let Some((history, message)) = known.filter(|_| publish.qos == QoS::ExactlyOnce) {
            // [MQTT-4.3.3-10]
            let promises = vec![(Key::Received(session, packet_id), history.mark()), (Key::Message(*message), 0)];
            let codes = vec![vec![ReasonCode::Success, ReasonCode::NoMatchingSubscribers]];
            return self.expect(serial, Expected { promises, ..Expected::new(says, packet_id, codes) });
        }
        let refusal = |code| vec![vec![if is_five { code } else { ReasonCode::Success }]];
        if !self.may_write(client, &topic) {
            let expected = Expected::new(says, packet_id, refusal(ReasonCode::NotAuthorized));
            return self.expect_for(publish.qos, serial, expected);
        }
        let can_refuse = self.is_disk_full && is_five && publish.qos > QoS::AtMostOnce;
        let needs = if can_refuse { self.needs(client, session, publish, &topic) } else { Needs::Nothing };
        if needs == Needs::Disk {
            return self.expect(serial, Expected::new(says, packet_id, refusal(ReasonCode::QuotaExceeded)));
        }
        self.accept_publish(serial, session, publish, &topic, needs == Needs::Perhaps);
    }

    fn accept_publish(
        &mut self,
        serial: usize,
        session: usize,
        publish: &Publish<'_>,
        topic: &str,
        is_tentative: bool,
    ) {
        let connection = &self.connections[&serial];
        let (client, is_five) = (connection.client, connection.is_five);
        let packet_id = publish.packet_id.map_or(0, PacketId::get);
        let expiry = publish.properties.message_expiry_interval_s;
        let is_twice = publish.qos == QoS::ExactlyOnce;
        let message = self.accept(Publication {
            topic: topic.to_owned(),
            payload: publish.payload.to_vec().into(),
            qos: publish.qos,
            retain: publish.retain,
            expires: expiry.map(|seconds| self.now + Duration::from_secs(seconds.into())),
            client,
            is_will: false,
            flow: is_twice.then_some((session, packet_id)),
            is_tentative,
        });
        let mut promises = vec![(Key::Message(message), 0)];
        if publish.retain && publish.qos > QoS::AtMostOnce {
            promises.push((Key::Retained(topic.to_owned()), self.retained[topic].history.mark()));
        }
        if is_twice {
            let mark = self.next_mark();
            let received = &mut self.sessions[session].received;
            let (history, latest) = received.entry(packet_id).or_insert_with(|| (History::new(false), message));
            *latest = message;
            history.set(mark, true);
            promises.push((Key::Received(session, packet_id), mark));
        }
        let mut codes = vec![ReasonCode::Success];
        if is_five && self.messages[message].copies.is_empty() && self.messages[message].groups.is_empty() {
            codes.push(ReasonCode::NoMatchingSubscribers);
        }
        if is_tentative {
            codes.push(ReasonCode::QuotaExceeded);
        }
        let says = if is_twice { Says::PubRec } else { Says::PubAck };
        let expected = Expected { promises, message: Some(message), ..Expected::new(says, packet_id, vec![codes]) };
        self.expect_for(publish.qos, serial, expected);
    }

    fn expect_for(&mut self, qos: QoS, serial: usize, expected: Expected) {
        if qos > QoS::AtMostOnce {
            self.expect(serial, expected);
        }
    }

    /// A receiver has a message of this quality of service completely.
    fn complete(&mut self, serial: usize, session: usize, packet_id: u16, qos: QoS) {
        self.connections.get_mut(&serial).unwrap().inflight.remove(&packet_id);
        if let Some(copy) = self.in_flight(session, packet_id) {
            let is_two = self.effective(copy) == QoS::ExactlyOnce;
            if is_two == (qos == QoS::ExactlyOnce) {
                self.copies[copy].is_complete = true;
            }
        }
    }

    fn received(&mut self, serial: usize, session: usize, packet_id: u16) {
        let mut codes = vec![ReasonCode::Success];
        match self.in_flight(session, packet_id) {
            Some(copy) => self.copies[copy].is_received = true,
            None => codes = vec![ReasonCode::PacketIdentifierNotFound, ReasonCode::Success],
        }
        self.expect(serial, Expected::new(Says::PubRel, packet_id, vec![codes]));
    }

    fn release(&mut self, serial: usize, session: usize, packet_id: u16) {
        let mark = self.next_mark();
        let known = self.sessions[session].received.get_mut(&packet_id);
        let mut expected = Expected::new(
            Says::PubComp,
            packet_id,
            vec![vec![ReasonCode::PacketIdentifierNotFound, ReasonCode::Success]],
        );
        if let Some((history, _)) = known {
            if *history.current() {
                history.set(mark, false);
                expected.codes = vec![vec![ReasonCode::Success]];
            }
            expected.promises.push((Key::Received(session, packet_id), history.mark()));
        }
        self.expect(serial, expected);
    }

    fn subscribe(&mut self, serial: usize, client: usize, session: usize, subscribe: &Subscribe) {
        let is_five = self.connections[&serial].is_five;
        let id = subscribe.properties.subscription_identifier;
        let (mut codes, mut promises, mut replays) = (Vec::new(), Vec::new(), Vec::new());
        for wanted in &subscribe.subscriptions {
            let filter = wanted.filter.as_str().to_owned();
            let rights = self.rights[client].back().and_then(|(_, rights)| rights.as_ref());
            if !rights.is_some_and(|rights| rights.could_read(&TopicFilter::new(plain(&filter)).unwrap())) {
                codes.push(vec![if is_five { ReasonCode::NotAuthorized } else { ReasonCode::UnspecifiedError }]);
                continue;
            }
            let Subscription { qos, no_local, retain_as_published, .. } = *wanted;
            let is_new = self.grant(session, &filter, Granted { qos, no_local, retain_as_published, id });
            codes.push(vec![ReasonCode::granted(wanted.qos)]);
            promises.push((Key::Subscription(session, filter.clone()), self.mark));
            // [MQTT-3.3.1-9] to [MQTT-3.3.1-11]
            let brings = match wanted.retain_handling {
                RetainHandling::Send => true,
                RetainHandling::SendIfNew => is_new,
                RetainHandling::DoNotSend => false,
            };
            self.end_replay(session, &filter);
            replays.extend((brings && !is_shared(&filter)).then_some(filter));
        }
        let expected = Expected { promises, ..Expected::new(Says::SubAck, subscribe.packet_id.get(), codes) };
        self.expect(serial, expected);
        for filter in replays {
            // a filter that the packet has twice counts with its last options
            let granted = *self.sessions[session].subscriptions[&filter].current();
            self.end_replay(session, &filter);
            let most = granted.map_or(QoS::AtMostOnce, |granted| granted.qos);
            self.replay(session, &filter, (most, sorted(id.into_iter())));
        }
    }

    /// Adds or replaces a subscription [MQTT-3.8.4-3]; tells whether it is new.
    fn grant(&mut self, session: usize, filter: &str, granted: Granted) -> bool {
        let mark = self.next_mark();
        let session = &mut self.sessions[session];
        let history = session.subscriptions.entry(filter.to_owned()).or_insert_with(|| History::new(None));
        let is_new = history.current().is_none();
        history.set(mark, Some(granted));
        if is_shared(filter) {
            let memberships = session.memberships.entry(filter.to_owned()).or_default();
            if let Some(last) = memberships.last_mut() {
                last.until.get_or_insert(mark);
            }
            memberships.push(Membership { granted, until: None });
        }
        is_new
    }

    /// One copy of each retained message that the filter matches.
    pub(super) fn replay(&mut self, session: usize, filter: &str, (most, ids): (QoS, Vec<u32>)) {
        let client = self.sessions[session].client;
        self.sessions[session].replays.insert(filter.to_owned(), (most, ids.clone()));
        for (topic, Retained { now, .. }) in self.retained.clone() {
            if !matches(filter, &topic) {
                continue;
            }
            for message in now.iter().flatten() {
                if self.messages[*message].is_expired(self.now) {
                    continue;
                }
                let is_large = self.messages[*message].is_large() && self.is_small_now(session);
                let is_due = now.len() == 1 && self.may_read(client, &topic) && !is_large;
                self.add_replay(session, filter, *message, (most, ids.clone()), is_due);
            }
        }
    }

    fn is_small_now(&self, session: usize) -> bool {
        Session::was_since(self.sessions[session].was_small, Mark::MAX)
    }

    fn unsubscribe(&mut self, serial: usize, index: usize, unsubscribe: &Unsubscribe) {
        let (mut codes, mut promises) = (Vec::new(), Vec::new());
        for filter in &unsubscribe.filters {
            let filter = filter.as_str();
            let mark = self.next_mark();
            let session = &mut self.sessions[index];
            let history = session.subscriptions.entry(filter.to_owned()).or_insert_with(|| History::new(None));
            let was_subscribed = history.current().is_some();
            if was_subscribed {
                history.set(mark, None);
            }
            codes.push(vec![if was_subscribed { ReasonCode::Success } else { ReasonCode::NoSubscriptionExisted }]);
            promises.push((Key::Subscription(index, filter.to_owned()), history.mark()));
            if let Some(last) = session.memberships.get_mut(filter).and_then(|memberships| memberships.last_mut()) {
                last.until.get_or_insert(mark);
            }
            self.end_replay(index, filter);
            if was_subscribed && is_shared(filter) {
                self.leave_groups(index, Some(filter));
            }
        }
        let codes = if self.connections[&serial].is_five { codes } else { Vec::new() };
        let expected = Expected { promises, ..Expected::new(Says::UnsubAck, unsubscribe.packet_id.get(), codes) };
        self.expect(serial, expected);
    }

    /// [MQTT-3.14.4-3]; section 3.14.2.2.2
    fn disconnect(&mut self, serial: usize, session: usize, disconnect: &Disconnect) {
        if let Some(seconds) = disconnect.properties.session_expiry_interval_s {
            self.sessions[session].expiry_s = seconds;
            self.note_terms(session);
        }
        self.end_connection(serial, disconnect.reason != ReasonCode::NORMAL_DISCONNECTION);
    }
}
