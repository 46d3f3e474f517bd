//! The topic of samples: at least once, in order, and only while somebody carries them.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail like the test itself")]

mod agent_broker;
mod support;

use std::ops::RangeInclusive;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use agent_broker::agent::{Agent, options, sample, topic};
use agent_broker::{Answer, Broker, Seen, message, said};
use sensegate::agent::{self, BrokerAddress, Command, Inputs, Options, Progress, Sample, SamplesTopic};
use sensegate::base::clock::Monotonic;
use sensegate::sensors::SampleMessage;
use support::{Subscriber, has_mosquitto, skip_or_fail};
use tokio::sync::{mpsc, watch};

/// Samples on `t/samples` beside the temperature, without a status.
fn options_with_samples(broker: &Broker) -> Options {
    Options { samples: Some(SamplesTopic { topic: topic("t/samples") }), status: None, ..options(broker) }
}

fn sequence_of(payload: &str) -> u64 {
    SampleMessage::from_json(payload.as_bytes()).unwrap().sequence
}

/// The topics and numbers of the next samples; everything else is passed over.
async fn next_samples(broker: &mut Broker, count: usize) -> Vec<(String, u64)> {
    let mut samples = Vec::new();
    while samples.len() < count {
        let Seen::Publish(publish) = broker.next().await else { continue };
        let (topic, payload, qos, retain) = message(&publish);
        if !topic.ends_with("samples") {
            continue;
        }
        assert_eq!((qos, retain, publish.dup), (1, false, false));
        samples.push((topic, sequence_of(&payload)));
    }
    samples
}

/// What [`next_samples`] is compared with.
fn on(topic: &str, sequences: impl IntoIterator<Item = u64>) -> Vec<(String, u64)> {
    sequences.into_iter().map(|sequence| (topic.to_owned(), sequence)).collect()
}

#[tokio::test]
async fn samples_wait_until_they_are_carried_and_come_once_each_in_order() {
    let mut broker = Broker::start();
    let mut agent = Agent::start(&broker, options_with_samples(&broker));
    broker.next_connect().await;
    for _ in 0..3 {
        agent.sample(Ok(21.0)).await;
        assert_eq!(broker.next_message().await, said("t/temperature", "21.0", 0, true));
    }
    agent.carried.send_replace(true);
    assert_eq!(next_samples(&mut broker, 3).await, on("t/samples", 1..=3));
    for _ in 0..100 {
        agent.sample(Ok(21.0)).await;
    }
    assert_eq!(next_samples(&mut broker, 100).await, on("t/samples", 4..=103));
    agent.stop().await;
}

#[tokio::test]
async fn samples_that_the_broker_has_not_acknowledged_come_again_after_a_cut() {
    let mut broker = Broker::start();
    broker.answer(Answer::Nothing);
    let mut agent = Agent::start(&broker, options_with_samples(&broker));
    agent.carried.send_replace(true);
    for _ in 0..40 {
        agent.sample_taken(Ok(21.0)).await;
    }
    assert_eq!(next_samples(&mut broker, 32).await, on("t/samples", 1..=32));

    broker.answer(Answer::Acknowledge);
    broker.cut();
    assert_eq!(next_samples(&mut broker, 40).await, on("t/samples", 1..=40));
    agent.sample(Ok(22.0)).await;
    assert_eq!(next_samples(&mut broker, 1).await, on("t/samples", [41]));
    agent.stop().await;
}

#[tokio::test]
async fn what_waits_goes_to_the_topic_and_to_the_connection_of_a_reload() {
    let mut broker = Broker::start();
    let mut agent = Agent::start(&broker, options_with_samples(&broker));
    agent.sample_taken(Ok(21.0)).await;
    agent.sample_taken(Ok(21.0)).await;
    let mut moved = options_with_samples(&broker);
    moved.samples = Some(SamplesTopic { topic: topic("moved/samples") });
    // so that it is seen when the reload is done
    moved.quantities[0].decimals = 3;
    agent.reload(moved.clone()).await;
    broker.skip_to("t/temperature", "21.000").await;
    agent.carried.send_replace(true);
    assert_eq!(next_samples(&mut broker, 2).await, on("moved/samples", 1..=2));

    broker.answer(Answer::Nothing);
    agent.sample(Ok(21.0)).await;
    assert_eq!(next_samples(&mut broker, 1).await, on("moved/samples", [3]));
    broker.answer(Answer::Acknowledge);
    agent.reload(Options { client_id: "another".into(), ..moved }).await;
    assert_eq!(next_samples(&mut broker, 1).await, on("moved/samples", [3]));
    agent.stop().await;
}

#[tokio::test]
async fn a_stop_waits_a_moment_for_what_is_on_its_way() {
    let mut broker = Broker::start();
    let with_status = Options { status: options(&broker).status, ..options_with_samples(&broker) };
    let mut agent = Agent::start(&broker, with_status);
    for _ in 0..200 {
        agent.sample_taken(Ok(21.0)).await;
    }
    agent.carried.send_replace(true);
    assert_eq!(next_samples(&mut broker, 1).await, on("t/samples", [1]));
    agent.stop().await;
    assert_eq!(next_samples(&mut broker, 199).await, on("t/samples", 2..=200));
    assert_eq!(broker.next_message().await, said("t/status", "offline", 1, true));
    assert_eq!(broker.next().await, Seen::Disconnect);
}

#[tokio::test]
async fn a_stop_does_not_wait_long_for_a_broker_that_takes_no_samples() {
    let mut broker = Broker::start();
    broker.answer(Answer::Nothing);
    let mut agent = Agent::start(&broker, options_with_samples(&broker));
    agent.carried.send_replace(true);
    agent.sample(Ok(21.0)).await;
    next_samples(&mut broker, 1).await;
    agent.stop().await;
    assert_eq!(broker.next().await, Seen::Disconnect);
}

/// The agent on a thread of its own, beside a test that waits for programs.
struct Beside {
    samples: mpsc::Sender<Sample>,
    commands: mpsc::Sender<Command>,
    carried: watch::Sender<bool>,
    thread: JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl Beside {
    /// One that publishes nothing but samples, at a broker on loopback.
    fn start(port: u16) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (samples, samples_in) = mpsc::channel(8);
        let (commands, commands_in) = mpsc::channel(1);
        let (carried, carried_in) = watch::channel(false);
        let options = Options {
            quantities: Vec::new(),
            state: None,
            status: None,
            samples: Some(SamplesTopic { topic: topic("t/samples") }),
            leds: None,
            stick: None,
            broker: BrokerAddress::External { host: "127.0.0.1".into(), port, credentials: None, tls: None },
            client_id: "agent".into(),
            keep_alive: Duration::from_secs(30),
            interval: Duration::from_secs(1),
        };
        let inputs = Inputs {
            samples: samples_in,
            commands: commands_in,
            carried: carried_in,
            leds: None,
            stick: None,
            memory: directory.path().join("topics.json"),
            started: Monotonic::ZERO,
            alive: sensegate::base::progress::Progress::new(Monotonic::ZERO),
        };
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(agent::run(options, inputs, watch::Sender::<Progress>::default()));
        });
        Self { samples, commands, carried, thread, _directory: directory }
    }

    fn sample(&self, sequences: RangeInclusive<u64>) {
        for sequence in sequences {
            self.samples.blocking_send(sample(sequence, &Ok(21.0))).unwrap();
        }
    }

    fn stop(self) {
        self.commands.blocking_send(Command::Stop).unwrap();
        self.thread.join().unwrap();
    }
}

/// What a subscriber is told up to the sample with the number `last`.
fn sequences_until(subscriber: &Subscriber, last: u64) -> Vec<u64> {
    let mut sequences = Vec::new();
    while sequences.last() != Some(&last) {
        let message = subscriber.message();
        assert_eq!((message.topic.as_str(), message.qos, message.retain), ("t/samples", 1, false));
        sequences.push(sequence_of(&message.payload));
    }
    sequences
}

#[test]
fn no_sample_is_lost_while_a_broker_is_restarted() {
    if !has_mosquitto() {
        return skip_or_fail("mosquitto is not installed");
    }
    let mut broker = support::Broker::start();
    let port = broker.port().to_string();
    let subscribe = || Subscriber::run(&["-h", "127.0.0.1", "-p", &port, "-t", "t/samples", "-q", "1"]);
    let agent = Beside::start(broker.port());
    agent.sample(1..=10);
    let before = subscribe();
    agent.carried.send_replace(true);
    agent.sample(11..=50);
    assert_eq!(sequences_until(&before, 50), (1..=50).collect::<Vec<_>>());

    agent.carried.send_replace(false);
    broker.stop();
    agent.sample(51..=150);
    broker.start_again();
    let after = subscribe();
    agent.carried.send_replace(true);
    agent.sample(151..=160);
    // what the broker had passed on but not acknowledged when it was stopped comes twice
    let sequences = sequences_until(&after, 160);
    assert!(
        sequences.is_sorted() && sequences.first().is_some_and(|&first| (19..=51).contains(&first)),
        "{sequences:?}"
    );
    assert_eq!(
        sequences.into_iter().filter(|&sequence| sequence > 50).collect::<Vec<_>>(),
        (51..=160).collect::<Vec<_>>()
    );
    agent.stop();
}
