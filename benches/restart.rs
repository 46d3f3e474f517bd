//! What a restart takes, and what a long queue takes in memory: `cargo bench --bench restart`.
//!
//! The state is made through the running program, which is then killed: every start begins as behind a power cut.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `BENCH_ROUNDS` | starts that are measured | 9 |
//! | `BENCH_QUEUED` | messages of 32 bytes in the long queue | 1000000 |
//! | `BENCH_CASE` | `start` or `queue` | both |
//! | `SENSEGATE` | the program | this crate's |

#[path = "common/client.rs"]
mod client;
#[path = "common/options.rs"]
mod options;
#[path = "common/process.rs"]
mod process;
#[path = "common/table.rs"]
mod table;
#[path = "common/window.rs"]
mod window;

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use sensegate::base::clock;
use sensegate::mqtt::{Acknowledgement, Decoded, Packet, ProtocolVersion, PublishTemplate, QoS, decode, encode};
use tempfile::TempDir;

use client::Client;
use options::{is_bench, sensegate, variable};
use process::{Process, free_port};
use table::{median, percentile};
use window::WindowPublisher;

const QUEUED: u64 = 100_000;
const RETAINED: u32 = 10_000;

/// Payload bytes of the long queue.
const SMALL_BYTES: usize = 32;

/// Messages that are not acknowledged while a queue is filled.
const WINDOW: u64 = 500;

/// CONNECT of the persistent session `keeper` without keep-alive.
const CONNECT_KEEPER: &[u8] = b"\x10\x12\x00\x04MQTT\x04\x00\x00\x00\x00\x06keeper";

fn main() -> io::Result<()> {
    if !is_bench() {
        return Ok(());
    }
    let case: String = variable("BENCH_CASE", String::new());
    if "start".contains(&case) {
        tell_start(variable("BENCH_ROUNDS", 9))?;
    }
    if "queue".contains(&case) {
        tell_queue(variable("BENCH_QUEUED", 1_000_000))?;
    }
    Ok(())
}

/// Configuration and state, with or without a program that runs on them.
struct Place {
    port: u16,
    file: PathBuf,
    _directory: TempDir,
}

impl Place {
    fn new() -> io::Result<Self> {
        let (port, directory) = (free_port()?, tempfile::tempdir()?);
        let file = directory.path().join("sensegate.toml");
        let configuration = format!(
            "[sensors]\ninterval = \"1h\"\n\
             [broker.limits]\nqueue_messages = 10000000\nqueue_size = \"1 GiB\"\n\
             [[broker.listener]]\naddress = \"127.0.0.1:{port}\"\n\
             [storage]\ndirectory = \"{}\"\n\
             [log]\nlevel = \"warn\"\n",
            directory.path().join("state").display()
        );
        fs::write(&file, configuration)?;
        Ok(Self { port, file, _directory: directory })
    }

    fn start(&self) -> io::Result<Process> {
        let file = self.file.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        Process::start(&sensegate(), &["--simulate", "--config", file], &[])
    }

    /// Queues `count` messages for `keeper`, who is absent.
    fn queue(&self, count: u64, payload_bytes: usize) -> io::Result<()> {
        Client::connect_as(self.port, "keeper".into(), false)?.subscribe("q/#", QoS::AtLeastOnce)?;
        let client = Client::connect(self.port, "publisher".into())?;
        // up to a window more than asked for
        WindowPublisher::new(client, "q/numbers", payload_bytes, WINDOW).run(|acknowledged| acknowledged >= count)?;
        Ok(())
    }

    fn retain(&self, count: u32) -> io::Result<()> {
        let mut client = Client::connect(self.port, "retainer".into())?;
        client.subscribe("done", QoS::AtMostOnce)?;
        for number in 0..count {
            let mut bytes = Vec::new();
            let topic = format!("r/{number}");
            for (topic, retain, qos) in [(&*topic, true, QoS::AtLeastOnce), ("done", false, QoS::AtMostOnce)] {
                let template = PublishTemplate::new(topic, &[b'x'; 64], qos, retain, ProtocolVersion::V311);
                let id = sensegate::mqtt::PacketId::new(1).filter(|_| qos == QoS::AtLeastOnce);
                template.frame(id, false).append_to(&mut bytes);
            }
            client.write_all(&bytes)?;
            client.next_message()?;
        }
        // granted behind all acknowledgements of before
        client.subscribe("done/behind", QoS::AtMostOnce)
    }
}

/// From the start of the process to the first CONNACK.
fn tell_start(rounds: usize) -> io::Result<()> {
    let place = Place::new()?;
    let process = place.start()?;
    place.queue(QUEUED, 64)?;
    place.retain(RETAINED)?;
    drop(process);
    let mut waits_ms = Vec::new();
    for _ in 0..rounds {
        let started = clock::monotonic();
        let process = place.start()?;
        Client::connect(place.port, "first".into())?;
        waits_ms.push(clock::monotonic().since(started).as_secs_f64() * 1e3);
        drop(process);
    }
    println!("Start of the process to the first CONNACK behind a kill, {QUEUED} queued, {RETAINED} retained.\n");
    let figure = |percent| format!("{:.0} ms", percentile(&waits_ms, percent));
    table::print(["median", "least", "most"], &[[format!("{:.0} ms", median(&waits_ms)), figure(0.0), figure(100.0)]]);
    Ok(())
}

/// Fills a long queue, kills the program, and takes everything from the next.
fn tell_queue(count: u64) -> io::Result<()> {
    let place = Place::new()?;
    let process = place.start()?;
    let started = clock::monotonic();
    place.queue(count, SMALL_BYTES)?;
    let filled = figures(&process, count, clock::monotonic().since(started).as_secs_f64())?;
    drop(process);
    let process = place.start()?;
    // the process listens when this has connected
    Client::connect(place.port, "first".into())?;
    let started = clock::monotonic();
    let taken = drain(place.port, count)?;
    let drained = figures(&process, taken, clock::monotonic().since(started).as_secs_f64())?;
    println!("{taken} messages of {SMALL_BYTES} bytes for one absent session, taken in order behind a kill.\n");
    let row = |name: &str, [rate, cpu, rss, peak]: [String; 4]| [name.to_owned(), rate, cpu, rss, peak];
    table::print(
        ["", "messages/s", "CPU a message", "VmRSS", "VmHWM"],
        &[row("filled", filled), row("drained", drained)],
    );
    Ok(())
}

fn figures(process: &Process, count: u64, seconds: f64) -> io::Result<[String; 4]> {
    let count = f64::from(u32::try_from(count).map_err(io::Error::other)?);
    let memory = |kib: f64| format!("{:.1} MB", kib / 1024.0);
    Ok([
        format!("{:.0}", count / seconds),
        format!("{:.2} µs", process.cpu()?.as_secs_f64() * 1e6 / count),
        memory(process.rss_kib()?),
        memory(process.memory_kib("VmHWM:")?),
    ])
}

/// Takes and acknowledges what `keeper` has until `count` are there; fails when one is missing, doubled or not in its
/// place.
fn drain(port: u16, count: u64) -> io::Result<u64> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.write_all(CONNECT_KEEPER)?;
    let (mut input, mut scratch, mut next) = (Vec::new(), vec![0; 64 * 1024], 0);
    while next < count {
        let length = stream.read(&mut scratch)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        input.extend_from_slice(scratch.get(..length).unwrap_or_default());
        let mut answers = Vec::new();
        let taken = take_packets(&input, &mut next, &mut answers)?;
        input.drain(..taken);
        stream.write_all(&answers)?;
    }
    Ok(next)
}

/// Handles all whole packets; gives their bytes.
fn take_packets(input: &[u8], next: &mut u64, answers: &mut Vec<u8>) -> io::Result<usize> {
    let mut taken = 0;
    loop {
        let rest = input.get(taken..).unwrap_or_default();
        match decode(rest, ProtocolVersion::V311, 1 << 20).map_err(io::Error::other)? {
            Decoded::Packet { packet: Packet::Publish(publish), length } => {
                if publish.payload.first_chunk() != Some(&next.to_be_bytes()) {
                    return Err(io::Error::other(format!("message {next} is not in its place")));
                }
                *next += 1;
                taken += length;
                if let Some(packet_id) = publish.packet_id {
                    let ack = Packet::PubAck(Acknowledgement::success(packet_id));
                    encode(&ack, ProtocolVersion::V311, answers);
                }
            }
            Decoded::Packet { length, .. } => taken += length,
            Decoded::Incomplete { .. } => return Ok(taken),
        }
    }
}
