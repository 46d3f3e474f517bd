//! Coming in, being taken over, falling silent.

use super::*;

#[test]
fn the_first_packet_must_be_connect_and_only_the_first() {
    let mut world = World::new();
    let eager = world.open();
    world.send(eager, Packet::PingReq);
    assert!(matches!(world.reason(eager), Some(CloseReason::Violation { clause: "MQTT-3.1.0-1", .. })));

    let twice = world.join("twice", true);
    world.send(twice, Packet::Connect(hello("twice")));
    assert!(matches!(world.reason(twice), Some(CloseReason::Violation { clause: "MQTT-3.1.0-2", .. })));
}

#[test]
fn an_empty_identifier_needs_a_clean_session() {
    let mut world = World::new();
    let refused = world.connect(Connect { clean_session: false, ..hello("") });
    assert_eq!(world.take(refused), ["connack 2 present=false"]);
    assert_eq!(world.reason(refused), Some(&CloseReason::Refused(ReasonCode::ClientIdentifierNotValid)));
    let (first, second) = (world.join("", true), world.join("", true));
    assert!(world.reason(first).is_none() && world.reason(second).is_none());
}

#[test]
fn reserved_identifiers_are_the_house_s_own() {
    let mut world = World::new();
    let stranger = world.connect(hello("sensegate/agent"));
    assert_eq!(world.take(stranger), ["connack 2 present=false"]);
    let house = world.broker.handle_open(Origin::House, world.now);
    world.send(house, Packet::Connect(hello("sensegate/agent")));
    assert_eq!(world.take(house), ["connack 0 present=false"]);
}

#[test]
fn a_full_table_of_sessions_refuses_only_new_sessions_that_outlive_their_connection() {
    let mut world = World::with(Options { sessions_max: 1, ..Options::default() });
    let first = world.join("first", false);
    world.cut(first);
    let kept = world.connect(Connect { clean_session: false, ..hello("second") });
    assert_eq!(world.take(kept), ["connack 3 present=false"]);
    world.join("clean", true);
    world.rejoin("first");
}

#[test]
fn the_oldest_idle_session_of_the_same_user_makes_room_unless_something_waits_for_it() {
    let idle = Duration::from_secs(3600);
    let mut world = World::with(Options { sessions_max: 3, session_idle_min: idle, ..Options::default() });
    let [waiting, old, newer] = ["waiting", "old", "newer"].map(|client_id| {
        world.pass(Duration::from_secs(1));
        world.join(client_id, false)
    });
    world.subscribe(waiting, "t", 1);
    world.publish(newer, "t", "x", 1, 1);
    for client in [waiting, old, newer] {
        world.pass(Duration::from_secs(1));
        world.cut(client);
    }
    world.pass(Duration::from_secs(3598));
    let early = world.connect(Connect { clean_session: false, ..hello("early") });
    assert_eq!(world.take(early), ["connack 3 present=false"], "none has been idle for long enough");
    world.pass(Duration::from_secs(1));
    world.join("first newcomer", false);
    let stranger = Connect { user_name: Some("ann".into()), clean_session: false, ..hello("stranger") };
    let stranger = world.connect(stranger);
    assert_eq!(world.take(stranger), ["connack 3 present=false"], "the others are not its user's");
    world.pass(Duration::from_secs(1));
    world.join("second newcomer", false);
    world.rejoin("waiting");
    let gone = world.connect(Connect { clean_session: false, ..hello("old") });
    assert_eq!(world.take(gone), ["connack 3 present=false"]);
}

#[test]
fn a_second_connection_takes_the_first_one_s_place_and_session() {
    let mut world = World::new();
    let first = world.join("c", false);
    world.subscribe(first, "t", 1);
    world.take(first);
    let (second, got) = world.rejoin("c");
    assert_eq!(world.reason(first), Some(&CloseReason::TakenOver));
    assert!(got.is_empty());
    let publisher = world.join("p", true);
    world.publish(publisher, "t", "x", 1, 1);
    assert_eq!(world.take(second), ["t=x q1 id 1"]);
    assert!(world.take(first).is_empty());
}

#[test]
fn a_clean_session_throws_the_old_one_away_and_leaves_none_behind() {
    let mut world = World::new();
    let old = world.join("c", false);
    world.subscribe(old, "t", 1);
    world.cut(old);
    let clean = world.join("c", true);
    let publisher = world.join("p", true);
    world.publish(publisher, "t", "x", 1, 1);
    assert!(world.take(clean).is_empty());
    world.subscribe(clean, "t", 1);
    world.cut(clean);
    world.join("c", false);
}

#[test]
fn silence_of_one_and_a_half_keep_alives_ends_a_connection_and_any_packet_breaks_it() {
    let mut world = World::new();
    let silent = world.connect(Connect { keep_alive_s: 10, ..hello("silent") });
    let alive = world.connect(Connect { keep_alive_s: 10, ..hello("alive") });
    for _ in 0..3 {
        world.pass(Duration::from_secs(7));
        world.send(alive, Packet::PingReq);
    }
    assert_eq!(world.reason(silent), Some(&CloseReason::KeepAlive));
    assert_eq!(world.reason(alive), None);
    assert_eq!(world.take(alive)[1..], ["pingresp", "pingresp", "pingresp"]);
}

#[test]
fn keep_alive_zero_turns_the_mechanism_off_unless_there_is_a_maximum() {
    let never = Connect { keep_alive_s: 0, ..hello("never") };
    let mut world = World::new();
    let connection = world.connect(never.clone());
    world.pass(Duration::from_secs(1_000_000));
    assert_eq!(world.reason(connection), None);

    let keep_alive_max = Some(Duration::from_secs(60));
    let mut bounded = World::with(Options { keep_alive_max, ..Options::default() });
    let connection = bounded.connect(never);
    bounded.pass(Duration::from_secs(91));
    assert_eq!(bounded.reason(connection), Some(&CloseReason::KeepAlive));
}

#[test]
fn a_connection_that_never_says_connect_is_closed_in_time() {
    let mut world = World::new();
    let mute = world.open();
    assert_eq!(world.broker.next_deadline(), Some(world.now + Options::default().connect_timeout));
    world.pass(Duration::from_secs(10));
    assert_eq!(world.reason(mute), Some(&CloseReason::ConnectTimeout));
}

#[test]
fn a_protocol_level_that_is_not_served_is_answered_with_code_1() {
    let mut world = World::new();
    let future = world.open();
    world.broker.handle_malformed(future, crate::mqtt::DecodeError::UnsupportedProtocolLevel(9), None, world.now);
    world.drain();
    assert_eq!(world.take(future), ["connack 1 present=false"]);
    assert!(world.reason(future).is_some());
}

#[test]
fn packets_that_only_a_server_sends_end_the_connection() {
    let mut world = World::new();
    let client = world.join("c", true);
    world.send(client, Packet::PingResp);
    assert!(matches!(world.reason(client), Some(CloseReason::Violation { .. })));
}

#[test]
fn a_full_table_of_sessions_admits_the_internal_clients() {
    let mut world = World::with(Options { sessions_max: 1, ..Options::default() });
    world.join("first", false);
    let house = world.broker.handle_open(Origin::House, world.now);
    world.send(house, Packet::Connect(hello("sensegate/agent")));
    assert_eq!(world.take(house), ["connack 0 present=false"]);
}

#[test]
fn clients_that_come_and_go_leave_no_deadlines_behind() {
    let mut world = World::new();
    for _ in 0..5_000 {
        let client = world.connect(Connect { keep_alive_s: u16::MAX, ..hello("c") });
        world.send(client, Packet::Disconnect(crate::mqtt::Disconnect::NORMAL));
    }
    assert!(world.broker.timers.len() < 500, "{} deadlines", world.broker.timers.len());
    let last = world.connect(Connect { keep_alive_s: 10, ..hello("c") });
    world.pass(Duration::from_secs(15));
    assert_eq!(world.reason(last), Some(&CloseReason::KeepAlive));
}

#[test]
fn version_3_1_is_served_with_the_words_that_it_has() {
    let mut world = World::with(Options { subscriptions_max: 1, ..Options::default() });
    let client = world.connect(Connect { version: ProtocolVersion::V31, clean_session: false, ..hello("c") });
    assert_eq!(world.take(client), ["connack 0 present=false"]);
    world.cut(client);
    let client = world.connect(Connect { version: ProtocolVersion::V31, clean_session: false, ..hello("c") });
    assert_eq!(world.take(client), ["connack 0 present=false"]);
    world.send(client, subscribe(&[("a", 1), ("b", 2)]));
    assert_eq!(world.take(client), ["suback 5 [1, 2]"]);
    let nameless = world.connect(Connect { version: ProtocolVersion::V31, ..hello("") });
    assert_eq!(world.take(nameless), ["connack 2 present=false"]);
}
