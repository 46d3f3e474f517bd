//! The retained messages that the filters of a SUBSCRIBE match, in slices of bounded work.

use std::collections::btree_map;
use std::ops::Bound;

use super::filters::{FilterSet, Next, Search};
use super::order::{AsTopic, TopicKey, TopicStr, compare};
use super::{Retained, RetainedMessages};
use crate::mqtt::{TopicFilter, TopicName};

/// How far a walk has come. It stays valid whatever happens to the messages in between: a message that exists during
/// the whole walk is found exactly once for each filter that matches it.
#[derive(Clone, Debug, Default)]
pub(in crate::broker) struct Position(Place);

#[derive(Clone, Debug, Default)]
enum Place {
    #[default]
    Start,
    /// The topic is compared with the filters from `filter` on.
    At {
        topic: TopicName,
        filter: usize,
        next: Next,
    },
    /// The topic was compared with all filters.
    Behind {
        topic: TopicName,
        next: Next,
    },
    End,
}

/// What a slice of a walk has found.
#[derive(Debug)]
pub(in crate::broker) enum Walk {
    /// A message, and the numbers of filters in the set that match it, in order. Further filters that match the same
    /// message may follow with the next slice.
    Match {
        /// The message.
        retained: Retained,
        /// The numbers, at least one.
        filters: Vec<usize>,
    },
    /// The steps are used up.
    OutOfSteps,
    /// No filter matches any further message.
    End,
}

impl Position {
    /// Returns the position at which `topic` has not yet been given to the filter with this number. A caller that
    /// cannot use all that a slice found goes back to it.
    pub(in crate::broker) const fn before(topic: TopicName, filter: usize) -> Self {
        Self(Place::At { topic, filter, next: Next::Any })
    }

    /// Removes the filters that are not to be kept, and returns the same position for the rest. Cost: all filters.
    pub(in crate::broker) fn retain(&self, filters: &mut FilterSet, keep: impl Fn(&TopicFilter) -> bool) -> Self {
        let place = match &self.0 {
            Place::At { topic, filter, .. } => {
                let filter =
                    (0..*filter).filter_map(|number| filters.get(number)).filter(|filter| keep(filter)).count();
                Place::At { topic: topic.clone(), filter, next: Next::Any }
            }
            Place::Behind { topic, .. } => Place::Behind { topic: topic.clone(), next: Next::Any },
            Place::Start => Place::Start,
            Place::End => Place::End,
        };
        filters.retain(keep);
        Self(place)
    }
}

/// A message in its order, from which filter on it is to be compared, and what follows as known by then.
struct Candidate<'a> {
    topic: &'a TopicName,
    retained: &'a Retained,
    filter: usize,
    next: Next,
}

/// Reads the map in its order.
struct Reader<'a> {
    messages: &'a RetainedMessages,
    /// The entries behind the one that was read last.
    entries: Option<btree_map::Range<'a, TopicKey, Retained>>,
}

type Entry<'a> = (&'a TopicKey, &'a Retained);

impl RetainedMessages {
    /// Finds the next message that a filter matches and moves `position` behind what it returns. Skips topics that no
    /// filter can match. Subtracts from `steps` one for each message that it visits, for each search in the map, for
    /// each beginning of filters that a topic is compared with, and for each match; with at least one step it makes
    /// progress. One message may take more steps than are left, as many as filters have levels.
    pub(in crate::broker) fn next_match(
        &self,
        filters: &FilterSet,
        position: &mut Position,
        steps: &mut usize,
    ) -> Walk {
        let mut reader = Reader { messages: self, entries: None };
        while *steps > 0 {
            let Some(candidate) = reader.candidate(&position.0, filters, steps) else {
                position.0 = Place::End;
                return Walk::End;
            };
            let Candidate { topic, retained, filter, next } = candidate;
            *steps = steps.saturating_sub(1);
            let mut search = Search::new(filters, topic.as_str(), filter, next);
            let mut found = Vec::new();
            let resume = search.run(&mut found, steps);
            let (topic, next) = (topic.clone(), search.next());
            position.0 = match resume {
                Some(filter) => Place::At { topic, filter, next },
                None => Place::Behind { topic, next },
            };
            if !found.is_empty() {
                return Walk::Match { retained: retained.clone(), filters: found };
            }
        }
        Walk::OutOfSteps
    }
}

impl<'a> Reader<'a> {
    /// Returns the message to compare next; `None` at the end.
    fn candidate(&mut self, place: &Place, filters: &FilterSet, steps: &mut usize) -> Option<Candidate<'a>> {
        let from_start =
            |(key, retained): Entry<'a>| Candidate { topic: &key.0, retained, filter: 0, next: Next::Nothing };
        match place {
            Place::Start => self.seek(filters.first()?, steps).map(from_start),
            Place::At { topic, filter, next } => {
                let entry = self.seek(topic.as_str(), steps)?;
                let found = from_start(entry);
                // otherwise its message was cleared
                let is_same = found.topic == topic;
                Some(if is_same { Candidate { filter: *filter, next: *next, ..found } } else { found })
            }
            Place::Behind { topic, next } => {
                let target = match next {
                    Next::Any => None,
                    next => Some(next.target(topic.as_str(), filters)?),
                };
                self.behind(topic, target.as_deref(), steps).map(from_start)
            }
            Place::End => None,
        }
    }

    /// Returns the first entry behind `topic` that is not before `target`.
    fn behind(&mut self, topic: &TopicName, target: Option<&str>, steps: &mut usize) -> Option<Entry<'a>> {
        if let Some(entries) = &mut self.entries {
            // often the target is the next entry, which costs less than a search
            let entry = entries.next()?;
            if target.is_none_or(|target| compare(entry.0.topic(), target).is_ge()) {
                return Some(entry);
            }
            *steps = steps.saturating_sub(1);
        }
        match target {
            Some(target) => self.seek(target, steps),
            None => self.search(Bound::Excluded(topic.as_str()), steps),
        }
    }

    fn seek(&mut self, target: &str, steps: &mut usize) -> Option<Entry<'a>> {
        self.search(Bound::Included(target), steps)
    }

    fn search(&mut self, from: Bound<&str>, steps: &mut usize) -> Option<Entry<'a>> {
        *steps = steps.saturating_sub(1);
        let from = from.map(TopicStr);
        let from = from.as_ref().map(|from| from as &dyn AsTopic);
        let entries =
            self.entries.insert(self.messages.messages.range::<dyn AsTopic + '_, _>((from, Bound::Unbounded)));
        entries.next()
    }
}

#[cfg(test)]
mod tests {
    use super::super::filters::tests::{oracle, set};
    use super::super::tests::retained;
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn store(topics: impl IntoIterator<Item = String>) -> RetainedMessages {
        let mut store = RetainedMessages::default();
        for topic in topics {
            store.set(retained(&topic));
        }
        store
    }

    /// Walks to the end; returns the number of messages found, of matches, and of steps.
    fn walk(store: &RetainedMessages, filters: &FilterSet) -> (usize, usize, usize) {
        let (mut position, mut steps, mut messages, mut matches) = (Position::default(), usize::MAX, 0, 0);
        while let Walk::Match { filters, .. } = store.next_match(filters, &mut position, &mut steps) {
            messages += 1;
            matches += filters.len();
        }
        (messages, matches, usize::MAX - steps)
    }

    #[test]
    fn exact_filters_cost_steps_by_their_own_number() {
        let store = store((0..100_000).map(|number| format!("a/{number}/b")));
        let filters: Vec<_> = (0..100_000).step_by(100).map(|number| format!("a/{number}/b")).collect();
        let (messages, matches, steps) = walk(&store, &set(&filters));
        assert_eq!((messages, matches), (1000, 1000));
        // for each: the next entry, a search, a visit, four nodes and a match
        assert!(steps <= 8 * 1000 + 10, "{steps} steps");
    }

    #[test]
    fn filters_that_match_nothing_cost_no_visits() {
        let store = store((0..100_000).map(|number| format!("a/{number}/b")));
        let filters: Vec<_> = (0..1000).map(|number| format!("b/{number}")).collect();
        assert!(walk(&store, &set(&filters)).2 < 10);
        let (messages, _, steps) = walk(&store, &set(&["a/+/c", "a/5/+"]));
        assert_eq!(messages, 1);
        // a search and a visit for each value of the `+`
        assert!(steps <= 10 * 100_000, "{steps} steps");
    }

    #[test]
    fn overlapping_filters_visit_each_message_once() {
        let store = store((0..100).map(|number| format!("a/a/a/a/a/a/a/a/a/a/{number}")));
        let filters: Vec<_> = (0..1000_u32)
            .map(|number| {
                let level = |bit: u32| if number >> bit & 1 == 0 { "a/" } else { "+/" };
                (0..10).map(level).collect::<String>() + "#"
            })
            .collect();
        let (messages, matches, steps) = walk(&store, &set(&filters));
        assert_eq!((messages, matches), (100, 100_000));
        // a visit, 2024 beginnings of filters and 1000 matches a message
        assert!(steps <= 100 * (1 + 2024 + 1000) + 10, "{steps} steps");
    }

    #[test]
    fn a_message_with_more_matches_than_steps_is_found_in_several_slices() {
        let store = store(["a".to_owned(), "b".to_owned()]);
        let filters = set(&vec!["+"; 10_000]);
        let (mut position, mut found) = (Position::default(), BTreeMap::<String, usize>::new());
        loop {
            let mut steps = 100;
            match store.next_match(&filters, &mut position, &mut steps) {
                Walk::Match { retained, filters } => {
                    assert!(filters.len() <= 100);
                    *found.entry(retained.message.topic.to_string()).or_default() += filters.len();
                }
                Walk::OutOfSteps => {}
                Walk::End => break,
            }
        }
        assert_eq!(found.into_values().collect::<Vec<_>>(), [10_000, 10_000]);
    }

    #[test]
    fn topics_with_a_dollar_are_skipped_by_wildcards_alone() {
        let topics = (0..1000).map(|number| format!("$SYS/{number}"));
        let store = store(topics.chain(["!", "$SYS", "%", "a"].map(str::to_owned)));
        let (messages, _, steps) = walk(&store, &set(&["+"]));
        assert_eq!(messages, 3);
        assert!(steps < 30, "{steps} steps");
        assert_eq!(walk(&store, &set(&["$SYS/#", "#"])).0, 1004);
    }

    #[test]
    fn a_message_that_could_not_be_used_is_found_again_for_the_filters_that_are_left() {
        let store = store(["a", "b"].map(str::to_owned));
        let filters = set(&["#", "+", "a", "b"]);
        let mut position = Position::default();
        let Walk::Match { retained, filters: first } =
            store.next_match(&filters, &mut position, &mut usize::MAX.clone())
        else {
            panic!("no match");
        };
        assert_eq!(first, [0, 1, 2]);
        position = Position::before(retained.message.topic.clone(), 1);
        let mut next = || match store.next_match(&filters, &mut position, &mut usize::MAX.clone()) {
            Walk::Match { retained, filters } => Some((retained.message.topic.to_string(), filters)),
            Walk::OutOfSteps | Walk::End => None,
        };
        assert_eq!(next(), Some(("a".to_owned(), vec![1, 2])));
        assert_eq!(next(), Some(("b".to_owned(), vec![0, 1, 3])));
        assert_eq!(next(), None);
        assert_eq!(next(), None);
    }

    /// A change of the messages between two slices.
    #[derive(Clone, Debug)]
    enum Change {
        Set(String),
        Clear(String),
    }

    const TOPIC: &str = "\\$?[ab!](/[ab!]?){0,3}";

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![TOPIC.prop_map(Change::Set), TOPIC.prop_map(Change::Clear)]
    }

    proptest! {
        #[test]
        fn what_stays_during_a_walk_is_found_once_a_filter_whatever_changes_in_between(
            topics in prop::collection::btree_set(TOPIC, 0..24),
            filters in prop::collection::vec("#|(\\$?[ab!]|\\+)(/([ab!]?|\\+)){0,3}(/#)?", 0..8),
            slices in prop::collection::vec((1..8_usize, prop::collection::vec(change(), 0..4), any::<bool>()), 0..64),
        ) {
            let mut store = store(topics.iter().cloned());
            let filters = set(&filters);
            let (mut position, mut found) = (Position::default(), BTreeMap::new());
            let (mut ever, mut changed) = (topics, BTreeSet::new());
            let mut slices = slices.into_iter();
            let mut slices_left = 10_000;
            loop {
                let (mut steps, changes, goes_back) = slices.next().unwrap_or((50, Vec::new(), false));
                match store.next_match(&filters, &mut position, &mut steps) {
                    Walk::Match { retained, filters } => {
                        // a caller that used only the first of the matches
                        let used = if goes_back { 1 } else { filters.len() };
                        if let Some(left) = filters.get(used) {
                            position = Position::before(retained.message.topic.clone(), *left);
                        }
                        for filter in &filters[..used] {
                            *found.entry((retained.message.topic.to_string(), *filter)).or_insert(0) += 1;
                        }
                    }
                    Walk::OutOfSteps => {}
                    Walk::End => break,
                }
                for change in changes {
                    match change {
                        Change::Set(topic) => {
                            ever.insert(topic.clone());
                            if store.set(retained(&topic)).is_none() {
                                changed.insert(topic);
                            }
                        }
                        Change::Clear(topic) => {
                            if store.clear(&topic).is_some() {
                                changed.insert(topic);
                            }
                        }
                    }
                }
                slices_left -= 1;
                prop_assert!(slices_left > 0, "the walk makes no progress");
            }
            for topic in &ever {
                for number in 0..filters.len() {
                    let count = found.remove(&(topic.clone(), number)).unwrap_or(0);
                    let matches = oracle(filters.get(number).unwrap().as_str(), topic);
                    if changed.contains(topic) {
                        prop_assert!(count <= usize::from(matches), "{topic} {number}");
                    } else {
                        prop_assert_eq!(count, usize::from(matches), "{} {}", topic, number);
                    }
                }
            }
            prop_assert!(found.is_empty());
        }
    }
}
