//! Retained messages.

use super::*;

#[test]
fn a_new_subscription_gets_what_is_retained_and_an_equal_one_gets_it_again() {
    let mut world = World::new();
    let publisher = world.join("p", true);
    world.send(publisher, retain("a/1", "x", 1));
    world.send(publisher, retain("a/2", "y", 0));
    let subscriber = world.join("s", true);
    for _ in 0..2 {
        world.subscribe(subscriber, "a/+", 2);
        let got: Vec<_> = world.take(subscriber);
        assert_eq!(got.len(), 3);
        assert_eq!(got[0], "suback 5 [2]");
        assert!(got[1].starts_with("a/1=x q1 id") && got[1].ends_with(" retain"));
        assert_eq!(got[2], "a/2=y q0 retain");
    }
}

#[test]
fn a_live_delivery_is_not_marked_retained() {
    let mut world = World::new();
    let subscriber = world.join("s", true);
    world.subscribe(subscriber, "t", 0);
    world.take(subscriber);
    world.send(subscriber, retain("t", "x", 0));
    assert_eq!(world.take(subscriber), ["t=x q0"]);
}

#[test]
fn retained_message_is_replaced_and_cleared_by_an_empty_payload() {
    let mut world = World::new();
    let client = world.join("c", true);
    world.send(client, retain("t", "old", 0));
    world.send(client, retain("t", "new", 0));
    world.publish(client, "t", "passing", 0, 0);
    world.subscribe(client, "t", 0);
    assert_eq!(world.take(client)[1..], ["t=new q0 retain"]);
    world.send(client, retain("t", "", 0));
    assert_eq!(world.take(client), ["t= q0"]);
    world.subscribe(client, "t", 0);
    assert_eq!(world.take(client), ["suback 5 [0]"]);
}

#[test]
fn a_thousand_retained_topics_all_come_whatever_the_window() {
    let mut world = World::with(Options { inflight_max: 5, ..Options::default() });
    let publisher = world.join("p", true);
    for number in 0..1000 {
        world.send(publisher, retain(&format!("t/{number}"), "x", 1));
    }
    let subscriber = world.join("s", true);
    world.subscribe(subscriber, "#", 1);
    let mut received = 0;
    loop {
        let got: Vec<_> = world.take(subscriber).into_iter().filter(|words| words.contains(" id ")).collect();
        if got.is_empty() {
            break;
        }
        received += got.len();
        for words in got {
            let number = words.split_once(" id ").unwrap().1.split(' ').next().unwrap().parse().unwrap();
            world.send(subscriber, Packet::PubAck(ack(number)));
        }
    }
    assert_eq!(received, 1000);
}

#[test]
fn a_message_that_does_not_fit_leaves_no_older_one_in_its_place() {
    let mut world = World::with(Options { retained_bytes_max: 1000, ..Options::default() });
    let client = world.join("c", true);
    world.send(client, retain("t", "old", 0));
    world.send(client, retain("t", &"too long".repeat(100), 0));
    world.subscribe(client, "t", 0);
    assert_eq!(world.take(client), ["suback 5 [0]"]);
    world.send(client, retain("other", "fits", 0));
    world.subscribe(client, "other", 0);
    assert_eq!(world.take(client)[1..], ["other=fits q0 retain"]);
}

#[test]
fn version_5_is_refused_a_retained_message_that_does_not_fit_and_the_earlier_one_stays() {
    let mut world = World::with(Options { retained_bytes_max: 1000, ..Options::default() });
    let client = world.connect(Connect { version: ProtocolVersion::V5, ..hello("c") });
    world.subscribe(client, "t", 1);
    world.send(client, retain("t", "old", 1));
    world.take(client);
    let long = "too long".repeat(100);
    world.send(client, retain("t", &long, 1));
    assert_eq!(world.take(client), ["puback 9 97"]);
    assert_eq!(world.broker.retained.get("t").map(|retained| &retained.message.payload[..]), Some(&b"old"[..]));
    world.send(client, retain("t", &long, 0));
    assert_eq!(world.take(client), [format!("t={long} q0")], "QoS 0 has no answer: it is delivered and not kept");
    assert!(world.broker.retained.get("t").is_none());
}

#[test]
fn messages_of_other_users_are_kept_whoever_fills_the_budget() {
    let mut world = World::with(Options { retained_messages_max: 1000, ..Options::default() });
    let [ann, bob] = ["ann", "bob"].map(|user| world.connect(Connect { user_name: Some(user.into()), ..hello(user) }));
    world.send(bob, retain("bob", "x", 0));
    for number in 0..2000 {
        world.send(ann, retain(&format!("ann/{number}"), "x", 0));
    }
    world.send(bob, retain("bob", "longer than before", 0));
    world.send(bob, retain("bob/second", "x", 0));
    let kept = |topic| world.broker.retained.get(topic).map(|retained| retained.message.payload.clone());
    assert_eq!(kept("bob").as_deref(), Some(&b"longer than before"[..]));
    assert!(kept("bob/second").is_some() && kept("ann/800").is_some() && kept("ann/999").is_none());
}

#[test]
fn one_subscribe_brings_a_retained_message_once_for_each_of_its_filters_that_match() {
    let mut world = World::new();
    let client = world.join("c", true);
    world.send(client, retain("a/b", "x", 2));
    world.take(client);
    world.send(client, subscribe(&[("#", 0), ("a/#", 2), ("#", 0), ("a/+", 1), ("b", 1)]));
    let copies = ["a/b=x q0 retain", "a/b=x q0 retain", "a/b=x q1 id 2 retain", "a/b=x q2 id 1 retain"];
    let got = world.take(client);
    assert_eq!(got[0], "suback 5 [0, 2, 0, 1, 1]");
    let mut rest = got[1..].to_vec();
    rest.sort_unstable();
    assert_eq!(rest, copies);
}

#[test]
fn retained_messages_are_sent_only_as_fast_as_the_socket_takes_them() {
    let mut world = World::new();
    let publisher = world.join("p", true);
    let payload = "x".repeat(10_000);
    for topic in ["a", "b", "c", "d", "e", "f"] {
        world.send(publisher, retain(topic, &payload, 0));
    }
    let client = world.join("c", true);
    world.subscribe(client, "#", 0);
    assert_eq!(world.take(client).len(), 1 + 4, "SUBACK, and messages up to 32 KiB");
    assert_eq!(world.rooms, [client]);
    world.publish(publisher, "live", "y", 0, 0);
    assert_eq!(world.take(client), ["live=y q0"], "live messages do not wait");
    world.send(publisher, retain("e", "", 0));
    assert_eq!(world.take(client), ["e= q0"]);
    world.broker.handle_room(client, world.now);
    world.drain();
    assert_eq!(world.take(client), [format!("f={payload} q0 retain")], "what was cleared meanwhile is not sent");
    assert_eq!(world.rooms, [client]);
}

#[test]
fn retained_messages_of_qos_1_wait_for_the_window_and_never_fill_the_queue() {
    let mut world = World::with(Options { inflight_max: 2, ..Options::default() });
    let publisher = world.join("p", true);
    for topic in ["a", "b", "c"] {
        world.send(publisher, retain(topic, "x", 1));
    }
    let client = world.join("c", true);
    world.subscribe(client, "#", 1);
    assert_eq!(world.take(client)[1..], ["a=x q1 id 1 retain", "b=x q1 id 2 retain"]);
    world.send(client, Packet::PubAck(ack(1)));
    assert_eq!(world.take(client), ["c=x q1 id 3 retain"]);
}

#[test]
fn a_replay_goes_on_when_the_client_of_a_kept_session_comes_back_and_ends_with_its_subscription() {
    let mut world = World::with(Options { inflight_max: 1, ..Options::default() });
    let publisher = world.join("p", true);
    for topic in ["a", "b", "c"] {
        world.send(publisher, retain(topic, "x", 1));
    }
    let client = world.join("c", false);
    world.subscribe(client, "#", 1);
    assert_eq!(world.take(client), ["a=x q1 id 1 retain", "suback 5 [1]"]);
    world.cut(client);
    let (client, got) = world.rejoin("c");
    assert_eq!(got, ["a=x q1 id 1 dup retain"]);
    world.send(client, Packet::PubAck(ack(1)));
    assert_eq!(world.take(client), ["b=x q1 id 2 retain"]);
    world.send(client, unsubscribe("#"));
    world.send(client, Packet::PubAck(ack(2)));
    assert_eq!(world.take(client), ["unsuback 6"]);
}

#[test]
fn a_long_replay_is_done_in_slices() {
    let mut world = World::new();
    let publisher = world.join("p", true);
    for number in 0..1000 {
        world.send(publisher, retain(&format!("a/{number}/b"), "x", 0));
    }
    let client = world.join("c", true);
    world.subscribe(client, "+/+/c", 0);
    assert_eq!(world.take(client), ["suback 5 [0]"]);
    let mut slices = 0;
    while world.broker.has_work() {
        slices += 1;
        world.broker.handle_work(world.now);
    }
    assert!((3..100).contains(&slices), "{slices} slices");
}
