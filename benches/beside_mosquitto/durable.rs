//! QoS 1 to an absent persistent session: ours flushes before it acknowledges, mosquitto keeps it in memory.

use std::io;
use std::time::Duration;

use sensegate::base::clock;
use sensegate::mqtt::QoS;

use crate::Options;
use crate::broker::{Broker, WIDE_LIMITS};
use crate::client::Client;
use crate::shim::Shim;
use crate::table::{self, median};
use crate::window::WindowPublisher;

/// Windows of the publisher.
const WINDOWS: [u64; 3] = [1, 100, 500];

/// Added to each flush: none, and what a memory card takes.
const DELAYS: [Duration; 2] = [Duration::ZERO, Duration::from_millis(10)];

const PAYLOAD_BYTES: usize = 64;

/// What one round of ours gave, a second or a commit.
struct Round {
    rate: f64,
    flushes: f64,
    messages_a_flush: f64,
    bytes_a_flush: f64,
    /// Those of them that the kernel gave to the disk, without the file system's own.
    to_disk_a_flush: f64,
}

pub(crate) fn compare(options: &Options) -> io::Result<()> {
    let mut rows = Vec::new();
    for delay in DELAYS {
        for window in WINDOWS {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..options.rounds {
                ours.push(sensegate(window, delay, options.duration)?);
                theirs.push(publish(&Broker::mosquitto_unlimited()?, window, options.duration)?);
            }
            rows.push(row(window, delay, &ours, &theirs));
        }
    }
    println!("QoS 1 to an absent persistent session, sync = \"always\" beside mosquitto without persistence.\n");
    let head = [
        "case",
        "sensegate/s",
        "mosquitto/s",
        "ratio",
        "flushes/s",
        "messages a flush",
        "KB written a flush",
        "KB to disk",
        "written a message",
    ];
    table::print(head, &rows);
    Ok(())
}

fn sensegate(window: u64, delay: Duration, duration: Duration) -> io::Result<Round> {
    let shim = Shim::build()?;
    let broker = Broker::sensegate(WIDE_LIMITS, &shim.environment(delay))?;
    let (before, to_disk_before) = (shim.counts()?, broker.process.written_bytes()?);
    let started = clock::monotonic();
    let rate = publish(&broker, window, duration)?;
    let seconds = clock::monotonic().since(started).as_secs_f64();
    let (after, to_disk) = (shim.counts()?, broker.process.written_bytes()? - to_disk_before);
    let flushes = number(after.flushes - before.flushes).max(1.0);
    Ok(Round {
        rate,
        flushes: flushes / seconds,
        messages_a_flush: rate * seconds / flushes,
        bytes_a_flush: number(after.bytes - before.bytes) / flushes,
        to_disk_a_flush: number(to_disk) / flushes,
    })
}

/// Acknowledged messages a second.
fn publish(broker: &Broker, window: u64, duration: Duration) -> io::Result<f64> {
    Client::connect_as(broker.port, "absent".into(), false)?.subscribe("bench/#", QoS::AtLeastOnce)?;
    let client = Client::connect(broker.port, "publisher".into())?;
    let mut publisher = WindowPublisher::new(client, "bench/load", PAYLOAD_BYTES, window);
    let started = clock::monotonic();
    let acknowledged = publisher.run(|_| clock::monotonic().since(started) >= duration)?;
    Ok(number(acknowledged) / clock::monotonic().since(started).as_secs_f64())
}

fn row(window: u64, delay: Duration, ours: &[Round], theirs: &[f64]) -> [String; 9] {
    let of = |figure: fn(&Round) -> f64| median(&ours.iter().map(figure).collect::<Vec<_>>());
    let (rate, their_rate) = (of(|round| round.rate), median(theirs));
    let slow = if delay.is_zero() { String::new() } else { format!(", {} ms added to a flush", delay.as_millis()) };
    [
        format!("window {window}{slow}"),
        format!("{rate:.0}"),
        format!("{their_rate:.0}"),
        format!("{:.2}", rate / their_rate),
        format!("{:.0}", of(|round| round.flushes)),
        format!("{:.1}", of(|round| round.messages_a_flush)),
        format!("{:.1}", of(|round| round.bytes_a_flush) / 1e3),
        format!("{:.1}", of(|round| round.to_disk_a_flush) / 1e3),
        format!("{:.0} B", of(|round| round.bytes_a_flush / round.messages_a_flush)),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn number(count: u64) -> f64 {
    count as f64
}
