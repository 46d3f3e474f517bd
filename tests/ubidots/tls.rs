//! Behind TLS: what clients accept and what they refuse.

use std::process::Command;

use crate::client::{Client, connect};
use crate::support::{Process, has_mosquitto_clients, skip_or_fail};
use crate::ubidots_server::{Certificate, TOKEN, Ubidots};

/// Why the handshake fails, in the client's words.
fn refusal(ubidots: &Ubidots) -> String {
    Client::open_tls(ubidots, "localhost").err().unwrap().to_string()
}

#[test]
fn the_valid_certificate_is_for_every_name_that_the_server_has() {
    let ubidots = Ubidots::start();
    for host in ["localhost", "127.0.0.1", "industrial.api.ubidots.com"] {
        let mut client = Client::open_tls(&ubidots, host).unwrap();
        client.greet(connect("me"));
        client.publish("/v1.6/devices/d", r#"{"a": 1}"#);
        client.leave();
    }
    assert_eq!(ubidots.dots("d", "a").len(), 3);
}

#[test]
fn wrong_certificates_are_refused_and_a_good_one_taken_later() {
    for (certificate, expected) in [
        (Certificate::Expired, "Expired"),
        (Certificate::WrongHost, "not valid for name \"localhost\""),
        (Certificate::UnknownAuthority, "UnknownIssuer"),
    ] {
        let ubidots = Ubidots::start_showing(certificate);
        let told = refusal(&ubidots);
        assert!(told.to_lowercase().contains(&expected.to_lowercase()), "{certificate:?}: {told}");
        ubidots.wait_for("the server sees it", |counters| counters.failed_handshakes == 1);
        ubidots.show(Certificate::Valid);
        Client::open_tls(&ubidots, "localhost").unwrap().greet(connect("me"));
    }
}

#[test]
fn mosquitto_pub_publishes_behind_tls_where_it_trusts_the_certificate() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto_pub is not installed");
    }
    let ubidots = Ubidots::start();
    let (port, ca_file) = (ubidots.tls_port().to_string(), ubidots.ca_file());
    let publish = || {
        let mut command = Command::new("mosquitto_pub");
        command.args(["-h", "localhost", "-p", &port, "-u", TOKEN, "-q", "1", "--cafile"]).arg(&ca_file);
        Process::spawn(command.args(["-t", "/v1.6/devices/d", "-m", r#"{"a": 1}"#])).wait()
    };
    assert!(publish().success());
    ubidots.show(Certificate::Expired);
    assert!(!publish().success());
    assert_eq!(ubidots.dots("d", "a").len(), 1);
}
