//! What a subscription costs in memory.
//!
//! The costs are upper bounds that no order of subscriptions exceeds in total. They follow the sizes of the types.

use super::trie::{Branches, GroupList, Node};
use crate::broker::members::Match;
use crate::broker::memory::{ALLOCATION, ARC, list_entry, table, table_entry};
use crate::broker::message::Granted;
use crate::broker::share::{GROUP_COST, GroupKey};
use crate::mqtt::TopicFilter;

/// Bytes of memory that a subscription which is not shared uses beside the text of its filter at most: a leaf of the
/// tree and a node at which it branches off, a member of a list, and the entry of its session's own table.
pub(in crate::broker) const SUBSCRIPTION_COST: usize = {
    let nodes = 2 * (size_of::<Node>() + 2 * ALLOCATION) + table_entry::<(u64, Box<Node>)>();
    let branches = size_of::<Branches>() + ALLOCATION + table::<(u64, Box<Node>)>(4);
    nodes + branches + list_entry::<Match>() + ARC + table_entry::<(TopicFilter, Granted)>()
};

/// Bytes of memory that a shared subscription uses at most more than one that is not: a group of its own.
const SHARE_COST: usize = GROUP_COST + size_of::<GroupList>() + ALLOCATION + list_entry::<GroupKey>();

/// How often the text of a filter is in memory: in the tree, and as the filter itself.
const COPIES: usize = 2;

/// Returns the most bytes of memory that a subscription to `filter` uses.
#[cfg_attr(not(test), expect(dead_code, reason = "the limits of subscriptions do not count real costs yet"))]
pub(in crate::broker) fn subscription_cost(filter: &TopicFilter) -> usize {
    let share = if filter.is_shared() { SHARE_COST } else { 0 };
    SUBSCRIPTION_COST + share + COPIES * filter.as_str().len()
}

#[cfg(test)]
mod tests {
    use super::super::{Presence, Subscriptions};
    use super::*;
    use crate::broker::memory::allocation;
    use crate::broker::session::SessionKey;
    use crate::mqtt::QoS;

    fn key(number: usize) -> SessionKey {
        slotmap::KeyData::from_ffi((1 << 32) | number as u64).into()
    }

    /// Bytes that tables of the largest size but without entries use.
    const EMPTY: usize = 1000;

    /// Subscribes sessions to filters and unsubscribes most of them again; compares the memory used with the costs.
    fn check(name: &str, subscriptions: &[(String, usize)]) {
        let filters: Vec<_> =
            subscriptions.iter().map(|(filter, session)| (TopicFilter::new(filter).unwrap(), key(*session))).collect();
        let mut tree = Subscriptions::new(1);
        // the tree, and what each session has of it
        let own = |filter: &TopicFilter| {
            let table = table_entry::<(TopicFilter, Granted)>();
            table + allocation::<u8>(2 * size_of::<usize>() + filter.as_str().len())
        };
        let (mut cost, mut own_bytes) = (0, 0);
        let granted = Granted::new(QoS::AtMostOnce);
        for (filter, session) in &filters {
            tree.insert(filter, *session, granted, Presence::Connected);
            (cost, own_bytes) = (cost + subscription_cost(filter), own_bytes + own(filter));
            let bytes = tree.bytes() + own_bytes;
            assert!(bytes <= cost + EMPTY, "{name}: {bytes} bytes, counted as {cost}");
        }
        for (filter, session) in filters.iter().skip(1).step_by(2).chain(filters.iter().step_by(2)) {
            tree.remove(filter, *session);
            (cost, own_bytes) = (cost - subscription_cost(filter), own_bytes - own(filter));
            let bytes = tree.bytes() + own_bytes;
            assert!(bytes <= cost + EMPTY, "{name}, removed: {bytes} bytes, counted as {cost}");
        }
    }

    #[test]
    fn no_kind_of_subscriptions_uses_more_memory_than_its_cost() {
        let check = |name, subscription: &dyn Fn(usize) -> (String, usize)| {
            check(name, &(0..300).map(subscription).collect::<Vec<_>>());
        };
        check("flat", &|number| (format!("{number}"), 1));
        check("deep", &|number| (format!("{number}{}", "/".repeat(127)), 1));
        check("deep wildcards", &|number| (format!("{number}{}", "/+".repeat(126)), 1));
        check("one path", &|number| ("a/".repeat(number) + "a", 1));
        check("a branch at each level", &|number| ("a/".repeat(number / 2) + ["b", "+"][number % 2], 1));
        check("branches in the last level", &|number| (format!("{}/{}", number / 2, number % 2), 1));
        check("branches into binary digits", &|number| {
            ((0..9).map(|bit| if number >> bit & 1 == 0 { "a/" } else { "b/" }).collect(), 1)
        });
        check("one filter", &|number| ("a".to_owned(), number));
        check("two sessions a filter", &|number| (format!("{}", number / 2), number));
        check("one group", &|number| ("$share/g/a".to_owned(), number));
        check("groups of one filter", &|number| (format!("$share/{number}/a"), 1));
        check("groups of deep filters", &|number| (format!("$share/g/{number}{}", "/".repeat(127)), 1));
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_subscription_costs_its_filter_twice_and_some_hundred_bytes() {
        const { assert!(SUBSCRIPTION_COST <= 960) };
        const { assert!(SHARE_COST <= 640) };
        let filter = TopicFilter::new("a/b").unwrap();
        assert_eq!(subscription_cost(&filter), SUBSCRIPTION_COST + 6);
    }
}
