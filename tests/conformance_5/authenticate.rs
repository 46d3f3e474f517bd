//! Enhanced authentication, §4.12 and AUTH, §3.15: the gateway knows no method, and says so.

use crate::client::{Client, check_ended, check_refused};
use crate::packets::{AUTHENTICATION_DATA, AUTHENTICATION_METHOD, Connect, auth, text};
use crate::support::Gateway;
use crate::wire::{Raw, packet};

fn method(name: &str) -> Connect {
    Connect::new("method").property(text(AUTHENTICATION_METHOD, name))
}

/// [MQTT-4.12.0-1], [MQTT-3.2.2-6], [MQTT-3.2.2-7]
#[test]
fn an_unknown_method_is_refused() {
    let gateway = Gateway::start("");
    for name in ["SCRAM-SHA-256", "été", ""] {
        check_refused(&gateway, name, &method(name).bytes(), &[0x8C]);
        let data = method(name).property(text(AUTHENTICATION_DATA, [0, 255]));
        check_refused(&gateway, name, &data.bytes(), &[0x8C]);
    }
}

/// [MQTT-3.1.4-6], [MQTT-4.12.0-4]: what comes after is not looked at, AUTH neither.
#[test]
fn an_auth_after_a_refused_method_changes_nothing() {
    let gateway = Gateway::start("");
    let bytes = [method("unknown").bytes(), auth(0x18, &[text(AUTHENTICATION_METHOD, "unknown")])].concat();
    check_refused(&gateway, "AUTH", &bytes, &[0x8C]);
}

/// [MQTT-4.12.0-7], [MQTT-4.12.1-1]
#[test]
fn an_auth_from_a_client_without_a_method_is_a_protocol_error() {
    let gateway = Gateway::start("");
    for code in [0x00, 0x18, 0x19] {
        let bytes = auth(code, &[text(AUTHENTICATION_METHOD, "method")]);
        check_ended(&gateway, "AUTH", &bytes, &[0x82, 0x8C]);
    }
    check_ended(&gateway, "empty AUTH", &[0xF0, 0x00], &[0x82, 0x8C]);
}

/// [MQTT-3.15.1-1], [MQTT-3.15.2-1]
#[test]
fn an_auth_of_the_wrong_form_ends_the_connection() {
    let gateway = Gateway::start("");
    let codes = [0x81, 0x82, 0x8C];
    check_ended(&gateway, "flags", &packet(0xF1, &[0x18, 0x00]), &codes);
    check_ended(&gateway, "code", &auth(0x7F, &[]), &codes);
    check_ended(&gateway, "properties", &packet(0xF0, &[0x18, 0x09]), &codes);
}

/// [MQTT-3.1.0-1]
#[test]
fn an_auth_before_connect_is_closed() {
    let gateway = Gateway::start("");
    let mut raw = Raw::open(&gateway);
    raw.send(&auth(0x18, &[text(AUTHENTICATION_METHOD, "method")]));
    assert_eq!(raw.expect_closed(), []);
}

/// [MQTT-4.12.0-6]
#[test]
fn a_client_without_a_method_is_asked_for_none() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "plain");
    assert_eq!(client.connack.properties.value(AUTHENTICATION_METHOD), None);
    assert_eq!(client.connack.properties.value(AUTHENTICATION_DATA), None);
    client.expect_nothing_more();
}
