//! Variables of Ubidots as local messages.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::site::{DEVICE, DEVICE_TOPIC, Site, expect_state};
use crate::support::{Message, Process, Subscriber, eventually};
use crate::ubidots_server::{Kind, TOKEN};

const LED: &str = "[[uplink.ubidots.receive]]\nvariable = \"led\"\ntopic = \"{prefix}/leds/set\"";

/// Somebody else sets variables of the device, as the lab does.
fn set(site: &Site, payload: &str) {
    let port = site.ubidots().port().to_string();
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "127.0.0.1", "-p", &port, "-u", TOKEN, "-P", "None", "-q", "1", "-t", DEVICE_TOPIC]);
    Process::spawn(command.args(["-m", payload])).expect_success();
}

/// Waits until the gateway is subscribed there on its connection of this number.
fn wait_until_subscribed(site: &Site, connection: usize) {
    eventually("it is subscribed", || {
        let packets = site.ubidots().packets();
        let subscribed = packets.iter().filter(|packet| packet.kind == Kind::SubAck).count();
        (subscribed >= connection).then_some(())
    });
}

fn payloads(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.payload.as_str()).collect()
}

#[test]
fn a_value_that_is_set_there_comes_once_also_when_the_link_or_the_gateway_comes_back() {
    let Some(mut site) = Site::start(LED) else { return };
    let mut leds = Subscriber::start_with(&site.gateway, &["-i", "leds", "-c", "-q", "1", "-t", "myRasp/leds/set"]);
    wait_until_subscribed(&site, 1);
    set(&site, r#"{"led": 1}"#);
    let message = leds.message();
    assert_eq!((message.payload.as_str(), message.qos, message.retain), ("1", 1, false));
    set(&site, r#"{"led": {"value": 1}}"#);
    assert_eq!(leds.message().payload, "1", "a button that is pressed twice is two commands");

    // the replay of the current value is none
    site.ubidots().cut();
    wait_until_subscribed(&site, 2);
    set(&site, r#"{"led": 2.5}"#);
    assert_eq!(leds.message().payload, "2.5");

    // nor is it after a clean restart
    assert!(site.gateway.stop().success());
    site.gateway.start_again();
    wait_until_subscribed(&site, 3);
    set(&site, r#"{"led": 3}"#);
    assert_eq!(leds.message().payload, "3");

    // nor after a kill, once it is known that the command was passed on
    let file = site.gateway.state().join("uplink-ubidots.json");
    eventually("it is remembered", || fs::read_to_string(&file).ok()?.contains("\"3\"").then_some(()));
    site.kill();
    site.gateway.start_again();
    wait_until_subscribed(&site, 4);
    set(&site, r#"{"led": 4}"#);
    // a message that the subscriber had not acknowledged at the kill comes to it again, and is marked so
    let repeated = payloads(&leds.messages_until("4")).join(" ");
    assert!(["", "3"].contains(&repeated.as_str()), "{repeated}");
    site.wait_for_samples(1);
    site.expect_all();
    let watcher = site.watch_state();
    assert!(site.gateway.stop().success());
    let state = expect_state(&watcher, |state| state["last_error"] == "the gateway has stopped");
    assert_eq!(state["received"], 1, "{}", leds.process().printed());
}

#[test]
fn what_is_set_while_the_gateway_is_away_comes_when_it_is_back() {
    let Some(mut site) = Site::start(LED) else { return };
    let leds = Subscriber::start_with(&site.gateway, &["-i", "leds", "-c", "-q", "1", "-t", "myRasp/leds/set"]);
    wait_until_subscribed(&site, 1);
    set(&site, r#"{"led": 1}"#);
    assert_eq!(leds.message().payload, "1");
    assert!(site.gateway.stop().success());
    set(&site, r#"{"led": 2}"#);
    set(&site, r#"{"led": 3}"#);
    site.gateway.start_again();
    assert_eq!(leds.message().payload, "3", "the last one, of values");
    let client = site.ubidots().connects()[0].client_id.clone();
    site.ubidots().cut_client(&client);
    set(&site, r#"{"led": 4}"#);
    assert_eq!(leds.message().payload, "4");
}

#[test]
fn a_variable_of_another_device_is_retained_here_where_that_is_wanted() {
    let keys = "[[uplink.ubidots.receive]]\nvariable = \"target\"\ndevice = \"office\"\nretain = true\n\
                topic = \"{prefix}/target\"";
    let Some(site) = Site::start(keys) else { return };
    wait_until_subscribed(&site, 1);
    let port = site.ubidots().port().to_string();
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "127.0.0.1", "-p", &port, "-u", TOKEN, "-q", "1", "-t", "/v1.6/devices/office/target"]);
    Process::spawn(command.args(["-m", r#"{"value": 19.5}"#])).expect_success();
    let message = eventually("it is retained", || {
        Subscriber::start(&site.gateway, "myRasp/target").message_within(Duration::from_millis(300))
    });
    assert_eq!(message.payload, "19.5");
}

#[test]
fn of_a_variable_that_is_sent_as_well_only_what_others_set_comes_back() {
    let keys = "[[uplink.ubidots.receive]]\nvariable = \"temperature\"\nform = \"json\"\ntopic = \"{prefix}/seen\"";
    let Some(mut site) = Site::start(keys) else { return };
    let seen = Subscriber::start_with(&site.gateway, &["-i", "seen", "-c", "-q", "1", "-t", "myRasp/seen"]);
    site.wait_for_dots(10);
    let dots = site.ubidots().dots(DEVICE, "temperature");
    assert!(dots.iter().all(|dot| dot.context["origin"] == "sensegate"));
    set(&site, r#"{"temperature": {"value": 99, "context": {"by": "hand"}}}"#);
    let message = seen.message();
    let told: Value = serde_json::from_str(&message.payload).unwrap();
    assert_eq!((&told["value"], &told["context"]["by"]), (&99.into(), &"hand".into()), "{told}");
    assert!(told["timestamp"].is_i64() && told["created_at"].is_i64(), "{told}");

    let arrived = site.ubidots().dots(DEVICE, "temperature").len();
    site.wait_for_dots(arrived + 3);
    assert!(site.gateway.stop().success());
    site.gateway.start_again();
    let arrived = site.ubidots().dots(DEVICE, "temperature").len();
    site.wait_for_dots(arrived + 5);
    set(&site, r#"{"temperature": {"value": 98, "context": {"by": "hand"}}}"#);
    assert!(seen.message().payload.starts_with("{\"value\": 98"));
}
