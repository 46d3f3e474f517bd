//! Rules by which a message would cross again and again.

use super::{Direction, Rule};
use crate::mqtt::TopicFilter;

/// Two rules, by their places, of which one brings in what the other sends out, under another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loop {
    /// The rule that sends.
    pub out: usize,
    /// The rule that brings back.
    pub inward: usize,
}

/// Pairs of different rules that make a loop: what one sends there comes back by the other, and goes out again by the
/// first. One rule of both directions is none: names come back as they went, and echoes are known.
pub fn find_loops(rules: &[Rule]) -> Vec<Loop> {
    let numbered = || rules.iter().enumerate();
    let outs = numbered().filter(|(_, rule)| rule.direction.goes_out());
    outs.flat_map(|(out, sends)| {
        let ins = numbered().filter(move |(inward, rule)| *inward != out && rule.direction.comes_in());
        ins.filter(|(_, brings)| meet(&sends.remote, &brings.remote) && meet(&sends.local, &brings.local))
            .map(move |(inward, _)| Loop { out, inward })
    })
    .filter(|found| !are_both(rules, *found))
    .collect()
}

/// As [`find_loops`], for the rules of one bridge. There it is none when names come back as they went: neither side
/// sends a client its own messages, or they are known by their names.
pub fn find_loops_within(rules: &[Rule]) -> Vec<Loop> {
    let mut loops = find_loops(rules);
    loops.retain(|found| match (rules.get(found.out), rules.get(found.inward)) {
        (Some(sends), Some(brings)) => {
            (&sends.local_prefix, &sends.remote_prefix) != (&brings.local_prefix, &brings.remote_prefix)
        }
        _ => false,
    });
    loops
}

/// Two rules of both directions meet twice: once is told.
fn are_both(rules: &[Rule], found: Loop) -> bool {
    let is_both = |index: usize| rules.get(index).is_some_and(|rule| rule.direction == Direction::Both);
    is_both(found.out) && is_both(found.inward) && found.out > found.inward
}

/// Whether some topic name matches both filters.
pub(super) fn meet(one: &TopicFilter, other: &TopicFilter) -> bool {
    let one: Vec<&str> = one.as_str().split('/').collect();
    let other: Vec<&str> = other.as_str().split('/').collect();
    let starts_with_dollar = |levels: &[&str]| levels.first().is_some_and(|level| level.starts_with('$'));
    let is_wild = |levels: &[&str]| levels.first().is_some_and(|level| matches!(*level, "+" | "#"));
    // [MQTT-4.7.2-1]
    if starts_with_dollar(&one) && is_wild(&other) || starts_with_dollar(&other) && is_wild(&one) {
        return false;
    }
    levels_meet(&one, &other)
}

fn levels_meet(one: &[&str], other: &[&str]) -> bool {
    match (one, other) {
        ([], []) | (["#", ..], _) | (_, ["#", ..]) => true,
        ([], _) | (_, []) => false,
        ([first, rest @ ..], [second, others @ ..]) => {
            (*first == "+" || *second == "+" || first == second) && levels_meet(rest, others)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(topic: &str, direction: Direction, local: &str, remote: &str) -> Rule {
        Rule::new(topic, direction, local, remote).unwrap()
    }

    #[test]
    fn what_comes_back_under_another_name_is_a_loop() {
        let growing = [rule("#", Direction::Out, "a/", "x/a/"), rule("#", Direction::In, "a/", "x/")];
        assert_eq!(find_loops(&growing), [Loop { out: 0, inward: 1 }]);
        let both = [rule("#", Direction::Both, "", "")];
        assert_eq!(find_loops(&both), []);
        let twice = [rule("a/#", Direction::Both, "", ""), rule("a/b", Direction::Both, "", "")];
        assert_eq!(find_loops(&twice), [Loop { out: 0, inward: 1 }]);
    }

    #[test]
    fn within_one_bridge_names_that_come_back_as_they_went_are_no_loop() {
        let all_out = [rule("#", Direction::Out, "my/", "f/"), rule("leds/set", Direction::In, "my/", "f/")];
        assert_eq!(find_loops_within(&all_out), []);
        assert_eq!(find_loops(&all_out), [Loop { out: 0, inward: 1 }]);
        let growing = [rule("#", Direction::Out, "a/", "x/a/"), rule("#", Direction::In, "a/", "x/")];
        assert_eq!(find_loops_within(&growing), [Loop { out: 0, inward: 1 }]);
    }

    #[test]
    fn rules_that_do_not_meet_are_none() {
        let apart = [rule("sensors/#", Direction::Out, "my/", "f/"), rule("leds/set", Direction::In, "my/", "f/")];
        assert_eq!(find_loops(&apart), []);
        // it comes back, and is not sent again
        let command = [rule("state", Direction::Out, "my/", "f/"), rule("#", Direction::In, "got/", "f/")];
        assert_eq!(find_loops(&command), []);
    }

    #[test]
    fn filters_meet_where_a_name_matches_both() {
        for (one, other, expected) in [
            ("a/+", "+/b", true),
            ("a/#", "a", true),
            ("#", "$SYS/x", false),
            ("+/b", "a/c", false),
            ("a/+/c", "a/#", true),
            ("a/b", "a/b/c", false),
        ] {
            let filter = |text| TopicFilter::new(text).unwrap();
            assert_eq!(meet(&filter(one), &filter(other)), expected, "{one} {other}");
            assert_eq!(meet(&filter(other), &filter(one)), expected, "{other} {one}");
        }
    }
}
