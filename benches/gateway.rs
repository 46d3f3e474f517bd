//! The gateway by itself, on the simulated HAT: `cargo bench --bench gateway`.
//!
//! Start, memory, processor time, and the way from a sample to a subscriber. One subscriber to everything is
//! connected all the time. Latencies are as exact as the `monotonic_s` of the state that they are reckoned from.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `BENCH_SECONDS` | how long the gateway is watched, for each interval | 60 |
//! | `BENCH_STARTS` | how often it is started | 9 |
//! | `SENSEGATE` | the program | this crate's |

#[path = "common/client.rs"]
mod client;
#[path = "common/options.rs"]
mod options;
#[path = "common/process.rs"]
mod process;
#[path = "common/table.rs"]
mod table;

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use embedded_hal::i2c::{ErrorType, I2c, Operation};
use sensegate::base::clock::{self, Monotonic};
use sensegate::mqtt::QoS;
use sensegate::sensors::simulated::SimulatedHat;
use sensegate::sensors::{Hat, Options, Quantity, SourceOptions};
use serde_json::Value;
use tempfile::TempDir;

use client::Client;
use options::{is_bench, sensegate, variable};
use process::{Process, free_port};
use table::{median, percentile};

/// Intervals between samples: once a second, and as fast as the faster chip converts, 25 Hz; each as shipped, and with
/// everything on.
const WATCHED: [(&str, Load); 4] =
    [("1s", Load::Shipped), ("40ms", Load::Shipped), ("1s", Load::Everything), ("40ms", Load::Everything)];

/// What the gateway does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    /// What it does as shipped.
    Shipped,
    /// Every quantity, each filtered and corrected.
    Everything,
}

/// The configuration of [`Load::Everything`]; a processor's temperature, and all quantities, are put behind it.
const EVERYTHING: &str = "\
[sensors.filter.temperature]\nkind = \"median\"\ngate = 5.0\n\
[sensors.filter.pressure]\nkind = \"mean\"\ngate = 5.0\n\
[sensors.filter.humidity]\nkind = \"mean\"\ngate = 10.0\n\
[sensors.correction]\nmethod = \"factor\"\nfactor = 2.0\n";

/// The start is over by then.
const SETTLE: Duration = Duration::from_secs(2);

fn main() -> io::Result<()> {
    if !is_bench() {
        return Ok(());
    }
    tell_bus_cost();
    tell_start(variable("BENCH_STARTS", 9))?;
    let watched = Duration::from_secs(variable("BENCH_SECONDS", 60));
    let rows = WATCHED.map(|(interval, load)| watch(interval, load, watched));
    let rows = rows.into_iter().collect::<io::Result<Vec<_>>>()?;
    println!(
        "Over {} s with one subscriber; from the sample's own time to its first and last message.\n",
        watched.as_secs()
    );
    let head = ["interval", "doing", "samples", "RSS", "CPU", "CPU a sample", "first: p50", "p99", "last: p50", "p99"];
    table::print(head, &rows);
    Ok(())
}

/// A running gateway with its files.
struct Gateway {
    port: u16,
    process: Process,
    /// Configuration and state.
    _directory: TempDir,
}

impl Gateway {
    fn start(interval: &str, load: Load) -> io::Result<Self> {
        let (port, directory) = (free_port()?, tempfile::tempdir()?);
        let configuration = format!(
            "[sensors]\ninterval = \"{interval}\"\naltitude = 540\n\
             {}[[broker.listener]]\naddress = \"127.0.0.1:{port}\"\n\
             [storage]\ndirectory = \"{}\"\n\
             [log]\nlevel = \"warn\"\n",
            if load == Load::Everything { everything(directory.path())? } else { String::new() },
            directory.path().join("state").display()
        );
        let file = directory.path().join("sensegate.toml");
        fs::write(&file, configuration)?;
        let file = file.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        let process = Process::start(&sensegate(), &["--simulate", "--config", file], &[])?;
        Ok(Self { port, process, _directory: directory })
    }

    fn subscribe(&self, filter: &str) -> io::Result<Client> {
        let mut client = Client::connect(self.port, "bench".into())?;
        client.subscribe(filter, QoS::AtMostOnce)?;
        Ok(client)
    }
}

/// The configuration with everything on, in `directory`.
fn everything(directory: &Path) -> io::Result<String> {
    let processor = directory.join("temp");
    fs::write(&processor, "55000\n")?;
    let tables = Quantity::ALL.map(|quantity| format!("[publish.{quantity}]\nenabled = true\n"));
    Ok(format!("{EVERYTHING}processor_file = \"{}\"\n{}", processor.display(), tables.concat()))
}

/// From the start of the process to the first reading that a subscriber has.
fn tell_start(starts: usize) -> io::Result<()> {
    let mut waits_ms = Vec::new();
    for _ in 0..starts {
        let started = clock::monotonic();
        let gateway = Gateway::start("1s", Load::Shipped)?;
        gateway.subscribe("myRasp/sensors/+")?.next_message()?;
        waits_ms.push(clock::monotonic().since(started).as_secs_f64() * 1e3);
    }
    let figure = |percent| format!("{:.0} ms", percentile(&waits_ms, percent));
    let row = [format!("{:.0} ms", median(&waits_ms)), figure(0.0), figure(100.0)];
    println!("Start of the process to the first reading at a subscriber, {starts} starts.\n");
    table::print(["median", "least", "most"], &[row]);
    Ok(())
}

/// Watches one gateway at work.
fn watch(interval: &str, load: Load, watched: Duration) -> io::Result<[String; 10]> {
    let gateway = Gateway::start(interval, load)?;
    let mut client = gateway.subscribe("myRasp/#")?;
    hear(&mut client, SETTLE)?;
    let (cpu, started) = (gateway.process.cpu()?, clock::monotonic());
    let heard = hear(&mut client, watched)?;
    let (elapsed, cpu) = (clock::monotonic().since(started), gateway.process.cpu()?.saturating_sub(cpu));
    let samples = u32::try_from(heard.last_ms.len()).unwrap_or(u32::MAX);
    let figure = |latencies: &[f64], percent| format!("{:.3} ms", percentile(latencies, percent));
    Ok([
        interval.into(),
        format!("{load:?}").to_lowercase(),
        samples.to_string(),
        format!("{:.1} MB", gateway.process.rss_kib()? / 1024.0),
        format!("{:.3} %", 100.0 * cpu.as_secs_f64() / elapsed.as_secs_f64()),
        format!("{:.0} µs", 1e6 * cpu.as_secs_f64() / f64::from(samples.max(1))),
        figure(&heard.first_ms, 50.0),
        figure(&heard.first_ms, 99.0),
        figure(&heard.last_ms, 50.0),
        figure(&heard.last_ms, 99.0),
    ])
}

/// How long readings were on their way.
#[derive(Default)]
struct Heard {
    /// To the first message of each sample.
    first_ms: Vec<f64>,
    /// To the last, which is the state.
    last_ms: Vec<f64>,
}

/// Listens for `duration`. The state tells when its sample was taken, on a clock that is the same for all processes.
fn hear(client: &mut Client, duration: Duration) -> io::Result<Heard> {
    let end = clock::monotonic() + duration;
    let mut heard = Heard::default();
    let mut first = None;
    while clock::monotonic() < end {
        let (topic, payload) = client.next_message()?;
        let now = clock::monotonic();
        if topic == "myRasp/sensors/temperature" {
            first = Some(now);
        } else if topic == "myRasp/state" {
            let taken_s = taken_s(&payload)?;
            let since_ms = |moment: Monotonic| (moment.since_boot().as_secs_f64() - taken_s) * 1e3;
            heard.first_ms.extend(first.take().map(since_ms));
            heard.last_ms.push(since_ms(now));
        }
    }
    Ok(heard)
}

fn taken_s(state: &[u8]) -> io::Result<f64> {
    let state: Value = serde_json::from_slice(state)?;
    state.get("monotonic_s").and_then(Value::as_f64).ok_or_else(|| io::Error::other("a state without monotonic_s"))
}

/// The simulated HAT with a count of what goes over its two wires.
struct CountingBus {
    hat: SimulatedHat,
    bytes: usize,
}

impl ErrorType for CountingBus {
    type Error = <SimulatedHat as ErrorType>::Error;
}

impl I2c for CountingBus {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Self::Error> {
        for operation in operations.iter() {
            // the address goes ahead of each part
            self.bytes += 1 + match operation {
                Operation::Write(bytes) => bytes.len(),
                Operation::Read(bytes) => bytes.len(),
            };
        }
        self.hat.transaction(address, operations)
    }
}

thread_local! {
    /// The time that the HAT of [`tell_bus_cost`] lives in.
    static NOW: Cell<Monotonic> = const { Cell::new(Monotonic::ZERO) };
}

/// What both running chips cost on the bus, in virtual time.
fn tell_bus_cost() {
    println!("Both chips on the bus at 100 kHz, nine clocks a byte, the looks at the control registers included.\n");
    let rows = [1000, 40].map(|ms| bus_cost(Duration::from_millis(ms)));
    table::print(["interval", "transactions a sample", "bytes a sample, with addresses", "bus time a second"], &rows);
}

fn bus_cost(interval: Duration) -> [String; 4] {
    // whole rounds of the looks at the control registers
    const WATCHED: Duration = Duration::from_secs(100);
    let samples = u32::try_from(WATCHED.as_millis() / interval.as_millis()).unwrap_or(u32::MAX);
    let bus = CountingBus { hat: SimulatedHat::new(|| NOW.get(), 1), bytes: 0 };
    let mut hat = Hat::new(bus, &Options { interval, ..Options::of(SourceOptions::Simulated) });
    let mut sample = || {
        NOW.set(NOW.get() + interval);
        let is_complete = hat.sample(NOW.get()).is_complete();
        (is_complete, hat.bus_mut().hat.transactions(), hat.bus_mut().bytes)
    };
    // the chips are started and calibrated first
    while !sample().0 {}
    let (_, transactions, bytes) = sample();
    let mut after = (true, transactions, bytes);
    for _ in 0..samples {
        after = sample();
    }
    let bytes = u32::try_from(after.2 - bytes).unwrap_or(u32::MAX);
    let bus_ms = f64::from(bytes) * 0.09 / WATCHED.as_secs_f64();
    [
        format!("{} ms", interval.as_millis()),
        per_sample(after.1 - transactions, samples),
        per_sample(bytes, samples),
        format!("{bus_ms:.2} ms"),
    ]
}

fn per_sample<N: TryInto<u32>>(count: N, samples: u32) -> String {
    let count = count.try_into().map_or(f64::NAN, f64::from);
    format!("{:.2}", count / f64::from(samples))
}
