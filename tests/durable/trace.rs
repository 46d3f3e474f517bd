//! What the kernel saw: a durable PUBLISH is flushed before its acknowledgement is written to the socket.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::link::{Keep, Link};
use crate::place::restart_with_storage;
use crate::support::{Gateway, Process, skip_or_fail};
use crate::wire::{QOS1, RETAIN, publish_id};

/// Messages published while one trace is taken.
const COUNT: u16 = 10;

/// Nothing but what a test does reaches the disk while it is traced.
const QUIET: &str = "coalesce = \"24h\"";

/// The state of the matrix is said when it is known, which may be while a trace is taken.
const WITHOUT_LEDS: &str = "[leds]\nenabled = false\n";

/// `strace` attached to all threads of a gateway.
struct Trace {
    process: Process,
    directory: TempDir,
}

/// A system call that matters, as it came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// The PUBLISH with this identifier was read from the socket.
    Read(u16),
    /// A flush of the broker's state returned.
    Flushed,
    /// The PUBACK with this identifier is about to be written to the socket.
    Acknowledged(u16),
}

impl Trace {
    /// Attaches; `None` where that is not possible.
    fn attach(gateway: &Gateway) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("trace");
        let mut command = Command::new("strace");
        command.args(["-f", "-ttt", "-y", "-xx", "-s", "256"]);
        command.args(["-e", "trace=read,recvfrom,write,writev,sendto,sendmsg,fsync,fdatasync"]);
        command.arg("-o").arg(file).arg("-p").arg(gateway.id().to_string());
        if Command::new("strace").arg("-V").output().is_err() {
            return None;
        }
        let process = Process::spawn(&mut command);
        process.expect_line_with("attached");
        Some(Self { process, directory })
    }

    /// Detaches; what was seen of reads, flushes and acknowledgements, in the order in which it came to its end.
    fn events(mut self) -> Vec<Event> {
        self.process.signal(Signal::INT);
        self.process.wait();
        let text = fs::read_to_string(self.file()).unwrap();
        text.lines().flat_map(events_in).collect()
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("trace")
    }
}

/// The events of one line. A call that another thread interrupts has two lines: a write counts with the first, because
/// from then on its bytes may arrive; a read or a flush counts with the second, which has its result.
fn events_in(line: &str) -> Vec<Event> {
    // identifiers of these tests are 0x7A00 and following
    let id = |pattern: &str| {
        let place = line.find(pattern)? + pattern.len();
        u16::from_str_radix(line.get(place..place + 2)?, 16).ok()
    };
    let is = |calls: &[&str]| calls.iter().any(|call| line.contains(call));
    if is(&["fsync", "fdatasync"]) {
        // the second line of an interrupted one does not name the file; the gateway flushes no other here
        return if line.ends_with(" = 0") { vec![Event::Flushed] } else { Vec::new() };
    }
    if is(&["write(", "writev(", "sendto(", "sendmsg("]) {
        return id(r"\x40\x02\x7a\x").map(Event::Acknowledged).into_iter().collect();
    }
    let read = is(&["read(", "recvfrom(", "read resumed", "recvfrom resumed"]);
    read.then(|| id(r"\x74\x7a\x")).flatten().map(Event::Read).into_iter().collect()
}

/// Waits until the gateway's own client has said that it is there: before that it writes down its topics.
fn wait_for_the_house(gateway: &Gateway) {
    let (mut link, _) = Link::connect(gateway.address(), "waits", Keep::Nothing);
    link.subscribe("myRasp/status", 0);
    link.drain(|_, payload| if payload == b"online" { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
}

/// Publishes with QoS 1 under `t`, one after the other, each when the one before it is acknowledged; gives what the
/// kernel saw of it.
fn trace_publishes(gateway: &Gateway) -> Option<Vec<Event>> {
    wait_for_the_house(gateway);
    let (mut publisher, _) = Link::connect(gateway.address(), "publisher", Keep::Nothing);
    // what is kept is on disk behind what was kept before it
    publisher.send(&publish_id(QOS1 | RETAIN, "x/settled", 1, "settled"));
    assert_eq!(publisher.expect().body, [0, 1]);
    let trace = Trace::attach(gateway)?;
    for number in 0..COUNT {
        publisher.send(&publish_id(QOS1, "t", 0x7A00 + number, "x"));
        let ack = publisher.expect();
        assert_eq!(ack.body, (0x7A00 + number).to_be_bytes());
    }
    Some(trace.events())
}

/// The events of one PUBLISH after the other.
fn expected(of_one: impl Fn(u16) -> Vec<Event>) -> Vec<Event> {
    (0..COUNT).flat_map(of_one).collect()
}

#[test]
fn a_flush_returns_between_the_read_of_a_durable_publish_and_the_write_of_its_acknowledgement() {
    let mut gateway = Gateway::start(WITHOUT_LEDS);
    restart_with_storage(&mut gateway, QUIET);
    Link::leave_session(gateway.address(), "keeper", "#", 1);
    let Some(mut events) = trace_publishes(&gateway) else { return skip_or_fail("strace is missing") };
    // a commit that finds the log full flushes more than once
    events.dedup();
    let of_one = |id| vec![Event::Read(id), Event::Flushed, Event::Acknowledged(id)];
    assert_eq!(events, expected(of_one));
}

#[test]
fn a_publish_to_clean_sessions_alone_flushes_nothing() {
    let mut gateway = Gateway::start(WITHOUT_LEDS);
    restart_with_storage(&mut gateway, QUIET);
    let (mut subscriber, _) = Link::connect(gateway.address(), "clean", Keep::Nothing);
    subscriber.subscribe("t", 1);
    let Some(events) = trace_publishes(&gateway) else { return skip_or_fail("strace is missing") };
    assert_eq!(events, expected(|id| vec![Event::Read(id), Event::Acknowledged(id)]));
}

#[test]
fn without_sync_nothing_is_flushed() {
    let mut gateway = Gateway::start(WITHOUT_LEDS);
    restart_with_storage(&mut gateway, &format!("{QUIET}\nsync = \"off\""));
    Link::leave_session(gateway.address(), "keeper", "#", 1);
    let Some(events) = trace_publishes(&gateway) else { return skip_or_fail("strace is missing") };
    assert_eq!(events, expected(|id| vec![Event::Read(id), Event::Acknowledged(id)]));
}
