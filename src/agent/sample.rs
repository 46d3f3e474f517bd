//! One cycle of the sampling thread as a value.

use super::runs::ValidSince;
use super::stamp::later_than;
use crate::base::clock::{Monotonic, Wall};
use crate::base::ids::BootId;
use crate::sensors::{self, Absence, Counts, Heat, Quantity, Reading, Readings, Reason, Sensor, Source};

/// What gives readings; asked once a cycle, on a thread of its own.
pub trait Sampler {
    /// Reads every quantity. May block for as long as the bus does.
    fn sample(&mut self, now: Monotonic) -> Readings;

    /// Where the readings come from.
    fn source(&self) -> Source;

    /// What happened on the bus since the start.
    fn counts(&self) -> Counts {
        Counts::default()
    }

    /// When a sample is worth taking before the schedule wants one, because a chip is starting up.
    fn next_deadline(&self) -> Option<Monotonic> {
        None
    }

    /// Other options hold from now on.
    fn set_options(&mut self, _options: &sensors::Options) {}
}

impl Sampler for Sensor {
    fn sample(&mut self, now: Monotonic) -> Readings {
        Self::sample(self, now)
    }

    fn source(&self) -> Source {
        Self::source(self)
    }

    fn counts(&self) -> Counts {
        Self::counts(self)
    }

    fn next_deadline(&self) -> Option<Monotonic> {
        Self::next_deadline(self)
    }

    fn set_options(&mut self, options: &sensors::Options) {
        Self::set_options(self, options);
    }
}

/// One reading of each quantity, with everything that says when it was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The number of the sample: unique within the boot, and one more than that of the sample before it. The first one
    /// of a process has the number that [`first_sequence`] gives.
    pub sequence: u64,
    /// Whose boot `monotonic` counts from.
    pub boot_id: BootId,
    /// When the bus was asked.
    pub monotonic: Monotonic,
    /// The same moment by the wall clock; later than that of every sample before it, even when the clock was put back.
    pub wall: Wall,
    /// Whether the wall clock was known to be right then.
    pub synchronised: bool,
    /// Where the readings come from.
    pub source: Source,
    /// The readings.
    pub readings: Readings,
    /// Since when each quantity has had values.
    pub valid_since: ValidSince,
    /// What happened on the bus until then.
    pub counts: Counts,
}

impl Sample {
    /// The moment `earlier` on the wall clock, reckoned back from when this sample was taken.
    pub fn wall_at(&self, earlier: Monotonic) -> Wall {
        let age_ms = i64::try_from(self.monotonic.since(earlier).as_millis()).unwrap_or(i64::MAX);
        Wall::from_unix_ms(self.wall.unix_ms().saturating_sub(age_ms))
    }

    /// What is known when the sampling thread has been silent since this sample: nothing. It has the number of this
    /// sample, because none was taken since.
    pub(super) fn overdue(&self, now: Monotonic, wall: Wall) -> Self {
        let text = "the bus hangs: the thread that samples has not come back from it".to_owned();
        let absence = Absence { reason: Reason::Timeout, text, since: self.monotonic };
        let readings = self.readings.map(|_, _| Err(absence.clone())).with_heat(Heat::default());
        Self { monotonic: now, wall: later_than(self.wall, wall), readings, ..self.clone() }
    }

    /// Whether at least one quantity has a value.
    pub fn has_value(&self) -> bool {
        self.readings.iter().any(|(_, reading)| reading.is_ok())
    }
}

/// The number of the first sample of a process that starts at `now`: the milliseconds since the boot. Samples come at
/// most every few milliseconds, so that a later process of the same boot begins beyond everything that was counted
/// before it, without a file that remembers how far that was.
pub fn first_sequence(now: Monotonic) -> u64 {
    now.since_boot_ms()
}

/// Turns what is no number into an absence: JSON has no word for it, and a subscriber no use.
pub(super) fn finite(readings: &Readings, now: Monotonic) -> Readings {
    readings.map(|quantity, reading| finite_reading(quantity, reading, now))
}

fn finite_reading(quantity: Quantity, reading: &Reading, now: Monotonic) -> Reading {
    match reading {
        Ok(value) if !value.is_finite() => Err(Absence {
            reason: Reason::OutOfRange,
            text: format!("the {quantity} came as {value}, a finite number was expected"),
            since: now,
        }),
        other => other.clone(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    /// A sample taken `second` seconds after the boot; each quantity by `read`.
    pub(in crate::agent) fn sample(second: u64, read: impl FnMut(Quantity) -> Reading) -> Sample {
        Sample {
            sequence: second,
            boot_id: BootId::new("a-boot"),
            monotonic: Monotonic::from_boot(Duration::from_secs(second)),
            wall: Wall::from_unix_ms(1_795_377_331_250 + i64::try_from(second).unwrap() * 1000),
            synchronised: true,
            source: Source::Simulated,
            readings: Readings::new(read),
            valid_since: ValidSince::default(),
            counts: Counts::default(),
        }
    }

    /// An absence that began `second` seconds after the boot.
    pub(in crate::agent) fn absent(reason: Reason, second: u64) -> Reading {
        let since = Monotonic::from_boot(Duration::from_secs(second));
        Err(Absence { reason, text: format!("it is {}", reason.name()), since })
    }

    #[test]
    fn what_is_no_number_becomes_an_absence() {
        let readings = Readings::new(|quantity| Ok(if quantity == Quantity::Humidity { f64::NAN } else { 1.0 }));
        let finite = finite(&readings, Monotonic::ZERO);
        assert_eq!(finite.get(Quantity::Temperature), Some(&Ok(1.0)));
        assert!(matches!(finite.get(Quantity::Humidity), Some(Err(absence)) if absence.reason == Reason::OutOfRange));
    }

    #[test]
    fn an_earlier_moment_is_told_by_the_wall_clock_of_the_sample() {
        let sample = sample(10, |_| Ok(1.0));
        let earlier = Monotonic::from_boot(Duration::from_secs(4));
        assert_eq!(sample.wall.unix_ms() - sample.wall_at(earlier).unix_ms(), 6000);
    }

    #[test]
    fn an_overdue_sample_is_later_than_its_last_one_when_the_clock_was_put_back() {
        let mut last = sample(10, |_| Ok(1.0));
        last.readings = last.readings.with_heat(Heat { processor: Some(55.0), ..Heat::default() });
        let overdue = last.overdue(Monotonic::from_boot(Duration::from_secs(15)), Wall::from_unix_ms(0));
        assert_eq!(overdue.readings.heat(), Heat::default());
        assert_eq!((overdue.wall.unix_ms() - last.wall.unix_ms(), overdue.sequence), (1, last.sequence));
        assert!(!overdue.has_value());
    }

    #[test]
    fn a_later_process_of_the_boot_counts_on_beyond_the_one_before_it() {
        let start = |ms| first_sequence(Monotonic::from_boot(Duration::from_micros(ms * 1000 + 999)));
        assert_eq!(start(81_234), 81_234);
        // the fastest there can be, one sample each HASTE_MIN
        let (began_ms, samples) = (1000, 1_000_000);
        assert!(start(began_ms) + samples < start(began_ms + samples * 5));
    }
}
