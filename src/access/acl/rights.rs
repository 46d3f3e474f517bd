//! What one client may do.

use std::sync::Arc;

use super::matcher::Matcher;
use super::overlap::{covers, intersection};
use crate::mqtt::TopicFilter;

/// What a line grants or denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
    ReadWrite,
    Deny,
}

impl Access {
    const fn grants(self, wanted: Wanted) -> bool {
        match self {
            Self::Read => matches!(wanted, Wanted::Read),
            Self::Write => matches!(wanted, Wanted::Write),
            Self::ReadWrite => true,
            Self::Deny => false,
        }
    }
}

#[derive(Clone, Copy)]
enum Wanted {
    Read,
    Write,
}

/// A line for one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    access: Access,
    matcher: Matcher,
}

impl Rule {
    pub(super) fn new(access: Access, filter: TopicFilter) -> Self {
        Self { access, matcher: Matcher::new(filter) }
    }

    pub(super) fn denies(&self) -> bool {
        self.access == Access::Deny
    }

    /// Whether it allows or refuses; `None` when it does not speak about this.
    fn verdict(&self, topic: &str, wanted: Wanted) -> Option<bool> {
        let speaks = self.denies() || self.access.grants(wanted);
        (speaks && self.matcher.matches(topic)).then_some(!self.denies())
    }
}

/// What one client may write and read. Two pointers: cheap to keep in a session and to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights(Option<Rules>);

/// In the order in which they are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rules {
    own: Arc<[Rule]>,
    patterns: Arc<[Rule]>,
}

impl Rights {
    /// Of the gateway's own clients, and of everybody where there is no list.
    pub fn everything() -> Self {
        Self(None)
    }

    /// Returns the rights of a user that does not exist any more.
    pub fn nothing() -> Self {
        Self(Some(Rules { own: Arc::default(), patterns: Arc::default() }))
    }

    /// Of the client's own lines and of the patterns, each with what denies first.
    pub(super) fn new(own: Arc<[Rule]>, patterns: Arc<[Rule]>) -> Self {
        Self(Some(Rules { own, patterns }))
    }

    /// Whether a PUBLISH or a will to `topic` is taken. Cost: the client's lines.
    #[inline]
    pub fn may_write(&self, topic: &str) -> bool {
        self.0.as_ref().is_none_or(|rules| rules.allow(topic, Wanted::Write))
    }

    /// Whether a message of `topic` is delivered, retained or not. Cost: the client's lines.
    #[inline]
    pub fn may_read(&self, topic: &str) -> bool {
        self.0.as_ref().is_none_or(|rules| rules.allow(topic, Wanted::Read))
    }

    /// Whether a SUBSCRIBE to `filter` could ever deliver anything: a line grants reading of something under it that
    /// no single line before denies. Of a shared subscription `filter` is the part behind the group's name. Mosquitto
    /// grants every SUBSCRIBE. What only several denying lines together take away is granted here too; nothing comes
    /// then.
    pub fn could_read(&self, filter: &TopicFilter) -> bool {
        self.0.as_ref().is_none_or(|rules| rules.could_read(filter))
    }
}

impl Rules {
    fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.own.iter().chain(self.patterns.iter())
    }

    fn allow(&self, topic: &str, wanted: Wanted) -> bool {
        self.iter().find_map(|rule| rule.verdict(topic, wanted)).unwrap_or(false)
    }

    fn could_read(&self, filter: &TopicFilter) -> bool {
        self.iter().enumerate().filter(|(_, rule)| rule.access.grants(Wanted::Read)).any(|(place, rule)| {
            intersection(rule.matcher.filter(), filter).is_some_and(|common| !self.is_denied(place, &common))
        })
    }

    /// Whether one of the first `before` lines denies all of `filter`.
    fn is_denied(&self, before: usize, filter: &[&str]) -> bool {
        self.iter().take(before).any(|rule| rule.denies() && covers(rule.matcher.filter(), filter))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Acl;
    use super::*;

    fn check(text: &str, filter: &str, expected: bool) {
        let rights = Acl::parse(text).unwrap().rights(Some("bob"), "c");
        assert_eq!(rights.could_read(&TopicFilter::new(filter).unwrap()), expected, "{filter} under {text:?}");
    }

    #[test]
    fn subscription_that_could_never_deliver_is_told_from_one_that_could() {
        let text = "user bob\ntopic read a/+/c\ntopic write w/#\n";
        for (filter, expected) in [
            ("#", true),
            ("a/#", true),
            ("a/b/+", true),
            ("+/b/c/#", true),
            ("a", false),
            ("w/#", false),
            ("b/#", false),
        ] {
            check(text, filter, expected);
        }
        check("user bob\ntopic read #\n", "$SYS/#", false);
        check("user bob\ntopic read a/#\ntopic deny a/#\n", "a/b", false);
        check("user bob\ntopic read a/#\ntopic deny a/b\n", "a/+", true);
        check("user bob\ntopic read a/#\ntopic deny a/b\n", "a/b", false);
        check("user bob\ntopic read a\npattern deny #\n", "#", true);
        check("user bob\ntopic deny a\npattern read #\n", "a", false);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn subscription_that_delivers_something_is_never_refused(
            lines in proptest::collection::vec(
                "(topic|pattern) (read|write|readwrite|deny) (a|b|\\+|%c)(/(a|b|\\+)){0,2}(/#)?", 0..6),
            filter in "(a|b|c|\\+)(/(a|b|\\+)){0,2}(/#)?",
            names in proptest::collection::vec("[abc](/[abc]){0,3}", 40),
        ) {
            let text = format!("user bob\n{}\n", lines.join("\n"));
            let rights = Acl::parse(&text).unwrap().rights(Some("bob"), "c");
            let filter = TopicFilter::new(&filter).unwrap();
            let delivers = names.iter().find(|name| filter.matches(name) && rights.may_read(name));
            prop_assert!(delivers.is_none() || rights.could_read(&filter), "{:?} under {}", delivers, text);
        }
    }
}
