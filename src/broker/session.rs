//! What the broker remembers of one client (section 3.1.2.4).

use std::collections::{HashMap, VecDeque};

use foldhash::fast::FixedState;

use super::inflight::Window;
use super::leave_groups::Leaving;
use super::message::{Delivery, Granted, Terms};
use super::output::{ConnectionId, Ticket};
use super::replay::Replays;
use super::{Options, Overflow, QueueLimits};
use crate::access::Rights;
use crate::base::clock::Monotonic;
use crate::mqtt::{ClientId, PacketId, TopicFilter, Will};

slotmap::new_key_type! {
    /// A session, from its start to its end.
    pub(super) struct SessionKey;
}

/// A will whose client is gone, until its delay is over.
#[derive(Debug)]
pub(super) struct WaitingWill {
    pub(super) will: Will,
    pub(super) due: Monotonic,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) client_id: ClientId,
    /// The user that it belongs to; `None` as long as only anonymous clients had it.
    pub(super) user: Option<Box<str>>,
    /// What its client may do, as of its last connection or of the last reload.
    pub(super) rights: Rights,
    pub(super) connection: Option<ConnectionId>,
    /// Whether it is kept on disk: it is, or was made to be, one that outlives its connection.
    pub(super) is_kept: bool,
    /// The ticket of the last change to its terms; 0 for one from before the start.
    pub(super) recorded: Ticket,
    /// Seconds that it outlives its connection: [`Terms::FOREVER_S`] for ever.
    pub(super) expiry_interval_s: u32,
    /// Deliveries that may be in flight, as its client's connection and the options allow.
    pub(super) inflight_max: u16,
    /// What may wait for it, by the number in the options.
    pub(super) limits: u16,
    /// Whether it has, or had, shared subscriptions.
    pub(super) has_shared: bool,
    /// The search for deliveries of shared subscriptions that it has given up.
    pub(super) leaving: Option<Leaving>,
    /// Retained messages that are still to be sent; `None` when there are none.
    pub(super) replays: Option<Box<Replays>>,
    /// Deliveries that had to go from its queue since the start.
    pub(super) dropped: u64,
    /// When its client's last connection has ended, or the broker was started since; of no meaning while connected.
    pub(super) disconnected: Monotonic,
    /// When it ends; `None` while its client is connected, and for ever.
    pub(super) ends: Option<Monotonic>,
    /// The deadline of its live entry in the timers.
    pub(super) timer: Option<Monotonic>,
    pub(super) will: Option<Box<WaitingWill>>,
    pub(super) subscriptions: HashMap<TopicFilter, Granted, FixedState>,
    pub(super) window: Window,
    pub(super) queue: Queue,
    /// What those of its deliveries wait for that go onward only when they are durable.
    pub(super) held_until: Ticket,
    /// Identifiers of QoS 2 messages that the client has published and not released, each with the ticket that records
    /// it; 0 where nothing has to be recorded.
    pub(super) received: HashMap<PacketId, Ticket, FixedState>,
}

impl Session {
    /// One without a client, which lives `expiry_interval_s` longer than its connection.
    pub(super) fn new(client_id: ClientId, expiry_interval_s: u32, options: &Options) -> Self {
        let limits = options.queue_number(client_id.as_str());
        Self {
            client_id,
            user: None,
            rights: Rights::everything(),
            connection: None,
            is_kept: expiry_interval_s > 0,
            recorded: Ticket::default(),
            expiry_interval_s,
            inflight_max: u16::MAX,
            limits,
            has_shared: false,
            leaving: None,
            replays: None,
            dropped: 0,
            disconnected: Monotonic::ZERO,
            ends: None,
            timer: None,
            will: None,
            subscriptions: HashMap::with_hasher(FixedState::default()),
            window: Window::default(),
            queue: Queue::default(),
            held_until: Ticket::default(),
            received: HashMap::with_hasher(FixedState::default()),
        }
    }

    /// Whether changes of it are to be made durable.
    pub(super) fn is_persistent(&self) -> bool {
        self.is_kept
    }

    /// What is to be known of it after a restart.
    pub(super) fn terms(&self) -> Terms {
        Terms { user: self.user.clone(), expiry_interval_s: self.expiry_interval_s, ends: self.ends }
    }

    /// When to look after it next: it ends, or its will is due; `None` for never.
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        let due = self.will.as_ref().map(|waiting| waiting.due);
        self.ends.into_iter().chain(due).min()
    }

    /// Whether one more delivery may be in flight.
    pub(super) fn has_room(&self, options: &Options) -> bool {
        let bytes_max = options.queue(self.limits).bytes_max;
        self.window.has_room(self.inflight_max.into(), bytes_max)
    }
}

/// Deliveries that wait for the client, or for room in the window.
#[derive(Debug, Default)]
pub(super) struct Queue {
    deliveries: VecDeque<Delivery>,
    /// Topic and payload bytes of all, those on disk included.
    bytes: usize,
    /// How many more are on disk, behind those in memory.
    on_disk: usize,
    /// Whether a piece of those is on its way.
    is_loading: bool,
    /// The arrival number behind which the disk is read next.
    read_up_to: u64,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.on_disk == 0
    }

    /// How many deliveries wait, and the bytes of their messages.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.deliveries.len() + self.on_disk, self.bytes)
    }

    /// Begins again with what is on disk: the first deliveries, and number and bytes of those behind them.
    pub(super) fn restore(&mut self, first: Vec<Delivery>, on_disk: usize, bytes_on_disk: usize) {
        self.bytes = first.iter().map(Delivery::bytes).sum::<usize>() + bytes_on_disk;
        self.read_up_to = first.last().map_or(0, |last| last.arrival);
        self.deliveries = first.into();
        self.on_disk = on_disk;
    }

    /// Behind which arrival number a piece is to be loaded now; `None` while there is enough in memory, or one is on
    /// its way.
    pub(super) fn poll_load(&mut self, options: &Options) -> Option<u64> {
        let is_due = self.on_disk > 0 && !self.is_loading && self.deliveries.len() < options.queue_in_memory_max / 2;
        is_due.then(|| {
            self.is_loading = true;
            self.read_up_to
        })
    }

    /// Takes a piece that was asked for; gives what has to go for it. An empty piece means that the disk holds no more.
    pub(super) fn handle_loaded(&mut self, piece: Vec<Delivery>, limits: &QueueLimits) -> Vec<Delivery> {
        if !std::mem::take(&mut self.is_loading) {
            // asked for by an earlier session of this client
            return Vec::new();
        }
        self.on_disk = if piece.is_empty() { 0 } else { self.on_disk.saturating_sub(piece.len()) };
        self.read_up_to = piece.last().map_or(self.read_up_to, |last| last.arrival);
        self.deliveries.extend(piece);
        if self.on_disk == 0 {
            self.bytes = self.deliveries.iter().map(Delivery::bytes).sum();
        }
        self.drop_oldest(limits)
    }

    /// Whether there is no room for one more.
    pub(super) fn is_full(&self, limits: &QueueLimits) -> bool {
        self.deliveries.len() + self.on_disk >= limits.messages_max || self.bytes >= limits.bytes_max
    }

    /// Puts `delivery` at the end; gives what had to go for it, by the policy in `limits`. Beyond `in_memory_max`
    /// deliveries it is left to the disk, where it is already on its way.
    pub(super) fn push(&mut self, delivery: Delivery, limits: &QueueLimits, in_memory_max: usize) -> Vec<Delivery> {
        if limits.overflow == Overflow::DropNewest && self.is_full_with(&delivery, limits) {
            return vec![delivery];
        }
        self.bytes += delivery.bytes();
        if self.on_disk > 0 || self.deliveries.len() >= in_memory_max {
            if self.on_disk == 0 {
                self.read_up_to = self.deliveries.back().map_or(0, |last| last.arrival);
            }
            self.on_disk += 1;
        } else {
            self.deliveries.push_back(delivery);
        }
        self.drop_oldest(limits)
    }

    fn is_full_with(&self, delivery: &Delivery, limits: &QueueLimits) -> bool {
        let messages = self.deliveries.len() + self.on_disk;
        messages >= limits.messages_max || self.bytes + delivery.bytes() > limits.bytes_max
    }

    fn drop_oldest(&mut self, limits: &QueueLimits) -> Vec<Delivery> {
        let mut dropped = Vec::new();
        while self.deliveries.len() + self.on_disk > limits.messages_max || self.bytes > limits.bytes_max {
            let Some(oldest) = self.deliveries.pop_front() else { break };
            self.bytes -= oldest.bytes();
            dropped.push(oldest);
        }
        dropped
    }

    /// Takes those at the front that have expired or waited too long; the oldest are the first to.
    pub(super) fn drop_over(&mut self, now: Monotonic) -> Vec<Delivery> {
        let count = self.deliveries.iter().take_while(|delivery| delivery.is_over(now)).count();
        let over: Vec<Delivery> = self.deliveries.drain(..count).collect();
        self.bytes = self.bytes.saturating_sub(over.iter().map(Delivery::bytes).sum());
        over
    }

    /// Returns the arrival number after which the part begins that only the disk holds, and whether a part of it is
    /// being loaded; `None` when memory holds the whole queue.
    pub(super) fn stored(&self) -> Option<(u64, bool)> {
        (self.on_disk > 0).then_some((self.read_up_to, self.is_loading))
    }

    /// Returns whether a delivery in memory `is_wanted`.
    pub(super) fn any(&self, is_wanted: impl Fn(&Delivery) -> bool) -> bool {
        self.deliveries.iter().any(is_wanted)
    }

    /// Counts deliveries out that only the disk held.
    pub(super) fn forget_stored(&mut self, deliveries: &[Delivery]) {
        self.on_disk = self.on_disk.saturating_sub(deliveries.len());
        self.bytes = self.bytes.saturating_sub(deliveries.iter().map(Delivery::bytes).sum());
    }

    /// Takes out those that `is_taken`, `most` of them at most, oldest first. Cost: all in memory.
    pub(super) fn extract_up_to(&mut self, most: usize, is_taken: impl Fn(&Delivery) -> bool) -> Vec<Delivery> {
        let mut left = most;
        let (taken, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.deliveries).into_iter().partition(|delivery| {
            let takes = left > 0 && is_taken(delivery);
            left -= usize::from(takes);
            takes
        });
        self.deliveries = kept.into();
        self.bytes = self.bytes.saturating_sub(taken.iter().map(Delivery::bytes).sum());
        taken
    }

    /// Takes out those that `is_taken`, oldest first.
    pub(super) fn extract(&mut self, is_taken: impl Fn(&Delivery) -> bool) -> Vec<Delivery> {
        let (taken, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.deliveries).into_iter().partition(is_taken);
        self.deliveries = kept.into();
        self.bytes = self.bytes.saturating_sub(taken.iter().map(Delivery::bytes).sum());
        taken
    }

    /// Takes the delivery that has waited longest.
    pub(super) fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.deliveries.pop_front()?;
        self.bytes = self.bytes.saturating_sub(delivery.bytes());
        if self.deliveries.is_empty() {
            // a backlog that was drained gives its memory back
            self.deliveries = VecDeque::new();
        }
        Some(delivery)
    }
}
