//! Topic aliases both ways, §3.3.2.3.4; the impossible ones are in `publish_refused`.

use std::collections::HashMap;

use crate::client::Client;
use crate::packets::{Connect, Publish, TOPIC_ALIAS, TOPIC_ALIAS_MAXIMUM, two};
use crate::support::Gateway;

/// The aliases that the gateway takes; at least one, or these tests would say nothing.
fn maximum(client: &Client) -> u16 {
    let maximum = client.connack.properties.number(TOPIC_ALIAS_MAXIMUM).expect("aliases are taken");
    assert!(maximum > 0);
    u16::try_from(maximum).unwrap()
}

fn aliased(topic: &str, alias: u16, payload: &str) -> Publish {
    Publish::new(topic, payload).property(two(TOPIC_ALIAS, alias))
}

/// [MQTT-3.3.2-12]
#[test]
fn every_alias_up_to_the_maximum_is_taken() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "aliases");
    client.subscribe("alias/#", 0);
    let maximum = maximum(&client);
    for alias in 1..=maximum {
        client.send(&aliased(&format!("alias/{alias}"), alias, "set").bytes());
        assert_eq!(client.expect_message().topic, format!("alias/{alias}"));
    }
    for alias in (1..=maximum).rev() {
        client.send(&aliased("", alias, "used").bytes());
        let message = client.expect_message();
        assert_eq!((message.topic, message.payload), (format!("alias/{alias}"), b"used".to_vec()));
        assert_eq!(message.properties.0, Vec::<Vec<u8>>::new(), "[MQTT-3.1.2-27]: not passed on");
    }
}

/// §3.3.2.3.4: a later topic replaces an earlier one.
#[test]
fn an_alias_can_be_set_anew() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "anew");
    client.subscribe("alias/#", 1);
    for topic in ["alias/one", "alias/two"] {
        client.publish(&aliased(topic, 1, "set").qos(1, 1));
        client.publish(&aliased("", 1, "used").qos(1, 2));
        for _ in 0..2 {
            assert_eq!(client.expect_finished().topic, topic);
        }
    }
}

/// [MQTT-3.3.2-7]
#[test]
fn an_alias_ends_with_its_connection() {
    let gateway = Gateway::start("");
    let mut client = Client::resume(&gateway, "ends");
    client.publish(&aliased("alias", 1, "set").qos(1, 1));
    client.leave();
    let mut client = Client::resume(&gateway, "ends");
    assert!(client.is_present());
    client.send(&aliased("", 1, "used").bytes());
    client.expect_ended("unknown alias", &[0x82]);
}

/// §3.3.2.3.4: aliases are each connection's own.
#[test]
fn two_clients_may_mean_different_topics_by_one_alias() {
    let gateway = Gateway::start("");
    let mut watcher = Client::connect(&gateway, "watcher");
    watcher.subscribe("alias/#", 0);
    let mut clients = ["one", "two"].map(|id| (id, Client::connect(&gateway, id)));
    for payload in ["set", "used"] {
        for (id, client) in &mut clients {
            let topic = if payload == "set" { format!("alias/{id}") } else { String::new() };
            client.send(&aliased(&topic, 1, payload).bytes());
            assert_eq!(watcher.expect_message().topic, format!("alias/{id}"));
        }
    }
}

/// [MQTT-3.1.2-26], [MQTT-3.1.2-27], [MQTT-3.3.2-11]
#[test]
fn the_gateway_uses_no_more_aliases_than_the_client_takes() {
    let gateway = Gateway::start("");
    let mut publisher = Client::connect(&gateway, "publisher");
    for maximum in [0_u16, 1, 3] {
        let mut client = Client::with(&gateway, &Connect::new("taker").property(two(TOPIC_ALIAS_MAXIMUM, maximum)));
        client.subscribe("alias/#", 1);
        let mut topics = HashMap::new();
        for number in 0..30 {
            let topic = format!("alias/{}", number % 5);
            publisher.say(&topic, "x");
            let message = client.expect_finished();
            let alias = message.properties.number(TOPIC_ALIAS);
            if let Some(alias) = alias {
                assert!((1..=u32::from(maximum)).contains(&alias), "alias {alias} of {maximum}");
                if !message.topic.is_empty() {
                    topics.insert(alias, message.topic.clone());
                }
            }
            let meant = if message.topic.is_empty() { topics[&alias.unwrap()].clone() } else { message.topic };
            assert_eq!(meant, topic, "[MQTT-3.3.2-3]");
        }
    }
}
