//! Passwords, rights and their reload, with real clients.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail like the test itself")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::Signal;
use support::{
    Gateway, PATIENCE, Process, Subscriber, eventually, has_mosquitto_clients, publish, sensegate, skip_or_fail,
};
use tempfile::TempDir;

/// A gateway with a password file and an access control list.
struct Guarded {
    gateway: Gateway,
    directory: TempDir,
}

impl Guarded {
    fn start(users: &[&str], acl: &str) -> Self {
        let directory = TempDir::with_prefix("sensegate-").unwrap();
        fs::write(directory.path().join("acl"), acl).unwrap();
        fs::write(directory.path().join("passwords"), "").unwrap();
        for user in users {
            set_user(&directory, user, "secret");
        }
        let path = |name| directory.path().join(name).display().to_string();
        let toml = format!("[broker]\npassword_file = \"{}\"\nacl_file = \"{}\"\n", path("passwords"), path("acl"));
        Self { gateway: Gateway::start(&toml), directory }
    }

    fn subscribe(&self, user: &str, filter: &str) -> Subscriber {
        Subscriber::start_with(&self.gateway, &["-u", user, "-P", "secret", "-i", user, "-t", filter])
    }

    fn publish(&self, user: &str, topic: &str, payload: &str) {
        publish(&self.gateway, &["-u", user, "-P", "secret", "-q", "1", "-t", topic, "-m", payload]);
    }

    /// The code in CONNACK.
    fn code(&self, user: Option<&str>, password: &str) -> u8 {
        code(self.gateway.address(), user, password)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn reload(&self) {
        self.gateway.signal(Signal::HUP);
    }
}

fn set_user(directory: &TempDir, user: &str, password: &str) {
    let file = directory.path().join("passwords");
    Process::spawn(sensegate().args(["passwd", "-b", "-I", "1000"]).arg(file).args([user, password])).expect_success();
}

fn text(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn code(gateway: SocketAddr, user: Option<&str>, password: &str) -> u8 {
    read_code(&mut send_connect(gateway, user, password))
}

/// A connection that has sent its CONNECT.
fn send_connect(gateway: SocketAddr, user: Option<&str>, password: &str) -> TcpStream {
    let flags = if user.is_some() { 0xC2 } else { 0x02 };
    let mut body = [text(b"MQTT"), vec![4, flags, 0, 0], text(b"")].concat();
    if let Some(user) = user {
        body.extend([text(user.as_bytes()), text(password.as_bytes())].concat());
    }
    let mut stream = TcpStream::connect(gateway).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&[vec![0x10, u8::try_from(body.len()).unwrap()], body].concat()).unwrap();
    stream
}

fn read_code(stream: &mut TcpStream) -> u8 {
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    answer[3]
}

#[test]
fn wrong_unknown_and_anonymous_clients_get_code_5_and_the_house_goes_on() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto's clients are not installed");
    }
    let guarded = Guarded::start(&["ann"], "user ann\ntopic read myRasp/#\n");
    assert_eq!(guarded.code(Some("ann"), "secret"), 0);
    for (user, password) in [(Some("ann"), "wrong"), (Some("ann"), ""), (Some("eve"), "secret"), (None, "")] {
        assert_eq!(guarded.code(user, password), 5, "{user:?} {password:?}");
    }
    let watcher = guarded.subscribe("ann", "myRasp/sensors/temperature");
    assert!(watcher.message().payload.parse::<f64>().is_ok());
}

#[test]
fn a_reload_adds_and_removes_users_and_changes_rights_while_others_stay() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto's clients are not installed");
    }
    let acl = "user ann\ntopic a/#\nuser bob\ntopic a/#\n";
    let guarded = Guarded::start(&["ann", "bob"], acl);
    let ann = guarded.subscribe("ann", "#");
    guarded.publish("bob", "a/1", "from bob");
    assert_eq!(ann.message().payload, "from bob");

    Process::spawn(sensegate().args(["passwd", "-D"]).arg(guarded.file("passwords")).arg("bob")).expect_success();
    set_user(&guarded.directory, "eve", "secret");
    fs::write(guarded.file("acl"), "user ann\ntopic read b/#\nuser eve\ntopic write #\n").unwrap();
    guarded.reload();
    eventually("eve is let in", || (guarded.code(Some("eve"), "secret") == 0).then_some(()));
    assert_eq!(guarded.code(Some("bob"), "secret"), 5);
    guarded.publish("eve", "a/1", "hidden");
    guarded.publish("eve", "b/1", "from eve");
    assert_eq!(ann.message().payload, "from eve");
}

#[test]
fn a_file_with_problems_is_refused_at_a_reload_and_by_check() {
    let guarded = Guarded::start(&["ann"], "user ann\ntopic #\n");
    fs::write(guarded.file("acl"), "user ann\ntopic read a#\n").unwrap();
    guarded.reload();
    let place = format!("{}:2:12", guarded.file("acl").display());
    eventually("the problem is told", || guarded.gateway.printed().contains(&place).then_some(()));
    assert_eq!(guarded.code(Some("ann"), "secret"), 0);
    let check = sensegate().arg("check").arg(guarded.gateway.configuration()).output().unwrap();
    assert_eq!(check.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&check.stderr).contains(&place));
}

#[test]
fn a_flood_of_wrong_logins_does_not_stop_those_who_are_in() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto's clients are not installed");
    }
    let guarded = Guarded::start(&["ann"], "user ann\ntopic #\n");
    let watcher = guarded.subscribe("ann", "flood");
    let address = guarded.gateway.address();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(code(address, Some("ann"), "wrong"), 5);
                }
            });
        }
        let mut command = Command::new("mosquitto_pub");
        command.args(["-p", &guarded.gateway.port().to_string(), "-u", "ann", "-P", "secret", "-q", "1"]);
        let lines: Vec<_> = (0..500).map(|number| number.to_string()).collect();
        let mut publisher =
            Process::spawn_with_input(command.args(["-t", "flood", "-l"]), (lines.join("\n") + "\n").into_bytes());
        for number in 0..500 {
            assert_eq!(watcher.message().payload, number.to_string());
        }
        publisher.expect_success();
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn every_right_login_is_accepted_however_many_come_together_and_whoever_guesses() {
    let guarded = Guarded::start(&["ann", "bob"], "user ann\ntopic #\n");
    let address = guarded.gateway.address();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..40 {
            let user = ["ann", "bob", "nobody"][number % 3];
            let is_over = &is_over;
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(code(address, Some(user), "guess"), 5);
                }
            });
        }
        for _ in 0..2 {
            let mut clients: Vec<_> =
                (0..100).map(|number| send_connect(address, Some(["ann", "bob"][number % 2]), "secret")).collect();
            let codes: Vec<_> = clients.iter_mut().map(read_code).collect();
            assert_eq!(codes, [0; 100]);
        }
        is_over.store(true, Ordering::Relaxed);
    });
}
