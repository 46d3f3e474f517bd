//! Wills, §3.1.2.5: published in every case but DISCONNECT.

use crate::support::Gateway;
use crate::wire::{CLEAN_SESSION, PERSISTENT, Raw, WILL, WILL_RETAIN, acknowledge, connect, publish, string};

/// A gateway, and a client that sees the wills of all others.
fn watched() -> (Gateway, Raw) {
    let gateway = Gateway::start("");
    let mut watcher = Raw::connect(&gateway, "watcher");
    watcher.subscribe("will/#", 2);
    (gateway, watcher)
}

fn expect_will(watcher: &mut Raw, id: &str) {
    let will = watcher.expect_publish();
    assert_eq!((will.topic, will.payload, will.retain), (format!("will/{id}"), b"gone".to_vec(), false));
}

#[test]
fn the_will_is_published_when_the_connection_is_cut() {
    // [MQTT-3.1.2-8]
    let (gateway, mut watcher) = watched();
    Raw::connect_with_will(&gateway, "cut", 0, 60).cut();
    expect_will(&mut watcher, "cut");
}

#[test]
fn the_will_is_published_when_the_connection_is_reset() {
    let (gateway, mut watcher) = watched();
    Raw::connect_with_will(&gateway, "reset", 0, 60).reset();
    expect_will(&mut watcher, "reset");
}

#[test]
fn the_will_is_published_when_the_keep_alive_runs_out_and_the_client_is_cut() {
    // [MQTT-3.1.2-24]
    let (gateway, mut watcher) = watched();
    let mut silent = Raw::connect_with_will(&gateway, "silent", 0, 1);
    expect_will(&mut watcher, "silent");
    assert_eq!(silent.expect_closed(), []);
}

#[test]
fn the_will_is_published_when_another_takes_over() {
    // [MQTT-3.1.4-2]
    let (gateway, mut watcher) = watched();
    let mut older = Raw::connect_with_will(&gateway, "same", 0, 60);
    let mut newer = Raw::connect(&gateway, "same");
    expect_will(&mut watcher, "same");
    assert_eq!(older.expect_closed(), []);
    newer.expect_nothing_more();
}

#[test]
fn the_will_is_published_after_a_protocol_error() {
    let (gateway, mut watcher) = watched();
    let mut wrong = Raw::connect_with_will(&gateway, "wrong", 0, 60);
    wrong.send(&publish(0, "a/+/b", "x"));
    expect_will(&mut watcher, "wrong");
}

#[test]
fn disconnect_takes_the_will_away() {
    // [MQTT-3.14.4-3]
    let (gateway, mut watcher) = watched();
    Raw::connect_with_will(&gateway, "polite", 0, 60).disconnect();
    Raw::connect(&gateway, "end").send(&publish(0, "will/end", "end"));
    assert_eq!(watcher.expect_publish().payload, b"end");
}

#[test]
fn a_refused_client_leaves_no_will() {
    let (gateway, mut watcher) = watched();
    let mut refused = Raw::open(&gateway);
    let will = [string("will/refused"), string("gone")].concat();
    // An empty client id with a persistent session.
    refused.send(&connect("", WILL, 60, &will));
    refused.expect_bytes(&[0x20, 0x02, 0x00, 0x02]);
    refused.expect_closed();
    Raw::connect(&gateway, "end").send(&publish(0, "will/end", "end"));
    assert_eq!(watcher.expect_publish().payload, b"end");
}

#[test]
fn a_retained_will_is_there_for_those_who_come_later() {
    // [MQTT-3.1.2-17]
    let (gateway, mut watcher) = watched();
    Raw::connect_with_will(&gateway, "late", WILL_RETAIN, 60).cut();
    expect_will(&mut watcher, "late");
    let mut late = Raw::connect(&gateway, "comer");
    late.subscribe("will/late", 0);
    assert!(late.expect_publish().retain);
}

#[test]
fn a_will_has_its_own_qos_and_may_be_empty() {
    let (gateway, mut watcher) = watched();
    let empty = [string("will/empty"), string("")].concat();
    for (flag, qos) in [(0x00, 0), (0x08, 1), (0x10, 2)] {
        Raw::connect_with(&gateway, &connect("empty", CLEAN_SESSION | WILL | flag, 60, &empty)).0.cut();
        let will = watcher.expect_publish();
        assert_eq!((will.qos, will.payload), (qos, Vec::new()));
        finish(&mut watcher, qos, will.id);
    }
}

/// Acknowledges a message of any QoS to its end.
fn finish(watcher: &mut Raw, qos: u8, id: Option<u16>) {
    let Some(id) = id else { return };
    if qos == 1 {
        return watcher.send(&acknowledge(0x40, id));
    }
    watcher.send(&acknowledge(0x50, id));
    watcher.expect_bytes(&acknowledge(0x62, id));
    watcher.send(&acknowledge(0x70, id));
}

#[test]
fn a_will_is_published_once_and_a_connection_without_one_leaves_none() {
    // [MQTT-3.1.2-10], [MQTT-3.1.2-12]
    let (gateway, mut watcher) = watched();
    let will = [string("will/once"), string("gone")].concat();
    Raw::connect_with(&gateway, &connect("once", PERSISTENT | WILL, 60, &will)).0.cut();
    expect_will(&mut watcher, "once");
    let (without, present) = Raw::resume(&gateway, "once");
    assert!(present);
    without.cut();
    // Behind this CONNACK the earlier connection is over, whether it was seen to be cut or was taken over.
    let (_newest, _) = Raw::resume(&gateway, "once");
    Raw::connect(&gateway, "end").send(&publish(0, "will/end", "end"));
    assert_eq!(watcher.expect_publish().payload, b"end");
}

#[test]
fn a_will_without_the_retain_flag_is_not_kept() {
    // [MQTT-3.1.2-16]
    let (gateway, mut watcher) = watched();
    Raw::connect_with_will(&gateway, "passing", 0, 60).cut();
    expect_will(&mut watcher, "passing");
    let mut late = Raw::connect(&gateway, "comer");
    late.subscribe("will/passing", 0);
    late.expect_nothing_more();
}
