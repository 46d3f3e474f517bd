//! What came of a run.

use std::time::Duration;

use serde::Serialize;

use super::latency::Latency;

/// The figures of a run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    /// Gateways, all of them connected once.
    pub(crate) gateways: u32,
    /// From the first connection to the last CONNACK.
    pub(crate) connects_per_s: f64,
    /// From opening a connection to its CONNACK.
    pub(crate) connect: Latency,
    /// Connections that ended although nobody wanted it.
    pub(crate) connections_lost: u64,
    /// Samples that were written to a socket.
    pub(crate) published: u64,
    /// Samples whose PUBACK came; with QoS 0 none.
    pub(crate) acknowledged: u64,
    /// Published samples a second.
    pub(crate) publishes_per_s: f64,
    /// From the write to the PUBACK.
    pub(crate) acknowledgement: Latency,
    /// Deliveries that had to come for the samples that were published.
    pub(crate) expected: u64,
    /// Deliveries that came, without copies.
    pub(crate) delivered: u64,
    /// Deliveries a second.
    pub(crate) deliveries_per_s: f64,
    /// From the write to the consumer.
    pub(crate) delivery: Latency,
    /// Deliveries of acknowledged samples (with QoS 0: of published ones) that did not come.
    pub(crate) lost: u64,
    /// Copies.
    pub(crate) duplicates: u64,
    /// Deliveries behind a later sample of the same gateway.
    pub(crate) reordered: u64,
    /// Messages that are none of this run's samples.
    pub(crate) foreign: u64,
    /// How far this process was behind its own schedule at most, in microseconds.
    pub(crate) behind_us: u64,
    /// Processor time of this process in seconds.
    pub(crate) cpu_s: f64,
    /// The most memory of this process.
    pub(crate) peak_kib: u64,
    /// The broker's, if its process is known.
    pub(crate) broker: Option<BrokerUsage>,
}

/// What the broker's process cost.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct BrokerUsage {
    /// Memory with the consumers connected, and no gateway.
    pub(crate) rss_before_kib: u64,
    /// Memory with all gateways connected, before the first sample.
    pub(crate) rss_connected_kib: u64,
    /// Memory behind the last sample.
    pub(crate) rss_end_kib: u64,
    /// Processor time while samples came, in seconds.
    pub(crate) cpu_s: f64,
}

impl Outcome {
    /// Whether everything arrived, once and in order. Where connections were lost, QoS 1 may bring copies.
    pub(crate) const fn is_sound(&self) -> bool {
        let is_in_order = self.duplicates == 0 && self.reordered == 0;
        self.lost == 0 && self.delivered == self.expected && (is_in_order || self.connections_lost > 0)
    }
}

/// `count` a second.
pub(super) fn rate(count: u64, elapsed: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    let count = count as f64;
    count / elapsed.as_secs_f64().max(1e-6)
}
