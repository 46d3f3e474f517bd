//! How much is taken, and the memory of how much was: <https://help.ubidots.com/en/articles/2093902>.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use sensegate::base::clock::Monotonic;

/// What each token and each owner may send. Beyond it a publish is acknowledged and lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Publishes a token.
    pub requests: Option<Requests>,
    /// Dots an owner.
    pub dots: Option<Dots>,
    /// Connections a client identifier; one more is refused as not authorised.
    pub connects: Option<Connects>,
}

/// A bucket of requests that fills again steadily.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requests {
    /// How many fit in.
    pub burst: u32,
    /// How long it takes until one comes back.
    pub interval: Duration,
}

/// Dots in any window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dots {
    /// At most so many.
    pub count_max: usize,
    /// In any window as long as this.
    pub window: Duration,
}

/// Connections in any window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connects {
    /// At most so many.
    pub count_max: usize,
    /// In any window as long as this.
    pub window: Duration,
}

impl Limits {
    /// None.
    pub const OFF: Self = Self { requests: None, dots: None, connects: None };

    /// What is documented: 4 requests a second and token; 6 dots a second over an hour, the smallest plan's. And what
    /// its broker calls flapping: more than 15 connections a minute.
    pub const DOCUMENTED: Self = Self {
        requests: Some(Requests { burst: 4, interval: Duration::from_millis(250) }),
        dots: Some(Dots { count_max: 6 * 3600, window: Duration::from_secs(3600) }),
        connects: Some(Connects { count_max: 15, window: Duration::from_secs(60) }),
    };
}

/// How much was taken so far.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) limits: Limits,
    /// By token: when its bucket is full again.
    full_at: BTreeMap<String, Monotonic>,
    dots: BTreeMap<String, Window>,
    connects: BTreeMap<String, Window>,
}

impl Meter {
    /// Takes one request out of the token's bucket; `false` when there is none left.
    pub(super) fn admits_request(&mut self, token: &str, now: Monotonic) -> bool {
        let Some(Requests { burst, interval }) = self.limits.requests else { return true };
        let full_at = self.full_at.get(token).copied().unwrap_or_default().max(now) + interval;
        let is_admitted = full_at.since(now) <= interval * burst;
        if is_admitted {
            self.full_at.insert(token.to_owned(), full_at);
        }
        is_admitted
    }

    /// Counts dots of an owner; `false`, and none is counted, when they are too many.
    pub(super) fn admits_dots(&mut self, owner: &str, now: Monotonic, count: usize) -> bool {
        let Some(Dots { count_max, window }) = self.limits.dots else { return true };
        self.dots.entry(owner.to_owned()).or_default().admits(now, count, count_max, window)
    }

    /// Counts a connection of a client; `false` when it is one too many.
    pub(super) fn admits_connect(&mut self, client_id: &str, now: Monotonic) -> bool {
        let Some(Connects { count_max, window }) = self.limits.connects else { return true };
        self.connects.entry(client_id.to_owned()).or_default().admits(now, 1, count_max, window)
    }
}

/// When things came, of those that still count.
#[derive(Debug, Default)]
struct Window(VecDeque<(Monotonic, usize)>);

impl Window {
    fn admits(&mut self, now: Monotonic, count: usize, count_max: usize, window: Duration) -> bool {
        while self.0.front().is_some_and(|(at, _)| now.since(*at) >= window) {
            self.0.pop_front();
        }
        let counted: usize = self.0.iter().map(|(_, count)| count).sum();
        let is_admitted = counted + count <= count_max;
        if is_admitted {
            self.0.push_back((now, count));
        }
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_millis(milliseconds))
    }

    fn meter(limits: Limits) -> Meter {
        Meter { limits, ..Meter::default() }
    }

    #[test]
    fn four_requests_go_at_once_and_one_each_quarter_second() {
        let mut meter = meter(Limits { requests: Limits::DOCUMENTED.requests, ..Limits::OFF });
        let admitted = |meter: &mut Meter, at_ms: u64| (0..6).filter(|_| meter.admits_request("a", at(at_ms))).count();
        assert_eq!(admitted(&mut meter, 10_000), 4);
        assert!(meter.admits_request("b", at(10_000)), "each token has its own");
        assert_eq!(admitted(&mut meter, 10_249), 0);
        assert_eq!(admitted(&mut meter, 10_250), 1);
        assert_eq!(admitted(&mut meter, 10_750), 2);
        assert_eq!(admitted(&mut meter, 60_000), 4);
    }

    #[test]
    fn dots_count_until_their_window_is_over() {
        let dots = Dots { count_max: 10, window: Duration::from_secs(1) };
        let mut meter = meter(Limits { dots: Some(dots), ..Limits::OFF });
        assert!(meter.admits_dots("a", at(0), 6));
        assert!(!meter.admits_dots("a", at(500), 5), "eleven");
        assert!(meter.admits_dots("a", at(500), 4), "what was refused does not count");
        assert!(!meter.admits_dots("a", at(999), 1));
        assert!(meter.admits_dots("a", at(1000), 6), "the first six are gone");
        assert!(!meter.admits_dots("a", at(1000), 1));
    }
}
