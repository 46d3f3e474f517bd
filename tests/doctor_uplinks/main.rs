//! `sensegate doctor` on uplinks: against the local Ubidots and against mosquitto, when all is well, and with each step
//! failing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

#[path = "../support/mod.rs"]
mod support;
#[path = "../ubidots_server/mod.rs"]
mod ubidots_server;

mod bridge;
mod ubidots;

use std::fs;

use support::sensegate;
use tempfile::TempDir;

/// What the doctor said of a configuration.
#[derive(Debug)]
struct Examination {
    code: Option<i32>,
    /// The lines about uplinks and their outbox.
    lines: Vec<String>,
}

impl Examination {
    /// Runs it beside nothing, with `files` beside a configuration that ends with `uplinks`; `{dir}` stands for the
    /// directory.
    fn of(uplinks: &str, files: &[(&str, &str)]) -> Self {
        let directory = TempDir::with_prefix("doctor-").unwrap();
        for (name, content) in files {
            fs::write(directory.path().join(name), content).unwrap();
        }
        let shown = directory.path().display().to_string();
        let text = format!(
            "[storage]\ndirectory = \"{shown}/state\"\n[[broker.listener]]\naddress = \"127.0.0.1:0\"\n{}",
            uplinks.replace("{dir}", &shown)
        );
        let file = directory.path().join("sensegate.toml");
        fs::write(&file, text).unwrap();
        let output = sensegate().args(["doctor", "--simulate", "--config"]).arg(&file).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let is_ours = |line: &&str| ["uplink", "outbox"].map(Some).contains(&line.split_whitespace().nth(1));
        Self { code: output.status.code(), lines: printed.lines().filter(is_ours).map(str::to_owned).collect() }
    }

    /// The only problem, which is the last line about the uplink, holds all of `parts`.
    #[track_caller]
    fn expect_problem(&self, steps_before: usize, parts: &[&str]) {
        let lines = self.lines.join("\n");
        assert_eq!(self.code, Some(1), "{lines}");
        assert_eq!(self.lines.len(), steps_before + 1, "{lines}");
        let last = &self.lines[steps_before];
        assert!(last.starts_with("problem  uplink "), "{lines}");
        for part in parts {
            assert!(last.contains(part), "{part:?} is missing:\n{lines}");
        }
        let before = &self.lines[..steps_before];
        assert!(before.iter().all(|line| line.starts_with("ok ")), "{lines}");
    }

    /// Everything is well, in as many lines, which hold `parts`.
    #[track_caller]
    fn expect_ok(&self, parts: &[&str]) {
        let lines = self.lines.join("\n");
        assert_eq!((self.code, self.lines.len()), (Some(0), parts.len()), "{lines}");
        for (line, part) in self.lines.iter().zip(parts) {
            assert!(line.starts_with("ok       uplink ") && line.contains(part), "{part:?} is missing:\n{lines}");
        }
    }
}
