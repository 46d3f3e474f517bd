//! What a configuration asks of an account, and how long a backlog takes, by arithmetic.

use std::time::Duration;

use super::{BODY_BYTES_MAX, Options};

/// Bytes of a dot with a value of nine characters, and of its context.
const DOT_BYTES: usize = 49;
const CONTEXT_BYTES: usize = 90;

/// Samples that an uplink holds at a time: a few publishes full, so that one can go while others are not answered.
const WINDOW: usize = 300;

/// What flows while nothing is behind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Publishes a second.
    pub publishes_per_s: f64,
    /// Dots a second.
    pub dots_per_s: f64,
}

/// How a backlog goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long it takes, with what comes meanwhile.
    pub time: Duration,
    /// In how many publishes.
    pub publishes: u64,
}

#[expect(clippy::cast_precision_loss, reason = "estimates")]
impl Options {
    /// The load of a sample each `interval`.
    pub fn load(&self, interval: Duration) -> Load {
        let told_per_s = 1.0 / self.told_every(interval).as_secs_f64();
        Load { publishes_per_s: told_per_s.min(self.publishes_per_s), dots_per_s: told_per_s * self.send.len() as f64 }
    }

    /// How long a backlog of `behind` takes; `None` when it never ends, because the limits are not above the load.
    pub fn drain(&self, behind: Duration, interval: Duration) -> Option<Drain> {
        let told_every = self.told_every(interval).as_secs_f64();
        let in_publish = self.told_in_publish(interval);
        let variables = (self.send.len() as f64).max(1.0);
        let by_publishes = self.publishes_per_s * in_publish;
        let most_per_s = self.dots_per_s.map_or(by_publishes, |dots| by_publishes.min(dots / variables));
        let spare_per_s = most_per_s - 1.0 / told_every;
        let told = behind.as_secs_f64() / told_every;
        if spare_per_s <= 0.0 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive estimate")]
        let publishes = (told / in_publish).ceil() as u64;
        Some(Drain { time: Duration::try_from_secs_f64(told / spare_per_s).unwrap_or(Duration::MAX), publishes })
    }

    fn told_every(&self, interval: Duration) -> Duration {
        self.every.unwrap_or(interval).max(interval).max(Duration::from_millis(1))
    }

    /// Samples that the uplink has to hold at a time: with means, those of an interval and of the next.
    pub fn window(&self, interval: Duration) -> usize {
        WINDOW + 2 * self.samples_told_at_once(interval)
    }

    /// Samples that stand behind one dot of each variable.
    fn samples_told_at_once(&self, interval: Duration) -> usize {
        let every = self.told_every(interval).as_millis();
        usize::try_from(every.div_ceil(interval.as_millis().max(1))).unwrap_or(usize::MAX)
    }

    /// Samples, or means, that one publish carries.
    fn told_in_publish(&self, interval: Duration) -> f64 {
        let dot = DOT_BYTES + if self.context { CONTEXT_BYTES } else { 0 };
        let labels: usize = self.send.values().map(|label| label.len() + 6).sum();
        let variables = self.send.len().max(1);
        let by_size = BODY_BYTES_MAX.saturating_sub(2 + labels) / (dot * variables);
        let by_dots = self.dots_per_s.map_or(f64::INFINITY, |dots| (dots / variables as f64).floor());
        let by_window = self.window(interval) / self.samples_told_at_once(interval).max(1);
        (by_size.min(by_window) as f64).min(by_dots).max(1.0)
    }
}
