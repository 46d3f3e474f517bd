//! `sensegate calibrate`, from what is typed to the configuration that the gateway reads.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use support::sensegate;
use tempfile::TempDir;

struct Place {
    directory: TempDir,
    configuration: PathBuf,
    processor: PathBuf,
}

impl Place {
    fn new(configuration: &str, processor: &str) -> Self {
        let directory = TempDir::with_prefix("sensegate-").unwrap();
        let place = Self {
            configuration: directory.path().join("sensegate.toml"),
            processor: directory.path().join("temp"),
            directory,
        };
        fs::write(&place.configuration, configuration).unwrap();
        fs::write(&place.processor, processor).unwrap();
        place
    }

    /// Runs it on the simulated HAT; `typed` is its standard input.
    fn calibrate(&self, flags: &[&str], typed: &str) -> Output {
        let mut command = sensegate();
        command.args(["calibrate", "--simulate", "--duration", "0s", "--config"]).arg(&self.configuration);
        command.arg("--processor-file").arg(&self.processor).args(flags);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        // a program that ends without reading it is no failure of the test
        let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.configuration).unwrap()
    }

    /// The method that the program itself reads out of the file.
    fn checked(&self) -> bool {
        sensegate().arg("check").arg(&self.configuration).output().unwrap().status.success()
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const CONFIGURATION: &str = "# my gateway\n[sensors]\ninterval = \"5s\" # slowly\n";

#[test]
fn what_a_thermometer_showed_becomes_the_correction_and_the_old_file_is_kept() {
    let place = Place::new(CONFIGURATION, "60000\n");
    let output = place.calibrate(&[], "10\n10.5\n\ny\n");
    assert!(output.status.success(), "{}", told(&output));
    let text = place.text();
    assert!(text.starts_with(CONFIGURATION) && text.contains("[sensors.correction]\nmethod = "), "{text}");
    assert!(text.contains(&format!("processor_file = \"{}\"", place.processor.display())), "{text}");
    assert!(place.checked());
    assert_eq!(fs::read_to_string(place.directory.path().join("sensegate.toml.bak-1")).unwrap(), CONFIGURATION);
    let told = told(&output);
    for words in ["processor 60.0 °C", "with factor", "at worst", "systemctl start"] {
        assert!(told.contains(words), "{words:?} in {told}");
    }
}

#[test]
fn nothing_is_written_without_two_moments_or_a_yes() {
    for (flags, typed, code) in
        [(&[][..], "10\n\n", 1), (&[], "10\n10.5\n\nn\n", 1), (&["--dry-run"], "10\n10.5\n\n", 0), (&["--yes"], "", 1)]
    {
        let place = Place::new(CONFIGURATION, "60000\n");
        let output = place.calibrate(flags, typed);
        assert_eq!(output.status.code(), Some(code), "{flags:?} {typed:?}: {}", told(&output));
        assert_eq!(place.text(), CONFIGURATION);
    }
}

#[test]
fn without_the_processors_temperature_the_offset_is_what_is_left() {
    let place = Place::new(CONFIGURATION, "warm\n");
    let output = place.calibrate(&["--yes"], "10\n10.5\n");
    assert!(output.status.success(), "{}", told(&output));
    assert!(place.text().contains("method = \"offset\"\noffset = -"), "{}", place.text());
    assert!(told(&output).contains("processor unknown"), "{}", told(&output));
}

#[test]
fn a_hat_that_is_not_there_gives_no_moment() {
    let place = Place::new("[sensors]\nbus = 251\n", "60000\n");
    let mut command = sensegate();
    command.args(["calibrate", "--duration", "0s", "--config"]).arg(&place.configuration);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"20\n21\n\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("/dev/i2c-251") && told(&output).contains("0 of 2 moments"), "{}", told(&output));
}

#[test]
fn there_must_be_a_file_to_write_into() {
    let directory = TempDir::with_prefix("sensegate-").unwrap();
    let output = sensegate().args(["calibrate", "--simulate"]).current_dir(&directory).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("sensegate setup"), "{}", told(&output));
}
