//! TLS with mosquitto's clients, and what comes to its port that is none.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output};

use rustix::process::Signal;
use rustls::{ClientConnection, StreamOwned};

use crate::certificates::{Authority, Identity, client};
use crate::gateway::{Served, tls};
use crate::support::{Process, Subscriber, eventually, has_mosquitto_clients, skip_or_fail};
use crate::wire::{CONNACK, connect, connect_tcp, expect, read_to_the_end};

/// A gateway behind TLS, and who signed for it.
struct Guarded {
    served: Served,
    authority: Authority,
}

impl Guarded {
    fn start(extra: &str) -> Self {
        let authority = Authority::new("an authority");
        let served = Served::start(&tls(&authority.sign("server", "gateway"), None), extra);
        Self { served, authority }
    }

    /// One that asks for certificates of `users`, with an access control list.
    fn start_for_certificates(users: &Authority, acl: &str) -> Self {
        let authority = Authority::new("an authority");
        let acl_file = authority.path("acl");
        fs::write(&acl_file, acl).unwrap();
        let listener = tls(&authority.sign("server", "gateway"), Some(users));
        let served = Served::start(&listener, &format!("[broker]\nacl_file = {acl_file:?}"));
        Self { served, authority }
    }

    /// Flags that say where, whom to trust, and what to show.
    fn flags(&self, ca: &Path, identity: Option<&Identity>) -> Vec<String> {
        let mut flags: Vec<String> = ["-h", "127.0.0.1", "-p", &self.served.port()].map(str::to_owned).into();
        flags.extend(["--cafile".to_owned(), ca.display().to_string()]);
        if let Some(Identity { certificate, key }) = identity {
            let paths = ["--cert", &certificate.display().to_string(), "--key", &key.display().to_string()];
            flags.extend(paths.map(str::to_owned));
        }
        flags
    }

    fn publish(&self, ca: &Path, identity: Option<&Identity>, rest: &[&str]) -> Output {
        Command::new("mosquitto_pub").args(self.flags(ca, identity)).args(rest).output().unwrap()
    }

    fn subscribe(&self, identity: Option<&Identity>, rest: &[&str]) -> Subscriber {
        let flags = self.flags(&self.authority.file(), identity);
        Subscriber::run(&flags.iter().map(String::as_str).chain(rest.iter().copied()).collect::<Vec<_>>())
    }

    fn raw(&self) -> StreamOwned<ClientConnection, std::net::TcpStream> {
        StreamOwned::new(client(&self.authority.file()), connect_tcp(self.served.address))
    }
}

/// Whether mosquitto's clients are there; says so when they are not.
fn has_clients() -> bool {
    let has_clients = has_mosquitto_clients();
    if !has_clients {
        skip_or_fail("mosquitto's clients are not installed");
    }
    has_clients
}

#[test]
fn mosquitto_publishes_and_subscribes_behind_tls_and_a_stranger_s_authority_is_refused() {
    if !has_clients() {
        return;
    }
    let guarded = Guarded::start("");
    let subscriber = guarded.subscribe(None, &["-t", "t", "-q", "2"]);
    for qos in ["0", "1", "2"] {
        let sent = guarded.publish(&guarded.authority.file(), None, &["-t", "t", "-m", qos, "-q", qos]);
        assert!(sent.status.success(), "{sent:?}");
        assert_eq!(subscriber.message().payload, qos);
    }
    for version in ["tlsv1.2", "tlsv1.3"] {
        let flags = ["-t", "t", "-m", version, "--tls-version", version];
        assert!(guarded.publish(&guarded.authority.file(), None, &flags).status.success(), "{version}");
        assert_eq!(subscriber.message().payload, version);
    }
    let stranger = Authority::new("a stranger");
    assert!(!guarded.publish(&stranger.file(), None, &["-t", "t", "-m", "x"]).status.success());
}

#[test]
fn large_payloads_pass_tls_unchanged() {
    if !has_clients() {
        return;
    }
    let guarded = Guarded::start("");
    let subscriber = guarded.subscribe(None, &["-t", "t", "-q", "1"]);
    let (file, payload) = (guarded.authority.path("payload"), "0123456789".repeat(50_000));
    fs::write(&file, &payload).unwrap();
    let sent = guarded.publish(&guarded.authority.file(), None, &["-t", "t", "-q", "1", "-f", file.to_str().unwrap()]);
    assert!(sent.status.success(), "{sent:?}");
    assert!(subscriber.message().payload == payload);
}

#[test]
fn the_common_name_of_a_client_certificate_is_the_user_of_the_access_control_list() {
    if !has_clients() {
        return;
    }
    let users = Authority::new("an authority of users");
    let acl = "user kettle\ntopic readwrite kitchen/#\nuser fridge\ntopic read kitchen/#\npattern write by/%u\n";
    let guarded = Guarded::start_for_certificates(&users, acl);
    let (kettle, fridge) = (users.sign("kettle", "kettle"), users.sign("fridge", "fridge"));
    let ca = guarded.authority.file();
    let watcher = guarded.subscribe(Some(&fridge), &["-t", "#"]);
    // the name in CONNECT is nobody's; no password is asked
    let flags = ["-t", "kitchen/1", "-q", "1", "-u", "fridge", "-P", "wrong"];
    assert!(guarded.publish(&ca, Some(&kettle), &[&flags[..], &["-m", "boils"]].concat()).status.success());
    assert_eq!(watcher.message().payload, "boils");
    // acknowledged and dropped: the next message is another
    assert!(guarded.publish(&ca, Some(&fridge), &["-t", "kitchen/1", "-q", "1", "-m", "no"]).status.success());
    assert!(guarded.publish(&ca, Some(&kettle), &["-t", "kitchen/1", "-q", "1", "-m", "cools"]).status.success());
    assert_eq!(watcher.message().payload, "cools");
}

#[test]
fn a_client_without_a_certificate_of_the_right_authority_stays_outside() {
    if !has_clients() {
        return;
    }
    let users = Authority::new("an authority of users");
    let guarded = Guarded::start_for_certificates(&users, "topic readwrite #\nuser kettle\ntopic readwrite #\n");
    let ca = guarded.authority.file();
    let check = |identity: Option<&Identity>, is_let_in: bool| {
        let sent = guarded.publish(&ca, identity, &["-t", "t", "-q", "1", "-m", "x"]);
        assert_eq!(sent.status.success(), is_let_in, "{sent:?}");
    };
    check(Some(&users.sign("kettle", "kettle")), true);
    check(None, false);
    check(Some(&Authority::new("an authority of users").sign("kettle", "kettle")), false);
    check(Some(&users.sign("empty", "")), false);
    eventually("the reason is told", || {
        let printed = guarded.served.gateway.printed();
        (printed.contains("no common name") && printed.contains("TLS: ")).then_some(())
    });
}

#[test]
fn a_reload_of_rights_reaches_certified_users_and_leaves_them_connected() {
    if !has_clients() {
        return;
    }
    let users = Authority::new("an authority of users");
    let guarded = Guarded::start_for_certificates(&users, "user kettle\ntopic readwrite a/#\n");
    let kettle = users.sign("kettle", "kettle");
    let watcher = guarded.subscribe(Some(&kettle), &["-t", "#", "-i", "watcher"]);
    fs::write(guarded.authority.path("acl"), "user kettle\ntopic readwrite b/#\n").unwrap();
    guarded.served.gateway.signal(Signal::HUP);
    eventually("it was read", || guarded.served.gateway.printed().contains("rights were read again").then_some(()));
    for topic in ["a/1", "b/1"] {
        let sent = guarded.publish(&guarded.authority.file(), Some(&kettle), &["-t", topic, "-q", "1", "-m", topic]);
        assert!(sent.status.success(), "{sent:?}");
    }
    assert_eq!(watcher.message().payload, "b/1");
    let printed = guarded.served.gateway.printed();
    assert!(!printed.lines().any(|line| line.contains("closed") && line.contains("watcher")), "{printed}");
}

#[test]
fn a_reload_shows_new_certificates_to_new_connections_and_drops_nobody() {
    if !has_clients() {
        return;
    }
    let guarded = Guarded::start("");
    let old = guarded.authority.file();
    let subscriber = guarded.subscribe(None, &["-t", "t"]);
    let newer = Authority::new("a newer authority");
    let Identity { certificate, key } = newer.sign("server", "gateway");
    fs::copy(&certificate, guarded.authority.path("server.pem")).unwrap();

    // half of the change: it is refused as a whole, and what was there goes on
    guarded.served.gateway.signal(Signal::HUP);
    let gateway = &guarded.served.gateway;
    eventually("the mismatch is told", || gateway.printed().contains("not the key of `certificate`").then_some(()));
    eventually("what stays is told", || gateway.printed().contains("was not reloaded").then_some(()));
    assert!(guarded.publish(&old, None, &["-t", "t", "-m", "old"]).status.success());
    assert_eq!(subscriber.message().payload, "old");
    fs::remove_file(guarded.authority.path("server.key")).unwrap();
    gateway.signal(Signal::HUP);
    eventually("the missing key is told", || gateway.printed().contains("cannot be read").then_some(()));
    assert!(guarded.publish(&old, None, &["-t", "t", "-m", "still old"]).status.success());
    assert_eq!(subscriber.message().payload, "still old");

    fs::copy(&key, guarded.authority.path("server.key")).unwrap();
    gateway.signal(Signal::HUP);
    eventually("the change is told", || gateway.printed().contains("certificates were read again").then_some(()));
    assert!(!guarded.publish(&old, None, &["-t", "t", "-m", "x"]).status.success());
    assert!(guarded.publish(&newer.file(), None, &["-t", "t", "-m", "new"]).status.success());
    assert_eq!(subscriber.message().payload, "new");
    assert!(!gateway.printed().contains("restart is needed"), "{}", gateway.printed());
}

#[test]
fn what_is_no_tls_ends_its_connection_alone() {
    let guarded = Guarded::start("");
    let mut inside = guarded.raw();
    inside.write_all(&connect("inside")).unwrap();
    expect(&mut inside, &CONNACK);
    for bytes in [connect("plain"), vec![0xFF; 100_000], b"GET / HTTP/1.1\r\n\r\n".to_vec()] {
        let mut stream = connect_tcp(guarded.served.address);
        let _ = stream.write_all(&bytes);
        let answer = read_to_the_end(&mut stream);
        assert!(answer.len() < 16 && !answer.starts_with(&CONNACK), "at most an alert: {answer:02X?}");
    }
    eventually("it is told", || guarded.served.gateway.printed().contains("reason=\"TLS: ").then_some(()));
    inside.write_all(&[0xC0, 0]).unwrap();
    expect(&mut inside, &[0xD0, 0]);
}

#[test]
fn records_of_any_kind_end_their_own_connection_alone() {
    let guarded = Guarded::start("");
    let mut inside = guarded.raw();
    inside.write_all(&connect("inside")).unwrap();
    expect(&mut inside, &CONNACK);
    for seed in 0..100 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut hostile = guarded.raw();
        hostile.conn.complete_io(&mut hostile.sock).unwrap();
        let mut bytes = vec![random.u8(20..25), 3, random.u8(1..5), 0, random.u8(..)];
        bytes.extend((0..random.usize(0..300)).map(|_| random.u8(..)));
        let _ = hostile.sock.write_all(&bytes);
        hostile.sock.shutdown(std::net::Shutdown::Write).unwrap();
        read_to_the_end(&mut hostile.sock);
        inside.write_all(&[0xC0, 0]).unwrap();
        expect(&mut inside, &[0xD0, 0]);
    }
}

#[test]
fn a_silent_client_is_let_go_in_time_and_holds_nobody_up() {
    let guarded = Guarded::start("[broker.limits]\nconnect_timeout = \"1s\"");
    let mut silent = connect_tcp(guarded.served.address);
    let mut other = guarded.raw();
    other.write_all(&connect("other")).unwrap();
    expect(&mut other, &CONNACK);
    assert_eq!(silent.read(&mut [0; 16]).unwrap_or(0), 0);
    // one that says nothing once TLS stands has its time, too
    let mut silent = guarded.raw();
    silent.conn.complete_io(&mut silent.sock).unwrap();
    assert_eq!(silent.read(&mut [0; 16]).unwrap_or(0), 0);
}

#[test]
fn leave_is_taken_with_a_word_of_tls() {
    let guarded = Guarded::start("");
    let mut client = guarded.raw();
    client.write_all(&connect("leaves")).unwrap();
    expect(&mut client, &CONNACK);
    client.write_all(&[0xE0, 0]).unwrap();
    // an end without close_notify would be an error here
    assert_eq!(client.read(&mut [0; 16]).unwrap(), 0);
}

#[test]
fn the_gateway_s_own_words_speak_tls() {
    let guarded = Guarded::start("");
    let ca = guarded.authority.file();
    let port = guarded.served.port();
    let mut command = crate::support::sensegate();
    command.args(["pub", "-h", "localhost", "-p", &port, "-t", "t", "-m", "x", "-q", "1", "--cafile"]).arg(ca);
    Process::spawn(&mut command).expect_success();
}
