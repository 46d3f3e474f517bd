//! What a consumer has seen of the numbers that a publisher counted.

use std::collections::HashSet;
use std::fmt;

/// How many gaps a failure shows.
const GAPS_SHOWN_MAX: usize = 10;

/// The numbers in the order of their first arrival.
#[derive(Clone, Default)]
pub(crate) struct Sequences {
    order: Vec<u64>,
    known: HashSet<u64>,
    duplicates: usize,
    foreign: Vec<String>,
}

impl Sequences {
    /// Takes a payload: a number as text, or JSON with a number in its field `sequence`.
    pub(crate) fn take(&mut self, payload: &[u8]) {
        match sequence_in(payload) {
            Some(sequence) if self.known.insert(sequence) => self.order.push(sequence),
            Some(_) => self.duplicates += 1,
            None => self.foreign.push(String::from_utf8_lossy(payload).into_owned()),
        }
    }

    /// Whether a number has come.
    pub(crate) fn has(&self, sequence: u64) -> bool {
        self.known.contains(&sequence)
    }

    /// The greatest number that has come; 0 for none.
    pub(crate) fn greatest(&self) -> u64 {
        self.order.iter().copied().max().unwrap_or(0)
    }

    /// Those that have come to `other`, the next one as well, and not here. The last one before a broker was killed may
    /// have come to one of its clients although it was not acknowledged, and then comes to no other.
    pub(crate) fn missing_of(&self, other: &Self) -> Vec<u64> {
        let is_missing = |sequence: &u64| other.has(sequence + 1) && !self.has(*sequence);
        other.order.iter().copied().filter(is_missing).collect()
    }

    /// How many different numbers have come.
    pub(crate) fn count(&self) -> usize {
        self.order.len()
    }

    /// How many came that had come before.
    pub(crate) fn duplicates(&self) -> usize {
        self.duplicates
    }

    /// Payloads without a number.
    pub(crate) fn foreign(&self) -> &[String] {
        &self.foreign
    }

    /// The numbers from `first` to `last` that have not come, as ranges with both ends in them.
    pub(crate) fn gaps(&self, first: u64, last: u64) -> Vec<(u64, u64)> {
        let mut gaps: Vec<(u64, u64)> = Vec::new();
        for missing in (first..=last).filter(|sequence| !self.has(*sequence)) {
            match gaps.last_mut() {
                Some((_, end)) if *end + 1 == missing => *end = missing,
                _ => gaps.push((missing, missing)),
            }
        }
        gaps
    }

    /// The first number that came for the first time behind a greater one, with that one before it.
    pub(crate) fn disorder(&self) -> Option<(u64, u64)> {
        let (mut greatest, mut order) = (0, self.order.iter());
        order.find_map(|&sequence| {
            let before = greatest;
            greatest = before.max(sequence);
            (sequence < before).then_some((before, sequence))
        })
    }

    /// Panics unless every number from `first` to `last` has come, nothing else, and in increasing order but for
    /// duplicates. Gives how many duplicates there were.
    pub(crate) fn expect_all(&self, first: u64, last: u64) -> usize {
        let gaps = self.gaps(first, last);
        let shown = &gaps[..gaps.len().min(GAPS_SHOWN_MAX)];
        assert!(gaps.is_empty(), "{} gaps in {first}..={last}: {shown:?}", gaps.len());
        assert_eq!(self.disorder(), None, "first arrivals in increasing order");
        let outside: Vec<_> = self.order.iter().filter(|sequence| !(first..=last).contains(sequence)).collect();
        assert!(outside.is_empty(), "nothing beyond {first}..={last}: {outside:?}");
        assert!(self.foreign.is_empty(), "numbers only: {:?}", self.foreign);
        self.duplicates
    }
}

/// Counts only: there are thousands of them.
impl fmt::Debug for Sequences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, duplicates, foreign) = (self.count(), self.duplicates, self.foreign.len());
        write!(f, "{count} numbers, {duplicates} duplicates, {foreign} payloads without one")
    }
}

fn sequence_in(payload: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(payload).ok()?.trim();
    let in_json = || serde_json::from_str::<serde_json::Value>(text).ok()?.get("sequence")?.as_u64();
    text.parse().ok().or_else(in_json)
}

#[test]
fn sequences_tell_gaps_duplicates_and_disorder() {
    let mut seen = Sequences::default();
    for payload in ["1", r#"{"value": 7.5, "sequence": 2}"#, "2", "5", "6", "4", "no number", r#"{"value": 3}"#] {
        seen.take(payload.as_bytes());
    }
    assert_eq!((seen.count(), seen.duplicates(), seen.foreign().len()), (5, 1, 2));
    assert_eq!(seen.gaps(1, 9), [(3, 3), (7, 9)]);
    assert_eq!(seen.disorder(), Some((6, 4)));
}
