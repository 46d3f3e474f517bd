//! Waiting times between attempts: decorrelated jitter, which spreads a fleet that lost its link at one moment.

use std::time::Duration;

/// Waits between `base` and `cap`, each drawn from `base` to three times the one before.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    previous: Duration,
    random: fastrand::Rng,
}

impl Backoff {
    /// A fresh backoff; equal seeds give equal waits.
    pub fn new(base: Duration, cap: Duration, seed: u64) -> Self {
        Self { base, cap, previous: base, random: fastrand::Rng::with_seed(seed) }
    }

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let low = self.base.as_secs_f64();
        let high = (self.previous.as_secs_f64() * 3.0).max(low);
        let drawn = Duration::from_secs_f64(low + (high - low) * self.random.f64());
        self.previous = drawn.min(self.cap);
        self.previous
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.previous = self.base;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_between_base_and_cap_and_grow_on_the_whole() {
        let (base, cap) = (Duration::from_secs(1), Duration::from_secs(60));
        for seed in 0..100 {
            let mut backoff = Backoff::new(base, cap, seed);
            let waits: Vec<_> = (0..50).map(|_| backoff.next_wait()).collect();
            assert!(waits.iter().all(|wait| (base..=cap).contains(wait)));
            assert!(waits.iter().max() > Some(&Duration::from_secs(20)));
            backoff.reset();
            assert!(backoff.next_wait() <= base * 3);
        }
    }
}
