//! Without TLS and without a question.

use crate::place::{OTHER, Place, paste};
use crate::support::{Process, Subscriber, has_mosquitto_clients, skip_or_fail};

#[test]
fn pasted_line_shows_readings_and_nobody_else_comes_in() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto's clients are not installed");
    }
    let place = Place::new();
    let said = place.setup_yes(&["--prefix", "it's"]);
    let _gateway = place.run();
    let here = place.path("");

    let (is_shown, shown) = paste(&said.line(OTHER).replace("/#", "/sensors/+"), &here);
    assert!(is_shown && shown.contains("it's/sensors/"), "{shown}");
    let (is_shown, shown) = paste(&said.line(OTHER).replace(&said.password(), "wrong"), &here);
    assert!(!is_shown, "{shown}");
    let port = place.port;
    let (is_shown, shown) = paste(&format!("mosquitto_sub -h {OTHER} -p {port} -t '#'"), &here);
    assert!(!is_shown, "{shown}");
    let (is_shown, shown) = paste(&format!("mosquitto_sub -p {port} -t '#'"), &here);
    assert!(is_shown, "this machine shows no password: {shown}");
}

#[test]
fn user_may_command_the_matrix_and_write_nothing_else() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto's clients are not installed");
    }
    let place = Place::new();
    let password = place.setup_yes(&[]).password();
    let _gateway = place.run();
    let port = place.port.to_string();
    let watcher = Subscriber::run(&["-p", &port, "-t", "myRasp/leds/#", "-t", "myRasp/other", "-t", "else"]);
    for topic in ["else", "myRasp/other", "myRasp/leds", "myRasp/leds/set"] {
        let mut command = std::process::Command::new("mosquitto_pub");
        command.args(["-h", OTHER, "-p", &port, "-u", "laptop", "-P", &password, "-q", "1", "-t", topic, "-m", topic]);
        Process::spawn(&mut command).expect_success();
    }
    // the gateway itself tells there, in JSON, how the matrix is
    let foreign = std::iter::repeat_with(|| watcher.message().payload).find(|payload| !payload.starts_with('{'));
    assert_eq!(foreign.unwrap(), "myRasp/leds/set");
}

#[test]
fn files_hold_no_password_and_only_their_owner_reads_secrets() {
    let place = Place::new();
    let said = place.setup_yes(&["--user", "ann"]);
    let password = said.password();
    assert_eq!(password.len(), 23, "{password}");
    assert!(!said.errors.contains(&password));
    assert!(place.files().values().all(|text| !text.contains(&password)));
    assert!(place.read("passwords").starts_with("ann:$7$"));
    assert!(place.read("acl").contains("\nuser ann\ntopic read myRasp/#\ntopic write myRasp/leds/set\n"));
    assert_eq!(place.mode("sensegate.toml"), 0o644);
    // where the service's user exists and root runs this, the group reads them too
    assert!([0o600, 0o640].contains(&place.mode("passwords")) && [0o600, 0o640].contains(&place.mode("acl")));
    assert_eq!(place.files().len(), 3, "{:?}", place.files().keys());
}

#[test]
fn without_other_machines_there_are_neither_users_nor_listeners_for_them() {
    let place = Place::new();
    place.setup_yes(&["--no-lan"]);
    let text = place.read("sensegate.toml");
    assert!(text.contains("127.0.0.1") && !text.contains("0.0.0.0") && !text.contains("password_file"), "{text}");
    assert_eq!(place.files().len(), 1);
}

#[test]
fn another_broker_is_named() {
    let place = Place::new();
    let said = place.setup(&["--yes", "--broker", "mqtt://127.0.0.1:1883"]);
    assert!(said.status.success(), "{}", said.errors);
    assert!(place.read("sensegate.toml").contains("url = \"mqtt://127.0.0.1:1883\""));
    let bad = place.setup(&["--yes", "--broker", "http://x"]);
    assert_eq!(bad.status.code(), Some(78), "{}", bad.errors);
}
