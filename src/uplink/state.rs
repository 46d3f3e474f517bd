//! What an uplink tells about itself.

use std::time::Duration;

use serde::Serialize;

use super::machine::Machine;
use crate::base::clock::{Monotonic, Wall};
use crate::base::queued::Queued;

/// Counts alone are told this often, which spares the card; everything else at once.
const COUNTS_EVERY: Duration = Duration::from_secs(30);

/// The state as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct State {
    /// Whether the far side has accepted.
    connected: bool,
    /// Since when it has, or has not.
    since: String,
    /// Which address.
    broker: String,
    /// MQTT 3.1.1 or 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    /// Messages in the outbox, those under way included; `null` where the local broker does not say.
    queued: Option<u64>,
    in_flight: usize,
    acknowledged: u64,
    received: u64,
    rejected: u64,
    missed: u64,
    /// Messages that the outbox had no room for; `null` where the local broker does not say.
    dropped: Option<u64>,
    last_error: Option<String>,
}

/// What is known of the far connection.
#[derive(Clone, Debug)]
pub(super) struct FarState {
    pub(super) is_connected: bool,
    pub(super) since: Wall,
    pub(super) broker: String,
    pub(super) protocol: Option<&'static str>,
    pub(super) last_error: Option<String>,
}

impl State {
    pub(super) fn new(far: &FarState, machine: &Machine, queued: Option<&Queued>) -> Self {
        let tally = machine.tally();
        let (in_flight, _) = machine.under_way();
        let counts = queued.map(Queued::get);
        Self {
            connected: far.is_connected,
            since: far.since.to_string(),
            broker: far.broker.clone(),
            protocol: far.protocol,
            queued: counts.map(|(messages, _)| messages),
            in_flight,
            acknowledged: tally.acknowledged,
            received: tally.received,
            rejected: tally.rejected,
            missed: tally.missed,
            dropped: counts.map(|(_, dropped)| dropped),
            last_error: far.last_error.clone(),
        }
    }

    /// The part that is told at once when it changes.
    fn news(&self) -> (bool, &str, u64, Option<u64>, &Option<String>) {
        (self.connected, &self.broker, self.rejected, self.dropped, &self.last_error)
    }
}

/// What was told last, and when.
#[derive(Debug, Default)]
pub(super) struct Told(Option<(State, Monotonic)>);

impl Told {
    /// The state as JSON, when it is worth telling.
    pub(super) fn poll(&mut self, state: State, now: Monotonic) -> Option<String> {
        let is_due = self
            .0
            .as_ref()
            .is_none_or(|(told, at)| told.news() != state.news() || *told != state && now.since(*at) >= COUNTS_EVERY);
        if !is_due {
            return None;
        }
        let json = serde_json::to_string(&state).ok();
        self.0 = Some((state, now));
        json
    }

    /// Nobody may have it any more.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}
