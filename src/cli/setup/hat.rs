//! Is there a HAT? Looked at as the doctor does, and told; one that is not there is no reason not to go on.

use std::io;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use super::super::doctor::finding::Verdict;
use super::super::doctor::{self, bus};
use super::super::edit::ask::Asker;
use crate::sensors::{self, SourceOptions};

/// Raspberry Pi OS's tool for what needs the firmware's settings.
const TOOL: &str = "usr/bin/raspi-config";

/// What is to be done about the HAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing.
    GoOn,
    /// I2C is to be switched on.
    SwitchOn,
    /// The setup is to end.
    Stop,
}

/// Looks at the machine below `root`, tells what is so, and asks what to do. `wants_i2c` answers the question whether
/// to switch I2C on.
///
/// # Errors
/// When the terminal is gone.
pub(super) fn examine(
    asker: &mut Asker<'_>,
    root: &Path,
    options: &sensors::Options,
    wants_i2c: bool,
) -> io::Result<Outcome> {
    let findings = doctor::examine_source(options, root);
    for finding in &findings {
        asker.say(&finding.to_string())?;
    }
    if findings.iter().all(|finding| finding.verdict != Verdict::Problem) {
        return Ok(Outcome::GoOn);
    }
    if can_switch_on(root, &options.source) && (wants_i2c || (asker.asks() && ask_to_switch_on(asker)?)) {
        return Ok(Outcome::SwitchOn);
    }
    if !asker.asks() {
        asker.say("going on without: what cannot be read is absent until it is there")?;
        return Ok(Outcome::GoOn);
    }
    let goes_on = asker.yes("Go on anyway? What cannot be read is absent until it is there.", true)?;
    Ok(if goes_on { Outcome::GoOn } else { Outcome::Stop })
}

fn can_switch_on(root: &Path, source: &SourceOptions) -> bool {
    matches!(source, SourceOptions::I2c { bus } if bus::is_switched_off(root, *bus)) && root.join(TOOL).exists()
}

fn ask_to_switch_on(asker: &mut Asker<'_>) -> io::Result<bool> {
    asker.yes("Switch I2C on at the end (raspi-config nonint do_i2c 0)?", true)
}

/// Switches I2C on, on the machine below `root`.
///
/// # Errors
/// When the tool fails.
pub(super) fn switch_on(root: &Path) -> anyhow::Result<()> {
    let tool = root.join(TOOL);
    // 0 is yes: its interface is that of a shell's exit codes
    let status = Command::new(&tool).args(["nonint", "do_i2c", "0"]).status();
    let status = status.with_context(|| format!("{} does not run", tool.display()))?;
    if !status.success() {
        bail!("{} nonint do_i2c 0: {status}", tool.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    const BUS: SourceOptions = SourceOptions::I2c { bus: 251 };

    /// A Raspberry Pi on which I2C is off.
    fn pi() -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0".to_owned()),
            (TOOL, "#!/bin/sh\necho \"$@\" > \"$(dirname \"$0\")/asked\"\n".to_owned()),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        root
    }

    fn check(root: &Path, source: &SourceOptions, input: Option<&str>, wants_i2c: bool) -> (Outcome, String) {
        let (mut typed, mut output) = (input.unwrap_or_default().as_bytes(), Vec::new());
        let mut asker = Asker::new(&mut typed, &mut output, input.is_some());
        let outcome = examine(&mut asker, root, &sensors::Options::of(source.clone()), wants_i2c).unwrap();
        (outcome, String::from_utf8(output).unwrap())
    }

    #[test]
    fn missing_bus_is_told_with_what_to_do_and_one_may_go_on() {
        let (outcome, output) = check(pi().path(), &BUS, Some("n\n\n"), false);
        assert_eq!(outcome, Outcome::GoOn);
        assert!(output.contains("raspi-config nonint do_i2c 0") && output.contains("Go on anyway?"), "{output}");
        assert_eq!(check(pi().path(), &BUS, Some("n\nn\n"), false).0, Outcome::Stop);
        assert_eq!(check(pi().path(), &BUS, Some(""), false).0, Outcome::Stop, "the end of the input is a no");
    }

    #[test]
    fn i2c_is_switched_on_when_asked_for_and_never_by_default_without_a_question() {
        assert_eq!(check(pi().path(), &BUS, Some("y\n"), false).0, Outcome::SwitchOn);
        assert_eq!(check(pi().path(), &BUS, None, false).0, Outcome::GoOn);
        assert_eq!(check(pi().path(), &BUS, None, true).0, Outcome::SwitchOn);
        let elsewhere = tempfile::tempdir().unwrap();
        assert_eq!(check(elsewhere.path(), &BUS, None, true).0, Outcome::GoOn, "only on a Raspberry Pi");
    }

    #[test]
    fn simulated_hat_needs_no_bus() {
        let (outcome, output) = check(pi().path(), &SourceOptions::Simulated, Some(""), true);
        assert_eq!(outcome, Outcome::GoOn);
        assert!(output.contains("simulated"), "{output}");
    }

    #[test]
    fn tool_is_told_to_switch_i2c_on() {
        let root = pi();
        switch_on(root.path()).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("usr/bin/asked")).unwrap(), "nonint do_i2c 0\n");
        fs::write(root.path().join(TOOL), "#!/bin/sh\nexit 3\n").unwrap();
        assert!(switch_on(root.path()).unwrap_err().to_string().contains('3'));
    }
}
