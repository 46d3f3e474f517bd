//! Which samples the live lane has carried already, so that the backlog passes over them.

use std::collections::BTreeMap;

/// What names a sample: its boot, and its number within it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SampleId {
    pub(super) boot: Box<str>,
    pub(super) sequence: u64,
}

/// Samples by boot, as ranges: hours of samples without a hole are one entry.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried(BTreeMap<Box<str>, BTreeMap<u64, u64>>);

impl Carried {
    /// Adds one.
    pub(super) fn insert(&mut self, id: &SampleId) {
        let ranges = self.0.entry(id.boot.clone()).or_default();
        let (mut first, mut last) = (id.sequence, id.sequence);
        if let Some((start, end)) = ranges.range(..=first).next_back().map(|(start, end)| (*start, *end)) {
            if end >= first {
                return;
            }
            if end + 1 == first {
                first = start;
            }
        }
        if let Some(end) = last.checked_add(1).and_then(|next| ranges.remove(&next)) {
            last = end;
        }
        ranges.insert(first, last);
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is there.
    pub(super) fn contains(&self, id: &SampleId) -> bool {
        let range = self.0.get(&id.boot).and_then(|ranges| ranges.range(..=id.sequence).next_back());
        range.is_some_and(|(_, end)| *end >= id.sequence)
    }

    /// The backlog has come to `id`: it never asks again for that one, for earlier ones of its boot, or for earlier
    /// boots.
    pub(super) fn forget_up_to(&mut self, id: &SampleId) {
        let Some(ranges) = self.0.get_mut(&id.boot) else { return };
        let behind: BTreeMap<u64, u64> = ranges
            .iter()
            .filter(|(_, end)| **end > id.sequence)
            .map(|(start, end)| ((*start).max(id.sequence + 1), *end))
            .collect();
        *ranges = behind;
        if ranges.is_empty() {
            self.0.remove(&id.boot);
        }
    }

    /// How many ranges are remembered.
    #[cfg(test)]
    fn ranges(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn id(sequence: u64) -> SampleId {
        SampleId { boot: "a".into(), sequence }
    }

    #[test]
    fn a_run_without_a_hole_is_one_range() {
        let mut carried = Carried::default();
        (10..100_000).for_each(|sequence| carried.insert(&id(sequence)));
        assert_eq!(carried.ranges(), 1);
        assert!(!carried.contains(&SampleId { boot: "b".into(), sequence: 20 }));
        carried.forget_up_to(&id(99_999));
        assert_eq!(carried.ranges(), 0);
    }

    proptest! {
        #[test]
        fn it_holds_what_a_set_would(inserted in prop::collection::vec(0_u64..60, 0..80), reached in 0_u64..60) {
            let mut carried = Carried::default();
            let mut model = BTreeSet::new();
            for sequence in inserted {
                carried.insert(&id(sequence));
                model.insert(sequence);
            }
            carried.forget_up_to(&id(reached));
            model.retain(|sequence| *sequence > reached);
            for sequence in 0..60 {
                prop_assert_eq!(carried.contains(&id(sequence)), model.contains(&sequence));
            }
        }
    }
}
