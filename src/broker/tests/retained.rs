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
    let mut world = World::with(Options { retained_bytes_max: 10, ..Options::default() });
    let client = world.join("c", true);
    world.send(client, retain("t", "old", 0));
    world.send(client, retain("t", "new but too long", 0));
    world.subscribe(client, "t", 0);
    assert_eq!(world.take(client), ["suback 5 [0]"]);
    world.send(client, retain("other", "fits", 0));
    world.subscribe(client, "other", 0);
    assert_eq!(world.take(client)[1..], ["other=fits q0 retain"]);
}

#[test]
fn one_subscribe_brings_each_retained_message_once_however_many_filters_match() {
    let mut world = World::new();
    let client = world.join("c", true);
    world.send(client, retain("a/b", "x", 2));
    world.take(client);
    world.send(client, subscribe(&[("#", 0), ("a/#", 2), ("#", 0), ("a/+", 1), ("b", 1)]));
    assert_eq!(world.take(client), ["suback 5 [0, 2, 0, 1, 1]", "a/b=x q2 id 1 retain"]);
}
