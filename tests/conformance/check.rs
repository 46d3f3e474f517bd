//! What is wrong with a list, each problem with its line and id.

use std::collections::BTreeSet;
use std::path::Path;

use crate::Standard;
use crate::source::{NoTest, look_up};
use crate::statement::{Place, Statement, Status};

/// Statements that are the first of their section and have another number than 1.
const LATE_BEGINNINGS: [(&str, Place); 1] = [("5", [2, 2, 1, 2])];

/// Every problem of a list, in its order.
pub(crate) fn check_all(standard: Standard, statements: &[Statement], root: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    for statement in statements {
        let found = check_one(standard, statement, root);
        problems.extend(found.into_iter().map(|what| format!("line {}: {}: {what}", statement.line, statement.id())));
    }
    problems.extend(check_order(standard, statements));
    problems.extend(check_counts(standard, statements));
    problems
}

fn check_one(standard: Standard, statement: &Statement, root: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    if statement.version != standard.version {
        problems.push(format!("is of version {}, in the list of {}", statement.version, standard.version));
    }
    if statement.place().is_none() {
        problems.push("is no id: MQTT-1.2.3-4 is expected".to_owned());
    }
    if !statement.says.ends_with('.') || statement.note.as_ref().is_some_and(|note| !note.ends_with('.')) {
        problems.push("what it says, and its note, is a sentence with its full stop".to_owned());
    }
    problems.extend(check_status(statement));
    problems.extend(check_tests(statement, root));
    problems
}

fn check_status(statement: &Statement) -> Option<String> {
    match (statement.status(), statement.tests.is_empty()) {
        (Status::Unknown(other), _) => {
            Some(format!("{other:?} is no status: held, open or \"not applicable: why\" is expected"))
        }
        (Status::Held, true) => Some("is held by no test".to_owned()),
        (Status::NotApplicable(_), false) => Some("is not applicable, but has tests".to_owned()),
        (Status::NotApplicable(why), true) if why.trim().is_empty() => Some("does not say why".to_owned()),
        _ => None,
    }
}

fn check_tests(statement: &Statement, root: &Path) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut problems = Vec::new();
    for test in &statement.tests {
        if !seen.insert(test) {
            problems.push(format!("{test} is named twice"));
        }
        match look_up(root, test) {
            Ok(()) => {}
            // what is to hold an open statement may be named before it is there
            Err(NoTest::File) if statement.status() == Status::Open => {}
            Err(error) => problems.push(format!("{test} {error}")),
        }
    }
    problems
}

/// Sections rise, and in a section each number follows the one before: nothing is missing, twice or out of place.
fn check_order(standard: Standard, statements: &[Statement]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut before = None;
    for statement in statements {
        let Some(place) = statement.place() else { continue };
        if !follows(standard.version, before, place) {
            problems.push(format!("line {}: {}: does not follow the id before it", statement.line, statement.id()));
        }
        before = Some(place);
    }
    problems
}

fn follows(version: &str, before: Option<Place>, place: Place) -> bool {
    let [chapter, section, subsection, number] = place;
    let begins = number == 1 || LATE_BEGINNINGS.contains(&(version, place));
    match before {
        Some([c, s, u, last]) if [c, s, u] == [chapter, section, subsection] => number == last + 1,
        Some([c, s, u, _]) => [c, s, u] < [chapter, section, subsection] && begins,
        None => begins,
    }
}

fn check_counts(standard: Standard, statements: &[Statement]) -> Vec<String> {
    let open = statements.iter().filter(|statement| statement.status() == Status::Open).count();
    let mut problems = Vec::new();
    if statements.len() != standard.statements {
        problems.push(format!("{} statements, the standard has {}", statements.len(), standard.statements));
    }
    if open > standard.open {
        problems.push(format!("{open} are open, at most {} may be", standard.open));
    }
    if open < standard.open {
        problems.push(format!("only {open} are open: lower `open` in STANDARDS from {}", standard.open));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::parse;

    const HELD: &str = "tests/conformance/check.rs::a_sound_list_has_no_problem";

    fn entry(id: &str, status: &str, tests: &[&str]) -> String {
        format!("[[statement]]\nversion='5'\nid='{id}'\nsays='So.'\nstatus='{status}'\ntests={tests:?}\n")
    }

    fn check(entries: &[String], expected: &[&str]) {
        let standard = Standard { version: "5", file: "", statements: entries.len(), open: 0 };
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let problems = check_all(standard, &parse(&entries.concat()).unwrap(), root);
        assert_eq!(problems, expected);
    }

    #[test]
    fn a_sound_list_has_no_problem() {
        check(
            &[
                entry("MQTT-1.5.7-1", "held", &[HELD]),
                entry("MQTT-2.2.1-2", "not applicable: binds the client", &[]),
                entry("MQTT-2.2.1-3", "held", &[HELD]),
                entry("MQTT-10.1.1-1", "held", &[HELD]),
            ],
            &[],
        );
    }

    #[test]
    fn a_status_goes_with_its_tests() {
        let id = "MQTT-1.1.1-1";
        check(&[entry(id, "held", &[])], &["line 3: MQTT-1.1.1-1: is held by no test"]);
        check(
            &[entry(id, "done", &[])],
            &["line 3: MQTT-1.1.1-1: \"done\" is no status: held, open or \"not applicable: why\" is expected"],
        );
        check(&[entry(id, "not applicable: no", &[HELD])], &["line 3: MQTT-1.1.1-1: is not applicable, but has tests"]);
        check(&[entry(id, "not applicable:  ", &[])], &["line 3: MQTT-1.1.1-1: does not say why"]);
        check(
            &[entry(id, "held", &[HELD, HELD, "tests/conformance/check.rs::check"])],
            &[
                &format!("line 3: MQTT-1.1.1-1: {HELD} is named twice"),
                "line 3: MQTT-1.1.1-1: tests/conformance/check.rs::check has no #[test] above it",
            ],
        );
    }

    #[test]
    fn ids_follow_one_another() {
        for (first, second) in [
            ("MQTT-1.1.1-1", "MQTT-1.1.1-1"),
            ("MQTT-1.1.1-1", "MQTT-1.1.1-3"),
            ("MQTT-1.2.1-1", "MQTT-1.1.1-1"),
            ("MQTT-1.1.1-1", "MQTT-1.1.2-2"),
        ] {
            let problem = format!("line 9: {second}: does not follow the id before it");
            check(&[entry(first, "held", &[HELD]), entry(second, "held", &[HELD])], &[&problem]);
        }
        check(&[entry("MQTT-1.1-1", "held", &[HELD])], &["line 3: MQTT-1.1-1: is no id: MQTT-1.2.3-4 is expected"]);
    }

    #[test]
    fn an_open_statement_may_name_files_that_are_not_there_yet_and_no_others() {
        let problems = |test: &str| {
            let statements = parse(&entry("MQTT-1.1.1-1", "open", &[test])).unwrap();
            check_tests(&statements[0], Path::new(env!("CARGO_MANIFEST_DIR")))
        };
        assert!(problems("tests/conformance/nowhere.rs::x").is_empty());
        assert!(problems(HELD).is_empty());
        assert_eq!(
            problems("tests/conformance/check.rs::x"),
            ["tests/conformance/check.rs::x is no function of its file"]
        );
    }

    #[test]
    fn the_debt_only_shrinks() {
        let statements = parse(&entry("MQTT-1.1.1-1", "open", &[])).unwrap();
        let problems = |statements_due, open| {
            check_counts(Standard { version: "5", file: "", statements: statements_due, open }, &statements)
        };
        assert!(problems(1, 1).is_empty());
        assert_eq!(problems(1, 0), ["1 are open, at most 0 may be"]);
        assert_eq!(problems(1, 2), ["only 1 are open: lower `open` in STANDARDS from 2"]);
        assert_eq!(problems(2, 1), ["1 statements, the standard has 2"]);
    }
}
