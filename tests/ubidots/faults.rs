//! What goes wrong, and that it goes right again.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::Duration;

use sensegate::base::clock;
use sensegate::mqtt::{Connect, ConnectReturnCode, Packet};

use crate::client::{Client, End, conn_ack, connect, pub_ack, publish, will};
use crate::ubidots_server::{Dots, Dropped, Fault, Kind, Limits, Options, Requests, Ubidots};

const TOPIC: &str = "/v1.6/devices/d";
const DOT: &str = r#"{"a": 1}"#;

/// Longer than answers take, short enough to be waited for.
const DELAY: Duration = Duration::from_millis(300);

/// A client like any other finds all well.
fn check_well(ubidots: &Ubidots) {
    let before = ubidots.dots("d", "a").len();
    let mut client = Client::connect(ubidots, "me");
    client.publish(TOPIC, DOT);
    assert_eq!(ubidots.dots("d", "a").len(), before + 1);
    client.leave();
}

#[test]
fn publishes_are_stored_and_never_acknowledged() {
    let ubidots = Ubidots::start();
    let mut client = Client::connect(&ubidots, "me");
    ubidots.inject(Fault::NoPubAck);
    client.send(&publish(TOPIC, DOT));
    client.expect_nothing();
    assert_eq!(ubidots.dots("d", "a").len(), 1);
    ubidots.heal();
    check_well(&ubidots);
}

#[test]
fn acknowledgements_come_late_in_order_and_hold_nothing_else_up() {
    let ubidots = Ubidots::start();
    let mut client = Client::connect(&ubidots, "me");
    ubidots.inject(Fault::LatePubAck(DELAY));
    let began = clock::monotonic();
    client.send_all(&[&publish(TOPIC, DOT), &publish(TOPIC, DOT), &Packet::PingReq]);
    client.expect(&Packet::PingResp);
    client.expect(&pub_ack());
    assert!(clock::monotonic().since(began) >= DELAY);
    client.expect(&pub_ack());
    ubidots.heal();
    check_well(&ubidots);
}

#[test]
fn the_connection_is_closed_behind_an_acknowledgement_once() {
    let ubidots = Ubidots::start();
    let mut client = Client::connect(&ubidots, "me");
    ubidots.inject(Fault::CloseAfterPubAck);
    client.publish(TOPIC, DOT);
    assert_eq!(client.expect_end(), End::Closed);
    assert_eq!(ubidots.dots("d", "a").len(), 1);
    check_well(&ubidots);
}

#[test]
fn the_connection_is_closed_before_the_acknowledgement_of_the_third_publish() {
    let ubidots = Ubidots::start();
    let mut client = Client::connect(&ubidots, "me");
    ubidots.inject(Fault::CloseBeforePubAck { publishes: 3 });
    // the fourth is on its way already, and lost
    client.send_all(&[&publish(TOPIC, DOT); 4]);
    client.expect(&pub_ack());
    client.expect(&pub_ack());
    client.expect_end();
    assert_eq!(ubidots.dots("d", "a").len(), 3);
    check_well(&ubidots);
}

#[test]
fn the_connection_is_reset_within_a_packet_in_the_open_and_under_tls() {
    let ubidots = Ubidots::start();
    for mut client in [Client::open(&ubidots), Client::open_tls(&ubidots, "localhost").unwrap()] {
        client.greet(connect("me"));
        ubidots.inject(Fault::ResetWithin(Kind::PubAck));
        client.send(&publish(TOPIC, DOT));
        assert_eq!(client.expect_end(), End::Reset);
        assert!(client.rest().len() <= 2, "no whole PUBACK: {:?}", client.rest());
        check_well(&ubidots);
    }
    ubidots.inject(Fault::ResetWithin(Kind::ConnAck));
    let mut client = Client::open(&ubidots);
    client.send(&Packet::Connect(connect("me")));
    assert_eq!(client.expect_end(), End::Reset);
    check_well(&ubidots);
}

#[test]
fn a_half_open_server_reads_and_answers_when_it_is_healed() {
    let ubidots = Ubidots::start();
    let mut client = Client::connect(&ubidots, "me");
    ubidots.inject(Fault::HalfOpen);
    client.send(&publish(TOPIC, DOT));
    let mut second = Client::open(&ubidots);
    second.send(&Packet::Connect(connect("second")));
    client.expect_silence(DELAY);
    second.expect_silence(DELAY);
    assert!(ubidots.all_dots().is_empty());
    ubidots.heal();
    client.expect(&pub_ack());
    second.expect(&conn_ack(ConnectReturnCode::Accepted));
    assert_eq!(ubidots.dots("d", "a").len(), 1);
}

#[test]
fn everybody_is_refused_with_the_code_that_is_wanted() {
    let ubidots = Ubidots::start();
    for code in [
        ConnectReturnCode::ServerUnavailable,
        ConnectReturnCode::BadUserNameOrPassword,
        ConnectReturnCode::NotAuthorized,
    ] {
        ubidots.inject(Fault::Refuse(code));
        let mut client = Client::open(&ubidots);
        client.send(&Packet::Connect(connect("me")));
        client.expect(&conn_ack(code));
        assert_eq!(client.expect_end(), End::Closed);
        assert_eq!(ubidots.connects().last().unwrap().answer, code);
    }
    ubidots.heal();
    check_well(&ubidots);
}

#[test]
fn a_connack_comes_late_and_what_comes_before_it_waits() {
    let ubidots = Ubidots::start();
    ubidots.inject(Fault::SlowConnAck(DELAY));
    let mut client = Client::open(&ubidots);
    let began = clock::monotonic();
    client.send_all(&[&Packet::Connect(connect("me")), &publish(TOPIC, DOT)]);
    client.expect(&conn_ack(ConnectReturnCode::Accepted));
    assert!(clock::monotonic().since(began) >= DELAY);
    client.expect(&pub_ack());
    assert_eq!(ubidots.counters().early, 1);
    ubidots.heal();
    check_well(&ubidots);
}

#[test]
fn dots_are_swallowed() {
    let ubidots = Ubidots::start();
    ubidots.inject(Fault::SwallowDots);
    Client::connect(&ubidots, "me").publish(TOPIC, DOT);
    assert_eq!(ubidots.counters().dropped_as(Dropped::Swallowed), 1);
    assert!(ubidots.all_dots().is_empty());
    ubidots.heal();
    check_well(&ubidots);
}

#[test]
fn requests_and_dots_beyond_a_limit_are_acknowledged_and_lost() {
    let ubidots = Ubidots::start();
    let mut client = Client::connect(&ubidots, "me");
    let requests = Requests { burst: 2, interval: Duration::from_secs(3600) };
    let dots = Dots { count_max: 3, window: Duration::from_secs(3600) };
    for (limits, stored, dropped) in [
        (Limits { requests: Some(requests), ..Limits::OFF }, 2, Dropped::RequestRate),
        (Limits { dots: Some(dots), ..Limits::OFF }, 3, Dropped::DotRate),
    ] {
        ubidots.limit(limits);
        let before = ubidots.all_dots().len();
        client.send_all(&[&publish(TOPIC, DOT); 5]);
        (0..5).for_each(|_| client.expect(&pub_ack()));
        assert_eq!(ubidots.all_dots().len() - before, stored);
        assert_eq!(ubidots.counters().dropped_as(dropped), 5 - stored as u64);
    }
}

#[test]
fn connections_are_refused_while_nobody_listens_and_accepted_again_on_the_same_port() {
    let ubidots = Ubidots::start();
    let mut client = Client::connect(&ubidots, "there before");
    for _ in 0..3 {
        ubidots.stop_listening();
        for port in [ubidots.port(), ubidots.tls_port()] {
            let refused = TcpStream::connect(("127.0.0.1", port)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        }
        client.publish(TOPIC, DOT);
        ubidots.listen_again();
        check_well(&ubidots);
    }
}

#[test]
fn another_server_can_have_the_port_of_one_that_is_gone() {
    let first = Ubidots::start();
    let (port, tls_port) = (first.port(), first.tls_port());
    let mut client = Client::connect(&first, "me");
    drop(first);
    client.expect_end();
    let second = Ubidots::start_with(Options { port, tls_port, ..Options::default() });
    check_well(&second);
    assert_eq!(second.all_dots().len(), 1, "it knows nothing of the first");
}

#[test]
fn connections_are_cut_and_leave_their_wills() {
    let ubidots = Ubidots::start();
    let connect = |id| Connect { will: Some(will("/v1.6/devices/d/online", r#"{"value": 0}"#)), ..connect(id) };
    let [mut one, mut two] = ["one", "two"].map(|id| Client::connect_with(&ubidots, connect(id)));
    ubidots.cut_client("one");
    assert_eq!(one.expect_end(), End::Closed);
    two.publish(TOPIC, DOT);
    ubidots.cut();
    assert_eq!(two.expect_end(), End::Closed);
    assert_eq!(ubidots.wait_for_wills(2).len(), 2);
    assert_eq!(ubidots.dots("d", "online").len(), 2);
}
