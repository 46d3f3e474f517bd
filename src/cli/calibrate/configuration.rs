//! `[sensors.correction]`, read and written.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use toml_edit::{DocumentMut, Item};

use super::super::edit::toml::{set, table};
use crate::sensors::{Correction, Fit, Method, PROCESSOR_FILE};

/// The document that is changed.
///
/// # Errors
/// A text that is no TOML; the configuration's own reader has taken it before.
pub(super) fn parse(text: &str) -> anyhow::Result<DocumentMut> {
    text.parse().context("the configuration cannot be changed")
}

/// Where the processor's temperature is, by the document or by default.
pub(super) fn processor_file(document: &DocumentMut) -> PathBuf {
    let correction = document.get("sensors").and_then(|sensors| sensors.get("correction"));
    let file = correction.and_then(|correction| correction.get("processor_file")).and_then(Item::as_str);
    file.unwrap_or(PROCESSOR_FILE).into()
}

/// Whether the configuration's reader takes the number.
pub(super) fn is_allowed(fit: &Fit) -> bool {
    match fit.method {
        Method::Offset(offset) => Correction::OFFSET_C.contains(&offset),
        Method::Factor(factor) => Correction::FACTOR.contains(&factor),
    }
}

/// The document with the correction in it.
///
/// # Errors
/// A document with another thing in the place of the section.
pub(super) fn with(mut document: DocumentMut, fit: &Fit, processor_file: Option<&Path>) -> anyhow::Result<String> {
    let sensors = table(document.as_table_mut(), "sensors")?;
    let correction = table(sensors, "correction")?;
    set(correction, "method", fit.method.name(), "");
    set(correction, fit.method.name(), rounded(fit.method.number()), "");
    if let Some(file) = processor_file {
        let file = file.to_str().ok_or_else(|| anyhow!("{}: is not UTF-8", file.display()))?;
        set(correction, "processor_file", file, "");
    }
    Ok(document.to_string())
}

/// Thousandths are finer than any thermometer.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}
