//! Section 5: a retained message waits for those who subscribe later.

use crate::script::{Script, walk};
use crate::support::{Subscriber, publish};

fn retaining(text: &str) -> Script {
    let single = format!("publish.single(MQTT_PATH, \"{text}\", retain=True");
    Script::publisher("testMQTT").edit("publish.single(MQTT_PATH, \"Hello World!\"", &single)
}

#[test]
fn a_new_subscriber_gets_the_last_retained_message_marked_as_such() {
    walk("", |lab| {
        lab.run(&retaining("first"));
        lab.run(&retaining("second"));
        let subscriber = lab.start(&Script::subscriber("testMQTT"));
        subscriber.expect_line_with("Connection code : 0");
        assert_eq!(subscriber.expect_line(), "Sujet : testMQTT Message : b'second'");

        let observer = Subscriber::start(&lab.gateway, "testMQTT");
        assert!(observer.message().retain);
        lab.run(&retaining("third"));
        let live = observer.message();
        assert_eq!((live.payload.as_str(), live.retain), ("third", false), "an established subscription sees 0");
    });
}

#[test]
fn an_empty_retained_message_clears_it() {
    walk("", |lab| {
        lab.run(&retaining("kept"));
        publish(&lab.gateway, &["-t", "testMQTT", "-n", "-r"]);
        let observer = Subscriber::start(&lab.gateway, "testMQTT");
        publish(&lab.gateway, &["-t", "testMQTT", "-m", "end"]);
        assert_eq!(observer.messages_until("end"), []);
    });
}
