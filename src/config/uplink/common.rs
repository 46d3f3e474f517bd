//! What every uplink has: order, patience, and what may wait for it.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::broker::{Overflow, QueueLimits};
use crate::config::endpoint::keep_alive;
use crate::config::limits::read_queue;
use crate::config::section::{Read, Section};
use crate::config::value::{choice, duration};
use crate::uplink::Order;

const ORDERS: [(&str, Order); 2] = [("in-order", Order::InOrder), ("live-first", Order::LiveFirst)];

const ACK_TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);

/// What is taken where a key is left out.
const DEFAULT: Common = Common {
    order: Order::InOrder,
    keep_alive: Duration::from_secs(60),
    ack_timeout: Duration::from_secs(30),
    queue: QueueLimits { messages_max: 1_000_000, bytes_max: 256 << 20, age_max: None, overflow: Overflow::DropOldest },
};

/// What every uplink has.
#[derive(Debug, PartialEq)]
pub(super) struct Common {
    pub(super) order: Order,
    pub(super) keep_alive: Duration,
    pub(super) ack_timeout: Duration,
    pub(super) queue: QueueLimits,
}

/// Reads the keys; each may be left out.
pub(super) fn read(section: &mut Section<'_>) -> Read<Common> {
    let order = section.optional("order", choice(&ORDERS));
    let keep_alive = section.optional("keep_alive", keep_alive);
    let ack_timeout = section.optional("ack_timeout", duration(ACK_TIMEOUT));
    let queue = read_queue(section, &DEFAULT.queue);
    Ok(Common {
        order: order?.unwrap_or(DEFAULT.order),
        keep_alive: keep_alive?.unwrap_or(DEFAULT.keep_alive),
        ack_timeout: ack_timeout?.unwrap_or(DEFAULT.ack_timeout),
        queue: queue?,
    })
}
