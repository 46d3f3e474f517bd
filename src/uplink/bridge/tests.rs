//! What crosses, and what it is on the other side.

use std::time::Duration;

use super::*;
use crate::base::clock::{Monotonic, Wall};
use crate::mqtt::{MessageFields, MessageProperties, PacketId, TopicFilter};
use crate::uplink::lane::Stage;
use crate::uplink::stamps::Stamp;

fn terms(version: ProtocolVersion) -> Terms {
    Terms {
        version,
        session_present: false,
        client_id: "c".into(),
        receive_max: 10,
        packet_bytes_max: usize::MAX,
        qos_max: QoS::ExactlyOnce,
        retain_available: true,
        wildcards_available: true,
        session_expiry_s: None,
        keep_alive: Duration::from_secs(60),
    }
}

fn now() -> Now {
    Now { monotonic: Monotonic::ZERO, wall: Wall::from_unix_ms(0), is_synchronised: true }
}

fn bridge(rules: Vec<Rule>, profile: Profile) -> Bridge {
    Bridge::new(Options { rules, profile, status: None })
}

fn message(topic: &str, payload: &'static [u8]) -> Message {
    Message {
        topic: topic.into(),
        payload: Bytes::from_static(payload),
        qos: QoS::AtLeastOnce,
        retain: true,
        packet_id: PacketId::new(1),
        properties: MessageProperties::NONE,
        expiry_s: Some(5),
    }
}

fn entry(topic: &str, payload: &'static [u8]) -> Entry {
    Entry { number: 1, message: message(topic, payload), sample: None, stamp: None, stage: Stage::Waiting }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let mut narrow = Rule::new("sensors/#", Direction::Out, "my/", "far/").unwrap();
    (narrow.qos, narrow.retain) = (QoS::AtMostOnce, false);
    let wide = Rule::new("#", Direction::Out, "my/", "far/").unwrap();
    let mut bridge = bridge(vec![narrow, wide], Profile::Generic);
    let mut draw = |topic| match bridge.draw(&entry(topic, b"x"), &terms(ProtocolVersion::V5), now()) {
        Draw::Publish { publication, .. } => Some((publication.topic, publication.qos, publication.retain)),
        _ => None,
    };
    assert_eq!(draw("my/sensors/a"), Some(("far/sensors/a".into(), QoS::AtMostOnce, false)));
    assert_eq!(draw("my/status"), Some(("far/status".into(), QoS::AtLeastOnce, true)));
    assert_eq!(draw("other"), None);
}

#[test]
fn what_the_broker_there_cannot_name_is_rejected_with_the_reason() {
    let rule = Rule::new("#", Direction::Out, "", "").unwrap();
    let mut bridge = bridge(vec![rule], Profile::Nats);
    let drawn = bridge.draw(&entry("a b", b"x"), &terms(ProtocolVersion::V311), now());
    assert!(matches!(&drawn, Draw::Reject { reason } if reason.contains("space")), "{drawn:?}");
}

#[test]
fn a_sample_leaves_with_the_time_that_became_known() {
    let rule = Rule::new("samples", Direction::Out, "my/", "far/").unwrap();
    let mut bridge = bridge(vec![rule], Profile::Generic);
    let mut entry = entry("my/samples", br#"{"time_ms":1,"sequence":7,"more":"stays"}"#);
    entry.stamp = Some(Stamp { time_ms: 99, is_known: false });
    let drawn = bridge.draw(&entry, &terms(ProtocolVersion::V5), now());
    let Draw::Publish { publication, .. } = drawn else { panic!("{drawn:?}") };
    let said: serde_json::Value = serde_json::from_slice(&publication.payload).unwrap();
    let expected = serde_json::json!({"time_ms": 99, "sequence": 7, "more": "stays", "time_quality": "unsynchronised"});
    assert_eq!(said, expected);
}

#[test]
fn an_echo_of_a_broker_of_3_1_1_goes_no_further() {
    let rule = Rule::new("cmd/#", Direction::Both, "", "").unwrap();
    let mut bridge = bridge(vec![rule], Profile::Generic);
    let terms = terms(ProtocolVersion::V311);
    assert!(matches!(bridge.draw(&entry("cmd/a", b"x"), &terms, now()), Draw::Publish { .. }));
    assert_eq!(bridge.receive(&message("cmd/a", b"x"), &terms, now()), Receive::Drop);
    assert!(matches!(bridge.receive(&message("cmd/a", b"x"), &terms, now()), Receive::Publish(_)));
    assert!(matches!(bridge.receive(&message("cmd/a", b"y"), &terms, now()), Receive::Publish(_)));
}

/// An external broker may be of 3.1.1: it sends the outbox what the bridge itself has published there.
#[test]
fn an_echo_of_a_local_broker_of_3_1_1_goes_no_further() {
    let rule = Rule::new("cmd/#", Direction::Both, "", "").unwrap();
    let mut bridge = bridge(vec![rule], Profile::Generic);
    let far = terms(ProtocolVersion::V5);
    for (version, is_echoed) in [(ProtocolVersion::V311, true), (ProtocolVersion::V5, false)] {
        bridge.handle_local_up(&terms(version));
        assert!(matches!(bridge.receive(&message("cmd/a", b"x"), &far, now()), Receive::Publish(_)));
        let drawn = bridge.draw(&entry("cmd/a", b"x"), &far, now());
        assert_eq!(drawn == Draw::Settle { count: 1 }, is_echoed, "{version:?}: {drawn:?}");
        assert!(matches!(bridge.draw(&entry("cmd/a", b"x"), &far, now()), Draw::Publish { .. }));
    }
}

/// What was sent may have been lost with its connection: then it has one echo, not two, and a command like it is none.
#[test]
fn what_is_sent_once_more_has_one_echo() {
    let rule = Rule::new("cmd/#", Direction::Both, "", "").unwrap();
    let mut bridge = bridge(vec![rule], Profile::Generic);
    let terms = Terms { session_present: true, ..terms(ProtocolVersion::V311) };
    bridge.handle_far_up(&terms);
    bridge.draw(&entry("cmd/a", b"x"), &terms, now());
    bridge.handle_far_up(&terms);
    bridge.draw(&entry("cmd/a", b"x"), &terms, now());
    assert_eq!(bridge.receive(&message("cmd/a", b"x"), &terms, now()), Receive::Drop);
    assert!(matches!(bridge.receive(&message("cmd/a", b"x"), &terms, now()), Receive::Publish(_)));
}

#[test]
fn no_echo_comes_to_a_session_that_is_new() {
    let rule = Rule::new("cmd/#", Direction::Both, "", "").unwrap();
    let mut bridge = bridge(vec![rule], Profile::Generic);
    let terms = terms(ProtocolVersion::V311);
    bridge.draw(&entry("cmd/a", b"x"), &terms, now());
    bridge.handle_far_up(&terms);
    assert!(matches!(bridge.receive(&message("cmd/a", b"x"), &terms, now()), Receive::Publish(_)));
}

#[test]
fn name_with_a_wildcard_comes_no_further() {
    let rule = Rule::new("cmd/#", Direction::In, "", "far/").unwrap();
    let mut bridge = bridge(vec![rule], Profile::Generic);
    assert_eq!(bridge.receive(&message("far/cmd/+", b""), &terms(ProtocolVersion::V311), now()), Receive::Drop);
}

#[test]
fn message_that_the_local_broker_would_refuse_is_rejected_with_the_reason() {
    let rule = Rule::new("#", Direction::In, "", "").unwrap();
    let mut bridge = bridge(vec![rule], Profile::Generic);
    let fields = MessageFields { user_properties: &[("a", "line\n")], ..MessageFields::default() };
    let with_property = Message { properties: MessageProperties::new(&fields), ..message("a", b"x") };
    for (message, code_point) in [(message("a/\u{1}", b"x"), "U+0001"), (with_property, "U+000A")] {
        let received = bridge.receive(&message, &terms(ProtocolVersion::V5), now());
        assert!(matches!(&received, Receive::Reject { reason } if reason.contains(code_point)), "{received:?}");
    }
}

#[test]
fn subscriptions_ask_each_side_to_keep_our_own_messages() {
    let rules =
        vec![Rule::new("a/#", Direction::Out, "", "x/").unwrap(), Rule::new("b", Direction::In, "", "x/").unwrap()];
    let bridge = bridge(rules, Profile::Generic);
    let names = |subscriptions: Vec<Subscription>| {
        assert!(subscriptions.iter().all(|subscription| subscription.no_local && subscription.retain_as_published));
        subscriptions.into_iter().map(|subscription| subscription.filter).collect::<Vec<_>>()
    };
    assert_eq!(names(bridge.local_subscriptions()), [TopicFilter::new("a/#").unwrap()]);
    assert_eq!(names(bridge.far_subscriptions()), [TopicFilter::new("x/b").unwrap()]);
}
