//! Messages on their way: quality of service, windows, queues, order.

use super::super::Overflow;
use super::*;

#[test]
fn delivery_happens_at_the_lower_of_both_qualities() {
    for (publish_qos, subscribe_qos) in (0..3).flat_map(|p| (0..3).map(move |s| (p, s))) {
        let mut world = World::new();
        let subscriber = world.join("s", true);
        world.subscribe(subscriber, "t", subscribe_qos);
        world.take(subscriber);
        let publisher = world.join("p", true);
        world.publish(publisher, "t", "x", publish_qos, 7);
        let lower = publish_qos.min(subscribe_qos);
        let expected = if lower == 0 { "t=x q0".to_owned() } else { format!("t=x q{lower} id 1") };
        assert_eq!(world.take(subscriber), [expected]);
        let answer: &[&str] = [&[][..], &["puback 7"], &["pubrec 7"]][usize::from(publish_qos)];
        assert_eq!(world.take(publisher), answer);
    }
}

#[test]
fn a_repeated_publish_of_qos_2_is_passed_on_once_even_across_a_reconnect() {
    let mut world = World::new();
    let subscriber = world.join("s", true);
    world.subscribe(subscriber, "t", 0);
    world.take(subscriber);
    let publisher = world.join("p", false);
    world.publish(publisher, "t", "x", 2, 7);
    world.publish(publisher, "t", "x", 2, 7);
    assert_eq!(world.take(publisher), ["pubrec 7", "pubrec 7"]);
    world.cut(publisher);
    let (publisher, _) = world.rejoin("p");
    world.publish(publisher, "t", "x", 2, 7);
    world.send(publisher, Packet::PubRel(ack(7)));
    assert_eq!(world.take(publisher), ["pubrec 7", "pubcomp 7"]);
    assert_eq!(world.take(subscriber), ["t=x q0"]);
    world.publish(publisher, "t", "y", 2, 7);
    assert_eq!(world.take(subscriber), ["t=y q0"]);
}

#[test]
fn a_pubrel_for_an_unknown_identifier_is_completed() {
    let mut world = World::new();
    let client = world.join("c", true);
    world.send(client, Packet::PubRel(ack(99)));
    assert_eq!(world.take(client), ["pubcomp 99"]);
}

#[test]
fn the_window_holds_the_rest_back_and_moves_on_with_each_acknowledgement() {
    let mut world = World::with(Options { inflight_max: 2, ..Options::default() });
    let subscriber = world.join("s", true);
    world.subscribe(subscriber, "t", 1);
    world.take(subscriber);
    let publisher = world.join("p", true);
    for payload in ["a", "b", "c", "d"] {
        world.publish(publisher, "t", payload, 1, 1);
    }
    assert_eq!(world.take(subscriber), ["t=a q1 id 1", "t=b q1 id 2"]);
    world.send(subscriber, Packet::PubAck(ack(1)));
    assert_eq!(world.take(subscriber), ["t=c q1 id 3"]);
    world.send(subscriber, Packet::PubAck(ack(1)));
    assert!(world.take(subscriber).is_empty());
}

#[test]
fn what_was_in_flight_comes_again_in_order_with_dup_and_the_queue_follows() {
    let mut world = World::with(Options { inflight_max: 3, ..Options::default() });
    let subscriber = world.join("s", false);
    world.subscribe(subscriber, "t", 2);
    let publisher = world.join("p", true);
    for (payload, qos) in [("a", 1), ("b", 2), ("c", 2), ("d", 1)] {
        world.publish(publisher, "t", payload, qos, 1);
        world.send(publisher, Packet::PubRel(ack(1)));
    }
    world.send(subscriber, Packet::PubRec(ack(2)));
    world.take(subscriber);
    world.cut(subscriber);
    world.publish(publisher, "t", "e", 0, 1);
    let (subscriber, got) = world.rejoin("s");
    assert_eq!(got, ["t=a q1 id 1 dup", "pubrel 2", "t=c q2 id 3 dup"]);
    world.send(subscriber, Packet::PubAck(ack(1)));
    world.send(subscriber, Packet::PubComp(ack(2)));
    assert_eq!(world.take(subscriber), ["t=d q1 id 4"]);
}

#[test]
fn an_absent_session_gets_qos_1_and_2_but_not_0() {
    let mut world = World::new();
    let subscriber = world.join("s", false);
    world.subscribe(subscriber, "t", 2);
    world.cut(subscriber);
    let publisher = world.join("p", true);
    for qos in 0..3 {
        world.publish(publisher, "t", &format!("q{qos}"), qos, 1);
    }
    let (_, got) = world.rejoin("s");
    assert_eq!(got, ["t=q1 q1 id 1", "t=q2 q2 id 2"]);
}

#[test]
fn a_full_queue_drops_by_its_policy_and_never_what_is_in_flight() {
    for (overflow, expected) in [(Overflow::DropOldest, ["d", "e"]), (Overflow::DropNewest, ["b", "c"])] {
        let queue = QueueLimits { messages_max: 2, overflow, ..QueueLimits::default() };
        let limits = Options { inflight_max: 1, queue, ..Options::default() };
        let mut world = World::with(limits);
        let subscriber = world.join("s", true);
        world.subscribe(subscriber, "t", 1);
        let publisher = world.join("p", true);
        for payload in ["a", "b", "c", "d", "e"] {
            world.publish(publisher, "t", payload, 1, 1);
        }
        for packet_id in 1..4 {
            world.send(subscriber, Packet::PubAck(ack(packet_id)));
        }
        let got: Vec<_> = world.take(subscriber).into_iter().skip(1).collect();
        let payloads: Vec<_> = got.iter().map(|words| &words[2..3]).collect();
        assert_eq!(payloads, ["a", expected[0], expected[1]], "{overflow:?}");
    }
}

#[test]
fn a_queue_is_bounded_in_bytes_too() {
    let mut world =
        World::with(Options { queue: QueueLimits { bytes_max: 25, ..QueueLimits::default() }, ..Options::default() });
    let subscriber = world.join("s", false);
    world.subscribe(subscriber, "t", 1);
    world.cut(subscriber);
    let publisher = world.join("p", true);
    for payload in ["1234567890", "abcdefghij", "ABCDEFGHIJ"] {
        world.publish(publisher, "t", payload, 1, 1);
    }
    let (_, got) = world.rejoin("s");
    assert_eq!(got, ["t=abcdefghij q1 id 1", "t=ABCDEFGHIJ q1 id 2"]);
}

#[test]
fn overlapping_filters_bring_one_copy_with_the_highest_quality() {
    let mut world = World::new();
    let subscriber = world.join("s", true);
    world.send(subscriber, subscribe(&[("a/#", 0), ("a/+", 2), ("a/b", 1)]));
    assert_eq!(world.take(subscriber), ["suback 5 [0, 2, 1]"]);
    let publisher = world.join("p", true);
    world.publish(publisher, "a/b", "x", 2, 1);
    assert_eq!(world.take(subscriber), ["a/b=x q2 id 1"]);
}

#[test]
fn unsubscribing_ends_delivery_and_is_answered_even_when_there_was_nothing() {
    let mut world = World::new();
    let client = world.join("c", true);
    world.subscribe(client, "t", 0);
    world.send(client, unsubscribe("t"));
    world.send(client, unsubscribe("never"));
    world.publish(client, "t", "x", 0, 0);
    assert_eq!(world.take(client), ["suback 5 [0]", "unsuback 6", "unsuback 6"]);
}

#[test]
fn subscriptions_beyond_the_limit_or_too_deep_fail_in_suback() {
    let mut world = World::with(Options { subscriptions_max: 2, topic_levels_max: 3, ..Options::default() });
    let client = world.join("c", true);
    world.send(client, subscribe(&[("a", 0), ("a/b/c/d", 0), ("b", 1), ("c", 2), ("a", 2)]));
    assert_eq!(world.take(client), ["suback 5 [0, 128, 1, 128, 2]"]);
    world.publish(client, "a/b/c/d", "x", 0, 0);
    assert!(world.reason(client).is_some());
}

#[test]
fn the_window_is_bounded_in_bytes_too() {
    let mut world =
        World::with(Options { queue: QueueLimits { bytes_max: 25, ..QueueLimits::default() }, ..Options::default() });
    let subscriber = world.join("s", true);
    world.subscribe(subscriber, "t", 1);
    world.take(subscriber);
    let publisher = world.join("p", true);
    for payload in ["1234567890abcdef", "second4567890", "third"] {
        world.publish(publisher, "t", payload, 1, 1);
    }
    assert_eq!(world.take(subscriber), ["t=1234567890abcdef q1 id 1", "t=second4567890 q1 id 2"]);
    world.send(subscriber, Packet::PubAck(ack(1)));
    assert_eq!(world.take(subscriber), ["t=third q1 id 3"]);
}

#[test]
fn the_deepest_topics_that_can_be_allowed_fit_the_stack() {
    let topic_levels_max = super::super::TOPIC_LEVELS_MAX;
    let mut world = World::with(Options { topic_levels_max, ..Options::default() });
    let client = world.join("c", true);
    let deepest = vec!["a"; topic_levels_max].join("/");
    let any = vec!["+"; topic_levels_max].join("/");
    world.send(client, retain(&deepest, "x", 0));
    world.send(client, subscribe(&[(&deepest, 0), (&any, 0), ("#", 0)]));
    world.send(client, retain(&deepest, "", 0));
    assert_eq!(world.take(client).len(), 3);
    world.publish(client, &format!("{deepest}/a"), "x", 0, 0);
    assert!(world.reason(client).is_some());
}

#[test]
fn sessions_of_certain_clients_have_limits_of_their_own() {
    let few = QueueLimits { messages_max: 1, ..QueueLimits::default() };
    let brief = QueueLimits { age_max: Some(Duration::from_secs(10)), ..QueueLimits::default() };
    let queues =
        vec![(super::super::ClientIdPattern::new("few"), few), (super::super::ClientIdPattern::new("brief-*"), brief)];
    let mut world = World::with(Options { queues, ..Options::default() });
    for client in ["few", "brief-1", "fewer"] {
        let connection = world.join(client, false);
        world.subscribe(connection, "t", 1);
        world.cut(connection);
    }
    let publisher = world.join("p", true);
    world.publish(publisher, "t", "old", 1, 1);
    world.pass(Duration::from_secs(10));
    world.publish(publisher, "t", "new", 1, 2);
    assert_eq!(world.rejoin("few").1, ["t=new q1 id 1"]);
    assert_eq!(world.rejoin("brief-1").1, ["t=new q1 id 1"]);
    assert_eq!(world.rejoin("fewer").1, ["t=old q1 id 1", "t=new q1 id 2"]);
}
