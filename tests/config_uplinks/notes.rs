//! What is no problem and still good to know.

use super::{BRIDGE, account, settings};

/// Holds that `text` has exactly the notes `expected`.
fn check(text: &str, expected: &[&str]) {
    assert_eq!(settings(text).notes(), expected, "{text}");
}

#[test]
fn account_is_told_what_it_costs() {
    check(
        &account(""),
        &["uplink ubidots: 1 publishes/s and 3 dots/s; the backlog of a day takes 7m 32s and 1350 publishes"],
    );
    check(
        &account("every = \"1m\"\nurl = \"mqtt://b\""),
        &[
            "uplink ubidots: 0.02 publishes/s and 0.05 dots/s; the backlog of a day takes 1m 8s and 206 publishes",
            "uplink ubidots: the token crosses the network readable; mqtts:// keeps it to itself",
        ],
    );
}

#[test]
fn names_and_habits_of_brokers_are_told() {
    let rules = "rules = [{ topic = \"#\", local_prefix = \"myRasp/\", remote_prefix = \"/fleet/\" }]";
    check(&format!("{BRIDGE}{rules}"), &["uplink cloud: \"/fleet/#\": it begins with an empty level"]);
    check(
        &format!("{BRIDGE}profile = \"rabbitmq\"\nusername = \"vhost:joe\"\n{}", rules.replace("/fleet", "fleet")),
        &[
            "uplink cloud: RabbitMQ keeps retained messages on one node, and sends none for a wildcard",
            "uplink cloud: RabbitMQ takes what stands before `:` in a user name for its virtual host",
        ],
    );
    check(
        &format!("{BRIDGE}profile = \"nats\"\nrules = [{{ topic = \"#\", retain = false }}]\n[state]\ntopic = \"a.b\""),
        &["uplink cloud: a.b is rejected as \"a.b\": NATS 2.9 takes no `.`, later ones rename it"],
    );
}

#[test]
fn what_may_be_lost_is_told() {
    let external = "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtt://b\"\n";
    let link = "broker.mode = \"external\": readings are lost while the link to the broker is cut; the embedded broker \
                with a bridge keeps them";
    check(external, &[link]);
    let rules = "rules = [{ topic = \"#\" }]\n";
    let outbox = "what waits for uplinks waits at the external broker: how much, and whether it outlives a restart, \
    is up to that one";
    check(&format!("{external}{BRIDGE}{rules}"), &[link, outbox]);
    check(
        &format!("{BRIDGE}{rules}[storage]\nsync = \"5s\""),
        &["storage.sync = \"5s\": a power cut may cost what uplinks took in within 5s"],
    );
    check(
        &format!("{BRIDGE}{rules}[storage]\nsync = \"off\""),
        &["storage.sync = \"off\": a power cut may cost what uplinks took in and the system had not written yet"],
    );
    check("storage.sync = \"off\"", &[]);
}
