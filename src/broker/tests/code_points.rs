//! State from before control characters were refused: it stays within reach of its clients.

use std::sync::Arc;

use super::super::state::{Backlog, Kept, Retained, SessionState, State};
use super::super::{Delivery, Granted, Message, Owner, Standing, Terms};
use super::*;
use crate::access::Rights;

const TOPIC: &str = "a/\u{1}";
const CLIENT: &str = "c\u{7f}";

fn message(payload: &'static str) -> Arc<Message> {
    Arc::new(Message::new(TopicName::new(TOPIC).unwrap(), payload.into()))
}

/// A broker that begins with a retained message, a session and its queued message, all with a control character.
fn restored() -> World {
    let delivery = Delivery { arrival: 1, message: message("queued"), qos: qos(1), retain: false, marks: None };
    let session = SessionState {
        client_id: ClientId::new(CLIENT),
        terms: Terms::forever(),
        subscriptions: vec![(TopicFilter::new(TOPIC).unwrap(), Granted::new(qos(1)))],
        replays: Vec::new(),
        received: Vec::new(),
        deliveries: vec![Kept { delivery, sent: None }],
        rest: Backlog::default(),
    };
    let retained = Retained { message: message("retained"), qos: qos(0), owner: Owner::Anonymous };
    let state = State { sessions: vec![session], retained: vec![retained], next_arrival: 9, ..State::default() };
    let mut world = World::new();
    world.broker.restore(state, world.now, |_, _| Standing::Stays(Rights::everything()));
    world.drain();
    world
}

#[test]
fn client_whose_identifier_has_a_control_character_is_refused_unless_it_has_a_session() {
    let mut world = restored();
    for (connect, expected) in [
        (hello("new\u{1}"), "connack 2 present=false"),
        (Connect { version: ProtocolVersion::V5, ..hello("new\u{ffff}") }, "connack 2 present=false"),
    ] {
        let connection = world.connect(connect);
        assert_eq!(world.take(connection), [expected]);
    }
    let (_, got) = world.rejoin(CLIENT);
    assert_eq!(got, ["t=queued q1 id 1".replace("t=", &format!("{TOPIC}="))]);
}

#[test]
fn retained_message_is_not_replayed_and_an_empty_one_clears_it_and_is_delivered_to_nobody() {
    let mut world = restored();
    let subscriber = world.join("s", true);
    world.subscribe(subscriber, "#", 1);
    assert_eq!(world.take(subscriber), ["suback 5 [1]"]);
    assert!(world.broker.retained.len() == 1, "it is stored all the same");
    let publisher = world.join("p", true);
    world.send(publisher, Packet::Publish(Publish { retain: true, ..Publish::new(TOPIC, b"") }));
    assert_eq!(world.broker.retained.len(), 0);
    assert_eq!(world.take(subscriber), [""; 0]);
}

#[test]
fn subscription_with_a_control_character_can_be_ended() {
    let mut world = restored();
    let (connection, _) = world.rejoin(CLIENT);
    let unsubscribe = Unsubscribe::new(PacketId::new(5).unwrap(), vec![TopicFilter::new(TOPIC).unwrap()]);
    world.send(connection, Packet::Unsubscribe(unsubscribe));
    assert_eq!(world.take(connection), ["unsuback 5"]);
    let key = world.broker.sessions_by_client[&ClientId::new(CLIENT)];
    assert!(world.broker.sessions[key].subscriptions.is_empty());
}
