//! `$SYS/broker/…`: what the broker tells about itself, with the names that mosquitto has given these topics.
//!
//! Each value is a retained message of QoS 0 that is published when it has changed, and is never written to disk.

use std::sync::Arc;
use std::time::Duration;

use super::forms::Content;
use super::machine::{Broker, Disk};
use super::message::{Message, Owner};
use super::persist::Barrier;
use super::retained::Retained;
use super::route::Publication;
use super::timers::Timer;
use crate::base::clock::Monotonic;
use crate::mqtt::{MessagePropertiesRef, QoS, TopicName};

/// What is counted since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    /// Packets of every kind.
    pub(super) messages_received: u64,
    pub(super) messages_sent: u64,
    pub(super) publish_messages_received: u64,
    pub(super) publish_messages_sent: u64,
    /// From full queues, and of QoS 0 those that slow receivers missed.
    pub(super) publish_messages_dropped: u64,
    pub(super) publish_bytes_received: u64,
    pub(super) publish_bytes_sent: u64,
    pub(super) bytes_received: u64,
    pub(super) bytes_sent: u64,
    /// Transports opened.
    pub(super) sockets: u64,
    /// CONNECT packets accepted.
    pub(super) connections: u64,
    /// Sessions that ended because nobody came back in time.
    pub(super) clients_expired: u64,
    /// The most clients that were connected at a time, looked at once an interval.
    clients_maximum: u64,
    /// Messages of QoS 0 that slow receivers missed, as told last.
    left_out: u64,
}

/// What is counted, and the averages.
#[derive(Debug, Default)]
pub(super) struct System {
    pub(super) counters: Counters,
    started: Monotonic,
    /// When it was published last.
    published: Monotonic,
    /// The deadline of its live entry in the timers.
    pub(super) timer: Option<Monotonic>,
    loads: [Load; LOADS.len()],
}

/// One counter's growth a minute, averaged over one, five and fifteen minutes.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    counted: u64,
    averages: [f64; 3],
}

/// One of the counters.
type Count = fn(&Counters) -> u64;

/// A counter whose load is told, with the topics of its averages.
type Loaded = (Count, [&'static str; 3]);

macro_rules! load {
    ($name:literal, $counter:ident) => {
        (
            |counters| counters.$counter,
            [
                concat!("$SYS/broker/load/", $name, "/1min"),
                concat!("$SYS/broker/load/", $name, "/5min"),
                concat!("$SYS/broker/load/", $name, "/15min"),
            ],
        )
    };
}

const LOADS: [Loaded; 9] = [
    load!("messages/received", messages_received),
    load!("messages/sent", messages_sent),
    load!("publish/received", publish_messages_received),
    load!("publish/sent", publish_messages_sent),
    load!("publish/dropped", publish_messages_dropped),
    load!("bytes/received", bytes_received),
    load!("bytes/sent", bytes_sent),
    load!("sockets", sockets),
    load!("connections", connections),
];

const COUNTERS: [(Count, &str); 11] = [
    (|counters| counters.messages_received, "$SYS/broker/messages/received"),
    (|counters| counters.messages_sent, "$SYS/broker/messages/sent"),
    (|counters| counters.publish_messages_received, "$SYS/broker/publish/messages/received"),
    (|counters| counters.publish_messages_sent, "$SYS/broker/publish/messages/sent"),
    (|counters| counters.publish_messages_dropped, "$SYS/broker/publish/messages/dropped"),
    (|counters| counters.publish_bytes_received, "$SYS/broker/publish/bytes/received"),
    (|counters| counters.publish_bytes_sent, "$SYS/broker/publish/bytes/sent"),
    (|counters| counters.bytes_received, "$SYS/broker/bytes/received"),
    (|counters| counters.bytes_sent, "$SYS/broker/bytes/sent"),
    (|counters| counters.clients_expired, "$SYS/broker/clients/expired"),
    (|counters| counters.clients_maximum, "$SYS/broker/clients/maximum"),
];

/// Minutes that the averages reach back.
const MINUTES: [f64; 3] = [1.0, 5.0, 15.0];

impl Load {
    /// Takes in what was counted within `time`: what mosquitto does, an average that forgets by powers of e.
    fn update(&mut self, counted: u64, time: Duration) {
        #[expect(clippy::cast_precision_loss, reason = "an average")]
        let grown = counted.saturating_sub(self.counted) as f64;
        self.counted = counted;
        let minutes = time.as_secs_f64() / 60.0;
        for (average, reach) in self.averages.iter_mut().zip(MINUTES) {
            let kept = (-minutes / reach).exp();
            *average = grown / minutes * (1.0 - kept) + *average * kept;
        }
    }
}

impl Broker {
    /// The broker begins to serve: `$SYS` counts from here.
    pub fn handle_start(&mut self, now: Monotonic) {
        self.now = now;
        (self.system.started, self.system.published) = (now, now);
        if self.options.system_interval.is_some() {
            self.tell("$SYS/broker/version", concat!("sensegate version ", env!("CARGO_PKG_VERSION")));
            self.tell_all();
            self.arm_system();
        }
    }

    /// Since the start: bytes that came from sockets, bytes that went to them, and messages of QoS 0 that were left out
    /// because their receivers did not read.
    pub fn handle_traffic(&mut self, received: u64, sent: u64, left_out: u64, now: Monotonic) {
        self.now = now;
        let counters = &mut self.system.counters;
        (counters.bytes_received, counters.bytes_sent) = (received, sent);
        counters.publish_messages_dropped += left_out - counters.left_out;
        counters.left_out = left_out;
    }

    /// The interval is over.
    pub(super) fn publish_system(&mut self) {
        let time = self.now - self.system.published;
        self.system.published = self.now;
        let counters = self.system.counters;
        for (load, (count, _)) in self.system.loads.iter_mut().zip(LOADS) {
            load.update(count(&counters), time);
        }
        self.tell_all();
        self.arm_system();
    }

    fn arm_system(&mut self) {
        self.system.timer = self.options.system_interval.map(|interval| self.now + interval);
        if let Some(deadline) = self.system.timer {
            self.timers.set(Timer::System, deadline);
        }
    }

    fn tell_all(&mut self) {
        self.tell("$SYS/broker/uptime", &format!("{} seconds", (self.now - self.system.started).as_secs()));
        self.tell_clients();
        self.tell_messages();
        let counters = self.system.counters;
        for (count, topic) in COUNTERS {
            self.tell(topic, &count(&counters).to_string());
        }
        let loads = self.system.loads;
        for (load, (_, topics)) in loads.iter().zip(LOADS) {
            for (average, topic) in load.averages.iter().zip(topics) {
                self.tell(topic, &format!("{average:.2}"));
            }
        }
    }

    /// Publishes the number of sessions at once: a client was refused because there are too many, and whoever looks for
    /// the reason does not wait for the interval.
    pub(super) fn publish_sessions(&mut self) {
        if self.options.system_interval.is_some() {
            let total = self.sessions.len();
            self.tell("$SYS/broker/clients/total", &total.to_string());
        }
    }

    fn tell_clients(&mut self) {
        let total = self.sessions.len();
        let connected = self.sessions.values().filter(|session| session.connection.is_some()).count();
        let most = &mut self.system.counters.clients_maximum;
        *most = (*most).max(connected as u64);
        for (topic, count) in [
            ("$SYS/broker/clients/total", total),
            ("$SYS/broker/clients/connected", connected),
            ("$SYS/broker/clients/active", connected),
            ("$SYS/broker/clients/disconnected", total - connected),
            ("$SYS/broker/clients/inactive", total - connected),
            ("$SYS/broker/subscriptions/count", self.subscriptions.len()),
        ] {
            self.tell(topic, &count.to_string());
        }
    }

    fn tell_messages(&mut self) {
        let (retained, retained_bytes) = (self.retained.len(), self.retained.bytes());
        let sizes = self.sessions.values().map(|session| {
            let (queue, window) = (session.queue.size(), session.window.size());
            (queue.0 + window.0, queue.1 + window.1)
        });
        let (count, bytes) = sizes.fold((retained, retained_bytes), |sum, size| (sum.0 + size.0, sum.1 + size.1));
        for (topic, number) in [
            ("$SYS/broker/retained messages/count", retained),
            ("$SYS/broker/retained messages/bytes", self.retained_budget.bytes()),
            ("$SYS/broker/messages/stored", count),
            ("$SYS/broker/store/messages/count", count),
            ("$SYS/broker/store/messages/bytes", bytes),
        ] {
            self.tell(topic, &number.to_string());
        }
        self.tell_disk();
    }

    fn tell_disk(&mut self) {
        let state = match self.disk {
            Disk::Writes => "ok",
            Disk::Full => "full",
            Disk::Fails => "failing",
        };
        self.tell("$SYS/broker/store/state", state);
    }

    /// How the disk takes what is asked to be persisted. As long as it does not, a PUBLISH of version 5 that would have
    /// to be kept is refused; one of 3.1.1 waits for its acknowledgement.
    pub fn handle_disk(&mut self, disk: Disk, now: Monotonic) {
        self.now = now;
        self.disk = disk;
        if disk != Disk::Writes {
            self.close_at_once();
            self.refuse_waiting();
        }
        if self.options.system_interval.is_some() {
            self.tell_disk();
        }
    }

    /// Publishes a value that is not the one that was published last.
    fn tell(&mut self, topic: &str, value: &str) {
        let known = self.retained.get(topic).map(|retained| &retained.message.payload[..]);
        if known == Some(value.as_bytes()) {
            return;
        }
        let content = Content {
            topic,
            payload: value.as_bytes(),
            stored: None,
            properties: MessagePropertiesRef::NONE,
            expiry_s: None,
        };
        if let Ok(name) = TopicName::new(topic) {
            let message = Arc::new(Message::new(name, value.as_bytes().to_vec().into()));
            self.set_retained(Retained { message, qos: QoS::AtMostOnce, owner: Owner::Internal });
        }
        self.route(
            &Publication { content, qos: QoS::AtMostOnce, retain: false, from: None, owner: None },
            Barrier::None,
        );
    }
}
