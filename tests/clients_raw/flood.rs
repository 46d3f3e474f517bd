//! Clients that are too fast or too slow.

use std::io::Write;
use std::net::TcpStream;
use std::thread;

use crate::support::Gateway;
use crate::wire::{CLEAN_SESSION, QOS1, Raw, acknowledge, connect, publish, publish_id, subscribe};

/// Messages of the flood; with [`PAYLOAD`] together more than any socket's buffers hold.
const MESSAGES: u16 = 20_000;

/// A payload of 1 KB.
const PAYLOAD: usize = 1024;

#[test]
fn a_subscriber_that_never_reads_holds_up_nobody_else() {
    let gateway = Gateway::start("");
    let mut stalled = TcpStream::connect(gateway.address()).unwrap();
    let hello = [connect("stalled", CLEAN_SESSION, 0, &[]), subscribe(1, &[("flood", 1)])].concat();
    stalled.write_all(&hello).unwrap();

    let mut publisher = Raw::connect(&gateway, "publisher");
    let payload = "x".repeat(PAYLOAD);
    for id in 1..=MESSAGES {
        publisher.send(&publish_id(QOS1, "flood", id, &payload));
        publisher.expect_bytes(&acknowledge(0x40, id));
    }
    let mut beside = Raw::connect(&gateway, "beside");
    beside.subscribe("beside", 0);
    beside.send(&publish(0, "beside", "x"));
    assert_eq!(beside.expect_publish().payload, b"x");
}

#[test]
fn a_client_that_publishes_without_reading_its_acknowledgements_holds_up_nobody_else() {
    let gateway = Gateway::start("");
    let mut deaf = TcpStream::connect(gateway.address()).unwrap();
    deaf.set_nonblocking(false).unwrap();
    deaf.set_write_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
    deaf.write_all(&connect("deaf", CLEAN_SESSION, 0, &[])).unwrap();
    let flood: Vec<u8> = (1..=MESSAGES).flat_map(|id| publish_id(QOS1, "deaf", id, "x")).collect();
    let flooding = thread::spawn(move || {
        // It may be pushed back or closed; only the others matter.
        let _ = (0..20).try_for_each(|_| deaf.write_all(&flood));
        deaf
    });
    let mut beside = Raw::connect(&gateway, "beside");
    beside.subscribe("beside", 0);
    for _ in 0..100 {
        beside.send(&publish(0, "beside", "x"));
        assert_eq!(beside.expect_publish().payload, b"x");
    }
    drop(flooding.join());
    beside.expect_nothing_more();
}
