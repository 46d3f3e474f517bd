//! A limit on log lines that peers can cause, so that no peer can fill the journal.
//!
//! Each kind of line has its own limit, and within a kind each source. A line of one kind therefore never hides a line
//! of another kind, and one client that causes many lines does not hide those about other clients until the kind's own
//! limit is reached. Lines that are not shown are counted, and the count is logged when the period ends.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use super::log_lines::Kind;
use super::network::Network;
use crate::base::clock::Monotonic;

/// Length of a period. It begins with the first line of a kind.
const PERIOD: Duration = Duration::from_secs(60);

/// Lines of one kind and one source shown in a period. Further ones are counted.
const LINES_PER_SOURCE: u32 = 5;

/// Lines of one kind shown in a period, whatever their sources. Further ones are counted.
const LINES_PER_KIND: u32 = 30;

/// Sources that are told apart in one kind and period. Those after them count as one.
const SOURCES_MAX: usize = 64;

/// Who caused a line: lines of one source share a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    /// A remote network.
    Network(Network),
    /// Hash of a client identifier: for clients of this machine, which share its address, and for sessions without a
    /// connection.
    Client(u64),
    /// All sources beyond [`SOURCES_MAX`].
    Others,
}

/// What to do with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Show it.
    Show,
    /// Show it, and say that further lines of this kind and source are counted for the rest of the period.
    ShowLast,
    /// Count it.
    Count,
}

/// Lines that were counted and not shown in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) kind: Kind,
    pub(super) lines: u64,
}

/// The lines of the current periods.
#[derive(Debug, Default)]
pub(super) struct LogLimiter {
    periods: HashMap<Kind, Period>,
    /// When the first period with counted lines ends.
    deadline: Option<Monotonic>,
    /// Hashes client identifiers.
    hasher: RandomState,
}

/// The current period of one kind.
#[derive(Debug)]
struct Period {
    ends: Monotonic,
    shown: u32,
    counted: u64,
    /// Lines shown of each source.
    sources: HashMap<Source, u32>,
}

impl LogLimiter {
    /// Decides on one line of `kind` about `client`, which is connected from `address`.
    pub(super) fn decide(&mut self, kind: Kind, address: Option<IpAddr>, client: &str, now: Monotonic) -> Decision {
        let source = match Network::of(address) {
            Some(network) => Source::Network(network),
            None => Source::Client(self.hasher.hash_one(client)),
        };
        let period = self.periods.entry(kind).or_insert_with(|| Period::new(now));
        if period.ends <= now && period.counted == 0 {
            *period = Period::new(now);
        }
        let decision = period.decide(source);
        if decision == Decision::Count {
            self.deadline = self.deadline.into_iter().chain([period.ends]).min();
        }
        decision
    }

    /// Returns the next summary of a period that has ended, if any line was counted in it.
    pub(super) fn poll_summary(&mut self, now: Monotonic) -> Option<Summary> {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return None;
        }
        let is_due = |period: &Period| period.counted > 0 && period.ends <= now;
        let kind = self.periods.iter().find(|(_, period)| is_due(period)).map(|(kind, _)| *kind);
        let summary = kind.and_then(|kind| Some(Summary { kind, lines: self.periods.remove(&kind)?.counted }));
        self.deadline = self.periods.values().filter(|period| period.counted > 0).map(|period| period.ends).min();
        summary
    }

    /// Returns when the next summary is due.
    pub(super) const fn next_deadline(&self) -> Option<Monotonic> {
        self.deadline
    }
}

impl Period {
    fn new(now: Monotonic) -> Self {
        Self { ends: now + PERIOD, shown: 0, counted: 0, sources: HashMap::new() }
    }

    fn decide(&mut self, source: Source) -> Decision {
        let is_known = self.sources.contains_key(&source);
        let source = if is_known || self.sources.len() < SOURCES_MAX { source } else { Source::Others };
        let shown = self.sources.entry(source).or_insert(0);
        if *shown == LINES_PER_SOURCE || self.shown == LINES_PER_KIND {
            self.counted += 1;
            return Decision::Count;
        }
        *shown += 1;
        self.shown += 1;
        let is_last = *shown == LINES_PER_SOURCE || self.shown == LINES_PER_KIND;
        if is_last { Decision::ShowLast } else { Decision::Show }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind::Closed;
    const START: Monotonic = Monotonic::ZERO;

    /// Decides on a line about a client at 192.0.2.`number`.
    fn decide(limiter: &mut LogLimiter, number: u8) -> Decision {
        limiter.decide(KIND, Some([192, 0, 2, number].into()), "", START)
    }

    #[test]
    fn a_source_has_five_lines_of_a_kind_in_a_minute_and_does_not_hide_others() {
        let mut limiter = LogLimiter::default();
        let decisions: Vec<_> = (0..6).map(|_| decide(&mut limiter, 1)).collect();
        assert_eq!(decisions[3..], [Decision::Show, Decision::ShowLast, Decision::Count]);
        assert_eq!(decide(&mut limiter, 2), Decision::Show);
        let address = Some([192, 0, 2, 1].into());
        assert_eq!(limiter.decide(Kind::PublishDenied, address, "", START), Decision::Show);
    }

    #[test]
    fn lines_that_were_not_shown_are_reported_when_the_minute_has_passed() {
        let mut limiter = LogLimiter::default();
        (0..12).for_each(|_| {
            let _ = decide(&mut limiter, 1);
        });
        assert_eq!(limiter.next_deadline(), Some(START + PERIOD));
        assert_eq!(limiter.poll_summary(START + PERIOD / 2), None);
        assert_eq!(limiter.poll_summary(START + PERIOD), Some(Summary { kind: KIND, lines: 7 }));
        assert_eq!((limiter.poll_summary(START + PERIOD), limiter.next_deadline()), (None, None));
        assert_eq!(decide(&mut limiter, 1), Decision::Show);
    }

    #[test]
    fn a_period_without_counted_lines_has_no_summary_and_ends_with_the_next_line() {
        let mut limiter = LogLimiter::default();
        (0..5).for_each(|_| {
            let _ = decide(&mut limiter, 1);
        });
        assert_eq!((limiter.next_deadline(), limiter.poll_summary(START + PERIOD)), (None, None));
        let address = Some([192, 0, 2, 1].into());
        assert_eq!(limiter.decide(KIND, address, "", START + PERIOD), Decision::Show);
    }

    #[test]
    fn each_kind_has_a_summary_of_its_own() {
        let mut limiter = LogLimiter::default();
        for (kind, start) in [(Kind::Closed, START), (Kind::Connected, START + PERIOD / 2)] {
            (0..6).for_each(|_| {
                let _ = limiter.decide(kind, None, "c", start);
            });
        }
        assert_eq!(limiter.poll_summary(START + PERIOD), Some(Summary { kind: Kind::Closed, lines: 1 }));
        assert_eq!(limiter.poll_summary(START + PERIOD), None);
        assert_eq!(limiter.next_deadline(), Some(START + PERIOD / 2 + PERIOD));
    }

    #[test]
    fn many_sources_together_have_thirty_lines_of_a_kind_in_a_minute_and_bounded_memory() {
        let mut limiter = LogLimiter::default();
        let mut decide = |number: u32| limiter.decide(KIND, Some(number.to_be_bytes().into()), "", START);
        let shown = (0..5000).filter(|number| decide(*number) != Decision::Count).count();
        assert_eq!(shown, 30);
        assert!(limiter.periods[&KIND].sources.len() <= SOURCES_MAX + 1);
        assert_eq!(limiter.poll_summary(START + PERIOD), Some(Summary { kind: KIND, lines: 4970 }));
    }

    #[test]
    fn clients_of_one_network_share_a_limit_and_those_of_this_machine_do_not() {
        for (address, is_shared) in [("192.0.2.1", true), ("2001:db8::1", true), ("127.0.0.1", false), ("::1", false)] {
            let mut limiter = LogLimiter::default();
            let address = address.parse().ok();
            (0..5).for_each(|_| {
                let _ = limiter.decide(KIND, address, "a", START);
            });
            assert_eq!(limiter.decide(KIND, address, "b", START) == Decision::Count, is_shared, "{address:?}");
        }
    }
}
