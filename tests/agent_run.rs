//! The agent against a broker that records what it is told.

mod agent_broker;

use std::time::Duration;

use agent_broker::agent::{Agent, options, sample, topic};
use agent_broker::{Answer, Broker, Seen, said};
use sensegate::agent::{self, BrokerAddress, LedsTopics, Options, StateTopic};
use sensegate::base::clock::Monotonic;
use sensegate::mqtt::QoS;
use sensegate::sensors::{Absence, Reading, Reason};

fn unplugged() -> Reading {
    Err(Absence { reason: Reason::NoChip, text: "nobody answers".into(), since: Monotonic::ZERO })
}

#[tokio::test]
async fn agent_says_online_with_its_will_then_values_then_offline_and_leaves() {
    let mut broker = Broker::start();
    let mut agent = Agent::start(&broker, options(&broker));
    let connect = broker.next_connect().await;
    let will = connect.last_will.unwrap();
    assert_eq!((will.topic.as_str(), &will.message[..], will.retain), ("t/status", &b"offline"[..], true));
    assert!(connect.clean_session);
    assert_eq!(broker.next_message().await, said("t/status", "online", 1, true));

    agent.sample(Ok(21.37)).await;
    assert_eq!(broker.next_message().await, said("t/temperature", "21.4", 0, true));
    agent.progress.wait_for(|progress| progress.is_connected && progress.first_reading.is_some()).await.unwrap();

    agent.stop().await;
    assert_eq!(broker.next_message().await, said("t/status", "offline", 1, true));
    assert_eq!(broker.next().await, Seen::Disconnect);
}

#[tokio::test]
async fn a_value_from_before_the_connection_is_published_when_it_is_there() {
    let mut broker = Broker::start();
    let mut late = options(&broker);
    late.broker = BrokerAddress::House { socket: broker.socket.with_extension("late") };
    let mut agent = Agent::start(&broker, late.clone());
    agent.sample_taken(Ok(1.0)).await;
    agent.sample_taken(Ok(2.0)).await;
    agent.reload(options(&broker)).await;
    broker.next_connect().await;
    assert_eq!(broker.next_message().await, said("t/status", "online", 1, true));
    assert_eq!(broker.next_message().await, said("t/temperature", "2.0", 0, true));
    agent.stop().await;
}

#[tokio::test]
async fn after_a_cut_the_agent_announces_and_publishes_the_last_values_again() {
    let mut broker = Broker::start();
    let mut agent = Agent::start(&broker, options(&broker));
    agent.sample(Ok(21.0)).await;
    broker.skip_to("t/temperature", "21.0").await;
    for _ in 0..3 {
        broker.cut();
        assert_eq!(broker.next().await, Seen::Gone);
        broker.next_connect().await;
        assert_eq!(broker.next_message().await, said("t/status", "online", 1, true));
        assert_eq!(broker.next_message().await, said("t/temperature", "21.0", 0, true));
    }
    agent.stop().await;
}

#[tokio::test]
async fn a_dead_sensor_clears_its_retained_value_once_a_connection() {
    let mut broker = Broker::start();
    let mut agent = Agent::start(&broker, options(&broker));
    agent.sample(Ok(21.0)).await;
    broker.skip_to("t/temperature", "21.0").await;
    for _ in 0..3 {
        agent.sample_taken(unplugged()).await;
    }
    assert_eq!(broker.next_message().await, said("t/temperature", "", 0, true));

    broker.cut();
    assert_eq!(broker.next().await, Seen::Gone);
    broker.next_connect().await;
    assert_eq!(broker.next_message().await, said("t/status", "online", 1, true));
    assert_eq!(broker.next_message().await, said("t/temperature", "", 0, true));
    agent.sample(Ok(22.0)).await;
    assert_eq!(broker.next_message().await, said("t/temperature", "22.0", 0, true));
    agent.stop().await;
}

fn renamed(mut options: Options) -> Options {
    for quantity in &mut options.quantities {
        quantity.topic = topic("t/renamed");
    }
    options
}

#[tokio::test]
async fn a_topic_renamed_by_reload_is_cleared_without_a_new_connection() {
    let mut broker = Broker::start();
    let mut agent = Agent::start(&broker, options(&broker));
    agent.sample(Ok(21.0)).await;
    broker.skip_to("t/temperature", "21.0").await;

    agent.reload(renamed(options(&broker))).await;
    assert_eq!(broker.next_message().await, said("t/status", "online", 1, true));
    assert_eq!(broker.next_message().await, said("t/temperature", "", 1, true));
    assert_eq!(broker.next_message().await, said("t/renamed", "21.0", 0, true));
    agent.stop().await;
    assert!(!broker.memory_text().contains("t/temperature"), "{}", broker.memory_text());
    assert!(broker.memory_text().contains("t/renamed"));
}

#[tokio::test]
async fn a_topic_switched_off_by_restart_is_cleared_until_the_broker_has_acknowledged_it() {
    let mut broker = Broker::start();
    let agent = Agent::start(&broker, options(&broker));
    broker.skip_to("t/status", "online").await;
    agent.stop().await;
    broker.skip_to("t/status", "offline").await;

    let mut without = options(&broker);
    without.quantities.clear();
    without.status = None;
    broker.answer(Answer::Nothing);
    let agent = Agent::start(&broker, without.clone());
    broker.skip_to("t/temperature", "").await;
    agent.stop().await;
    assert!(broker.memory_text().contains("t/temperature"), "{}", broker.memory_text());

    broker.answer(Answer::Acknowledge);
    let agent = Agent::start(&broker, without.clone());
    broker.skip_to("t/status", "").await;
    let skipped = broker.skip_to("t/temperature", "").await;
    assert_eq!(skipped, [], "both are cleared again");
    agent.stop().await;
    assert!(!broker.memory_text().contains("t/"), "{}", broker.memory_text());

    let agent = Agent::start(&broker, without);
    let mut progress = agent.progress.clone();
    progress.wait_for(|progress| progress.is_connected).await.unwrap();
    agent.stop().await;
    assert_eq!(broker.next().await, Seen::Disconnect);
    broker.next_connect().await;
    assert_eq!(broker.next().await, Seen::Disconnect, "nothing is left to clear");
}

#[tokio::test]
async fn another_will_needs_a_clean_end_and_a_new_connection() {
    let mut broker = Broker::start();
    let agent = Agent::start(&broker, options(&broker));
    broker.next_connect().await;
    assert_eq!(broker.next_message().await, said("t/status", "online", 1, true));

    let mut moved = options(&broker);
    moved.status.as_mut().unwrap().topic = topic("t/presence");
    agent.reload(moved).await;
    assert_eq!(broker.next_message().await, said("t/status", "offline", 1, true));
    assert_eq!(broker.next().await, Seen::Disconnect);
    assert_eq!(broker.next_connect().await.last_will.unwrap().topic, "t/presence");
    assert_eq!(broker.next_message().await, said("t/presence", "online", 1, true));
    assert_eq!(broker.next_message().await, said("t/status", "", 1, true));
    agent.stop().await;
}

#[tokio::test]
async fn a_broker_that_does_not_acknowledge_offline_is_left_to_speak_the_will() {
    let mut broker = Broker::start();
    let agent = Agent::start(&broker, options(&broker));
    broker.skip_to("t/status", "online").await;
    broker.answer(Answer::Nothing);
    agent.stop().await;
    assert_eq!(broker.next_message().await, said("t/status", "offline", 1, true));
    assert_eq!(broker.next().await, Seen::Gone);
}

#[tokio::test]
async fn an_agent_that_is_stopped_without_a_connection_ends() {
    let broker = Broker::start();
    let mut nowhere = options(&broker);
    nowhere.broker = BrokerAddress::House { socket: broker.socket.with_extension("nowhere") };
    let mut agent = Agent::start(&broker, nowhere);
    agent.sample_taken(Ok(1.0)).await;
    agent.stop().await;
}

#[tokio::test]
async fn one_sample_is_published_and_the_status_of_a_running_gateway_left_alone() {
    let mut broker = Broker::start();
    let mut options = options(&broker);
    options.state = Some(StateTopic { topic: topic("t/state"), qos: QoS::AtLeastOnce, retain: true });
    let (sample, memory, wait) = (sample(1, &Ok(21.0)), broker.memory.clone(), Duration::from_secs(20));
    let once = agent::publish_once(options, &sample, Monotonic::ZERO, memory, wait);
    assert_eq!(once.await.unwrap(), 2);
    let connect = broker.next_connect().await;
    assert_eq!((connect.client_id.as_str(), connect.last_will), ("agent-once", None));
    assert_eq!(broker.next_message().await, said("t/temperature", "21.0", 0, true));
    let (name, state, qos, _) = broker.next_message().await;
    assert_eq!((name.as_str(), qos), ("t/state", 1));
    assert!(state.contains(r#""source":"simulated""#), "{state}");
    assert_eq!(broker.next().await, Seen::Disconnect);
    assert!(broker.memory_text().contains("t/state"));
}

#[tokio::test]
async fn one_sample_without_a_broker_is_an_error_in_words() {
    let broker = Broker::start();
    let mut nowhere = options(&broker);
    nowhere.broker = BrokerAddress::House { socket: broker.socket.with_extension("nowhere") };
    let (sample, memory, wait) = (sample(1, &Ok(21.0)), broker.memory.clone(), Duration::from_secs(20));
    let once = agent::publish_once(nowhere, &sample, Monotonic::ZERO, memory, wait);
    assert_eq!(once.await.unwrap_err().to_string(), "no connection to the embedded broker: the socket is not there");
}

#[tokio::test]
async fn an_acknowledgement_counts_that_comes_together_with_the_end_of_the_connection() {
    let broker = Broker::start();
    let mut options = options(&broker);
    for quantity in &mut options.quantities {
        quantity.qos = QoS::AtLeastOnce;
    }
    broker.answer(Answer::AcknowledgeAndClose);
    for sequence in 1..=20 {
        let (sample, memory, wait) = (sample(sequence, &Ok(21.0)), broker.memory.clone(), Duration::from_secs(20));
        let once = agent::publish_once(options.clone(), &sample, Monotonic::ZERO, memory, wait);
        assert_eq!(once.await.unwrap(), 1);
    }
}

fn with_leds(broker: &Broker, set: &str) -> Options {
    let leds = LedsTopics { set: topic(set), state: topic("t/leds"), error: topic("t/leds/error") };
    Options { leds: Some(leds), ..options(broker) }
}

fn filters(filter: &str) -> Vec<String> {
    vec![filter.to_owned()]
}

#[tokio::test]
async fn commands_are_subscribed_to_before_anything_is_said_on_each_connection() {
    let mut broker = Broker::start();
    let agent = Agent::start(&broker, with_leds(&broker, "t/leds/set"));
    for _ in 0..3 {
        broker.next_connect().await;
        assert_eq!(broker.next().await, Seen::Subscribe(filters("t/leds/set")));
        assert_eq!(broker.next_message().await, said("t/status", "online", 1, true));
        broker.cut();
        assert_eq!(broker.next().await, Seen::Gone);
    }
    agent.stop().await;
}

#[tokio::test]
async fn a_reload_moves_the_subscription_only_when_its_topic_is_another_one() {
    let mut broker = Broker::start();
    let agent = Agent::start(&broker, with_leds(&broker, "t/leds/set"));
    broker.skip_to("t/status", "online").await;
    agent.reload(with_leds(&broker, "t/leds/set")).await;
    assert_eq!(broker.next_message().await, said("t/status", "online", 1, true));
    agent.reload(with_leds(&broker, "t/show")).await;
    assert_eq!(broker.next().await, Seen::Unsubscribe(filters("t/leds/set")));
    assert_eq!(broker.next().await, Seen::Subscribe(filters("t/show")));
    assert_eq!(broker.next_message().await, said("t/status", "online", 1, true));
    agent.reload(options(&broker)).await;
    assert_eq!(broker.next().await, Seen::Unsubscribe(filters("t/show")));
    assert_eq!(broker.next_message().await, said("t/status", "online", 1, true));
    assert_eq!(broker.next_message().await, said("t/leds", "", 1, true));
    agent.stop().await;
}
