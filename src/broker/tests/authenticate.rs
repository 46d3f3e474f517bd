//! Who may come in, and what those who are in may do.

use super::*;
use crate::broker::Standing;
use crate::mqtt::ReasonCode;

fn with_acl(text: &str) -> World {
    World { acl: Some(Acl::parse(text).unwrap()), ..World::new() }
}

/// One whose logins nobody answers.
fn unanswered() -> World {
    World { acl: None, ..World::new() }
}

fn user(name: &str, client_id: &str) -> Connect {
    Connect { user_name: Some(name.into()), clean_session: false, ..hello(client_id) }
}

fn accepted(name: &str) -> Verdict {
    Verdict::Accepted { user: Some(name.into()), rights: crate::access::Rights::everything() }
}

/// A client of `name` that is let in, its CONNACK read already.
fn log_in(world: &mut World, name: &str) -> ConnectionId {
    let connection = world.connect(user(name, name));
    assert!(world.take(connection)[0].starts_with("connack 0"));
    connection
}

fn failure(packet_id: u16) -> String {
    format!("suback {packet_id} [{}]", ReasonCode::UnspecifiedError as u8)
}

#[test]
fn nobody_is_seated_before_the_verdict() {
    let mut world = unanswered();
    let client = world.connect(user("bob", "c"));
    assert!(world.take(client).is_empty() && world.asking == [client]);
    world.broker.handle_verdict(client, accepted("bob"), world.now);
    world.drain();
    assert_eq!(world.take(client), ["connack 0 present=false"]);
    // a second verdict is none
    world.broker.handle_verdict(client, Verdict::Refused(ConnectReturnCode::NotAuthorized), world.now);
    world.drain();
    assert!(world.take(client).is_empty() && world.reason(client).is_none());
}

#[test]
fn a_refusal_is_told_in_connack_and_leaves_nothing_behind() {
    let mut world = unanswered();
    let client = world.connect(Connect { will: Some(will("will", "gone")), ..user("bob", "c") });
    world.broker.handle_verdict(client, Verdict::Refused(ConnectReturnCode::NotAuthorized), world.now);
    world.drain();
    assert_eq!(world.take(client), ["connack 5 present=false"]);
    assert_eq!(world.reason(client), Some(&CloseReason::Refused(ReasonCode::NotAuthorized)));
    let next = world.connect(user("ann", "c"));
    world.broker.handle_verdict(next, accepted("ann"), world.now);
    world.drain();
    assert_eq!(world.take(next), ["connack 0 present=false"]);
}

#[test]
fn while_a_verdict_is_awaited_a_connection_may_end_but_not_speak() {
    let mut world = unanswered();
    let gone = world.connect(user("bob", "gone"));
    world.cut(gone);
    world.broker.handle_verdict(gone, accepted("bob"), world.now);
    world.drain();
    assert!(world.take(gone).is_empty());
    let hasty = world.connect(user("bob", "hasty"));
    world.send(hasty, Packet::PingReq);
    assert!(matches!(world.reason(hasty), Some(CloseReason::Violation { .. })));
}

#[test]
fn the_time_that_the_verification_of_a_login_takes_does_not_count_towards_the_connect_timeout() {
    let mut world = unanswered();
    let client = world.connect(user("bob", "patient"));
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.reason(client), None);
    world.broker.handle_verdict(client, accepted("bob"), world.now);
    world.drain();
    assert_eq!(world.take(client), ["connack 0 present=false"]);
    let silent = world.open();
    world.pass(Duration::from_secs(10));
    assert_eq!(world.reason(silent), Some(&CloseReason::ConnectTimeout));
}

#[test]
fn a_client_that_the_server_does_not_read_from_is_not_taken_for_silent() {
    let mut world = World::new();
    let client = world.join("c", true);
    world.broker.handle_paused(client, world.now);
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.reason(client), None);
    world.broker.handle_resumed(client, world.now);
    world.pass(Duration::from_secs(89));
    assert_eq!(world.reason(client), None);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.reason(client), Some(&CloseReason::KeepAlive));
}

#[test]
fn a_takeover_waits_for_the_verdict_and_the_house_for_none() {
    let mut world = World::new();
    let first = world.connect(user("bob", "c"));
    world.acl = None;
    let second = world.connect(user("bob", "c"));
    assert!(world.reason(first).is_none());
    world.broker.handle_verdict(second, accepted("bob"), world.now);
    world.drain();
    assert_eq!(world.reason(first), Some(&CloseReason::TakenOver));
    assert_eq!(world.take(second), ["connack 0 present=true"]);
    let house = world.broker.handle_open(Origin::House, world.now);
    world.send(house, Packet::Connect(hello("sensegate/agent")));
    assert_eq!(world.take(house), ["connack 0 present=false"]);
}

#[test]
fn a_session_is_taken_over_and_thrown_away_by_its_own_user_alone() {
    let mut world = World::new();
    let bob = world.connect(user("bob", "c"));
    for clean_session in [false, true] {
        let eve = world.connect(Connect { clean_session, ..user("eve", "c") });
        assert_eq!(world.take(eve), ["connack 2 present=false"]);
    }
    let nobody = world.connect(hello("c"));
    assert_eq!(world.take(nobody), ["connack 2 present=false"]);
    assert!(world.reason(bob).is_none());
    world.cut(bob);
    let eve = world.connect(user("eve", "c"));
    assert_eq!(world.take(eve), ["connack 2 present=false"]);
    let again = world.connect(user("bob", "c"));
    assert_eq!(world.take(again), ["connack 0 present=true"]);
}

#[test]
fn a_message_to_a_topic_that_may_not_be_written_is_acknowledged_and_goes_nowhere() {
    let mut world = with_acl("user ann\ntopic read #\nuser bob\ntopic write mine\n");
    let (ann, bob) = (log_in(&mut world, "ann"), log_in(&mut world, "bob"));
    world.subscribe(ann, "#", 2);
    world.take(ann);
    for qos in 0..3 {
        world.publish(bob, "other", "x", qos, 7);
    }
    world.send(bob, Packet::PubRel(ack(7)));
    assert_eq!(world.take(bob), ["puback 7", "pubrec 7", "pubcomp 7"]);
    assert!(world.take(ann).is_empty());
    assert_eq!(world.denied, ["other", "other", "other"]);
    world.publish(bob, "mine", "x", 1, 8);
    assert_eq!(world.take(ann), ["mine=x q1 id 1"]);
}

#[test]
fn the_system_s_topics_are_written_by_nobody() {
    let mut world = World::new();
    let reader = world.join("reader", true);
    world.subscribe(reader, "$SYS/#", 0);
    world.subscribe(reader, "$SYSTEM", 0);
    world.take(reader);
    let writer = world.join("writer", true);
    for topic in ["$SYS", "$SYS/broker/uptime", "$SYSTEM"] {
        world.publish(writer, topic, "x", 0, 0);
    }
    assert_eq!(world.take(reader), ["$SYSTEM=x q0"]);
}

#[test]
fn a_subscription_that_could_never_deliver_fails_and_a_wider_one_shows_what_may_be_read() {
    let mut world = with_acl("user ann\ntopic read a/#\ntopic deny a/secret\nuser bob\ntopic #\n");
    let (ann, bob) = (log_in(&mut world, "ann"), log_in(&mut world, "bob"));
    for topic in ["a/open", "a/secret", "b"] {
        world.send(bob, retain(topic, "old", 1));
    }
    world.subscribe(ann, "b/#", 0);
    world.subscribe(ann, "a/secret", 0);
    assert_eq!(world.take(ann), [failure(5), failure(5)]);
    world.subscribe(ann, "#", 1);
    assert_eq!(world.take(ann), ["a/open=old q1 id 1 retain", "suback 5 [1]"]);
    for qos in 0..2 {
        for topic in ["a/open", "a/secret", "b"] {
            world.publish(bob, topic, "new", qos, 9);
        }
    }
    assert_eq!(world.take(ann), ["a/open=new q0", "a/open=new q1 id 2"]);
}

#[test]
fn a_will_goes_only_where_its_client_may_write() {
    let mut world = with_acl("user ann\ntopic read #\nuser bob\ntopic write mine\n");
    let ann = log_in(&mut world, "ann");
    world.subscribe(ann, "#", 0);
    world.take(ann);
    for (topic, clean_session) in [("other", false), ("other", true), ("mine", true)] {
        let bob = world.connect(Connect { will: Some(will(topic, "gone")), clean_session, ..user("bob", "b") });
        world.cut(bob);
    }
    assert_eq!(world.take(ann), ["mine=gone q0"]);
    assert_eq!(world.denied, ["other", "other"]);
}

#[test]
fn what_was_queued_is_not_delivered_when_it_may_no_longer_be_read() {
    let mut world = with_acl("user ann\ntopic read #\nuser bob\ntopic write #\n");
    let (ann, bob) = (log_in(&mut world, "ann"), log_in(&mut world, "bob"));
    world.subscribe(ann, "#", 1);
    world.cut(ann);
    for topic in ["a", "b"] {
        world.publish(bob, topic, "x", 1, 1);
    }
    world.acl = Some(Acl::parse("user ann\ntopic read b\n").unwrap());
    let ann = world.connect(user("ann", "ann"));
    assert_eq!(world.take(ann), ["connack 0 present=true", "b=x q1 id 1"]);
}

#[test]
fn new_rights_reach_those_who_are_connected_and_expel_those_who_are_gone() {
    let mut world = World::new();
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| log_in(&mut world, name));
    world.subscribe(ann, "#", 0);
    world.take(ann);
    let acl = Acl::parse("user ann\ntopic read b\ntopic write #\n").unwrap();
    let judge = |user: Option<&str>, client_id: &str| match user {
        Some("ann") => Standing::Stays(acl.rights(user, client_id)),
        Some("bob") => Standing::Unproven(acl.rights(user, client_id)),
        _ => Standing::Gone,
    };
    world.broker.handle_access(judge, world.now);
    world.drain();
    assert_eq!((world.reason(bob), world.reason(eve)), (Some(&CloseReason::Expelled), Some(&CloseReason::Expelled)));
    for topic in ["a", "b"] {
        world.publish(ann, topic, "x", 0, 0);
    }
    assert_eq!(world.take(ann), ["b=x q0"]);
    let bob = world.connect(user("bob", "bob"));
    assert_eq!(world.take(bob), ["connack 0 present=true"]);
    let heir = world.connect(user("eve", "eve"));
    assert_eq!(world.take(heir), ["connack 0 present=false"]);
}
