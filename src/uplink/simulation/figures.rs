//! How long it takes to come back, and to carry what is behind: told with `--no-capture`.

use super::*;

/// How long an answer of the far side takes.
const ROUND_TRIP: Duration = Duration::from_millis(200);

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
    let window_max = options.window(Duration::from_secs(1));
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
    let mut answers = VecDeque::new();
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
        while window < window_max && delivered < total(now) {
            delivered += 1;
            window += 1;
            let packet_id = PacketId::new(u16::try_from(delivered % 60_000 + 1).unwrap()).unwrap();
            machine.handle_local_message(Side::Backlog, message(sample(delivered).to_json().into(), packet_id), now);
        }
        while let Some(output) = machine.poll_output() {
            match output {
                Output::PublishFar(token, _) => {
                    publishes += 1;
                    answers.push_back((now.monotonic + ROUND_TRIP, token));
                }
                Output::AcknowledgeLocal(..) => {
                    acknowledged += 1;
                    window -= 1;
                }
                other => panic!("{other:?}"),
            }
        }
        let next_answer = answers.front().map(|(due, _)| *due);
        let wake = machine.next_deadline().into_iter().chain(next_answer).min();
        let wake = wake.unwrap_or(now.monotonic + Duration::from_secs(1));
        let step = wake.since(now.monotonic).clamp(Duration::from_millis(1), Duration::from_secs(1));
        now.monotonic = now.monotonic + step;
        while answers.front().is_some_and(|(due, _)| *due <= now.monotonic)
            && let Some((_, token)) = answers.pop_front()
        {
            machine.handle_far_answer(token, ReasonCode::Success, now);
        }
        machine.handle_timeout(now);
    }
    let time = now.monotonic.since(start);
    // what `check` tells beforehand is the right size
    let ratio = time.as_secs_f64() / drain.time.as_secs_f64();
    assert!((0.5..2.0).contains(&ratio), "{time:?} beside {:?}", drain.time);
    (time, publishes)
}
