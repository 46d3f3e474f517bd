//! The normative statements of both standards, and whether what they say of this tree is true.
//!
//! `statements_3_1_1.toml` and `statements_5.toml` list every statement: its id, what it says in our own words, whether
//! it is held here, and by which tests. This test reads them and the sources, and refuses what cannot be: a test that is
//! not there or is ignored, a held statement without a test, an id that is missing, twice or out of order. It does not
//! run the tests it finds; they run with all the others.
//!
//! `statement` parses, `source` looks tests up, `check` finds the problems.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod check;
mod source;
mod statement;

use std::collections::BTreeSet;
use std::path::Path;

use statement::{Statement, Status};

/// A standard and what its list must come to.
#[derive(Clone, Copy)]
pub(crate) struct Standard {
    version: &'static str,
    file: &'static str,
    /// Statements in the standard's appendix B.
    statements: usize,
    /// Statements that may be open: exactly as many as there are.
    open: usize,
}

/// Both standards.
///
/// `statements` counts the ids of appendix B. MQTT 3.1.1 (29 October 2014): 141, of which one is printed as
/// `MQTT-3-8.3-4`. MQTT 5.0 (7 March 2019): 251, where `MQTT-2.2.1-1` does not exist, and `MQTT-4.2.0-1` has the number
/// `MQTT-4.2-1` in the text.
///
/// `open` is a debt that only shrinks, in which a statement may already name the tests that are to hold it: whoever closes a statement lowers the number in the same commit, and nobody
/// raises it. At 0 it goes, and with it the status.
const STANDARDS: [Standard; 2] = [
    Standard { version: "3.1.1", file: "statements_3_1_1.toml", statements: 141, open: 0 },
    Standard { version: "5", file: "statements_5.toml", statements: 251, open: 0 },
];

#[test]
fn every_statement_of_3_1_1_is_true_of_this_tree() {
    check_file(STANDARDS[0]);
}

#[test]
fn every_statement_of_5_is_true_of_this_tree() {
    check_file(STANDARDS[1]);
}

fn check_file(standard: Standard) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("tests/conformance").join(standard.file)).unwrap();
    let statements = statement::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", standard.file));
    println!("{}", summary(standard, &statements));
    let problems = check::check_all(standard, &statements, root);
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), standard.file, problems.join("\n"));
}

/// All of it in one line.
fn summary(standard: Standard, statements: &[Statement]) -> String {
    let count = |wanted: fn(&Status<'_>) -> bool| statements.iter().filter(|each| wanted(&each.status())).count();
    let held = statements.iter().filter(|statement| statement.status() == Status::Held);
    let tests: BTreeSet<_> = held.flat_map(|statement| &statement.tests).collect();
    format!(
        "MQTT {}: {} statements, {} held by {} tests, {} not applicable, {} open",
        standard.version,
        statements.len(),
        count(|status| *status == Status::Held),
        tests.len(),
        count(|status| matches!(status, Status::NotApplicable(_))),
        count(|status| *status == Status::Open),
    )
}
