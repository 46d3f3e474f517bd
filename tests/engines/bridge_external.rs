//! A gateway that is a client of mosquitto (`broker.mode = "external"`), with a bridge from there to another one.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::bridged::{NAME, bridge};
use crate::consumer::Consumer;
use crate::mosquitto::Mosquitto;
use crate::place::Place;
use crate::publisher::{Plan, Publisher};
use crate::relay::Relay;
use crate::server::{Engine, tell};
use crate::support::{Process, sensegate, skip_or_fail};

const RULES: &str = r#"{ topic = "line/#", remote_prefix = "fleet/pi/" },
    { topic = "samples", local_prefix = "myRasp/", remote_prefix = "fleet/pi/" }"#;

/// How many numbers are acknowledged between two things that happen.
const STRETCH: u64 = 100;

/// Writes the file of a gateway that is a client of `local`, with a bridge to `far`.
pub(crate) fn configure(directory: &Path, local: SocketAddr, far: SocketAddr, rules: &str) -> PathBuf {
    let text = format!(
        "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtt://{local}\"\nclient_id = \"gateway\"\n\
         [sensors]\ninterval = \"100ms\"\n[storage]\ndirectory = \"{}\"\n{}",
        directory.join("state").display(),
        bridge(NAME, &[far], "", rules)
    );
    let file = directory.join("sensegate.toml");
    fs::write(&file, text).unwrap();
    file
}

/// What waits for the bridge lies in its session at the local broker: there it outlives the gateway.
#[test]
fn messages_and_samples_of_an_external_broker_arrive_across_a_cut_and_a_kill() {
    if !Mosquitto::is_installed() {
        return skip_or_fail("mosquitto is not installed");
    }
    let place = Place::loopback();
    let (local, engine) = (Mosquitto::start(&place), Mosquitto::start(&place));
    let mut relay = Relay::start(engine.addresses()[0]);
    let directory = TempDir::with_prefix("sensegate-").unwrap();
    let file = configure(directory.path(), local.addresses()[0], relay.address(), RULES);
    let start = || Process::spawn(sensegate().arg("--simulate").arg("--config").arg(&file));
    let taken_here = Consumer::start(&place, local.addresses(), "samples-here", "myRasp/samples");
    let samples = Consumer::start(&place, engine.addresses(), "samples-there", "fleet/pi/samples");
    let consumer = Consumer::start(&place, engine.addresses(), "far-side", "fleet/pi/line/#");
    let mut gateway = start();
    samples.wait_for_count(10);
    let topic = "line/1".to_owned();
    let plan = Plan { addresses: local.addresses(), topic, window: 20, rest: Duration::from_millis(4) };
    let publisher = Publisher::start(&place, plan);
    publisher.wait_for_more(STRETCH);

    relay.cut();
    publisher.wait_for_more(STRETCH);
    relay.refuse();
    publisher.wait_for_more(STRETCH);
    gateway.kill();
    publisher.wait_for_more(STRETCH);
    relay.heal();
    gateway = start();
    publisher.wait_for_more(STRETCH);
    let total = publisher.stop();
    consumer.wait_for(1, total.last);
    let taken = taken_here.record().sequences;
    samples.wait_for_all_of(&taken);
    gateway.signal(rustix::process::Signal::TERM);
    assert!(gateway.wait().success(), "{}", gateway.printed());
    let (record, samples) = (consumer.stop(), samples.stop());
    record.sequences.expect_all(1, total.last);
    assert_eq!(samples.sequences.disorder(), None);
    tell(&format!("bridge from an external broker: {total:?}, {record:?}, samples {samples:?}"));
}
