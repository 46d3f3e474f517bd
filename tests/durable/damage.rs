//! Files that are not as the program left them: what is readable is served, what is not ours is left alone.

use std::fs::{self, OpenOptions};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;

use crate::link::{Keep, Link};
use crate::place::{LONG_QUEUES, file};
use crate::support::{Gateway, Process, Subscriber, eventually, sensegate};

const QUEUED: usize = 3_000;

/// A gateway that has stopped, with a queue of [`QUEUED`] numbers for `keeper`.
fn stopped_with_queue() -> Gateway {
    let mut gateway = Gateway::start("");
    Link::leave_session(gateway.address(), "keeper", "q/#", 1);
    let (mut publisher, _) = Link::connect(gateway.address(), "publisher", Keep::Nothing);
    publisher.publish_all("q/numbers", (0..QUEUED).map(|number| format!("{number:064}")), 100);
    assert!(gateway.stop().success());
    gateway
}

/// What `keeper` gets, up to a last message that is published for that.
fn collect(gateway: &Gateway) -> Vec<usize> {
    let (mut publisher, _) = Link::connect(gateway.address(), "publisher", Keep::Nothing);
    let (mut keeper, was_there) = Link::connect(gateway.address(), "keeper", Keep::Session);
    assert!(was_there);
    publisher.publish_all("q/end", ["end".to_owned()], 1);
    let mut numbers = Vec::new();
    keeper.drain(|topic, payload| {
        if topic == "q/end" {
            return ControlFlow::Break(());
        }
        numbers.push(String::from_utf8(payload).unwrap().parse().unwrap());
        ControlFlow::Continue(())
    });
    numbers
}

/// Databases in the state directory that were set aside, without their logs.
fn set_aside(gateway: &Gateway) -> Vec<String> {
    let entries = fs::read_dir(gateway.state()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("broker.db.damaged-") && !name.ends_with("-wal")).collect()
}

/// The damage is told in one line that names what became of it, and the file is kept.
fn expect_damage_told(gateway: &Gateway) {
    let line = eventually("the damage is told", || {
        gateway.printed().lines().find(|line| line.contains("the state was damaged")).map(str::to_owned)
    });
    assert!(line.contains("ERROR"), "{line}");
    let aside = set_aside(gateway);
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert!(line.contains("rows taken over") && line.contains(&aside[0]), "{line}");
}

#[test]
fn a_file_of_nothing_sensible_is_set_aside_with_a_loud_line_and_the_gateway_serves() {
    let mut gateway = Gateway::start("");
    assert!(gateway.stop().success());
    fs::write(file(&gateway), vec![0x55; 100_000]).unwrap();
    gateway.start_again();
    expect_damage_told(&gateway);
    let watcher = Subscriber::start(&gateway, "myRasp/status");
    assert_eq!(watcher.message().payload, "online");
}

#[test]
fn a_corrupt_page_costs_what_is_on_it_and_the_rest_is_served_in_order() {
    let mut gateway = stopped_with_queue();
    let length = fs::metadata(file(&gateway)).unwrap().len();
    let page = length / 4096 / 2;
    let writer = OpenOptions::new().write(true).open(file(&gateway)).unwrap();
    writer.write_all_at(&[0x55; 4096], page * 4096).unwrap();
    gateway.start_again();
    let numbers = collect(&gateway);
    expect_damage_told(&gateway);
    assert!(numbers.is_sorted() && numbers.len() > QUEUED * 9 / 10 && numbers.len() < QUEUED, "{}", numbers.len());
}

#[test]
fn a_file_that_is_cut_is_served_as_far_as_it_goes() {
    let mut gateway = stopped_with_queue();
    let length = fs::metadata(file(&gateway)).unwrap().len();
    OpenOptions::new().write(true).open(file(&gateway)).unwrap().set_len(length / 4096 / 2 * 4096 + 1_000).unwrap();
    gateway.start_again();
    let numbers = collect(&gateway);
    expect_damage_told(&gateway);
    assert!(numbers.is_sorted() && numbers.len() > QUEUED / 4 && numbers.len() < QUEUED, "{}", numbers.len());
}

#[test]
fn a_log_whose_end_is_torn_is_served_up_to_the_last_whole_commit() {
    let mut gateway = Gateway::start("");
    Link::leave_session(gateway.address(), "keeper", "q/#", 1);
    let (mut publisher, _) = Link::connect(gateway.address(), "publisher", Keep::Nothing);
    publisher.publish_all("q/numbers", (0..50).map(|number| number.to_string()), 1);
    gateway.kill();
    let log = gateway.state().join("broker.db-wal");
    let length = fs::metadata(&log).unwrap().len();
    // in the middle of a page, as a power cut tears it
    OpenOptions::new().write(true).open(&log).unwrap().set_len(length - 20 * 4_120 - 2_000).unwrap();
    gateway.start_again();
    let numbers = collect(&gateway);
    assert!(numbers.len() > 10 && numbers.len() < 50, "{numbers:?}");
    assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>());
    assert!(set_aside(&gateway).is_empty(), "a torn end is no damage");
}

#[test]
fn a_queue_that_cannot_be_read_for_a_while_is_delivered_when_it_can() {
    const MANY: usize = 20_000;
    let mut gateway = Gateway::start(LONG_QUEUES);
    Link::leave_session(gateway.address(), "keeper", "q/#", 1);
    let (mut publisher, _) = Link::connect(gateway.address(), "publisher", Keep::Nothing);
    publisher.publish_all("q/numbers", (0..MANY).map(|number| format!("{number:0200}")), 500);
    assert!(gateway.stop().success());
    gateway.start_again();
    // a page of about message 5500, far from those that were read last and so are still in memory; nothing can be put in
    // place of the file
    let page = fs::metadata(file(&gateway)).unwrap().len() / 4096 * 11 / 40;
    let writer = OpenOptions::new().write(true).open(file(&gateway)).unwrap();
    writer.write_all_at(&[0x55; 4096], page * 4096).unwrap();
    let obstacle = gateway.state().join("broker.db-half");
    fs::create_dir(&obstacle).unwrap();
    let (mut keeper, was_there) = Link::connect(gateway.address(), "keeper", Keep::Session);
    assert!(was_there);
    let mut numbers: Vec<usize> = Vec::new();
    keeper.drain(|_, payload| {
        numbers.push(String::from_utf8(payload).unwrap().parse().unwrap());
        // the piece from 5000 on is asked for when 500 are left before it
        if numbers.len() == 4_900 {
            eventually("it cannot be read", || gateway.printed().contains("a queue cannot be read").then_some(()));
            fs::remove_dir(&obstacle).unwrap();
        }
        if numbers.last() == Some(&(MANY - 1)) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    expect_damage_told(&gateway);
    assert!(numbers.is_sorted() && numbers.len() > MANY * 9 / 10 && numbers.len() < MANY, "{}", numbers.len());
}

/// The program says why it does not start, once, and touches nothing.
fn expect_refusal(gateway: &Gateway, reason: &str) {
    let before = fs::read(file(gateway)).unwrap();
    let mut process = start(&gateway.configuration());
    let status = process.wait();
    let printed = process.printed();
    // systemd does not restart on this code (RestartPreventExitStatus)
    assert_eq!(status.code(), Some(78), "{printed}");
    assert!(printed.contains(reason) && printed.contains("broker.db"), "{printed}");
    assert!(fs::read(file(gateway)).unwrap() == before, "the file is left as it is");
    assert!(set_aside(gateway).is_empty());
}

fn start(configuration: &Path) -> Process {
    let mut command: Command = sensegate();
    Process::spawn(command.arg("--simulate").arg("--config").arg(configuration))
}

#[test]
fn a_newer_format_is_refused_and_left_as_it_is() {
    let mut gateway = Gateway::start("");
    assert!(gateway.stop().success());
    let connection = Connection::open(file(&gateway)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    connection.close().unwrap();
    let reason =
        "has format 99, this version reads formats up to 3: a newer sensegate wrote it; install that version again";
    expect_refusal(&gateway, reason);
}

#[test]
fn a_database_of_another_program_is_refused_and_left_as_it_is() {
    let mut gateway = Gateway::start("");
    assert!(gateway.stop().success());
    fs::remove_file(file(&gateway)).unwrap();
    let connection = Connection::open(file(&gateway)).unwrap();
    connection.execute_batch("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)").unwrap();
    connection.close().unwrap();
    expect_refusal(&gateway, "is a database of another program");
}
