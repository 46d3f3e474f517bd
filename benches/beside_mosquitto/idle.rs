//! Connections that say nothing: their memory, their processor time, and how fast they come in.

use std::io;
use std::time::Duration;

use sensegate::base::clock;

use crate::broker::Broker;
use crate::client::Client;
use crate::options::variable;
use crate::table;

/// How many.
const COUNTS: [u32; 4] = [10, 100, 1_000, 10_000];

pub(crate) fn compare() -> io::Result<()> {
    let watched = Duration::from_secs_f64(variable("BENCH_IDLE_SECONDS", 3.0));
    let mut rows = Vec::new();
    for count in COUNTS.into_iter().filter(|count| *count <= variable("BENCH_CONNECTIONS", u32::MAX)) {
        // fresh ones: memory that was in use once would serve again
        for broker in &Broker::both_wide()? {
            rows.push(measure(broker, count, watched)?);
        }
    }
    println!("Idle connections; processor time is that of {} s.\n", watched.as_secs_f64());
    let head = ["connections", "broker", "RSS at start", "RSS", "a connection", "CPU a second", "connections/s"];
    table::print(head, &rows);
    Ok(())
}

fn measure(broker: &Broker, count: u32, watched: Duration) -> io::Result<[String; 7]> {
    let before_kib = broker.process.rss_kib()?;
    let started = clock::monotonic();
    let clients: Vec<Client> =
        (0..count).map(|number| Client::connect(broker.port, format!("idle-{number}"))).collect::<Result<_, _>>()?;
    let seconds = clock::monotonic().since(started).as_secs_f64();
    let (after_kib, cpu) = (broker.process.rss_kib()?, broker.process.cpu()?);
    std::thread::sleep(watched);
    let cpu = broker.process.cpu()?.saturating_sub(cpu);
    drop(clients);
    Ok([
        count.to_string(),
        broker.name.into(),
        format!("{:.1} MB", before_kib / 1024.0),
        format!("{:.1} MB", after_kib / 1024.0),
        format!("{:.2} KB", (after_kib - before_kib) / f64::from(count)),
        format!("{:.0} µs", cpu.as_secs_f64() / watched.as_secs_f64() * 1e6),
        format!("{:.0}", f64::from(count) / seconds),
    ])
}
