//! `[storage]`: where the state is kept.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::ValueKind;

use super::layers::Variables;
use super::section::{Read, Section};
use super::settings::StorageOptions;
use super::value::{duration, path, text};
use crate::store::Sync;

/// The gateway's private socket in the directory of the state.
const HOUSE_SOCKET: &str = "broker.sock";

/// What fits `sun_path` with the zero that ends it (unix(7)).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// A write is worth at least this much waiting, and at most a day's telemetry is lost.
const SYNC: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);
const COALESCE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// `"always"`, `"off"`, or the longest time between two flushes.
fn sync(kind: &ValueKind) -> Result<Sync, String> {
    match text(kind).as_deref() {
        Ok("always") => Ok(Sync::Always),
        Ok("off") => Ok(Sync::Off),
        _ => duration(SYNC)(kind).map(Sync::Interval).map_err(|problem| format!("{problem}, or \"always\" or \"off\"")),
    }
}

/// Reads `[storage]`.
pub(super) fn read(section: &mut Section<'_>, variables: &Variables) -> Read<StorageOptions> {
    let sync = section.required("sync", sync);
    let coalesce = section.required("coalesce", duration(COALESCE));
    let Some(directory) = section.optional("directory", path)?.or_else(|| default_directory(variables)) else {
        let text = "is missing, and neither STATE_DIRECTORY, XDG_STATE_HOME nor HOME is set";
        return Err(section.problem("directory", text.into()));
    };
    if let Err(text) = check_socket_path(&house_socket(&directory)) {
        return Err(section.problem("directory", format!("is where the gateway's socket belongs, which {text}")));
    }
    Ok(StorageOptions { directory, sync: sync?, coalesce: coalesce? })
}

/// The path of the gateway's private socket.
pub(super) fn house_socket(directory: &Path) -> PathBuf {
    directory.join(HOUSE_SOCKET)
}

/// Whether the kernel takes `path` for a Unix socket.
///
/// # Errors
/// How long it is, and how long it may be.
pub(super) fn check_socket_path(path: &Path) -> Result<(), String> {
    match path.as_os_str().len() {
        ..=SOCKET_PATH_BYTES_MAX => Ok(()),
        longer => Err(format!(
            "is {longer} bytes long, a socket's path has {SOCKET_PATH_BYTES_MAX} at most: a shorter one is expected"
        )),
    }
}

/// What systemd made for the unit (systemd.exec(5), `StateDirectory=`, the first of several), else where the XDG base
/// directories put state; those that are not absolute count as unset, as that specification asks.
fn default_directory(variables: &Variables) -> Option<PathBuf> {
    let absolute = |name| variables.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let systemd = variables.get("STATE_DIRECTORY").and_then(|directories| directories.split(':').next());
    let systemd = systemd.map(PathBuf::from).filter(|path| path.is_absolute());
    let xdg = || absolute("XDG_STATE_HOME").map(|home| home.join("sensegate"));
    let home = || absolute("HOME").map(|home| home.join(".local/state/sensegate"));
    systemd.or_else(xdg).or_else(home)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], expected: Option<&str>) {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        assert_eq!(default_directory(&variables), expected.map(PathBuf::from), "{variables:?}");
    }

    #[test]
    fn state_goes_to_what_systemd_made_else_to_the_xdg_directory_else_home() {
        let (systemd, xdg, home) =
            (("STATE_DIRECTORY", "/var/lib/a:/b"), ("XDG_STATE_HOME", "/x"), ("HOME", "/home/pi"));
        check(&[systemd, xdg, home], Some("/var/lib/a"));
        check(&[xdg, home], Some("/x/sensegate"));
        check(&[("XDG_STATE_HOME", "relative"), home], Some("/home/pi/.local/state/sensegate"));
        check(&[home], Some("/home/pi/.local/state/sensegate"));
        check(&[("HOME", "")], None);
    }

    #[test]
    fn socket_path_may_have_107_bytes() {
        assert!(check_socket_path(Path::new(&"x".repeat(107))).is_ok());
        assert!(check_socket_path(Path::new(&"x".repeat(108))).is_err());
    }
}
