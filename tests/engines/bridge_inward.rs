//! What is published at an engine arrives at the gateway.

use std::time::Duration;

use crate::bridged::{NAME, bridge, expect_state, publish_numbers, start_gateway};
use crate::consumer::Consumer;
use crate::mosquitto::Mosquitto;
use crate::nats::Nats;
use crate::place::Place;
use crate::server::{Engine, tell};
use crate::support::skip_or_fail;

const RULES: &str =
    r#"{ topic = "leds/set", direction = "in", local_prefix = "myRasp/", remote_prefix = "fleet/pi/" }"#;

/// How long the gateway has to acknowledge what has arrived.
const ACKNOWLEDGED_AFTER: Duration = Duration::from_millis(300);

/// Commands while the gateway is there, while it is stopped, and while it is killed: each arrives, and each once.
fn commands_arrive_once(engine: &dyn Engine, keys: &str) {
    let (place, far) = (Place::loopback(), engine.addresses()[0]);
    let mut gateway = start_gateway(&place, &bridge(NAME, &[far], keys, RULES));
    let consumer = Consumer::start(&place, vec![gateway.address()], "leds", "myRasp/leds/set");
    expect_state(&place, &gateway, NAME, "connected", |state| state["connected"] == true);
    let command = |numbers: std::ops::RangeInclusive<u64>| publish_numbers(far, "fleet/pi/leds/set", numbers);
    command(1..=20);
    consumer.wait_for(1, 20);
    std::thread::sleep(ACKNOWLEDGED_AFTER);

    assert!(gateway.stop().success(), "{}", gateway.printed());
    command(21..=40);
    gateway.start_again();
    consumer.wait_for(1, 40);
    std::thread::sleep(ACKNOWLEDGED_AFTER);

    gateway.kill();
    command(41..=60);
    gateway.start_again();
    consumer.wait_for(1, 60);
    command(61..=61);
    consumer.wait_for(1, 61);
    let sequences = consumer.stop().sequences;
    tell(&format!("commands from {}: {sequences:?}", engine.name()));
    assert_eq!(sequences.expect_all(1, 61), 0, "each command once");
}

#[test]
fn commands_from_mosquitto_arrive_once_also_when_the_gateway_was_away() {
    if !Mosquitto::is_installed() {
        return skip_or_fail("mosquitto is not installed");
    }
    commands_arrive_once(&Mosquitto::start(&Place::loopback()), "");
}

#[test]
fn commands_from_nats_arrive_once_also_when_the_gateway_was_away() {
    if !Nats::is_installed() {
        return skip_or_fail("nats-server is not installed");
    }
    commands_arrive_once(&Nats::start(&Place::loopback()), "profile = \"nats\"\n");
}
