//! `[broker]`: whether the gateway is the broker or a client of another one.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::layers::Variables;
use super::section::{Read, Section};
use super::value::{choice, duration};
use super::{access, external, limits, listener};
use crate::agent::BrokerAddress;
use crate::broker::QueueLimits;
use crate::server::{Access, ListenerOptions};

/// Keep-alive of the gateway's own client of the embedded broker.
pub(super) const HOUSE_KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What `[broker]` decides.
pub(super) enum Broker {
    Embedded { listeners: Vec<ListenerOptions>, limits: limits::Limits, access: Access },
    External(Connection),
}

/// How the agent connects.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) address: BrokerAddress,
    pub(super) client_id: String,
    pub(super) keep_alive: Duration,
}

/// 0 for never.
const SYS_INTERVAL: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);

#[derive(Clone, Copy)]
enum Mode {
    Embedded,
    External,
}

const MODES: [(&str, Mode); 2] = [("embedded", Mode::Embedded), ("external", Mode::External)];

/// Reads `[broker]`. What the other mode has is checked as well, so that changing the mode brings no surprises.
pub(super) fn read(section: &mut Section<'_>, variables: &Variables) -> Read<Broker> {
    let mode = section.required("mode", choice(&MODES));
    let access = access::read(section);
    // a password file with problems is one all the same
    let has_passwords = access.as_ref().map_or(true, |access| access.passwords.is_some());
    let listeners = listener::read(section, has_passwords);
    let sys_interval = section.required("sys_interval", duration(SYS_INTERVAL));
    let limits = section.section("limits", limits::read);
    let others = limits.as_ref().map_or_else(|_| QueueLimits::default(), |limits| limits.machine.queue.clone());
    let queues = limits::read_sessions(section, &others);
    let external = section.section("external", |section| external::read(section, variables));
    match (mode?, external?) {
        (Mode::Embedded, _) => {
            let mut limits = limits?;
            limits.machine.queues = queues?;
            limits.machine.system_interval = Some(sys_interval?).filter(|interval| !interval.is_zero());
            Ok(Broker::Embedded { listeners: listeners?, limits, access: access? })
        }
        (Mode::External, Some(connection)) => Ok(Broker::External(connection)),
        (Mode::External, None) => {
            let text = "is \"external\", which needs broker.external.url = \"mqtt://HOST:PORT\"";
            Err(section.problem("mode", text.into()))
        }
    }
}
