//! `sensors.source`, and what the sources need.

use std::ops::RangeInclusive;

use super::section::{Read, Section};
use super::value::{boolean, choice, integer, number, path};
use crate::sensors::SourceOptions;
use crate::sensors::replay::{self, After};

/// A recording of a year in nine hours, and a second of it in a quarter of an hour.
const SPEED: RangeInclusive<f64> = 0.001..=1000.0;

#[derive(Clone, Copy)]
enum Source {
    I2c,
    Simulated,
    Emulator,
    Replay,
}

/// `auto` takes a real HAT only: everything else is asked for by name.
const SOURCES: [(&str, Source); 5] = [
    ("auto", Source::I2c),
    ("i2c", Source::I2c),
    ("simulated", Source::Simulated),
    ("emulator", Source::Emulator),
    ("replay", Source::Replay),
];

/// Reads the keys of `[sensors]` that say where readings come from.
pub(super) fn read(section: &mut Section<'_>) -> Read<SourceOptions> {
    let source = section.required("source", choice(&SOURCES));
    let bus = section.required("bus", integer(0..=u8::MAX));
    let directory = section.section("emulator", |section| section.required("directory", path));
    let replay = section.section("replay", read_replay);
    let (bus, directory, replay) = (bus?, directory?, replay?);
    match (source?, replay) {
        (Source::I2c, _) => Ok(SourceOptions::I2c { bus }),
        (Source::Simulated, _) => Ok(SourceOptions::Simulated),
        (Source::Emulator, _) => Ok(SourceOptions::Emulator { directory }),
        (Source::Replay, Some(options)) => Ok(SourceOptions::Replay(options)),
        (Source::Replay, None) => {
            let text = "is missing, and the source is \"replay\": the path of a recording is expected";
            Err(section.notes().problem("sensors.replay.file", text.into()))
        }
    }
}

/// Reads `[sensors.replay]`; `None` without a file.
fn read_replay(section: &mut Section<'_>) -> Read<Option<replay::Options>> {
    let file = section.optional("file", path);
    let speed = section.required("speed", number(SPEED));
    let repeat = section.required("repeat", boolean);
    let (file, speed, repeat) = (file?, speed?, repeat?);
    let after = if repeat { After::Again } else { After::Nothing };
    Ok(file.map(|file| replay::Options { file, speed, after }))
}
