//! Shared subscriptions, §4.8.2; what happens when a member goes is in `shared_redelivery`.

use crate::client::Client;
use crate::packets::{AS_PUBLISHED, Publish, identifier};
use crate::support::Gateway;

/// What a client was sent until now; everything is acknowledged.
pub(crate) fn drain(client: &mut Client) -> Vec<String> {
    client.send(&crate::wire::PINGREQ);
    let mut texts = Vec::new();
    loop {
        let packet = client.expect_packet();
        if packet.first == 0xD0 {
            return texts;
        }
        let message = packet.message();
        client.finish(&message);
        texts.push(message.text());
    }
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:03}")).collect()
}

/// Publishes `count` numbers to `t` with QoS 1.
fn publish(gateway: &Gateway, count: usize) {
    let mut publisher = Client::connect(gateway, "publisher");
    for number in numbers(count) {
        publisher.say("t", &number);
    }
}

/// [MQTT-4.8.2-1], [MQTT-4.8.2-2], §4.8.2: each message goes to one member, and every member has its part.
#[test]
fn members_share_the_messages_among_them() {
    let gateway = Gateway::start("");
    for qos in 0..=2 {
        let mut members = ["a", "b", "c"].map(|id| Client::connect(&gateway, id));
        for member in &mut members {
            member.subscribe("$share/group/t", qos);
        }
        publish(&gateway, 30);
        let parts: Vec<_> = members.iter_mut().map(drain).collect();
        for part in &parts {
            assert!(part.is_sorted(), "in order: {part:?}");
            assert!((5..=15).contains(&part.len()), "an even spread: {parts:?}");
        }
        let mut all = parts.concat();
        all.sort();
        assert_eq!(all, numbers(30));
    }
}

/// §4.8.2: other groups, and subscriptions that are not shared, get every message.
#[test]
fn other_groups_and_plain_subscribers_get_everything() {
    let gateway = Gateway::start("");
    let mut members = ["a", "b"].map(|id| Client::connect(&gateway, id));
    for member in &mut members {
        member.subscribe("$share/one/t", 1);
    }
    let mut other = Client::connect(&gateway, "other");
    other.subscribe("$share/two/t", 1);
    let mut wild = Client::connect(&gateway, "wild");
    wild.subscribe("$share/one/+", 1);
    let mut plain = Client::connect(&gateway, "plain");
    plain.subscribe("t", 1);
    publish(&gateway, 10);
    assert_eq!(drain(&mut other), numbers(10));
    assert_eq!(drain(&mut wild), numbers(10), "the same name with another filter is another group");
    assert_eq!(drain(&mut plain), numbers(10));
    let parts = members.each_mut().map(drain);
    assert_eq!(parts.concat().len(), 10);
}

/// §4.8.2: a client may be a member and a plain subscriber.
#[test]
fn a_member_may_subscribe_to_the_same_topic_for_itself() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "both");
    client.subscribe("$share/g/t", 1);
    client.subscribe("t", 1);
    publish(&gateway, 3);
    let mut texts = drain(&mut client);
    texts.sort();
    assert_eq!(texts, ["000", "000", "001", "001", "002", "002"]);
}

/// [MQTT-4.8.2-3], [MQTT-3.8.4-8]
#[test]
fn each_member_gets_messages_with_its_own_qos() {
    let gateway = Gateway::start("");
    let mut members = [0, 1, 2].map(|qos| {
        let mut member = Client::connect(&gateway, &format!("member{qos}"));
        member.subscribe("$share/g/t", qos);
        member
    });
    let mut publisher = Client::connect(&gateway, "publisher");
    for _ in 0..9 {
        publisher.publish(&Publish::new("t", "x").qos(2, 1));
    }
    for (member, qos) in members.iter_mut().zip(0..) {
        assert_eq!(member.expect_finished().qos, qos);
    }
}

/// [MQTT-4.8.2-1], [MQTT-4.8.2-2]: the code of a filter that is none, or the end.
#[test]
fn invalid_shared_filters_are_refused() {
    let gateway = Gateway::start("");
    for filter in
        ["$share", "$share/", "$share//t", "$share/g", "$share/g/", "$share/g+/t", "$share/#/t", "$share/g/a#"]
    {
        // mosquitto 2.0.11 takes a name with a wildcard, and what has no name or no filter as a plain topic.
        if gateway.is_stand_in() && filter != "$share/g/a#" {
            continue;
        }
        let mut client = Client::connect(&gateway, "invalid");
        client.send(&crate::packets::subscribe(1, &[], &[(filter, 0)]));
        let answer = client.expect_packet();
        match answer.first {
            0x90 if filter == "$share" => assert!([0x00, 0x8F].contains(&answer.codes(0x90).codes[0])),
            0x90 => assert_eq!(answer.codes(0x90).codes, [0x8F], "{filter}"),
            _ => assert!(answer.disconnect().code >= 0x80, "{filter}"),
        }
    }
}

/// §4.8.2: what is retained is not sent when a shared subscription is made.
#[test]
fn retained_messages_are_not_sent_at_a_shared_subscribe() {
    let gateway = Gateway::start("");
    let mut publisher = Client::connect(&gateway, "publisher");
    publisher.publish(&Publish::new("t", "kept").qos(1, 1).retain());
    let mut member = Client::connect(&gateway, "member");
    // mosquitto 2.0.11 sends them.
    if gateway.is_stand_in() {
        return;
    }
    member.subscribe("$share/g/t", 1);
    member.subscribe("$share/g/t", 1);
    member.expect_nothing_more();
    publisher.say("t", "live");
    assert_eq!(member.expect_message().text(), "live");
}

/// §4.8.2, [MQTT-3.3.4-3], [MQTT-3.3.1-13]: options and identifiers hold here too.
#[test]
fn shared_subscriptions_have_options_and_identifiers() {
    let gateway = Gateway::start("");
    let mut member = Client::connect(&gateway, "member");
    assert_eq!(member.subscribe_all(&[identifier(77)], &[("$share/g/t/#", 1 | AS_PUBLISHED)]), [1]);
    Client::connect(&gateway, "publisher").publish(&Publish::new("t/a", "x").qos(2, 1).retain());
    let message = member.expect_message();
    assert_eq!((message.qos, message.retain, message.properties.identifiers()), (1, true, vec![77]));
    assert_eq!(message.topic, "t/a");
}

/// §4.8.2: subscribed to twice it is one member.
#[test]
fn a_member_that_subscribes_again_is_no_second_member() {
    let gateway = Gateway::start("");
    let mut members = ["a", "b"].map(|id| Client::connect(&gateway, id));
    for member in &mut members {
        member.subscribe("$share/g/t", 1);
    }
    for _ in 0..4 {
        members[0].subscribe("$share/g/t", 1);
    }
    publish(&gateway, 20);
    let parts = members.each_mut().map(drain);
    assert_eq!(parts.concat().len(), 20);
    assert!(parts.iter().all(|part| part.len() >= 5), "{parts:?}");
}

/// §4.8.2, [MQTT-3.10.4-1], [MQTT-3.10.4-2]
#[test]
fn a_member_that_unsubscribes_gets_nothing_more_and_the_others_all() {
    let gateway = Gateway::start("");
    let mut members = ["a", "b"].map(|id| Client::connect(&gateway, id));
    for member in &mut members {
        member.subscribe("$share/g/t", 1);
    }
    assert_eq!(members[0].unsubscribe_all(&["$share/g/t"]), [0]);
    publish(&gateway, 6);
    assert_eq!(drain(&mut members[0]), Vec::<String>::new());
    assert_eq!(drain(&mut members[1]), numbers(6));
}

/// §4.8.2: a 3.1.1 client may take part, and a filter with wildcards may be shared.
#[test]
fn clients_of_both_versions_share_a_filter_with_wildcards() {
    let gateway = Gateway::start("");
    let mut new = Client::connect(&gateway, "new");
    new.subscribe("$share/g/t/#", 0);
    let mut old = crate::wire::Raw::connect(&gateway, "old");
    old.subscribe("$share/g/t/#", 0);
    let mut publisher = Client::connect(&gateway, "publisher");
    for number in 0..10 {
        publisher.say(&format!("t/{number}"), "x");
    }
    let mine = drain(&mut new).len();
    assert!((1..10).contains(&mine), "{mine}");
    for _ in mine..10 {
        assert_eq!(old.expect_publish().payload, b"x");
    }
    old.expect_nothing_more();
}
