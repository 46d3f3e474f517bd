//! Texts as configuration: each is taken, or refused with problems that lie within it.

use std::path::Path;

use sensegate::config::{Place, Position, Problem, parse};

/// What the text is called in problems.
const NAME: &str = "x.toml";

/// Keys of files that are read while the text is; those that the fuzzer names are not to be.
const FILES: [&str; 8] =
    ["/", "certificate", "client_ca", "ca_file", "password_file", "acl_file", "token_file", "key_file"];

/// Reads `bytes` as the text of a file.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if FILES[1..].iter().any(|key| text.contains(key)) && text.contains(FILES[0]) {
        return;
    }
    let home = || [("HOME".to_owned(), "/home/pi".to_owned())].into_iter();
    let parsed = parse(Path::new(NAME), text, home());
    assert_eq!(parsed, parse(Path::new(NAME), text, home()), "one text, two meanings");
    let Err(problems) = parsed else { return };
    assert!(problems.iter().next().is_some(), "refused without a word");
    for problem in problems.iter() {
        check_problem(problem, text);
    }
}

fn check_problem(problem: &Problem, text: &str) {
    let shown = problem.to_string();
    assert!(!problem.text.is_empty() && !shown.contains(['\n', '\r']), "{shown:?}");
    match &problem.place {
        Place::File(path, Some(position)) if path == Path::new(NAME) => check_position(*position, text),
        Place::Variable(name) => panic!("no variable is set, and {name} is wrong"),
        Place::File(..) | Place::Defaults => {}
    }
}

/// Positions are within the text, or just behind a line's last character.
fn check_position(Position { line, column }: Position, text: &str) {
    let found = line.checked_sub(1).and_then(|index| text.split('\n').nth(index));
    let characters = found.map(|line| line.chars().count());
    assert!(characters.is_some_and(|count| (1..=count + 1).contains(&column)), "{line}:{column} of {text:?}");
}
