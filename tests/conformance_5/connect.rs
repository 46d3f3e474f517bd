//! CONNECT that is accepted, and what CONNACK says, §3.1 and §3.2.

use crate::client::Client;
use crate::packets::{
    ASSIGNED_CLIENT_ID, Connect, MAXIMUM_PACKET_SIZE, MAXIMUM_QOS, NEVER, RECEIVE_MAXIMUM, REQUEST_PROBLEM,
    REQUEST_RESPONSE, RESPONSE_INFORMATION, SERVER_KEEP_ALIVE, TOPIC_ALIAS_MAXIMUM, byte, four, text, two, user,
};
use crate::support::Gateway;
use crate::wire::{Raw, string};

/// [MQTT-3.1.4-5], [MQTT-3.2.0-1], [MQTT-3.2.0-2], [MQTT-3.2.2-1], [MQTT-3.2.2-8]
#[test]
fn a_connect_is_answered_with_one_connack_before_anything_else() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "first");
    client.expect_nothing_more();
    for reserved in [ASSIGNED_CLIENT_ID, RESPONSE_INFORMATION, crate::packets::AUTHENTICATION_METHOD] {
        // [MQTT-4.12.0-6]: no method was given.
        assert_eq!(client.connack.properties.value(reserved), None);
    }
}

/// [MQTT-3.1.3-1], [MQTT-3.1.2-9], [MQTT-3.1.2-17], [MQTT-3.1.2-19]: every field and property at once.
#[test]
fn a_connect_may_hold_every_property_and_field_at_once() {
    let gateway = Gateway::start("");
    let will = [four(0x18, 5), byte(0x01, 1), four(0x02, 60), text(0x03, "text"), text(0x08, "a/b"), text(0x09, [0])];
    let connect = Connect::new("full")
        .expiry(10)
        .property(two(RECEIVE_MAXIMUM, 10))
        .property(four(MAXIMUM_PACKET_SIZE, 100_000))
        .property(two(TOPIC_ALIAS_MAXIMUM, 10))
        .property(byte(REQUEST_RESPONSE, 1))
        .property(byte(REQUEST_PROBLEM, 1))
        .property(user("a", "1"))
        .property(user("a", "1"))
        .will(0x08, "will", "gone", &[will.to_vec(), vec![user("b", "2"), user("b", "2")]].concat())
        .user("somebody")
        .password([0, 255]);
    Client::with(&gateway, &connect).expect_nothing_more();
}

/// [MQTT-3.1.2-19]: unlike in 3.1.1, a password needs no user name.
#[test]
fn a_password_may_come_without_a_user_name() {
    let gateway = Gateway::start("");
    Client::with(&gateway, &Connect::new("word").password("secret")).expect_nothing_more();
}

/// [MQTT-3.1.3-5], [MQTT-3.1.3-2]
#[test]
fn client_identifiers_of_any_length_and_script_are_accepted() {
    let gateway = Gateway::start("");
    let long = "i".repeat(200);
    for id in ["a", "0123456789abcdefghijklm", "nopqrstuvwxyzABCDEFGHIJ", "KLMNOPQRSTUVWXYZ", "été ☀ / + #", &long]
    {
        Client::connect(&gateway, id).expect_nothing_more();
    }
}

/// [MQTT-3.1.3-6], [MQTT-3.1.3-7], [MQTT-3.2.2-16]
#[test]
fn an_empty_client_identifier_gets_one_that_nobody_else_has() {
    let gateway = Gateway::start("");
    let mut clients: Vec<_> = (0..5).map(|_| Client::connect(&gateway, "")).collect();
    let id = |client: &Client| client.connack.properties.text(ASSIGNED_CLIENT_ID).expect("an identifier");
    let mut ids: Vec<_> = clients.iter().map(id).collect();
    ids.sort();
    ids.dedup();
    assert!(ids.len() == 5 && ids.iter().all(|id| !id.is_empty()), "{ids:?}");
    for client in &mut clients {
        client.expect_nothing_more();
    }
}

/// [MQTT-3.1.3-7]: the session is found again under the identifier that was assigned.
#[test]
fn an_assigned_client_identifier_names_the_session() {
    let gateway = Gateway::start("");
    let mut client = Client::with(&gateway, &Connect::new("").expiry(NEVER));
    let id = client.connack.properties.text(ASSIGNED_CLIENT_ID).unwrap();
    client.subscribe("assigned", 0);
    client.cut();
    let mut client = Client::resume(&gateway, &id);
    assert!(client.is_present());
    assert_eq!(client.connack.properties.text(ASSIGNED_CLIENT_ID), None);
    client.say("assigned", "x");
    assert_eq!(client.expect_message().text(), "x");
}

/// [MQTT-3.1.3-6]: with version 5 it may be empty without a clean start as well.
#[test]
fn an_empty_client_identifier_may_come_without_a_clean_start() {
    let gateway = Gateway::start("");
    let client = Client::with(&gateway, &Connect::new("").resume());
    assert!(!client.is_present());
    assert!(client.connack.properties.text(ASSIGNED_CLIENT_ID).is_some());
}

/// [MQTT-3.1.2-28]
#[test]
fn response_information_is_given_to_nobody_who_did_not_ask() {
    let gateway = Gateway::start("");
    for connect in [Connect::new("ask"), Connect::new("ask").property(byte(REQUEST_RESPONSE, 0))] {
        assert_eq!(Client::with(&gateway, &connect).connack.properties.value(RESPONSE_INFORMATION), None);
    }
}

/// [MQTT-3.2.2-9]: all is supported, so no property may say otherwise.
#[test]
fn nothing_is_said_to_be_unavailable() {
    let gateway = Gateway::start("");
    let client = Client::connect(&gateway, "capable");
    let properties = &client.connack.properties;
    // Maximum QoS is sent only where it is below 2.
    assert_eq!(properties.number(MAXIMUM_QOS), None);
    for available in [0x25, 0x28, 0x29, 0x2A] {
        assert_ne!(properties.number(available), Some(0), "{available:#04X}");
    }
    assert_ne!(properties.number(RECEIVE_MAXIMUM), Some(0));
    assert_ne!(properties.number(MAXIMUM_PACKET_SIZE), Some(0));
}

/// [MQTT-3.2.2-22]: whether it is named or not, the client's own keep alive is kept to when it is within the bound.
#[test]
fn a_keep_alive_beyond_the_bound_is_replaced_in_connack() {
    let gateway = Gateway::start_either("[broker.limits]\nkeep_alive = \"30s\"\n", "max_keepalive 30");
    let asked = |seconds| Client::with(&gateway, &Connect::new("alive").keep_alive(seconds)).connack;
    assert_eq!(asked(31).properties.number(SERVER_KEEP_ALIVE), Some(30));
    assert_eq!(asked(65_535).properties.number(SERVER_KEEP_ALIVE), Some(30));
    for within in [10, 30] {
        let told = asked(within).properties.number(SERVER_KEEP_ALIVE);
        assert!(told.is_none_or(|told| told == u32::from(within)), "{told:?}");
    }
    // mosquitto lets a client without a keep alive in as it is.
    if !gateway.is_stand_in() {
        assert_eq!(asked(0).properties.number(SERVER_KEEP_ALIVE), Some(30));
    }
}

/// [MQTT-3.2.2-19], [MQTT-3.2.2-20], [MQTT-3.1.2-24]: a refusal is no longer than the client takes.
#[test]
fn connack_is_no_longer_than_the_client_takes() {
    let gateway = Gateway::start("");
    let connect = Connect::new("small").property(four(MAXIMUM_PACKET_SIZE, 10)).property(text(0x15, "unknown"));
    let mut raw = Raw::open(&gateway);
    raw.send(&connect.bytes());
    for packet in raw.expect_closed() {
        assert!(packet.length() <= 10, "{packet:02X?}");
    }
}

/// [MQTT-1.5.4-3]: a byte order mark is part of the identifier.
#[test]
fn a_byte_order_mark_is_not_stripped_from_a_client_identifier() {
    let gateway = Gateway::start("");
    let mut plain = Client::connect(&gateway, "mark");
    let mut marked = Client::connect(&gateway, "\u{FEFF}mark");
    plain.expect_nothing_more();
    marked.expect_nothing_more();
}

/// [MQTT-2.2.2-1], [MQTT-1.5.5-1]: the bytes of the smallest CONNECT, one by one.
#[test]
fn the_smallest_connect_is_accepted_byte_by_byte() {
    let gateway = Gateway::start("");
    let bytes = [&[0x10, 0x0D][..], &string("MQTT"), &[0x05, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00]].concat();
    let mut raw = Raw::open(&gateway);
    for byte in bytes {
        raw.send(&[byte]);
    }
    assert_eq!(raw.expect_packet().connack().code, 0);
}
