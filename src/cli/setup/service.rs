//! The service that systemd runs with the configuration that was written.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// The unit that is shipped.
const UNIT: &str = "sensegate";
/// Its configuration: what is written elsewhere is none of its.
const CONFIGURATION: &str = "/etc/sensegate/sensegate.toml";
/// There as long as the machine was started by systemd (`sd_booted(3)`).
const BOOTED: &str = "run/systemd/system";

/// What systemd does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// It runs.
    Active,
    /// It does not, and will after the next start of the machine.
    Enabled,
    /// It is there, and nobody starts it.
    Disabled,
    /// There is none, or it is not ours to ask.
    None,
}

impl Service {
    /// Asks `systemctl`, for a configuration at `path`, on the machine whose files are below `root`.
    pub(super) fn find(root: &Path, path: &Path, systemctl: &Path) -> Self {
        if path != Path::new(CONFIGURATION) || !root.join(BOOTED).exists() {
            return Self::None;
        }
        if ask(systemctl, "is-active") == Some("active".into()) {
            return Self::Active;
        }
        match ask(systemctl, "is-enabled").as_deref() {
            Some("enabled") => Self::Enabled,
            Some("disabled") => Self::Disabled,
            _ => Self::None,
        }
    }
}

/// The word that it answers.
fn ask(systemctl: &Path, verb: &str) -> Option<String> {
    let output = Command::new(systemctl).args([verb, UNIT]).stderr(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Starts it, again if it runs.
///
/// # Errors
/// When it does not come up: systemd says so only once it serves.
pub(super) fn restart(systemctl: &Path) -> anyhow::Result<()> {
    let status = Command::new(systemctl).args(["restart", UNIT]).status();
    let status = status.with_context(|| format!("{} does not run", systemctl.display()))?;
    if !status.success() {
        bail!("sensegate did not start: journalctl -u sensegate -e tells why");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// What is found where `systemctl` answers so.
    fn find(path: &str, active: &str, enabled: &str) -> Service {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join(BOOTED)).unwrap();
        let systemctl = root.path().join("systemctl");
        let script = format!("#!/bin/sh\ncase $1 in is-active) echo {active};; is-enabled) echo {enabled};; esac\n");
        fs::write(&systemctl, script).unwrap();
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
        Service::find(root.path(), Path::new(path), &systemctl)
    }

    #[test]
    fn service_is_found_by_what_systemctl_says() {
        assert_eq!(find(CONFIGURATION, "active", "enabled"), Service::Active);
        assert_eq!(find(CONFIGURATION, "inactive", "enabled"), Service::Enabled);
        assert_eq!(find(CONFIGURATION, "inactive", "disabled"), Service::Disabled);
        assert_eq!(find(CONFIGURATION, "inactive", "not-found"), Service::None);
    }

    #[test]
    fn configuration_elsewhere_and_a_machine_without_systemd_have_none() {
        assert_eq!(find("/tmp/sensegate.toml", "active", "enabled"), Service::None);
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Service::find(root.path(), Path::new(CONFIGURATION), Path::new("/bin/true")), Service::None);
    }
}
