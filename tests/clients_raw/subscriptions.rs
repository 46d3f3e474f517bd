//! SUBSCRIBE, UNSUBSCRIBE and what reaches whom, §3.8 to §3.11 and §4.7.

use crate::support::Gateway;
use crate::wire::{QOS1, QOS2, Raw, acknowledge, packet, publish, publish_id, string, subscribe, unsubscribe};

/// What a clean subscriber of `filter` gets when each of `topics` is published.
fn received(gateway: &Gateway, filter: &str, topics: &[&str]) -> Vec<String> {
    let mut subscriber = Raw::connect(gateway, "subscriber");
    subscriber.subscribe(filter, 0);
    subscriber.subscribe("end", 0);
    for topic in topics {
        subscriber.send(&publish(0, topic, "x"));
    }
    subscriber.send(&publish(0, "end", "x"));
    let topics = std::iter::from_fn(|| Some(subscriber.expect_publish().topic));
    topics.take_while(|topic| topic != "end").collect()
}

#[test]
fn topics_of_any_script_are_delivered() {
    let gateway = Gateway::start("");
    let topics = ["été/x", "温度", "☀", "ελ/ά", " ", "a b/ c", "/", "//", "/a", "a/"];
    for topic in topics {
        assert_eq!(received(&gateway, topic, &[topic]), [topic]);
    }
    assert_eq!(received(&gateway, "été/+", &["été/x", "ete/x"]), ["été/x"]);
}

#[test]
fn wildcards_match_as_the_standard_lists() {
    // §4.7.1.2 and §4.7.1.3, its own examples.
    let gateway = Gateway::start("");
    let player = "sport/tennis/player1";
    let below = format!("{player}/#");
    let topics = [player, "sport/tennis/player1/ranking", "sport/tennis/player1/score/wimbledon", "sport/tennis"];
    assert_eq!(received(&gateway, &below, &topics), topics[..3]);
    assert_eq!(received(&gateway, "sport/#", &["sport", "sports", "sport/"]), ["sport", "sport/"]);
    assert_eq!(received(&gateway, "sport/tennis/+", &topics), [player]);
    assert_eq!(received(&gateway, "sport/+", &["sport", "sport/"]), ["sport/"]);
    assert_eq!(received(&gateway, "+/+", &["/finance", "finance"]), ["/finance"]);
    assert_eq!(received(&gateway, "/+", &["/finance", "finance"]), ["/finance"]);
    assert_eq!(received(&gateway, "+", &["/finance", "finance"]), ["finance"]);
    assert_eq!(
        received(&gateway, "+/tennis/#", &["sport/tennis/a", "a/tennis", "tennis"]),
        ["sport/tennis/a", "a/tennis"]
    );
}

#[test]
fn topics_that_begin_with_a_dollar_do_not_leak_to_wildcards() {
    // [MQTT-4.7.2-1]
    let gateway = Gateway::start("");
    let mut leaky = Raw::connect(&gateway, "leaky");
    leaky.subscribe("+/zz", 0);
    leaky.subscribe("#", 0);
    let mut meant = Raw::connect(&gateway, "meant");
    meant.subscribe("$test/#", 0);
    meant.send(&publish(0, "$test/zz", "x"));
    assert_eq!(meant.expect_publish().topic, "$test/zz");
    meant.send(&publish(0, "end", "x"));
    assert_eq!(leaky.expect_publish().topic, "end");
}

#[test]
fn subscribing_to_the_broker_own_topics_is_no_offence() {
    let gateway = Gateway::start("");
    let mut raw = Raw::connect(&gateway, "curious");
    raw.subscribe("$SYS/#", 0);
    raw.send(&unsubscribe(2, "$SYS/#"));
    while raw.expect_packet().first != 0xB0 {}
    raw.expect_nothing_more();
}

#[test]
fn overlapping_subscriptions_give_one_copy_with_the_higher_qos() {
    // [MQTT-3.3.5-1]
    let gateway = Gateway::start("");
    if gateway.is_stand_in() {
        return;
    }
    let mut raw = Raw::connect(&gateway, "overlap");
    raw.send(&subscribe(1, &[("over/#", 2), ("over/+", 1), ("over/lap", 0)]));
    raw.expect_bytes(&[0x90, 0x05, 0x00, 0x01, 0x02, 0x01, 0x00]);
    let mut publisher = Raw::connect(&gateway, "publisher");
    publisher.send(&publish_id(QOS2, "over/lap", 1, "x"));
    publisher.expect_bytes(&acknowledge(0x50, 1));
    publisher.send(&acknowledge(0x62, 1));
    let only = raw.expect_publish();
    assert_eq!(only.qos, 2);
    raw.send(&acknowledge(0x50, only.id.unwrap()));
    raw.expect_bytes(&acknowledge(0x62, only.id.unwrap()));
    raw.expect_nothing_more();
}

#[test]
fn many_filters_in_one_packet_are_answered_in_order() {
    // [MQTT-3.9.3-1]
    let gateway = Gateway::start("");
    let mut raw = Raw::connect(&gateway, "many");
    raw.send(&subscribe(0x0102, &[("a", 2), ("b", 0), ("c/#", 1), ("a", 1)]));
    raw.expect_bytes(&[0x90, 0x06, 0x01, 0x02, 0x02, 0x00, 0x01, 0x01]);
}

#[test]
fn subscribing_again_replaces_the_qos_and_unsubscribing_ends_it() {
    // [MQTT-3.8.4-3], [MQTT-3.10.4-2], [MQTT-3.10.4-5]
    let gateway = Gateway::start("");
    let mut raw = Raw::connect(&gateway, "again");
    raw.subscribe("again", 1);
    raw.subscribe("again", 0);
    raw.send(&publish_id(QOS1, "again", 9, "x"));
    let mut seen = [raw.expect_packet(), raw.expect_packet()];
    seen.sort_by_key(|packet| packet.first);
    assert_eq!(seen[0].publish().qos, 0);
    assert_eq!((seen[1].first, &seen[1].body[..]), (0x40, &[0x00, 0x09][..]));

    raw.send(&unsubscribe(0x0A0B, "again"));
    raw.expect_bytes(&acknowledge(0xB0, 0x0A0B));
    raw.send(&unsubscribe(0x0A0C, "never/was"));
    raw.expect_bytes(&acknowledge(0xB0, 0x0A0C));
    raw.send(&publish(0, "again", "x"));
    raw.expect_nothing_more();
}

#[test]
fn characters_are_compared_as_they_come() {
    // [MQTT-1.5.3-3], [MQTT-4.7.3-4]: U+FEFF is a character, and what looks alike is not the same.
    let gateway = Gateway::start("");
    let topics = ["x", "\u{feff}x", "x\u{feff}", "X", "x ", "\u{e9}", "e\u{301}", "\u{c5}", "\u{212b}"];
    for topic in topics {
        assert_eq!(received(&gateway, topic, &topics), [topic]);
    }
}

#[test]
fn unsubscribing_takes_away_the_very_filter_and_no_other() {
    // [MQTT-3.10.4-1]
    let gateway = Gateway::start("");
    let mut raw = Raw::connect(&gateway, "stays");
    raw.subscribe("a/b", 0);
    raw.subscribe("c/+", 0);
    for other in ["a/+", "a/#", "#", "+/b", "A/b", "a/b/", "c/d", "c/#"] {
        raw.send(&unsubscribe(7, other));
        raw.expect_bytes(&acknowledge(0xB0, 7));
    }
    for topic in ["a/b", "c/d"] {
        raw.send(&publish(0, topic, "x"));
        assert_eq!(raw.expect_publish().topic, topic);
    }
}

#[test]
fn one_unsubscribe_of_many_filters_gets_one_answer() {
    // [MQTT-3.10.4-6]
    let gateway = Gateway::start("");
    let mut raw = Raw::connect(&gateway, "many");
    for filter in ["a", "b/+", "c"] {
        raw.subscribe(filter, 0);
    }
    let filters = [string("a"), string("never/was"), string("b/+")].concat();
    raw.send(&packet(0xA2, &[&[0x01, 0x02], &filters[..]].concat()));
    raw.expect_bytes(&[0xB0, 0x02, 0x01, 0x02]);
    for topic in ["a", "b/x", "c"] {
        raw.send(&publish(0, topic, "x"));
    }
    assert_eq!(raw.expect_publish().topic, "c");
    raw.expect_nothing_more();
}
