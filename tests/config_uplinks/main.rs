//! What the sections of uplinks mean, what they are refused for, and what is said about them.
//!
//! `meaning` has what becomes of them, `accounts` and `bridges` the problems of the two kinds, `notes` the rest.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]
#![allow(clippy::unnecessary_debug_formatting, reason = "paths are quoted as TOML wants them")]

mod accounts;
mod bridges;
mod meaning;
mod notes;

use std::fs;
use std::path::Path;

use sensegate::config::{Problems, Settings, parse};

/// What a bridge needs but for its rules, on lines 1 to 3.
const BRIDGE: &str = "[[uplink.bridge]]\nname = \"cloud\"\nurl = \"mqtt://far\"\n";

/// `text`, where `$TOKEN` is a file with a token, in a home at /home/pi.
fn with(text: &str, variables: &[(&str, &str)]) -> Result<Settings, Problems> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, "BBUS-secret\n").unwrap();
    let text = text.replace("$TOKEN", &file.display().to_string());
    let variables = variables.iter().chain(&[("HOME", "/home/pi")]);
    parse(Path::new("x.toml"), &text, variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn settings(text: &str) -> Settings {
    with(text, &[]).expect(text)
}

/// `lines` from line 5 on in the section of an account that is switched on and has what it needs.
fn account(lines: &str) -> String {
    format!("[uplink.ubidots]\nenabled = true\ndevice = \"pi\"\ntoken_file = '$TOKEN'\n{lines}")
}

/// Holds that `text` has exactly the problems `expected`, one a line.
fn check(text: &str, expected: &[&str]) {
    let problems = with(text, &[]).expect_err(text).to_string();
    assert_eq!(problems.lines().collect::<Vec<_>>(), expected, "{text}");
}
