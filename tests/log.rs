//! What the log says about clients, how often, and in which form.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail like the test itself")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use support::{Gateway, PATIENCE, Process, eventually, skip_or_fail};

/// A CONNECT whose reserved flag is set, which no client sends [MQTT-3.1.2-3].
const RESERVED_FLAG: [u8; 14] = [0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 0b0000_0011, 0, 60, 0, 0];

const DISCONNECT: [u8; 2] = [0xE0, 0];

/// SUBSCRIBE to `#` with QoS 1.
const SUBSCRIBE_TO_ALL: [u8; 8] = [0x82, 6, 0, 1, 0, 1, b'#', 1];

fn connect(client_id: &str, flags: u8) -> Vec<u8> {
    let length = u8::try_from(client_id.len()).unwrap();
    [&[0x10, 12 + length, 0, 4, b'M', b'Q', b'T', b'T', 4, flags, 0, 60, 0, length], client_id.as_bytes()].concat()
}

/// PUBLISH with QoS 1 and no payload.
fn publish(topic: &str) -> Vec<u8> {
    let length = u8::try_from(topic.len()).unwrap();
    [&[0x32, 4 + length, 0, length], topic.as_bytes(), &[0, 1]].concat()
}

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
    eventually("the last line says so", || gateway.printed().contains("are counted and not shown").then_some(()));
    assert_eq!(gateway.printed().matches("[MQTT-3.1.2-3]").count(), 5, "{}", gateway.printed());
}

#[test]
fn clients_that_connect_and_close_fill_no_log() {
    let gateway = Gateway::start("");
    for _ in 0..100 {
        drop(TcpStream::connect(gateway.address()).unwrap());
    }
    // the broker has handled the others when it answers this one
    offend(&gateway, &RESERVED_FLAG);
    eventually("the line about the last one", || gateway.printed().contains("[MQTT-3.1.2-3]").then_some(()));
    let lines = gateway.printed().matches("the client closed it without DISCONNECT").count();
    assert_eq!(lines, 5, "{}", gateway.printed());
}

#[test]
fn many_denied_messages_of_one_client_hide_no_loss_of_another() {
    let directory = tempfile::tempdir().unwrap();
    let acl = directory.path().join("acl");
    fs::write(&acl, "topic write allowed\ntopic read #\n").unwrap();
    let limits = "[broker.limits]\nqueue_messages = 1\ninflight = 1";
    let gateway = Gateway::start(&format!("[broker]\nacl_file = \"{}\"\n{limits}", acl.display()));
    // a session of QoS 1 without a connection
    offend(&gateway, &[&connect("absent", 0)[..], &SUBSCRIBE_TO_ALL, &DISCONNECT].concat());
    let denied = publish("denied").repeat(50);
    offend(&gateway, &[&connect("denied", 2)[..], &denied, &DISCONNECT].concat());
    let allowed = publish("allowed").repeat(5);
    offend(&gateway, &[&connect("allowed", 2)[..], &allowed, &DISCONNECT].concat());
    eventually("the loss", || gateway.printed().contains("queued message dropped client=absent").then_some(()));
    let printed = gateway.printed();
    assert_eq!(printed.matches("message refused client=denied").count(), 5, "{printed}");
    let loss = printed.lines().find(|line| line.contains("queued message dropped")).unwrap();
    for part in ["reason=", "key=broker.limits.queue_", "remedy="] {
        assert!(loss.contains(part), "{loss}");
    }
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

#[test]
fn a_subscription_beyond_the_limit_is_logged_with_the_key() {
    let gateway = Gateway::start("[broker.limits]\nsubscriptions = 1");
    // SUBSCRIBE to `#` and `a`
    let subscribe = [0x82, 10, 0, 1, 0, 1, b'#', 1, 0, 1, b'a', 1];
    offend(&gateway, &[&connect("eager", 2)[..], &subscribe, &DISCONNECT].concat());
    let line = eventually("the refusal", || {
        gateway.printed().lines().find(|line| line.contains("subscription refused client=eager")).map(str::to_owned)
    });
    for part in ["address=127.0.0.1", "topic=a", "key=broker.limits.subscriptions", "remedy=\"raise the key"] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn a_retained_message_without_room_is_logged_with_its_client_and_the_key() {
    let gateway = Gateway::start("[broker.limits]\nretained_messages = 100");
    let retained = |number: u8| [0x31, 4, 0, 1, number, b'x'];
    let all: Vec<u8> = (b'0'..=b'z')
        .flat_map(retained)
        .chain((0..60).flat_map(|number| [0x31, 5, 0, 2, b'a' + number / 8, b'a' + number % 8, b'x']))
        .collect();
    offend(&gateway, &[&connect("hoarder", 2)[..], &all, &DISCONNECT].concat());
    let line = eventually("the refusal", || {
        let printed = gateway.printed();
        printed.lines().find(|line| line.contains("retained message not stored client=hoarder")).map(str::to_owned)
    });
    for part in ["address=127.0.0.1", "topic=", "it was delivered", "key=broker.limits.retained_size", "remedy="] {
        assert!(line.contains(part), "{line}");
    }
}

/// Puts the directory `$0` where the journal's socket is, tells that standard error leads to the journal, and runs `$@`.
const AS_SYSTEMD_DOES: &str = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && \
    mount --bind \"$0\" /run/systemd/journal && \
    export JOURNAL_STREAM=$(stat --dereference --format %d:%i /dev/stderr) && exec \"$@\"";

/// A directory with a socket for the journal, and a gateway's configuration.
fn journal(tables: &str) -> (tempfile::TempDir, UnixDatagram) {
    let directory = tempfile::tempdir().unwrap();
    let socket = UnixDatagram::bind(directory.path().join("socket")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let state = directory.path().join("state");
    let listener = "[[broker.listener]]\naddress = \"127.0.0.1:0\"\n";
    let text = format!("{listener}[storage]\ndirectory = \"{}\"\n{tables}", state.display());
    fs::write(directory.path().join("x.toml"), text).unwrap();
    (directory, socket)
}

fn start_under_a_journal(directory: &tempfile::TempDir) -> Process {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", AS_SYSTEMD_DOES]).arg(directory.path());
    command.args([env!("CARGO_BIN_EXE_sensegate"), "--simulate", "--config"]).arg(directory.path().join("x.toml"));
    Process::spawn(&mut command)
}

#[test]
fn under_systemd_lines_go_to_the_journal_with_their_priority() {
    if !rustix::process::geteuid().is_root() {
        return skip_or_fail("only root may put a socket where the journal's is");
    }
    let (directory, socket) = journal("");
    let process = start_under_a_journal(&directory);
    let mut datagram = vec![0; 1 << 16];
    let line = eventually("the line of the listener", || {
        let length = socket.recv(&mut datagram).unwrap_or_else(|error| panic!("{error}: {}", process.printed()));
        let text = String::from_utf8_lossy(datagram.get(..length).unwrap()).into_owned();
        text.contains("listening on 127.0.0.1:").then_some(text)
    });
    assert!(line.starts_with("PRIORITY\n\u{1}\0\0\0\0\0\0\x006\nSYSLOG_IDENTIFIER\n"), "{line:?}");
    assert!(!process.printed().contains("listening"), "said twice: {}", process.printed());
}

#[test]
fn under_systemd_problems_of_the_configuration_are_errors_of_the_journal() {
    if !rustix::process::geteuid().is_root() {
        return skip_or_fail("only root may put a socket where the journal's is");
    }
    let (directory, _socket) = journal("[sensors]\nintervall = \"1s\"\n");
    let mut process = start_under_a_journal(&directory);
    assert_eq!(process.wait().code(), Some(78));
    let file = directory.path().join("x.toml");
    let expected = format!("<3>{}:6:1: sensors.intervall: is no key", file.display());
    assert!(process.printed().contains(&expected), "{}", process.printed());
}
