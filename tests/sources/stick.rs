//! The stick in the window of the official emulator, without the window: its server, and what a client of the gateway
//! hears.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::process::{Child, ChildStdin, ChildStdout};

use super::*;
use support::{Subscriber, has_mosquitto_clients};

/// Runs the official server of the stick in the directory of the first argument, and sends what comes on the standard
/// input, code and value, as the window's buttons do.
const SERVER: &str = r"
import os, socket, struct, sys, time
from sense_emu import stick
path = os.path.join(sys.argv[1], 'rpi-sense-emu-stick')
stick.stick_address = lambda: (socket.AF_UNIX, socket.SOCK_DGRAM, path)
server = stick.StickServer()
print('ready')
for line in sys.stdin:
    if line == 'crash\n':
        os._exit(1)
    code, value = [int(word) for word in line.split()]
    kind, now = stick.SenseStick.EV_KEY, time.time()
    event = (int(now), int(now % 1 * 1000000), kind, code, value)
    server.send(struct.pack(stick.SenseStick.EVENT_FORMAT, *event))
server.close()
";

/// The official server.
struct Server {
    process: Child,
    input: Option<ChildStdin>,
    _output: BufReader<ChildStdout>,
}

impl Server {
    fn start(place: &Place, python: &Python) -> Self {
        let mut command = python.command(&place.write("server.py", SERVER));
        command.arg(place.directory.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let (input, mut output) = (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self { process, input, _output: output }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Closes it, as its window is closed.
    fn close(&mut self) {
        self.input = None;
        assert!(self.process.wait().unwrap().success());
    }

    fn crash(&mut self) {
        self.say("crash");
        assert_eq!(self.process.wait().unwrap().code(), Some(1));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The port that the program has taken.
fn port_of(gateway: &Process) -> String {
    eventually("where it listens", || {
        let printed = gateway.printed();
        let behind = printed.split_once("127.0.0.1:")?.1;
        let port: String = behind.chars().take_while(char::is_ascii_digit).collect();
        (!port.is_empty() && behind.len() > port.len()).then_some(port)
    })
}

fn expect(subscriber: &Subscriber, direction: &str, action: &str) -> Value {
    let message = subscriber.message();
    assert_eq!((message.topic.as_str(), message.retain), ("myRasp/stick", false));
    let event: Value = serde_json::from_str(&message.payload).unwrap();
    assert_eq!((&event["direction"], &event["action"]), (&direction.into(), &action.into()), "{event}");
    event
}

/// Waits until the log has said `words` so many times.
fn has_said(gateway: &Process, words: &str, times: usize) {
    eventually(words, || (gateway.printed().matches(words).count() == times).then_some(()));
}

#[test]
fn what_is_done_to_the_official_emulators_stick_arrives_and_its_end_lets_go() {
    let Some(python) = sense_emu() else { return };
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto_sub and mosquitto_pub are not installed");
    }
    let place = Place::new();
    let gateway = Process::spawn(&mut place.command("run", &place.emulator()));
    let subscriber = Subscriber::run(&["-h", "127.0.0.1", "-p", &port_of(&gateway), "-t", "myRasp/stick"]);
    has_said(&gateway, "the Sense HAT emulator does not listen at", 1);

    // nobody pressed in vain: the server drops what it sends before it has been greeted
    let mut server = Server::start(&place, &python);
    has_said(&gateway, "the stick is there", 1);
    greeted(&mut server, &subscriber);
    let way_back = fs::metadata(place.path("sensegate-stick-0")).unwrap();
    assert!(way_back.file_type().is_socket());
    assert_eq!(way_back.permissions().mode() & 0o777, 0o600);
    for (line, direction, action) in [
        ("103 1", "up", "press"),
        ("103 2", "up", "hold"),
        ("103 0", "up", "release"),
        ("105 1", "left", "press"),
        ("105 0", "left", "release"),
        ("106 1", "right", "press"),
        ("106 0", "right", "release"),
        ("108 1", "down", "press"),
    ] {
        server.say(line);
        expect(&subscriber, direction, action);
    }
    server.close();
    expect(&subscriber, "down", "release");

    let mut server = Server::start(&place, &python);
    has_said(&gateway, "the stick is there", 2);
    greeted(&mut server, &subscriber);
    server.say("106 1");
    expect(&subscriber, "right", "press");
    server.crash();
    expect(&subscriber, "right", "release");
    assert!(place.path("rpi-sense-emu-stick").exists(), "a crash leaves the socket");
    let mut server = Server::start(&place, &python);
    has_said(&gateway, "the stick is there", 3);
    greeted(&mut server, &subscriber);
    drop(gateway);
}

/// Presses the middle until that is heard: the server looks for greetings ten times a second.
fn greeted(server: &mut Server, subscriber: &Subscriber) {
    eventually("a press of the middle", || {
        server.say("28 1");
        server.say("28 0");
        subscriber.message_within(std::time::Duration::from_millis(500))
    });
    // the rest of the presses
    server.say("108 1");
    server.say("108 0");
    eventually("the end of the presses", || {
        let message = subscriber.message();
        (message.payload.contains("\"down\"") && message.payload.contains("release")).then_some(())
    });
}

#[test]
fn a_stop_takes_the_way_back_away() {
    let Some(python) = sense_emu() else { return };
    let place = Place::new();
    let _server = Server::start(&place, &python);
    let mut gateway = Process::spawn(&mut place.command("run", &place.emulator()));
    has_said(&gateway, "the stick is there", 1);
    assert!(place.path("sensegate-stick-0").exists());
    gateway.signal(Signal::TERM);
    assert!(gateway.wait().success());
    assert!(!place.path("sensegate-stick-0").exists());
}

#[test]
fn doctor_says_whether_the_emulators_stick_is_there() {
    let Some(python) = sense_emu() else { return };
    let place = Place::new();
    let examine = || text(&place.command("doctor", &place.emulator()).output().unwrap().stdout);
    assert!(examine().contains("warning  stick          the Sense HAT emulator does not listen at "), "{}", examine());
    let mut server = Server::start(&place, &python);
    let expected = "ok       stick          the Sense HAT emulator's, at ";
    assert!(examine().contains(expected), "{}", examine());
    server.crash();
    assert!(!examine().contains(expected), "{}", examine());
}
