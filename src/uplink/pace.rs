//! How much may go out in a time: a bucket that fills at a rate.

use std::time::Duration;

use crate::base::clock::Monotonic;

/// A token bucket. In any second at most `rate` and `burst` together go through.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    rate_per_s: f64,
    burst: f64,
    tokens: f64,
    filled: Option<Monotonic>,
}

impl Pace {
    /// A full one that fills with `rate_per_s` tokens a second up to `burst`.
    pub(super) fn new(rate_per_s: f64, burst: f64) -> Self {
        Self { rate_per_s, burst, tokens: burst, filled: None }
    }

    /// Tokens that are there at `now`.
    pub(super) fn available(&mut self, now: Monotonic) -> f64 {
        let since = self.filled.map_or(Duration::ZERO, |filled| now.since(filled));
        self.filled = Some(now);
        self.tokens = (self.tokens + since.as_secs_f64() * self.rate_per_s).min(self.burst);
        self.tokens
    }

    /// Takes `count`, which are there.
    pub(super) fn take(&mut self, count: f64) {
        self.tokens -= count;
    }

    /// When `count` will be there; a moment later, so that rounding does not ask twice.
    pub(super) fn when(&mut self, count: f64, now: Monotonic) -> Monotonic {
        let missing = (count - self.available(now)).max(0.0);
        now + Duration::from_secs_f64(missing / self.rate_per_s) + Duration::from_millis(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_sees_more_than_rate_and_burst() {
        let mut pace = Pace::new(3.0, 1.0);
        let mut taken: Vec<Monotonic> = Vec::new();
        for ms in 0..20_000 {
            let now = Monotonic::from_boot(Duration::from_millis(ms));
            if pace.available(now) >= 1.0 {
                pace.take(1.0);
                taken.push(now);
            }
        }
        assert!((58..=61).contains(&taken.len()), "{}", taken.len());
        for (index, first) in taken.iter().enumerate() {
            let within = taken[index..].iter().filter(|at| at.since(*first) < Duration::from_secs(1)).count();
            assert!(within <= 4);
        }
    }

    #[test]
    fn it_tells_when_there_will_be_enough() {
        let mut pace = Pace::new(2.0, 10.0);
        let start = Monotonic::from_boot(Duration::from_secs(5));
        assert!(pace.available(start) >= 10.0);
        pace.take(10.0);
        let then = pace.when(4.0, start);
        assert!(pace.available(then) >= 4.0);
        assert!(then.since(start) < Duration::from_millis(2002));
    }
}
