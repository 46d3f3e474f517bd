//! Every engine carries every number from a publisher to its consumers, across a stop, a kill and a start.

use std::path::PathBuf;
use std::time::Duration;

use sensegate::base::clock;

use crate::activemq::ActiveMq;
use crate::amqp::{AmqpConsumer, Queue};
use crate::consumer::Consumer;
use crate::mosquitto::Mosquitto;
use crate::nats::Nats;
use crate::place::Place;
use crate::publisher::{Plan, Publisher};
use crate::rabbit::RabbitCluster;
use crate::server::{ENGINE_PATIENCE, Engine, processes_with, tell, within};
use crate::support::{Python, skip_or_fail};

/// How many numbers are acknowledged between two things that happen to an engine.
const STRETCH: u64 = 400;

/// How many of them may wait for their acknowledgements.
const WINDOW: u8 = 20;

/// What happens to an engine before it is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outage {
    Stop,
    Kill,
}

/// One that is fast enough to have a few in flight.
fn plan(engine: &dyn Engine) -> Plan {
    let (topic, rest) = ("far/sensors/temperature".to_owned(), Duration::from_millis(2));
    Plan { addresses: engine.addresses(), topic, window: WINDOW.into(), rest }
}

/// A publisher and a consumer while the engine goes and comes back; everything arrives.
fn carries_across(engine: &mut dyn Engine, outages: &[Outage]) {
    let (place, began) = (Place::loopback(), clock::monotonic());
    let consumer = Consumer::start(&place, engine.addresses(), "far-side", "far/#");
    let publisher = Publisher::start(&place, plan(engine));
    publisher.wait_for_more(STRETCH);
    for outage in outages {
        match outage {
            Outage::Stop => engine.stop(),
            Outage::Kill => engine.kill(),
        }
        engine.start_again();
        publisher.wait_for_more(STRETCH);
    }
    let total = publisher.stop();
    consumer.wait_for(1, total.last);
    let record = consumer.stop();
    record.sequences.expect_all(1, total.last);
    assert_eq!(record.retained, 0, "{record:?}");
    let seconds = clock::monotonic().since(began).as_secs_f64();
    tell(&format!("{}: {outages:?} in {seconds:.1} s, {total:?}, {record:?}", engine.name()));
}

/// Starts an engine, tells how long that took, and holds that dropping it leaves no process behind.
fn with_engine<E: Engine>(start: impl FnOnce() -> E, body: impl FnOnce(&mut E)) {
    let began = clock::monotonic();
    let mut engine = start();
    let seconds = clock::monotonic().since(began).as_secs_f64();
    tell(&format!("{} serves after {seconds:.1} s", engine.name()));
    let directory: PathBuf = engine.directory().into();
    let text = directory.to_str().unwrap();
    assert!(!processes_with(text).is_empty(), "its processes are found");
    body(&mut engine);
    drop(engine);
    let gone = within(ENGINE_PATIENCE, || processes_with(text).is_empty().then_some(()));
    assert!(gone.is_some(), "left behind: {:?}", processes_with(text));
    assert!(!directory.exists(), "its files are gone");
}

#[test]
fn mosquitto_carries_everything_across_a_stop() {
    if !Mosquitto::is_installed() {
        return skip_or_fail("mosquitto is not installed");
    }
    with_engine(|| Mosquitto::start(&Place::loopback()), |engine| carries_across(engine, &[Outage::Stop]));
}

#[test]
fn nats_carries_everything_across_a_kill() {
    if !Nats::is_installed() {
        return skip_or_fail("nats-server is not installed");
    }
    with_engine(|| Nats::start(&Place::loopback()), |engine| carries_across(engine, &[Outage::Kill]));
}

/// See [`crate::nats`]: a release that does better passes as well.
#[test]
fn nats_loses_nothing_but_what_it_acknowledges_while_it_stops() {
    if !Nats::is_installed() {
        return skip_or_fail("nats-server is not installed");
    }
    with_engine(|| Nats::start(&Place::loopback()), loses_only_while_it_stops);
}

fn loses_only_while_it_stops(engine: &mut Nats) {
    let place = Place::loopback();
    let consumer = Consumer::start(&place, engine.addresses(), "far-side", "far/#");
    let publisher = Publisher::start(&place, plan(engine));
    publisher.wait_for_more(STRETCH);
    let before = publisher.acknowledged();
    engine.stop();
    let after = publisher.acknowledged();
    engine.start_again();
    publisher.wait_for_more(STRETCH);
    let total = publisher.stop();
    consumer.wait_for(1, before);
    consumer.wait_for(after + 1, total.last);
    let sequences = consumer.stop().sequences;
    let gaps = sequences.gaps(1, total.last);
    assert!(gaps.iter().all(|gap| before < gap.0 && gap.1 <= after), "{gaps:?} between {before} and {after}");
    tell(&format!("nats: stopped between {before} and {after}, missing {gaps:?}"));
}

#[test]
fn activemq_carries_everything_across_a_stop_and_a_kill() {
    if !ActiveMq::is_installed() {
        return skip_or_fail("activemq or libmqtt-client-java is not installed");
    }
    let outages = [Outage::Stop, Outage::Kill];
    with_engine(|| ActiveMq::start(&Place::loopback()), |engine| carries_across(engine, &outages));
}

#[test]
fn one_rabbitmq_carries_everything_across_a_stop_and_a_kill() {
    if !RabbitCluster::is_installed() {
        return skip_or_fail("rabbitmq-server is not installed");
    }
    let outages = [Outage::Stop, Outage::Kill];
    with_engine(|| RabbitCluster::start(&Place::loopback(), 1), |engine| carries_across(engine, &outages));
}

#[test]
fn a_rabbitmq_cluster_carries_everything_to_amqp_while_a_node_is_killed() {
    if !RabbitCluster::is_installed() {
        return skip_or_fail("rabbitmq-server is not installed");
    }
    let python = match Python::find_pika() {
        Ok(python) => python,
        Err(missing) => return skip_or_fail(&missing),
    };
    with_engine(|| RabbitCluster::start(&Place::loopback(), 3), |cluster| cluster_carries(cluster, &python));
}

/// The publisher's node is killed and comes back, then another one is stopped. What is published over MQTT is taken
/// over MQTT from a node that lives, and over AMQP from a queue on all nodes. A session on the killed node may miss
/// what was published without that node, see [`crate::rabbit`].
fn cluster_carries(cluster: &mut RabbitCluster, python: &Python) {
    let (place, began) = (Place::loopback(), clock::monotonic());
    let ports: Vec<u16> = cluster.amqp_ports().into_iter().rev().collect();
    let mut over_amqp = AmqpConsumer::start(python, &place, &ports, Queue::Quorum, "far.#");
    let over_mqtt = Consumer::start(&place, vec![cluster.address(2)], "far-side", "far/#");
    let with_the_node = Consumer::start(&place, vec![cluster.address(0)], "with-the-node", "far/#");
    let publisher = Publisher::start(&place, plan(cluster));
    publisher.wait_for_more(STRETCH);
    let killed_at = publisher.acknowledged();
    cluster.kill_node(0);
    publisher.wait_for_more(STRETCH);
    cluster.start_node(0);
    let back_at = publisher.acknowledged();
    publisher.wait_for_more(STRETCH);
    cluster.stop_node(1);
    publisher.wait_for_more(STRETCH);
    cluster.start_node(1);
    let total = publisher.stop();
    over_amqp.wait_for(1, total.last).expect_all(1, total.last);
    over_mqtt.wait_for(1, total.last);
    over_mqtt.stop().sequences.expect_all(1, total.last);
    with_the_node.wait_for(1, killed_at);
    with_the_node.wait_for(back_at + u64::from(WINDOW), total.last);
    let missing = with_the_node.stop().sequences.gaps(1, total.last);
    tell(&format!("rabbitmq: a session on the node that was away from {killed_at} to {back_at} misses {missing:?}"));
    let seconds = clock::monotonic().since(began).as_secs_f64();
    tell(&format!("rabbitmq, 3 nodes: {seconds:.1} s, {total:?}, over AMQP {:?}", over_amqp.sequences()));
}
