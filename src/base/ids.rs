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
