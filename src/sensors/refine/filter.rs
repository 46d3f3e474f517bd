//! Filters over the last few samples, and a gate for single ones that are wildly off.

use std::collections::VecDeque;

use crate::sensors::Reading;

/// Samples that the gate may hold back in a row: what stays away for longer is no outlier but the weather.
const HELD_BACK_MAX: u32 = 2;

/// What is made of the last samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FilterKind {
    /// The last one alone.
    #[default]
    None,
    /// Their mean: the least noise.
    Mean,
    /// Their median: single outliers do not count.
    Median,
}

/// How the samples of one quantity are filtered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filter {
    /// What is made of them.
    pub kind: FilterKind,
    /// Of how many, at least 1.
    pub window: usize,
    /// How far a sample may be from the one before it, in the unit of the quantity. One that is further away is held
    /// back, and the last value told instead; after [two](HELD_BACK_MAX) in a row the next is taken for what it is.
    pub gate: Option<f64>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { kind: FilterKind::None, window: 1, gate: None }
    }
}

/// The last samples of one quantity.
#[derive(Debug)]
pub(super) struct Filtered {
    filter: Filter,
    accepted: VecDeque<f64>,
    held_back: u32,
}

impl Filtered {
    pub(super) fn new(filter: Filter) -> Self {
        Self { filter, accepted: VecDeque::new(), held_back: 0 }
    }

    /// Takes in a sample and tells what the last ones are worth. An absence is told at once, and nothing that was
    /// sampled before it counts any more.
    pub(super) fn take(&mut self, sample: &Reading) -> Reading {
        if let Ok(value) = sample {
            self.accept(*value);
        } else {
            (self.accepted, self.held_back) = (VecDeque::new(), 0);
        }
        sample.clone().map(|value| self.filtered().unwrap_or(value))
    }

    fn accept(&mut self, value: f64) {
        if self.is_outlier(value) {
            if self.held_back < HELD_BACK_MAX {
                self.held_back += 1;
                return;
            }
            // a step: the mean of both sides of it would be a value that there never was
            self.accepted.clear();
        }
        self.held_back = 0;
        self.accepted.push_back(value);
        while self.accepted.len() > self.filter.window.max(1) {
            self.accepted.pop_front();
        }
    }

    fn is_outlier(&self, value: f64) -> bool {
        let distance = self.accepted.back().map_or(0.0, |last| (value - last).abs());
        self.filter.gate.is_some_and(|gate| distance > gate)
    }

    fn filtered(&self) -> Option<f64> {
        match self.filter.kind {
            FilterKind::None => self.accepted.back().copied(),
            FilterKind::Mean => mean(&self.accepted),
            FilterKind::Median => median(&self.accepted),
        }
    }
}

fn mean(values: &VecDeque<f64>) -> Option<f64> {
    let count = u32::try_from(values.len()).ok().filter(|&count| count > 0)?;
    Some(values.iter().sum::<f64>() / f64::from(count))
}

/// Of an even number, the mean of the two in the middle.
fn median(values: &VecDeque<f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    let lower = if sorted.len() % 2 == 1 { upper } else { *sorted.get(middle.checked_sub(1)?)? };
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::clock::Monotonic;
    use crate::sensors::{Absence, Reason};

    fn absent() -> Reading {
        Err(Absence { reason: Reason::Bus, text: String::new(), since: Monotonic::ZERO })
    }

    fn check(filter: Filter, samples: &[f64], expected: &[f64]) {
        let mut filtered = Filtered::new(filter);
        let told: Vec<f64> = samples.iter().map(|&sample| filtered.take(&Ok(sample)).unwrap()).collect();
        assert_eq!(told, expected, "{filter:?}");
    }

    #[test]
    fn mean_and_median_are_of_the_last_few() {
        let samples = [1.0, 2.0, 9.0, 4.0, 5.0];
        check(Filter { kind: FilterKind::None, window: 3, gate: None }, &samples, &samples);
        check(Filter { kind: FilterKind::Mean, window: 3, gate: None }, &samples, &[1.0, 1.5, 4.0, 5.0, 6.0]);
        check(Filter { kind: FilterKind::Median, window: 3, gate: None }, &samples, &[1.0, 1.5, 2.0, 4.0, 5.0]);
    }

    #[test]
    fn gate_holds_single_outliers_back_and_lets_a_step_through_after_two() {
        let filter = Filter { kind: FilterKind::Mean, window: 4, gate: Some(5.0) };
        check(filter, &[20.0, 90.0, 20.0, -40.0, 20.0, 23.0], &[20.0, 20.0, 20.0, 20.0, 20.0, 20.75]);
        check(filter, &[20.0, 20.0, 30.0, 30.0, 30.0, 31.0], &[20.0, 20.0, 20.0, 20.0, 30.0, 30.5]);
    }

    #[test]
    fn nothing_from_before_an_absence_counts_after_it() {
        let mut filtered = Filtered::new(Filter { kind: FilterKind::Mean, window: 9, gate: Some(1.0) });
        assert_eq!(filtered.take(&Ok(10.0)), Ok(10.0));
        assert_eq!(filtered.take(&absent()), absent());
        assert_eq!(filtered.take(&Ok(20.0)), Ok(20.0));
    }

    proptest! {
        #[test]
        fn what_is_told_lies_among_the_last_samples(
            samples in prop::collection::vec(-50.0..50.0_f64, 1..60),
            window in 1..9_usize,
            gate in prop::option::of(0.1..20.0_f64),
            kind in prop::sample::select(vec![FilterKind::None, FilterKind::Mean, FilterKind::Median]),
        ) {
            let mut filtered = Filtered::new(Filter { kind, window, gate });
            for (index, sample) in samples.iter().enumerate() {
                let told = filtered.take(&Ok(*sample)).unwrap();
                let first = index.saturating_sub((window + 1) * (HELD_BACK_MAX as usize + 1));
                let seen = &samples[first..=index];
                let (low, high) = (seen.iter().copied().fold(f64::MAX, f64::min), seen.iter().copied().fold(f64::MIN, f64::max));
                prop_assert!((low - 1e-9..=high + 1e-9).contains(&told));
            }
        }
    }
}
