//! Random lives of a few clients, one seed each: publishes of every quality of service, cuts, takeovers, lost bytes and
//! late answers to tickets, compared with what the standard promises.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;

const SEEDS: u64 = 300;
const STEPS: usize = 200;
const TOPICS: [&str; 3] = ["a", "b", "a/c"];
/// One client each: what it is subscribed to.
const SUBSCRIPTIONS: [(&str, u8); 4] = [("#", 2), ("+", 1), ("a/#", 2), ("b", 0)];

/// A message of the model: the payload is its place in the list of all.
struct Sent {
    publisher: usize,
    topic: &'static str,
    qos: u8,
    retain: bool,
    is_handed_over: bool,
}

/// A publish that is not complete.
struct Outgoing {
    number: usize,
    packet_id: u16,
    is_received: bool,
}

struct Client {
    connection: Option<ConnectionId>,
    is_greeted: bool,
    unread: VecDeque<Vec<u8>>,
    outgoing: VecDeque<Outgoing>,
    last_packet_id: u16,
    /// Identifiers of QoS 2 whose PUBREL has not come.
    incoming: BTreeSet<u16>,
    got: Vec<usize>,
}

struct Simulation {
    world: World,
    random: fastrand::Rng,
    clients: Vec<Client>,
    messages: Vec<Sent>,
    retained: BTreeMap<&'static str, usize>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut world = World::with(Options { inflight_max: 3, ..Options::default() });
        let clients = (0..SUBSCRIPTIONS.len()).map(|number| join(&mut world, number)).collect();
        world.sent.clear();
        world.is_durable_at_once = false;
        let random = fastrand::Rng::with_seed(seed);
        Self { world, random, clients, messages: Vec::new(), retained: BTreeMap::new() }
    }

    fn step(&mut self) {
        let client = self.random.usize(..self.clients.len());
        match self.random.u8(..100) {
            0..45 => self.publish(client, false),
            45..48 => self.publish(client, true),
            48..75 => self.read(client, false),
            75..78 => self.read(client, true),
            78..83 => self.cut(client),
            83..90 => self.come(client),
            _ => self.answer_tickets(1),
        }
    }

    /// Everybody comes back and reads until all is quiet.
    fn heal(&mut self) {
        for client in 0..self.clients.len() {
            self.come(client);
        }
        while !self.is_quiet() {
            self.answer_tickets(usize::MAX);
            (0..self.clients.len()).for_each(|client| self.read(client, false));
        }
        assert!(self.clients.iter().all(|client| client.outgoing.is_empty()), "a publish that is never complete");
    }

    fn is_quiet(&self) -> bool {
        self.world.requested.is_empty() && self.clients.iter().all(|client| client.unread.is_empty())
    }

    fn answer_tickets(&mut self, most: usize) {
        let count = most.min(self.world.requested.len());
        for ticket in self.world.requested.drain(..count).collect::<Vec<_>>() {
            self.world.broker.handle_persisted(ticket);
        }
        self.collect();
    }

    /// Sorts what the machine has sent to its receivers.
    fn collect(&mut self) {
        self.world.drain();
        for (to, bytes) in std::mem::take(&mut self.world.sent) {
            self.clients.iter_mut().filter(|client| client.connection == Some(to)).for_each(|client| {
                client.unread.push_back(bytes.clone());
            });
        }
    }

    fn hand_over(&mut self, client: usize, packet: Packet<'_>) {
        let Some(connection) = self.clients[client].connection else { return };
        self.world.broker.handle_packet(connection, packet, self.world.now);
        self.collect();
    }

    /// Publishes something; when `is_lost`, the connection breaks before it arrives.
    fn publish(&mut self, client: usize, is_lost: bool) {
        let me = &mut self.clients[client];
        if !me.is_greeted || me.outgoing.len() > 5 {
            return;
        }
        let (number, qos) = (self.messages.len(), self.random.u8(..3));
        let topic = TOPICS[self.random.usize(..TOPICS.len())];
        let retain = self.random.u8(..4) == 0;
        self.messages.push(Sent { publisher: client, topic, qos, retain, is_handed_over: false });
        me.last_packet_id = me.last_packet_id % 1000 + 1;
        let packet_id = me.last_packet_id;
        if qos > 0 {
            me.outgoing.push_back(Outgoing { number, packet_id, is_received: false });
        }
        if is_lost {
            self.cut(client);
        } else {
            self.hand_over_message(client, number, packet_id);
        }
    }

    fn hand_over_message(&mut self, client: usize, number: usize, packet_id: u16) {
        let Sent { topic, qos, retain, ref mut is_handed_over, .. } = self.messages[number];
        let is_repeated = std::mem::replace(is_handed_over, true);
        if retain && !(is_repeated && qos == 2) {
            self.retained.insert(topic, number);
        }
        let payload = number.to_string();
        let Packet::Publish(publish) = publish(topic, &payload, qos, packet_id) else { return };
        self.hand_over(client, Packet::Publish(Publish { retain, dup: is_repeated && qos > 0, ..publish }));
    }

    fn cut(&mut self, client: usize) {
        let me = &mut self.clients[client];
        me.unread.clear();
        me.is_greeted = false;
        if let Some(connection) = me.connection.take() {
            self.world.cut(connection);
            self.collect();
        }
    }

    /// Connects, also in place of a connection that is there.
    fn come(&mut self, client: usize) {
        let connection = self.world.open();
        let me = &mut self.clients[client];
        (me.connection, me.is_greeted) = (Some(connection), false);
        me.unread.clear();
        self.hand_over(client, Packet::Connect(Connect { clean_session: false, ..hello(&client.to_string()) }));
    }

    /// Reads some of what has come; when `is_last`, the connection breaks before anything is answered.
    fn read(&mut self, client: usize, is_last: bool) {
        let count = self.random.usize(..=self.clients[client].unread.len());
        for bytes in self.clients[client].unread.drain(..count).collect::<Vec<_>>() {
            let Ok(Decoded::Packet { packet, .. }) = decode(&bytes, ProtocolVersion::V311, usize::MAX) else {
                panic!()
            };
            if let Some(answer) = self.take_in(client, packet)
                && !is_last
            {
                self.hand_over(client, answer);
            }
        }
        if is_last {
            self.cut(client);
        }
    }

    fn take_in(&mut self, client: usize, packet: Packet<'_>) -> Option<Packet<'static>> {
        let me = &mut self.clients[client];
        match packet {
            Packet::ConnAck(_) => self.resume(client),
            Packet::Publish(publish) => return me.receive(&publish, SUBSCRIPTIONS[client].0),
            Packet::PubRel(ack) => {
                me.incoming.remove(&ack.packet_id.get());
                return Some(Packet::PubComp(ack));
            }
            Packet::PubRec(ack) => {
                let received = me.outgoing.iter_mut().find(|outgoing| outgoing.packet_id == ack.packet_id.get());
                if let Some(outgoing) = received {
                    outgoing.is_received = true;
                }
                return Some(Packet::PubRel(ack));
            }
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                me.outgoing.retain(|outgoing| outgoing.packet_id != ack.packet_id.get());
            }
            other => panic!("{other:?}"),
        }
        None
    }

    fn resume(&mut self, client: usize) {
        let me = &mut self.clients[client];
        me.is_greeted = true;
        let again: Vec<_> = me.outgoing.iter().map(|o| (o.number, o.packet_id, o.is_received)).collect();
        for (number, packet_id, is_received) in again {
            if is_received {
                self.hand_over(client, Packet::PubRel(ack(packet_id)));
            } else {
                self.hand_over_message(client, number, packet_id);
            }
        }
    }

    fn check(&mut self) {
        for (client, (filter, granted)) in SUBSCRIPTIONS.into_iter().enumerate() {
            let filter = TopicFilter::new(filter).unwrap();
            for (number, message) in self.messages.iter().enumerate() {
                let copies = self.clients[client].got.iter().filter(|got| **got == number).count();
                match message.qos.min(granted) {
                    _ if !filter.matches(message.topic) => assert_eq!(copies, 0, "{number} to {client}"),
                    // repeated by its publisher, it is passed on again
                    0 if message.qos == 1 => {}
                    0 => assert!(copies <= 1, "{number} to {client}: {copies} copies at QoS 0"),
                    1 => assert!(copies >= 1, "{number} to {client} is lost"),
                    _ => assert_eq!(copies, 1, "{number} to {client} at QoS 2"),
                }
            }
            self.check_order(client, granted);
        }
        self.check_retained();
    }

    /// [MQTT-4.6.0-6]
    fn check_order(&self, client: usize, granted: u8) {
        let mut newest = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for number in self.clients[client].got.iter().filter(|number| seen.insert(**number)) {
            let Sent { publisher, topic, qos, .. } = self.messages[*number];
            if qos == 1 && granted == 0 {
                // the first copy may have missed this client, and a later one have come in its place
                continue;
            }
            if let Some(before) = newest.insert((publisher, topic, qos.min(granted)), number) {
                assert!(before < number, "{number} after {before} to {client}");
            }
        }
    }

    fn check_retained(&mut self) {
        self.world.is_durable_at_once = true;
        let late = self.world.join("late", true);
        self.world.subscribe(late, "#", 0);
        let expected: Vec<_> =
            self.retained.iter().map(|(topic, number)| format!("{topic}={number} q0 retain")).collect();
        assert_eq!(self.world.take(late)[1..], expected);
    }
}

impl Client {
    fn receive(&mut self, publish: &Publish<'_>, filter: &str) -> Option<Packet<'static>> {
        assert!(TopicFilter::new(filter).unwrap().matches(publish.topic), "{publish:?} under {filter}");
        let number = std::str::from_utf8(publish.payload).unwrap().parse().unwrap();
        let packet_id = publish.packet_id.map(PacketId::get).unwrap_or_default();
        if publish.qos != QoS::ExactlyOnce || self.incoming.insert(packet_id) {
            self.got.push(number);
        }
        match publish.qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => Some(Packet::PubAck(ack(packet_id))),
            QoS::ExactlyOnce => Some(Packet::PubRec(ack(packet_id))),
        }
    }
}

fn join(world: &mut World, number: usize) -> Client {
    let connection = world.join(&number.to_string(), false);
    let (filter, granted) = SUBSCRIPTIONS[number];
    world.subscribe(connection, filter, granted);
    Client {
        connection: Some(connection),
        is_greeted: true,
        unread: VecDeque::new(),
        outgoing: VecDeque::new(),
        last_packet_id: 0,
        incoming: BTreeSet::new(),
        got: Vec::new(),
    }
}

#[test]
fn promises_are_kept_whatever_happens_to_the_connections() {
    for seed in 0..SEEDS {
        let outcome = std::panic::catch_unwind(|| {
            let mut simulation = Simulation::new(seed);
            (0..STEPS).for_each(|_| simulation.step());
            simulation.heal();
            simulation.check();
        });
        assert!(outcome.is_ok(), "seed {seed}");
    }
}
