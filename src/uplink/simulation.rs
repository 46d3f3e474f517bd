//! Hours of an uplink from one seed: cuts, kills, clocks that jump, answers that come late or never. What arrives is
//! compared with what was sampled.

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
        let rules = vec![Rule::new("samples", Direction::Out, "my/", "far/").unwrap()];
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

/// An hour with 100 cuts and 20 kills, five of them power cuts, and a clock that is wrong at first and jumps; then time to
/// drain. Gives the world as it is then.
fn hour(seed: u64, kind: &'static str, is_live_first: bool) -> World {
    let mut world = World::new(seed, kind, is_live_first);
    world.machine.handle_local_up(20);
    for second in 0..3600_u64 {
        world.sample();
        match second % 36 {
            7 => {
                let wait = Duration::from_millis(world.random.u64(100..20_000));
                let until = world.now + wait;
                world.link = if world.random.bool() { Link::CutUntil(until) } else { Link::MuteUntil(until) };
            }
            20 if second % 180 == 20 => {
                let is_reboot = second % 720 == 20;
                world.kill(is_reboot);
            }
            25 => (world.is_synchronised, world.wall_error_ms) = (true, 0),
            // the clock jumps back, and is right again a little later
            30 if world.is_synchronised => world.wall_error_ms = -world.random.i64(0..5000),
            _ => {}
        }
        world.run_for(Duration::from_secs(1));
    }
    world.link = Link::Stands;
    world.run_for(Duration::from_secs(120));
    world
}

fn check(world: &World, seed: u64) {
    let expected: Vec<u64> = (1..=3600).collect();
    let arrived: Vec<u64> = world.arrived.keys().copied().collect();
    assert_eq!(arrived, expected, "seed {seed}: readings lost");
    assert_eq!(world.acknowledged, expected, "seed {seed}: acknowledged");
    assert!(world.outbox.is_empty(), "seed {seed}");
    for pair in world.publish_times.windows(4).filter(|_| world.kind == "ubidots") {
        assert!(pair[3].since(pair[0]) >= Duration::from_millis(500), "seed {seed}: too many publishes in a second");
    }
}

#[test]
fn an_hour_of_cuts_and_kills_loses_no_reading_and_keeps_their_order() {
    for seed in 0..6 {
        for kind in ["bridge", "ubidots"] {
            let world = hour(seed, kind, false);
            check(&world, seed);
            assert!(world.order.is_sorted(), "seed {seed}: {kind} in order");
        }
    }
}

#[test]
fn an_hour_of_cuts_and_kills_loses_no_reading_when_the_live_ones_go_first() {
    for seed in 0..6 {
        for kind in ["bridge", "ubidots"] {
            check(&hour(seed, kind, true), seed);
        }
    }
}

#[test]
fn while_nothing_is_cut_each_sample_goes_once_in_either_order() {
    for is_live_first in [false, true] {
        for kind in ["bridge", "ubidots"] {
            let mut world = World::new(1, kind, is_live_first);
            (world.is_synchronised, world.wall_error_ms) = (true, 0);
            world.machine.handle_local_up(20);
            for _ in 0..600 {
                world.sample();
                world.run_for(Duration::from_secs(1));
            }
            assert_eq!((world.publishes, world.duplicates), (600, 0), "{kind} {is_live_first}");
            assert!(world.outbox.is_empty());
        }
    }
}

#[test]
fn live_samples_do_not_wait_for_a_backlog_and_the_backlog_does_not_repeat_them() {
    let mut world = World::new(3, "bridge", true);
    (world.is_synchronised, world.wall_error_ms) = (true, 0);
    world.machine.handle_local_up(20);
    world.link = Link::CutUntil(world.now + Duration::from_secs(2000));
    for _ in 0..2000 {
        world.sample();
        world.run_for(Duration::from_secs(1));
    }
    while !world.is_connected {
        world.step();
    }
    world.sample();
    world.run_for(Duration::from_millis(300));
    let live = world.order.iter().position(|sequence| *sequence == 2001).unwrap();
    assert!(live < 150, "{live} came before it");
    world.run_for(Duration::from_secs(120));
    assert_eq!((world.arrived.len(), world.duplicates), (2001, 0));
}

#[test]
fn a_backlog_drains_beside_live_samples_of_which_some_wait_for_every_publish() {
    let mut world = World::new(4, "ubidots", true);
    (world.is_synchronised, world.wall_error_ms) = (true, 0);
    world.machine.handle_local_up(20);
    world.link = Link::CutUntil(world.now + Duration::from_secs(60));
    for _ in 0..600 {
        world.sample();
        world.run_for(Duration::from_millis(100));
    }
    while !world.is_connected {
        world.step();
    }
    for _ in 0..300 {
        world.sample();
        world.run_for(Duration::from_millis(100));
    }
    assert!(world.outbox.len() < 20, "{} are behind after 30 s", world.outbox.len());
    assert_eq!(world.duplicates, 0);
}

#[test]
fn times_are_of_the_moment_of_measurement_whatever_happened_since() {
    let mut world = World::new(5, "bridge", false);
    world.machine.handle_local_up(20);
    world.link = Link::CutUntil(world.now + Duration::from_secs(100));
    let mut taken = BTreeMap::new();
    for second in 0..200 {
        if second == 50 {
            (world.is_synchronised, world.wall_error_ms) = (true, 0);
        }
        taken.insert(world.sequence + 1, START_MS + i64::try_from(world.now.since_boot().as_millis()).unwrap());
        world.sample();
        world.run_for(Duration::from_secs(1));
    }
    world.run_for(Duration::from_secs(120));
    for (sequence, times) in &world.arrived {
        let expected = taken[sequence];
        assert!(times.iter().all(|time_ms| (time_ms - expected).abs() <= 1000), "{sequence}: {times:?} {expected}");
    }
    assert_eq!(world.arrived.len(), 200);
}

/// How long after a cut of so long the uplink is connected again, over seeds: median and longest.
#[test]
fn reconnects_follow_a_cut_within_the_longest_wait() {
    for cut in [1, 60, 3600] {
        let mut waits: Vec<Duration> = (0..101).map(|seed| reconnect(seed, Duration::from_secs(cut))).collect();
        waits.sort();
        let (median, longest) = (waits[50], waits[100]);
        println!("cut of {cut} s: connected again after {median:?} in the middle, {longest:?} at most");
        assert!(longest <= Duration::from_secs(60) + STEP);
    }
}

fn reconnect(seed: u64, cut: Duration) -> Duration {
    let mut world = World::new(seed, "bridge", false);
    world.machine.handle_local_up(20);
    world.run_for(Duration::from_secs(20));
    assert!(world.is_connected);
    let over = world.now + cut;
    world.link = Link::CutUntil(over);
    world.step();
    while !world.is_connected {
        world.step();
    }
    world.now.since(over)
}

/// Backlogs at 1 Hz, within the limits of Ubidots: told with `--no-capture`.
#[test]
fn a_backlog_drains_within_the_limits_as_it_is_told_beforehand() {
    for (behind, dots_per_s) in [(86_400, None), (3600, Some(6.0))] {
        let (time, publishes) = drain(behind, dots_per_s);
        println!("{behind} s at 1 Hz, dots a second {dots_per_s:?}: drained in {time:?} by {publishes} publishes");
    }
}

fn drain(behind: u64, dots_per_s: Option<f64>) -> (Duration, u64) {
    let names = ["temperature", "pressure", "humidity"];
    let options = ubidots::Options {
        device: "pi".into(),
        send: names.map(|name| (name.to_owned(), name.to_owned())).into(),
        qos: QoS::AtLeastOnce,
        context: false,
        every: None,
        publishes_per_s: 3.0,
        dots_per_s,
        online: None,
        receive: Vec::new(),
        samples: topic("my/samples"),
    };
    let drain = options.drain(Duration::from_secs(behind), Duration::from_secs(1)).unwrap();
    let work = Work::Ubidots(Box::new(Ubidots::new(options, Received::default())));
    let mut machine = Machine::new(limits(), work, Boots::unkept("boot"));
    let mut now = Now {
        monotonic: Monotonic::from_boot(Duration::from_secs(86_400)),
        wall: Wall::from_unix_ms(START_MS),
        is_synchronised: true,
    };
    let start = now.monotonic;
    let (mut delivered, mut window, mut publishes, mut acknowledged) = (0_u64, 0_usize, 0_u64, 0_u64);
    let mut answers = Vec::new();
    let sample = |sequence: u64| {
        let reading = |value| ReadingMessage { value: Some(value), unit: String::new(), reason: None, text: None };
        SampleMessage {
            boot_id: "boot".into(),
            sequence,
            monotonic_ms: sequence * 1000,
            time_ms: START_MS - 86_400_000 + i64::try_from(sequence * 1000).unwrap(),
            synchronised: true,
            source: String::new(),
            readings: [21.3701, 1013.2568, 44.9012]
                .into_iter()
                .zip(names)
                .map(|(value, name)| (name.to_owned(), reading(value)))
                .collect(),
        }
    };
    machine.handle_far_up(terms(), now);
    let total = |now: Now| behind + now.monotonic.since(start).as_secs();
    // what was sampled a moment ago is always behind
    while acknowledged + 2 < total(now) {
        // what is sampled meanwhile queues behind
        while window < WINDOW && delivered < total(now) {
            delivered += 1;
            window += 1;
            let packet_id = PacketId::new(u16::try_from(delivered % 60_000 + 1).unwrap()).unwrap();
            machine.handle_local_message(Side::Backlog, message(sample(delivered).to_json().into(), packet_id), now);
        }
        while let Some(output) = machine.poll_output() {
            match output {
                Output::PublishFar(token, _) => {
                    publishes += 1;
                    answers.push(token);
                }
                Output::AcknowledgeLocal(..) => {
                    acknowledged += 1;
                    window -= 1;
                }
                other => panic!("{other:?}"),
            }
        }
        for token in answers.drain(..) {
            machine.handle_far_answer(token, ReasonCode::Success, now);
        }
        let wake = machine.next_deadline().unwrap_or(now.monotonic + Duration::from_secs(1));
        let step = wake.since(now.monotonic).clamp(Duration::from_millis(10), Duration::from_secs(1));
        now.monotonic = now.monotonic + step;
        machine.handle_timeout(now);
    }
    let time = now.monotonic.since(start);
    // what `check` tells beforehand is the right size
    let ratio = time.as_secs_f64() / drain.time.as_secs_f64();
    assert!((0.5..2.0).contains(&ratio), "{time:?} beside {:?}", drain.time);
    (time, publishes)
}

#[test]
fn a_message_that_ends_connections_is_put_aside_and_the_others_go_on() {
    let mut world = World::new(1, "bridge", false);
    (world.is_synchronised, world.wall_error_ms) = (true, 0);
    world.machine.handle_local_up(20);
    let now = world.clocks();
    for number in 1..=5_u16 {
        let payload = Bytes::from(number.to_string());
        let message = Message { topic: "my/samples".into(), ..message(payload, PacketId::new(number).unwrap()) };
        world.machine.handle_local_message(Side::Backlog, message, now);
    }
    let (mut arrived, mut rejected, mut acknowledged, mut connections) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut is_up = false;
    for _ in 0..100 {
        if !is_up {
            world.machine.handle_far_up(terms(), now);
            (is_up, connections) = (true, connections + 1);
        }
        let mut is_ended = false;
        while let Some(output) = world.machine.poll_output() {
            match output {
                Output::PublishFar(..) if is_ended => {}
                Output::PublishFar(_, publication) if publication.payload == "3" => is_ended = true,
                Output::PublishFar(token, publication) => {
                    arrived.push(publication.payload.clone());
                    world.machine.handle_far_answer(token, ReasonCode::Success, now);
                }
                Output::PublishLocal(token, publication) => {
                    rejected.push(publication);
                    world.machine.handle_local_answer(token, ReasonCode::Success, now);
                }
                Output::AcknowledgeLocal(_, packet_id) => acknowledged.push(packet_id.get()),
                other => panic!("{other:?}"),
            }
        }
        if is_ended {
            world.machine.handle_far_lost(&Loss::Closed, now);
            is_up = false;
        }
    }
    assert_eq!(arrived, ["1", "2", "4", "5"]);
    assert_eq!((acknowledged, connections), (vec![1, 2, 3, 4, 5], 6));
    let [rejected] = rejected.as_slice() else { panic!("{rejected:?}") };
    let said: Value = serde_json::from_slice(&rejected.payload).unwrap();
    assert_eq!((rejected.topic.as_str(), &said["payload"]), ("my/uplink/x/rejected", &Value::from("3")));
    assert_eq!(world.machine.tally().rejected, 1);
}

#[test]
fn a_cut_is_nobodys_fault() {
    let mut world = World::new(2, "bridge", false);
    (world.is_synchronised, world.wall_error_ms) = (true, 0);
    world.machine.handle_local_up(20);
    for _ in 0..50 {
        world.sample();
        world.link = Link::CutUntil(world.now + Duration::from_secs(1));
        world.run_for(Duration::from_secs(5));
    }
    world.run_for(Duration::from_secs(100));
    assert_eq!((world.machine.tally().rejected, world.arrived.len()), (0, 50));
}

#[test]
fn what_the_local_broker_sends_again_has_the_time_that_it_had_before() {
    let mut world = World::new(6, "ubidots", false);
    (world.is_synchronised, world.wall_error_ms) = (true, 0);
    world.machine.handle_local_up(20);
    world.link = Link::CutUntil(world.now + Duration::from_secs(20));
    let mut taken = BTreeMap::new();
    for _ in 0..10 {
        taken.insert(world.sequence + 1, world.clocks().wall.unix_ms());
        world.sample();
        world.run_for(Duration::from_secs(1));
    }
    // the local broker is restarted: an external one may be
    world.machine.handle_local_lost(Side::Backlog);
    world.in_flight.clear();
    world.machine.handle_local_up(20);
    world.deliver();
    world.run_for(Duration::from_secs(60));
    let arrived: BTreeMap<u64, i64> =
        world.arrived.iter().flat_map(|(sequence, times)| times.iter().map(|time_ms| (*sequence, *time_ms))).collect();
    assert_eq!(arrived, taken);
}

#[test]
fn messages_of_qos_0_that_come_in_hold_nothing_up_because_nobody_answers_them() {
    let rules = vec![Rule::new("commands", Direction::In, "my/", "far/").unwrap()];
    let options = bridge::Options { rules, profile: bridge::Profile::Generic, status: None };
    let work = Work::Bridge(Box::new(Bridge::new(options)));
    let mut machine = Machine::new(limits(), work, Boots::unkept("boot-1"));
    let now = World::new(2, "bridge", false).clocks();
    machine.handle_local_up(2);
    machine.handle_far_up(terms(), now);
    let last = PacketId::new(7).unwrap();
    let come = Message { topic: "far/commands".into(), ..message("on".into(), last) };
    for _ in 0..10 {
        machine.handle_far_message(&Message { qos: QoS::AtMostOnce, packet_id: None, ..come.clone() }, now);
    }
    machine.handle_far_message(&come, now);
    let outputs: Vec<_> = std::iter::from_fn(|| machine.poll_output()).collect();
    assert_eq!(outputs.len(), 11, "{outputs:?}");
    let Some(Output::PublishLocal(token, _)) = outputs.last() else { panic!("{outputs:?}") };
    machine.handle_local_answer(*token, ReasonCode::Success, now);
    assert_eq!(machine.poll_output(), Some(Output::AcknowledgeFar(last)));
    assert_eq!(machine.tally().received, 11);
}

#[test]
fn what_version_5_refuses_for_good_is_put_aside_and_what_it_refuses_for_now_comes_again() {
    let mut world = World::new(2, "bridge", false);
    world.machine.handle_local_up(20);
    let mut now = world.clocks();
    world.machine.handle_far_up(terms(), now);
    for number in 1..=2_u16 {
        let message = message(Bytes::from(number.to_string()), PacketId::new(number).unwrap());
        world.machine.handle_local_message(Side::Backlog, message, now);
    }
    let mut outputs = Vec::new();
    let mut poll = |machine: &mut Machine| {
        outputs.extend(std::iter::from_fn(|| machine.poll_output()));
        std::mem::take(&mut outputs)
    };
    let sent = poll(&mut world.machine);
    let [Output::PublishFar(first, _), Output::PublishFar(second, _)] = sent.as_slice() else { panic!("{sent:?}") };
    world.machine.handle_far_answer(*first, ReasonCode::QuotaExceeded, now);
    assert_eq!(poll(&mut world.machine), []);
    now.monotonic = world.machine.next_deadline().unwrap();
    world.machine.handle_timeout(now);
    let again = poll(&mut world.machine);
    let [Output::PublishFar(again, publication)] = again.as_slice() else { panic!("{again:?}") };
    assert_eq!(publication.payload, "1");
    world.machine.handle_far_answer(*second, ReasonCode::NotAuthorized, now);
    let aside = poll(&mut world.machine);
    let [Output::PublishLocal(aside, _)] = aside.as_slice() else { panic!("{aside:?}") };
    world.machine.handle_local_answer(*aside, ReasonCode::Success, now);
    world.machine.handle_far_answer(*again, ReasonCode::Success, now);
    assert_eq!(poll(&mut world.machine).len(), 2);
}

#[test]
fn what_the_far_side_does_not_take_is_heeded() {
    let mut world = World::new(2, "bridge", false);
    world.machine.handle_local_up(20);
    let now = world.clocks();
    let small = Terms { packet_bytes_max: 60, qos_max: QoS::AtMostOnce, retain_available: false, ..terms() };
    world.machine.handle_far_up(small, now);
    let retained = |payload: &'static str, id| Message {
        retain: true,
        ..message(Bytes::from_static(payload.as_bytes()), PacketId::new(id).unwrap())
    };
    world.machine.handle_local_message(Side::Backlog, retained("short", 1), now);
    world.machine.handle_local_message(
        Side::Backlog,
        retained("a payload that is longer than what the far side says that it takes", 2),
        now,
    );
    let outputs: Vec<_> = std::iter::from_fn(|| world.machine.poll_output()).collect();
    let [Output::PublishFar(_, sent), Output::AcknowledgeLocal(..), Output::PublishLocal(_, aside)] =
        outputs.as_slice()
    else {
        panic!("{outputs:?}")
    };
    assert_eq!((sent.qos, sent.retain), (QoS::AtMostOnce, false));
    assert!(String::from_utf8_lossy(&aside.payload).contains("60 at most"));
}
