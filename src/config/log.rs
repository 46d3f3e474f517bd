//! `[log]`: what is shown, and in which form.

use super::section::{Read, Section};
use super::settings::{LogFormat, LogLevel, LogOptions};
use super::value::choice;

const LEVELS: [(&str, LogLevel); 5] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];

/// Reads `[log]`.
pub(super) fn read(section: &mut Section<'_>) -> Read<LogOptions> {
    let level = section.required("level", choice(&LEVELS));
    let format = section.required("format", choice(&FORMATS));
    Ok(LogOptions { level: level?, format: format? })
}
