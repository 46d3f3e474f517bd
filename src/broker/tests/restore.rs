//! The machine after a restart, and queues that are longer than memory.

use std::sync::Arc;

use super::super::state::{Backlog, Kept, KeptWill, Phase, Retained, Sent, SessionState, State};
use super::super::{Delivery, Granted, Message, Owner, Standing, Terms};
use super::*;
use crate::access::Rights;

fn delivery(arrival: u64, payload: &str, bits: u8) -> Delivery {
    let message = Message::new(TopicName::new("t").unwrap(), payload.to_owned().into());
    Delivery { arrival, message: Arc::new(message), qos: qos(bits), retain: false, marks: None }
}

fn kept(arrival: u64, payload: &str, bits: u8, sent: Option<(u16, Phase)>) -> Kept {
    let sent = sent.map(|(number, phase)| Sent { packet_id: id(number), phase });
    Kept { delivery: delivery(arrival, payload, bits), sent }
}

impl World {
    /// Begins with `state`; everybody may do everything.
    fn restore(&mut self, state: State) {
        self.broker.restore(state, self.now, |_, _| Standing::Stays(Rights::everything()));
        self.drain();
    }
}

fn state(deliveries: Vec<Kept>, rest: Backlog) -> State {
    let session = SessionState {
        client_id: ClientId::new("s"),
        terms: Terms::forever(),
        subscriptions: vec![(TopicFilter::new("t").unwrap(), Granted::new(qos(2)))],
        replays: Vec::new(),
        received: vec![id(7)],
        deliveries,
        rest,
    };
    State { sessions: vec![session], next_arrival: 1000, ..State::default() }
}

#[test]
fn a_session_goes_on_where_it_was() {
    let mut world = World::new();
    world.restore(state(
        vec![
            kept(1, "a", 1, Some((3, Phase::Sent))),
            kept(2, "b", 2, Some((4, Phase::Released))),
            kept(3, "c", 2, Some((5, Phase::Sent))),
            kept(4, "d", 1, None),
        ],
        Backlog::default(),
    ));
    let (subscriber, got) = world.rejoin("s");
    assert_eq!(got, ["t=a q1 id 3 dup", "pubrel 4", "t=c q2 id 5 dup", "t=d q1 id 6"]);
    // the identifier 7 was taken before the restart: its message was passed on already
    world.publish(subscriber, "t", "again", 2, 7);
    assert_eq!(world.take(subscriber), ["pubrec 7"]);
    world.publish(subscriber, "t", "new", 1, 8);
    assert_eq!(world.take(subscriber), ["t=new q1 id 7", "puback 8"]);
}

#[test]
fn retained_messages_are_there_and_wills_of_the_dead_are_published() {
    let mut world = World::new();
    let message = Arc::new(Message::new(TopicName::new("r").unwrap(), "kept".into()));
    let last = Will { retain: true, qos: QoS::AtLeastOnce, ..will("w", "gone") };
    world.restore(State {
        retained: vec![Retained { message, qos: qos(1), owner: Owner::Anonymous }],
        wills: vec![KeptWill { client_id: ClientId::new("dead"), user: None, will: last, due: None }],
        ..State::default()
    });
    let client = world.join("c", true);
    world.subscribe(client, "#", 1);
    assert_eq!(world.take(client)[1..], ["r=kept q1 id 1 retain", "w=gone q1 id 2 retain"]);
}

/// What the disk holds for the session `s`, read as the machine asks for it.
fn serve_loads(world: &mut World, disk: &[Delivery]) {
    while let Some((after, count)) = world.loads.pop() {
        let piece = disk.iter().filter(|delivery| delivery.arrival > after).take(count).cloned().collect();
        world.broker.handle_loaded(&ClientId::new("s"), piece, world.now);
        world.drain();
    }
}

#[test]
fn a_queue_longer_than_memory_comes_whole_and_in_order() {
    let mut world = World::with(Options { spills_queues: true, inflight_max: 1, ..Options::default() });
    let subscriber = world.join("s", false);
    world.subscribe(subscriber, "t", 1);
    world.cut(subscriber);
    let publisher = world.join("p", true);
    for number in 0..3500 {
        world.publish(publisher, "t", &number.to_string(), 1, 1);
    }
    let disk: Vec<_> = (1..=3500).map(|arrival| delivery(arrival, &(arrival - 1).to_string(), 1)).collect();
    let (subscriber, mut got) = world.rejoin("s");
    for number in 0..3500 {
        serve_loads(&mut world, &disk);
        got.extend(world.take(subscriber));
        let words = got.remove(0);
        assert!(words.starts_with(&format!("t={number} q1")), "{words} in place of {number}");
        let packet_id = words.rsplit(' ').next().unwrap().parse().unwrap();
        world.send(subscriber, Packet::PubAck(ack(packet_id)));
    }
    serve_loads(&mut world, &disk);
    assert!(world.take(subscriber).is_empty());
}

#[test]
fn a_queue_on_disk_is_capped_too() {
    let mut world = World::with(Options {
        spills_queues: true,
        queue: QueueLimits { messages_max: 1200, ..QueueLimits::default() },
        inflight_max: 1,
        ..Options::default()
    });
    let subscriber = world.join("s", false);
    world.subscribe(subscriber, "t", 1);
    world.cut(subscriber);
    let publisher = world.join("p", true);
    let disk: Vec<_> = (1..=5000).map(|arrival| delivery(arrival, &(arrival - 1).to_string(), 1)).collect();
    for number in 0..5000 {
        world.publish(publisher, "t", &number.to_string(), 1, 1);
        let written = disk.iter().take(number + 1).cloned().collect::<Vec<_>>();
        serve_loads(&mut world, &written);
    }
    let (_, got) = world.rejoin("s");
    assert_eq!(got, ["t=3800 q1 id 1"]);
}
