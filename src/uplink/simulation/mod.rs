//! Hours of an uplink from one seed: cuts, kills, clocks that jump, answers that come late or never. What arrives is
//! compared with what was sampled.

mod figures;
mod hours;
mod refused;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::boots::Boots;
use super::bridge::{self, Bridge, Direction, Rule};
use super::lane::Side;
use super::machine::{Limits, Machine, Output, Token};
use super::stamps::Now;
use super::ubidots::{self, Received, Ubidots};
use super::work::Work;
use crate::base::backoff::Backoff;
use crate::base::clock::{Monotonic, Wall};
use crate::client::{Loss, Message, Publication, Terms};
use crate::mqtt::{MessageProperties, PacketId, ProtocolVersion, QoS, ReasonCode, TopicName};
use crate::sensors::{ReadingMessage, SampleMessage};

const START_MS: i64 = 1_795_377_330_000;

/// Messages that the local broker sends without an acknowledgement.
const WINDOW: usize = 100;

/// A step of the simulation.
const STEP: Duration = Duration::from_millis(50);

/// How the far side treats the uplink at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Stands,
    /// Until then no attempt succeeds.
    CutUntil(Monotonic),
    /// Nothing is answered until then, and nobody notices.
    MuteUntil(Monotonic),
}

struct World {
    random: fastrand::Rng,
    now: Monotonic,
    /// By how much the wall clock is off.
    wall_error_ms: i64,
    is_synchronised: bool,
    kind: &'static str,
    is_live_first: bool,
    machine: Machine,
    boots: Boots,
    boot: String,
    boot_started: Monotonic,
    sequence: u64,
    /// The outbox: what was published and is not acknowledged, with what is in flight first.
    outbox: VecDeque<(u64, Bytes)>,
    in_flight: VecDeque<PacketId>,
    next_id: u16,
    live_ids: BTreeMap<PacketId, u64>,
    /// Sequence numbers in the order in which the outbox was told to forget them.
    acknowledged: Vec<u64>,
    link: Link,
    is_connected: bool,
    backoff: Backoff,
    next_attempt: Monotonic,
    /// Answers on their way: when, and to what.
    answers: VecDeque<(Monotonic, Token)>,
    /// What arrived: the time of each sample, by its name, and the order of first arrivals.
    arrived: BTreeMap<u64, BTreeSet<i64>>,
    order: Vec<u64>,
    publishes: u64,
    duplicates: u64,
    publish_times: Vec<Monotonic>,
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn limits() -> Limits {
    Limits {
        inflight_max: 20,
        ack_timeout: Duration::from_secs(30),
        strikes_max: 5,
        clock_wait: Duration::from_secs(300),
        samples: topic("my/samples"),
        rejected: topic("my/uplink/x/rejected"),
    }
}

fn work(kind: &str) -> Work {
    if kind == "bridge" {
        let rules = vec![
            Rule::new("samples", Direction::Out, "my/", "far/").unwrap(),
            Rule::new("cmd/#", Direction::In, "my/", "far/").unwrap(),
        ];
        let options = bridge::Options { rules, profile: bridge::Profile::Generic, status: None };
        return Work::Bridge(Box::new(Bridge::new(options)));
    }
    let options = ubidots::Options {
        device: "pi".into(),
        send: [("temperature".to_owned(), "temperature".to_owned())].into(),
        qos: QoS::AtLeastOnce,
        context: true,
        every: None,
        publishes_per_s: 3.0,
        dots_per_s: None,
        online: None,
        receive: Vec::new(),
        samples: topic("my/samples"),
    };
    Work::Ubidots(Box::new(Ubidots::new(options, Received::default())))
}

fn terms() -> Terms {
    Terms {
        version: ProtocolVersion::V5,
        session_present: false,
        client_id: "c".into(),
        receive_max: 10,
        packet_bytes_max: 1 << 20,
        qos_max: QoS::ExactlyOnce,
        retain_available: true,
        wildcards_available: true,
        session_expiry_s: None,
        keep_alive: Duration::from_secs(60),
    }
}

impl World {
    fn new(seed: u64, kind: &'static str, is_live_first: bool) -> Self {
        let boots = Boots::unkept("boot-1");
        Self {
            random: fastrand::Rng::with_seed(seed),
            now: Monotonic::from_boot(Duration::from_secs(20)),
            wall_error_ms: -86_400_000,
            is_synchronised: false,
            kind,
            is_live_first,
            machine: Machine::new(limits(), work(kind), boots.clone()),
            boots,
            boot: "boot-1".into(),
            boot_started: Monotonic::ZERO,
            sequence: 0,
            outbox: VecDeque::new(),
            in_flight: VecDeque::new(),
            next_id: 0,
            live_ids: BTreeMap::new(),
            acknowledged: Vec::new(),
            link: Link::Stands,
            is_connected: false,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60), seed),
            next_attempt: Monotonic::ZERO,
            answers: VecDeque::new(),
            arrived: BTreeMap::new(),
            order: Vec::new(),
            publishes: 0,
            duplicates: 0,
            publish_times: Vec::new(),
        }
    }

    /// What the clocks say; the monotonic one counts from this boot.
    fn clocks(&self) -> Now {
        let true_ms = START_MS + i64::try_from(self.now.since_boot().as_millis()).unwrap();
        Now {
            monotonic: Monotonic::from_boot(self.now.since(self.boot_started)),
            wall: Wall::from_unix_ms(true_ms + self.wall_error_ms),
            is_synchronised: self.is_synchronised,
        }
    }

    /// The agent publishes a sample; the local broker has it, durably.
    fn sample(&mut self) {
        self.sequence += 1;
        let clocks = self.clocks();
        let reading = ReadingMessage { value: Some(20.0), unit: String::new(), reason: None, text: None };
        let sample = SampleMessage {
            boot_id: self.boot.clone(),
            sequence: self.sequence,
            monotonic_ms: clocks.monotonic.since_boot_ms(),
            time_ms: clocks.wall.unix_ms(),
            synchronised: clocks.is_synchronised,
            source: "simulated".into(),
            readings: [("temperature".to_owned(), reading)].into(),
        };
        let payload = Bytes::from(sample.to_json());
        self.outbox.push_back((self.sequence, payload.clone()));
        if self.is_live_first {
            let packet_id = self.id();
            self.live_ids.insert(packet_id, self.sequence);
            let message = message(payload, packet_id);
            self.machine.handle_local_message(Side::Live, message, clocks);
        }
        self.carry_out();
        self.deliver();
    }

    fn id(&mut self) -> PacketId {
        loop {
            self.next_id = self.next_id.wrapping_add(1);
            if let Some(id) = PacketId::new(self.next_id)
                && !self.in_flight.contains(&id)
            {
                return id;
            }
        }
    }

    /// The local broker sends what its window allows.
    fn deliver(&mut self) {
        while self.in_flight.len() < WINDOW
            && let Some((_, payload)) = self.outbox.get(self.in_flight.len()).cloned()
        {
            let packet_id = self.id();
            self.in_flight.push_back(packet_id);
            self.machine.handle_local_message(Side::Backlog, message(payload, packet_id), self.clocks());
            self.carry_out();
        }
    }

    /// Ends the process: what it knew is gone, what the local broker has is there.
    fn kill(&mut self, is_reboot: bool) {
        if is_reboot {
            let number: u32 = self.boot.rsplit('-').next().unwrap().parse().unwrap();
            self.boot = format!("boot-{}", number + 1);
            self.boot_started = self.now;
            self.is_synchronised = false;
            self.wall_error_ms = -self.random.i64(0..1_000_000);
            self.boots = rebooted(&self.boots, &self.boot);
        }
        self.machine = Machine::new(limits(), work(self.kind), self.boots.clone());
        self.in_flight.clear();
        self.live_ids.clear();
        self.answers.clear();
        self.is_connected = false;
        self.machine.handle_local_up(20);
        self.deliver();
    }

    fn step(&mut self) {
        self.now = self.now + STEP;
        match self.link {
            Link::CutUntil(until) | Link::MuteUntil(until) if until <= self.now => self.link = Link::Stands,
            _ => {}
        }
        let clocks = self.clocks();
        if self.is_synchronised {
            self.machine.handle_synchronised(clocks);
            self.boots.handle_synchronised(clocks.monotonic, clocks.wall);
        }
        if self.is_connected && matches!(self.link, Link::CutUntil(_)) {
            self.lose(&Loss::Network("cut".into()));
        }
        if !self.is_connected && self.next_attempt <= self.now {
            if self.link == Link::Stands {
                self.is_connected = true;
                self.machine.handle_far_up(terms(), clocks);
                self.carry_out();
            } else {
                self.next_attempt = self.now + self.backoff.next_wait();
            }
        }
        while self.link == Link::Stands
            && let Some((_, token)) = self.answers.pop_front_if(|(due, _)| *due <= self.now)
        {
            self.machine.handle_far_answer(token, ReasonCode::Success, clocks);
            self.carry_out();
        }
        if self.machine.next_deadline().is_some_and(|deadline| deadline <= clocks.monotonic) {
            self.machine.handle_timeout(clocks);
            self.carry_out();
        }
        self.deliver();
    }

    fn lose(&mut self, loss: &Loss) {
        self.is_connected = false;
        self.answers.clear();
        self.next_attempt = self.now + self.backoff.next_wait();
        self.machine.handle_far_lost(loss, self.clocks());
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::PublishFar(token, publication) => self.publish(token, &publication),
                Output::AcknowledgeLocal(Side::Backlog, packet_id) => {
                    assert_eq!(self.in_flight.pop_front(), Some(packet_id), "in order of receipt");
                    let (sequence, _) = self.outbox.pop_front().unwrap();
                    assert!(self.arrived.contains_key(&sequence), "{sequence} is acknowledged and has not arrived");
                    self.acknowledged.push(sequence);
                }
                Output::AcknowledgeLocal(Side::Live, packet_id) => {
                    assert!(self.live_ids.remove(&packet_id).is_some());
                }
                Output::Reconnect(_) => self.lose(&Loss::Silent),
                other => panic!("{other:?}"),
            }
        }
    }

    /// The far side gets it, unless the link is cut in the middle of it; then there is no answer either way.
    fn publish(&mut self, token: Token, publication: &Publication) {
        self.publishes += 1;
        self.publish_times.push(self.now);
        let is_cut = matches!(self.link, Link::CutUntil(_));
        let is_lost = is_cut && self.random.bool();
        if !is_lost {
            for (sequence, time_ms) in samples(publication) {
                let times = self.arrived.entry(sequence).or_default();
                if times.is_empty() {
                    self.order.push(sequence);
                } else {
                    self.duplicates += 1;
                }
                times.insert(time_ms);
            }
        }
        if !is_cut {
            let delay = Duration::from_millis(self.random.u64(1..400));
            self.answers.push_back((self.now + delay, token));
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }
}

fn message(payload: Bytes, packet_id: PacketId) -> Message {
    Message {
        topic: "my/samples".into(),
        payload,
        qos: QoS::AtLeastOnce,
        retain: false,
        packet_id: Some(packet_id),
        properties: MessageProperties::NONE,
        expiry_s: None,
    }
}

/// The book goes on in the next boot.
fn rebooted(boots: &Boots, boot: &str) -> Boots {
    boots.clone().in_boot(boot)
}

/// The samples of a message, by number, with their times.
fn samples(publication: &Publication) -> Vec<(u64, i64)> {
    let body: Value = serde_json::from_slice(&publication.payload).unwrap();
    if publication.topic == "far/samples" {
        return vec![(body["sequence"].as_u64().unwrap(), body["time_ms"].as_i64().unwrap())];
    }
    assert!(publication.payload.len() <= ubidots::BODY_BYTES_MAX);
    let dots = match &body["temperature"] {
        Value::Array(dots) => dots.clone(),
        dot => vec![dot.clone()],
    };
    let name = |dot: &Value| (dot["context"]["sequence"].as_u64().unwrap(), dot["timestamp"].as_i64().unwrap());
    dots.iter().map(name).collect()
}
