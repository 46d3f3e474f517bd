//! `[sensors]`: where readings come from, and how often.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::section::{Read, Section};
use super::value::{choice, duration, integer};
use crate::sensors::{Options, SourceOptions};

/// The shortest is that of the fastest conversion rate, 25 Hz of the LPS25H; the longest keeps "now" meaningful.
const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(40)..=Duration::from_secs(3600);

#[derive(Clone, Copy)]
enum Source {
    I2c,
    Simulated,
}

/// `auto` takes a real HAT only: a simulated one is asked for by name.
const SOURCES: [(&str, Source); 3] = [("auto", Source::I2c), ("i2c", Source::I2c), ("simulated", Source::Simulated)];

/// Reads `[sensors]`.
pub(super) fn read(section: &mut Section<'_>) -> Read<Options> {
    let source = section.required("source", choice(&SOURCES));
    let bus = section.required("bus", integer(0..=u8::MAX));
    let interval = section.required("interval", duration(INTERVAL));
    let source = match (source?, bus?) {
        (Source::I2c, bus) => SourceOptions::I2c { bus },
        (Source::Simulated, _) => SourceOptions::Simulated,
    };
    Ok(Options { source, interval: interval? })
}
