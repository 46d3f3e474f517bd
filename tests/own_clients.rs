//! `sensegate pub` and `sensegate sub` against a running gateway: each flag once, where a user would notice it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use support::{
    Broker, Gateway, Listener, Process, Subscriber, eventually, has_mosquitto, has_mosquitto_clients, publish,
    sensegate, skip_or_fail,
};

/// A topic and a payload that only bytes hold.
const TOPIC: &str = "été/温度/🌡";
const BYTES: &[u8] = b"\x00\xff\xfe21.4\r\n\n\xc3";

/// A session that outlives its connection.
const SESSION: [&str; 5] = ["-i", "keeper", "-c", "-q", "1"];

/// Where a gateway or a mosquitto is, as flags.
fn at(port: u16) -> [String; 4] {
    ["-h", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned)
}

/// `program` with its flags.
fn client(program: &mut Command, port: u16, flags: &[&str]) -> Output {
    client_with_input(program, port, flags, b"")
}

fn client_with_input(program: &mut Command, port: u16, flags: &[&str], input: &[u8]) -> Output {
    program.args(at(port)).args(flags).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn word(word: &str) -> Command {
    let mut command = sensegate();
    command.arg(word);
    command
}

/// `sensegate pub`, which has to succeed without a word.
fn own_pub(gateway: &Gateway, flags: &[&str]) {
    own_pub_of(gateway, flags, b"");
}

fn own_pub_of(gateway: &Gateway, flags: &[&str], input: &[u8]) {
    let output = client_with_input(&mut word("pub"), gateway.port(), flags, input);
    assert!(output.status.success(), "{flags:?}: {output:?}");
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{flags:?}: {output:?}");
}

/// What `sensegate sub` prints until it ends with success.
fn own_sub(port: u16, flags: &[&str]) -> Vec<u8> {
    let output = client(&mut word("sub"), port, flags);
    assert!(output.status.success(), "{flags:?}: {output:?}");
    output.stdout
}

/// The one line of an error.
fn only_line(output: &Output) -> String {
    let printed = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(printed.lines().count(), 1, "{printed}");
    assert!(output.stdout.is_empty(), "{output:?}");
    printed.trim_end().to_owned()
}

#[test]
fn pub_sends_every_qos_and_mosquitto_sub_sees_it() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto_sub is not installed");
    }
    let gateway = Gateway::start("");
    let subscriber = Subscriber::start_with(&gateway, &["-t", "qos", "-q", "2"]);
    for (qos, expected) in [("0", 0), ("1", 1), ("2", 2)] {
        own_pub(&gateway, &["-t", "qos", "-m", "-5.3 °C", "-q", qos]);
        let message = subscriber.message();
        assert_eq!((message.qos, message.retain, message.payload.as_str()), (expected, false, "-5.3 °C"));
    }
}

#[test]
fn pub_leaves_a_retained_message_and_an_empty_one_clears_it() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto_sub is not installed");
    }
    let gateway = Gateway::start("");
    let seen = || {
        let late = Subscriber::start(&gateway, "kept");
        own_pub(&gateway, &["-t", "kept", "-m", "end"]);
        late.messages_until("end").into_iter().map(|message| (message.payload, message.retain)).collect::<Vec<_>>()
    };
    own_pub(&gateway, &["-t", "kept", "-m", "value", "-r"]);
    assert_eq!(seen(), [("value".to_owned(), true)]);
    own_pub(&gateway, &["-t", "kept", "-n"]);
    assert_eq!(seen(), [("value".to_owned(), true)]);
    own_pub(&gateway, &["-t", "kept", "-n", "-r"]);
    assert_eq!(seen(), []);
}

#[test]
fn pub_takes_lines_the_whole_input_or_a_file() {
    let gateway = Gateway::start("");
    let listener = Listener::start(&gateway, &["-t", "in"]);
    own_pub_of(&gateway, &["-t", "in", "-l", "-q", "1"], b"one\n\ntwo words\nlast without an end");
    for line in ["one", "", "two words", "last without an end"] {
        assert_eq!(listener.line(), line);
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), BYTES).unwrap();
    own_pub(&gateway, &["-t", "file", "-f", file.path().to_str().unwrap(), "-r"]);
    own_pub_of(&gateway, &["-t", "whole", "-s", "-r"], BYTES);
    for topic in ["file", "whole"] {
        assert_eq!(own_sub(gateway.port(), &["-t", topic, "-C", "1", "-N"]), BYTES, "{topic}");
    }
}

#[test]
fn topics_and_payloads_pass_byte_for_byte_between_these_clients_and_mosquitto_s() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto_sub and mosquitto_pub are not installed");
    }
    let gateway = Gateway::start("");
    let expected = [TOPIC.as_bytes(), b" ", BYTES].concat();
    for publisher in ["sensegate pub", "mosquitto_pub"] {
        let sent = client_with_input(&mut program(publisher), gateway.port(), &["-t", TOPIC, "-s", "-r"], BYTES);
        assert!(sent.status.success(), "{publisher}: {sent:?}");
        for subscriber in ["sensegate sub", "mosquitto_sub"] {
            let heard = client(&mut program(subscriber), gateway.port(), &["-t", TOPIC, "-v", "-C", "1", "-N"]);
            assert!(heard.status.success(), "{subscriber}: {heard:?}");
            assert_eq!(heard.stdout, expected, "{publisher} to {subscriber}");
        }
        own_pub(&gateway, &["-t", TOPIC, "-n", "-r"]);
    }
}

/// A client by the words of its command line.
fn program(line: &str) -> Command {
    match line.split_once(' ') {
        Some((_, own)) => word(own),
        None => Command::new(line),
    }
}

#[test]
fn sub_prints_several_topics_with_their_names_until_its_count() {
    let gateway = Gateway::start("");
    for (topic, value) in [("a/1", "x"), ("b/2/deep", "y y")] {
        own_pub(&gateway, &["-t", topic, "-m", value, "-r"]);
    }
    let printed = own_sub(gateway.port(), &["-t", "a/+", "-t", "b/#", "-v", "-C", "2"]);
    let printed = String::from_utf8(printed).unwrap();
    let mut lines: Vec<_> = printed.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["a/1 x", "b/2/deep y y"]);
    assert_eq!(own_sub(gateway.port(), &["-t", "a/1", "-C", "1"]), b"x\n");
}

#[test]
fn sub_hears_what_mosquitto_pub_says_with_the_lower_of_two_qos() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto_pub is not installed");
    }
    let gateway = Gateway::start("");
    let mut listener = Listener::start(&gateway, &["-t", "qos", "-q", "1"]);
    for (published, delivered) in [("0", "AtMostOnce"), ("1", "AtLeastOnce"), ("2", "AtLeastOnce")] {
        publish(&gateway, &["-t", "qos", "-m", published, "-q", published]);
        assert_eq!(listener.line(), published);
        let told = format!("Topic = qos, Qos = {delivered}");
        eventually("the debug line names the QoS", || listener.process().printed().contains(&told).then_some(()));
    }
}

#[test]
fn sub_ends_with_27_when_its_time_is_over() {
    let gateway = Gateway::start("");
    let output = client(&mut word("sub"), gateway.port(), &["-t", "silence", "-W", "1"]);
    assert_eq!(output.status.code(), Some(27), "{output:?}");
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn sub_leaves_retained_messages_out_when_told() {
    let gateway = Gateway::start("");
    own_pub(&gateway, &["-t", "kept", "-m", "old", "-r"]);
    let listener = Listener::start(&gateway, &["-t", "kept", "-R"]);
    own_pub(&gateway, &["-t", "kept", "-m", "new"]);
    assert_eq!(listener.line(), "new");
}

#[test]
fn a_session_that_is_kept_gets_what_was_published_meanwhile() {
    let gateway = Gateway::start("");
    let port = gateway.port().to_string();
    let start = |flags: &[&str]| {
        let mut command = word("sub");
        Process::spawn(command.args(["-h", "127.0.0.1", "-p", &port, "-t", "queue", "-d"]).args(flags))
    };
    let mut first = start(&SESSION);
    first.expect_line_with("SubAck");
    assert!(first.interrupt().success(), "{}", first.printed());
    for payload in ["one", "two"] {
        own_pub(&gateway, &["-t", "queue", "-m", payload, "-q", "1"]);
    }
    let queued = own_sub(gateway.port(), &[&SESSION[..], &["-t", "queue", "-C", "2"]].concat());
    assert_eq!(queued, b"one\ntwo\n");
}

#[test]
fn a_user_name_and_a_password_are_accepted_where_nobody_asks_for_them() {
    let gateway = Gateway::start("");
    own_pub(&gateway, &["-t", "who", "-m", "x", "-r", "-u", "me", "-P", "-secret"]);
    assert_eq!(own_sub(gateway.port(), &["-t", "who", "-C", "1", "-u", "me", "-P", "-secret"]), b"x\n");
}

/// Lets `me` in with `secret`, and nobody else.
fn passwords(directory: &Path) -> String {
    let file = directory.join("passwords");
    let mut command = Command::new("mosquitto_passwd");
    Process::spawn(command.args(["-b", "-c"]).arg(&file).args(["me", "secret"])).expect_success();
    format!("allow_anonymous false\npassword_file {}\n", file.display())
}

#[test]
fn a_wrong_password_is_refused_in_one_line_with_the_broker_s_reason() {
    if !has_mosquitto() {
        return skip_or_fail("mosquitto is not installed");
    }
    let broker = Broker::start_with(passwords);
    let sub = |password: &str, version: &str| {
        client(&mut word("sub"), broker.port(), &["-t", "a", "-W", "1", "-u", "me", "-P", password, "-V", version])
    };
    for (version, reason) in [("311", "not authorised (CONNACK 5)"), ("5", "not authorised (CONNACK 0x87)")] {
        let refused = sub("wrong", version);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let expected = format!("sensegate: 127.0.0.1:{}: the broker refused: {reason}", broker.port());
        assert_eq!(only_line(&refused), expected);
        assert_eq!(sub("secret", version).status.code(), Some(27), "the right one is let in");
    }
}

#[test]
fn both_commands_speak_mqtt_5_with_mosquitto() {
    if !has_mosquitto() {
        return skip_or_fail("mosquitto is not installed");
    }
    let broker = Broker::start();
    for qos in ["0", "1", "2"] {
        let flags = ["-V", "mqttv5", "-t", TOPIC, "-s", "-r", "-q", qos];
        let sent = client_with_input(&mut word("pub"), broker.port(), &flags, BYTES);
        assert!(sent.status.success() && sent.stderr.is_empty(), "{sent:?}");
        let heard = own_sub(broker.port(), &["-V", "mqttv5", "-t", TOPIC, "-q", qos, "-C", "1", "-N"]);
        assert_eq!(heard, BYTES);
    }
    // mosquitto tells the version of each client: p5 is MQTT 5
    let printed = broker.printed();
    assert!(printed.contains("(p5,") && !printed.contains("(p2,"), "{printed}");
}

#[test]
fn the_will_is_published_when_the_process_is_killed_and_not_when_it_ends() {
    let gateway = Gateway::start("");
    let start = || {
        let will = ["--will-topic", "wills/été", "--will-payload", "-gone", "--will-qos", "1", "--will-retain"];
        Listener::start(&gateway, &[&["-t", "nothing"], &will[..]].concat())
    };
    let mut watcher = watch_wills(&gateway);
    assert!(start().process().interrupt().success());
    own_pub(&gateway, &["-t", "wills/mark", "-m", "ended"]);
    assert_eq!(next_will(&watcher), "wills/mark ended");
    start().process().kill();
    assert_eq!(next_will(&watcher), "wills/été -gone");
    assert_eq!(own_sub(gateway.port(), &["-t", "wills/été", "-q", "1", "-C", "1"]), b"-gone\n", "it is retained");
    assert!(watcher.interrupt().success());
}

/// A subscriber of all wills, under another name than [`Listener`] has.
fn watch_wills(gateway: &Gateway) -> Process {
    let flags = ["-t", "wills/#", "-v", "-q", "1", "-i", "watcher", "-d"];
    let process = Process::spawn(word("sub").args(at(gateway.port())).args(flags));
    process.expect_line_with("SubAck");
    process
}

fn next_will(watcher: &Process) -> String {
    eventually("a message", || Some(watcher.expect_line()).filter(|line| line.starts_with("wills/")))
}

#[test]
fn where_nothing_listens_one_line_says_so_and_the_exit_code_is_1() {
    for (name, flags) in [("pub", &["-t", "a", "-m", "x"][..]), ("sub", &["-t", "a"])] {
        // port 1 (tcpmux) is nobody's
        let refused = client(&mut word(name), 1, flags);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let line = only_line(&refused);
        assert!(line.starts_with("sensegate: no connection to 127.0.0.1:1: nothing listens there; "), "{line}");
        let quiet = client(&mut word(name), 1, &[flags, &["--quiet"]].concat());
        assert_eq!((quiet.status.code(), quiet.stderr.len()), (Some(1), 0), "{quiet:?}");
    }
}

#[test]
fn a_command_line_that_makes_no_sense_is_64_with_its_reason() {
    for (line, said) in [
        ("pub -t a/# -m x", "wildcard"),
        ("pub -t a", "--message"),
        ("pub -t a -m x -q 3", "0, 1 or 2"),
        ("pub -t a -m x -V 5 -k 1", "at least 5 s"),
        ("sub", "--topic"),
        ("sub -t a -c", "--id"),
        ("sub -t a -C 0", "0"),
        ("sub -t a --will-payload x", "--will-topic"),
    ] {
        let refused = sensegate().args(line.split(' ')).output().unwrap();
        assert_eq!(refused.status.code(), Some(64), "{line}: {refused:?}");
        let printed = String::from_utf8(refused.stderr).unwrap();
        assert!(printed.contains(said), "{line}: {printed}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_sub_quietly() {
    let gateway = Gateway::start("");
    let mut command = word("sub");
    command.args(at(gateway.port())).args(["-t", "myRasp/sensors/#"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut reader = child.stdout.take().unwrap();
    reader.read_exact(&mut [0]).unwrap();
    drop(reader);
    let status = eventually("it ends", || child.try_wait().unwrap());
    let mut complaints = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
    assert_eq!((status.code(), complaints.as_str()), (Some(0), ""));
}
