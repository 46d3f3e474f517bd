//! Rules of both directions: each message crosses once and does not come back.

use std::net::SocketAddr;

use tempfile::TempDir;

use crate::bridge_external::configure;
use crate::bridged::{Caller, NAME, bridge, expect_state, see_state, start_gateway};
use crate::consumer::Consumer;
use crate::mosquitto::Mosquitto;
use crate::nats::Nats;
use crate::place::Place;
use crate::server::{Engine, tell};
use crate::support::{Process, sensegate, skip_or_fail};

const RULES: &str =
    r##"{ topic = "#", direction = "both", local_prefix = "myRasp/both/", remote_prefix = "fleet/pi/" }"##;

/// How many messages are published on each side; what went round would be seen among the later ones.
const EACH: u64 = 300;

/// A gateway that is the broker itself.
fn from_a_gateway(engine: &dyn Engine, keys: &str, version: &str) {
    let (place, far) = (Place::loopback(), engine.addresses()[0]);
    let gateway = start_gateway(&place, &bridge(NAME, &[far], keys, RULES));
    expect_state(&place, &gateway, NAME, version, |state| state["protocol"] == version);
    each_message_is_seen_once(gateway.address(), far);
    tell(&format!("both ways with {} in version {version}: {EACH} each way, none twice", engine.name()));
}

/// Both sides publish, on topics of their own and on one that they share.
fn each_message_is_seen_once(near: SocketAddr, far: SocketAddr) {
    let place = Place::loopback();
    let here = Consumer::start(&place, vec![near], "here", "myRasp/both/#");
    let there = Consumer::start(&place, vec![far], "there", "fleet/pi/#");
    let (mut near_caller, mut far_caller) = (Caller::new(near), Caller::new(far));
    for number in 1..=EACH {
        let (odd, even) = ((2 * number - 1).to_string(), (2 * number).to_string());
        let own = number % 2 == 0;
        near_caller.publish(if own { "myRasp/both/near" } else { "myRasp/both/shared" }, odd.as_bytes());
        far_caller.publish(if own { "fleet/pi/far" } else { "fleet/pi/shared" }, even.as_bytes());
    }
    // a second time round the same way: by then an echo would have come
    for fence in [2 * EACH + 1, 2 * EACH + 2] {
        near_caller.publish("myRasp/both/near", fence.to_string().as_bytes());
        here.wait_for(1, fence);
        there.wait_for(1, fence);
    }
    for (side, name) in [(here, "here"), (there, "there")] {
        let sequences = side.stop().sequences;
        let (count, duplicates) = (sequences.count(), sequences.duplicates());
        assert_eq!((count as u64, duplicates), (2 * EACH + 2, 0), "{name}: {sequences:?}");
    }
}

#[test]
fn nothing_goes_round_between_here_and_mosquitto_in_version_5() {
    if !Mosquitto::is_installed() {
        return skip_or_fail("mosquitto is not installed");
    }
    from_a_gateway(&Mosquitto::start(&Place::loopback()), "", "5");
}

#[test]
fn nothing_goes_round_between_here_and_mosquitto_in_version_3_1_1() {
    if !Mosquitto::is_installed() {
        return skip_or_fail("mosquitto is not installed");
    }
    from_a_gateway(&Mosquitto::start(&Place::loopback()), "protocol = \"3.1.1\"\n", "3.1.1");
}

#[test]
fn nothing_goes_round_between_here_and_nats() {
    if !Nats::is_installed() {
        return skip_or_fail("nats-server is not installed");
    }
    from_a_gateway(&Nats::start(&Place::loopback()), "profile = \"nats\"\n", "3.1.1");
}

/// The gateway is a client of NATS, which sends it what it has published there itself.
#[test]
fn nothing_goes_round_between_nats_as_the_local_broker_and_mosquitto() {
    if !Mosquitto::is_installed() || !Nats::is_installed() {
        return skip_or_fail("mosquitto or nats-server is not installed");
    }
    let place = Place::loopback();
    let (local, engine) = (Nats::start(&place), Mosquitto::start(&place));
    let (near, far) = (local.addresses()[0], engine.addresses()[0]);
    let directory = TempDir::with_prefix("sensegate-").unwrap();
    let file = configure(directory.path(), near, far, RULES);
    let gateway = Process::spawn(sensegate().arg("--simulate").arg("--config").arg(file));
    let connected = see_state(&place, near, NAME, |state| state["connected"] == true);
    assert!(connected.is_ok(), "{connected:?}: {}", gateway.printed());
    each_message_is_seen_once(near, far);
}
