//! The embedded broker beside mosquitto, in one run on one machine: `cargo bench --bench beside_mosquitto`.
//!
//! Both run at the same time, each case goes to one, then to the other, and so on, and the medians are compared: what
//! else the machine does meets both. Ratios and processor time a message are worth keeping; absolute rates are this
//! machine's.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `BENCH_ROUNDS` | rounds of each case | 5 |
//! | `BENCH_SECONDS` | length of one round, may have a fraction | 1 |
//! | `BENCH_CONNECTIONS` | the most idle connections | 10000 |
//! | `BENCH_IDLE_SECONDS` | how long they are watched | 3 |
//! | `BENCH_CASE` | part of the names of what is to run: of a case below, or `idle`, `latency`, `durable`, `stalled`, `retained`, `subscriptions` | all |
//! | `SENSEGATE`, `MOSQUITTO` | the programs | this crate's, `/usr/sbin/mosquitto` |

mod broker;
#[path = "../common/client.rs"]
mod client;
mod durable;
mod flood;
mod generator;
mod idle;
mod latency;
#[path = "../common/options.rs"]
mod options;
#[path = "../common/process.rs"]
mod process;
mod retained;
mod shim;
mod stalled;
mod subscriptions;
#[path = "../common/table.rs"]
mod table;
#[path = "../common/window.rs"]
mod window;

use std::io;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use sensegate::mqtt::QoS;

use broker::Broker;
use generator::{Case, Outcome};
use options::{is_bench, variable};
use table::median;

const CASES: [Case; 6] = [
    Case { name: "QoS 0, 1 to 1, window 500", qos: QoS::AtMostOnce, subscribers: 1, window: 500 },
    Case { name: "QoS 1, 1 to 1, window 100", qos: QoS::AtLeastOnce, subscribers: 1, window: 100 },
    Case { name: "QoS 1, 1 to 1, window 20", qos: QoS::AtLeastOnce, subscribers: 1, window: 20 },
    Case { name: "QoS 2, 1 to 1, window 20", qos: QoS::ExactlyOnce, subscribers: 1, window: 20 },
    Case { name: "QoS 0, 1 to 100, window 100", qos: QoS::AtMostOnce, subscribers: 100, window: 100 },
    Case { name: "QoS 1, 1 to 100, window 100", qos: QoS::AtLeastOnce, subscribers: 100, window: 100 },
];

struct Options {
    rounds: usize,
    duration: Duration,
    case: String,
}

/// Measures both brokers and prints a table. Some start brokers of their own.
type Compare = fn(&[Broker; 2], &Options) -> io::Result<()>;

fn main() -> io::Result<()> {
    if !is_bench() {
        return Ok(());
    }
    let options = Options {
        rounds: variable("BENCH_ROUNDS", 5),
        duration: Duration::from_secs_f64(variable("BENCH_SECONDS", 1.0)),
        case: variable("BENCH_CASE", String::new()),
    };
    allow_many_files()?;
    let brokers = Broker::both()?;
    compare_throughput(&brokers, &options)?;
    let cases: [(&str, Compare); 6] = [
        ("latency", latency::compare),
        ("idle", |_, _| idle::compare()),
        ("durable", |_, options| durable::compare(options)),
        ("stalled", |_, options| stalled::compare(options)),
        ("retained", |_, options| retained::compare(options)),
        ("subscriptions", |_, options| subscriptions::compare(options)),
    ];
    for (_, compare) in cases.iter().filter(|(name, _)| name.contains(&options.case)) {
        compare(&brokers, &options)?;
    }
    Ok(())
}

/// Raises the limit of open files for this process and the brokers it starts.
fn allow_many_files() -> io::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

fn compare_throughput(brokers: &[Broker; 2], options: &Options) -> io::Result<()> {
    let mut rows = Vec::new();
    let cases: Vec<Case> = CASES.into_iter().filter(|case| case.name.contains(&options.case)).collect();
    if cases.is_empty() {
        return Ok(());
    }
    for case in cases {
        let [mut ours, mut theirs] = [Vec::new(), Vec::new()];
        for _ in 0..options.rounds {
            let [sensegate, mosquitto] = brokers;
            ours.push(generator::run(sensegate, case, options.duration)?);
            theirs.push(generator::run(mosquitto, case, options.duration)?);
        }
        rows.push(throughput_row(case, &ours, &theirs));
    }
    let head = ["case", "sensegate/s", "mosquitto/s", "ratio", "µs CPU", "µs CPU", "ratio", "deliveries"];
    println!("Deliveries a second, and processor time of the broker a delivery: sensegate, mosquitto.\n");
    table::print(head, &rows);
    Ok(())
}

fn throughput_row(case: Case, ours: &[Outcome], theirs: &[Outcome]) -> [String; 8] {
    let of =
        |outcomes: &[Outcome], figure: fn(&Outcome) -> f64| median(&outcomes.iter().map(figure).collect::<Vec<_>>());
    let [our_rate, their_rate] = [ours, theirs].map(|outcomes| of(outcomes, |outcome| outcome.rate));
    let [our_cpu, their_cpu] = [ours, theirs].map(|outcomes| of(outcomes, |outcome| outcome.cpu_us));
    [
        case.name.into(),
        format!("{our_rate:.0}"),
        format!("{their_rate:.0}"),
        format!("{:.1}", our_rate / their_rate),
        format!("{our_cpu:.2}"),
        format!("{their_cpu:.2}"),
        format!("{:.2}", our_cpu / their_cpu),
        correctness(ours, theirs),
    ]
}

/// Whether every message came to everybody once and in order.
fn correctness(ours: &[Outcome], theirs: &[Outcome]) -> String {
    let sum = |outcomes: &[Outcome]| outcomes.iter().map(|outcome| outcome.wrong).sum::<u64>();
    let all: u64 = ours.iter().chain(theirs).map(|outcome| outcome.deliveries).sum();
    match (sum(ours), sum(theirs)) {
        (0, 0) => format!("all {all} right"),
        (ours, theirs) => format!("WRONG: {ours} of sensegate, {theirs} of mosquitto"),
    }
}
