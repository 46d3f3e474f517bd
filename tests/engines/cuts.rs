//! What a relay and a link do to a connection, and what its ends see of it.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::connection::{Connection, Login};
use crate::consumer::Consumer;
use crate::link::{Cut, Link};
use crate::mosquitto::Mosquitto;
use crate::place::Place;
use crate::publisher::{Plan, Publisher};
use crate::relay::{Frozen, Relay};
use crate::server::{Engine, tell};
use crate::support::{PATIENCE, skip_or_fail};

/// How many numbers are acknowledged between two cuts.
const STRETCH: u64 = 100;

/// How long nothing must come through for a cut to be believed.
const SILENCE: Duration = Duration::from_millis(300);

fn publish_to(place: &Place, address: SocketAddr) -> Publisher {
    let (topic, rest) = ("far/count".to_owned(), Duration::from_millis(1));
    Publisher::start(place, Plan { addresses: vec![address], topic, window: 10, rest })
}

/// How a connection ends on which the other side says nothing more.
fn ending_of(connection: &mut Connection) -> ErrorKind {
    loop {
        match connection.receive(PATIENCE) {
            Ok(received) => assert!(received.is_some(), "no end within {PATIENCE:?}"),
            Err(error) => return error.kind(),
        }
    }
}

#[test]
fn relay_resets_what_it_cuts_and_refuses_what_it_is_told_to() {
    if !Mosquitto::is_installed() {
        return skip_or_fail("mosquitto is not installed");
    }
    let engine = Mosquitto::start(&Place::loopback());
    let mut relay = Relay::start(engine.addresses()[0]);
    let (mut connection, _) = Connection::open(relay.address(), &Login::passing("cut")).unwrap();
    relay.cut();
    assert_eq!(ending_of(&mut connection), ErrorKind::ConnectionReset);
    assert!(engine.printed().contains("cut"), "it has come through: {}", engine.printed());

    let (mut connection, _) = Connection::open(relay.address(), &Login::passing("refused")).unwrap();
    relay.refuse();
    assert_eq!(ending_of(&mut connection), ErrorKind::ConnectionReset);
    assert_eq!(TcpStream::connect(relay.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    relay.heal();
    Connection::open(relay.address(), &Login::passing("healed")).unwrap();
    assert_eq!(relay.accepted(), 3);
}

#[test]
fn relay_lets_nothing_through_while_it_is_frozen_and_everything_afterwards() {
    if !Mosquitto::is_installed() {
        return skip_or_fail("mosquitto is not installed");
    }
    let engine = Mosquitto::start(&Place::loopback());
    let mut relay = Relay::start(engine.addresses()[0]);
    let consumer = Consumer::start(&Place::loopback(), engine.addresses(), "far-side", "far/#");
    let publisher = publish_to(&Place::loopback(), relay.address());
    publisher.wait_for_more(STRETCH);

    relay.freeze(Frozen::Both);
    let before = settled(&consumer);
    std::thread::sleep(SILENCE);
    assert_eq!(consumer.record().sequences.count(), before, "nothing comes through");
    relay.heal();
    publisher.wait_for_more(STRETCH);
    assert_eq!(relay.accepted(), 1, "the connection has outlived it");

    relay.freeze(Frozen::Answers);
    let acknowledged = publisher.acknowledged();
    consumer.wait_for(1, acknowledged + 5);
    relay.heal();
    relay.cut();
    publisher.wait_for_more(STRETCH);
    let total = publisher.stop();
    consumer.wait_for(1, total.last);
    consumer.stop().sequences.expect_all(1, total.last);
    assert!(total.cuts >= 1, "{total:?}");
}

/// How many numbers have come when no more do.
fn settled(consumer: &Consumer) -> usize {
    let mut count = consumer.record().sequences.count();
    loop {
        std::thread::sleep(SILENCE);
        let now = consumer.record().sequences.count();
        if now == count {
            return count;
        }
        count = now;
    }
}

#[test]
fn link_that_is_cut_says_nothing_to_either_host_and_heals() {
    if !Mosquitto::is_installed() {
        return skip_or_fail("mosquitto is not installed");
    }
    let Some(link) = Link::new() else {
        return skip_or_fail("networks of its own take root");
    };
    let engine = Mosquitto::start(link.far());
    let address = engine.addresses()[0];
    assert!(TcpListener::bind((address.ip(), 0)).is_err(), "the machine does not have the address");
    let consumer = Consumer::start(link.far(), engine.addresses(), "far-side", "far/#");
    let publisher = publish_to(link.near(), address);
    publisher.wait_for_more(STRETCH);

    let (mut connection, _) = link.near().run(|| Connection::open(address, &Login::passing("looks"))).unwrap();
    link.cut(Cut::Path);
    assert_eq!(ending_of(&mut connection), ErrorKind::TimedOut, "no reset and no end: silence");
    let refused = link.near().run(|| TcpStream::connect_timeout(&address, Duration::from_secs(10))).unwrap_err();
    tell(&format!("a new connection over a path that is cut: {refused}"));
    link.heal();
    publisher.wait_for_more(STRETCH);

    link.cut(Cut::NearInterface);
    let refused = link.near().run(|| TcpStream::connect(address)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NetworkUnreachable);
    link.heal();
    publisher.wait_for_more(STRETCH);

    let total = publisher.stop();
    consumer.wait_for(1, total.last);
    consumer.stop().sequences.expect_all(1, total.last);
}

#[test]
fn program_inside_a_link_reaches_the_far_host_by_its_address() {
    let Some(link) = Link::new() else {
        return skip_or_fail("networks of its own take root");
    };
    if !Mosquitto::is_installed() {
        return skip_or_fail("mosquitto is not installed");
    }
    let engine = Mosquitto::start(link.far());
    let address = engine.addresses()[0];
    let mut command = std::process::Command::new("mosquitto_pub");
    command.args(["-h", &address.ip().to_string(), "-p", &address.port().to_string(), "-q", "1", "-t", "a", "-m", "b"]);
    link.near().start(&mut command).expect_success();
}
