//! `[broker.limits]`: what clients may cost the embedded broker.

use std::ops::RangeInclusive;
use std::time::Duration;

use config::ValueKind;

use super::section::{Read, Section};
use super::value::{choice, duration, integer, shown, size, text};
use crate::base::memory;
use crate::broker::{ClientIdPattern, Options, Overflow, QueueLimits, TOPIC_LEVELS_MAX, Terms};

/// Limits of the machine and of its sockets.
pub(super) struct Limits {
    pub(super) machine: Options,
    pub(super) connections_max: usize,
    pub(super) connections_per_address_max: usize,
    pub(super) send_buffer_bytes_max: usize,
}

/// Any count that memory may hold.
const COUNT: RangeInclusive<usize> = 1..=100_000_000;

/// Any count that fits two bytes of the protocol.
pub(super) const SHORT: RangeInclusive<usize> = 1..=65_535;

const QUEUE_AGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(4_294_967_294);

/// 0 for none.
const ALIASES: RangeInclusive<usize> = 0..=65_535;

/// Up to what four bytes of seconds hold, less the number that means for ever (section 3.1.2.11.2).
pub(super) const SESSION_EXPIRY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(4_294_967_294);

const LEVELS: RangeInclusive<usize> = 1..=TOPIC_LEVELS_MAX;

/// From a page to what a large machine can spare.
const MEMORY: RangeInclusive<usize> = 4 << 10..=1 << 30;

/// From what the broker needs to run, to more than any machine has.
const TOTAL: RangeInclusive<usize> = 8 << 20..=match 1_usize.checked_shl(40) {
    Some(tebibyte) => tebibyte,
    None => 3 << 30,
};

/// The remaining length ends at 256 MiB less one byte (section 2.2.3).
const PACKET: RangeInclusive<usize> = 128..=256 << 20;

/// From a CONNECT with a user name, a password and a small will, to the largest packet.
const LOGIN: RangeInclusive<usize> = 1000..=256 << 20;

/// Up to 136 years, as `session_expiry`.
const SESSION_IDLE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(4_294_967_294);

const CONNECT_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);

/// 18 hours is what two bytes of seconds hold.
const KEEP_ALIVE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(18 * 3600);

const OVERFLOWS: [(&str, Overflow); 2] = [("drop-oldest", Overflow::DropOldest), ("drop-newest", Overflow::DropNewest)];

/// Reads `[broker.limits]`.
pub(super) fn read(section: &mut Section<'_>) -> Read<Limits> {
    let connections = section.required("connections", integer(COUNT));
    let per_address = section.required("connections_per_address", integer(COUNT));
    let send_buffer = section.required("send_buffer", size(MEMORY));
    let machine = read_machine(section);
    Ok(Limits {
        machine: machine?,
        connections_max: connections?,
        connections_per_address_max: per_address?,
        send_buffer_bytes_max: send_buffer?,
    })
}

fn read_machine(section: &mut Section<'_>) -> Read<Options> {
    let memory = section.optional("memory", size(TOTAL));
    let packet = section.required("packet_size", size(PACKET));
    let login = section.required("login_size", size(LOGIN));
    let inflight = section.required("inflight", integer(SHORT));
    let queue_messages = section.required("queue_messages", integer(COUNT));
    let queue_bytes = section.required("queue_size", size(MEMORY));
    let queue_age = section.optional("queue_age", duration(QUEUE_AGE));
    let overflow = section.required("queue_overflow", choice(&OVERFLOWS));
    let subscriptions = section.required("subscriptions", integer(COUNT));
    let sessions = section.required("sessions", integer(COUNT));
    let session_idle = section.required("session_idle", duration(SESSION_IDLE));
    let retained_messages = section.required("retained_messages", integer(COUNT));
    let retained_bytes = section.required("retained_size", size(MEMORY));
    let topic_levels = section.required("topic_levels", integer(LEVELS));
    let connect_timeout = section.required("connect_timeout", duration(CONNECT_TIMEOUT));
    let keep_alive = section.optional("keep_alive", duration(KEEP_ALIVE));
    let receive_maximum = section.required("receive_maximum", integer(SHORT));
    let topic_aliases = section.required("topic_aliases", integer(ALIASES));
    let session_expiry = section.optional("session_expiry", duration(SESSION_EXPIRY));
    Ok(Options {
        memory_bytes_max: memory?.unwrap_or_else(|| memory::quarter().max(*TOTAL.start())),
        packet_bytes_max: packet?,
        login_bytes_max: login?,
        inflight_max: inflight?,
        queue: QueueLimits {
            messages_max: queue_messages?,
            bytes_max: queue_bytes?,
            age_max: queue_age?,
            overflow: overflow?,
        },
        queues: Vec::new(),
        subscriptions_max: subscriptions?,
        sessions_max: sessions?,
        session_idle_min: session_idle?,
        retained_messages_max: retained_messages?,
        retained_bytes_max: retained_bytes?,
        topic_levels_max: topic_levels?,
        connect_timeout: connect_timeout?,
        keep_alive_max: keep_alive?,
        spills_queues: false,
        queue_in_memory_max: Options::default().queue_in_memory_max,
        receive_max: short(receive_maximum?),
        topic_aliases_max: short(topic_aliases?),
        system_interval: None,
        session_expiry_s_max: session_expiry?.map_or(Terms::FOREVER_S, whole_seconds),
    })
}

/// Reads `[[broker.session]]`: what may wait for sessions of certain clients. What one leaves out is as `others` have it.
pub(super) fn read_sessions(
    broker: &mut Section<'_>,
    others: &QueueLimits,
) -> Read<Vec<(ClientIdPattern, QueueLimits)>> {
    broker.sections("session", |section| {
        let client_id = section.required("client_id", pattern);
        let limits = read_queue(section, others);
        Ok((client_id?, limits?))
    })
}

/// Reads the keys of a queue that may be left out: then it is as `others` have it.
pub(super) fn read_queue(section: &mut Section<'_>, others: &QueueLimits) -> Read<QueueLimits> {
    let messages = section.optional("queue_messages", integer(COUNT));
    let bytes = section.optional("queue_size", size(MEMORY));
    let age = section.optional("queue_age", duration(QUEUE_AGE));
    let overflow = section.optional("queue_overflow", choice(&OVERFLOWS));
    Ok(QueueLimits {
        messages_max: messages?.unwrap_or(others.messages_max),
        bytes_max: bytes?.unwrap_or(others.bytes_max),
        age_max: age?.or(others.age_max),
        overflow: overflow?.unwrap_or(others.overflow),
    })
}

fn pattern(kind: &ValueKind) -> Result<ClientIdPattern, String> {
    let typed = text(kind)?;
    match typed.find('*') {
        Some(place) if place + 1 < typed.len() => {
            Err(format!("is {}, a * stands at the end only: for any end", shown(&typed)))
        }
        _ if typed.is_empty() => Err("is empty, a client identifier or the beginning of one with * is expected".into()),
        _ => Ok(ClientIdPattern::new(typed)),
    }
}

/// What a range has bounded already.
fn short(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// As four bytes of seconds.
pub(super) fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(Terms::FOREVER_S)
}
