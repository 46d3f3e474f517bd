//! Streams of random and of damaged bytes: the gateway serves on.

use std::io::Write;
use std::net::TcpStream;

use fastrand::Rng;

use crate::support::Gateway;
use crate::wire::{
    CLEAN_SESSION, DISCONNECT, PERSISTENT, PINGREQ, QOS1, QOS2, RETAIN, Raw, WILL, acknowledge, connect, publish,
    publish_id, string, subscribe, unsubscribe,
};

/// Streams in a run.
const STREAMS: u32 = 3000;

/// Streams between two looks at whether it still serves.
const LOOK_EVERY: u32 = 250;

/// The seed of the run; a failure names it together with the stream's number.
const SEED: u64 = 0x5EED_0311;

/// A sound conversation that touches every packet a client may send.
fn conversation() -> Vec<u8> {
    let will = [string("fuzz/will"), string("été")].concat();
    [
        connect("fuzz", PERSISTENT | WILL, 60, &will),
        subscribe(1, &[("fuzz/#", 2), ("+/été", 1), ("$SYS/#", 0)]),
        publish(RETAIN, "fuzz/été", "温度"),
        publish_id(QOS1, "fuzz/one", 2, "x"),
        publish_id(QOS2, "fuzz/two", 3, "x"),
        acknowledge(0x62, 3),
        acknowledge(0x40, 1),
        acknowledge(0x50, 2),
        acknowledge(0x70, 2),
        unsubscribe(4, "fuzz/#"),
        PINGREQ.to_vec(),
        DISCONNECT.to_vec(),
    ]
    .concat()
}

fn random_bytes(random: &mut Rng) -> Vec<u8> {
    (0..random.usize(1..200)).map(|_| random.u8(..)).collect()
}

/// A sound CONNECT, so that what follows is looked at, and then random bytes.
fn connected_random_bytes(random: &mut Rng) -> Vec<u8> {
    [connect("fuzz", CLEAN_SESSION, 60, &[]), random_bytes(random)].concat()
}

/// The conversation with bytes changed, dropped, doubled, or cut off.
fn damaged_conversation(random: &mut Rng) -> Vec<u8> {
    let mut bytes = conversation();
    for _ in 0..random.usize(1..6) {
        let at = random.usize(..bytes.len());
        match random.u8(..5) {
            0 => bytes[at] = random.u8(..),
            1 => bytes[at] ^= 1 << random.u8(..8),
            2 => drop(bytes.remove(at)),
            3 => bytes.insert(at, random.u8(..)),
            _ => bytes.truncate(at + 1),
        }
    }
    bytes
}

fn stream(random: &mut Rng) -> Vec<u8> {
    match random.u8(..8) {
        0 => random_bytes(random),
        1 | 2 => connected_random_bytes(random),
        _ => damaged_conversation(random),
    }
}

/// Sends a stream, in one piece or in two, and leaves.
fn send(gateway: &Gateway, bytes: &[u8], random: &mut Rng) {
    let mut socket = TcpStream::connect(gateway.address()).unwrap();
    let (first, second) = bytes.split_at(random.usize(..=bytes.len()));
    // It may be closed in between.
    let _ = socket.write_all(first).and_then(|()| socket.write_all(second));
}

fn check_serves(gateway: &mut Gateway, what: &str) {
    assert!(gateway.is_running(), "{what}: {}", gateway.printed());
    let mut raw = Raw::connect(gateway, "healthy");
    raw.subscribe("santé/#", 1);
    raw.send(&publish(0, "santé/é", what));
    assert_eq!(raw.expect_publish().payload, what.as_bytes());
}

#[test]
fn three_thousand_damaged_streams_leave_the_gateway_serving() {
    let mut gateway = Gateway::start("");
    for number in 0..STREAMS {
        let mut random = Rng::with_seed(SEED + u64::from(number));
        let bytes = stream(&mut random);
        send(&gateway, &bytes, &mut random);
        if number % LOOK_EVERY == LOOK_EVERY - 1 {
            check_serves(&mut gateway, &format!("seed {SEED:#X}, after stream {number}"));
        }
    }
}
