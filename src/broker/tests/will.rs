//! Last wills: every case that the standard names.

use super::*;
use crate::mqtt::DecodeError;

/// A watcher on the will's topic, and a client that has the will.
fn with_will(world: &mut World) -> (ConnectionId, ConnectionId) {
    let watcher = world.join("watcher", true);
    world.subscribe(watcher, "will", 0);
    world.take(watcher);
    let client = world.connect(Connect { will: Some(will("will", "gone")), keep_alive_s: 10, ..hello("c") });
    (watcher, client)
}

#[test]
fn a_disconnect_voids_the_will() {
    let mut world = World::new();
    let (watcher, client) = with_will(&mut world);
    world.send(client, Packet::Disconnect(crate::mqtt::Disconnect::NORMAL));
    assert_eq!(world.reason(client), Some(&CloseReason::Disconnected));
    assert!(world.take(watcher).is_empty());
}

#[test]
fn a_cut_connection_publishes_it() {
    let mut world = World::new();
    let (watcher, client) = with_will(&mut world);
    world.cut(client);
    assert_eq!(world.take(watcher), ["will=gone q0"]);
}

#[test]
fn silence_publishes_it() {
    let mut world = World::new();
    let (watcher, _) = with_will(&mut world);
    world.pass(Duration::from_secs(15));
    assert_eq!(world.take(watcher), ["will=gone q0"]);
}

#[test]
fn a_broken_rule_publishes_it() {
    let mut world = World::new();
    let (watcher, client) = with_will(&mut world);
    world.send(client, Packet::Connect(hello("c")));
    assert_eq!(world.take(watcher), ["will=gone q0"]);

    let (_, client) = with_will(&mut world);
    world.take(watcher);
    let watcher = world.join("other watcher", true);
    world.subscribe(watcher, "will", 0);
    world.take(watcher);
    world.broker.handle_malformed(client, DecodeError::UnsupportedProtocolLevel(9), None, world.now);
    world.drain();
    assert_eq!(world.take(watcher), ["will=gone q0"]);
}

#[test]
fn a_takeover_publishes_the_old_connection_s_will_and_keeps_the_new_one_s() {
    let mut world = World::new();
    let (watcher, _) = with_will(&mut world);
    let second = world.connect(Connect { will: Some(will("will", "second")), ..hello("c") });
    assert_eq!(world.take(watcher), ["will=gone q0"]);
    world.cut(second);
    assert_eq!(world.take(watcher), ["will=second q0"]);
}

#[test]
fn a_retained_will_stays_for_those_who_come_later() {
    let mut world = World::new();
    let last = Will { retain: true, qos: QoS::AtLeastOnce, ..will("will", "offline") };
    let client = world.connect(Connect { will: Some(last), ..hello("c") });
    world.cut(client);
    let late = world.join("late", true);
    world.subscribe(late, "will", 1);
    assert_eq!(world.take(late)[1..], ["will=offline q1 id 1 retain"]);
}

#[test]
fn a_refused_connect_has_no_will() {
    let mut world = World::new();
    let watcher = world.join("watcher", true);
    world.subscribe(watcher, "will", 0);
    world.take(watcher);
    world.connect(Connect { will: Some(will("will", "gone")), clean_session: false, ..hello("") });
    assert!(world.take(watcher).is_empty());
}

#[test]
fn a_will_s_topic_has_no_more_levels_than_others() {
    let mut world = World::with(Options { topic_levels_max: 3, ..Options::default() });
    let fine = world.connect(Connect { will: Some(will("a/b/c", "gone")), ..hello("fine") });
    assert_eq!(world.take(fine), ["connack 0 present=false"]);
    let deep = world.connect(Connect { will: Some(will(&"/".repeat(65_535), "gone")), ..hello("deep") });
    assert_eq!(world.take(deep), ["connack 3 present=false"]);
    assert_eq!(world.reason(deep), Some(&CloseReason::Refused(ReasonCode::TopicNameInvalid)));
    world.join("deep", true);
}
