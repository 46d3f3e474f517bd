//! Many durations in little room: a histogram with steps of 1/32, from a microsecond to hours.

use std::time::Duration;

use serde::Serialize;

/// Steps between a power of two and the next.
const STEPS: u64 = 32;

/// Durations, counted in steps.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max_us: u64,
}

/// What a histogram tells, in microseconds; percentiles are at most 1/32 too large.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_field_names, reason = "a bare number carries its unit")]
pub(crate) struct Latency {
    /// Half of all took no longer.
    pub(crate) p50_us: u64,
    /// 99 of 100 took no longer.
    pub(crate) p99_us: u64,
    /// The longest, exact.
    pub(crate) max_us: u64,
}

impl Histogram {
    /// Counts one more.
    pub(super) fn add(&mut self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let place = place_of(us);
        if self.counts.len() <= place {
            self.counts.resize(place + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
        self.total += 1;
        self.max_us = self.max_us.max(us);
    }

    /// How many were counted.
    pub(super) const fn count(&self) -> u64 {
        self.total
    }

    /// What it tells; all zero while it is empty.
    pub(super) fn latency(&self) -> Latency {
        Latency { p50_us: self.percentile_us(50), p99_us: self.percentile_us(99), max_us: self.max_us }
    }

    fn percentile_us(&self, percent: u64) -> u64 {
        let rank = (self.total * percent).div_ceil(100);
        let mut seen = 0;
        let place = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        place.map_or(0, end_of).min(self.max_us)
    }
}

/// Below 64 each microsecond has its own place, then each power of two has [`STEPS`].
fn place_of(us: u64) -> usize {
    let shift = us.max(1).ilog2().saturating_sub(STEPS.ilog2());
    usize::try_from(u64::from(shift) * STEPS + (us >> shift)).unwrap_or(usize::MAX)
}

/// The largest number of microseconds that is counted at `place`.
fn end_of(place: usize) -> u64 {
    let place = place as u64;
    let shift = (place / STEPS).saturating_sub(1);
    ((place - shift * STEPS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_ends_at_most_a_step_above_what_is_counted_there() {
        for us in (0..5_000).chain([70_000, 1_000_000, 3_600_000_000]) {
            let end = end_of(place_of(us));
            assert!(us <= end && end - us <= us / STEPS, "{us} is counted up to {end}");
            assert_eq!(place_of(end + 1), place_of(us) + 1, "{us}");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_durations() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.latency(), Latency::default());
        (1..=50).for_each(|us| histogram.add(Duration::from_micros(us)));
        assert_eq!(histogram.latency(), Latency { p50_us: 25, p99_us: 50, max_us: 50 });
    }
}
