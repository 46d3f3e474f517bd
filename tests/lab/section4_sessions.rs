//! Section 4: persistent sessions, and what each QoS does to a message for a client that is away.

use std::cmp::min;

use crate::script::{Lab, Script, walk};
use crate::support::Process;

const SUBSCRIBE: &str = "client.subscribe(MQTT_PATH)";

/// The lab's subscriber with these arguments of `mqtt.Client`, which subscribes with `qos`, and shows the session
/// flag and the QoS of each message.
fn subscriber(client: &str, topic: &str, qos: u8) -> Script {
    Script::subscriber(topic)
        .client(client)
        .edit(SUBSCRIBE, &format!("client.subscribe(MQTT_PATH, qos={qos})"))
        .edit("+str(rc)", "+str(rc)+\" \"+str(flags[\"session present\"])")
        .edit("+str(msg.payload)", "+str(msg.payload)+\" QoS : \"+str(msg.qos)")
        .tell_subscribed()
}

/// The lab's publisher with another text and `qos`.
fn publisher(topic: &str, text: &str, qos: u8) -> Script {
    let edited = format!("\"{text}\", qos={qos},");
    Script::publisher(topic).edit("\"Hello World!\",", &edited)
}

fn expect_connection(subscriber: &Process, session_present: u8) {
    let line = subscriber.expect_line_with("Connection code");
    assert_eq!(line, format!("Connection code : 0 {session_present}"));
}

/// The messages that `subscriber` printed before `last`, which is published now, as text and QoS.
fn messages_before(lab: &Lab, subscriber: &Process, topic: &str, last: &str) -> Vec<String> {
    subscriber.expect_line_with("subscribed");
    lab.run(&publisher(topic, last, 0));
    subscriber.expect_line_with(&format!("b'{last}'"));
    let prefix = format!("Sujet : {topic} Message : ");
    let printed = subscriber.printed();
    printed.lines().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect()
}

#[test]
fn a_persistent_session_wants_a_client_id_before_paho_even_connects() {
    walk("", |lab| {
        let mut nameless = lab.start(&Script::subscriber("testMQTT").client("clean_session = False"));
        assert!(!nameless.wait().success());
        nameless.expect_line_with("ValueError: A client id must be provided if clean session is False.");

        let clean = lab.start(&Script::subscriber("testMQTT").client("clean_session = True"));
        clean.expect_line_with("Connection code : 0");
    });
}

#[test]
fn a_message_of_qos_0_is_not_kept_for_a_client_that_is_away() {
    walk("", |lab| {
        let persistent = subscriber("client_id=\"test\", clean_session=False", "testMQTT", 0);
        let mut first = lab.start_subscribed(&persistent);
        first.interrupt();
        lab.run(&Script::publisher("testMQTT"));

        let again = lab.start(&persistent);
        expect_connection(&again, 1);
        assert_eq!(messages_before(lab, &again, "testMQTT", "last"), ["b'last' QoS : 0"]);
    });
}

/// What was kept for one pair: the subscriber comes, goes, misses two messages, and comes back.
fn check_pair(lab: &Lab, publish_qos: u8, subscribe_qos: u8) {
    let topic = format!("pair/{publish_qos}/{subscribe_qos}");
    let client = format!("client_id=\"test{publish_qos}{subscribe_qos}\", clean_session=False");
    let persistent = subscriber(&client, &topic, subscribe_qos);
    let mut first = lab.start(&persistent);
    expect_connection(&first, 0);
    first.expect_line_with("subscribed");
    first.interrupt();
    for text in ["one", "two"] {
        lab.run(&publisher(&topic, text, publish_qos));
    }

    let again = lab.start(&persistent);
    expect_connection(&again, 1);
    let qos = min(publish_qos, subscribe_qos);
    let kept = ["one", "two"].map(|text| format!("b'{text}' QoS : {qos}"));
    let wanted = if qos == 0 { Vec::new() } else { kept.to_vec() };
    let wanted = [wanted, vec!["b'last' QoS : 0".to_owned()]].concat();
    assert_eq!(messages_before(lab, &again, &topic, "last"), wanted, "published {publish_qos}, asked {subscribe_qos}");
}

#[test]
fn every_pair_of_publish_qos_0_and_subscribe_qos_keeps_nothing() {
    walk("", |lab| (0..=2).for_each(|subscribe_qos| check_pair(lab, 0, subscribe_qos)));
}

#[test]
fn every_pair_of_publish_qos_1_and_subscribe_qos_keeps_by_the_lower_of_both() {
    walk("", |lab| (0..=2).for_each(|subscribe_qos| check_pair(lab, 1, subscribe_qos)));
}

#[test]
fn every_pair_of_publish_qos_2_and_subscribe_qos_keeps_by_the_lower_of_both() {
    walk("", |lab| (0..=2).for_each(|subscribe_qos| check_pair(lab, 2, subscribe_qos)));
}

#[test]
fn a_clean_session_throws_away_what_was_kept() {
    walk("", |lab| {
        let persistent = subscriber("client_id=\"test\", clean_session=False", "testMQTT", 1);
        let clean = subscriber("client_id=\"test\", clean_session=True", "testMQTT", 1);
        lab.start_subscribed(&persistent).interrupt();
        lab.run(&publisher("testMQTT", "missed", 1));

        let mut cleaning = lab.start(&clean);
        expect_connection(&cleaning, 0);
        assert_eq!(messages_before(lab, &cleaning, "testMQTT", "last"), ["b'last' QoS : 0"]);
        cleaning.interrupt();

        let again = lab.start(&persistent);
        expect_connection(&again, 0);
        assert_eq!(messages_before(lab, &again, "testMQTT", "later"), ["b'later' QoS : 0"]);
    });
}
