//! Whether a topic comes under a filter, asked for every message: the three shapes that rules mostly have are compared
//! in one step.

use crate::mqtt::TopicFilter;

/// A filter with its shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Matcher {
    filter: TopicFilter,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `a/b`
    Name,
    /// `a/b/#`, with the length of what stands before the last slash
    Below(usize),
    /// `#`
    All,
    /// Any other
    Levels,
}

impl Matcher {
    pub(super) fn new(filter: TopicFilter) -> Self {
        let shape = match filter.as_str() {
            "#" => Shape::All,
            text if text.contains('+') => Shape::Levels,
            text => text.strip_suffix("/#").map_or(Shape::Name, |above| Shape::Below(above.len())),
        };
        Self { filter, shape }
    }

    pub(super) fn filter(&self) -> &TopicFilter {
        &self.filter
    }

    /// As [`TopicFilter::matches`].
    #[inline]
    pub(super) fn matches(&self, topic: &str) -> bool {
        match self.shape {
            Shape::Name => self.filter.as_str() == topic,
            Shape::Below(above) => {
                let (filter, topic) = (self.filter.as_str().as_bytes(), topic.as_bytes());
                topic.get(..above) == filter.get(..above) && matches!(topic.get(above), None | Some(b'/'))
            }
            Shape::All => !topic.starts_with('$'),
            Shape::Levels => self.filter.matches(topic),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn shapes_match_what_the_filter_matches(
            filter in "([$ab]{0,2}|\\+)(/([ab]{0,2}|\\+)){0,2}(/#)?|#",
            topic in "[$ab]{0,2}(/[ab]{0,2}){0,3}",
        ) {
            prop_assume!(!filter.is_empty() && !topic.is_empty());
            let filter = TopicFilter::new(&filter).unwrap();
            prop_assert_eq!(Matcher::new(filter.clone()).matches(&topic), filter.matches(&topic));
        }
    }
}
