//! How much the pressure has changed in three hours (WMO-No. 306, code table 0200, wants that period).

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::clock::Monotonic;
use crate::sensors::{Absence, Reading, Reason};

const PERIOD: Duration = Duration::from_secs(3 * 3600);
/// What is remembered is the mean of so long: 180 of them, whatever the rate of the samples.
const STEP: Duration = Duration::from_secs(60);

/// Between two means that are further apart than the longest interval of samples, nothing is known.
const GAP_MAX: Duration = Duration::from_secs(65 * 60);

/// The pressure of the last three hours.
#[derive(Debug, Default)]
pub(super) struct Tendency {
    /// Means of steps, each with when its step began, oldest first.
    means: VecDeque<(Monotonic, f64)>,
    current: Option<Step>,
}

#[derive(Debug)]
struct Step {
    began: Monotonic,
    sum: f64,
    count: u32,
}

impl Tendency {
    /// Takes in the pressure and tells the tendency: absent until the pressure of three hours ago is known.
    pub(super) fn take(&mut self, pressure: &Reading, now: Monotonic) -> Reading {
        let pressure = pressure.clone()?;
        self.remember(pressure, now);
        while self.means.get(1).is_some_and(|(began, _)| now.since(*began) >= PERIOD) {
            self.means.pop_front();
        }
        self.three_hours_ago(now).map(|earlier| pressure - earlier).ok_or_else(|| Absence {
            reason: Reason::Starting,
            text: "the pressure of three hours ago is not known yet".into(),
            since: self.means.front().map_or(now, |(began, _)| *began),
        })
    }

    fn remember(&mut self, pressure: f64, now: Monotonic) {
        if let Some(done) = self.current.take_if(|step| now.since(step.began) >= STEP) {
            self.means.push_back((done.began, done.sum / f64::from(done.count)));
        }
        let step = self.current.get_or_insert(Step { began: now, sum: 0.0, count: 0 });
        step.sum += pressure;
        step.count += 1;
    }

    /// On the line between the means around that moment.
    fn three_hours_ago(&self, now: Monotonic) -> Option<f64> {
        let ((began, before), (ended, after)) = (*self.means.front()?, *self.means.get(1)?);
        let length = ended.since(began);
        let is_around = now.since(began) >= PERIOD && now.since(ended) < PERIOD && length <= GAP_MAX;
        let part = (now.since(began).checked_sub(PERIOD)?).as_secs_f64() / length.as_secs_f64();
        is_around.then_some(before + (after - before) * part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_secs(s))
    }

    /// A pressure that falls by 1 hPa an hour, sampled each `interval_s`; what is told at last, and when first.
    fn check(interval_s: u64) {
        let mut tendency = Tendency::default();
        let mut first = None;
        for s in (0..8 * 3600).step_by(usize::try_from(interval_s).unwrap()) {
            let pressure = 1010.0 - f64::from(u32::try_from(s).unwrap()) / 3600.0;
            if let Ok(told) = tendency.take(&Ok(pressure), at(s)) {
                first.get_or_insert(s);
                // the mean of a step belongs to its middle
                assert!((told + 3.0).abs() < 0.01, "{told} after {s} s");
            }
            assert!(tendency.means.len() <= 182, "{}", tendency.means.len());
        }
        let first = first.expect("it is told");
        assert!((3 * 3600..=3 * 3600 + 2 * interval_s).contains(&first), "{first}");
    }

    #[test]
    fn tendency_is_told_from_the_third_hour_on_whatever_the_interval() {
        for interval_s in [1, 7, 60, 61, 700, 3000, 3600] {
            check(interval_s);
        }
    }

    #[test]
    fn an_absence_is_passed_on_and_a_long_gap_makes_the_tendency_unknown() {
        let mut tendency = Tendency::default();
        let absent = Absence { reason: Reason::Bus, text: String::new(), since: at(1) };
        for s in 0..=3 * 3600 + 120 {
            let _ = tendency.take(&Ok(1000.0), at(s));
        }
        assert_eq!(tendency.take(&Err(absent.clone()), at(3 * 3600 + 121)), Err(absent));
        assert_eq!(tendency.take(&Ok(1000.0), at(3 * 3600 + 122)), Ok(0.0));
        let later = 3 * 3600 + 122 + 2 * 3600;
        for s in later..later + 3 * 3600 {
            let told = tendency.take(&Ok(1000.0), at(s));
            let asked = s - 3 * 3600;
            let is_in_the_gap = (3 * 3600 + 122..later).contains(&asked);
            assert!(!(told.is_ok() && is_in_the_gap && asked > 3 * 3600 + 300), "told {told:?} of {asked}");
        }
    }
}
