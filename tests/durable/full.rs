//! A full disk: what needs room waits, everything else goes on, and nothing acknowledged is lost.
//!
//! The test starts itself again in a mount namespace where the directory for temporary files, and so the program's
//! state, is a small file system of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::Command;

use crate::link::{Keep, Link, PUBACK, packet_id};
use crate::place::{LONG_QUEUES, count_printed};
use crate::support::{Gateway, PATIENCE, Process, eventually, skip_or_fail};
use crate::wire::{QOS1, acknowledge, publish, publish_id};

/// Set to the small file system in the process that runs there.
const DISK: &str = "DURABLE_TEST_DISK";

const FULL: &str = "state cannot be written";
const HEALED: &str = "state is written again";

/// Bytes of a queued payload, and how many are published before one is acknowledged.
const PAYLOAD_BYTES: usize = 2_000;
const WINDOW: usize = 20;

/// Runs `test` again with a small disk for its temporary files. Gives that disk in the second run.
fn on_a_small_disk(test: &str) -> Option<PathBuf> {
    if let Some(disk) = std::env::var_os(DISK) {
        return Some(disk.into());
    }
    if !rustix::process::geteuid().is_root() {
        skip_or_fail("a file system of its own takes root");
        return None;
    }
    let disk = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", "mount -t tmpfs -o size=12m none \"$TMPDIR\" && exec \"$@\"", "sh"]);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture", "--test-threads=1"]);
    Process::spawn(command.env(DISK, disk.path()).env("TMPDIR", disk.path())).expect_success();
    None
}

/// A publisher that is not acknowledged from some moment on.
struct Publisher {
    link: Link,
    sent: usize,
    acknowledged: usize,
}

impl Publisher {
    fn connect(gateway: &Gateway) -> Self {
        Self { link: Link::connect(gateway.address(), "publisher", Keep::Nothing).0, sent: 0, acknowledged: 0 }
    }

    /// Publishes until the disk is full; then a window of messages waits for its acknowledgements.
    fn fill(&mut self, gateway: &Gateway) {
        while count_printed(gateway, FULL) == 0 {
            self.send_window();
            // the answer that does not come is the point at which the disk is full
            while self.acknowledged < self.sent && !self.is_stuck(gateway) {
                self.take_acknowledgement();
            }
        }
        assert!(self.acknowledged > WINDOW, "{}", self.acknowledged);
        assert!(self.acknowledged < self.sent, "what found no room was acknowledged");
    }

    fn send_window(&mut self) {
        for _ in 0..WINDOW {
            let payload = format!("{:0width$}", self.sent, width = PAYLOAD_BYTES);
            self.link.send(&publish_id(QOS1, "q/numbers", packet_id(self.sent), &payload));
            self.sent += 1;
        }
    }

    /// Whether nothing is to be read and the gateway says why.
    fn is_stuck(&mut self, gateway: &Gateway) -> bool {
        eventually("an acknowledgement, or its refusal", || {
            if self.link.is_readable() {
                return Some(false);
            }
            (count_printed(gateway, FULL) > 0).then_some(true)
        })
    }

    fn take_acknowledgement(&mut self) {
        let ack = self.link.expect();
        assert_eq!((ack.first, &ack.body[..]), (PUBACK, &packet_id(self.acknowledged).to_be_bytes()[..]));
        self.acknowledged += 1;
    }
}

/// Connected before the disk is full.
struct Others {
    /// A clean session, publisher and subscriber in one.
    clean: Link,
    /// A persistent session with [`WINDOW`] deliveries that it has not acknowledged yet.
    worker: Link,
    unacknowledged: Vec<u16>,
}

impl Others {
    fn connect(gateway: &Gateway) -> Self {
        let (mut clean, _) = Link::connect(gateway.address(), "clean", Keep::Nothing);
        clean.subscribe("c/#", 1);
        let (mut worker, _) = Link::connect(gateway.address(), "worker", Keep::Session);
        worker.subscribe("w/#", 1);
        let (mut publisher, _) = Link::connect(gateway.address(), "workers-publisher", Keep::Nothing);
        publisher.publish_all("w/work", (0..WINDOW).map(|number| number.to_string()), WINDOW);
        let unacknowledged = (0..WINDOW).map(|_| worker.expect().publish().id.unwrap()).collect();
        Self { clean, worker, unacknowledged }
    }

    /// Messages that no disk has to keep flow as ever.
    fn expect_flow(&mut self) {
        for number in 0..100 {
            self.clean.send(&publish(0, "c/zero", "zero"));
            assert_eq!(self.clean.expect().publish().payload, b"zero");
            self.clean.send(&publish_id(QOS1, "c/one", packet_id(number), "one"));
            let mut packets = [self.clean.expect(), self.clean.expect()];
            packets.sort_by_key(|packet| packet.first == PUBACK);
            let [delivery, ack] = packets;
            assert_eq!((delivery.publish().payload, ack.first), (b"one".to_vec(), PUBACK));
            self.clean.send(&acknowledge(PUBACK, delivery.publish().id.unwrap()));
        }
    }

    fn acknowledge_work(&mut self) {
        for id in self.unacknowledged.drain(..) {
            self.worker.send(&acknowledge(PUBACK, id));
        }
        self.worker.ping();
    }
}

fn ballast(disk: &std::path::Path, bytes: usize) -> PathBuf {
    let file = disk.join("ballast");
    fs::write(&file, vec![1; bytes]).unwrap();
    file
}

#[test]
fn a_full_disk_holds_back_what_needs_it_and_heals_when_there_is_room() {
    let test = "full::a_full_disk_holds_back_what_needs_it_and_heals_when_there_is_room";
    let Some(disk) = on_a_small_disk(test) else { return };
    let mut gateway = Gateway::start(LONG_QUEUES);
    Link::leave_session(gateway.address(), "keeper", "q/#", 1);
    let mut others = Others::connect(&gateway);
    let ballast = ballast(&disk, 4 << 20);
    let mut publisher = Publisher::connect(&gateway);
    publisher.fill(&gateway);
    others.expect_flow();
    others.acknowledge_work();
    others.expect_flow();
    assert!(!publisher.link.is_readable(), "what is not on disk is not acknowledged");
    publisher.link.ping();
    expect_newcomers_served(&gateway);
    fs::remove_file(ballast).unwrap();
    while publisher.acknowledged < publisher.sent {
        publisher.take_acknowledgement();
    }
    eventually("the end of it is told", || (count_printed(&gateway, HEALED) > 0).then_some(()));
    assert_eq!([FULL, HEALED].map(|text| count_printed(&gateway, text)), [1, 1], "{}", gateway.printed());
    gateway.kill();
    gateway.start_again();
    expect_everything(&gateway, publisher.acknowledged);
}

/// Who comes while the disk is full is let in, told of it, and refused only what would have to be kept.
fn expect_newcomers_served(gateway: &Gateway) {
    let (mut newcomer, _) = Link::connect(gateway.address(), "newcomer", Keep::Nothing);
    newcomer.subscribe("$SYS/broker/store/state", 0);
    assert_eq!(newcomer.expect().publish().payload, b"full");
    // version 5: CONNECT of a clean session, then PUBLISH of QoS 1 without properties
    let mut five = TcpStream::connect(gateway.address()).unwrap();
    five.set_read_timeout(Some(PATIENCE)).unwrap();
    five.write_all(&[0x10, 14, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 0, 0, 0, 1, b'5']).unwrap();
    let connack = read_packet(&mut five);
    assert_eq!((connack[0], connack[3]), (0x20, 0), "{connack:?}");
    five.write_all(&[0x32, 9, 0, 3, b'q', b'/', b'5', 0, 7, 0, b'x']).unwrap();
    let puback = read_packet(&mut five);
    assert_eq!((puback[0], &puback[2..5]), (0x40, &[0, 7, 0x97][..]), "quota exceeded");
    // and of a session that would have to be kept: CONNECT with session expiry interval 60
    let mut keeper = TcpStream::connect(gateway.address()).unwrap();
    keeper.set_read_timeout(Some(PATIENCE)).unwrap();
    keeper.write_all(&[0x10, 19, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 0, 5, 0x11, 0, 0, 0, 60, 0, 1, b'k']).unwrap();
    let connack = read_packet(&mut keeper);
    assert_eq!((connack[0], connack[3]), (0x20, 0x97), "{connack:?}");
}

/// One packet of less than 128 bytes.
fn read_packet(stream: &mut TcpStream) -> Vec<u8> {
    let mut packet = vec![0; 2];
    stream.read_exact(&mut packet).unwrap();
    packet.resize(2 + usize::from(packet[1]), 0);
    stream.read_exact(&mut packet[2..]).unwrap();
    packet
}

/// `keeper` has all numbers, and `worker` nothing of what it acknowledged.
fn expect_everything(gateway: &Gateway, count: usize) {
    let (mut keeper, was_there) = Link::connect(gateway.address(), "keeper", Keep::Session);
    assert!(was_there);
    let mut next = 0;
    keeper.drain(|_, payload| {
        assert_eq!(String::from_utf8(payload).unwrap().parse(), Ok(next));
        next += 1;
        if next == count { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let (mut worker, was_there) = Link::connect(gateway.address(), "worker", Keep::Session);
    assert!(was_there);
    worker.send(&crate::wire::PINGREQ);
    assert_eq!(worker.expect().first, crate::link::PINGRESP, "the acknowledgements of a full disk were kept");
}

#[test]
fn a_full_disk_heals_when_a_connected_subscriber_takes_its_queue() {
    check_heals_by_draining("full::a_full_disk_heals_when_a_connected_subscriber_takes_its_queue", Keeper::Connected);
}

#[test]
fn a_full_disk_heals_when_an_absent_subscriber_comes_back_for_its_queue() {
    check_heals_by_draining(
        "full::a_full_disk_heals_when_an_absent_subscriber_comes_back_for_its_queue",
        Keeper::Absent,
    );
}

#[derive(Clone, Copy, PartialEq)]
enum Keeper {
    Connected,
    Absent,
}

fn check_heals_by_draining(test: &str, keeper: Keeper) {
    let Some(disk) = on_a_small_disk(test) else { return };
    let mut gateway = Gateway::start(LONG_QUEUES);
    let (mut slow, _) = Link::connect(gateway.address(), "keeper", Keep::Session);
    slow.subscribe("q/#", 1);
    let connected = (keeper == Keeper::Connected).then_some(slow);
    ballast(&disk, 4 << 20);
    let mut publisher = Publisher::connect(&gateway);
    publisher.fill(&gateway);
    let come_back = || Link::connect(gateway.address(), "keeper", Keep::Session).0;
    let mut slow = connected.unwrap_or_else(come_back);
    let count = publisher.sent;
    let mut next = 0;
    slow.drain(|_, payload| {
        assert_eq!(String::from_utf8(payload).unwrap().parse(), Ok(next));
        next += 1;
        if next == count { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    while publisher.acknowledged < publisher.sent {
        publisher.take_acknowledgement();
    }
    assert_eq!(count_printed(&gateway, FULL), 1, "{PATIENCE:?}: {}", gateway.printed());
    gateway.kill();
    gateway.start_again();
}
