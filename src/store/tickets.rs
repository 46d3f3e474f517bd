//! Sets of tickets, stored as ranges so that a long backlog of answers takes little memory.

use crate::broker::Ticket;

/// Consecutive tickets, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tickets {
    /// The lowest ticket.
    pub first: Ticket,
    /// The highest ticket.
    pub last: Ticket,
}

impl Tickets {
    /// Returns each ticket in ascending order.
    pub fn iter(self) -> impl Iterator<Item = Ticket> {
        (self.first.0..=self.last.0).map(Ticket)
    }
}

/// A set of tickets. Memory: 16 bytes for each range of consecutive tickets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TicketSet {
    /// In ascending order; no two ranges touch or overlap.
    ranges: Vec<Tickets>,
}

impl TicketSet {
    /// Adds a ticket. Cost: O(1) for one that is higher than all others in the set, else O(ranges).
    pub(super) fn insert(&mut self, ticket: Ticket) {
        match self.ranges.last_mut() {
            Some(range) if range.last.0.checked_add(1) == Some(ticket.0) => range.last = ticket,
            Some(range) if range.last >= ticket => self.extend([&Self::from(Tickets { first: ticket, last: ticket })]),
            _ => self.ranges.push(Tickets { first: ticket, last: ticket }),
        }
    }

    /// Adds all tickets of other sets. Cost: O(n log n) for the ranges of all together.
    pub(super) fn extend<'a>(&mut self, others: impl IntoIterator<Item = &'a Self>) {
        self.ranges.extend(others.into_iter().flat_map(|other| &other.ranges));
        self.ranges.sort_unstable_by_key(|range| range.first);
        self.ranges.dedup_by(|next, range| {
            let is_adjacent = next.first.0 <= range.last.0.saturating_add(1);
            if is_adjacent {
                range.last = range.last.max(next.last);
            }
            is_adjacent
        });
    }

    /// Replaces the ranges by one from the lowest to the highest ticket, which adds the tickets between them.
    pub(super) fn fill_gaps(&mut self) {
        if let (Some(lowest), Some(highest)) = (self.ranges.first().copied(), self.ranges.last().copied()) {
            self.ranges = vec![Tickets { first: lowest.first, last: highest.last }];
        }
    }

    /// Whether `ticket` is in the set. Cost: O(log ranges).
    pub(super) fn contains(&self, ticket: Ticket) -> bool {
        let after = self.ranges.partition_point(|range| range.first <= ticket);
        let range = after.checked_sub(1).and_then(|index| self.ranges.get(index));
        range.is_some_and(|range| ticket <= range.last)
    }

    /// The ranges in ascending order.
    pub(super) fn ranges(&self) -> &[Tickets] {
        &self.ranges
    }

    /// The ranges in ascending order.
    pub(super) fn into_ranges(self) -> Vec<Tickets> {
        self.ranges
    }
}

impl From<Tickets> for TicketSet {
    fn from(range: Tickets) -> Self {
        Self { ranges: vec![range] }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn members(set: &TicketSet) -> Vec<u64> {
        set.ranges().iter().flat_map(|range| range.iter()).map(|ticket| ticket.0).collect()
    }

    #[test]
    fn a_set_holds_what_was_added_in_any_order_and_in_the_fewest_ranges() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..200 {
            let (mut set, mut expected) = (TicketSet::default(), BTreeSet::new());
            for _ in 0..random.usize(..40) {
                let mut other = TicketSet::default();
                for _ in 0..random.usize(..4) {
                    let number = random.u64(1..60);
                    other.insert(Ticket(number));
                    expected.insert(number);
                }
                set.extend([&other]);
            }
            assert_eq!(members(&set), expected.iter().copied().collect::<Vec<_>>());
            let gaps = expected.iter().zip(expected.iter().skip(1)).filter(|(a, b)| **a + 1 < **b).count();
            assert!((0..61).all(|number| set.contains(Ticket(number)) == expected.contains(&number)));
            assert_eq!(set.ranges().len(), if expected.is_empty() { 0 } else { gaps + 1 });
        }
    }

    #[test]
    fn filled_gaps_leave_one_range_from_the_lowest_to_the_highest() {
        let mut set = TicketSet::default();
        for number in [3, 4, 9, 12] {
            set.insert(Ticket(number));
        }
        set.fill_gaps();
        assert_eq!(set.ranges(), [Tickets { first: Ticket(3), last: Ticket(12) }]);
        let mut none = TicketSet::default();
        none.fill_gaps();
        assert_eq!(none, TicketSet::default());
    }
}
