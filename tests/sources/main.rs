//! Sources in the place of a HAT, and recordings: the built program against the official Python package `sense_emu`,
//! and against itself.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

#[path = "../support/mod.rs"]
mod support;

mod documents;
mod emulator;
mod recording;
mod replay;
mod stick;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use sensegate::config;
use serde_json::Value;
use support::{Process, Python, eventually, sensegate, skip_or_fail};
use tempfile::TempDir;

/// Prints the records of a recording as the official player reads them, one JSON list a line, NaN as null.
const READER: &str = r"
import json, math, sys, time
from sense_emu import play
play.time = lambda: 0.0
for record in play.PlayApplication().source(open(sys.argv[1], 'rb')):
    print(json.dumps([None if math.isnan(value) else value for value in record]))
";

struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: TempDir::with_prefix("sources-").unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn python(&self, python: &Python, script: &str) -> Command {
        python.command(&self.write("script.py", script))
    }

    /// A command of the program, with this `[sensors]` and a state of its own.
    fn command(&self, word: &str, sensors: &str) -> Command {
        let state = self.path("state").display().to_string();
        let text = format!(
            "[storage]\ndirectory = \"{state}\"\n[[broker.listener]]\naddress = \"127.0.0.1:0\"\n\
             [publish.temperature_from_pressure]\nenabled = true\n[sensors]\n{sensors}"
        );
        let mut command = sensegate();
        command.arg(word).arg("--config").arg(self.write("sensegate.toml", &text));
        command
    }

    /// What `sensegate read` prints with this `[sensors]`.
    fn read(&self, sensors: &str) -> Value {
        let output = self.command("read", sensors).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    }

    fn emulator(&self) -> String {
        format!("source = \"emulator\"\nemulator.directory = \"{}\"\n", self.directory.path().display())
    }

    fn replay(&self, file: &str, extra: &str) -> String {
        format!("source = \"replay\"\n{extra}\nreplay.file = \"{}\"\n", self.path(file).display())
    }
}

/// The official package; without it a test is left out.
fn sense_emu() -> Option<Python> {
    Python::find_sense_emu().map_err(|missing| skip_or_fail(&missing)).ok()
}

fn value(sample: &Value, quantity: &str) -> f64 {
    sample["readings"][quantity]["value"].as_f64().unwrap_or_else(|| panic!("no {quantity}: {sample:#}"))
}

fn reason<'a>(sample: &'a Value, quantity: &str) -> &'a str {
    sample["readings"][quantity]["reason"].as_str().unwrap_or_else(|| panic!("there is {quantity}: {sample:#}"))
}

fn has_nothing(sample: &Value, expected: &str) {
    for quantity in ["temperature", "pressure", "humidity", "temperature_from_pressure"] {
        assert_eq!(reason(sample, quantity), expected, "{sample:#}");
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a command that has succeeded says on standard error.
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    text(&output.stderr).trim_end().to_owned()
}

/// Records that the official player reads.
fn official_records(place: &Place, python: &Python, file: &Path) -> Vec<Vec<Option<f64>>> {
    let output = place.python(python, READER).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
