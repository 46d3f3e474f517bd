//! With mosquitto's clients: queues, retained messages, wills and acknowledgements after a kill and a clean stop.

use std::process::Command;

use crate::support::{Gateway, Process, Subscriber, has_mosquitto_clients, publish, skip_or_fail};

fn client(program: &str, gateway: &Gateway, flags: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-p", &gateway.port().to_string()]).args(flags);
    command
}

/// Subscribes `keeper` to `q/#` with a session that stays, and leaves.
fn leave_a_session(gateway: &Gateway) {
    let flags = ["-i", "keeper", "-c", "-q", "2", "-t", "q/#", "-E"];
    Process::spawn(&mut client("mosquitto_sub", gateway, &flags)).expect_success();
}

/// Publishes `count` numbered messages with QoS 1; all are acknowledged when this returns.
fn publish_numbers(gateway: &Gateway, count: usize) {
    let lines = numbers(0..count).join("\n") + "\n";
    let mut command = client("mosquitto_pub", gateway, &["-t", "q/numbers", "-q", "1", "-l"]);
    Process::spawn_with_input(&mut command, lines.into_bytes()).expect_success();
}

/// What `keeper` gets when it comes back, in order.
fn collect(gateway: &Gateway, count: usize) -> Vec<String> {
    let flags = ["-i", "keeper", "-c", "-q", "2", "-t", "q/#", "-C", &count.to_string()];
    let keeper = Process::spawn(&mut client("mosquitto_sub", gateway, &flags));
    (0..count).map(|_| keeper.expect_line()).collect()
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn queued_and_retained_messages_outlive_kill_9_and_a_clean_stop() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto's clients are not installed");
    }
    let mut gateway = Gateway::start("");
    leave_a_session(&gateway);
    publish_numbers(&gateway, 2500);
    publish(&gateway, &["-t", "r", "-m", "kept", "-q", "1", "-r"]);
    gateway.kill();
    gateway.start_again();
    publish(&gateway, &["-t", "q/numbers", "-m", "2500", "-q", "1"]);
    assert!(gateway.stop().success(), "{}", gateway.printed());
    gateway.start_again();
    assert_eq!(collect(&gateway, 2501), numbers(0..2501));
    let retained = Subscriber::start(&gateway, "r");
    assert_eq!(retained.message().payload, "kept");
}

#[test]
fn what_was_delivered_before_the_kill_does_not_come_again() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto's clients are not installed");
    }
    let mut gateway = Gateway::start("");
    leave_a_session(&gateway);
    publish_numbers(&gateway, 10);
    assert_eq!(collect(&gateway, 10), numbers(0..10));
    // its acknowledgement comes after everything before it is on disk
    publish(&gateway, &["-t", "r", "-m", "later", "-q", "1", "-r"]);
    gateway.kill();
    gateway.start_again();
    publish(&gateway, &["-t", "q/end", "-m", "end", "-q", "1"]);
    let again = collect(&gateway, 1);
    // an acknowledgement of the last one may have been under way when the client left
    assert!(again == ["end"] || again == ["9"], "{again:?}");
}

#[test]
fn the_will_of_a_client_that_was_connected_is_published_after_a_kill() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto's clients are not installed");
    }
    let mut gateway = Gateway::start("");
    let flags = ["-t", "x", "--will-topic", "w", "--will-payload", "gone", "--will-retain", "--will-qos", "1"];
    publish(&gateway, &["-t", "x", "-m", "you are connected", "-r"]);
    let mut doomed = Process::spawn(&mut client("mosquitto_sub", &gateway, &flags));
    doomed.expect_line_with("you are connected");
    gateway.kill();
    doomed.kill();
    gateway.start_again();
    let watcher = Subscriber::start(&gateway, "w");
    assert_eq!(watcher.message().payload, "gone");
}
