//! The time that a sample leaves with.
//!
//! A Pi has no battery clock: what was sampled before the wall clock was known to be right is held back, and dated by
//! its boot's offset once that is known. What never can be dated goes with a guess and is marked so. Whatever the clock
//! does, times of one lane only grow.

use std::time::Duration;

use super::boots::Boots;
use crate::base::clock::{Monotonic, Wall};
use crate::sensors::SampleMessage;

/// When a sample was taken, as the far side is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Milliseconds since 1970.
    pub(super) time_ms: i64,
    /// Whether that is more than a guess.
    pub(super) is_known: bool,
}

/// What the clocks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The clock that never jumps.
    pub monotonic: Monotonic,
    /// The wall clock.
    pub wall: Wall,
    /// Whether the wall clock is known to be right.
    pub is_synchronised: bool,
}

/// Dates the samples of one lane, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Stamps {
    last_ms: Option<i64>,
    /// The time of the last sample that does not come again.
    acknowledged_ms: Option<i64>,
    /// What is taken for the offset of a boot that never knew the time.
    guess: Option<(Box<str>, i64)>,
}

impl Stamps {
    /// The stamp of the next sample.
    ///
    /// # Errors
    /// Until when to hold it back, at the latest: it is of this boot, whose time may still become known within `wait`.
    pub(super) fn stamp(
        &mut self,
        sample: &SampleMessage,
        boots: &Boots,
        now: Now,
        wait: Duration,
    ) -> Result<Stamp, Monotonic> {
        let known = if sample.synchronised {
            Some(sample.time_ms)
        } else {
            boots.time_ms(&sample.boot_id, sample.monotonic_ms)
        };
        let until = Monotonic::from_boot(Duration::from_millis(sample.monotonic_ms)) + wait;
        if known.is_none() && sample.boot_id == boots.current() && now.monotonic < until {
            return Err(until);
        }
        let time_ms = known.unwrap_or_else(|| self.guess(sample, now));
        let time_ms = self.last_ms.map_or(time_ms, |last| time_ms.max(last.saturating_add(1)));
        self.last_ms = Some(time_ms);
        Ok(Stamp { time_ms, is_known: known.is_some() })
    }

    /// The local broker forgets the sample of this stamp.
    pub(super) const fn handle_acknowledged(&mut self, stamp: Stamp) {
        self.acknowledged_ms = Some(stamp.time_ms);
    }

    /// What is not acknowledged comes again, and is dated as it was.
    pub(super) const fn handle_lost(&mut self) {
        self.last_ms = self.acknowledged_ms;
    }

    /// A boot that never knew the time lies behind what came before it. Its own wall clock is believed where that
    /// makes sense: later than that, and not in the future.
    fn guess(&mut self, sample: &SampleMessage, now: Now) -> i64 {
        let monotonic_ms = i64::try_from(sample.monotonic_ms).unwrap_or(i64::MAX);
        match &self.guess {
            Some((boot, offset_ms)) if **boot == *sample.boot_id => offset_ms.saturating_add(monotonic_ms),
            _ => {
                let behind = self.last_ms.map_or(i64::MIN, |last| last.saturating_add(1));
                let is_future = now.is_synchronised && sample.time_ms > now.wall.unix_ms();
                let first_ms = if is_future && self.last_ms.is_some() { behind } else { sample.time_ms.max(behind) };
                self.guess = Some((sample.boot_id.as_str().into(), first_ms.saturating_sub(monotonic_ms)));
                first_ms
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WAIT: Duration = Duration::from_secs(300);

    fn sample(boot: &str, second: u64, time_ms: i64, synchronised: bool) -> SampleMessage {
        SampleMessage {
            boot_id: boot.into(),
            sequence: second,
            monotonic_ms: second * 1000,
            time_ms,
            synchronised,
            source: String::new(),
            readings: std::collections::BTreeMap::new(),
        }
    }

    fn now(second: u64, wall_ms: i64, is_synchronised: bool) -> Now {
        let monotonic = Monotonic::from_boot(Duration::from_secs(second));
        Now { monotonic, wall: Wall::from_unix_ms(wall_ms), is_synchronised }
    }

    #[test]
    fn a_sample_from_before_the_time_was_known_waits_and_is_dated_by_its_boot() {
        let (mut stamps, mut boots) = (Stamps::default(), Boots::unkept("this"));
        let early = sample("this", 10, 77, false);
        let held = stamps.stamp(&early, &boots, now(20, 88, false), WAIT);
        assert_eq!(held, Err(Monotonic::from_boot(Duration::from_secs(310))));
        boots.handle_synchronised(Monotonic::from_boot(Duration::from_secs(30)), Wall::from_unix_ms(2_000_000));
        let stamp = stamps.stamp(&early, &boots, now(30, 2_000_000, true), WAIT);
        assert_eq!(stamp, Ok(Stamp { time_ms: 1_980_000, is_known: true }));
    }

    #[test]
    fn after_the_wait_it_goes_undated_and_keeps_its_distances() {
        let (mut stamps, boots) = (Stamps::default(), Boots::unkept("this"));
        let stamp = |stamps: &mut Stamps, second, time_ms| {
            stamps.stamp(&sample("this", second, time_ms, false), &boots, now(400, 0, false), WAIT)
        };
        assert_eq!(stamp(&mut stamps, 10, 50_000), Ok(Stamp { time_ms: 50_000, is_known: false }));
        // its wall clock has jumped meanwhile; what is told is the distance
        assert_eq!(stamp(&mut stamps, 12, 10), Ok(Stamp { time_ms: 52_000, is_known: false }));
    }

    #[test]
    fn an_earlier_boot_that_never_knew_the_time_does_not_wait_and_lies_behind_what_came_before() {
        let (mut stamps, boots) = (Stamps::default(), Boots::unkept("this"));
        let at = now(5, 9_000_000, true);
        assert_eq!(stamps.stamp(&sample("one", 1, 5_000_000, true), &boots, at, WAIT).unwrap().time_ms, 5_000_000);
        let undated = stamps.stamp(&sample("two", 3, 1000, false), &boots, at, WAIT);
        assert_eq!(undated, Ok(Stamp { time_ms: 5_000_001, is_known: false }));
        let undated = stamps.stamp(&sample("two", 5, 3000, false), &boots, at, WAIT);
        assert_eq!(undated, Ok(Stamp { time_ms: 5_002_001, is_known: false }));
        // one whose clock ran ahead is not believed
        let ahead = stamps.stamp(&sample("three", 1, i64::MAX, false), &boots, at, WAIT);
        assert_eq!(ahead, Ok(Stamp { time_ms: 5_002_002, is_known: false }));
    }

    proptest! {
        #[test]
        fn times_only_grow_whatever_the_clock_does(
            samples in prop::collection::vec((0_usize..3, -10_000_i64..10_000, any::<bool>()), 1..60)
        ) {
            let (mut stamps, boots) = (Stamps::default(), Boots::unkept("none of them"));
            let mut last = i64::MIN;
            for (second, (boot, time_ms, synchronised)) in (0_u64..).zip(samples) {
                let sample = sample(["a", "b", "c"][boot], second, time_ms, synchronised);
                let stamp = stamps.stamp(&sample, &boots, now(second, 0, true), WAIT).unwrap();
                prop_assert!(stamp.time_ms > last);
                last = stamp.time_ms;
            }
        }
    }
}
