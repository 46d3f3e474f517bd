//! What a reload takes away is gone: uplinks with their sessions and states, rules with their subscriptions.

use std::fs;

use rustix::process::Signal;

use crate::bridged::{NAME, bridge, expect_retained, expect_state, publish_numbers, start_gateway};
use crate::consumer::Consumer;
use crate::mosquitto::Mosquitto;
use crate::place::Place;
use crate::server::{ENGINE_PATIENCE, Engine, within};
use crate::support::{Gateway, skip_or_fail};

const LINES: &str = r#"{ topic = "line/#", remote_prefix = "fleet/pi/" }"#;
const LINES_AND_MORE: &str =
    r#"{ topic = "line/#", remote_prefix = "fleet/pi/" }, { topic = "more/#", remote_prefix = "fleet/pi/" }"#;

/// Puts other tables in the place of `old` ones and has the gateway read them.
fn reload(gateway: &Gateway, old: &str, new: &str) {
    let text = fs::read_to_string(gateway.configuration()).unwrap();
    assert!(text.contains(old), "{text}");
    fs::write(gateway.configuration(), text.replace(old, new)).unwrap();
    gateway.signal(Signal::HUP);
}

fn expect_connected(gateway: &Gateway, name: &str) {
    expect_state(&Place::loopback(), gateway, name, "connected", |state| state["connected"] == true);
}

fn expect_printed(gateway: &Gateway, text: &str) {
    let printed = within(ENGINE_PATIENCE, || gateway.printed().contains(text).then_some(()));
    assert!(printed.is_some(), "{text}: {}", gateway.printed());
}

#[test]
fn uplink_that_is_renamed_leaves_no_session_and_no_state_behind() {
    if !Mosquitto::is_installed() {
        return skip_or_fail("mosquitto is not installed");
    }
    let place = Place::loopback();
    let engine = Mosquitto::start(&place);
    let [one, two] = ["one", "two"].map(|name| bridge(name, &engine.addresses(), "", LINES));
    let gateway = start_gateway(&place, &one);
    expect_connected(&gateway, "one");
    let consumer = Consumer::start(&place, engine.addresses(), "far-side", "fleet/#");
    publish_numbers(gateway.address(), "line/1", 1..=10);
    consumer.wait_for(1, 10);

    reload(&gateway, &one, &two);
    expect_connected(&gateway, "two");
    expect_printed(&gateway, "uplink one is gone: its session is ended");
    expect_retained(&place, gateway.address(), "myRasp/uplink/one/state", None);
    publish_numbers(gateway.address(), "line/1", 11..=20);
    consumer.wait_for(1, 20);

    // its session of earlier would have kept 11 to 20
    reload(&gateway, &two, &one);
    expect_connected(&gateway, "one");
    expect_printed(&gateway, "client connected client=sensegate/uplink/one session_present=false");
    expect_retained(&place, gateway.address(), "myRasp/uplink/two/state", None);
    publish_numbers(gateway.address(), "line/1", 21..=30);
    consumer.wait_for(1, 30);

    reload(&gateway, &one, "");
    expect_printed(&gateway, "uplink two is gone: its session is ended");
    expect_retained(&place, gateway.address(), "myRasp/uplink/one/state", None);
    let record = consumer.stop();
    assert_eq!(record.sequences.expect_all(1, 30), 0, "nothing twice");
    let printed = gateway.printed();
    assert!(!printed.contains("session_present=true"), "{printed}");
}

#[test]
fn rule_that_is_taken_away_sends_no_more_and_keeps_nothing_for_later() {
    if !Mosquitto::is_installed() {
        return skip_or_fail("mosquitto is not installed");
    }
    let place = Place::loopback();
    let engine = Mosquitto::start(&place);
    let [narrow, wide] = [LINES, LINES_AND_MORE].map(|rules| bridge(NAME, &engine.addresses(), "", rules));
    let mut gateway = start_gateway(&place, &wide);
    expect_connected(&gateway, NAME);
    let more = Consumer::start(&place, engine.addresses(), "sees-more", "fleet/pi/more/#");
    let lines = Consumer::start(&place, engine.addresses(), "sees-lines", "fleet/pi/line/#");
    let publish = |gateway: &Gateway, numbers: std::ops::RangeInclusive<u64>| {
        publish_numbers(gateway.address(), "more/1", numbers.clone());
        publish_numbers(gateway.address(), "line/1", numbers);
    };
    publish(&gateway, 1..=10);
    more.wait_for(1, 10);
    lines.wait_for(1, 10);

    reload(&gateway, &wide, &narrow);
    publish_until_it_stays_away(&gateway, &more, &lines);
    let from = lines.record().sequences.greatest() + 1;
    publish(&gateway, from..=from + 10);
    lines.wait_for(1, from + 10);
    assert!(!more.record().sequences.has(from), "not sent any more");

    // what was published meanwhile is not kept either, also not across a death
    gateway.kill();
    gateway.start_again();
    publish(&gateway, from + 11..=from + 20);
    reload(&gateway, &narrow, &wide);
    lines.wait_for(1, from + 20);
    publish_until_it_comes(&gateway, &more, from + 21);
    let sequences = more.stop().sequences;
    assert_eq!((from..=from + 20).filter(|number| sequences.has(*number)).count(), 0, "{sequences:?}");
}

/// Publishes numbers to both until one has come by the rule that stays alone.
fn publish_until_it_stays_away(gateway: &Gateway, more: &Consumer, lines: &Consumer) {
    let stays_away = within(ENGINE_PATIENCE, || {
        let next = lines.record().sequences.greatest() + 1;
        publish_numbers(gateway.address(), "more/1", next..=next);
        publish_numbers(gateway.address(), "line/1", next..=next);
        lines.wait_for(1, next);
        (!more.record().sequences.has(next)).then_some(())
    });
    assert!(stays_away.is_some(), "still sent: {:?}", more.record());
}

/// Publishes numbers from `first` on until one has come.
fn publish_until_it_comes(gateway: &Gateway, more: &Consumer, first: u64) {
    let mut next = first;
    let comes = within(ENGINE_PATIENCE, || {
        publish_numbers(gateway.address(), "more/1", next..=next);
        next += 1;
        (more.record().sequences.greatest() >= first).then_some(())
    });
    assert!(comes.is_some(), "nothing comes: {:?}\n{}", more.record(), gateway.printed());
}
