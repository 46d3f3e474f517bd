//! PINGREQ and the keep alive, §3.12 and §3.1.2.10.

use std::time::Duration;

use crate::client::{Client, check_ended};
use crate::packets::{Connect, Publish};
use crate::support::Gateway;

/// [MQTT-3.12.4-1]
#[test]
fn a_ping_is_answered() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "ping");
    for _ in 0..100 {
        client.expect_nothing_more();
    }
}

/// §3.12.1: PINGREQ has neither flags nor a body.
#[test]
fn pings_of_the_wrong_form_are_malformed() {
    let gateway = Gateway::start("");
    check_ended(&gateway, "PINGREQ with flags", &[0xC1, 0x00], &[0x81]);
    check_ended(&gateway, "PINGREQ with a body", &[0xC0, 0x01, 0x00], &[0x81]);
}

/// [MQTT-3.1.2-22], [MQTT-4.13.2-1], [MQTT-3.2.2-22]
#[test]
fn a_silent_client_is_told_and_closed() {
    let gateway = Gateway::start("");
    let mut client = Client::with(&gateway, &Connect::new("silent").keep_alive(1));
    client.expect_ended("silence", &[0x8D]);
}

/// [MQTT-3.1.2-22]: any packet counts.
#[test]
fn a_client_that_sends_anything_is_not_closed() {
    let gateway = Gateway::start("");
    let mut client = Client::with(&gateway, &Connect::new("busy").keep_alive(2));
    for _ in 0..8 {
        client.send(&Publish::new("t", "x").bytes());
        std::thread::sleep(Duration::from_millis(500));
    }
    client.expect_nothing_more();
}

/// §3.1.2.10: a keep alive of zero is none.
#[test]
fn a_client_without_a_keep_alive_may_be_silent() {
    let gateway = Gateway::start("");
    let mut client = Client::with(&gateway, &Connect::new("zero").keep_alive(0));
    std::thread::sleep(Duration::from_millis(2500));
    client.expect_nothing_more();
}

/// [MQTT-3.1.2-21]: the gateway keeps to what it told, not to what it was asked for.
#[test]
fn a_client_is_held_to_the_keep_alive_that_it_was_told() {
    let gateway = Gateway::start_either("[broker.limits]\nkeep_alive = \"1s\"\n", "max_keepalive 10");
    // mosquitto takes no bound below ten seconds.
    if gateway.is_stand_in() {
        return;
    }
    let mut client = Client::with(&gateway, &Connect::new("told").keep_alive(600));
    assert_eq!(client.connack.properties.number(crate::packets::SERVER_KEEP_ALIVE), Some(1));
    client.expect_ended("silence", &[0x8D]);
}
