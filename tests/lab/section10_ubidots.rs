//! Section 10: the cloud platform, in the lab's own words of `mosquitto_pub` and `mosquitto_sub` (question 11). A local
//! Ubidots stands where industrial.api.ubidots.com would.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::support::{Gateway, Process, Subscriber, has_mosquitto_clients, skip_or_fail};
use crate::ubidots_server::{TOKEN, Ubidots};

/// A device's label; the lab has its student make one.
const DEVICE: &str = "raspberry-pi";

/// `mosquitto_sub -t "/v1.6/devices/{device}/{variable}/lv"` with the lab's flags.
fn subscribe(ubidots: &Ubidots, variable: &str) -> Subscriber {
    let (port, topic) = (ubidots.port().to_string(), format!("/v1.6/devices/{DEVICE}/{variable}/lv"));
    Subscriber::run(&["-h", "127.0.0.1", "-p", &port, "-u", TOKEN, "-P", "None", "-q", "1", "-t", &topic])
}

#[test]
fn question_11_a_value_is_sent_with_mosquitto_pub_and_seen_with_mosquitto_sub() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto_sub and mosquitto_pub are not installed");
    }
    let ubidots = Ubidots::start();
    let subscriber = subscribe(&ubidots, "temperature");
    let (port, topic) = (ubidots.port().to_string(), format!("/v1.6/devices/{DEVICE}"));
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "127.0.0.1", "-p", &port, "-u", TOKEN, "-P", "None", "-q", "1", "-t", &topic]);
    Process::spawn(command.args(["-m", r#"{"temperature": 21.5}"#])).expect_success();
    assert_eq!(subscriber.message().payload, "21.5");
    assert_eq!(subscribe(&ubidots, "temperature").message().payload, "21.5", "who comes later gets it at once");
    assert!(ubidots.misconduct().is_empty());
}

#[test]
fn the_gateway_sends_what_the_same_mosquitto_sub_sees() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto_sub and mosquitto_pub are not installed");
    }
    let ubidots = Ubidots::start();
    let directory = TempDir::with_prefix("lab-").unwrap();
    let token_file = directory.path().join("token");
    fs::write(&token_file, TOKEN).unwrap();
    let gateway = Gateway::start(&format!(
        "[clock]\nwait = \"0s\"\n[uplink.ubidots]\nenabled = true\nurl = \"mqtt://127.0.0.1:{}\"\n\
         device = \"{DEVICE}\"\ntoken_file = \"{}\"\n",
        ubidots.port(),
        token_file.display()
    ));
    if gateway.is_stand_in() {
        return;
    }
    for (variable, topic, decimals) in
        [("temperature", "temperature", 2), ("pressure", "pression", 2), ("humidity", "humidity", 1)]
    {
        let cloud = subscribe(&ubidots, variable);
        let local = Subscriber::start(&gateway, &format!("myRasp/sensors/{topic}"));
        // the first one may have been there before the cloud was asked
        local.message();
        let shown: f64 = local.message().payload.parse().unwrap();
        let expected = format!("{shown:.decimals$}");
        // the local topic shows fewer digits than the cloud is told
        let is_it = |payload: &str| payload.parse::<f64>().is_ok_and(|told| format!("{told:.decimals$}") == expected);
        while !is_it(&cloud.message().payload) {}
    }
    assert!(ubidots.misconduct().is_empty());
}
