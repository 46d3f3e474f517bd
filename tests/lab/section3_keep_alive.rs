//! Section 3: pings when nothing else is said, and what becomes of a client that falls silent.

use rustix::process::Signal;

use crate::script::{Script, walk};
use crate::support::Subscriber;

/// The lab's logging function. Its last line is printed inside the function there, where it has no effect.
const ON_LOG: &str = "def on_log(client, userdata, level, buf):
    print(\"log: \",buf)
client.on_log=on_log # set client logging";

/// The lab's subscriber with its log shown and a keep-alive of 2 s.
fn subscriber() -> Script {
    Script::subscriber("testMQTT").before_connect(ON_LOG).edit("1883, 60", "1883, 2")
}

#[test]
fn pings_are_answered_and_a_message_arrives_between_them() {
    walk("", |lab| {
        let subscriber = lab.start(&subscriber());
        subscriber.expect_line_with("Connection code : 0");
        for _ in 0..2 {
            subscriber.expect_line_with("Sending PINGREQ");
            subscriber.expect_line_with("Received PINGRESP");
        }
        lab.run(&Script::publisher("testMQTT"));
        subscriber.expect_line_with("Sujet : testMQTT Message : b'Hello World!'");
        subscriber.expect_line_with("Sending PINGREQ");
        subscriber.expect_line_with("Received PINGRESP");
        assert_eq!(subscriber.printed().matches("Sending CONNECT").count(), 1, "{}", subscriber.printed());
    });
}

#[test]
fn a_client_that_falls_silent_is_cut_and_its_will_is_published() {
    walk("", |lab| {
        let watcher = Subscriber::start(&lab.gateway, "last/words");
        let script = subscriber().before_connect("client.will_set(\"last/words\", \"gone\")");
        let silent = lab.start(&script);
        silent.expect_line_with("Received PINGRESP");
        silent.signal(Signal::STOP);
        assert_eq!(watcher.message().payload, "gone");

        // Once it goes on it finds itself cut, and paho connects again.
        silent.signal(Signal::CONT);
        silent.expect_line_with("Connection code : 0");
    });
}
