//! What the log says of peers that break the protocol, and in which form.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail like the test itself")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use support::{Gateway, eventually};

/// A CONNECT whose reserved flag is set, which no client sends [MQTT-3.1.2-3].
const RESERVED_FLAG: [u8; 14] = [0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 0b0000_0011, 0, 60, 0, 0];

/// Sends `bytes` on a connection of its own and waits until the broker closes it.
fn offend(gateway: &Gateway, bytes: &[u8]) {
    let mut socket = TcpStream::connect(gateway.address()).unwrap();
    socket.write_all(bytes).unwrap();
    // a reset is as good as an end
    let _ = socket.read_to_end(&mut Vec::new());
}

#[test]
fn a_malformed_packet_is_told_with_its_clause_and_a_flood_of_them_in_a_few_lines() {
    let gateway = Gateway::start("");
    offend(&gateway, &RESERVED_FLAG);
    eventually("the clause is told", || gateway.printed().contains("[MQTT-3.1.2-3]").then_some(()));
    for _ in 0..50 {
        offend(&gateway, &RESERVED_FLAG);
    }
    eventually("the end of the lines is told", || gateway.printed().contains("are not logged").then_some(()));
    let told = gateway.printed().matches("[MQTT-3.1.2-3]").count();
    assert!((2..=5).contains(&told), "{told} lines:\n{}", gateway.printed());
}

#[test]
fn json_lines_are_objects_with_level_and_message() {
    let gateway = Gateway::start("[log]\nformat = \"json\"\n");
    offend(&gateway, &RESERVED_FLAG);
    let line = eventually("the line about the peer", || {
        gateway.printed().lines().find(|line| line.contains("MQTT-3.1.2-3")).map(str::to_owned)
    });
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&object["level"], &object["message"]), (&"WARN".into(), &"connection closed".into()), "{object}");
    assert!(object["reason"].as_str().unwrap().contains("MQTT-3.1.2-3"), "{object}");
}
