//! A limit that is reached is reported by the log, with its key, and by `sensegate doctor`.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail like the test itself")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use support::{Gateway, eventually, sensegate};

/// Connects with a persistent session, disconnects, and returns CONNACK's return code.
fn leave_session(gateway: &Gateway, client_id: &str) -> u8 {
    let length = u8::try_from(client_id.len()).unwrap();
    let head = [0x10, 12 + length, 0, 4, b'M', b'Q', b'T', b'T', 4, 0, 0, 60, 0, length];
    let mut socket = TcpStream::connect(gateway.address()).unwrap();
    socket.write_all(&[&head[..], client_id.as_bytes(), &[0xE0, 0]].concat()).unwrap();
    let mut answer = Vec::new();
    // a reset is as good as an end
    let _ = socket.read_to_end(&mut answer);
    *answer.get(3).expect("CONNACK")
}

fn doctor(gateway: &Gateway) -> String {
    let output = sensegate().args(["doctor", "--simulate", "--config"]).arg(gateway.configuration()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn full_session_table_is_reported_with_its_key_by_the_doctor_and_by_the_log() {
    let gateway = Gateway::start("[broker.limits]\nsessions = 5");
    if gateway.is_stand_in() {
        return;
    }
    let before = doctor(&gateway);
    assert!(before.contains("of 5 sessions, ") && !before.contains("is reached"), "{before}");
    let codes: Vec<_> = (0..6).map(|number| leave_session(&gateway, &format!("absent-{number}"))).collect();
    assert_eq!(codes.last(), Some(&3), "{codes:?}");
    let after = doctor(&gateway);
    assert!(after.contains("5 of 5 sessions: broker.limits.sessions is reached"), "{after}");
    let line = eventually("the line about the refusal", || {
        gateway.printed().lines().find(|line| line.contains("login refused")).map(str::to_owned)
    });
    for part in ["client=absent-", "address=127.0.0.1", "key=broker.limits.sessions", "remedy=\"raise the key"] {
        assert!(line.contains(part), "{line}");
    }
}
