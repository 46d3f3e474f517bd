//! Topic names and topic filters, §4.7.

use crate::client::Client;
use crate::packets::Publish;
use crate::support::Gateway;

/// Which of `topics` a subscription to `filter` gets.
fn matched(gateway: &Gateway, filter: &str, topics: &[&str]) -> Vec<String> {
    let mut client = Client::connect(gateway, "matcher");
    assert_eq!(client.subscribe_all(&[], &[(filter, 0), ("the last", 0)]), [0, 0]);
    for topic in topics.iter().chain(&["the last"]) {
        client.send(&Publish::new(topic, "x").bytes());
    }
    let topics = std::iter::from_fn(|| Some(client.expect_message().topic));
    topics.take_while(|topic| topic != "the last").filter(|topic| !topic.starts_with("$SYS")).collect()
}

/// [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-3.3.2-3], [MQTT-4.5.0-1]
#[test]
fn wildcards_match_whole_levels() {
    let gateway = Gateway::start("");
    let topics = ["a", "a/", "a/b", "a/b/c", "/a", "b/a", "ab"];
    let check = |filter, expected: &[&str]| assert_eq!(matched(&gateway, filter, &topics), expected, "{filter}");
    check("#", &topics);
    check("a/#", &["a", "a/", "a/b", "a/b/c"]);
    check("a/+", &["a/", "a/b"]);
    check("+/+", &["a/", "a/b", "/a", "b/a"]);
    check("+/a", &["/a", "b/a"]);
    check("/#", &["/a"]);
    check("/+", &["/a"]);
    check("a/+/c", &["a/b/c"]);
    check("a/b/c/#", &["a/b/c"]);
    check("+/b/#", &["a/b", "a/b/c"]);
}

/// [MQTT-4.7.2-1]
#[test]
fn wildcards_at_the_beginning_do_not_match_topics_that_begin_with_a_dollar() {
    let gateway = Gateway::start("");
    let topics = ["$other/a", "$other", "a/$other"];
    assert_eq!(matched(&gateway, "#", &topics), ["a/$other"]);
    assert_eq!(matched(&gateway, "+/a", &topics), Vec::<String>::new());
    assert_eq!(matched(&gateway, "+/+", &topics), ["a/$other"]);
    assert_eq!(matched(&gateway, "$other/#", &topics), ["$other/a", "$other"]);
    assert_eq!(matched(&gateway, "$other/+", &topics), ["$other/a"]);
}

/// [MQTT-4.7.2-1]: retained ones neither.
#[test]
fn wildcards_do_not_find_retained_messages_below_a_dollar() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "publisher");
    client.publish(&Publish::new("$other/a", "x").qos(1, 1).retain());
    client.subscribe("+/a", 0);
    client.subscribe("#", 0);
    client.expect_nothing_more();
    client.subscribe("$other/+", 0);
    assert_eq!(client.expect_message().topic, "$other/a");
}

/// [MQTT-4.7.3-4], [MQTT-1.5.4-3]
#[test]
fn topics_are_compared_as_they_are() {
    let gateway = Gateway::start("");
    let topics = ["é", "e\u{301}", "É", " é", "\u{FEFF}é", "a//b", "a/b", "a/./b"];
    for topic in topics {
        assert_eq!(matched(&gateway, topic, &topics), [topic]);
    }
}

/// [MQTT-4.7.3-1], [MQTT-4.7.3-3]
#[test]
fn topics_may_be_one_character_or_as_long_as_their_length_can_say() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "long");
    let long = "x".repeat(65_535);
    for topic in ["x", "/", " ", &long] {
        client.subscribe(topic, 0);
        client.send(&Publish::new(topic, "").bytes());
        assert_eq!(client.expect_message().topic, *topic);
    }
}

/// §4.7.1: levels may be empty.
#[test]
fn empty_levels_are_levels() {
    let gateway = Gateway::start("");
    let topics = ["/", "//", "/a", "a/", "a//b"];
    assert_eq!(matched(&gateway, "+/+", &topics), ["/", "/a", "a/"]);
    assert_eq!(matched(&gateway, "+/+/+", &topics), ["//", "a//b"]);
    assert_eq!(matched(&gateway, "a/+/b", &topics), ["a//b"]);
}
