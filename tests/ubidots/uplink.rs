//! What the gateway's uplink sends while all is well.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use sensegate::mqtt::{ConnectReturnCode, ProtocolVersion};
use serde_json::Value;

use crate::site::{DEVICE, DEVICE_TOPIC, Plan, Site, VARIABLES, id, id_of, ids};
use crate::support::{Process, Subscriber, eventually, sensegate};
use crate::ubidots_server::{Dot, Fault, TOKEN, Ubidots};

/// Thirty readings arrive as they should.
fn check_arrivals(is_tls: bool) {
    let Some(site) = Site::start_as(&Plan { is_tls, ..Plan::default() }, Ubidots::start()) else { return };
    site.wait_for_samples(30);
    site.expect_all();
    site.check_rate();
    let connects = site.ubidots().connects();
    let [connect] = connects.as_slice() else { panic!("{connects:?}") };
    assert_eq!((connect.answer, connect.version), (ConnectReturnCode::Accepted, ProtocolVersion::V311));
    assert_eq!((connect.token.as_deref(), connect.clean_session, &connect.will), (Some(TOKEN), true, &None));
    let sequences: Vec<u64> = site.wait_for_dots(1).iter().map(|dot| id_of(dot).1).collect();
    for pair in sequences.windows(2) {
        assert_eq!(pair[0] + 1, pair[1], "none is left out and none comes twice");
    }
}

#[test]
fn readings_arrive_in_order_once_and_with_the_times_at_which_they_were_taken() {
    check_arrivals(false);
}

#[test]
fn readings_arrive_behind_tls_as_in_the_open() {
    check_arrivals(true);
}

#[test]
fn one_publish_of_qos_1_carries_all_quantities() {
    let Some(site) = Site::start("") else { return };
    site.wait_for_samples(20);
    site.expect_all();
    // the first sample of all may lack what the sensors do not have yet
    for (_, publish) in site.ubidots().publishes().split_off(1) {
        assert_eq!(publish.topic, DEVICE_TOPIC);
        assert_eq!((publish.qos, publish.retain, publish.dup), (1, false, false));
        let body: Value = serde_json::from_slice(&publish.payload).unwrap();
        let labels: BTreeSet<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(labels, BTreeSet::from(VARIABLES));
    }
}

#[test]
fn qos_0_and_other_labels_are_sent_where_they_are_wanted() {
    let keys = "qos = 0\n[uplink.ubidots.send]\ntemperature = \"inside:t\"\npressure = false\nhumidity = false";
    let Some(site) = Site::start(keys) else { return };
    let dots = site.ubidots().wait_for_dots(DEVICE, "inside:t", 20);
    site.check_conduct();
    assert!(dots.iter().all(|dot| dot.qos == 0));
    assert_eq!(site.ubidots().all_dots().iter().filter(|dot| dot.variable != "inside:t").count(), 0);
    let samples = site.wait_for_samples(1);
    let sample = samples.iter().find(|sample| id(sample) == id_of(&dots[10])).unwrap();
    assert_eq!(Some(dots[10].value), sample.readings["temperature"].value);
}

#[test]
fn readings_from_before_the_time_is_known_are_held_and_then_go_marked() {
    let plan = Plan { clock_wait: "5m", ..Plan::default() };
    let Some(mut site) = Site::start_as(&plan, Ubidots::start()) else { return };
    let samples = site.wait_for_samples(20);
    site.ubidots().wait_for_connects(1);
    if samples[0].synchronised {
        // this machine knows the time: nothing is held
        site.expect_all();
        return;
    }
    let samples = site.wait_for_samples(10);
    assert!(site.ubidots().publishes().is_empty());
    let file = site.gateway.configuration();
    let toml = fs::read_to_string(&file).unwrap();
    fs::write(&file, toml.replace("wait = \"5m\"", "wait = \"0s\"")).unwrap();
    site.gateway.signal(Signal::HUP);
    site.wait_until_arrived(&samples);
    // which also checks the mark
    site.expect_all();
    assert!(site.gateway.is_running());
}

#[test]
fn a_mean_goes_for_each_interval_that_every_says() {
    let Some(site) = Site::start("every = \"1s\"") else { return };
    let dots = site.wait_for_dots(4);
    let samples = site.samples();
    let place = |dot: &Dot| samples.iter().position(|sample| id(sample) == id_of(dot));
    for (index, dot) in dots.iter().enumerate().filter(|(index, _)| *index > 0) {
        let count = usize::try_from(dot.context["samples"].as_u64().unwrap()).unwrap();
        let last = place(dot).unwrap();
        let members = &samples[last + 1 - count..=last];
        if let Some(before) = place(&dots[index - 1]) {
            assert_eq!(last - count, before, "each sample is in one mean");
        }
        let sum: f64 = members.iter().filter_map(|sample| sample.readings["temperature"].value).sum();
        #[expect(clippy::cast_precision_loss, reason = "ten or so")]
        let mean = sum / count as f64;
        assert!((dot.value - mean).abs() < 1e-4, "{dot:?}: {mean}");
        assert_eq!(dot.timestamp_ms.div_euclid(1000), dots[index - 1].timestamp_ms.div_euclid(1000) + 1);
    }
    site.check_conduct();
}

#[test]
fn dots_a_second_are_as_few_as_the_plan_allows() {
    // more than the 30 a second that come
    let Some(site) = Site::start("dots_per_s = 33") else { return };
    site.wait_for_samples(30);
    site.expect_all();
    let dots = site.ubidots().all_dots();
    let within_second = |from: usize| {
        let start = dots[from].arrived;
        dots[from..].iter().take_while(|dot| dot.arrived.since(start).as_millis() < 1000).count()
    };
    let most = (0..dots.len()).map(within_second).max().unwrap();
    // a full bucket, and what it fills with in a second
    assert!(most <= 66, "{most}");
}

/// Files of the directory and below that hold these bytes.
fn files_with(directory: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, bytes));
        } else if fs::read(&path).is_ok_and(|content| content.windows(bytes.len()).any(|window| window == bytes)) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn the_token_is_nowhere_but_in_its_file_and_on_the_wire() {
    let keys = "online = \"online\"\n[log]\nlevel = \"trace\"";
    let Some(mut site) = Site::start(keys) else { return };
    let watcher = Subscriber::start_with(&site.gateway, &["-t", "#"]);
    site.wait_for_dots(5);
    site.ubidots().inject(Fault::Refuse(ConnectReturnCode::NotAuthorized));
    site.ubidots().cut();
    site.ubidots().wait_for_connects(2);
    eventually("the refusal is told", || (site.count_logged("not authorised") > 0).then_some(()));
    let mut check = sensegate();
    let mut check = Process::spawn(check.arg("check").arg(site.gateway.configuration()));
    check.expect_success();
    for file in ["cmdline", "environ"] {
        let process = fs::read(format!("/proc/{}/{file}", site.gateway.id())).unwrap();
        assert!(!String::from_utf8_lossy(&process).contains(TOKEN), "{file}");
    }
    assert!(site.gateway.stop().success());
    let printed = [site.gateway.printed(), check.printed()].concat();
    assert!(!printed.contains(TOKEN), "{printed}");
    while let Some(message) = watcher.message_within(Duration::ZERO) {
        assert!(!message.payload.contains(TOKEN) && !message.topic.contains(TOKEN), "{message:?}");
    }
    assert_eq!(files_with(&site.gateway.state(), TOKEN.as_bytes()), Vec::<String>::new());
    assert!(fs::read_to_string(site.token_file()).unwrap().contains(TOKEN));
    assert!(!ids(&site.ubidots().dots(DEVICE, VARIABLES[0])).is_empty());
}
