//! What waits for durability, and what does not.

use super::*;

/// A machine whose requests to persist stay open, with an absent persistent subscriber of `t`.
fn slow() -> World {
    let mut world = World::new();
    let subscriber = world.join("absent", false);
    world.subscribe(subscriber, "t", 2);
    world.cut(subscriber);
    world.sent.clear();
    world
}

#[test]
fn an_acknowledgement_waits_until_the_message_is_durable() {
    let mut world = slow();
    let publisher = world.join("p", true);
    world.is_durable_at_once = false;
    world.publish(publisher, "t", "x", 1, 7);
    assert!(world.take(publisher).is_empty());
    world.persist();
    assert_eq!(world.take(publisher), ["puback 7"]);
}

#[test]
fn where_nothing_outlives_its_connection_nothing_waits() {
    let mut world = World::new();
    let subscriber = world.join("s", true);
    world.subscribe(subscriber, "t", 1);
    let publisher = world.join("p", true);
    world.is_durable_at_once = false;
    world.take(subscriber);
    world.publish(publisher, "t", "x", 1, 7);
    assert_eq!(world.take(publisher), ["puback 7"]);
    assert_eq!(world.take(subscriber), ["t=x q1 id 1"]);
    assert!(world.requested.is_empty());
}

#[test]
fn later_acknowledgements_stay_behind_earlier_ones_that_wait() {
    let mut world = slow();
    let publisher = world.join("p", true);
    world.is_durable_at_once = false;
    world.publish(publisher, "t", "x", 1, 1);
    world.publish(publisher, "nobody", "y", 1, 2);
    assert!(world.take(publisher).is_empty());
    world.persist();
    assert_eq!(world.take(publisher), ["puback 1", "puback 2"]);
}

#[test]
fn connack_of_a_new_persistent_session_waits_and_everything_stays_behind_it() {
    let mut world = World::new();
    world.is_durable_at_once = false;
    let client = world.connect(Connect { clean_session: false, ..hello("c") });
    world.subscribe(client, "t", 0);
    world.publish(client, "t", "x", 0, 0);
    assert!(world.take(client).is_empty());
    world.persist();
    assert_eq!(world.take(client), ["connack 0 present=false", "suback 5 [0]", "t=x q0"]);
}

#[test]
fn a_qos_2_message_of_a_persistent_publisher_goes_onward_after_its_own_persist() {
    let mut world = World::new();
    let subscriber = world.join("s", true);
    world.subscribe(subscriber, "t", 0);
    world.take(subscriber);
    let publisher = world.join("p", false);
    world.is_durable_at_once = false;
    world.publish(publisher, "t", "x", 2, 7);
    assert!(world.take(subscriber).is_empty());
    assert!(world.take(publisher).is_empty());
    world.persist();
    assert_eq!(world.take(subscriber), ["t=x q0"]);
    assert_eq!(world.take(publisher), ["pubrec 7"]);
}

#[test]
fn a_qos_2_delivery_to_a_persistent_session_goes_out_after_its_identifier_is_durable() {
    let mut world = World::new();
    let subscriber = world.join("s", false);
    world.subscribe(subscriber, "t", 2);
    world.take(subscriber);
    let publisher = world.join("p", true);
    world.is_durable_at_once = false;
    world.publish(publisher, "t", "x", 2, 7);
    assert!(world.take(subscriber).is_empty());
    world.persist();
    assert_eq!(world.take(subscriber), ["t=x q2 id 1"]);
    world.send(subscriber, Packet::PubRec(ack(1)));
    assert!(world.take(subscriber).is_empty());
    world.persist();
    assert_eq!(world.take(subscriber), ["pubrel 1"]);
}

#[test]
fn only_what_depends_on_a_failing_ticket_waits_for_it() {
    let mut world = slow();
    let (first, second) = (world.join("first", true), world.join("second", true));
    world.is_durable_at_once = false;
    world.publish(first, "t", "x", 1, 7);
    world.publish(second, "t", "y", 1, 8);
    let [failing, written] = world.requested[..] else { panic!("{:?}", world.requested) };
    world.publish(first, "nobody", "z", 1, 9);
    world.broker.handle_persisted(written, world.now);
    world.drain();
    assert_eq!(world.take(second), ["puback 8"]);
    assert!(world.take(first).is_empty(), "acknowledgements keep their order");
    world.broker.handle_persisted(failing, world.now);
    world.drain();
    assert_eq!(world.take(first), ["puback 7", "puback 9"]);
}

#[test]
fn while_the_disk_is_full_clients_come_and_are_heard() {
    let mut world = slow();
    let publisher = world.join("p", true);
    world.is_durable_at_once = false;
    world.broker.handle_disk(Disk::Full, world.now);
    world.publish(publisher, "t", "x", 1, 7);
    world.send(publisher, Packet::PingReq);
    assert_eq!(world.take(publisher), ["pingresp"]);
    let clean = world.connect(Connect { will: Some(will("w", "gone")), ..hello("clean") });
    assert_eq!(world.take(clean), ["connack 0 present=false"]);
    let new = world.connect(Connect { clean_session: false, ..hello("new") });
    assert_eq!(world.take(new), ["connack 3 present=false"]);
    let (absent, got) = world.rejoin("absent");
    assert_eq!(got, ["t=x q1 id 1"]);
    world.send(absent, Packet::PubAck(ack(1)));
    let again = world.connect(hello("p"));
    assert_eq!(world.take(again), ["connack 0 present=false"]);
    assert_eq!(world.reason(publisher), Some(&CloseReason::TakenOver));
}

#[test]
fn several_acknowledgements_share_one_request() {
    let mut world = slow();
    let publisher = world.join("p", true);
    world.is_durable_at_once = false;
    for packet_id in 1..=50 {
        world.broker.handle_packet(publisher, publish("t", "x", 1, packet_id), world.now);
    }
    world.drain();
    assert_eq!(world.requested.len(), 1);
    world.persist();
    assert_eq!(world.take(publisher).len(), 50);
}

#[test]
fn a_delivery_does_not_overtake_an_earlier_one_that_is_held() {
    let mut world = World::new();
    let subscriber = world.join("s", true);
    world.subscribe(subscriber, "t", 1);
    world.take(subscriber);
    let publisher = world.join("p", false);
    world.is_durable_at_once = false;
    world.publish(publisher, "t", "first", 2, 7);
    world.publish(publisher, "t", "second", 1, 8);
    world.publish(publisher, "t", "third", 0, 0);
    assert!(world.take(subscriber).is_empty());
    world.persist();
    assert_eq!(world.take(subscriber), ["t=first q1 id 1", "t=second q1 id 2", "t=third q0"]);
}
