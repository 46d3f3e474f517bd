//! What the log is told of a time without connection: each reason once, not once an attempt.

use std::collections::BTreeSet;

use tracing::{debug, info, warn};

use crate::base::clock::Monotonic;

/// The story of one connection that comes and goes.
#[derive(Debug)]
pub struct Outage {
    peer: String,
    since: Option<Monotonic>,
    told: BTreeSet<String>,
}

impl Outage {
    /// `peer` as the log names it.
    pub fn new(peer: String) -> Self {
        Self { peer, since: None, told: BTreeSet::new() }
    }

    /// The connection stands.
    pub fn handle_up(&mut self, now: Monotonic) {
        match self.since.take() {
            None => info!("connected to {}", self.peer),
            Some(since) => {
                let seconds = now.since(since).as_secs_f64();
                info!("connected to {} again, after {seconds:.1} s", self.peer);
            }
        }
        self.told.clear();
    }

    /// It is lost, or could not be made.
    pub fn handle_down(&mut self, why: &str, now: Monotonic) {
        self.since.get_or_insert(now);
        if self.told.insert(why.to_owned()) {
            warn!("no connection to {}: {why}; the gateway keeps trying", self.peer);
        } else {
            debug!("no connection to {}: {why}", self.peer);
        }
    }
}
