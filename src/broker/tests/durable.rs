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
fn connack_of_a_new_persistent_session_is_sent_when_it_is_durable_and_before_everything_else() {
    let mut world = World::new();
    world.is_durable_at_once = false;
    let client = world.connect(Connect { clean_session: false, ..hello("c") });
    world.subscribe(client, "t", 0);
    world.publish(client, "t", "x", 0, 0);
    assert!(world.take(client).is_empty());
    world.persist();
    // PUBLISH may precede SUBACK (section 3.8.4)
    assert_eq!(world.take(client), ["connack 0 present=false", "t=x q0", "suback 5 [0]"]);
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

/// A world in which nothing becomes durable before `persist`, with two clients whose sessions persist.
fn slow_disk() -> (World, ConnectionId, ConnectionId) {
    let mut world = World::new();
    let [one, other] = ["one", "other"].map(|client_id| world.join(client_id, false));
    world.is_durable_at_once = false;
    (world, one, other)
}

#[test]
fn clearing_a_topic_that_is_being_cleared_is_acknowledged_when_the_first_clearing_is_durable() {
    let (mut world, one, other) = slow_disk();
    world.send(one, retain("t", "x", 1));
    world.persist();
    world.take(one);
    world.send(one, retain("t", "", 0));
    world.send(other, retain("t", "", 1));
    assert!(world.take(other).is_empty(), "a crash would bring the message back");
    world.persist();
    assert_eq!(world.take(other), ["puback 9"]);
    world.send(other, retain("t", "", 1));
    assert_eq!(world.take(other), ["puback 9"], "it is durably gone");
}

#[test]
fn unsuback_waits_for_the_removal_that_an_earlier_unsubscribe_has_made() {
    let (mut world, client, _) = slow_disk();
    world.subscribe(client, "t", 1);
    world.persist();
    world.take(client);
    world.send(client, unsubscribe("t"));
    let (client, got) = {
        world.cut(client);
        world.rejoin("one")
    };
    assert!(got.is_empty());
    world.send(client, unsubscribe("t"));
    assert!(world.take(client).is_empty());
    world.persist();
    assert_eq!(world.take(client), ["unsuback 6"]);
    world.send(client, unsubscribe("never"));
    assert_eq!(world.take(client), ["unsuback 6"]);
}

#[test]
fn pubcomp_and_repeated_pubrec_wait_for_the_last_change_to_their_identifier() {
    let (mut world, client, _) = slow_disk();
    world.publish(client, "t", "x", 2, 7);
    world.publish(client, "t", "x", 2, 7);
    assert!(world.take(client).is_empty());
    world.persist();
    assert_eq!(world.take(client), ["pubrec 7", "pubrec 7"]);
    world.send(client, Packet::PubRel(ack(7)));
    world.cut(client);
    let (client, _) = world.rejoin("one");
    world.send(client, Packet::PubRel(ack(7)));
    assert!(world.take(client).is_empty());
    world.persist();
    assert_eq!(world.take(client), ["pubcomp 7"]);
}

#[test]
fn pubrel_is_repeated_on_a_new_connection_only_when_pubrec_is_durable() {
    let (mut world, client, publisher) = slow_disk();
    world.subscribe(client, "t", 2);
    world.publish(publisher, "t", "x", 2, 3);
    world.persist();
    world.take(client);
    world.send(client, Packet::PubRec(ack(1)));
    world.cut(client);
    let (client, got) = world.rejoin("one");
    assert!(got.is_empty(), "after a crash PUBLISH would follow PUBREL");
    world.persist();
    assert_eq!(world.take(client), ["pubrel 1"]);
}

#[test]
fn connack_of_a_session_that_does_not_persist_waits_for_the_end_of_an_earlier_one() {
    let (mut world, client, _) = slow_disk();
    let clean = Connect { clean_session: true, ..hello("one") };
    let again = world.connect(clean.clone());
    world.cut(again);
    world.cut(client);
    let third = world.connect(clean);
    assert!(world.take(third).is_empty(), "after a crash the client would find its old session");
    world.persist();
    assert_eq!(world.take(third), ["connack 0 present=false"]);
}

#[test]
fn outputs_held_for_a_connection_are_bounded_while_the_disk_is_full_and_go_with_it() {
    let (mut world, client, subscriber) = slow_disk();
    world.subscribe(subscriber, "t", 1);
    world.persist();
    world.broker.handle_disk(Disk::Full, world.now);
    let mut sent = 0;
    while world.broker.accepts_input(client) {
        sent += 1;
        world.publish(client, "t", "x", 1, sent);
    }
    assert!((10..100).contains(&sent), "{sent} messages were accepted");
    world.cut(client);
    assert!(world.broker.connections.get(client).is_none() && world.broker.closing.is_empty());
    world.broker.handle_disk(Disk::Writes, world.now);
    world.persist();
    assert!(world.take(client).is_empty());
}

#[test]
fn a_client_is_read_again_when_what_was_held_for_it_is_sent() {
    let (mut world, client, subscriber) = slow_disk();
    world.subscribe(subscriber, "t", 1);
    world.persist();
    world.broker.handle_disk(Disk::Full, world.now);
    while world.broker.accepts_input(client) {
        world.publish(client, "t", "x", 1, 1);
    }
    world.broker.handle_disk(Disk::Writes, world.now);
    world.persist();
    assert!(world.broker.accepts_input(client));
    assert_eq!(world.read_again, [client]);
}

#[test]
fn a_connection_that_ends_while_the_disk_does_not_write_is_closed_at_once() {
    let (mut world, client, other) = slow_disk();
    world.subscribe(client, "t", 1);
    world.broker.handle_disk(Disk::Fails, world.now);
    world.send(client, Packet::PingResp);
    assert!(matches!(world.reason(client), Some(CloseReason::Violation { .. })));
    world.broker.handle_disk(Disk::Writes, world.now);
    world.subscribe(other, "t", 1);
    world.send(other, Packet::PingResp);
    assert_eq!(world.reason(other), None, "its SUBACK is on its way");
    world.broker.handle_disk(Disk::Fails, world.now);
    world.drain();
    assert!(matches!(world.reason(other), Some(CloseReason::Violation { .. })));
}
