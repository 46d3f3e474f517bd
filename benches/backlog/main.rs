//! What a backlog costs while the far side of a bridge is away: memory, disk, the start behind a power cut, and the way
//! out of it. `BENCH_BACKLOG=604800 cargo bench --bench backlog` is a week of one sample a second.
//!
//! The outbox is filled by a client that publishes samples of real size as fast as they are acknowledged; the program is
//! killed and started again; then a far side that acknowledges everything comes up.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `BENCH_BACKLOG` | samples | 100000 |
//! | `BENCH_INFLIGHT` | the bridge's `inflight` | 20 |
//! | `SENSEGATE` | the program | this crate's |

#[allow(dead_code, reason = "each benchmark uses its own part of this")]
#[path = "../common/client.rs"]
mod client;
#[path = "../common/options.rs"]
mod options;
#[path = "../common/process.rs"]
mod process;
#[allow(dead_code, reason = "each benchmark uses its own part of this")]
#[path = "../common/table.rs"]
mod table;

mod filler;
mod place;
mod samples;
mod sink;

use std::io;
use std::thread;
use std::time::Duration;

use sensegate::base::clock;
use sensegate::mqtt::QoS;

use client::Client;
use filler::Filler;
use options::{is_bench, variable};
use place::Place;
use process::Process;
use sink::Sink;

/// How long the program has nothing to do before its memory is looked at.
const SETTLE: Duration = Duration::from_secs(2);

fn main() -> io::Result<()> {
    if !is_bench() {
        return Ok(());
    }
    tell(variable("BENCH_BACKLOG", 100_000), variable("BENCH_INFLIGHT", 20))
}

/// A row for each chapter: filled; started again, up to the first CONNACK; drained.
fn tell(count: u64, inflight: u16) -> io::Result<()> {
    let place = Place::new(inflight)?;
    let process = place.start()?;
    told("first start", wait_for_outbox(place.port))?;
    let client = Client::connect(place.port, "filler".into())?;
    let started = clock::monotonic();
    told("fill", Filler::new(client)?.publish(count))?;
    let filling = clock::monotonic().since(started);
    thread::sleep(SETTLE);
    let filled = row("filled", &process, &place, count, filling, process.cpu()?)?;
    drop(process);

    let started = clock::monotonic();
    let process = place.start()?;
    told("start again", Client::connect(place.port, "first".into()))?;
    let first_answer = clock::monotonic().since(started);
    let restarted = row("started again", &process, &place, count, first_answer, process.cpu()?)?;

    let (drained, came) = drain(&process, &place, count)?;
    println!("{count} samples of {} bytes, inflight = {inflight}.\n", samples::json(0).len());
    let head = ["", "seconds", "samples/s", "CPU a sample", "VmRSS", "VmHWM", "disk", "of it -wal", "disk a sample"];
    table::print(head, &[filled, restarted, drained]);
    println!("{came}");
    Ok(())
}

/// Waits until the uplink tells how it is: then its outbox takes what is published.
fn wait_for_outbox(port: u16) -> io::Result<()> {
    let mut client = Client::connect(port, "waiter".into())?;
    client.subscribe("myRasp/uplink/far/state", QoS::AtMostOnce)?;
    client.next_message().map(drop)
}

/// The row of the drain, and what came out of it.
fn drain(process: &Process, place: &Place, count: u64) -> io::Result<([String; 9], String)> {
    let mut sink = Sink::accept(place.far_port)?;
    let (started, cpu_before) = (clock::monotonic(), process.cpu()?);
    told("drain", sink.take(count)).inspect_err(|_| eprintln!("{}", sink.tally))?;
    let (time, cpu) = (clock::monotonic().since(started), process.cpu()?.saturating_sub(cpu_before));
    // the last acknowledgements are on their way, and so would be copies
    sink.linger(SETTLE)?;
    let drained = row("drained", process, place, count, time, cpu)?;
    Ok((drained, sink.tally.to_string()))
}

fn row(
    name: &str,
    process: &Process,
    place: &Place,
    count: u64,
    time: Duration,
    cpu: Duration,
) -> io::Result<[String; 9]> {
    let samples = f64::from(u32::try_from(count).map_err(io::Error::other)?);
    let (total, of_log) = place.disk_bytes()?;
    Ok([
        name.to_owned(),
        format!("{:.2}", time.as_secs_f64()),
        format!("{:.0}", samples / time.as_secs_f64()),
        format!("{:.1} µs", cpu.as_secs_f64() * 1e6 / samples),
        format!("{:.1} MB", process.rss_kib()? / 1024.0),
        format!("{:.1} MB", process.memory_kib("VmHWM:")? / 1024.0),
        format!("{:.1} MB", total / 1e6),
        format!("{:.1} MB", of_log / 1e6),
        format!("{:.0} B", total / samples),
    ])
}

/// The error with the chapter that it came in.
fn told<T>(chapter: &str, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| io::Error::new(error.kind(), format!("{chapter}: {error}")))
}

/// Waits until `done` gives something, for as long as `patience`.
fn poll<T>(patience: Duration, mut done: impl FnMut() -> io::Result<Option<T>>) -> io::Result<T> {
    let started = clock::monotonic();
    loop {
        if let Some(result) = done()? {
            return Ok(result);
        }
        if clock::monotonic().since(started) > patience {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(Duration::from_millis(5));
    }
}
