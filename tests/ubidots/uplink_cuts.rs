//! What becomes of readings when the network, Ubidots or the gateway goes away and comes back.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::site::{DEVICE, Id, Plan, Site, VARIABLES, id, id_of, ids, value};
use crate::support::eventually;
use crate::ubidots_server::{Dot, Fault, Ubidots};

/// The greatest number of dots of one variable in one publish.
fn longest_array(ubidots: &Ubidots) -> usize {
    let length = |payload: &[u8]| {
        let body: Value = serde_json::from_slice(payload).unwrap();
        body[VARIABLES[0]].as_array().map_or(1, Vec::len)
    };
    ubidots.publishes().iter().map(|(_, publish)| length(&publish.payload)).max().unwrap_or(0)
}

/// The numbers of the temperature's dots are without a hole.
fn check_without_hole(site: &Site) {
    let numbers: BTreeSet<u64> = ids(&site.wait_for_dots(1)).into_iter().map(|(_, sequence)| sequence).collect();
    let (first, last) = (*numbers.first().unwrap(), *numbers.last().unwrap());
    assert_eq!(numbers.into_iter().collect::<Vec<_>>(), (first..=last).collect::<Vec<_>>());
}

/// The samples that came over a connection.
fn ids_on(dots: &[Dot], connection: u64) -> BTreeSet<Id> {
    dots.iter().filter(|dot| dot.connection == connection).map(id_of).collect()
}

#[test]
fn a_cut_of_seconds_loses_nothing_and_keeps_the_order() {
    // beside each other, because most of it is waiting
    let plans = [false, true].map(|is_tls| Plan { is_tls, ..Plan::default() });
    let sites = plans.iter().filter_map(|plan| Site::start_as(plan, Ubidots::start()));
    let sites: Vec<_> = sites.collect();
    for site in &sites {
        site.wait_for_dots(5);
        site.cut();
    }
    for site in &sites {
        site.wait_for_samples(60);
        site.ubidots().listen_again();
    }
    for site in &sites {
        site.expect_all();
        site.check_rate();
        check_without_hole(site);
        let most = longest_array(site.ubidots());
        assert!(most > 15, "the backlog goes in arrays, not of {most}");
    }
}

#[test]
fn a_link_that_is_cut_again_as_soon_as_it_stands_loses_nothing() {
    let Some(site) = Site::start("") else { return };
    for cuts in 1..=2 {
        let arrived = site.ubidots().dots(DEVICE, VARIABLES[0]).len();
        site.wait_for_dots(arrived + 2);
        site.ubidots().cut();
        site.ubidots().wait_for_connects(cuts + 1);
    }
    site.wait_for_samples(1);
    site.expect_all();
    check_without_hole(&site);
}

#[test]
fn with_live_first_the_newest_arrive_before_the_backlog_is_through_and_nothing_is_lost() {
    let Some(site) = Site::start("order = \"live-first\"") else { return };
    site.wait_for_dots(5);
    site.cut();
    let behind = site.wait_for_samples(100);
    site.ubidots().listen_again();
    let connection = site.ubidots().wait_for_connects(2)[1].connection;
    let samples = site.wait_for_samples(20);
    site.wait_until_arrived(&samples);
    site.check_readings(&samples);
    site.check_conduct();
    site.check_rate();
    check_without_hole(&site);
    let dots = site.ubidots().dots(DEVICE, VARIABLES[0]);
    let arrived: Vec<u64> = dots.iter().filter(|dot| dot.connection == connection).map(|dot| id_of(dot).1).collect();
    // some that were taken after the cut was over came before the last ones of the time of the cut
    let last_behind = arrived.iter().position(|sequence| *sequence == behind.last().unwrap().sequence).unwrap();
    let newer_before = arrived[..last_behind].iter().filter(|sequence| **sequence > behind.last().unwrap().sequence);
    assert!(newer_before.count() > 0, "{arrived:?}");
    assert_eq!(ids_on(&dots, connection).len(), arrived.len(), "what goes live is not in the backlog as well");
}

#[test]
fn a_backlog_outlives_the_gateway_that_is_killed() {
    let Some(mut site) = Site::start("") else { return };
    site.wait_for_dots(5);
    site.cut();
    site.wait_for_samples(30);
    site.kill();
    site.gateway.start_again();
    site.wait_for_samples(10);
    site.ubidots().listen_again();
    site.expect_all();
}

#[test]
fn what_is_in_flight_when_the_gateway_is_killed_goes_again() {
    let Some(mut site) = Site::start("") else { return };
    site.wait_for_dots(5);
    site.ubidots().inject(Fault::NoPubAck);
    let count = site.ubidots().dots(DEVICE, VARIABLES[0]).len();
    let sent = site.wait_for_dots(count + 9);
    // sent behind the fault, all of them
    let sent = ids(&sent[count..]);
    let promised: BTreeSet<Id> = site.kill().iter().map(id).collect();
    site.ubidots().heal();
    let unanswered: BTreeSet<Id> = sent.intersection(&promised).cloned().collect();
    assert!(!unanswered.is_empty());
    site.gateway.start_again();
    site.wait_for_samples(10);
    site.expect_all();
    let again = site.ubidots().connects()[1].connection;
    let dots = site.ubidots().dots(DEVICE, VARIABLES[0]);
    assert!(unanswered.is_subset(&ids_on(&dots, again)), "{unanswered:?}");
}

#[test]
fn what_ubidots_had_not_acknowledged_goes_to_the_one_that_comes_after_it() {
    let Some(mut site) = Site::start("") else { return };
    site.wait_for_dots(10);
    site.ubidots().inject(Fault::NoPubAck);
    let count = site.ubidots().dots(DEVICE, VARIABLES[0]).len();
    site.wait_for_dots(count + 6);
    let first = site.replace_ubidots();
    let samples = site.wait_for_samples(10);
    let first: BTreeSet<Id> = first.iter().filter(|dot| dot.variable == VARIABLES[0]).map(id_of).collect();
    eventually("every sample is at one of the two", || {
        let second = ids(&site.ubidots().dots(DEVICE, VARIABLES[0]));
        let is_there = |id: Id| first.contains(&id) || second.contains(&id);
        samples
            .iter()
            .filter(|sample| value(sample, VARIABLES[0]).is_some())
            .all(|sample| is_there(id(sample)))
            .then_some(())
    });
    let second = ids(&site.ubidots().dots(DEVICE, VARIABLES[0]));
    let both = first.intersection(&second).count();
    assert!(both >= 6, "what the first one had not acknowledged: {both}");
    site.check_order();
    site.check_conduct();
}
