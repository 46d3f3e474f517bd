//! Sessions and how long they last, §3.1.2.4, §3.1.2.11.2 and §4.1.

use std::time::Duration;

use crate::client::Client;
use crate::packets::{Connect, NEVER, Publish, RECEIVE_MAXIMUM, SESSION_EXPIRY, disconnect, four, two};
use crate::support::{Gateway, eventually};

/// Sessions of one kind that a poll may use up: to look at one is to open it.
const LOOKS: usize = 60;

/// A session of `id` that lasts `expiry_s`, with a subscription to `topic` of QoS 1.
fn left(gateway: &Gateway, id: &str, expiry_s: u32) {
    let mut client = Client::with(gateway, &Connect::new(id).expiry(expiry_s));
    client.subscribe("topic", 1);
    client.leave();
}

/// Whether the session is there; opens it, and ends it.
fn is_there(gateway: &Gateway, id: &str) -> bool {
    let client = Client::with(gateway, &Connect::new(id).resume());
    let is_present = client.is_present();
    client.leave();
    is_present
}

/// [MQTT-3.1.2-6], [MQTT-3.2.2-3]
#[test]
fn a_session_that_never_was_is_not_present() {
    let gateway = Gateway::start("");
    assert!(!Client::resume(&gateway, "new").is_present());
}

/// [MQTT-3.1.2-5], [MQTT-3.1.2-23], [MQTT-3.2.2-3], [MQTT-4.5.0-1]
#[test]
fn a_session_outlives_its_connection_with_what_was_published_meanwhile() {
    let gateway = Gateway::start("");
    left(&gateway, "kept", 100);
    let mut publisher = Client::connect(&gateway, "publisher");
    publisher.say("topic", "1");
    assert_eq!(publisher.publish(&Publish::new("topic", "2").qos(2, 5)) & 0x80, 0);
    let mut client = Client::resume(&gateway, "kept");
    assert!(client.is_present());
    let mut texts = client.expect_texts(2);
    // The order is kept for each QoS only.
    texts.sort();
    assert_eq!(texts, ["1", "2"]);
    client.expect_nothing_more();
}

/// [MQTT-3.1.2-4], [MQTT-3.2.2-2], [MQTT-3.1.4-4]
#[test]
fn a_clean_start_discards_the_session() {
    let gateway = Gateway::start("");
    left(&gateway, "clean", 100);
    let mut publisher = Client::connect(&gateway, "publisher");
    publisher.say("topic", "queued");
    let mut client = Client::with(&gateway, &Connect::new("clean").expiry(100));
    assert!(!client.is_present());
    publisher.say("topic", "live");
    client.expect_nothing_more();
    client.leave();
    assert!(is_there(&gateway, "clean"), "the new session is kept");
}

/// [MQTT-4.1.0-2]: an expiry of 0, or none, ends the session with its connection.
#[test]
fn a_session_without_an_expiry_ends_with_its_connection() {
    let gateway = Gateway::start("");
    left(&gateway, "zero", 0);
    assert!(!is_there(&gateway, "zero"));
    Client::connect(&gateway, "none").leave();
    assert!(!is_there(&gateway, "none"));
}

/// [MQTT-4.1.0-2]
#[test]
fn a_session_ends_when_its_expiry_has_passed() {
    let gateway = Gateway::start("");
    let mut ids = (0..LOOKS).map(|number| format!("brief{number}")).collect::<Vec<_>>().into_iter();
    ids.clone().for_each(|id| left(&gateway, &id, 1));
    left(&gateway, "long", 1000);
    std::thread::sleep(Duration::from_secs(1));
    eventually("the session ends", || {
        std::thread::sleep(Duration::from_millis(300));
        (!is_there(&gateway, &ids.next().unwrap())).then_some(())
    });
    assert!(is_there(&gateway, "long"));
}

/// [MQTT-4.1.0-1]: the interval counts from the end of the connection.
#[test]
fn a_session_does_not_expire_while_it_is_connected() {
    let gateway = Gateway::start("");
    let mut client = Client::with(&gateway, &Connect::new("open").expiry(1));
    client.subscribe("topic", 1);
    std::thread::sleep(Duration::from_millis(2500));
    client.say("topic", "still here");
    assert_eq!(client.expect_message().text(), "still here");
}

/// §3.1.2.11.2: the longest interval is no interval.
#[test]
fn a_session_with_the_longest_expiry_is_kept() {
    let gateway = Gateway::start("");
    left(&gateway, "never", NEVER);
    assert!(is_there(&gateway, "never"));
}

/// §3.1.2.11.2: each CONNECT sets the interval anew.
#[test]
fn a_later_connect_sets_the_expiry_anew() {
    let gateway = Gateway::start("");
    left(&gateway, "anew", 100);
    assert!(is_there(&gateway, "anew"));
    assert!(!is_there(&gateway, "anew"), "the look before gave no expiry");
}

/// §3.14.2.2.2: DISCONNECT may change the interval.
#[test]
fn a_disconnect_changes_the_expiry() {
    let gateway = Gateway::start("");
    let shorter = Client::with(&gateway, &Connect::new("shorter").expiry(1000));
    shorter.leave_with(0, &[four(SESSION_EXPIRY, 0)]);
    assert!(!is_there(&gateway, "shorter"));

    for number in 0..LOOKS {
        let longer = Client::with(&gateway, &Connect::new(&format!("longer{number}")).expiry(1));
        longer.leave_with(0, &[four(SESSION_EXPIRY, if number == 0 { 1000 } else { 1 })]);
    }
    let mut looks = 1..LOOKS;
    std::thread::sleep(Duration::from_secs(1));
    eventually("the others end", || {
        std::thread::sleep(Duration::from_millis(300));
        (!is_there(&gateway, &format!("longer{}", looks.next().unwrap()))).then_some(())
    });
    assert!(is_there(&gateway, "longer0"));
}

/// §3.14.2.2.2: from zero there is no way back.
#[test]
fn a_disconnect_that_gives_a_session_an_expiry_it_never_had_is_a_protocol_error() {
    let gateway = Gateway::start("");
    for connect in [Connect::new("zero"), Connect::new("zero").expiry(0)] {
        let mut client = Client::with(&gateway, &connect);
        client.send(&disconnect(0, &[four(SESSION_EXPIRY, 10)]));
        client.expect_ended("expiry", &[0x82]);
        assert!(!is_there(&gateway, "zero"));
    }
}

/// [MQTT-3.1.4-3], [MQTT-3.1.2-5]
#[test]
fn a_takeover_ends_the_older_connection_and_keeps_the_session() {
    let gateway = Gateway::start("");
    let mut older = Client::resume(&gateway, "same");
    older.subscribe("topic", 1);
    let mut newer = Client::resume(&gateway, "same");
    assert!(newer.is_present());
    older.expect_taken_over();
    newer.say("topic", "x");
    assert_eq!(newer.expect_message().text(), "x");
}

/// [MQTT-3.1.4-3], [MQTT-3.1.2-4]
#[test]
fn a_takeover_with_a_clean_start_keeps_nothing() {
    let gateway = Gateway::start("");
    let mut older = Client::resume(&gateway, "same");
    older.subscribe("topic", 1);
    let mut newer = Client::connect(&gateway, "same");
    assert!(!newer.is_present());
    older.expect_taken_over();
    newer.say("topic", "x");
    newer.expect_nothing_more();
}

/// [MQTT-3.1.2-5], [MQTT-4.9.0-1]: what belongs to a connection is not part of the session.
#[test]
fn a_receive_maximum_ends_with_its_connection() {
    let gateway = Gateway::start("");
    let connect = Connect::new("limits").expiry(100).property(two(RECEIVE_MAXIMUM, 1));
    let mut client = Client::with(&gateway, &connect);
    client.subscribe("topic", 1);
    client.leave();
    let mut client = Client::resume(&gateway, "limits");
    let mut publisher = Client::connect(&gateway, "publisher");
    for payload in ["1", "2", "3"] {
        publisher.say("topic", payload);
    }
    let texts: Vec<_> = (0..3).map(|_| client.expect_message().text()).collect();
    assert_eq!(texts, ["1", "2", "3"]);
}
