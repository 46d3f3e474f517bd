//! Real clients beyond the lab: order, bursts, large payloads, takeovers, sessions and crowds, with paho-mqtt 1.6.1,
//! paho-mqtt 2.x, `mosquitto_pub` and `mosquitto_sub`. The scenarios of paho stand in `lab/scenarios.py`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use support::{Gateway, Paho, Process, Python, Subscriber, has_mosquitto_clients, publish, skip_or_fail};

/// Messages of the burst.
const BURST: usize = 10_000;

/// Runs a scenario under each release of paho-mqtt, each time with a fresh gateway.
fn check_scenario(name: &str) {
    for paho in [Paho::One, Paho::Two] {
        match Python::find(paho) {
            Ok(python) => run_scenario(&python, name),
            Err(reason) => skip_or_fail(&reason),
        }
    }
}

fn run_scenario(python: &Python, name: &str) {
    let gateway = Gateway::start("");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/scenarios.py");
    let mut command = python.command(&script);
    let mut process = Process::spawn(command.arg(name).arg(gateway.port().to_string()));
    process.expect_line_with(&format!("{name}: as expected"));
    process.expect_success();
}

#[test]
fn paho_receives_many_messages_of_qos_1_in_order() {
    check_scenario("order_qos1");
}

#[test]
fn paho_receives_many_messages_of_qos_2_in_order() {
    check_scenario("order_qos2");
}

#[test]
fn paho_receives_payloads_of_200_kilobytes_unchanged() {
    check_scenario("large_payload");
}

#[test]
fn paho_is_taken_over_by_a_second_client_with_its_id() {
    check_scenario("takeover");
}

#[test]
fn paho_sees_the_session_flag() {
    check_scenario("session_flags");
}

#[test]
fn paho_gets_nothing_more_after_unsubscribing() {
    check_scenario("unsubscribing");
}

#[test]
fn paho_sees_dollar_topics_only_where_it_names_them() {
    check_scenario("dollar_topics");
}

#[test]
fn two_hundred_paho_clients_are_served_together() {
    check_scenario("many_clients");
}

#[test]
fn paho_comes_back_to_its_session_after_a_cut() {
    check_scenario("reconnects");
}

/// `count` lines, each a message: `000000` and so on.
fn lines(count: usize) -> String {
    (0..count).fold(String::new(), |mut lines, number| {
        writeln!(lines, "{number:06}").unwrap();
        lines
    })
}

/// What mosquitto's own dashboards look for.
const SYSTEM_TOPICS: [&str; 15] = [
    "version",
    "uptime",
    "clients/total",
    "clients/connected",
    "clients/disconnected",
    "clients/maximum",
    "clients/expired",
    "messages/received",
    "messages/sent",
    "messages/stored",
    "bytes/received",
    "bytes/sent",
    "load/messages/received/1min",
    "load/connections/15min",
    "subscriptions/count",
];

#[test]
fn mosquitto_sub_reads_what_the_broker_tells_about_itself() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto_sub and mosquitto_pub are not installed");
    }
    let gateway = Gateway::start("broker.sys_interval = \"1s\"");
    for name in SYSTEM_TOPICS {
        let topic = format!("$SYS/broker/{name}");
        let subscriber = Subscriber::start_with(&gateway, &["-t", &topic]);
        let message = subscriber.message();
        assert_eq!((message.topic, message.retain), (topic, true));
    }
    let subscriber = Subscriber::start_with(&gateway, &["-t", "$SYS/broker/publish/messages/received"]);
    let count = || subscriber.message().payload.parse::<u64>().unwrap();
    let before = count();
    publish(&gateway, &["-t", "t", "-m", "x"]);
    assert!(count() > before);
}

#[test]
fn the_broker_tells_nothing_about_itself_where_that_is_switched_off() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto_sub and mosquitto_pub are not installed");
    }
    let gateway = Gateway::start("broker.sys_interval = \"0s\"");
    let subscriber = Subscriber::start_with(&gateway, &["-t", "$SYS/#", "-t", "end"]);
    publish(&gateway, &["-t", "end", "-m", "end", "-r"]);
    assert_eq!(subscriber.message().topic, "end");
}

#[test]
fn a_burst_of_ten_thousand_messages_of_qos_0_arrives_whole_and_in_order() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto_sub and mosquitto_pub are not installed");
    }
    let gateway = Gateway::start("");
    let subscriber = Subscriber::start(&gateway, "burst");
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "127.0.0.1", "-p", &gateway.port().to_string(), "-t", "burst", "-l"]);
    let mut publisher = Process::spawn_with_input(&mut command, lines(BURST).into_bytes());
    for number in 0..BURST {
        assert_eq!(subscriber.message().payload, format!("{number:06}"));
    }
    publisher.expect_success();
}

#[test]
fn mosquitto_pub_sends_every_qos_and_mosquitto_sub_sees_it() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto_sub and mosquitto_pub are not installed");
    }
    let gateway = Gateway::start("");
    for subscribed in 0..=2_u8 {
        let subscriber = Subscriber::start_with(&gateway, &["-t", "qos", "-q", &subscribed.to_string()]);
        for published in 0..=2_u8 {
            publish(&gateway, &["-t", "qos", "-m", "x", "-q", &published.to_string()]);
            assert_eq!(subscriber.message().qos, subscribed.min(published));
        }
    }
}

#[test]
fn a_gateway_that_is_stopped_says_goodbye_and_serves_again_after_a_start() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto_sub and mosquitto_pub are not installed");
    }
    let mut gateway = Gateway::start("");
    if gateway.is_stand_in() {
        return;
    }
    let subscriber = Subscriber::start(&gateway, "myRasp/status");
    while subscriber.message().payload != "online" {}
    assert!(gateway.stop().success(), "{}", gateway.printed());
    assert_eq!(subscriber.message().payload, "offline");

    gateway.start_again();
    let subscriber = Subscriber::start(&gateway, "myRasp/status");
    while subscriber.message().payload != "online" {}
}
