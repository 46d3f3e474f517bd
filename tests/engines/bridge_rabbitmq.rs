//! A bridge to RabbitMQ, one node and three; 3.10 speaks 3.1.1.

use std::net::SocketAddr;

use crate::amqp::{AmqpConsumer, Queue};
use crate::bridged::{Course, STATUS, bridge, expect_retained, expect_state, publish_numbers, start_gateway};
use crate::consumer::Consumer;
use crate::place::Place;
use crate::rabbit::RabbitCluster;
use crate::relay::Relay;
use crate::server::{Engine, tell};
use crate::support::{Python, skip_or_fail};

const PROFILE: &str = "profile = \"rabbitmq\"\n";

#[test]
fn everything_arrives_across_cuts_a_stop_and_a_kill_of_rabbitmq_and_a_kill_of_the_gateway() {
    if !RabbitCluster::is_installed() {
        return skip_or_fail("rabbitmq-server is not installed");
    }
    let python = match Python::find_pika() {
        Ok(python) => python,
        Err(missing) => return skip_or_fail(&missing),
    };
    let place = Place::loopback();
    let mut engine = RabbitCluster::start(&place, 1);
    let ports = engine.amqp_ports();
    let mut over_amqp = AmqpConsumer::start(&python, &place, &ports, Queue::Classic, "fleet.pi.samples");
    let mut relays = [Relay::start(engine.addresses()[0])];
    let mut course = Course::start(&place, &place, &engine, &[relays[0].address()], PROFILE);
    course.expect_protocol("3.1.1");
    let samples = Consumer::start(&place, vec![course.gateway.address()], "samples-here", "myRasp/samples");
    course.cut_and_freeze(&mut relays);
    engine.stop();
    course.wait_for_more();
    engine.start_again();
    // its waits begin anew with it
    course.kill_gateway();
    course.stretch();
    engine.kill();
    course.wait_for_more();
    engine.start_again();
    course.kill_gateway();
    course.stretch();
    course.expect_status("online");
    course.kill_gateway_before_all_eyes();
    expect_retained(&place, engine.addresses()[0], STATUS, Some("online"));
    let taken = samples.stop().sequences;
    let over_amqp = over_amqp.wait_for_all_of(&taken);
    assert_eq!(over_amqp.disorder(), None);
    tell(&format!("bridge to rabbitmq: samples over AMQP {over_amqp:?}"));
    course.finish();
    expect_retained(&place, engine.addresses()[0], STATUS, Some("offline"));
    name_with_a_wildcard_is_passed_over(engine.addresses()[0]);
}

/// The bridge knows all nodes. Its node is killed, then another one is stopped; who reads over MQTT is at the third, whose
/// queue stays, and who reads over AMQP has a queue on all of them.
#[test]
fn everything_arrives_while_a_node_of_the_cluster_is_killed() {
    if !RabbitCluster::is_installed() {
        return skip_or_fail("rabbitmq-server is not installed");
    }
    let python = match Python::find_pika() {
        Ok(python) => python,
        Err(missing) => return skip_or_fail(&missing),
    };
    let place = Place::loopback();
    let mut cluster = RabbitCluster::start(&place, 3);
    let ports: Vec<u16> = cluster.amqp_ports().into_iter().rev().collect();
    let mut over_amqp = AmqpConsumer::start(&python, &place, &ports, Queue::Quorum, "fleet.pi.line.#");
    let mut relays: Vec<Relay> = cluster.addresses().into_iter().map(Relay::start).collect();
    let urls: Vec<SocketAddr> = relays.iter().map(Relay::address).collect();
    // asked for version 5 the first one closes, and the next one has its turn
    let keys = format!("{PROFILE}protocol = \"3.1.1\"\n");
    let mut course = Course::start(&place, &place, &cluster, &urls, &keys);
    course.expect_state("the first node", |state| state["broker"] == urls[0].to_string());
    course.cut_and_freeze(&mut relays);
    cluster.kill_node(0);
    course.stretch();
    course.expect_state("another node", |state| state["broker"] != urls[0].to_string());
    course.kill_gateway_before_all_eyes();
    cluster.start_node(0);
    cluster.stop_node(1);
    course.stretch();
    let (total, _) = course.finish();
    let duplicates = over_amqp.wait_for(1, total.last).expect_all(1, total.last);
    tell(&format!("bridge to rabbitmq, 3 nodes: {duplicates} duplicates over AMQP"));
}

/// RabbitMQ takes a topic name with a wildcard and delivers it, which no broker may: what follows it arrives.
fn name_with_a_wildcard_is_passed_over(far: SocketAddr) {
    let place = Place::loopback();
    let rules = r#"{ topic = "leds/#", direction = "in", local_prefix = "other/", remote_prefix = "fleet/pi/" }"#;
    let gateway = start_gateway(&place, &bridge("inward", &[far], PROFILE, rules));
    expect_state(&place, &gateway, "inward", "connected", |state| state["connected"] == true);
    let consumer = Consumer::start(&place, vec![gateway.address()], "leds", "other/leds/#");
    publish_numbers(far, "fleet/pi/leds/set", 1..=5);
    publish_numbers(far, "fleet/pi/leds/+", 100..=100);
    publish_numbers(far, "fleet/pi/leds/set", 6..=10);
    consumer.wait_for(1, 10);
    assert_eq!(consumer.stop().sequences.expect_all(1, 10), 0);
}
