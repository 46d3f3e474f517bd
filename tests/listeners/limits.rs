//! How many may be here at one time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::certificates::Authority;
use crate::frames::WebSocket;
use crate::gateway::{Served, tls};
use crate::support::{Process, eventually, in_private_network, skip_or_fail};
use crate::wire::{CONNACK, connect, connect_tcp};

/// Connects; `None` when the connection is closed instead.
fn connected(address: SocketAddr) -> Option<TcpStream> {
    let mut stream = connect_tcp(address);
    // one that is closed at once may refuse the bytes
    stream.write_all(&connect("")).ok()?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).ok()?;
    assert_eq!(answer, CONNACK);
    Some(stream)
}

#[test]
fn unfinished_handshakes_take_places_until_they_are_gone() {
    let authority = Authority::new("an authority");
    // the gateway's own client has one of them
    let served = Served::start(&tls(&authority.sign("server", "gateway"), None), "[broker.limits]\nconnections = 4");
    let plain = served.gateway.address();
    let agent = || served.gateway.printed().contains("first reading published").then_some(());
    eventually("the gateway's own client is in", agent);
    let mut silent: Vec<_> = (0..3).map(|_| connect_tcp(served.address)).collect();
    eventually("no place is left", || connected(plain).is_none().then_some(()));
    drop(silent.pop());
    let _inside = eventually("a place is free again", || connected(plain));
    assert!(connected(plain).is_none());
    eventually("it is told", || served.gateway.printed().contains("key=broker.limits.connections ").then_some(()));
}

#[test]
fn a_connect_of_more_than_100_kb_ends_its_connection_at_its_header() {
    let served = Served::start("protocol = \"websocket\"", "");
    // 100 001 bytes with the header
    let header = [0x10, 0x9D, 0x8D, 0x06, 0x00, 0x04, b'M', b'Q', b'T', b'T', 4, 2, 0, 0];
    let mut plain = connect_tcp(served.gateway.address());
    plain.write_all(&header).unwrap();
    assert_eq!(plain.read(&mut [0; 16]).unwrap(), 0);
    let mut websocket = WebSocket::open(Box::new(connect_tcp(served.address)));
    websocket.write_all(&header).unwrap();
    websocket.expect_close(1000);
}

#[test]
fn loopback_is_not_bounded_by_address() {
    let served = Served::start("", "[broker.limits]\nconnections_per_address = 1");
    let inside: Vec<_> = (0..5).map(|_| connected(served.address).unwrap()).collect();
    assert_eq!(inside.len(), 5);
}

/// A network with two addresses beyond loopback, which this machine reaches from themselves.
fn with_addresses<T: Send>(body: impl FnOnce() -> T + Send) -> Option<T> {
    in_private_network(|| {
        for address in ["192.0.2.1/32", "192.0.2.2/32"] {
            Process::spawn(std::process::Command::new("ip").args(["addr", "add", address, "dev", "lo"]))
                .expect_success();
        }
        body()
    })
}

/// Connects from 192.0.2.2 instead of from the address it connects to.
fn connected_from_elsewhere(address: SocketAddr) -> Option<String> {
    let script = "import socket, sys\n\
                  s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 30, ('192.0.2.2', 0))\n\
                  s.sendall(bytes.fromhex('100c00044d51545404020000') + b'\\0\\0')\n\
                  print(s.recv(4).hex())";
    let arguments = ["-c", script, &address.ip().to_string(), &address.port().to_string()];
    let output = std::process::Command::new("python3").args(arguments).output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned()).filter(|answer| !answer.is_empty())
}

#[test]
fn an_address_beyond_its_limit_is_refused_while_others_come_in() {
    let checked = with_addresses(|| {
        let limits = "[broker.limits]\nconnections_per_address = 2";
        let served = Served::start_at("192.0.2.1", "allow_anonymous = true", limits);
        let mut inside: Vec<_> = (0..2).map(|_| connected(served.address).unwrap()).collect();
        assert!(connected(served.address).is_none());
        let told = || served.gateway.printed().contains("broker.limits.connections_per_address").then_some(());
        eventually("it is told", told);
        assert_eq!(connected_from_elsewhere(served.address).as_deref(), Some("20020000"));
        assert!(connected(served.gateway.address()).is_some(), "loopback");
        drop(inside.pop());
        inside.push(eventually("a place is free again", || connected(served.address)));
    });
    if checked.is_none() {
        skip_or_fail("only root can make a network with further addresses");
    }
}

#[test]
fn unfinished_handshakes_count_for_their_address() {
    let checked = with_addresses(|| {
        let authority = Authority::new("an authority");
        let listener = format!("allow_anonymous = true\n{}", tls(&authority.sign("server", "gateway"), None));
        let served = Served::start_at("192.0.2.1", &listener, "[broker.limits]\nconnections_per_address = 2");
        let _silent: Vec<_> = (0..2).map(|_| connect_tcp(served.address)).collect();
        let told = || {
            drop(connect_tcp(served.address));
            served.gateway.printed().contains("broker.limits.connections_per_address").then_some(())
        };
        eventually("a third is refused", told);
    });
    if checked.is_none() {
        skip_or_fail("only root can make a network with further addresses");
    }
}
