//! The core of the example `fleet` against the built program: a small fleet, its consumers, and a broker that is killed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "../examples/fleet/load/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the example shows more than is asserted here")]
mod load;
mod support;

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use sensegate::base::secret::Secret;
use sensegate::mqtt::{ConnectReturnCode, QoS};
use support::{Gateway, Listener, PATIENCE, Process, sensegate};
use tempfile::TempDir;

use load::{FleetError, Options, Template, run};

const GATEWAYS: u32 = 20;
const SAMPLES: u32 = 20;
const ALL: u64 = 400;

/// Twenty gateways with twenty samples each in two seconds, and a consumer.
fn options(address: SocketAddr) -> Options {
    Options {
        address,
        gateways: GATEWAYS,
        first: 0,
        interval: Duration::from_millis(100),
        samples: SAMPLES,
        qos: QoS::AtLeastOnce,
        credentials: None,
        samples_topic: Template::topic("fleet/{gateway}/samples").unwrap(),
        status_topic: Template::topic("fleet/{gateway}/status").unwrap(),
        consumers: 1,
        shared: None,
        is_persistent: false,
        connect_rate: 0,
        patience: PATIENCE,
        broker_pid: None,
    }
}

#[test]
fn every_sample_comes_to_every_consumer_once_and_in_order() {
    let gateway = Gateway::start("");
    let outcome = run(&Options { consumers: 3, broker_pid: Some(gateway.id()), ..options(gateway.address()) }).unwrap();
    assert_eq!((outcome.published, outcome.acknowledged), (ALL, ALL));
    assert_eq!((outcome.expected, outcome.delivered), (3 * ALL, 3 * ALL));
    assert_eq!((outcome.connections_lost, outcome.lost, outcome.foreign), (0, 0, 0));
    assert!(outcome.is_sound() && outcome.broker.is_some(), "{outcome:?}");
}

#[test]
fn consumers_that_share_get_every_sample_once_among_them() {
    let gateway = Gateway::start("");
    let shared = Some("consumers".into());
    let outcome = run(&Options { consumers: 4, shared, is_persistent: true, ..options(gateway.address()) }).unwrap();
    assert_eq!((outcome.acknowledged, outcome.expected, outcome.delivered), (ALL, ALL, ALL));
    assert!(outcome.is_sound(), "{outcome:?}");
}

#[test]
fn a_broker_that_is_killed_loses_nothing_that_it_acknowledged() {
    let mut gateway = Gateway::start("");
    if gateway.is_stand_in() {
        return;
    }
    let options = Options { is_persistent: true, ..options(gateway.address()) };
    let watch = Listener::start(&gateway, &["-t", "fleet/+/samples"]);
    let fleet = thread::spawn(move || run(&options).unwrap());
    // the first sample is taken when all are connected
    watch.line();
    gateway.kill();
    gateway.start_again();
    let outcome = fleet.join().unwrap();
    assert!(outcome.connections_lost >= u64::from(GATEWAYS), "{outcome:?}");
    assert_eq!((outcome.acknowledged, outcome.delivered, outcome.lost), (ALL, ALL, 0));
}

#[test]
fn a_fleet_leaves_no_retained_status_behind() {
    let gateway = Gateway::start("");
    let watch = Listener::start(&gateway, &["-t", "fleet/+/status", "-v"]);
    run(&Options { gateways: 1, samples: 1, ..options(gateway.address()) }).unwrap();
    assert_eq!(watch.line(), "fleet/sensegate-f1ee70000000/status online");
    assert_eq!(watch.line(), "fleet/sensegate-f1ee70000000/status ");
}

#[test]
fn a_broker_that_is_not_there_is_told_with_its_address() {
    let mut gateway = Gateway::start("");
    let address = gateway.address();
    gateway.stop();
    let error = run(&options(address)).unwrap_err();
    assert!(matches!(error, FleetError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&format!("{address}: Connection refused")), "{error}");
}

#[test]
fn a_refusal_is_told_with_its_code_and_the_right_password_lets_everybody_in() {
    let directory = TempDir::with_prefix("fleet-").unwrap();
    let passwords = directory.path().join("passwords");
    Process::spawn(sensegate().args(["passwd", "-c", "-b"]).arg(&passwords).args(["fleet", "right"])).expect_success();
    let gateway = Gateway::start(&format!("[broker]\npassword_file = \"{}\"\n", passwords.display()));
    if gateway.is_stand_in() {
        return;
    }
    let with = |password: &str| {
        let credentials = Some((Template::new("fleet"), Secret::new(password)));
        Options { gateways: 2, samples: 2, credentials, ..options(gateway.address()) }
    };
    for refused in [options(gateway.address()), with("wrong")] {
        let error = run(&refused).unwrap_err();
        assert!(matches!(error, FleetError::Refused { code: ConnectReturnCode::NotAuthorized, .. }), "{error}");
        assert!(error.to_string().contains("CONNACK code 5: not authorised"), "{error}");
    }
    assert!(run(&with("right")).unwrap().is_sound());
}
