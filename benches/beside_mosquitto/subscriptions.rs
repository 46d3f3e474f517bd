//! What a publish costs among many subscriptions that it does not concern.

use std::io;

use sensegate::mqtt::QoS;

use crate::Options;
use crate::broker::Broker;
use crate::client::Client;
use crate::generator::{self, Case, Outcome};
use crate::table::{self, median};

/// How many there are in all.
const COUNTS: [u32; 3] = [10, 1_000, 100_000];

/// Filters in one SUBSCRIBE.
const FILTERS_A_PACKET: usize = 500;

const CASE: Case = Case { name: "QoS 0, 1 to 1", qos: QoS::AtMostOnce, subscribers: 1, window: 500 };

pub(crate) fn compare(options: &Options) -> io::Result<()> {
    let mut rows = Vec::new();
    for count in COUNTS {
        let brokers = Broker::both_wide()?;
        let _others = [others(&brokers[0], count)?, others(&brokers[1], count)?];
        let mut outcomes = [Vec::new(), Vec::new()];
        for _ in 0..options.rounds {
            for (broker, outcomes) in brokers.iter().zip(&mut outcomes) {
                outcomes.push(generator::run(broker, CASE, options.duration)?);
            }
        }
        rows.push(row(count, &outcomes));
    }
    println!("One publish to one subscriber among many subscriptions, half of them with a wildcard: µs a publish.\n");
    table::print(["subscriptions", "sensegate", "mosquitto", "ratio", "CPU", "CPU", "ratio"], &rows);
    Ok(())
}

/// A client with subscriptions beside the one that is published to.
fn others(broker: &Broker, count: u32) -> io::Result<Client> {
    let mut client = Client::connect(broker.port, "others".into())?;
    let filter =
        |number: u32| if number.is_multiple_of(2) { format!("bench/{number}/+") } else { format!("bench/{number}") };
    let filters: Vec<String> = (1..count).map(filter).collect();
    for filters in filters.chunks(FILTERS_A_PACKET) {
        client.subscribe_all(filters, QoS::AtMostOnce)?;
    }
    Ok(client)
}

fn row(count: u32, [ours, theirs]: &[Vec<Outcome>; 2]) -> [String; 7] {
    let of =
        |outcomes: &[Outcome], figure: fn(&Outcome) -> f64| median(&outcomes.iter().map(figure).collect::<Vec<_>>());
    let elapsed = |outcomes| 1e6 / of(outcomes, |outcome| outcome.rate);
    let cpu = |outcomes| of(outcomes, |outcome| outcome.cpu_us);
    let ratio = |ours: f64, theirs: f64| format!("{:.2}", ours / theirs);
    [
        count.to_string(),
        format!("{:.2}", elapsed(ours)),
        format!("{:.2}", elapsed(theirs)),
        ratio(elapsed(ours), elapsed(theirs)),
        format!("{:.2}", cpu(ours)),
        format!("{:.2}", cpu(theirs)),
        ratio(cpu(ours), cpu(theirs)),
    ]
}
