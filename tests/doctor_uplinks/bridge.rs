//! A bridge to mosquitto: CONNECT, and a SUBSCRIBE for what rules bring in.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::Examination;
use crate::support::{Broker, Gateway, eventually, has_mosquitto, sensegate, skip_or_fail};
use crate::ubidots_server::Ubidots;

/// The keys of a bridge to `port`, but for its rules.
fn bridge(port: u16, extra: &str) -> String {
    format!("[[uplink.bridge]]\nname = \"cloud\"\nurl = \"mqtt://127.0.0.1:{port}\"\nclient_id = \"me\"\n{extra}\n")
}

const RULES: &str = "rules = [{ topic = \"#\", local_prefix = \"{prefix}/\", remote_prefix = \"f/\" }, \
                     { topic = \"set\", direction = \"in\", local_prefix = \"leds/\", remote_prefix = \"orders/\" }]";

#[test]
fn a_bridge_connects_and_asks_for_what_comes_in() {
    if !has_mosquitto() {
        return skip_or_fail("mosquitto is not installed");
    }
    let broker = Broker::start();
    let examination = Examination::of(&bridge(broker.port(), RULES), &[]);
    examination.expect_ok(&[
        "cloud: 127.0.0.1:",
        "CONNECT is accepted, in version 5",
        "SUBSCRIBE to \"orders/set\" is granted, with QoS 1",
    ]);
    let printed = broker.printed();
    assert!(printed.contains("as me-doctor (p5, c1"), "{printed}");
    assert!(!printed.contains("Received PUBLISH"), "{printed}");
}

#[test]
fn a_gateway_that_runs_is_not_disturbed() {
    if !has_mosquitto() {
        return skip_or_fail("mosquitto is not installed");
    }
    let broker = Broker::start();
    let gateway = Gateway::start(&bridge(broker.port(), RULES));
    let comes_in = |who: &str| broker.printed().matches(&format!("as {who} (p5, ")).count();
    eventually("the bridge has connected", || (comes_in("me") == 1).then_some(()));
    let output = sensegate().args(["doctor", "--simulate", "--config"]).arg(gateway.configuration()).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{printed}");
    assert!(printed.contains("SUBSCRIBE to \"orders/set\" is granted"), "{printed}");
    eventually("the doctor has left", || broker.printed().contains("Client me-doctor").then_some(()));
    let log = broker.printed();
    assert_eq!((comes_in("me"), comes_in("me-doctor")), (1, 1), "{log}");
    let is_end = |line: &&str| line.contains("Client me ") && line.contains("closed");
    assert_eq!(log.lines().find(is_end), None, "{log}");
}

#[test]
fn a_wrong_password_is_told() {
    if !has_mosquitto() {
        return skip_or_fail("mosquitto is not installed");
    }
    let broker = Broker::start_with(|directory| {
        let passwords = directory.join("passwords");
        fs::write(&passwords, "").unwrap();
        format!("allow_anonymous false\npassword_file {}\n", passwords.display())
    });
    let user = format!("username = \"somebody\"\npassword_file = \"{{dir}}/password\"\n{RULES}");
    let examination = Examination::of(&bridge(broker.port(), &user), &[("password", "a secret\n")]);
    examination.expect_problem(1, &["the broker refused: Not authorized (CONNACK 0x87)", "-> look at username"]);
    let lines = examination.lines.join("\n");
    assert!(!lines.contains("a secret") && !lines.contains("somebody"), "{lines}");
}

#[test]
fn a_grant_below_the_rule_is_a_warning() {
    if !has_mosquitto() {
        return skip_or_fail("mosquitto is not installed");
    }
    let broker = Broker::start_with(|_| "allow_anonymous true\nmax_qos 0\n".into());
    let examination = Examination::of(&bridge(broker.port(), RULES), &[]);
    let lines = examination.lines.join("\n");
    assert_eq!(examination.code, Some(0), "{lines}");
    assert!(lines.contains("it takes QoS 0 at most"), "{lines}");
    assert!(
        lines.contains("warning  uplink         cloud: SUBSCRIBE to \"orders/set\" is granted, with QoS 0"),
        "{lines}"
    );
}

/// Answers on each connection what stands there for each packet.
fn serve(listener: &TcpListener, connections: &[&[&[u8]]]) {
    for answers in connections {
        let (mut stream, _) = listener.accept().unwrap();
        for answer in *answers {
            assert_ne!(stream.read(&mut [0; 4096]).unwrap(), 0);
            stream.write_all(answer).unwrap();
        }
    }
}

#[test]
fn a_broker_of_3_1_1_alone_is_asked_again_and_what_it_refuses_is_told_by_name() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        // CONNACK 1; then CONNACK 0 and SUBACK 0x80
        serve(&listener, &[&[&[0x20, 2, 0, 1]], &[&[0x20, 2, 0, 0], &[0x90, 3, 0, 1, 0x80]]]);
    });
    let examination = Examination::of(&bridge(port, RULES), &[]);
    server.join().unwrap();
    examination.expect_problem(2, &["SUBSCRIBE to \"orders/set\" is refused: Unspecified error (SUBACK 0x80)"]);
    assert!(examination.lines[1].contains("in version 3.1.1, because 5 is not spoken there"), "{examination:?}");
}

#[test]
fn every_address_is_tried_and_an_outbox_elsewhere_is_told() {
    let [first, second, house] = [Ubidots::start(), Ubidots::start(), Ubidots::start()];
    second.stop_listening();
    let (first_port, second_port, house_port) = (first.port(), second.port(), house.port());
    let text = format!(
        "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtt://127.0.0.1:{house_port}\"\n\
         [[uplink.bridge]]\nname = \"cloud\"\nurls = [\"mqtt://127.0.0.1:{first_port}\", \"mqtt://127.0.0.1:{second_port}\"]\n\
         username = \"nobody\"\nrules = [{{ topic = \"#\", local_prefix = \"{{prefix}}/\" }}]\n"
    );
    let examination = Examination::of(&text, &[]);
    let lines = examination.lines.join("\n");
    assert_eq!(examination.code, Some(1), "{lines}");
    assert!(examination.lines[0].starts_with("warning  outbox "), "{lines}");
    assert!(lines.contains(&format!("cloud at 127.0.0.1:{first_port}: the broker refused")), "{lines}");
    assert!(
        lines.contains(&format!("cloud at 127.0.0.1:{second_port}: 127.0.0.1:{second_port} is not reached")),
        "{lines}"
    );
}
