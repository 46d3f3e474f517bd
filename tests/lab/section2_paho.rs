//! Section 2: the lab's subscriber and publisher, exactly as printed.

use std::time::Duration;

use crate::script::{Lab, Script, walk};
use crate::support::{Process, eventually};

const RECEIVED: &str = "Sujet : testMQTT Message : b'Hello World!'";

/// The printed subscriber does not say when it is subscribed: publish until something arrives.
fn publish_until_received(lab: &Lab, subscriber: &Process) -> String {
    eventually("the subscriber prints a message", || {
        lab.run(&Script::publisher("testMQTT"));
        subscriber.line_within(Duration::from_millis(500))
    })
}

#[test]
fn the_scripts_as_printed_find_each_other() {
    walk("", |lab| {
        let subscriber = lab.start(&Script::subscriber("testMQTT"));
        subscriber.expect_line_with("Connection code : 0");
        assert_eq!(publish_until_received(lab, &subscriber), RECEIVED);
    });
}
