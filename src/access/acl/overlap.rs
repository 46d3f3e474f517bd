//! Filters against filters: what two have in common, and whether one lies within another.
//!
//! The names that come under both of two filters are again those of one filter, so both questions are answered level
//! by level.

use crate::mqtt::TopicFilter;

/// The filter, by levels, of the names that come under both; `None` when there are none. Cost: the length of both.
pub(super) fn intersection<'a>(a: &'a TopicFilter, b: &'a TopicFilter) -> Option<Vec<&'a str>> {
    if only_one_is_of_the_system(a, b) {
        return None;
    }
    let (mut a, mut b) = (a.as_str().split('/'), b.as_str().split('/'));
    let mut common = Vec::new();
    loop {
        match (a.next(), b.next()) {
            (None, None) => break,
            // `#` also stands for the level above it, so that the other may be at its end
            (Some("#"), level) => {
                common.extend(level.into_iter().chain(b));
                break;
            }
            (level, Some("#")) => {
                common.extend(level.into_iter().chain(a));
                break;
            }
            (Some("+"), Some(level)) | (Some(level), Some("+")) => common.push(level),
            (Some(one), Some(other)) if one == other => common.push(one),
            _ => return None,
        }
    }
    // `+` and `/#` meet in the empty name, which is none [MQTT-4.7.3-1]
    (common != [""]).then_some(common)
}

/// A wildcard in the first level leaves names that begin with $ alone [MQTT-4.7.2-1].
fn only_one_is_of_the_system(a: &TopicFilter, b: &TopicFilter) -> bool {
    a.as_str().starts_with('$') != b.as_str().starts_with('$')
}

/// Whether every name that comes under `inner`, a filter by levels, comes under `outer`.
pub(super) fn covers(outer: &TopicFilter, inner: &[&str]) -> bool {
    // every name has a first level, and one whose first level is empty has a second [MQTT-4.7.3-1]
    let inner: &[&str] = match inner {
        ["#"] => &["+", "#"],
        ["", "#"] => &["", "+", "#"],
        _ => inner,
    };
    if outer.as_str().starts_with(['+', '#']) && inner.first().is_some_and(|level| level.starts_with('$')) {
        return false;
    }
    let mut levels = inner.iter().copied();
    for wanted in outer.as_str().split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(level)) if level != "#" => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Levels: two that filters name, one that none of them names, the empty one, and one of the system.
    const LEVELS: [&str; 5] = ["a", "b", "z", "", "$s"];
    /// One more than the filters below have, so that `#` has something to stand for.
    const DEPTH: usize = 5;

    /// Every name of up to [`DEPTH`] levels.
    fn names() -> Vec<String> {
        let mut names: Vec<String> = LEVELS.map(str::to_owned).to_vec();
        let mut longest = names.clone();
        for _ in 1..DEPTH {
            longest = longest.iter().flat_map(|name| LEVELS.map(|level| format!("{name}/{level}"))).collect();
            names.extend_from_slice(&longest);
        }
        names.retain(|name| !name.is_empty());
        names
    }

    fn filter() -> impl Strategy<Value = TopicFilter> {
        "(a|b|\\+|\\$s|)(/(a|b|\\+|)){0,3}(/#)?|#"
            .prop_filter("empty", |text| !text.is_empty())
            .prop_map(|text| TopicFilter::new(&text).unwrap())
    }

    fn common(a: &str, b: &str) -> Option<String> {
        let (a, b) = (TopicFilter::new(a).unwrap(), TopicFilter::new(b).unwrap());
        intersection(&a, &b).map(|levels| levels.join("/"))
    }

    #[test]
    fn what_two_filters_have_in_common_is_one_filter() {
        for (a, b, expected) in [
            ("a/+", "+/b", Some("a/b")),
            ("a/#", "a", Some("a")),
            ("a/#", "+", Some("a")),
            ("a/#", "+/+/c/#", Some("a/+/c/#")),
            ("#", "+/b", Some("+/b")),
            ("a/b", "a/c", None),
            ("a", "a/b", None),
            ("#", "$SYS/#", None),
            ("+/x", "$SYS/x", None),
            ("$SYS/+", "$SYS/#", Some("$SYS/+")),
        ] {
            assert_eq!(common(a, b).as_deref(), expected, "{a} and {b}");
            assert_eq!(common(b, a).as_deref(), expected, "{b} and {a}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() })]

        #[test]
        fn intersection_holds_the_names_of_both_and_no_other(a in filter(), b in filter()) {
            let common = intersection(&a, &b).map(|levels| TopicFilter::new(&levels.join("/")).unwrap());
            let mut found = false;
            for name in names() {
                let both = a.matches(&name) && b.matches(&name);
                found |= both;
                let in_common = common.as_ref().is_some_and(|common| common.matches(&name));
                prop_assert_eq!(in_common, both, "{} in {} and {}: {:?}", name, a, b, common);
            }
            prop_assert_eq!(common.is_some(), found);
        }

        #[test]
        fn filter_covers_another_when_it_holds_all_of_its_names(outer in filter(), inner in filter()) {
            let levels: Vec<_> = inner.as_str().split('/').collect();
            let all = names().iter().all(|name| !inner.matches(name) || outer.matches(name));
            prop_assert_eq!(covers(&outer, &levels), all, "{} in {}", inner, outer);
        }
    }
}
