//! A message that an engine does not take, here a topic with a space at NATS, which closes the connection over it.

use serde_json::Value;

use crate::bridged::{Caller, LINES, NAME, RULES, bridge, expect_state, start_gateway};
use crate::consumer::Consumer;
use crate::nats::Nats;
use crate::place::Place;
use crate::relay::Relay;
use crate::server::{Engine, tell};
use crate::support::skip_or_fail;

/// One bad topic among good ones. What follows it arrives; gives how many connections it took.
fn space_is_rejected(keys: &str, reason: &str) -> usize {
    let place = Place::loopback();
    let engine = Nats::start(&place);
    let relay = Relay::start(engine.addresses()[0]);
    let gateway = start_gateway(&place, &bridge(NAME, &[relay.address()], keys, RULES));
    expect_state(&place, &gateway, NAME, "connected", |state| state["connected"] == true);
    let before = relay.accepted();
    let consumer = Consumer::start(&place, engine.addresses(), "far-side", LINES);
    let rejected = Consumer::start(&place, vec![gateway.address()], "rejected", "myRasp/uplink/far/rejected");
    let mut caller = Caller::new(gateway.address());
    for number in 1..=30_u64 {
        if number == 11 {
            caller.publish("line/with space", b"no number");
        }
        caller.publish("line/1", number.to_string().as_bytes());
    }
    consumer.wait_for(1, 30);
    expect_state(&place, &gateway, NAME, "one rejected", |state| state["rejected"] == 1);
    let record = consumer.stop();
    let duplicates = record.sequences.expect_all(1, 30);
    let told = rejected.stop().sequences.foreign().to_vec();
    let [told] = told.as_slice() else { panic!("one rejected message: {told:?}") };
    let told: Value = serde_json::from_str(told).unwrap();
    assert_eq!((&told["topic"], &told["payload"]), (&Value::from("line/with space"), &Value::from("no number")));
    assert!(told["reason"].as_str().unwrap().contains(reason), "{told}");
    let connections = relay.accepted() - before;
    tell(&format!("a space at nats, {keys:?}: {connections} further connections, {duplicates} duplicates, {told}"));
    connections
}

#[test]
fn a_message_that_ends_three_connections_is_put_aside_and_what_follows_arrives() {
    if !Nats::is_installed() {
        return skip_or_fail("nats-server is not installed");
    }
    let connections = space_is_rejected("poison_after = 3\nprotocol = \"3.1.1\"\n", "3 connections in a row");
    assert_eq!(connections, 3);
}

#[test]
fn a_message_that_the_profile_refuses_is_put_aside_at_once() {
    if !Nats::is_installed() {
        return skip_or_fail("nats-server is not installed");
    }
    assert_eq!(space_is_rejected("profile = \"nats\"\n", "space"), 0);
}
