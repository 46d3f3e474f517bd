//! What the uplink makes of a network and a service with faults.

use std::time::Duration;

use sensegate::mqtt::ConnectReturnCode;

use crate::site::{DEVICE, Plan, Site, VARIABLES, expect_state, first_arrivals, is_connected};
use crate::support::eventually;
use crate::ubidots_server::{Certificate, Dropped, Fault, Kind, Ubidots};

/// Everything arrives with a fault that ends the first connection, over `connections` of them.
fn check_survives(fault: Fault, connections: usize) {
    let Some(site) = Site::start("") else { return };
    site.wait_for_dots(5);
    site.ubidots().inject(fault);
    site.ubidots().wait_for_connects(connections);
    site.wait_for_samples(10);
    site.expect_all();
    assert_eq!(site.ubidots().connects().len(), connections);
}

#[test]
fn without_acknowledgements_it_connects_anew_and_sends_again() {
    let Some(site) = Site::start("ack_timeout = \"1s\"") else { return };
    let watcher = site.watch_state();
    site.wait_for_dots(5);
    site.ubidots().inject(Fault::NoPubAck);
    site.ubidots().wait_for_connects(3);
    let state = expect_state(&watcher, |state| !is_connected(state) && !state["last_error"].is_null());
    assert_eq!(state["last_error"], "no acknowledgement for 1 s");
    site.ubidots().heal();
    site.wait_for_samples(10);
    site.expect_all();
    let dots = site.ubidots().dots(DEVICE, VARIABLES[0]);
    assert!(first_arrivals(&dots).len() < dots.len(), "what was not acknowledged came again");
    assert!(dots.iter().all(|dot| !dot.dup), "another connection of a clean session is no redelivery");
    let losses = site.ubidots().connects().len() - 1;
    assert_eq!(site.count_logged("no acknowledgement for 1 s"), losses);
}

#[test]
fn late_acknowledgements_are_waited_for() {
    let Some(site) = Site::start("") else { return };
    site.ubidots().inject(Fault::LatePubAck(Duration::from_millis(700)));
    site.wait_for_samples(40);
    site.expect_all();
    assert_eq!(site.ubidots().connects().len(), 1);
    let dots = site.ubidots().dots(DEVICE, VARIABLES[0]);
    assert_eq!(first_arrivals(&dots).len(), dots.len(), "nothing comes twice");
}

#[test]
fn a_connection_that_is_closed_behind_an_acknowledgement_is_made_anew() {
    check_survives(Fault::CloseAfterPubAck, 2);
}

#[test]
fn what_was_sent_and_not_acknowledged_before_the_connection_closed_goes_again() {
    check_survives(Fault::CloseBeforePubAck { publishes: 2 }, 2);
}

#[test]
fn an_acknowledgement_that_comes_by_half_counts_for_nothing() {
    check_survives(Fault::ResetWithin(Kind::PubAck), 2);
}

#[test]
fn a_greeting_that_comes_by_half_is_no_connection() {
    let Some(site) = Site::start("") else { return };
    site.wait_for_dots(5);
    site.ubidots().inject(Fault::ResetWithin(Kind::ConnAck));
    site.ubidots().cut();
    site.ubidots().wait_for_connects(3);
    site.wait_for_samples(5);
    site.expect_all();
}

#[test]
fn a_server_that_reads_nothing_any_more_is_left() {
    let Some(site) = Site::start("ack_timeout = \"1s\"") else { return };
    let watcher = site.watch_state();
    site.wait_for_dots(5);
    site.ubidots().inject(Fault::HalfOpen);
    expect_state(&watcher, |state| state["last_error"] == "no acknowledgement for 1 s");
    site.wait_for_samples(10);
    site.ubidots().heal();
    site.ubidots().wait_for_connects(2);
    site.expect_all();
}

#[test]
fn a_service_that_is_not_available_is_asked_again_soon() {
    let Some(site) = Site::start("") else { return };
    site.wait_for_dots(5);
    site.ubidots().inject(Fault::Refuse(ConnectReturnCode::ServerUnavailable));
    site.ubidots().cut();
    let connects = site.ubidots().wait_for_connects(3);
    assert_eq!(connects[2].answer, ConnectReturnCode::ServerUnavailable);
    let delays = site.ubidots().reconnect_delays(&connects[0].client_id);
    assert!(delays.iter().skip(1).all(|delay| *delay >= Duration::from_millis(990)), "{delays:?}");
    site.ubidots().heal();
    site.expect_all();
    assert_eq!(site.count_logged("the service is not available (CONNACK 3)"), 1);
}

#[test]
fn a_token_that_is_refused_is_told_once_and_tried_slowly() {
    let codes = [
        (ConnectReturnCode::BadUserNameOrPassword, "the user name or the password is wrong (CONNACK 4)"),
        (ConnectReturnCode::NotAuthorized, "not authorised (CONNACK 5)"),
    ];
    let started = codes.into_iter().filter_map(|(code, expected)| {
        let ubidots = Ubidots::start();
        ubidots.inject(Fault::Refuse(code));
        Some((Site::start_as(&Plan::default(), ubidots)?, expected))
    });
    for (site, expected) in started.collect::<Vec<_>>() {
        let watcher = site.watch_state();
        let state = expect_state(&watcher, |state| !state["last_error"].is_null());
        assert!(state["last_error"].as_str().unwrap().contains(expected), "{state}");
        assert!(!is_connected(&state));
        site.wait_for_samples(30);
        assert_eq!(site.ubidots().connects().len(), 1);
        assert_eq!(site.count_logged(expected), 1);
        assert!(!site.ubidots().has_let_in());
    }
}

#[test]
fn nothing_is_sent_before_a_greeting_that_comes_late() {
    let ubidots = Ubidots::start();
    ubidots.inject(Fault::SlowConnAck(Duration::from_secs(2)));
    let Some(site) = Site::start_as(&Plan::default(), ubidots) else { return };
    site.wait_for_samples(25);
    site.expect_all();
    let ubidots = site.ubidots();
    assert_eq!(ubidots.connects().len(), 1);
    let waited = ubidots.publishes()[0].0.since(ubidots.connects()[0].at);
    assert!(waited >= Duration::from_secs(2), "{waited:?}");
}

#[test]
fn nothing_is_sent_to_who_shows_a_wrong_certificate() {
    let certificates = [
        (Certificate::Expired, "expired"),
        (Certificate::WrongHost, "not valid for"),
        (Certificate::UnknownAuthority, "unknownissuer"),
    ];
    let plan = Plan { is_tls: true, ..Plan::default() };
    let started = certificates.into_iter().filter_map(|(certificate, expected)| {
        Some((Site::start_as(&plan, Ubidots::start_showing(certificate))?, expected))
    });
    for (site, expected) in started.collect::<Vec<_>>() {
        let watcher = site.watch_state();
        let state = expect_state(&watcher, |state| !state["last_error"].is_null());
        let told = state["last_error"].as_str().unwrap();
        assert!(told.starts_with("TLS: ") && told.to_lowercase().contains(expected), "{told}");
        assert!(!is_connected(&state));
        site.wait_for_samples(20);
        assert_eq!(site.ubidots().counters().failed_handshakes, 1);
        assert_eq!(site.count_logged(told), 1);
        assert!(site.ubidots().packets().is_empty());
    }
}

#[test]
fn what_ubidots_swallows_holds_nothing_up() {
    let Some(site) = Site::start("") else { return };
    site.wait_for_dots(5);
    site.ubidots().inject(Fault::SwallowDots);
    site.ubidots().wait_for("some are swallowed", |counters| counters.dropped_as(Dropped::Swallowed) >= 3);
    site.ubidots().heal();
    let arrived = site.ubidots().dots(DEVICE, VARIABLES[0]).len();
    site.wait_for_dots(arrived + 5);
    assert_eq!(site.ubidots().connects().len(), 1);
    eventually("the outbox is empty but for the newest", || {
        let newest = site.samples().pop()?;
        site.wait_until_arrived(&[newest]);
        Some(())
    });
}
