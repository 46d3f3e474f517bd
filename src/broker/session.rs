//! What the broker remembers of one client (section 3.1.2.4).

use std::collections::{HashMap, HashSet, VecDeque};

use foldhash::fast::FixedState;

use super::inflight::{Delivery, Window};
use super::output::ConnectionId;
use super::{Options, Overflow};
use crate::mqtt::{ClientId, PacketId, QoS, TopicFilter};

slotmap::new_key_type! {
    /// A session, from its start to its end.
    pub(super) struct SessionKey;
}

/// How long a session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// As long as its connection: clean session 1.
    Connection,
    /// Until a client takes it over and cleans it: clean session 0.
    Persistent,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) client_id: ClientId,
    pub(super) lifetime: Lifetime,
    pub(super) connection: Option<ConnectionId>,
    pub(super) subscriptions: HashMap<TopicFilter, QoS, FixedState>,
    pub(super) window: Window,
    pub(super) queue: Queue,
    /// Identifiers of QoS 2 messages taken but not yet released.
    pub(super) received: HashSet<PacketId, FixedState>,
}

impl Session {
    pub(super) fn new(client_id: ClientId, lifetime: Lifetime) -> Self {
        Self {
            client_id,
            lifetime,
            connection: None,
            subscriptions: HashMap::with_hasher(FixedState::default()),
            window: Window::default(),
            queue: Queue::default(),
            received: HashSet::with_hasher(FixedState::default()),
        }
    }

    pub(super) fn is_persistent(&self) -> bool {
        self.lifetime == Lifetime::Persistent
    }
}

/// Deliveries that wait for the client, or for room in the window.
#[derive(Debug, Default)]
pub(super) struct Queue {
    deliveries: VecDeque<Delivery>,
    bytes: usize,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// Puts `delivery` at the end; gives what had to go for it, by the policy in `options`.
    pub(super) fn push(&mut self, delivery: Delivery, options: &Options) -> Vec<Delivery> {
        self.bytes += delivery.bytes();
        self.deliveries.push_back(delivery);
        let mut dropped = Vec::new();
        while self.deliveries.len() > options.queue_messages_max || self.bytes > options.queue_bytes_max {
            let victim = match options.overflow {
                Overflow::DropOldest => self.deliveries.pop_front(),
                Overflow::DropNewest => self.deliveries.pop_back(),
            };
            let Some(victim) = victim else { break };
            self.bytes -= victim.bytes();
            dropped.push(victim);
        }
        dropped
    }

    /// Takes the delivery that has waited longest.
    pub(super) fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.deliveries.pop_front()?;
        self.bytes -= delivery.bytes();
        if self.deliveries.is_empty() {
            // a backlog that was drained gives its memory back
            self.deliveries = VecDeque::new();
        }
        Some(delivery)
    }
}
