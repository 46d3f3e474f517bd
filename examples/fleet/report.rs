//! An outcome as people and as programs read it.

use std::fmt::Write as _;

use crate::load::{BrokerUsage, Latency, Outcome};

/// One line of JSON.
pub(crate) fn line(outcome: &Outcome) -> String {
    serde_json::to_string(outcome).map_or_else(|error| error.to_string(), |line| line + "\n")
}

/// A table in Markdown.
pub(crate) fn table(outcome: &Outcome) -> String {
    let mut rows = vec![
        ("gateways", outcome.gateways.to_string()),
        ("connects/s", format!("{:.0}", outcome.connects_per_s)),
        ("TCP to CONNACK", latency(outcome.connect)),
        ("connections lost", outcome.connections_lost.to_string()),
        ("published", format!("{}, {:.0}/s", outcome.published, outcome.publishes_per_s)),
        ("acknowledged", outcome.acknowledged.to_string()),
        ("PUBLISH to PUBACK", latency(outcome.acknowledgement)),
        ("delivered", format!("{} of {}, {:.0}/s", outcome.delivered, outcome.expected, outcome.deliveries_per_s)),
        ("PUBLISH to consumer", latency(outcome.delivery)),
        ("acknowledged, not delivered", outcome.lost.to_string()),
        ("duplicates", outcome.duplicates.to_string()),
        ("out of order", outcome.reordered.to_string()),
        ("of other publishers", outcome.foreign.to_string()),
        ("behind the schedule, at most", milliseconds(outcome.behind_us)),
        ("own CPU, most memory", format!("{:.2} s, {}", outcome.cpu_s, mebibytes(outcome.peak_kib))),
    ];
    rows.extend(outcome.broker.map(|usage| broker_rows(usage, outcome)).into_iter().flatten());
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut table = format!("| {:<width$} | figure |\n|-{:-<width$}-|---|\n", "", "");
    for (name, figure) in rows {
        // a String takes everything
        let _ = writeln!(table, "| {name:<width$} | {figure} |");
    }
    table
}

fn broker_rows(usage: BrokerUsage, outcome: &Outcome) -> [(&'static str, String); 3] {
    let grown_kib = usage.rss_connected_kib.saturating_sub(usage.rss_before_kib);
    let memory = [usage.rss_before_kib, usage.rss_connected_kib, usage.rss_end_kib].map(mebibytes).join(", ");
    [
        ("broker: memory before, connected, at the end", memory),
        ("broker: memory a gateway", format!("{:.1} KiB", ratio(grown_kib, u64::from(outcome.gateways)))),
        ("broker: CPU a sample", format!("{:.0} µs", usage.cpu_s * 1e6 / ratio(outcome.published.max(1), 1))),
    ]
}

fn latency(latency: Latency) -> String {
    let [p50, p99, max] = [latency.p50_us, latency.p99_us, latency.max_us].map(milliseconds);
    format!("p50 {p50}, p99 {p99}, max {max}")
}

fn milliseconds(us: u64) -> String {
    format!("{:.2} ms", ratio(us, 1000))
}

fn mebibytes(kib: u64) -> String {
    format!("{:.1} MiB", ratio(kib, 1024))
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn ratio(amount: u64, unit: u64) -> f64 {
    amount as f64 / unit as f64
}
