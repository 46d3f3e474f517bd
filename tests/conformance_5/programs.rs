//! Programs that speak version 5: `mosquitto_sub` and `mosquitto_pub`, and paho-mqtt 2.

use std::process::Command;

use crate::support::{Gateway, Paho, Process, Python, has_mosquitto_clients, publish, skip_or_fail};

/// A `mosquitto_sub` of version 5 that is subscribed and prints what it gets in the given format.
fn subscriber(gateway: &Gateway, format: &str, flags: &[&str]) -> Process {
    let mut command = Command::new("stdbuf");
    command.args(["-oL", "mosquitto_sub", "-d", "-V", "5", "-h", "127.0.0.1", "-p", &gateway.port().to_string()]);
    let process = Process::spawn(command.args(["-F", &format!("> {format}")]).args(flags));
    process.expect_line_with("Subscribed (mid:");
    process
}

/// The next message, as printed.
fn message(subscriber: &Process) -> String {
    subscriber.expect_line_with("> ").trim_start_matches("> ").to_owned()
}

/// [MQTT-3.3.2-4], [MQTT-3.3.2-15], [MQTT-3.3.2-16], [MQTT-3.3.2-17], [MQTT-3.3.2-20]
#[test]
fn mosquitto_sub_shows_the_properties_that_mosquitto_pub_gave() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto_sub is not installed");
    }
    let gateway = Gateway::start("");
    let sub = subscriber(
        &gateway,
        "%F|%C|%R|%D|%P|%S|%q|%p",
        &["-t", "t", "-q", "1", "-D", "subscribe", "subscription-identifier", "12"],
    );
    publish(
        &gateway,
        &[
            "-V",
            "5",
            "-q",
            "1",
            "-t",
            "t",
            "-m",
            "x",
            "-D",
            "publish",
            "payload-format-indicator",
            "1",
            "-D",
            "publish",
            "content-type",
            "text",
            "-D",
            "publish",
            "response-topic",
            "answer",
            "-D",
            "publish",
            "correlation-data",
            "17",
            "-D",
            "publish",
            "user-property",
            "name",
            "value",
        ],
    );
    assert_eq!(message(&sub), "1|text|answer|17|name:value|12|1|x");
}

/// [MQTT-3.3.2-12]
#[test]
fn mosquitto_pub_uses_a_topic_alias() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto_pub is not installed");
    }
    let gateway = Gateway::start("");
    let sub = subscriber(&gateway, "%t %p", &["-t", "t/#"]);
    let flags = [
        "-V",
        "5",
        "-t",
        "t/a",
        "-m",
        "x",
        "--repeat",
        "3",
        "--repeat-delay",
        "0",
        "-D",
        "publish",
        "topic-alias",
        "1",
    ];
    publish(&gateway, &flags);
    for _ in 0..3 {
        assert_eq!(message(&sub), "t/a x");
    }
}

/// [MQTT-3.3.1-13], [MQTT-3.8.3-3]
#[test]
fn mosquitto_sub_asks_for_retain_as_published() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto_sub is not installed");
    }
    let gateway = Gateway::start("");
    let faithful = subscriber(&gateway, "%r %p", &["-t", "t", "--retain-as-published"]);
    let plain = subscriber(&gateway, "%r %p", &["-t", "t"]);
    publish(&gateway, &["-V", "5", "-t", "t", "-m", "x", "-r"]);
    assert_eq!((message(&faithful), message(&plain)), ("1 x".into(), "0 x".into()));
}

/// What paho tells of its connection, its subscriptions, a message and its acknowledgement.
const SCRIPT: &str = r#"
import sys, queue
import paho.mqtt.client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.subscribeoptions import SubscribeOptions

events = queue.Queue()
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="", protocol=mqtt.MQTTv5)
client.on_connect = lambda c, u, flags, reason, properties: events.put(("connected", str(reason), flags.session_present, bool(properties.AssignedClientIdentifier)))
client.on_subscribe = lambda c, u, mid, reasons, properties: events.put(("subscribed", [reason.value for reason in reasons]))
client.on_unsubscribe = lambda c, u, mid, reasons, properties: events.put(("unsubscribed", [reason.value for reason in reasons]))
client.on_message = lambda c, u, m: events.put(("message", m.topic, m.payload.decode(), m.qos, m.retain, m.properties.UserProperty, m.properties.ContentType, m.properties.CorrelationData, m.properties.SubscriptionIdentifier))
client.on_publish = lambda c, u, mid, reason, properties: events.put(("published", reason.value))
client.on_disconnect = lambda c, u, flags, reason, properties: events.put(("disconnected", flags.is_disconnect_packet_from_server))

def show(count):
    for event in sorted((events.get(timeout=30) for _ in range(count)), key=lambda event: event[0]):
        print(event, flush=True)

expiry = Properties(PacketTypes.CONNECT)
expiry.SessionExpiryInterval = 60
expiry.ReceiveMaximum = 5
client.connect("127.0.0.1", int(sys.argv[1]), properties=expiry)
client.loop_start()
show(1)
asked = Properties(PacketTypes.SUBSCRIBE)
asked.SubscriptionIdentifier = 42
client.subscribe([("paho/#", SubscribeOptions(qos=2, retainAsPublished=True)), ("other", SubscribeOptions(qos=1, noLocal=True))], properties=asked)
show(1)
given = Properties(PacketTypes.PUBLISH)
given.UserProperty = [("b", "2"), ("a", "1")]
given.ContentType = "text"
given.CorrelationData = b"\x00\x01"
given.MessageExpiryInterval = 60
client.publish("paho/t", "one", qos=2, retain=True, properties=given)
show(2)
client.publish("other", "two", qos=1)
show(1)
client.unsubscribe(["paho/#", "never"])
show(1)
client.disconnect()
show(1)
"#;

/// Version 5 as the library that most programs use speaks it.
#[test]
fn paho_speaks_version_5() {
    let python = match Python::find(Paho::Two) {
        Ok(python) => python,
        Err(reason) => return skip_or_fail(&reason),
    };
    let gateway = Gateway::start("");
    let directory = tempfile::TempDir::with_prefix("sensegate-").unwrap();
    let script = directory.path().join("five.py");
    std::fs::write(&script, SCRIPT).unwrap();
    let mut process = Process::spawn(python.command(&script).arg(gateway.port().to_string()));
    for line in [
        "('connected', 'Success', False, True)",
        "('subscribed', [2, 1])",
        "('message', 'paho/t', 'one', 2, True, [('b', '2'), ('a', '1')], 'text', b'\\x00\\x01', [42])",
        "('published', 0)",
    ] {
        assert_eq!(process.expect_line(), line);
    }
    // Nobody else listens to `other`, and the publisher itself does not get it.
    let published = process.expect_line();
    assert!(["('published', 0)", "('published', 16)"].contains(&&published[..]), "{published}");
    assert_eq!(process.expect_line(), "('unsubscribed', [0, 17])");
    assert_eq!(process.expect_line(), "('disconnected', False)");
    process.expect_success();
}
