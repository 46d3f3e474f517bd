//! When the next sample is due: a grid that does not drift.

use std::time::Duration;

use crate::base::clock::Monotonic;

/// Deadlines one interval apart, reckoned from the deadline before and never from when a sample was done, so that the
/// time a sample takes does not add up. A slot that passed while a sample was under way is skipped and counted; it is
/// never made up for by a burst.
#[derive(Clone, Debug)]
pub struct Schedule {
    due: Monotonic,
    interval: Duration,
    missed: u64,
}

impl Schedule {
    /// The shortest interval: what is below is taken as this.
    pub const INTERVAL_MIN: Duration = Duration::from_millis(1);

    /// The first sample is due at `now`.
    pub fn new(now: Monotonic, interval: Duration) -> Self {
        Self { due: now, interval: interval.max(Self::INTERVAL_MIN), missed: 0 }
    }

    /// Time until the next sample is due; zero when it is.
    pub fn wait(&self, now: Monotonic) -> Duration {
        self.due.since(now)
    }

    /// Slots that passed without a sample.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// A sample was finished at `now`: the next slot of the grid that is not over is due. Cost: O(1).
    pub fn advance(&mut self, now: Monotonic) {
        self.due = self.due + self.interval;
        let slots_over = now.since(self.due).as_nanos().div_ceil(self.interval.as_nanos());
        let slots_over = u32::try_from(slots_over).unwrap_or(u32::MAX);
        self.due = self.due + self.interval.saturating_mul(slots_over);
        self.missed = self.missed.saturating_add(slots_over.into());
    }

    /// The next sample is due `wait` after `now`, unless it is due before; the grid goes on from there.
    pub fn hasten(&mut self, now: Monotonic, wait: Duration) {
        self.due = self.due.min(now + wait);
    }

    /// Another interval from now on: the first sample of the new grid is due one interval after `now`.
    pub fn set_interval(&mut self, now: Monotonic, interval: Duration) {
        self.interval = interval.max(Self::INTERVAL_MIN);
        self.due = now + self.interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_millis(ms))
    }

    #[test]
    fn the_time_a_sample_takes_does_not_add_up() {
        let mut schedule = Schedule::new(at_ms(0), Duration::from_secs(1));
        let mut now = at_ms(0);
        for second in 0..1000 {
            now = now + schedule.wait(now);
            assert_eq!(now, at_ms(second * 1000));
            now = now + Duration::from_millis(second % 900);
            schedule.advance(now);
        }
        assert_eq!(schedule.missed(), 0);
    }

    #[test]
    fn slots_that_passed_are_skipped_and_counted_and_the_grid_stays() {
        let mut schedule = Schedule::new(at_ms(0), Duration::from_secs(1));
        schedule.advance(at_ms(3500));
        assert_eq!(schedule.missed(), 3);
        assert_eq!(schedule.wait(at_ms(3500)), Duration::from_millis(500));
        schedule.advance(at_ms(4001));
        assert_eq!(schedule.missed(), 3);
        assert_eq!(schedule.wait(at_ms(4001)), Duration::from_millis(999));
    }

    #[test]
    fn a_clock_that_stands_far_ahead_costs_no_loop_and_no_burst() {
        let mut schedule = Schedule::new(at_ms(0), Duration::from_millis(80));
        let later = Monotonic::from_boot(Duration::from_secs(86_400 * 365));
        schedule.advance(later);
        assert!(schedule.wait(later) <= Duration::from_millis(80));
        assert_eq!(schedule.missed(), 394_200_000 - 1);
    }

    #[test]
    fn a_new_interval_counts_from_now() {
        let mut schedule = Schedule::new(at_ms(0), Duration::from_secs(60));
        schedule.advance(at_ms(5));
        schedule.set_interval(at_ms(1000), Duration::from_millis(500));
        assert_eq!(schedule.wait(at_ms(1000)), Duration::from_millis(500));
        schedule.advance(at_ms(1500));
        assert_eq!(schedule.wait(at_ms(1500)), Duration::from_millis(500));
    }

    #[test]
    fn hastening_brings_a_sample_forward_and_never_puts_it_off() {
        let mut schedule = Schedule::new(at_ms(0), Duration::from_secs(1));
        schedule.advance(at_ms(1));
        schedule.hasten(at_ms(1), Duration::from_millis(50));
        assert_eq!(schedule.wait(at_ms(1)), Duration::from_millis(50));
        schedule.hasten(at_ms(1), Duration::from_secs(5));
        assert_eq!(schedule.wait(at_ms(1)), Duration::from_millis(50));
    }
}
