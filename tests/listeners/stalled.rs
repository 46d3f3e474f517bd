//! A client that does not read costs its send buffer, whatever lies above its socket, and gets what comes when it reads
//! again.

use std::io::{Read, Write};

use rustls::StreamOwned;

use crate::certificates::{Authority, client};
use crate::frames::{FIN, PING, WebSocket};
use crate::gateway::{Served, tls};
use crate::wire::{CONNACK, PINGREQ, PINGRESP, SUBACK, connect, connect_tcp, expect, publish, read_packet, subscribe};

/// Messages of 64 KiB that a stalled client is sent, far more than its buffers and the kernel's take.
const MESSAGES: usize = 1000;

/// What the process may grow by: the client's buffers, with room for what the allocator keeps.
const GROWTH_KIB_MAX: u64 = 20 * 1024;

fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// `meanwhile` may send something else while the client does not read.
fn check<T: Read + Write>(served: &Served, mut stalled: T, meanwhile: impl FnOnce(&mut T)) {
    stalled.write_all(&connect("stalled")).unwrap();
    expect(&mut stalled, &CONNACK);
    stalled.write_all(&subscribe("flood")).unwrap();
    expect(&mut stalled, &SUBACK);
    let mut publisher = connect_tcp(served.gateway.address());
    publisher.write_all(&connect("publisher")).unwrap();
    expect(&mut publisher, &CONNACK);
    let before = resident_kib(served.gateway.id());
    let message = publish("flood", &vec![b'x'; 64 << 10]);
    for _ in 0..MESSAGES {
        publisher.write_all(&message).unwrap();
    }
    publisher.write_all(&PINGREQ).unwrap();
    expect(&mut publisher, &PINGRESP);
    let growth = resident_kib(served.gateway.id()).saturating_sub(before);
    assert!(growth < GROWTH_KIB_MAX, "{growth} KiB more for one client that does not read");

    meanwhile(&mut stalled);
    // what was taken comes whole and in order; then it is a client as any other
    stalled.write_all(&PINGREQ).unwrap();
    let mut received = 0;
    loop {
        let packet = read_packet(&mut stalled);
        if packet == PINGRESP {
            break;
        }
        assert!(packet == message, "message {received} is unchanged");
        received += 1;
    }
    assert!((1..MESSAGES).contains(&received), "{received} messages, the others were left out");
    publisher.write_all(&publish("flood", b"last")).unwrap();
    expect(&mut stalled, &publish("flood", b"last"));
}

/// The answers have to share the socket with the messages that wait for it.
fn ping(stalled: &mut WebSocket) {
    for number in 0..200_u8 {
        stalled.send(FIN | PING, &[number]);
    }
}

#[test]
fn a_stalled_client_of_tls_costs_its_buffer_and_comes_back() {
    let authority = Authority::new("an authority");
    let served = Served::start(&tls(&authority.sign("server", "gateway"), None), "");
    check(&served, StreamOwned::new(client(&authority.file()), connect_tcp(served.address)), |_| ());
}

#[test]
fn a_stalled_client_of_websocket_costs_its_buffer_and_comes_back() {
    let served = Served::start("protocol = \"websocket\"", "");
    check(&served, WebSocket::open(Box::new(connect_tcp(served.address))), ping);
}

#[test]
fn a_stalled_client_of_websocket_over_tls_costs_its_buffer_and_comes_back() {
    let authority = Authority::new("an authority");
    let listener = format!("protocol = \"websocket\"\n{}", tls(&authority.sign("server", "gateway"), None));
    let served = Served::start(&listener, "");
    let stream = StreamOwned::new(client(&authority.file()), connect_tcp(served.address));
    check(&served, WebSocket::open(Box::new(stream)), ping);
}
