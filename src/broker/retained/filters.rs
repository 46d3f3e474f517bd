//! Many filters matched with one topic at a time, and the topics in between that none of them can match.
//!
//! The filters are a sorted list, which serves as their tree of levels: all filters that begin with the same levels are
//! neighbours, so a node of the tree is a range of the list, and a set costs no more than its filters. A search visits
//! the nodes that the topic reaches, in the order of the list, so it can be interrupted and resumed at any filter.

use std::cmp::Ordering;
use std::ops::Range;

use super::order::compare;
use crate::mqtt::TopicFilter;

/// The filters of one SUBSCRIBE. They are numbered in the order of the set, from 0; equal filters are not merged.
#[derive(Debug)]
pub(in crate::broker) struct FilterSet {
    sorted: Box<[TopicFilter]>,
}

/// The filters of a set that begin with the same levels.
#[derive(Clone, Debug)]
struct Node {
    filters: Range<usize>,
    /// Where the next level begins in each of the filters; filters that end here are shorter.
    start: usize,
    /// Number of levels that the filters have in common.
    depth: usize,
    /// Where the next level begins in the topic; `None` when all levels have been compared.
    topic: Option<usize>,
}

/// The next step of a search.
#[derive(Clone, Debug)]
enum Task {
    Visit(Node),
    /// These filters match.
    Match(Range<usize>),
}

/// The children of a node, each a range of filters.
struct Children {
    /// Filters that end at the node.
    ends: Range<usize>,
    multi_level: Range<usize>,
    single_level: Range<usize>,
    /// Filters whose next level equals that of the topic.
    equal: Range<usize>,
    /// The first of the filters whose next level is greater than that of the topic, and no wildcard.
    greater: Option<usize>,
}

/// The smallest topic behind the current one that a filter can match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Next {
    /// No filter matches a later topic.
    #[default]
    Nothing,
    /// The next topic without a `$` in front: a filter begins with a wildcard [MQTT-4.7.2-1].
    WithoutDollar,
    /// A topic that differs from the current one in the level of this number.
    Level(usize, Wanted),
    /// Any topic.
    Any,
}

/// What the level that differs has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Any greater level.
    Greater,
    /// The level of this filter that begins at `start`.
    Literal {
        filter: usize,
        start: usize,
        /// Whether other filters want the same level behind other wildcards: then the filter's further levels do not
        /// count.
        is_shared: bool,
    },
}

/// One topic on its way through a set of filters.
pub(super) struct Search<'a> {
    filters: &'a FilterSet,
    topic: &'a str,
    /// The filters before this one have been compared.
    from: usize,
    /// The tasks that are left; the last one comes first, and has the first of the filters.
    tasks: Vec<Task>,
    next: Next,
}

impl FilterSet {
    /// Sorts the filters, none of which is shared.
    pub(in crate::broker) fn new(filters: impl IntoIterator<Item = TopicFilter>) -> Self {
        let mut sorted: Box<[TopicFilter]> = filters.into_iter().collect();
        sorted.sort_by(|a, b| compare(a.as_str(), b.as_str()));
        Self { sorted }
    }

    /// Returns the filter with this number.
    pub(in crate::broker) fn get(&self, number: usize) -> Option<&TopicFilter> {
        self.sorted.get(number)
    }

    /// Returns how often the set has `filter`.
    pub(in crate::broker) fn count(&self, filter: &TopicFilter) -> usize {
        let is_before = |other: &TopicFilter| compare(other.as_str(), filter.as_str()).is_lt();
        let first = self.sorted.partition_point(is_before);
        self.sorted.iter().skip(first).take_while(|other| *other == filter).count()
    }

    /// Removes the filters that are not to be kept.
    pub(super) fn retain(&mut self, keep: impl Fn(&TopicFilter) -> bool) {
        self.sorted = std::mem::take(&mut self.sorted).into_iter().filter(keep).collect();
    }

    /// Returns the number of filters.
    pub(in crate::broker) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Returns the numbers of all filters that match `topic`, in order. Cost: the beginnings of filters that `topic`
    /// matches, each of which is compared once for all filters that share it.
    #[cfg(test)]
    fn matches(&self, topic: &str) -> Vec<usize> {
        let (mut found, mut steps) = (Vec::new(), usize::MAX);
        Search::new(self, topic, 0, Next::Nothing).run(&mut found, &mut steps);
        found
    }

    /// Returns the first text that is not greater than any topic which a filter matches; `None` for an empty set.
    pub(super) fn first(&self) -> Option<&str> {
        let Children { multi_level, single_level, greater, .. } = self.children(0..self.len(), 0, None);
        match greater {
            _ if !multi_level.is_empty() || !single_level.is_empty() => Some(""),
            Some(filter) => Some(self.literal_levels(filter, 0, false)),
            None => None,
        }
    }

    fn slice(&self, range: Range<usize>) -> &[TopicFilter] {
        self.sorted.get(range).unwrap_or_default()
    }

    /// Returns the filter with this number from the level on that begins at `start`.
    fn rest(&self, number: usize, start: usize) -> &str {
        self.get(number).and_then(|filter| filter.as_str().get(start..)).unwrap_or_default()
    }

    /// Returns the filters of `range` whose level at `start` is `level`; where there is none, the empty range at which
    /// greater levels begin. Cost: the logarithm of the number of filters.
    fn with_level(&self, range: &Range<usize>, start: usize, level: &str) -> Range<usize> {
        let filters = self.slice(range.clone());
        let low = filters.partition_point(|filter| level_at(filter.as_str(), start) < level);
        let from_low = filters.get(low..).unwrap_or_default();
        let count = from_low.partition_point(|filter| level_at(filter.as_str(), start) == level);
        range.start + low..range.start + low + count
    }

    /// Divides the filters of a node by their next level. Without a topic's `level`, every literal level is greater.
    fn children(&self, filters: Range<usize>, start: usize, level: Option<&str>) -> Children {
        let ended = self.slice(filters.clone()).partition_point(|filter| filter.as_str().len() < start);
        let below = filters.start + ended..filters.end;
        let multi_level = self.with_level(&below, start, "#");
        let single_level = self.with_level(&below, start, "+");
        let equal = level.map_or(below.start..below.start, |level| self.with_level(&below, start, level));
        let mut greater = equal.end;
        // wildcards are sorted among the literal levels, `#` before `+`
        for wildcard in [&multi_level, &single_level] {
            if wildcard.contains(&greater) {
                greater = wildcard.end;
            }
        }
        let greater = (greater < below.end).then_some(greater);
        Children { ends: filters.start..below.start, multi_level, single_level, equal, greater }
    }

    /// Returns the literal levels from `start` on that this filter has in common with all filters that have the same
    /// level at `start`; only that level if `is_shared`.
    fn literal_levels(&self, filter: usize, start: usize, is_shared: bool) -> &str {
        let (text, rest) = (self.rest(filter, 0), self.rest(filter, start));
        let first = level_at(rest, 0);
        if is_shared {
            return first;
        }
        let beginning = text.get(..start + first.len()).unwrap_or_default();
        let neighbours = self.slice(filter..self.len());
        let count = neighbours.partition_point(|filter| begins_with(filter.as_str(), beginning));
        let last = self.rest((filter + count).saturating_sub(1), start);
        let levels = rest.split('/').zip(last.split('/'));
        let common = levels.take_while(|(level, other)| level == other && !matches!(*level, "#" | "+"));
        let bytes: usize = common.map(|(level, _)| level.len() + 1).sum();
        rest.get(..bytes.saturating_sub(1)).unwrap_or(first)
    }
}

/// Returns the level that begins at `start`.
fn level_at(text: &str, start: usize) -> &str {
    let rest = text.get(start..).unwrap_or_default();
    rest.split_once('/').map_or(rest, |(level, _)| level)
}

/// Returns whether the first levels of `text` are those of `beginning`.
fn begins_with(text: &str, beginning: &str) -> bool {
    text.strip_prefix(beginning).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Task {
    const fn filters(&self) -> &Range<usize> {
        match self {
            Self::Visit(Node { filters, .. }) | Self::Match(filters) => filters,
        }
    }
}

impl Node {
    /// Returns the child whose filters have a level of `bytes` bytes here, behind the topic's `level`.
    fn child(&self, filters: Range<usize>, bytes: usize, topic: &str, level: &str) -> Self {
        let end = self.topic.unwrap_or_default() + level.len();
        let next = (end < topic.len()).then_some(end + 1);
        Self { filters, start: self.start + bytes + 1, depth: self.depth + 1, topic: next }
    }
}

impl<'a> Search<'a> {
    /// Begins at the filter with the number `from`; `next` is what the search found before that one.
    pub(super) fn new(filters: &'a FilterSet, topic: &'a str, from: usize, next: Next) -> Self {
        let root = Node { filters: 0..filters.len(), start: 0, depth: 0, topic: Some(0) };
        Self { filters, topic, from, tasks: vec![Task::Visit(root)], next }
    }

    /// Adds the numbers of filters that match to `found`, in order, and subtracts from `steps` one for each node and for
    /// each match. Returns the filter at which to resume when `steps` were used up, but compares at least one filter.
    pub(super) fn run(&mut self, found: &mut Vec<usize>, steps: &mut usize) -> Option<usize> {
        while let Some(task) = self.tasks.pop() {
            let first = task.filters().start;
            if *steps == 0 && first > self.from {
                return Some(first);
            }
            match task {
                Task::Visit(node) => {
                    *steps = steps.saturating_sub(1);
                    self.visit(&node);
                }
                Task::Match(filters) => {
                    for filter in filters.start.max(self.from)..filters.end {
                        if *steps == 0 && filter > self.from {
                            return Some(filter);
                        }
                        *steps = steps.saturating_sub(1);
                        found.push(filter);
                    }
                }
            }
        }
        None
    }

    /// Returns where the next topic is to be searched for; final when `run` has compared all filters.
    pub(super) const fn next(&self) -> Next {
        self.next
    }

    fn visit(&mut self, node: &Node) {
        let level = node.topic.map(|start| level_at(self.topic, start));
        // [MQTT-4.7.2-1]
        let allows_wildcards = node.depth > 0 || !self.topic.starts_with('$');
        let children = self.filters.children(node.filters.clone(), node.start, level);
        self.add_next(node, level, &children, allows_wildcards);
        let Children { ends, multi_level, single_level, equal, .. } = children;
        let mut tasks = match level {
            // `a/#` matches `a` as well
            None => [Some(Task::Match(ends)), Some(Task::Match(multi_level)), None],
            Some(level) => {
                let child = |filters, bytes| Task::Visit(node.child(filters, bytes, self.topic, level));
                let (any, rest) = (Task::Match(multi_level), child(single_level, "+".len()));
                let literal = child(equal, level.len());
                [allows_wildcards.then_some(any), allows_wildcards.then_some(rest), Some(literal)]
            }
        };
        tasks.sort_by_key(|task| std::cmp::Reverse(task.as_ref().map(|task| task.filters().start)));
        let is_left = |task: &Task| !task.filters().is_empty() && task.filters().end > self.from;
        self.tasks.extend(tasks.into_iter().flatten().filter(is_left));
    }

    fn add_next(&mut self, node: &Node, level: Option<&str>, children: &Children, allows_wildcards: bool) {
        let has_multi_level = !children.multi_level.is_empty();
        let has_single_level = !children.single_level.is_empty();
        let wildcard = match level {
            _ if !has_multi_level && !has_single_level => Next::Nothing,
            _ if !allows_wildcards => Next::WithoutDollar,
            Some(_) if !has_multi_level => Next::Level(node.depth, Wanted::Greater),
            _ => Next::Any,
        };
        self.next = self.next.min(wildcard, self.filters);
        if let Some(filter) = children.greater {
            let wanted = Wanted::Literal { filter, start: node.start, is_shared: false };
            self.next = self.next.min(Next::Level(node.depth, wanted), self.filters);
        }
    }
}

impl Next {
    /// Returns the one that comes first behind the same topic.
    fn min(self, other: Self, filters: &FilterSet) -> Self {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => Self::Any,
            (Self::Nothing, next) | (next, Self::Nothing) => next,
            (Self::Level(depth, a), Self::Level(other, b)) => match depth.cmp(&other) {
                Ordering::Equal => Self::Level(depth, a.min(b, filters)),
                Ordering::Greater => self,
                Ordering::Less => Self::Level(other, b),
            },
            (Self::WithoutDollar, next) | (next, Self::WithoutDollar) => match next {
                Self::Level(0, Wanted::Literal { filter, start, .. })
                    if !filters.rest(filter, start).starts_with('$') =>
                {
                    Self::WithoutDollar
                }
                next => next,
            },
        }
    }

    /// Returns a text that is greater than `topic`, and not greater than any later topic that a filter matches; `None`
    /// when there is no such topic.
    pub(super) fn target(self, topic: &str, filters: &FilterSet) -> Option<String> {
        match self {
            Self::Nothing => None,
            // the character behind `$`
            Self::WithoutDollar => Some("%".to_owned()),
            // `/` sorts first: nothing lies in between
            Self::Any => Some(format!("{topic}/")),
            Self::Level(depth, wanted) => {
                let mut levels = topic.split('/');
                let mut target: String = levels.by_ref().take(depth).flat_map(|level| [level, "/"]).collect();
                match wanted {
                    // behind all topics below the level
                    Wanted::Greater => target.extend([levels.next().unwrap_or_default(), "\u{1}"]),
                    Wanted::Literal { filter, start, is_shared } => {
                        target.push_str(filters.literal_levels(filter, start, is_shared));
                    }
                }
                Some(target)
            }
        }
    }
}

impl Wanted {
    fn min(self, other: Self, filters: &FilterSet) -> Self {
        let (Self::Literal { filter, start, .. }, Self::Literal { filter: other_filter, start: other_start, .. }) =
            (self, other)
        else {
            return Self::Greater;
        };
        let (level, other_level) = (level_at(filters.rest(filter, start), 0), filters.rest(other_filter, other_start));
        match level.cmp(level_at(other_level, 0)) {
            Ordering::Less => self,
            Ordering::Greater => other,
            Ordering::Equal if filter == other_filter => self,
            Ordering::Equal => Self::Literal { filter, start, is_shared: true },
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns whether `filter` matches `topic`, by section 4.7 of the standard.
    pub(in crate::broker::retained) fn oracle(filter: &str, topic: &str) -> bool {
        fn below(filter: &[&str], topic: &[&str]) -> bool {
            match (filter, topic) {
                (["#"], _) | ([], []) => true,
                (["+", filter @ ..], [_, topic @ ..]) => below(filter, topic),
                ([level, filter @ ..], [other, topic @ ..]) => level == other && below(filter, topic),
                _ => false,
            }
        }
        let is_hidden = topic.starts_with('$') && (filter.starts_with('#') || filter.starts_with('+'));
        let levels = |text| str::split(text, '/').collect::<Vec<_>>();
        !is_hidden && below(&levels(filter), &levels(topic))
    }

    pub(in crate::broker::retained) fn set(filters: &[impl AsRef<str>]) -> FilterSet {
        FilterSet::new(filters.iter().map(|filter| TopicFilter::new(filter.as_ref()).unwrap()))
    }

    #[test]
    fn equal_filters_match_one_by_one() {
        let filters = set(&["a/b", "a/+", "a/b", "a/#"]);
        let found: Vec<_> = filters.matches("a/b").iter().map(|i| filters.get(*i).unwrap().to_string()).collect();
        assert_eq!(found, ["a/#", "a/+", "a/b", "a/b"]);
        assert_eq!(filters.matches("a").len(), 1);
        assert_eq!(filters.matches("b").len(), 0);
    }

    #[test]
    fn a_common_beginning_is_compared_once_for_all_filters() {
        let filters: Vec<_> = (0..1000).map(|number| format!("a/b/c/d/{number}")).collect();
        let (mut found, mut steps) = (Vec::new(), 1000);
        assert_eq!(Search::new(&set(&filters), "a/b/c/d/5", 0, Next::Nothing).run(&mut found, &mut steps), None);
        assert_eq!((found.len(), 1000 - steps), (1, 7));
    }

    #[test]
    fn a_search_of_one_step_compares_at_least_one_filter() {
        let filters = set(&["+/+/+/x", "a/b/c/x", "a/b/c/y"]);
        let (mut from, mut next, mut runs) = (0, Next::Nothing, 0);
        loop {
            let mut search = Search::new(&filters, "a/b/c/d", from, next);
            let resume = search.run(&mut Vec::new(), &mut 1);
            (next, runs) = (search.next(), runs + 1);
            let Some(resume) = resume else { break };
            assert!(resume > from);
            from = resume;
        }
        assert_eq!(runs, 2);
        assert_eq!(next.target("a/b/c/d", &filters).as_deref(), Some("a/b/c/x"));
    }

    proptest! {
        #[test]
        fn a_search_agrees_with_matching_one_filter_at_a_time_wherever_it_is_interrupted(
            filters in prop::collection::vec("#|(\\$?[ab!]|\\+)(/([ab!]?|\\+)){0,3}(/#)?", 0..12),
            topic in "\\$?[ab!](/[ab!]?){0,3}",
            steps in 1..6_usize,
        ) {
            let filters = set(&filters);
            let (mut from, mut next, mut found) = (0, Next::Nothing, Vec::new());
            loop {
                let mut search = Search::new(&filters, &topic, from, next);
                let resume = search.run(&mut found, &mut steps.clone());
                next = search.next();
                let Some(resume) = resume else { break };
                from = resume;
            }
            let matches = |number: &usize| oracle(filters.get(*number).unwrap().as_str(), &topic);
            let expected: Vec<_> = (0..filters.len()).filter(matches).collect();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(filters.matches(&topic), expected);
            // the next topic is the same as that of an uninterrupted search, or a smaller one
            let mut whole = Search::new(&filters, &topic, 0, Next::Nothing);
            whole.run(&mut Vec::new(), &mut usize::MAX.clone());
            let target = next.target(&topic, &filters);
            prop_assert_eq!(target, whole.next().target(&topic, &filters));
        }
    }
}
