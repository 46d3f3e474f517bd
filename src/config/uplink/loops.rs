//! Bridges by which a message would cross again and again.

use std::net::IpAddr;

use super::{Given, Uplink};
use crate::client::Address;
use crate::config::section::{Section, index_path, key_path};
use crate::server::{ListenerAddress, ListenerOptions};
use crate::uplink::Kind;
use crate::uplink::bridge::{Rule, find_loops, find_loops_within};

/// Notes rules of one bridge that make a loop.
pub(super) fn check_rules(bridge: &mut Section<'_>, rules: &[Rule]) {
    let path = bridge.path("rules");
    for found in find_loops_within(rules) {
        note(bridge, &index_path(&path, found.out), &index_path(&path, found.inward));
    }
}

/// Notes rules of two bridges to one broker that make a loop.
pub(super) fn check_bridges(uplink: &mut Section<'_>, bridges: &[Uplink]) {
    let path = |bridge: usize, rule: usize| {
        let bridge = index_path(&uplink.path("bridge"), bridge);
        index_path(&key_path(&bridge, "rules"), rule)
    };
    let mut loops = Vec::new();
    for (one, first) in bridges.iter().enumerate() {
        for (other, second) in
            bridges.iter().enumerate().skip(one + 1).filter(|(_, second)| is_one_broker(first, second))
        {
            let (rules, length) = ([rules(first), rules(second)].concat(), rules(first).len());
            let at = |rule: usize| if rule < length { path(one, rule) } else { path(other, rule - length) };
            let crossing =
                find_loops(&rules).into_iter().filter(|found| (found.out < length) != (found.inward < length));
            loops.extend(crossing.map(|found| (at(found.out), at(found.inward))));
        }
    }
    for (out, inward) in loops {
        note(uplink, &out, &inward);
    }
}

fn note(section: &mut Section<'_>, out: &str, inward: &str) {
    let remedy = "prefixes under which they do not meet, or one rule for \"both\", are expected";
    let text = format!("brings back what {out} sends, and that would be sent again: {remedy}");
    section.notes().problem(inward, text);
}

fn rules(bridge: &Uplink) -> &[Rule] {
    match &bridge.options.kind {
        Kind::Bridge(bridge) => &bridge.rules,
        Kind::Ubidots(_) => &[],
    }
}

fn is_one_broker(one: &Uplink, other: &Uplink) -> bool {
    let (one, other) = (&one.options.far.addresses, &other.options.far.addresses);
    one.iter().any(|address| other.iter().any(|other| is_one_address(address, other)))
}

fn is_one_address(one: &Address, other: &Address) -> bool {
    match (one, other) {
        (Address::Tcp { host, port, .. }, Address::Tcp { host: other, port: other_port, .. }) => {
            port == other_port && host.eq_ignore_ascii_case(other)
        }
        _ => one == other,
    }
}

/// Notes an address that is the broker from which the bridge takes.
pub(super) fn check_addresses(bridge: &mut Section<'_>, addresses: &[Address], given: &Given<'_>) {
    let (url, urls) = (bridge.path("url"), bridge.path("urls"));
    let is_list = bridge.notes().is_typed(&urls);
    for (index, address) in addresses.iter().enumerate() {
        let is_own = given.listeners.iter().any(|listener| is_listener(address, listener));
        if is_own || is_one_address(address, &given.local.address) {
            let path = if is_list { index_path(&urls, index) } else { url.clone() };
            let text = "leads to the broker that the bridge takes from: another broker is expected";
            bridge.notes().problem(&path, text.into());
        }
    }
}

/// Whether `address` is where the gateway itself listens, as far as the text tells.
fn is_listener(address: &Address, listener: &ListenerOptions) -> bool {
    let (Address::Tcp { host, port, .. }, ListenerAddress::Tcp(own)) = (address, &listener.address) else {
        return false;
    };
    let ip = host.parse::<IpAddr>().ok();
    let is_this_machine = host.eq_ignore_ascii_case("localhost") || ip.is_some_and(|ip| ip.is_loopback());
    let answers_here = own.ip().is_loopback() || own.ip().is_unspecified();
    own.port() == *port && (is_this_machine && answers_here || ip == Some(own.ip()))
}
