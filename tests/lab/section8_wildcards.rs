//! Section 8: topics in levels, and the two wildcards.

use std::collections::BTreeSet;
use std::process::Command;

use crate::script::{Lab, Script, walk};
use crate::support::{Process, Subscriber, publish};

/// The lab's tree.
const TREE: [&str; 5] = [
    "myRasp/groundfloor/livingroom/temperature",
    "myRasp/groundfloor/kitchen/temperature",
    "myRasp/groundfloor/kitchen/pression",
    "myRasp/firstfloor/kitchen/temperature",
    "myRasp/groundfloor/kitchen/fridge/temperature",
];

/// Filters, and the leaves of [`TREE`] that each matches.
const TABLE: [(&str, &[usize]); 9] = [
    // The lab's example, which its text prints without the slash before the plus.
    ("myRasp/groundfloor/+/temperature", &[0, 1]),
    ("myRasp/groundfloor/#", &[0, 1, 2, 4]),
    ("myRasp/groundfloor/kitchen/#", &[1, 2, 4]),
    ("myRasp/groundfloor/kitchen/+", &[1, 2]),
    ("myRasp/+/kitchen/temperature", &[1, 3]),
    ("myRasp/+/+/temperature", &[0, 1, 3]),
    ("+/+/+/+/temperature", &[4]),
    ("myRasp/groundfloor/kitchen/temperature/#", &[1]),
    ("myRasp/groundfloor/temperature", &[]),
];

/// The leaves of [`TREE`] that a subscriber of `filter` sees, each once.
fn matched(lab: &Lab, filter: &str) -> BTreeSet<usize> {
    let subscriber = Subscriber::start_with(&lab.gateway, &["-t", filter, "-t", "end"]);
    for topic in TREE {
        publish(&lab.gateway, &["-t", topic, "-m", topic]);
    }
    publish(&lab.gateway, &["-t", "end", "-m", "end"]);
    let mut seen = BTreeSet::new();
    for message in subscriber.messages_until("end") {
        let leaf = TREE.iter().position(|topic| *topic == message.topic).unwrap();
        assert!(seen.insert(leaf), "{} came twice", message.topic);
    }
    seen
}

#[test]
fn a_subscriber_of_all_sensors_sees_temperature_and_pressure() {
    walk("", |lab| {
        if lab.gateway.is_stand_in() {
            return;
        }
        let subscriber = lab.start(&Script::subscriber("myRasp/sensors/#"));
        let wanted = ["myRasp/sensors/temperature", "myRasp/sensors/pression", "myRasp/sensors/humidity"];
        let mut seen = BTreeSet::new();
        while !wanted.iter().all(|topic| seen.contains(*topic)) {
            let line = subscriber.expect_line_with("Sujet : myRasp/sensors/");
            seen.extend(line.split(' ').nth(2).map(str::to_owned));
        }
    });
}

#[test]
fn each_filter_matches_its_leaves_and_no_other() {
    walk("", |lab| {
        for (filter, leaves) in TABLE {
            assert_eq!(matched(lab, filter), leaves.iter().copied().collect(), "{filter}");
        }
    });
}

#[test]
fn the_misprinted_filter_is_refused_by_the_clients() {
    let misprint = "myRasp/groundfloor+/temperature";
    walk("", |lab| {
        let mut mosquitto = Process::spawn(Command::new("mosquitto_sub").args(["-t", misprint]));
        assert!(!mosquitto.wait().success());
        mosquitto.expect_line_with("Invalid subscription topic");

        let paho = lab.start(&Script::subscriber(misprint));
        paho.expect_line_with("ValueError: Invalid subscription filter.");
    });
}
