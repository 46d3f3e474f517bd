//! Texts as password files and as access control lists.

use sensegate::access::{Acl, Passwords, Problem, hash_plain_entries, remove_user, set_user};
use sensegate::mqtt::{TopicFilter, TopicName};

/// A hash that costs nothing to make; nothing is verified here.
const HASH: &str = "$7$1$AAAAAAAAAAAAAAAA$\
AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";

/// Who is added and taken away.
const SOMEBODY: &str = "somebody else";

/// Names and filters that rights are asked about, beside those of the text itself.
const TOPICS: [&str; 5] = ["a", "a/b", "a/b/c", "$SYS/x", "x/"];
const FILTERS: [&str; 6] = ["#", "+", "a/#", "+/b", "$SYS/#", "a/b"];

/// Reads `bytes` as each of the two.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    check_passwords(text);
    check_plain(text);
    check_acl(text);
}

fn check_passwords(text: &str) {
    let passwords = match Passwords::parse(text) {
        Ok(passwords) => passwords,
        Err(problems) => return check_problems(&problems, text),
    };
    check_somebody(text, &passwords);
    for (user, hash) in entries(text) {
        assert!(passwords.has_user(user), "{user:?}");
        let (again, _) = set_user(text, user, hash);
        assert_eq!(Passwords::parse(&again).as_ref(), Ok(&passwords), "{user:?} is written again");
        let without = remove_user(text, user).expect("who is there can go");
        let without = Passwords::parse(&without).expect("what is left is a password file");
        assert!(!without.has_user(user) && without.len() + 1 == passwords.len(), "{user:?}");
    }
}

/// One who comes and goes leaves no trace but a line's end.
fn check_somebody(text: &str, passwords: &Passwords) {
    if passwords.has_user(SOMEBODY) {
        return;
    }
    let (with, _) = set_user(text, SOMEBODY, HASH);
    let parsed = Passwords::parse(&with).expect("a user more is a password file still");
    assert!(parsed.has_user(SOMEBODY) && parsed.len() == passwords.len() + 1);
    let without = remove_user(&with, SOMEBODY).expect("who came is there");
    assert_eq!(without.trim_end_matches('\n'), text.trim_end_matches('\n'));
    assert_eq!(Passwords::parse(&without).as_ref(), Ok(passwords));
}

/// Users and hashes of a text that is a password file.
fn entries(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(':')).map(|(user, hash)| (user.trim_ascii(), hash.trim_ascii()))
}

/// Plain entries are hashed once, and what was hashed is left alone.
fn check_plain(text: &str) {
    let hash = |_: &str| Ok::<_, String>(HASH.to_owned());
    match hash_plain_entries(text, hash) {
        Ok((hashed, count)) => {
            assert_eq!(hash_plain_entries(&hashed, hash), Ok((hashed.clone(), 0)), "{count} entries");
            if let Err(problems) = Passwords::parse(&hashed) {
                assert!(problems.iter().all(|problem| problem.text.contains("already")), "{problems:?}");
            }
        }
        Err(problems) => check_problems(&problems, text),
    }
}

fn check_acl(text: &str) {
    let acl = match Acl::parse(text) {
        Ok(acl) => acl,
        Err(problems) => return check_problems(&problems, text),
    };
    assert_eq!(Acl::parse(&tidied(text)).as_ref(), Ok(&acl), "the same without comments");
    let words = || text.split([' ', '\n', '\r']).take(50);
    let users = words().map(Some).chain([None]);
    for user in users.take(10) {
        let rights = acl.rights(user, "c");
        let topics: Vec<_> = words().filter(|word| TopicName::check(word).is_ok()).chain(TOPICS).collect();
        for filter in words().chain(FILTERS).filter_map(|word| TopicFilter::new(word).ok()) {
            let read = topics.iter().find(|topic| filter.matches(topic) && rights.may_read(topic));
            assert!(read.is_none() || rights.could_read(&filter), "{read:?} under {filter:?} of {user:?}");
        }
    }
}

/// The lines that say something.
fn tidied(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines.map(|line| format!("{line}\n")).collect()
}

fn check_problems(problems: &[Problem], text: &str) {
    assert!(!problems.is_empty(), "refused without a word");
    for problem in problems {
        let line = problem.line.checked_sub(1).and_then(|index| text.lines().nth(index));
        let characters = line.map(|line| line.chars().count());
        let within = characters.is_some_and(|count| (1..=count + 1).contains(&problem.column));
        assert!(within && !problem.text.contains(['\n', '\r']), "{problem:?} of {text:?}");
    }
}
