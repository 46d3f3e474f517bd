//! Long queues: whole and in order after a restart, with little memory.

use std::ops::ControlFlow;

use sensegate::broker::Change;
use sensegate::mqtt::QoS;
use sensegate::store::{Options, Store, Sync};

use crate::link::{Keep, Link};
use crate::place::{LONG_QUEUES, file, peak_memory_bytes};
use crate::store_support::{START, enqueued_as, first_boot, message, retained, started, subscribed};
use crate::support::Gateway;

const QUEUED: u64 = 100_000;
const RETAINED: usize = 10_000;
const MEMORY_BYTES_MAX: u64 = 64 << 20;

/// The first payload that `link` does not get as expected ends the test.
fn expect_numbers(link: &mut Link, topic: &str, count: u64) {
    let mut next = 0;
    link.drain(|got, payload| {
        assert_eq!((got, String::from_utf8_lossy(&payload)), (topic, format!("{next:032}").into()));
        next += 1;
        if next == count { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
}

/// Puts a long queue and many retained messages into the state of a gateway that has stopped.
fn fill(gateway: &Gateway) {
    let options = Options { sync: Sync::Off, ..Options::default() };
    let (mut store, state, damages) = Store::open(file(gateway), options, first_boot()).unwrap();
    assert_eq!(damages, []);
    store.commit(&[started("keeper"), subscribed("keeper", "q/#", QoS::AtLeastOnce)], START).unwrap();
    let first = state.next_arrival;
    let queued = |number| {
        let message = message("q/numbers", format!("{number:032}").as_bytes());
        enqueued_as("keeper", first + number, &message, QoS::AtLeastOnce)
    };
    let kept = |number| retained(&format!("r/{number}"), format!("{number}").as_bytes(), QoS::AtLeastOnce);
    let changes: Vec<Change> = (0..QUEUED).map(queued).chain((0..RETAINED).map(kept)).collect();
    for piece in changes.chunks(1_000) {
        store.commit(piece, START).unwrap();
    }
}

#[test]
fn a_hundred_thousand_queued_and_ten_thousand_retained_are_all_served_after_a_start() {
    let mut gateway = Gateway::start(LONG_QUEUES);
    assert!(gateway.stop().success());
    fill(&gateway);
    gateway.start_again();
    let (mut keeper, was_there) = Link::connect(gateway.address(), "keeper", Keep::Session);
    assert!(was_there);
    expect_numbers(&mut keeper, "q/numbers", QUEUED);
    let (mut watcher, _) = Link::connect(gateway.address(), "watcher", Keep::Nothing);
    watcher.subscribe("r/#", 1);
    let mut kept = vec![false; RETAINED];
    let mut count = 0;
    watcher.drain(|topic, payload| {
        let number: usize = topic.strip_prefix("r/").unwrap().parse().unwrap();
        assert_eq!(payload, number.to_string().as_bytes());
        assert!(!std::mem::replace(&mut kept[number], true), "{topic} twice");
        count += 1;
        if count == RETAINED { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
}

/// The million of it is measured by the benchmark `restart`.
#[test]
fn a_long_queue_for_an_absent_session_comes_in_order_after_kill_9_and_takes_little_memory() {
    let mut gateway = Gateway::start(LONG_QUEUES);
    Link::leave_session(gateway.address(), "keeper", "q/#", 1);
    let (mut publisher, _) = Link::connect(gateway.address(), "publisher", Keep::Nothing);
    publisher.publish_all("q/numbers", (0..QUEUED).map(|number| format!("{number:032}")), 500);
    let filled = peak_memory_bytes(&gateway);
    gateway.kill();
    gateway.start_again();
    let (mut keeper, was_there) = Link::connect(gateway.address(), "keeper", Keep::Session);
    assert!(was_there);
    expect_numbers(&mut keeper, "q/numbers", QUEUED);
    keeper.ping();
    let drained = peak_memory_bytes(&gateway);
    println!("at most {} KiB while it filled, {} KiB while it drained", filled >> 10, drained >> 10);
    assert!(filled < MEMORY_BYTES_MAX && drained < MEMORY_BYTES_MAX, "{filled} and {drained} bytes");
}
