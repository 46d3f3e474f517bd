//! Section 1: a message published in one terminal appears in another, then in two.

use crate::script::walk;
use crate::support::{Subscriber, publish};

const TOPIC: &str = "testMQTT";

#[test]
fn hello_world_reaches_the_subscriber_and_then_both_subscribers() {
    walk("", |lab| {
        let first = Subscriber::start(&lab.gateway, TOPIC);
        publish(&lab.gateway, &["-t", TOPIC, "-m", "Hello world !"]);
        assert_eq!(first.message().payload, "Hello world !");

        let second = Subscriber::start(&lab.gateway, TOPIC);
        publish(&lab.gateway, &["-t", TOPIC, "-m", "Hello both !"]);
        for subscriber in [&first, &second] {
            let message = subscriber.message();
            assert_eq!((message.topic.as_str(), message.payload.as_str()), (TOPIC, "Hello both !"));
            assert!(!message.retain);
        }
    });
}
