//! Ten thousand retained topics for a new subscriber, alone and among ten times as many that are not asked for.

use std::io::{self, Write};

use sensegate::base::clock;
use sensegate::mqtt::{ProtocolVersion, PublishTemplate, QoS};

use crate::Options;
use crate::broker::Broker;
use crate::client::Client;
use crate::table::{self, median};

const TOPICS: u32 = 10_000;
const UNRELATED: u32 = 100_000;

pub(crate) fn compare(options: &Options) -> io::Result<()> {
    let brokers = Broker::both_wide()?;
    let mut rows = Vec::new();
    for (name, topics) in [("wanted", TOPICS), ("unrelated", UNRELATED)] {
        for broker in &brokers {
            retain(broker, name, topics)?;
        }
        let unrelated = if name == "wanted" { 0 } else { UNRELATED };
        rows.push(row(&brokers, unrelated, options.rounds)?);
    }
    println!("{TOPICS} retained topics to one new subscriber: from its SUBSCRIBE to the last of them, a message.\n");
    let head = ["unrelated topics", "sensegate", "mosquitto", "ratio", "CPU", "CPU", "ratio"];
    table::print(head, &rows);
    Ok(())
}

fn row(brokers: &[Broker; 2], unrelated: u32, rounds: usize) -> io::Result<[String; 7]> {
    let mut figures = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
    for _ in 0..rounds {
        for (broker, (times, cpus)) in brokers.iter().zip(&mut figures) {
            let (time, cpu) = collect(broker)?;
            times.push(time);
            cpus.push(cpu);
        }
    }
    let [(our_time, our_cpu), (their_time, their_cpu)] = figures.map(|(times, cpus)| (median(&times), median(&cpus)));
    let figure = |us: f64| format!("{us:.2} µs");
    let ratio = |ours: f64, theirs: f64| format!("{:.2}", ours / theirs);
    let (time_ratio, cpu_ratio) = (ratio(our_time, their_time), ratio(our_cpu, their_cpu));
    let [our_time, their_time, our_cpu, their_cpu] = [our_time, their_time, our_cpu, their_cpu].map(figure);
    Ok([unrelated.to_string(), our_time, their_time, time_ratio, our_cpu, their_cpu, cpu_ratio])
}

/// Publishes to `name/0` and following; all are kept when this returns.
fn retain(broker: &Broker, name: &str, topics: u32) -> io::Result<()> {
    let mut client = Client::connect(broker.port, "retainer".into())?;
    client.subscribe("done", QoS::AtMostOnce)?;
    for first in (0..topics).step_by(1_000) {
        let mut bytes = Vec::new();
        for number in first..first + 1_000 {
            append(&format!("{name}/{number}"), true, &mut bytes);
        }
        append("done", false, &mut bytes);
        client.write_all(&bytes)?;
        // a thousand at a time: nothing is left out for want of room
        client.next_message()?;
    }
    Ok(())
}

fn append(topic: &str, retain: bool, bytes: &mut Vec<u8>) {
    let template = PublishTemplate::new(topic, &[b'x'; 64], QoS::AtMostOnce, retain, ProtocolVersion::V311);
    template.frame(None, false).append_to(bytes);
}

/// Microseconds a message, elapsed and of the broker's processor time.
fn collect(broker: &Broker) -> io::Result<(f64, f64)> {
    let mut client = Client::connect(broker.port, "collector".into())?;
    let (cpu, started) = (broker.process.cpu()?, clock::monotonic());
    client.ask(&["wanted/#"], QoS::AtMostOnce)?;
    for _ in 0..TOPICS {
        client.next_message()?;
    }
    let elapsed = clock::monotonic().since(started);
    let cpu = broker.process.cpu()?.saturating_sub(cpu);
    Ok((elapsed.as_secs_f64() * 1e6 / f64::from(TOPICS), cpu.as_secs_f64() * 1e6 / f64::from(TOPICS)))
}
