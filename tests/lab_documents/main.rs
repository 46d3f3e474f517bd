//! The lab's documents, docs/lab.md and docs/lab.fr.md, done as they tell their readers to: every command typed, every
//! file written, every line of output compared.
//!
//! - `document` says how a block tells what it is; `walk` does one after the other.
//! - `machine` is where they are done: a network and an `/etc` of its own, so that commands are typed as they stand.
//! - Blocks that are not run say why, and [`NOT_RUN`] lists them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "../support/mod.rs"]
mod support;
#[path = "../ubidots_server/mod.rs"]
mod ubidots_server;

mod conversation;
mod document;
mod machine;
mod pattern;
mod screen;
mod terminal;
mod walk;

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::thread;

use document::Document;
use machine::on_a_machine;
use support::{Paho, Python, has_mosquitto, skip_or_fail};
use walk::walk;

const ENGLISH: &str = "docs/lab.md";
const FRENCH: &str = "docs/lab.fr.md";

/// Every block that is not run: its first line, and the reason it gives.
const NOT_RUN: [(&str, &str); 1] =
    [("sudo apt install ./sensegate_*.deb mosquitto-clients python3-paho-mqtt", "installs packages")];

/// What comes of `document` with one release of paho-mqtt; `None` where it cannot be done.
fn outcome(document: &Document, paho: Paho) -> Option<Result<BTreeSet<usize>, String>> {
    if !has_mosquitto() {
        skip_or_fail("mosquitto and its programs are not installed");
        return None;
    }
    let python = Python::find(paho).map_err(|reason| skip_or_fail(&reason)).ok()?;
    let outcome = on_a_machine(python, |machine| walk(machine, paho, document));
    if outcome.is_none() {
        skip_or_fail("a network and an /etc of its own take root");
    }
    outcome
}

/// Both releases together run every block that has no excuse.
fn check(path: &'static str) {
    let document = &Document::read(path);
    let mut done = BTreeSet::new();
    let outcomes = thread::scope(|scope| {
        // side by side: each mostly waits
        let started = [Paho::One, Paho::Two].map(|paho| (paho, scope.spawn(move || outcome(document, paho))));
        started.map(|(paho, thread)| (paho, thread.join().unwrap_or_else(|panic| resume_unwind(panic))))
    });
    for (paho, outcome) in outcomes {
        match outcome {
            Some(Ok(lines)) => done.extend(lines),
            Some(Err(error)) => panic!("{error} (with {paho:?})"),
            None => return,
        }
    }
    let blocks = document.blocks.iter().filter(|block| block.not_run.is_none());
    assert_eq!(done, blocks.map(|block| block.line).collect());
}

#[test]
fn the_english_document_does_what_it_shows() {
    check(ENGLISH);
}

#[test]
fn the_french_document_does_what_it_shows() {
    check(FRENCH);
}

#[test]
fn both_documents_have_the_same_blocks() {
    let meanings = |path| Document::read(path).blocks.iter().map(document::Block::meaning).collect::<Vec<_>>();
    let (english, french) = (meanings(ENGLISH), meanings(FRENCH));
    for (one, other) in english.iter().zip(&french) {
        assert_eq!(one, other);
    }
    assert_eq!(english.len(), french.len());
}

#[test]
fn what_is_not_run_is_listed_here() {
    let document = Document::read(ENGLISH);
    let first_line = |block: &document::Block| block.body.first().cloned().unwrap_or_default();
    let not_run = document.blocks.iter().filter_map(|block| Some((first_line(block), block.not_run.clone()?)));
    assert_eq!(not_run.collect::<Vec<_>>(), NOT_RUN.map(|(line, why)| (line.to_owned(), why.to_owned())));
}

/// What `text` leads to.
fn error_of(text: &str) -> Option<String> {
    let outcome = outcome(&Document::parse("test", text), Paho::One)?;
    Some(outcome.expect_err("what is wrong is told"))
}

#[test]
fn a_command_that_is_wrong_is_told() {
    let Some(error) = error_of("```console terminal=1\n$ mosquitto_pub --no-such-flag\n…\n```\n") else { return };
    assert_eq!(error, "test:1: the command ended with 1");
}

#[test]
fn output_that_is_not_shown_is_told() {
    let Some(error) = error_of("```console terminal=1\n$ echo one; echo two\none\n```\n") else { return };
    assert_eq!(error, "test:1: prints a line that is not shown: \"two\"");
}

#[test]
fn output_that_is_shown_and_does_not_come_is_told() {
    let Some(error) = error_of("```console terminal=1\n$ echo one\ntwo\n```\n") else { return };
    assert_eq!(error, "test:1: prints \"one\", not \"two\"");
}

#[test]
fn a_block_that_is_neither_run_nor_excused_is_told() {
    let Some(error) = error_of("```sh\necho one\n```\n") else { return };
    assert_eq!(error, "test:1: neither run nor excused");
}
