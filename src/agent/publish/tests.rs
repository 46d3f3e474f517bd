//! What one sample puts where, case by case.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::sample::tests::{absent, sample};
use super::super::{BrokerAddress, Report, StateTopic};
use super::*;
use crate::sensors::Quantity;

pub(in crate::agent) fn options(payload: PayloadFormat, retain: bool) -> Options {
    Options {
        quantities: vec![QuantityTopic {
            quantity: Quantity::Temperature,
            topic: TopicName::new("t/temperature").unwrap(),
            qos: QoS::AtMostOnce,
            retain,
            payload,
            decimals: 2,
            report: Report::Always,
        }],
        state: None,
        status: None,
        samples: None,
        leds: None,
        stick: None,
        broker: BrokerAddress::House { socket: PathBuf::from("/nowhere") },
        client_id: "agent".into(),
        keep_alive: Duration::from_secs(30),
        interval: Duration::from_secs(1),
    }
}

/// What `readings` publish one after the other on one connection, as text.
pub(in crate::agent) fn check(options: &Options, readings: &[Reading], expected: &[Option<&str>]) {
    let mut said = Said::default();
    for (second, (reading, expected)) in (1..).zip(readings.iter().zip(expected)) {
        let sample = sample(second, |_| reading.clone());
        let published = publications(options, &sample, &said, Monotonic::ZERO);
        let published: Vec<_> =
            published.iter().map(|message| std::str::from_utf8(&message.payload).unwrap()).collect();
        assert_eq!(published.first().copied(), *expected, "in cycle {second}");
        said = said.with(options, &sample);
    }
}

#[test]
fn a_value_is_published_each_cycle_with_its_decimals() {
    let options = options(PayloadFormat::Plain, true);
    check(&options, &[Ok(21.374), Ok(21.376), Ok(-5.0)], &[Some("21.37"), Some("21.38"), Some("-5.00")]);
}

#[test]
fn a_zero_has_no_sign() {
    check(&options(PayloadFormat::Plain, true), &[Ok(-0.001), Ok(-0.0)], &[Some("0.00"), Some("0.00")]);
    assert_eq!(decimal(-0.4, 0), "0");
    assert_eq!(decimal(-0.6, 0), "-1");
}

#[test]
fn an_absence_clears_the_retained_value_once() {
    let dead = || absent(Reason::NoChip, 2);
    check(
        &options(PayloadFormat::Plain, true),
        &[Ok(1.0), dead(), dead(), absent(Reason::Timeout, 4), Ok(2.0), dead()],
        &[Some("1.00"), Some(""), None, None, Some("2.00"), Some("")],
    );
}

#[test]
fn an_absence_without_retain_is_silent_in_plain_form() {
    let dead = absent(Reason::NoChip, 2);
    check(&options(PayloadFormat::Plain, false), &[Ok(1.0), dead, Ok(2.0)], &[Some("1.00"), None, Some("2.00")]);
}

#[test]
fn a_dead_sensor_is_told_on_a_new_connection_and_after_it_was_starting() {
    let starting = || absent(Reason::Starting, 1);
    let dead = || absent(Reason::NoChip, 2);
    let options = options(PayloadFormat::Plain, true);
    check(&options, &[dead(), dead()], &[Some(""), None]);
    check(&options, &[starting(), starting(), dead(), dead()], &[None, None, Some(""), None]);
    check(&options, &[starting(), Ok(1.0)], &[None, Some("1.00")]);
    check(&options, &[Ok(1.0), starting(), Ok(1.0)], &[Some("1.00"), Some(""), Some("1.00")]);
}

#[test]
fn json_carries_value_unit_time_and_source() {
    let sample = sample(1, |_| Ok(21.3749));
    let said = publications(&options(PayloadFormat::Json, true), &sample, &Said::default(), Monotonic::ZERO);
    assert_eq!(
        String::from_utf8_lossy(&said[0].payload),
        r#"{"value":21.37,"unit":"°C","time":"2026-11-22T19:55:32.250Z","source":"simulated"}"#
    );
}

#[test]
fn json_tells_an_absence_once_a_reason() {
    let options = options(PayloadFormat::Json, true);
    let reasons = [Reason::NoChip, Reason::NoChip, Reason::Timeout, Reason::Timeout];
    let mut said = Said::default().with(&options, &sample(1, |_| Ok(1.0)));
    let mut told = Vec::new();
    for (second, reason) in (2..).zip(reasons) {
        let sample = sample(second, |_| absent(reason, second));
        let published = publications(&options, &sample, &said, Monotonic::ZERO);
        told.extend(published.iter().map(|message| serde_json::from_slice::<Value>(&message.payload).unwrap()));
        said = said.with(&options, &sample);
    }
    let reasons: Vec<_> = told.iter().map(|message| (&message["value"], &message["reason"])).collect();
    assert_eq!(reasons, [(&Value::Null, &json!("no_chip")), (&Value::Null, &json!("timeout"))]);
}

#[test]
fn state_follows_the_quantities_with_its_own_settings() {
    let mut options = options(PayloadFormat::Plain, true);
    let topic = TopicName::new("t/state").unwrap();
    options.state = Some(StateTopic { topic: topic.clone(), qos: QoS::AtLeastOnce, retain: false });
    let said = publications(&options, &sample(1, |_| Ok(1.0)), &Said::default(), Monotonic::ZERO);
    assert_eq!(said.len(), 2);
    assert_eq!((&said[1].topic, said[1].qos, said[1].retain), (&topic, QoS::AtLeastOnce, false));
    assert_eq!(retained_topics(&options), BTreeSet::from([TopicName::new("t/temperature").unwrap()]));
}
