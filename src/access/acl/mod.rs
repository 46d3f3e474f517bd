//! What each client may write and read.
//!
//! | line | speaks for |
//! |---|---|
//! | `topic …` before the first `user` | clients without a user name |
//! | `topic …` after `user NAME` | clients with this user name |
//! | `pattern …`, wherever it stands | everybody, with `%u` and `%c` as the client's user name and id |
//!
//! The client's own topics are asked first, then the patterns; in each of the two, what denies before what grants. The
//! first line that matches and speaks about the access that is wanted decides, and where none does, nothing is allowed.

mod matcher;
mod overlap;
mod parse;
mod rights;

use std::collections::HashMap;
use std::sync::Arc;

pub use rights::Rights;

use rights::{Access, Rule};

use super::Problem;
use crate::mqtt::TopicFilter;

/// An access control list, or the absence of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl(Option<Lines>);

/// What the file says, each list in the order in which it is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Lines {
    anonymous: Arc<[Rule]>,
    users: HashMap<Box<str>, Arc<[Rule]>>,
    patterns: Vec<Pattern>,
}

/// A `pattern` line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    access: Access,
    filter: TopicFilter,
}

impl Acl {
    /// Without a file everything is allowed to everybody.
    pub fn everything() -> Self {
        Self(None)
    }

    /// Takes in the text of an `acl_file`. Nothing is allowed then but what it lists. Refuses what mosquitto refuses,
    /// and `topic read` without a filter, which mosquitto takes for a topic called `read` that may be written too.
    ///
    /// # Errors
    /// Every line that cannot be understood.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        parse::parse(text).map(|lines| Self(Some(lines)))
    }

    /// What a client may do: made once when it connects and when the file is read again. Cost: the number of pattern
    /// lines; the user's own lines are shared.
    ///
    /// A user name or client id that holds `+` or `#` gets nothing from any pattern, as in mosquitto. Stricter than
    /// mosquitto 2.0, whose clients choose their id: a name that holds `/` is given no access by a pattern that it
    /// stands in (it would reach another's levels), nor is one that begins with `$` where the pattern does not.
    pub fn rights(&self, user: Option<&str>, client_id: &str) -> Rights {
        let Some(lines) = &self.0 else { return Rights::everything() };
        let own = match user {
            None => Some(&lines.anonymous),
            Some(user) => lines.users.get(user),
        };
        Rights::new(own.cloned().unwrap_or_default(), lines.rules_for(user, client_id))
    }
}

impl Lines {
    fn rules_for(&self, user: Option<&str>, client_id: &str) -> Arc<[Rule]> {
        if [user.unwrap_or_default(), client_id].into_iter().any(|name| name.contains(['+', '#'])) {
            return Arc::default();
        }
        self.patterns.iter().filter_map(|pattern| pattern.rule_for(user, client_id)).collect()
    }
}

impl Pattern {
    /// The line with the client's names in it; `None` when it does not speak for this client.
    fn rule_for(&self, user: Option<&str>, client_id: &str) -> Option<Rule> {
        let pattern = self.filter.as_str();
        let with_user = pattern.contains("%u");
        if with_user && user.is_none() {
            return None;
        }
        let user = user.unwrap_or_default();
        let reaches_out = (with_user && user.contains('/')) || (pattern.contains("%c") && client_id.contains('/'));
        let filter = substitute(pattern, user, client_id);
        let reaches_system = filter.starts_with('$') && !pattern.starts_with('$');
        if (reaches_out || reaches_system) && self.access != Access::Deny {
            return None;
        }
        Some(Rule::new(self.access, TopicFilter::new(&filter).ok()?))
    }
}

/// `pattern` with every `%u` and `%c` replaced, in one pass: a name that holds `%c` stays as it is.
fn substitute(pattern: &str, user: &str, client_id: &str) -> String {
    let mut filter = String::with_capacity(pattern.len() + user.len() + client_id.len());
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('%') {
        filter.push_str(before);
        let (text, after) = match after.as_bytes().first() {
            Some(b'u') => (user, after.strip_prefix('u')),
            Some(b'c') => (client_id, after.strip_prefix('c')),
            _ => ("%", Some(after)),
        };
        filter.push_str(text);
        rest = after.unwrap_or_default();
    }
    filter + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(text: &str, user: Option<&str>, client_id: &str) -> Rights {
        Acl::parse(text).unwrap().rights(user, client_id)
    }

    #[test]
    fn without_a_file_everything_is_allowed_and_with_an_empty_one_nothing() {
        let all = Acl::everything().rights(None, "c");
        assert!(all.may_read("$SYS/a") && all.may_write("a") && all.could_read(&TopicFilter::new("#").unwrap()));
        let none = rights("# nothing\n", Some("bob"), "c");
        assert!(!none.may_read("a") && !none.may_write("a") && !none.could_read(&TopicFilter::new("#").unwrap()));
    }

    #[test]
    fn each_user_has_the_own_lines_and_anonymous_clients_the_first() {
        let text = "topic read a\nuser bob\ntopic write b\nuser ann\ntopic c\nuser bob\ntopic read d\n";
        let allowed = |user| {
            let rights = rights(text, user, "c");
            let topics = ["a", "b", "c", "d"];
            let read: String = topics.into_iter().filter(|topic| rights.may_read(topic)).collect();
            let write: String = topics.into_iter().filter(|topic| rights.may_write(topic)).collect();
            (read, write)
        };
        assert_eq!(allowed(None), ("a".into(), String::new()));
        assert_eq!(allowed(Some("bob")), ("d".into(), "b".into()));
        assert_eq!(allowed(Some("ann")), ("c".into(), "c".into()));
        assert_eq!(allowed(Some("eve")), (String::new(), String::new()));
    }

    #[test]
    fn denial_wins_over_a_grant_wherever_it_stands() {
        let bob =
            rights("user bob\ntopic readwrite a/#\ntopic deny a/secret\npattern read a/secret\n", Some("bob"), "c");
        assert!(bob.may_read("a/b") && bob.may_write("a"));
        assert!(!bob.may_read("a/secret") && !bob.may_write("a/secret"));
    }

    #[test]
    fn own_topic_is_asked_before_a_pattern_denies() {
        let text = "user bob\ntopic read a\npattern deny a\npattern write #\n";
        let bob = rights(text, Some("bob"), "c");
        assert!(bob.may_read("a") && !bob.may_write("a") && bob.may_write("b"));
    }

    #[test]
    fn patterns_hold_the_clients_names() {
        let text = "pattern readwrite home/%u/%c\npattern read id-%c/x%u%u\n";
        let bob = rights(text, Some("bob"), "%u");
        assert!(bob.may_write("home/bob/%u") && !bob.may_write("home/bob/bob"));
        assert!(bob.may_read("id-%u/xbobbob"));
        let anonymous = rights("pattern read home/%u\npattern read id/%c\n", None, "c7");
        assert!(!anonymous.may_read("home/") && !anonymous.may_read("home/%u") && anonymous.may_read("id/c7"));
    }

    #[test]
    fn wildcards_in_a_name_open_nothing() {
        let text = "user bob\ntopic read mine\npattern readwrite %c/#\npattern read fixed\n";
        for client_id in ["+", "#", "a+", "a#b"] {
            let bob = rights(text, Some("bob"), client_id);
            assert!(bob.may_read("mine"), "own topics hold no name: {client_id}");
            assert!(!bob.may_read("fixed") && !bob.may_read("a") && !bob.may_write(&format!("{client_id}/x")));
        }
        assert!(!rights("pattern read fixed\n", Some("a+"), "c").may_read("fixed"));
    }

    #[test]
    fn levels_in_a_name_open_nothing_but_are_denied() {
        let text = "pattern readwrite %c/#\npattern deny x/%c\npattern read x/#\n";
        let client = rights(text, None, "admin/secret");
        assert!(!client.may_read("admin/secret") && !client.may_write("admin/secret/x"));
        assert!(client.may_read("x/y") && !client.may_read("x/admin/secret"));
    }

    #[test]
    fn name_with_a_dollar_does_not_open_the_system_topics() {
        let text = "pattern readwrite %c/#\npattern read $SYS/%c\n";
        let client = rights(text, None, "$SYS");
        assert!(!client.may_read("$SYS/uptime") && client.may_read("$SYS/$SYS"));
    }
}
