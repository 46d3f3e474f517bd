//! What happened on the bus since the start, counted.

use super::chip::Chip;
use super::reading::Reason;

/// What happened with both chips. Each number only grows, so that a collector can take differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    chips: [ChipCounts; Chip::ALL.len()],
}

/// What happened with one chip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChipCounts {
    /// Bursts of outputs that arrived, with new values or without.
    pub reads: u64,
    /// Times that every quantity of the chip had a value again after a failure.
    pub recoveries: u64,
    errors: [u64; Reason::ALL.len()],
}

impl ChipCounts {
    /// Failures for this reason: each attempt on the bus, each useless conversion and each silence is one.
    pub fn errors(&self, reason: Reason) -> u64 {
        self.errors.get(reason as usize).copied().unwrap_or(0)
    }

    /// Every reason that there was, with its number.
    pub fn all_errors(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().zip(self.errors).filter(|(_, count)| *count > 0)
    }

    /// One more failure.
    pub(super) fn count_error(&mut self, reason: Reason) {
        if let Some(count) = self.errors.get_mut(reason as usize) {
            *count += 1;
        }
    }
}

impl Counts {
    /// Puts together what `count` gives for each chip.
    pub(super) fn of(count: impl FnMut(Chip) -> ChipCounts) -> Self {
        Self { chips: Chip::ALL.map(count) }
    }

    /// Each chip with its numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Chip, ChipCounts)> {
        Chip::ALL.into_iter().zip(self.chips)
    }

    /// One chip's numbers.
    pub fn get(&self, chip: Chip) -> ChipCounts {
        self.iter().find_map(|(of, counts)| (of == chip).then_some(counts)).unwrap_or_default()
    }

    /// A failure that both chips share: the bus itself.
    pub(super) fn count_error(&mut self, reason: Reason) {
        self.chips.iter_mut().for_each(|chip| chip.count_error(reason));
    }

    /// Both together.
    #[must_use]
    pub(super) fn plus(&self, other: &Self) -> Self {
        Self::of(|chip| self.get(chip).plus(other.get(chip)))
    }
}

impl ChipCounts {
    fn plus(self, other: Self) -> Self {
        let mut errors = self.errors;
        errors.iter_mut().zip(other.errors).for_each(|(count, more)| *count += more);
        Self { reads: self.reads + other.reads, recoveries: self.recoveries + other.recoveries, errors }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_counted_by_itself_and_a_failure_of_the_bus_for_both_chips() {
        let mut counts = Counts::default();
        counts.count_error(Reason::NoBus);
        let mut more = ChipCounts { reads: 3, recoveries: 1, ..ChipCounts::default() };
        more.count_error(Reason::Bus);
        more.count_error(Reason::Bus);
        let of_one = Counts::of(|chip| if chip == Chip::Lps25h { more } else { ChipCounts::default() });
        let sum = counts.plus(&of_one);
        assert_eq!(sum.get(Chip::Hts221).all_errors().collect::<Vec<_>>(), [(Reason::NoBus, 1)]);
        let lps25h = sum.get(Chip::Lps25h);
        assert_eq!((lps25h.reads, lps25h.recoveries), (3, 1));
        assert_eq!((lps25h.errors(Reason::NoBus), lps25h.errors(Reason::Bus), lps25h.errors(Reason::Stale)), (1, 2, 0));
    }

    #[test]
    fn every_reason_has_a_place_of_its_own() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(place, reason as usize, "{}", reason.name());
        }
    }
}
