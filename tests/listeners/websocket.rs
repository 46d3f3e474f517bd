//! WebSocket frame by frame (MQTT 3.1.1 section 6).

use std::io::{Read, Write};

use crate::frames::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, WebSocket, read_head, request};
use crate::gateway::Served;
use crate::support::eventually;
use crate::wire::{
    CONNACK, PINGREQ, PINGRESP, SUBACK, connect, connect_tcp, expect, publish, read_packet, read_to_the_end, subscribe,
};

fn start() -> Served {
    Served::start("protocol = \"websocket\"", "")
}

fn open(served: &Served) -> WebSocket {
    WebSocket::open(Box::new(connect_tcp(served.address)))
}

/// One that is connected.
fn client(served: &Served, id: &str) -> WebSocket {
    let mut client = open(served);
    client.write_all(&connect(id)).unwrap();
    expect(&mut client, &CONNACK);
    client
}

#[test]
fn packets_may_be_split_over_frames_and_share_them() {
    let served = start();
    let mut client = open(&served);
    // [MQTT-6.0.0-2]
    for byte in connect("split") {
        client.send(FIN | BINARY, &[byte]);
    }
    expect(&mut client, &CONNACK);
    let several = [&subscribe("t")[..], &publish("t", b"one"), &publish("t", b"two"), &PINGREQ].concat();
    client.send(FIN | BINARY, &several);
    expect(&mut client, &SUBACK);
    expect(&mut client, &publish("t", b"one"));
    expect(&mut client, &publish("t", b"two"));
    expect(&mut client, &PINGRESP);
    // one message of several frames, with an empty one and a ping among them
    let packet = publish("t", b"three");
    client.send(BINARY, &packet[..3]);
    client.send(CONTINUATION, &[]);
    client.send(FIN | PING, b"?");
    client.send(FIN | CONTINUATION, &packet[3..]);
    assert_eq!(client.frame().unwrap(), (FIN | PONG, b"?".to_vec()));
    expect(&mut client, &packet);
}

#[test]
fn a_packet_of_many_frames_comes_back_whole() {
    let served = start();
    let mut client = client(&served, "large");
    client.write_all(&subscribe("t")).unwrap();
    expect(&mut client, &SUBACK);
    let payload: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    for piece in publish("t", &payload).chunks(70_000) {
        client.write_all(piece).unwrap();
    }
    assert!(read_packet(&mut client) == publish("t", &payload), "unchanged");
}

#[test]
fn a_text_frame_ends_the_connection() {
    let served = start();
    for bytes in [&b"text"[..], &PINGREQ, &[]] {
        let mut client = client(&served, "text");
        client.send(FIN | TEXT, bytes);
        // [MQTT-6.0.0-1]
        client.expect_close(1003);
    }
    let told = || served.gateway.printed().contains("reason=\"MQTT is binary").then_some(());
    eventually("it is told", told);
}

#[test]
fn what_came_before_a_text_frame_is_still_done() {
    let served = start();
    let mut watcher = client(&served, "watcher");
    watcher.write_all(&subscribe("t")).unwrap();
    expect(&mut watcher, &SUBACK);
    let mut client = client(&served, "text");
    client.send(FIN | BINARY, &publish("t", b"done"));
    client.send(FIN | TEXT, b"x");
    expect(&mut watcher, &publish("t", b"done"));
    client.expect_close(1003);
}

#[test]
fn frames_that_break_the_rules_end_the_connection() {
    let served = start();
    let mut unmasked = client(&served, "unmasked");
    unmasked.send_raw(&[FIN | BINARY, 2, 0xC0, 0]);
    unmasked.expect_close(1002);
    let mut reserved = client(&served, "reserved");
    reserved.send(FIN | 0x40 | BINARY, &PINGREQ);
    reserved.expect_close(1002);
    let mut lonely = client(&served, "lonely");
    lonely.send(FIN | CONTINUATION, &PINGREQ);
    lonely.expect_close(1002);
}

#[test]
fn a_frame_larger_than_any_packet_is_refused_when_it_is_announced() {
    let served = start();
    for length in [(1 << 20) + (64 << 10) + 1, 1 << 40, u64::MAX >> 1] {
        let mut client = client(&served, "oversized");
        client.announce(length);
        client.expect_close(1009);
    }
    let mut pieces = client(&served, "pieces");
    pieces.send(BINARY, &vec![0; 64 << 10]);
    for _ in 0..17 {
        pieces.send(CONTINUATION, &vec![0; 64 << 10]);
    }
    pieces.expect_close(1009);
}

#[test]
fn leave_is_taken_in_frames() {
    let served = start();
    let mut asked = client(&served, "asked");
    asked.send(FIN | CLOSE, &1000_u16.to_be_bytes());
    asked.expect_close(1000);
    let mut disconnects = client(&served, "disconnects");
    disconnects.write_all(&[0xE0, 0]).unwrap();
    disconnects.expect_close(1000);
    let mut refused = open(&served);
    refused.write_all(&[0x10, 0x0C, 0, 4, b'M', b'Q', b'T', b'T', 9, 2, 0, 0, 0, 0]).unwrap();
    expect(&mut refused, &[0x20, 2, 0, 1]);
    refused.expect_close(1000);
}

#[test]
fn requests_for_something_else_are_answered_in_http() {
    let served = start();
    let check = |request: &str, expected: &str| {
        let mut stream = connect_tcp(served.address);
        stream.write_all(request.as_bytes()).unwrap();
        let answer = String::from_utf8(read_to_the_end(&mut stream)).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{answer}");
        assert!(answer.contains("MQTT over WebSocket"), "{answer}");
    };
    // [MQTT-6.0.0-3]
    check(&request(""), "400");
    check(&request("Sec-WebSocket-Protocol: chat\r\n"), "400");
    check("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "426");
    check("no HTTP at all\r\n\r\n", "426");
    check(&request("Sec-WebSocket-Protocol: mqtt\r\n").replace("GET", "POST"), "426");
    check(&format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(8 << 10)), "431");
}

#[test]
fn bytes_behind_the_request_are_the_first_frame() {
    let served = start();
    let mut stream = connect_tcp(served.address);
    let connect = connect("early");
    let mut early = request("Sec-WebSocket-Protocol: mqtt\r\n").into_bytes();
    // a mask of zeros leaves the payload as it is
    early.extend([FIN | BINARY, 0x80 | u8::try_from(connect.len()).unwrap(), 0, 0, 0, 0]);
    early.extend(connect);
    for piece in early.chunks(20) {
        stream.write_all(piece).unwrap();
    }
    read_head(&mut stream);
    expect(&mut stream, &[&[FIN | BINARY, 4][..], &CONNACK].concat());
}

#[test]
fn bytes_of_any_kind_cost_nobody_else_anything() {
    let served = start();
    let mut inside = client(&served, "inside");
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut hostile = open(&served);
        for _ in 0..random.usize(1..20) {
            let bytes: Vec<u8> = (0..random.usize(0..200)).map(|_| random.u8(..)).collect();
            match random.u8(0..4) {
                0 => hostile.send_raw(&bytes),
                1 => hostile.send(random.u8(..), &bytes),
                2 => hostile.send([BINARY, FIN | BINARY, CONTINUATION, FIN | CONTINUATION][random.usize(0..4)], &bytes),
                _ => hostile.send(FIN | [PING, PONG, CLOSE][random.usize(0..3)], &bytes),
            }
        }
        inside.write_all(&PINGREQ).unwrap();
        expect(&mut inside, &PINGRESP);
    }
}

#[test]
fn frames_without_end_before_connect_end_the_connection() {
    let served = start();
    for (first, frame) in [(&[][..], FIN | PING), (&[], FIN | PONG), (&[], FIN | BINARY), (&[BINARY], CONTINUATION)] {
        let mut client = open(&served);
        for opcode in first {
            client.send(*opcode, &[]);
        }
        for _ in 0..50_000 {
            client.send(frame, &[]);
        }
        while client.frame().is_ok() {}
    }
    eventually("the key is named", || served.gateway.printed().contains("broker.limits.login_size").then_some(()));
}

#[test]
fn a_request_that_never_ends_is_let_go_in_time() {
    let served = Served::start("protocol = \"websocket\"", "[broker.limits]\nconnect_timeout = \"300ms\"");
    let mut stream = connect_tcp(served.address);
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0);
}
