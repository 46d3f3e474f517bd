//! Clients that keep the rules: what each remembers, and what it answers.

use std::collections::{BTreeMap, VecDeque};
use std::num::{NonZeroU16, NonZeroU32};

use super::oracle::is_shared;
use super::wire::whole;
use super::world::{Expulsion, Simulation};
use super::*;
use crate::mqtt::{Disconnect, PropertyFields, RetainHandling, encode};

/// Topics of messages with a payload, and one that is also cleared: an empty payload does not say which message it is,
/// so no group subscribes to that one.
const TOPICS: [&str; 7] = ["a", "b", "a/c", "a/d", "w/0", "r/1", "r/1"];
const CLEARED: &str = "r/1";
const FILTERS: [&str; 12] = [
    "#",
    "+",
    "a/#",
    "b",
    "a/+",
    "r/#",
    "+/1",
    "$share/g/a/#",
    "$share/g/+",
    "$share/g/+",
    "$share/h/+",
    "$share/h/w/#",
];

#[derive(Default)]
pub(super) struct Client {
    pub(super) socket: Option<usize>,
    is_greeted: bool,
    outgoing: VecDeque<Outgoing>,
    last_packet_id: u16,
    aliases_out: BTreeMap<u16, String>,
    is_sessionless: bool,
}

/// A publish that is not complete.
#[derive(Clone)]
struct Outgoing {
    topic: &'static str,
    payload: Vec<u8>,
    qos: QoS,
    retain: bool,
    expiry_s: Option<u32>,
    packet_id: u16,
    is_received: bool,
    is_repeated: bool,
}

impl Simulation {
    /// One thing happens.
    pub(super) fn step(&mut self) {
        let client = self.random.usize(..CLIENTS);
        if self.broker.has_work() && self.random.bool() {
            self.work();
        }
        if self.random.u8(..4) == 0 {
            self.make_room();
        }
        match self.random.u16(..1000) {
            0..380 => self.publish(client),
            380..610 => self.read(client, false),
            610..630 => self.read(client, true),
            630..700 => self.subscribe(client),
            700..710 => self.unsubscribe(client),
            710..740 => self.clients[client].socket.into_iter().for_each(|serial| self.close(serial)),
            740..800 => self.come(client, false),
            800..815 => self.leave(client),
            815..915 => self.answer_tickets(),
            915..950 => self.let_time_pass(),
            950..975 => self.change_some_rights(client),
            975..983 => {
                let seed = self.random.u64(..);
                self.crash(seed);
            }
            983..988 => self.fill_disk(!self.disk.is_full),
            _ => self.write(client, &Packet::PingReq),
        }
    }

    fn answer_tickets(&mut self) {
        let most = self.random.usize(1..6);
        self.commit(most);
        self.read_on();
    }

    fn let_time_pass(&mut self) {
        let longest = [100, 3_000, 30_000, 90_000, 3 * 86_400_000][self.random.usize(..5)];
        let time = Duration::from_millis(self.random.u64(1..longest));
        let jumps = self.random.bool();
        self.pass(time, jumps);
    }

    fn change_some_rights(&mut self, client: usize) {
        let expelled = match self.random.u8(..8) {
            0 => Some((client, Expulsion::Unproven)),
            1 if client > 0 => Some((client, Expulsion::Removed)),
            2 | 3 => {
                self.removed = [false; CLIENTS];
                None
            }
            _ => None,
        };
        let list = self.random.usize(..6).saturating_sub(2);
        self.change_rights(list, expelled);
    }

    /// Everybody comes back and reads until all is quiet.
    pub(super) fn heal(&mut self) {
        self.fill_disk(false);
        self.removed = [false; CLIENTS];
        self.change_rights(0, None);
        (0..CLIENTS).for_each(|client| self.come(client, true));
        for _ in 0..1000 {
            self.commit(usize::MAX);
            self.read_on();
            if self.broker.has_work() {
                self.work();
            }
            self.make_room();
            (0..CLIENTS).for_each(|client| self.read_all(client));
            let is_quiet = self.sockets.iter().all(|socket| socket.is_over || socket.down.is_empty());
            if is_quiet && self.is_idle() {
                return self.check_quiet();
            }
        }
        panic!("it never gets quiet");
    }

    fn check_quiet(&self) {
        self.oracle.check_quiet();
        for (number, client) in self.clients.iter().enumerate() {
            assert!(client.outgoing.is_empty(), "a publish of c{number} is never complete");
        }
    }

    /// Writes a packet; some of what was written arrives.
    fn write(&mut self, client: usize, packet: &Packet<'_>) {
        let Some(serial) = self.clients[client].socket.filter(|serial| !self.sockets[*serial].is_over) else { return };
        if !self.clients[client].is_greeted && !matches!(packet, Packet::Connect(_)) {
            return;
        }
        let socket = &mut self.sockets[serial];
        encode(packet, socket.version, &mut socket.up);
        let length = socket.up.len();
        let count = if self.random.u8(..5) == 0 { self.random.usize(..=length) } else { length };
        self.carry(serial, count);
    }

    fn next_packet_id(&mut self, client: usize) -> u16 {
        let me = &mut self.clients[client];
        loop {
            me.last_packet_id = me.last_packet_id % 12 + 1;
            if me.outgoing.iter().all(|outgoing| outgoing.packet_id != me.last_packet_id) {
                return me.last_packet_id;
            }
        }
    }

    fn publish(&mut self, client: usize) {
        let me = &self.clients[client];
        if !me.is_greeted || me.outgoing.len() > 8 {
            return;
        }
        self.messages += 1;
        let mut payload = self.messages.to_string();
        let topic = TOPICS[self.random.usize(..TOPICS.len())];
        match self.random.u8(..12) {
            0 => payload.push_str(&" ".repeat(100)),
            1..4 if topic == CLEARED => payload.clear(),
            _ => {}
        }
        let retain = self.random.u8(..5) == 0;
        let outgoing = Outgoing {
            topic,
            payload: payload.into_bytes(),
            qos: qos([0, 1, 1, 2, 2][self.random.usize(..5)]),
            retain,
            expiry_s: (self.random.u8(..5) == 0).then(|| self.random.u32(1..40)),
            packet_id: self.next_packet_id(client),
            is_received: false,
            is_repeated: false,
        };
        if outgoing.qos > QoS::AtMostOnce {
            self.clients[client].outgoing.push_back(outgoing.clone());
        }
        self.write_message(client, &outgoing);
    }

    fn write_message(&mut self, client: usize, outgoing: &Outgoing) {
        let Outgoing { qos, retain, .. } = *outgoing;
        let packet_id = (qos > QoS::AtMostOnce).then(|| id(outgoing.packet_id));
        let dup = outgoing.is_repeated && qos > QoS::AtMostOnce;
        let mut publish = Publish { dup, qos, retain, packet_id, ..Publish::new(outgoing.topic, &outgoing.payload) };
        if self.is_five(client) {
            publish.properties.message_expiry_interval_s = outgoing.expiry_s;
            if self.random.u8(..3) == 0 {
                let alias = self.random.u16(1..3);
                publish.properties.topic_alias = NonZeroU16::new(alias);
                let earlier = self.clients[client].aliases_out.insert(alias, outgoing.topic.to_owned());
                if earlier.as_deref() == Some(outgoing.topic) {
                    publish.topic = "";
                }
            }
        }
        self.write(client, &Packet::Publish(publish));
    }

    fn is_five(&self, client: usize) -> bool {
        self.clients[client].socket.is_some_and(|serial| self.sockets[serial].version == ProtocolVersion::V5)
    }

    fn subscribe(&mut self, client: usize) {
        let is_five = self.is_five(client);
        let count = self.random.usize(1..3);
        let subscriptions: Vec<_> = (0..count).map(|_| self.subscription(is_five)).collect();
        let mut subscribe = Subscribe::new(id(5), subscriptions);
        if is_five && self.random.bool() {
            let subscription_identifier = SubscriptionId::new(self.random.u32(1..4));
            subscribe.properties = Properties::new(PropertyFields { subscription_identifier, ..Default::default() });
        }
        self.write(client, &Packet::Subscribe(subscribe));
    }

    fn subscription(&mut self, is_five: bool) -> Subscription {
        let filter = TopicFilter::new(FILTERS[self.random.usize(..FILTERS.len())]).unwrap();
        let mut wanted = Subscription::new(filter, qos([0, 1, 1, 2, 2][self.random.usize(..5)]));
        if is_five {
            wanted.no_local = self.random.u8(..3) == 0 && !is_shared(wanted.filter.as_str());
            wanted.retain_as_published = self.random.bool();
            wanted.retain_handling = RetainHandling::from_bits(self.random.u8(..3)).unwrap();
        }
        wanted
    }

    fn unsubscribe(&mut self, client: usize) {
        let filter = TopicFilter::new(FILTERS[self.random.usize(..FILTERS.len())]).unwrap();
        self.write(client, &Packet::Unsubscribe(Unsubscribe::new(id(6), vec![filter])));
    }

    fn leave(&mut self, client: usize) {
        let mut disconnect = Disconnect::NORMAL;
        if self.is_five(client) {
            if self.random.u8(..3) == 0 {
                disconnect.reason = ReasonCode::DisconnectWithWillMessage;
            }
            if self.random.u8(..3) == 0 && !self.clients[client].is_sessionless {
                let session_expiry_interval_s = Some([0, 10, FOREVER_S][self.random.usize(..3)]);
                disconnect.properties =
                    Properties::new(PropertyFields { session_expiry_interval_s, ..Default::default() });
            }
        }
        self.write(client, &Packet::Disconnect(disconnect));
    }

    /// Connects, also in place of a connection that is there; a gentle one to get everything.
    fn come(&mut self, client: usize, is_gentle: bool) {
        let is_five = self.random.bool();
        let version = if is_five { ProtocolVersion::V5 } else { ProtocolVersion::V311 };
        let mut connect = Connect {
            version,
            clean_session: !is_gentle && self.random.u8(..14) == 0,
            keep_alive_s: if is_gentle || self.random.u8(..4) > 0 { 0 } else { 20 },
            user_name: user(client),
            ..hello(&format!("c{client}"))
        };
        // one client never has a session that lasts
        connect.clean_session |= client == 0 && !is_five;
        if self.random.u8(..3) == 0 && !is_gentle {
            connect.will = Some(self.some_will(client, is_five));
        }
        if is_five {
            connect.properties = Properties::new(self.terms(client, is_gentle));
        }
        self.open_for(client, connect);
    }

    fn open_for(&mut self, client: usize, connect: Connect) {
        let serial = self.open(client, connect.version);
        if let Some(earlier) = self.clients[client].socket.filter(|_| self.random.bool()) {
            self.close(earlier);
        }
        let me = &mut self.clients[client];
        (me.socket, me.is_greeted) = (Some(serial), false);
        me.is_sessionless = connect.properties.session_expiry_interval_s.unwrap_or(0) == 0;
        me.aliases_out.clear();
        self.write(client, &Packet::Connect(connect));
        let rest = self.sockets[serial].up.len();
        self.carry(serial, rest);
    }

    fn terms(&mut self, client: usize, is_gentle: bool) -> PropertyFields {
        let random = &mut self.random;
        let expiry_s = if is_gentle { FOREVER_S } else { [0, 5, 5, 60, FOREVER_S, FOREVER_S][random.usize(..6)] };
        PropertyFields {
            session_expiry_interval_s: (client > 0).then_some(expiry_s),
            receive_maximum: if random.bool() { NonZeroU16::new(random.u16(1..5)) } else { None },
            maximum_packet_size: if is_gentle || random.u8(..3) > 0 { None } else { NonZeroU32::new(PACKET_BYTES_MAX) },
            topic_alias_maximum: Some(random.u16(..3)),
            ..Default::default()
        }
    }

    fn some_will(&mut self, client: usize, is_five: bool) -> Will {
        self.messages += 1;
        let mut will = will(&format!("w/{client}"), &self.messages.to_string());
        will.qos = qos(self.random.u8(..3));
        will.retain = self.random.u8(..3) == 0;
        if is_five {
            will.delay_interval_s = [0, 0, 3, 40][self.random.usize(..4)];
            will.message_expiry_interval_s = (self.random.u8(..4) == 0).then_some(20);
        }
        will
    }

    fn read_all(&mut self, client: usize) {
        while let Some(serial) = self.clients[client]
            .socket
            .filter(|serial| !self.sockets[*serial].down.is_empty() || !self.sockets[*serial].up.is_empty())
        {
            let rest = self.sockets[serial].up.len();
            self.carry(serial, rest);
            self.read_bytes(client, serial, usize::MAX, false);
        }
    }

    /// Reads some of what has come; when `is_last`, the connection breaks before anything is answered.
    fn read(&mut self, client: usize, is_last: bool) {
        let Some(serial) = self.clients[client].socket else { return };
        let length = self.sockets[serial].down.len();
        let count = if self.random.bool() { length } else { self.random.usize(..=length) };
        self.read_bytes(client, serial, count, is_last);
        if is_last {
            self.close(serial);
        }
    }

    fn read_bytes(&mut self, client: usize, serial: usize, count: usize, is_last: bool) {
        let socket = &mut self.sockets[serial];
        let count = count.min(socket.down.len());
        let bytes: Vec<u8> = socket.down.drain(..count).collect();
        socket.reader.push(&bytes);
        let version = socket.version;
        while let Some(bytes) = self.sockets[serial].reader.next(version) {
            if let Some(answer) = self.take_in(client, whole(&bytes, version))
                && !is_last
            {
                self.write(client, &answer);
            }
        }
        if self.sockets[serial].is_over && self.sockets[serial].down.is_empty() {
            let me = &mut self.clients[client];
            (me.socket, me.is_greeted) = (None, false);
        }
    }

    fn take_in(&mut self, client: usize, packet: Packet<'_>) -> Option<Packet<'static>> {
        let me = &mut self.clients[client];
        match packet {
            // it is turned away, and knows nothing of its session
            Packet::ConnAck(ack) if ack.reason.is_failure() => {}
            Packet::ConnAck(ack) => self.resume(client, ack.session_present),
            Packet::Publish(publish) => return Client::receive(&publish),
            Packet::PubRel(ack) => {
                return Some(Packet::PubComp(Acknowledgement::success(ack.packet_id)));
            }
            Packet::PubRec(ack) if ack.reason.is_failure() => me.forget(ack.packet_id.get()),
            Packet::PubRec(ack) => {
                let mut outgoing = me.outgoing.iter_mut();
                if let Some(outgoing) = outgoing.find(|outgoing| outgoing.packet_id == ack.packet_id.get()) {
                    outgoing.is_received = true;
                }
                return Some(Packet::PubRel(Acknowledgement::success(ack.packet_id)));
            }
            Packet::PubAck(ack) | Packet::PubComp(ack) => me.forget(ack.packet_id.get()),
            _ => {}
        }
        None
    }

    fn resume(&mut self, client: usize, is_present: bool) {
        let me = &mut self.clients[client];
        me.is_greeted = true;
        if !is_present {
            me.outgoing.clear();
        }
        me.outgoing.iter_mut().for_each(|outgoing| outgoing.is_repeated = true);
        for again in me.outgoing.clone() {
            if again.is_received {
                self.write(client, &Packet::PubRel(ack(again.packet_id)));
            } else {
                self.write_message(client, &again);
            }
        }
    }
}

impl Client {
    fn forget(&mut self, packet_id: u16) {
        self.outgoing.retain(|outgoing| outgoing.packet_id != packet_id);
    }

    fn receive(publish: &Publish<'_>) -> Option<Packet<'static>> {
        let packet_id = publish.packet_id?.get();
        Some(match publish.qos {
            QoS::ExactlyOnce => Packet::PubRec(ack(packet_id)),
            _ => Packet::PubAck(ack(packet_id)),
        })
    }
}
