//! Section 7: temperature and pressure of the HAT on two topics, under the lab's names.

use crate::script::{Lab, Script, walk};
use crate::support::{Process, Subscriber};

const TOPICS: &str = r#"
[publish.temperature]
topic = "Temperature"
[publish.pressure]
topic = "Pression"
"#;

/// Three readings that the lab's subscriber prints, as numbers.
fn readings(lab: &Lab, topic: &str) -> Vec<f64> {
    let subscriber = lab.start(&Script::subscriber(topic));
    subscriber.expect_line_with("Connection code : 0");
    (0..3).map(|_| reading(&subscriber, topic)).collect()
}

fn reading(subscriber: &Process, topic: &str) -> f64 {
    let line = subscriber.expect_line_with("Sujet");
    let value = line.strip_prefix(&format!("Sujet : {topic} Message : b'")).and_then(|rest| rest.strip_suffix('\''));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("a number on {topic}, not {line:?}"))
}

#[test]
fn two_subscribers_see_temperature_and_pressure() {
    walk(TOPICS, |lab| {
        if lab.gateway.is_stand_in() {
            return;
        }
        // HTS221 and LPS25H datasheets, operating ranges.
        assert!(readings(lab, "Temperature").iter().all(|celsius| (-40.0..=120.0).contains(celsius)));
        assert!(readings(lab, "Pression").iter().all(|hectopascal| (260.0..=1260.0).contains(hectopascal)));
    });
}

#[test]
fn a_subscriber_who_comes_late_gets_the_last_reading_at_once() {
    walk(TOPICS, |lab| {
        if lab.gateway.is_stand_in() {
            return;
        }
        // The first one waits for the first reading of all.
        Subscriber::start(&lab.gateway, "Temperature").message();
        assert!(Subscriber::start(&lab.gateway, "Temperature").message().retain);
    });
}
