//! `[stick]`: where the stick's events go, and which there are. Where they come from follows from `sensors.source`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::publish::Topics;
use super::section::{Read, Section};
use super::value::{boolean, duration, qos};
use crate::agent::StickTopic;
use crate::sensors::SourceOptions;
use crate::stick::{GestureTimes, Grab, Options, StickSource};

/// Nobody presses twice in less, and nobody waits longer for a click.
const DOUBLE_WITHIN: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(5);
const LONG_AFTER: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);

/// The topic, and how the stick is read.
pub(super) struct Stick {
    pub(super) topic: StickTopic,
    pub(super) options: Options,
}

/// Whose stick goes with a source of readings: the emulator's with the emulator, else that of the kernel. Nothing else
/// has one, and a HAT that is plugged in beside a simulation is pushed by somebody who is there.
pub(super) fn source_for(source: &SourceOptions) -> StickSource {
    match source {
        SourceOptions::Emulator { directory } => StickSource::Emulator { directory: directory.clone() },
        SourceOptions::I2c { .. } | SourceOptions::Simulated | SourceOptions::Dump(_) | SourceOptions::Replay(_) => {
            StickSource::Input
        }
    }
}

/// Reads `[stick]`; `None` when it is switched off. The source is the default one: `settings` knows which it has to be.
pub(super) fn read(section: &mut Section<'_>, topics: &mut Topics) -> Read<Option<Stick>> {
    let enabled = section.required("enabled", boolean);
    let topic = topics.read_plain(section, enabled);
    let qos = section.required("qos", qos);
    let grab = section.required("grab", boolean);
    let gestures = section.required("gestures", boolean);
    let double_within = section.required("double_within", duration(DOUBLE_WITHIN));
    let long_after = section.required("long_after", duration(LONG_AFTER));
    let times = GestureTimes { double_within: double_within?, long_after: long_after? };
    let options = Options {
        source: StickSource::default(),
        grab: if grab? { Grab::Exclusive } else { Grab::Shared },
        gestures: gestures?.then_some(times),
    };
    let topic = StickTopic { topic: topic?, qos: qos? };
    Ok(enabled?.then_some(Stick { topic, options }))
}
