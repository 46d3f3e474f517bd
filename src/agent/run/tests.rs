//! What the agent does with samples, reloads and silence.

use super::*;
use crate::agent::sample::tests::sample;
use crate::agent::{BrokerAddress, SamplesTopic};

fn agent(samples: Option<SamplesTopic>) -> Agent {
    let options = Options {
        quantities: Vec::new(),
        state: None,
        status: None,
        samples,
        leds: None,
        stick: None,
        broker: BrokerAddress::House { socket: "/nowhere/broker.sock".into() },
        client_id: "agent".into(),
        keep_alive: Duration::from_secs(30),
        interval: Duration::from_secs(1),
    };
    Agent::new(options, Memory::empty("/nowhere/topics.json".into()), Monotonic::ZERO, watch::Sender::default())
}

fn samples_topic() -> SamplesTopic {
    SamplesTopic { topic: TopicName::new("t/samples").unwrap() }
}

/// The numbers of the samples that wait.
fn waiting(agent: &mut Agent) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some((sequence, _)) = agent.samples.next(&samples_topic()) {
        agent.samples.handle_sent();
        numbers.push(sequence);
    }
    agent.samples.handle_lost();
    numbers
}

#[tokio::test]
async fn an_overdue_sample_is_none_for_the_uplinks() {
    let mut agent = agent(Some(samples_topic()));
    agent.handle_sample(sample(7, |_| Ok(1.0)));
    agent.handle_overdue();
    assert!(agent.last.as_ref().is_some_and(|last| !last.has_value()));
    assert_eq!(waiting(&mut agent), [7]);
}

#[tokio::test]
async fn samples_wait_only_while_there_is_a_topic_for_them() {
    let mut agent = agent(None);
    agent.handle_sample(sample(1, |_| Ok(1.0)));
    agent.handle_reload(Options { samples: Some(samples_topic()), ..agent.options.clone() }).await;
    agent.handle_sample(sample(2, |_| Ok(1.0)));
    assert_eq!(waiting(&mut agent), [2]);
    agent.handle_reload(Options { samples: None, ..agent.options.clone() }).await;
    assert!(waiting(&mut agent).is_empty());
}

#[tokio::test]
async fn a_sample_that_had_to_go_is_counted() {
    let mut agent = agent(Some(samples_topic()));
    let progress = agent.progress.subscribe();
    for sequence in 0..u64::try_from(crate::agent::SAMPLES_WAITING_MAX).unwrap() + 3 {
        agent.handle_sample(sample(sequence, |_| Ok(1.0)));
    }
    assert_eq!(progress.borrow().dropped, 3);
    assert_eq!(waiting(&mut agent).first(), Some(&3));
}
