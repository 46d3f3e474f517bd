//! What a commit costs: time, bytes handed to the kernel and bytes that reach the disk's layer (`/proc/self/io`), and
//! how soon a long queue is open again. `cargo bench --bench store [-- NAME]` runs every measurement, or those whose
//! name begins with NAME. Flushes are counted from outside: `strace -f -c -e fsync,fdatasync target/release/deps/store-… NAME`.
//!
//! Figures depend on the disk: compare bytes and flushes, not rates. The directory is `TMPDIR`, which must not be in
//! memory for the third and fourth column to mean anything.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on panics")]

use std::fs;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use sensegate::base::clock::{Monotonic, Wall, monotonic};
use sensegate::base::ids::BootId;
use sensegate::broker::{Change, Delivery, Message, Owner, Ticket};
use sensegate::mqtt::{ClientId, QoS, TopicName};
use sensegate::store::{Answer, Clocks, Options, Request, Store, StoreThread, Sync, ThreadOptions};

const COMMITS: u64 = 1_000;

fn main() {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    println!("{:<44} {:>10} {:>12} {:>12}", "", "a second", "KB written", "KB to disk");
    for (name, measure) in MEASUREMENTS {
        if name.starts_with(&wanted) {
            measure(name);
        }
    }
}

type Measurement = (&'static str, fn(&str));

const MEASUREMENTS: [Measurement; 15] = [
    ("empty", |name| commits(name, 0, 1)),
    ("enqueue 1 to one session", |name| commits(name, 1, 1)),
    ("enqueue 20 to one session", |name| commits(name, 20, 1)),
    ("enqueue 20 to ten sessions", |name| commits(name, 20, 10)),
    ("enqueue 500 to one session", |name| commits(name, 500, 1)),
    ("share 1 among ten sessions", shared),
    ("turn over 1: enqueue, acknowledge", turn_over),
    ("retained 3 of QoS 1", |name| retained(name, QoS::AtLeastOnce)),
    ("retained 3 of QoS 0, a second apart", |name| retained(name, QoS::AtMostOnce)),
    ("thread, window 20", |name| thread(name, 20, Duration::ZERO)),
    ("thread, window 100", |name| thread(name, 100, Duration::ZERO)),
    ("thread, window 500", |name| thread(name, 500, Duration::ZERO)),
    ("thread, window 100, 10 ms added to a commit", |name| thread(name, 100, Duration::from_millis(10))),
    ("thread, window 500, 10 ms added to a commit", |name| thread(name, 500, Duration::from_millis(10))),
    ("open", open),
];

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn open(&self, sync: Sync) -> Store {
        let path = self.directory.path().join("state.db");
        let clocks = Clocks { boot_id: BootId::read(), monotonic: Monotonic::ZERO, wall: Wall::from_unix_ms(0) };
        Store::open(path, Options { sync, ..Options::default() }, clocks).unwrap().0
    }
}

/// Time and bytes since a moment.
struct Meter {
    since: Monotonic,
    written: u64,
    to_disk: u64,
}

impl Meter {
    fn start() -> Self {
        Self { since: monotonic(), written: io("wchar: "), to_disk: io("write_bytes: ") }
    }

    fn print(&self, name: &str, count: u64) {
        let seconds = (monotonic() - self.since).as_secs_f64();
        let kilobytes = |bytes: u64| f64::from(u32::try_from(bytes / count).unwrap()) / 1000.0;
        let (written, to_disk) = (io("wchar: ") - self.written, io("write_bytes: ") - self.to_disk);
        let rate = f64::from(u32::try_from(count).unwrap()) / seconds;
        println!("{name:<44} {rate:>10.0} {:>12.1} {:>12.1}", kilobytes(written), kilobytes(to_disk));
    }
}

fn io(field: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/io").unwrap();
    text.lines().find_map(|line| line.strip_prefix(field)).unwrap().parse().unwrap()
}

fn client(number: u64) -> ClientId {
    ClientId::new(format!("client {number}"))
}

fn message(topic: &str) -> Arc<Message> {
    Arc::new(Message::new(TopicName::new(topic).unwrap(), bytes::Bytes::from_static(&[b'x'; 64])))
}

fn enqueued(client_id: ClientId, arrival: u64, message: &Arc<Message>) -> Change {
    let (message, qos) = (message.clone(), QoS::AtLeastOnce);
    Change::Enqueued { client_id, delivery: Delivery { arrival, message, qos, retain: false, marks: None } }
}

fn commits(name: &str, messages: u64, sessions: u64) {
    let place = Place::new();
    let mut store = place.open(Sync::Always);
    let clients: Vec<_> = (0..sessions).map(client).collect();
    let meter = Meter::start();
    let mut arrivals = 1..;
    for _ in 0..COMMITS {
        let clients = clients.iter().cycle();
        let numbers = arrivals.by_ref().take(usize::try_from(messages).unwrap());
        let changes: Vec<_> =
            numbers.zip(clients).map(|(n, client)| enqueued(client.clone(), n, &message("a/b"))).collect();
        store.commit(&changes, Monotonic::ZERO).unwrap();
    }
    meter.print(name, COMMITS);
}

fn shared(name: &str) {
    let place = Place::new();
    let mut store = place.open(Sync::Always);
    let meter = Meter::start();
    for round in 0..COMMITS {
        let message = message("a/b");
        let changes: Vec<_> = (1..=10).map(|n| enqueued(client(n), round * 10 + n, &message)).collect();
        store.commit(&changes, Monotonic::ZERO).unwrap();
    }
    meter.print(name, COMMITS);
}

fn turn_over(name: &str) {
    let place = Place::new();
    let mut store = place.open(Sync::Always);
    let meter = Meter::start();
    for arrival in 1..=COMMITS {
        store.commit(&[enqueued(client(1), arrival, &message("a/b"))], Monotonic::ZERO).unwrap();
        store.commit(&[Change::Dequeued { client_id: client(1), arrival }], Monotonic::ZERO).unwrap();
    }
    meter.print(name, COMMITS);
}

fn retained(name: &str, qos: QoS) {
    let place = Place::new();
    let mut store = place.open(Sync::Always);
    let meter = Meter::start();
    for second in 0..COMMITS {
        let now = Monotonic::from_boot(Duration::from_secs(second));
        let topics = ["s/temperature", "s/pressure", "s/humidity"];
        let changes: Vec<_> =
            topics.map(|topic| Change::Retained { message: message(topic), qos, owner: Owner::Anonymous }).into();
        store.commit(&changes, now).unwrap();
    }
    meter.print(name, COMMITS);
}

/// A publisher that waits when `window` messages are not acknowledged, one message a ticket.
fn thread(name: &str, window: u64, delay: Duration) {
    let total = if delay.is_zero() { window * 500 } else { window * 50 };
    let place = Place::new();
    let (answers, answered) = channel();
    let options = ThreadOptions { requests_max: 1_000, delay };
    let store = place.open(Sync::Always);
    let thread = StoreThread::spawn(store, options, move |answer| answers.send(answer).unwrap()).unwrap();
    let meter = Meter::start();
    let mut written = 0;
    for number in 1..=total + window {
        while number > written + window {
            written = wait(&answered);
        }
        if number <= total {
            let changes = vec![enqueued(client(1), number, &message("a/b"))];
            thread.request(Request::Commit { ticket: Ticket(number), changes }).unwrap();
        }
    }
    meter.print(name, total);
    thread.stop().unwrap();
}

/// Waits for an answer; returns the highest ticket that is written.
fn wait(answered: &Receiver<Answer>) -> u64 {
    let Answer::Written(tickets) = answered.recv().unwrap() else { panic!("not written") };
    tickets.last.0
}

fn open(name: &str) {
    for (queued, kept) in [(0, 0), (100_000, 10_000), (1_000_000, 10_000)] {
        let place = Place::new();
        let mut store = place.open(Sync::Off);
        for first in (1..=queued).step_by(1_000) {
            let changes: Vec<_> =
                (first..first + 1_000).map(|n| enqueued(client(n % 20), n, &message("a/b"))).collect();
            store.commit(&changes, Monotonic::ZERO).unwrap();
        }
        let retained = |n| Change::Retained {
            message: message(&format!("r/{n}")),
            qos: QoS::AtLeastOnce,
            owner: Owner::Anonymous,
        };
        store.commit(&(0..kept).map(retained).collect::<Vec<_>>(), Monotonic::ZERO).unwrap();
        drop(store);
        let before = monotonic();
        drop(place.open(Sync::Always));
        println!("{name} with {queued} queued, {kept} retained: {:?}", monotonic() - before);
    }
}
