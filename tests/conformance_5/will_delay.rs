//! The delay of wills, §3.1.3.2.2. The delays that must not pass are longer than the tests wait.

use crate::client::Client;
use crate::packets::{Connect, WILL_DELAY, four};
use crate::support::Gateway;
use crate::will::{expect_no_will, expect_will, watched, with_will};

/// A delay, or an expiry, that no test sees pass.
const LONG_S: u32 = 1000;

/// A connected client whose will is delayed and whose session lasts as long as said.
fn delayed(gateway: &Gateway, delay_s: u32, expiry_s: u32) -> Client {
    Client::with(gateway, &with_will("late", 0, &[four(WILL_DELAY, delay_s)]).expiry(expiry_s))
}

/// [MQTT-3.1.2-8]: and the delay itself is not passed on.
#[test]
fn a_will_is_published_after_its_delay() {
    let (gateway, mut watcher) = watched();
    delayed(&gateway, 3, LONG_S).cut();
    expect_no_will(&gateway, &mut watcher);
    let will = expect_will(&mut watcher, "late");
    assert_eq!(will.properties.0, Vec::<Vec<u8>>::new());
}

/// [MQTT-3.1.2-8]: the session ends first.
#[test]
fn a_will_is_published_at_the_end_of_its_session_when_its_delay_is_longer() {
    let (gateway, mut watcher) = watched();
    delayed(&gateway, LONG_S, 1).cut();
    expect_will(&mut watcher, "late");
}

/// [MQTT-3.1.2-8]: the session ends with the connection.
#[test]
fn a_delay_without_a_session_is_no_delay() {
    let (gateway, mut watcher) = watched();
    // mosquitto 2.0.11 waits for the delay although the session has ended.
    if gateway.is_stand_in() {
        return;
    }
    delayed(&gateway, LONG_S, 0).cut();
    expect_will(&mut watcher, "late");
}

/// [MQTT-3.1.3-9]
#[test]
fn a_client_that_returns_in_time_takes_its_delayed_will_back() {
    let (gateway, mut watcher) = watched();
    delayed(&gateway, 3, LONG_S).cut();
    let mut back = Client::with(&gateway, &Connect::new("late").resume().expiry(LONG_S));
    assert!(back.is_present());
    std::thread::sleep(std::time::Duration::from_millis(4500));
    expect_no_will(&gateway, &mut watcher);
    back.expect_nothing_more();
}

/// [MQTT-3.1.3-9]: the same when the older connection is still open.
#[test]
fn a_takeover_takes_a_delayed_will_back() {
    let (gateway, mut watcher) = watched();
    let mut older = delayed(&gateway, 1, LONG_S);
    let mut newer = Client::with(&gateway, &Connect::new("late").resume().expiry(LONG_S));
    older.expect_taken_over();
    std::thread::sleep(std::time::Duration::from_millis(2500));
    expect_no_will(&gateway, &mut watcher);
    newer.expect_nothing_more();
}

/// [MQTT-3.1.2-8]: a clean start ends the session, and with it the delay.
#[test]
fn a_clean_start_publishes_a_delayed_will() {
    let (gateway, mut watcher) = watched();
    // mosquitto 2.0.11 drops the delayed will here, or lets its delay pass.
    if gateway.is_stand_in() {
        return;
    }
    let mut older = delayed(&gateway, LONG_S, LONG_S);
    let newer = Client::connect(&gateway, "late");
    expect_will(&mut watcher, "late");
    older.expect_taken_over();
    newer.leave();
    delayed(&gateway, LONG_S, LONG_S).cut();
    Client::connect(&gateway, "late").expect_nothing_more();
    expect_will(&mut watcher, "late");
}

/// [MQTT-3.14.4-3]
#[test]
fn a_normal_disconnect_takes_a_delayed_will_away() {
    let (gateway, mut watcher) = watched();
    delayed(&gateway, 1, LONG_S).leave();
    std::thread::sleep(std::time::Duration::from_millis(2500));
    expect_no_will(&gateway, &mut watcher);
}

/// [MQTT-3.1.2-8], §3.14.2.1: code 4 keeps the will with its delay.
#[test]
fn a_disconnect_with_will_keeps_the_delay() {
    let (gateway, mut watcher) = watched();
    delayed(&gateway, 3, LONG_S).leave_with(0x04, &[]);
    expect_no_will(&gateway, &mut watcher);
    expect_will(&mut watcher, "late");
}

/// §3.14.2.2.2: a DISCONNECT that ends the session ends the delay too.
#[test]
fn a_disconnect_that_ends_the_session_publishes_the_delayed_will() {
    let (gateway, mut watcher) = watched();
    // mosquitto 2.0.11 waits for the delay although the session has ended.
    if gateway.is_stand_in() {
        return;
    }
    delayed(&gateway, LONG_S, LONG_S).leave_with(0x04, &[four(crate::packets::SESSION_EXPIRY, 0)]);
    expect_will(&mut watcher, "late");
}
