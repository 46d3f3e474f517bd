//! What others are told of the uplink: at Ubidots by a variable, here by a topic.

use serde_json::Value;

use crate::site::{DEVICE, Site, expect_state, is_connected};
use crate::support::{Subscriber, eventually, publish};
use crate::ubidots_server::{Dot, Published};

/// How far the count of what waits may be behind: a second, of ten samples, on a machine with other work.
const COUNT_LAG: usize = 20;

const ONLINE: &str = "online = \"online\"";

/// The values of the variable so far.
fn values(site: &Site) -> Vec<f64> {
    site.ubidots().dots(DEVICE, "online").iter().map(|dot| dot.value).collect()
}

/// The dot that the variable's topic was sent.
fn is_presence(publish: &Published) -> bool {
    publish.topic == "/v1.6/devices/pi/online"
}

fn wait_for_values(site: &Site, expected: &[f64]) {
    eventually(&format!("{expected:?}"), || (values(site) == expected).then_some(()));
}

#[test]
fn it_is_online_from_each_connection_on_and_offline_before_a_clean_stop() {
    let Some(mut site) = Site::start(ONLINE) else { return };
    site.wait_for_dots(2);
    wait_for_values(&site, &[1.0]);
    assert!(is_presence(&site.ubidots().publishes()[0].1), "before everything else");
    assert!(site.gateway.stop().success());
    wait_for_values(&site, &[1.0, 0.0]);
    assert!(is_presence(&site.ubidots().publishes().pop().unwrap().1), "behind everything else");
    assert!(site.ubidots().wills().is_empty());
    site.gateway.start_again();
    wait_for_values(&site, &[1.0, 0.0, 1.0]);
    let will = site.ubidots().connects()[0].will.clone().unwrap();
    assert_eq!(
        (will.topic.as_str(), &*will.payload, will.retain),
        ("/v1.6/devices/pi/online", &b"{\"value\":0}"[..], false)
    );
    site.wait_for_samples(3);
    site.expect_all();
}

#[test]
fn its_will_says_that_it_is_offline_when_it_is_killed_or_cut() {
    let Some(mut site) = Site::start(ONLINE) else { return };
    site.wait_for_dots(2);
    site.kill();
    let wills = site.ubidots().wait_for_wills(1);
    assert_eq!(wills[0].outcome, Ok(1), "a valid dot");
    wait_for_values(&site, &[1.0, 0.0]);
    site.gateway.start_again();
    wait_for_values(&site, &[1.0, 0.0, 1.0]);
    site.ubidots().cut();
    wait_for_values(&site, &[1.0, 0.0, 1.0, 0.0, 1.0]);
    // dated by Ubidots where this machine does not know the time
    let is_synchronised = site.wait_for_samples(1)[0].synchronised;
    let births: Vec<Dot> = site.ubidots().dots(DEVICE, "online").into_iter().filter(|dot| dot.value > 0.0).collect();
    assert!(births.iter().all(|dot| dot.is_dated == is_synchronised && dot.qos == 1), "{births:?}");
    site.expect_all();
}

/// The state that is retained.
fn retained_state(site: &Site) -> Value {
    let message = site.watch_state().message();
    assert!(message.retain);
    serde_json::from_str(&message.payload).unwrap()
}

#[test]
fn the_state_tells_how_it_is() {
    let Some(mut site) = Site::start("") else { return };
    let watcher = site.watch_state();
    let address = format!("127.0.0.1:{}", site.ubidots().port());
    let state = expect_state(&watcher, is_connected);
    assert_eq!((state["broker"].as_str(), state["protocol"].as_str()), (Some(address.as_str()), Some("3.1.1")));
    assert_eq!((&state["last_error"], &state["rejected"], &state["missed"]), (&Value::Null, &0.into(), &0.into()));
    site.wait_for_dots(5);
    assert!(is_connected(&retained_state(&site)));

    site.cut();
    let state = expect_state(&watcher, |state| !is_connected(state));
    assert_eq!((&state["in_flight"], &state["protocol"]), (&0.into(), &Value::Null));
    assert!(state["since"].is_string());
    let state = expect_state(&watcher, |state| state["last_error"] == "nothing listens there");
    assert!(!is_connected(&state));
    assert!(!is_connected(&retained_state(&site)));
    let behind = site.wait_for_samples(30).len();
    let arrived = site.ubidots().dots(DEVICE, "temperature").len();
    assert!(site.gateway.stop().success());
    let state = expect_state(&watcher, |state| state["last_error"] == "the gateway has stopped");
    assert!(!is_connected(&state));
    let queued = usize::try_from(state["queued"].as_u64().unwrap()).unwrap();
    // it is counted each second, and a second has ten samples
    let expected = behind - arrived;
    assert!((expected.saturating_sub(COUNT_LAG)..=expected + COUNT_LAG).contains(&queued), "{queued}, {expected}");
    assert_eq!((&state["dropped"], &state["rejected"]), (&0.into(), &0.into()));
}

#[test]
fn what_is_no_sample_is_put_aside_told_and_holds_nothing_up() {
    let Some(site) = Site::start("") else { return };
    let watcher = site.watch_state();
    let rejected = Subscriber::start(&site.gateway, "myRasp/uplink/ubidots/rejected");
    site.wait_for_dots(2);
    // a topic of the house: others may write there where no access control says otherwise
    publish(&site.gateway, &["-q", "1", "-t", "myRasp/samples", "-m", "21.5"]);
    let told: Value = serde_json::from_str(&rejected.message().payload).unwrap();
    assert_eq!((&told["topic"], &told["payload"]), (&"myRasp/samples".into(), &"21.5".into()));
    assert_eq!(told["reason"], "is no sample");
    let state = expect_state(&watcher, |state| state["rejected"] == 1);
    assert!(is_connected(&state));
    let arrived = site.ubidots().dots(DEVICE, "temperature").len();
    site.wait_for_dots(arrived + 5);
    site.check_conduct();
}
