//! From publisher to subscriber at a steady rate, alone and beside another client's flood.

use std::io;

use crate::broker::Broker;
use crate::flood::{Flood, Sink};
use crate::table::{self, percentile};
use crate::{Options, generator};

/// Messages a second.
const RATE: u32 = 1000;

const FLOOD_TOPIC: &str = "flood/x";

/// What else the broker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    Nothing,
    /// Another client's messages of QoS 0 to a third one, as fast as they are taken.
    Flood,
}

pub(crate) fn compare(brokers: &[Broker; 2], options: &Options) -> io::Result<()> {
    let mut rows = Vec::new();
    for beside in [Beside::Nothing, Beside::Flood] {
        let (mut latencies, mut published) = ([Vec::new(), Vec::new()], [0, 0]);
        for _ in 0..options.rounds {
            for ((broker, latencies), published) in brokers.iter().zip(&mut latencies).zip(&mut published) {
                let flood = flood(broker, beside)?;
                latencies.extend(generator::latencies_us(broker, RATE, options.duration)?);
                *published += flood.as_ref().map_or(0, |(flood, _)| flood.published());
            }
        }
        for ((broker, latencies), published) in brokers.iter().zip(&latencies).zip(published) {
            rows.push(row(beside, broker, latencies, published));
        }
        rows.push(ratios(&latencies));
    }
    println!("Publisher to subscriber, QoS 0, {RATE} messages a second.\n");
    table::print(["beside", "broker", "p50", "p99", "p99.9", "messages of the flood"], &rows);
    Ok(())
}

/// The sink goes last: a flood without anybody who takes it is another case.
fn flood(broker: &Broker, beside: Beside) -> io::Result<Option<(Flood, Sink)>> {
    if beside == Beside::Nothing {
        return Ok(None);
    }
    let sink = Sink::start(broker, FLOOD_TOPIC)?;
    Ok(Some((Flood::start(broker, FLOOD_TOPIC)?, sink)))
}

fn row(beside: Beside, broker: &Broker, latencies: &[f64], published: u64) -> [String; 6] {
    let figure = |percent| format!("{:.0} µs", percentile(latencies, percent));
    let beside = if beside == Beside::Flood { "a flood" } else { "nothing" };
    [beside.into(), broker.name.into(), figure(50.0), figure(99.0), figure(99.9), published.to_string()]
}

fn ratios([ours, theirs]: &[Vec<f64>; 2]) -> [String; 6] {
    let ratio = |percent| format!("{:.2}", percentile(ours, percent) / percentile(theirs, percent));
    [String::new(), "ratio".into(), ratio(50.0), ratio(99.0), ratio(99.9), String::new()]
}
