//! What bridges are refused for.

use std::fs;

use super::{BRIDGE, check, settings};

/// A bridge with these rules, which stand on line 4.
fn bridge(rules: &str) -> String {
    format!("{BRIDGE}rules = [{rules}]\n")
}

#[test]
fn names_are_short_plain_and_each_for_one_bridge() {
    let name = |typed: &str, expected: &str| {
        let text = format!("[[uplink.bridge]]\nname = {typed:?}\nurl = \"mqtt://b\"\nrules = [{{ topic = \"#\" }}]\n");
        check(&text, &[&format!("x.toml:2:8: uplink.bridge[0].name: {expected}")]);
    };
    let plain = "at most 32 letters a to z, digits, `_` and `-` are expected";
    name("ubidots", "is \"ubidots\", which [uplink.ubidots] has; another name is expected");
    name("Cloud", &format!("is \"Cloud\", {plain}"));
    name("a/b", &format!("is \"a/b\", {plain}"));
    name(&"x".repeat(33), &format!("is {:?}, {plain}", "x".repeat(33)));
    name("", "is empty, at least one character is expected");
    let twice = bridge("{ topic = \"a\" }") + &bridge("{ topic = \"b\" }");
    check(
        &twice,
        &["x.toml:6:8: uplink.bridge[1].name: is \"cloud\", as that of an earlier bridge; each needs its own"],
    );
}

#[test]
fn bridge_says_where_it_leads_and_what_crosses_it() {
    check(
        "[[uplink.bridge]]",
        &[
            "x.toml:1:1: uplink.bridge[0].name: is missing",
            "x.toml:1:1: uplink.bridge[0].rules: is missing, at least one rule is expected: { topic = \"#\" }",
            "x.toml:1:1: uplink.bridge[0].url: is missing: \"mqtt://HOST:PORT\" or \"mqtts://HOST:PORT\" is \
             expected, or several in `urls`",
        ],
    );
    let urls = |typed: &str, expected: &[&str]| {
        check(&format!("[[uplink.bridge]]\nname = \"a\"\nrules = [{{ topic = \"#\" }}]\n{typed}"), expected);
    };
    urls("urls = []", &["x.toml:4:8: uplink.bridge[0].urls: is empty, at least one address is expected"]);
    urls("urls = \"mqtt://b\"", &["x.toml:4:8: uplink.bridge[0].urls: is \"mqtt://b\", a list is expected"]);
    urls(
        "urls = [\"mqtt://b\", \"c\"]",
        &["x.toml:4:21: uplink.bridge[0].urls[1]: has no scheme, mqtt://HOST:PORT or mqtts://HOST:PORT is expected"],
    );
    urls(
        "url = \"mqtt://a\"\nurls = [\"mqtt://b\"]",
        &["x.toml:5:8: uplink.bridge[0].urls: stands beside `url`: one of the two is expected"],
    );
}

#[test]
fn rules_make_filters_and_go_no_further_than_at_least_once() {
    let rule = |typed: &str, column: usize, expected: &str| {
        check(
            &bridge(&format!("{{ {typed} }}")),
            &[&format!("x.toml:4:{column}: uplink.bridge[0].rules[0]{expected}")],
        );
    };
    rule(
        "topic = \"a\", qos = 2",
        31,
        ".qos: is 2, 0 or 1 is expected: a bridge carries each message at least once, not exactly once",
    );
    rule(
        "topic = \"a#\"",
        20,
        ".topic: makes \"a#\", which is no topic filter: has `#` in another place than alone in its \
          last level [MQTT-4.7.1-2]",
    );
    rule("topic = \"$share/a/b\"", 20, ".topic: makes \"$share/a/b\": shared subscriptions do not cross");
    rule(
        "retain = true",
        10,
        ".topic: makes \"\", which is no topic filter: is empty, at least one character is expected \
          [MQTT-4.7.3-1]",
    );
    rule(
        "topic = \"#\", local_prefix = \"+/\"",
        40,
        ".local_prefix: is \"+/\", which holds a wildcard: only `topic` may",
    );
    rule(
        "topic = \"#\", remote_prefix = \"{client}/\"",
        41,
        ".remote_prefix: uses `{client}`, which [labels] does not have; did you mean `{client_id}`?",
    );
    rule(
        "topic = \"{client_id}\"",
        20,
        ".topic: uses `{client_id}`, which [labels] does not have; known are `{prefix}`",
    );
    rule("topic = 1", 20, ".topic: is 1, a text is expected");
    rule(
        "topic = \"#\", direction = \"inn\"",
        37,
        ".direction: is \"inn\", one of \"out\", \"in\", \"both\" is expected; did you mean \"in\"?",
    );
}

#[test]
fn names_that_the_broker_there_does_not_take_are_refused() {
    let profile = |profile: &str, rule: &str, expected: &str| {
        check(&format!("{BRIDGE}profile = \"{profile}\"\nrules = [{rule}]"), &[expected]);
    };
    profile(
        "rabbitmq",
        "{ topic = \"#\", remote_prefix = \"a.b/\" }",
        "x.toml:5:41: uplink.bridge[0].rules[0].remote_prefix: makes \"a.b/#\" there: RabbitMQ reads `.` as `/`; \
         another name is expected",
    );
    profile(
        "nats",
        "{ topic = \"a b\", direction = \"in\" }",
        "x.toml:5:20: uplink.bridge[0].rules[0].topic: makes \"a b\" there: NATS takes no space and closes the \
         connection; another name is expected",
    );
    settings(&bridge("{ topic = \"a.b\" }"));
    check(
        &format!("{BRIDGE}profile = \"nats\"\nprotocol = \"5\"\nrules = [{{ topic = \"#\" }}]"),
        &["x.toml:5:12: uplink.bridge[0].protocol: is \"5\", which NATS does not speak: \"3.1.1\" is expected"],
    );
}

#[test]
fn what_would_cross_for_ever_is_refused() {
    let remedy = "prefixes under which they do not meet, or one rule for \"both\", are expected";
    check(
        &bridge(
            "{ topic = \"#\", local_prefix = \"a/\", remote_prefix = \"x/a/\" },\n\
                 { topic = \"#\", direction = \"in\", local_prefix = \"a/\", remote_prefix = \"x/\" }",
        ),
        &[&format!(
            "x.toml:5:1: uplink.bridge[0].rules[1]: brings back what uplink.bridge[0].rules[0] sends, and that would \
             be sent again: {remedy}"
        )],
    );
    let second = |url: &str| {
        let rules = "rules = [{ topic = \"myRasp/#\", direction = \"in\" }]";
        format!("[[uplink.bridge]]\nname = \"other\"\nurl = \"{url}\"\n{rules}")
    };
    let first = bridge("{ topic = \"#\" }");
    check(
        &(first.clone() + &second("mqtts://FAR:1883")),
        &[&format!(
            "x.toml:8:10: uplink.bridge[1].rules[0]: brings back what uplink.bridge[0].rules[0] sends, and that \
             would be sent again: {remedy}"
        )],
    );
    settings(&(first + &second("mqtt://elsewhere")));
    settings(&bridge("{ topic = \"#\", direction = \"both\" }"));
    // everything out and commands in, under the same names
    settings(&bridge(
        "{ topic = \"#\", local_prefix = \"my/\", remote_prefix = \"f/\" },\n\
             { topic = \"leds/set\", direction = \"in\", local_prefix = \"my/\", remote_prefix = \"f/\" }",
    ));
}

#[test]
fn bridge_does_not_lead_to_the_broker_that_it_takes_from() {
    let leads = |url: &str, rest: &str| {
        format!("[[uplink.bridge]]\nname = \"a\"\nurl = \"{url}\"\nrules = [{{ topic = \"#\" }}]\n{rest}")
    };
    let own = ["x.toml:3:7: uplink.bridge[0].url: leads to the broker that the bridge takes from: another broker is \
                expected"];
    let external = "[broker]\nmode = \"external\"\nexternal.url = \"mqtt://b:99\"";
    let open = "[[broker.listener]]\naddress = \"0.0.0.0:99\"\nallow_anonymous = true";
    let network = "[[broker.listener]]\naddress = \"10.0.0.1:99\"\nallow_anonymous = true";
    for url in ["mqtt://localhost", "mqtt://127.0.0.1", "mqtts://[::1]:1883", "mqtt://127.0.0.2:1883"] {
        check(&leads(url, ""), &own);
    }
    check(&leads("mqtt://localhost:99", open), &own);
    check(&leads("mqtt://10.0.0.1:99", network), &own);
    check(&leads("mqtt://B:99", external), &own);
    settings(&leads("mqtt://localhost:1884", ""));
    settings(&leads("mqtt://10.0.0.2:99", network));
    settings(&leads("mqtt://localhost", external));
    check(
        &leads("mqtt://b", "").replace("url = \"mqtt://b\"", "urls = [\"mqtt://b\", \"mqtt://localhost\"]"),
        &["x.toml:3:21: uplink.bridge[0].urls[1]: leads to the broker that the bridge takes from: another broker is \
           expected"],
    );
}

#[test]
fn users_and_certificates_are_whole_and_of_use() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let file = directory.path().join(name);
        fs::write(&file, content).unwrap();
        file
    };
    let made = rcgen::generate_simple_self_signed(["gateway".to_owned()]).unwrap();
    let (certificate, key) = (write("c.pem", &made.cert.pem()), write("k.pem", &made.signing_key.serialize_pem()));
    let other = write("o.pem", &rcgen::KeyPair::generate().unwrap().serialize_pem());
    let with = |lines: &str| {
        format!("[[uplink.bridge]]\nname = \"a\"\nrules = [{{ topic = \"#\" }}]\nurl = \"mqtts://b\"\n{lines}")
    };
    settings(&with(&format!("certificate = {certificate:?}\nkey = {key:?}\nca_file = {certificate:?}")));
    check(
        &with(&format!("certificate = {certificate:?}")),
        &["x.toml:5:15: uplink.bridge[0].certificate: stands alone, `key` is expected beside it"],
    );
    check(
        &with(&format!("key = {key:?}\npassword_file = {key:?}")),
        &[
            "x.toml:5:7: uplink.bridge[0].key: stands alone, `certificate` is expected beside it",
            "x.toml:6:17: uplink.bridge[0].password_file: stands alone, `username` is expected beside it",
        ],
    );
    check(
        &with(&format!("certificate = {certificate:?}\nkey = {other:?}")),
        &["x.toml:6:7: uplink.bridge[0].key: names a key that is not the key of `certificate`: name the two that \
             were made together"],
    );
    let plain = with(&format!("certificate = {certificate:?}\nkey = {key:?}\nca_file = {certificate:?}"));
    check(
        &plain.replace("mqtts:", "mqtt:"),
        &[
            "x.toml:5:15: uplink.bridge[0].certificate: has no use with mqtt://, an address with mqtts:// is expected",
            "x.toml:7:11: uplink.bridge[0].ca_file: has no use with mqtt://, an address with mqtts:// is expected",
        ],
    );
}

#[test]
fn topics_of_uplinks_are_nobody_else_s() {
    let text = |topic: &str| bridge("{ topic = \"#\" }") + &format!("[state]\ntopic = \"{topic}\"");
    check(
        &text("{prefix}/uplink/cloud/state"),
        &["x.toml:6:9: state.topic: is myRasp/uplink/cloud/state, as {prefix}/uplink/cloud/state of the uplink is; \
             each needs a topic of its own"],
    );
    check(
        &text("{prefix}/samples"),
        &["x.toml:6:9: state.topic: is myRasp/samples, as samples.topic is; each needs a topic of its own"],
    );
    settings("state.topic = \"{prefix}/samples\"");
}
