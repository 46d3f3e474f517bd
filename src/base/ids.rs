//! Identifiers of this boot and of this machine.

use std::fmt;
use std::fs;

/// The kernel's random id of this boot: two samples with one boot id share one monotonic clock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BootId(String);

impl BootId {
    /// Wraps an id that was read elsewhere, from a recorded sample for example.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// Reads `/proc/sys/kernel/random/boot_id` (random(4)); `unknown` where there is none.
    pub fn read() -> Self {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_else(|_| "unknown".into());
        Self(id.trim().to_owned())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The agent's client identifier at the embedded broker, under the prefix that the broker reserves for the house.
pub const AGENT_CLIENT_ID: &str = "sensegate/agent";

/// Digits of the machine's id that tell gateways apart.
const MACHINE_DIGITS: usize = 12;

/// The client identifier at an external broker when none is configured: `sensegate-` and the first 12 digits of
/// `/etc/machine-id` (machine-id(5)), else the host's name, so that it is the same after each start.
pub fn default_client_id() -> String {
    let read = |path| fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let machine =
        || read("/etc/machine-id").filter(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let digits = machine().map(|id| id.chars().take(MACHINE_DIGITS).collect());
    let name = digits.or_else(|| read("/proc/sys/kernel/hostname")).unwrap_or_else(|| "unknown".into());
    format!("sensegate-{name}")
}
