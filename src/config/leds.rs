//! `[leds]`: what the LED matrix shows, and how.

use std::ops::RangeInclusive;
use std::time::Duration;

use config::ValueKind;

use super::publish::{Purpose, Topics};
use super::section::{Read, Section};
use super::value::{boolean, duration, integer, number};
use crate::agent::LedsTopics;
use crate::matrix::{Brightness, Options, Rotation};

/// The longest is that of a command's `timeout`.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 3600);

/// The topics and the display.
pub(super) struct Leds {
    pub(super) topics: LedsTopics,
    pub(super) display: Options,
}

/// Reads `[leds]`; `None` when it is switched off.
pub(super) fn read(section: &mut Section<'_>, topics: &mut Topics) -> Read<Option<Leds>> {
    let enabled = section.required("enabled", boolean);
    let mut topic = |key, purpose| topics.read_for(purpose, section, key, enabled);
    let set = topic("set_topic", Purpose::Heard);
    let (state, error) = (topic("topic", Purpose::Told), topic("error_topic", Purpose::Told));
    let low_light = section.required("low_light", boolean);
    let brightness_max = section.required("brightness", brightness);
    let rotation = section.required("rotation", rotation);
    let timeout = section.optional("timeout", duration(TIMEOUT));
    let topics = LedsTopics { set: set?, state: state?, error: error? };
    let display =
        Options { low_light: low_light?, brightness_max: brightness_max?, rotation: rotation?, timeout: timeout? };
    Ok(enabled?.then_some(Leds { topics, display }))
}

fn brightness(kind: &ValueKind) -> Result<Brightness, String> {
    let share = number(0.0..=1.0)(kind)?;
    Brightness::new(share).ok_or_else(|| "is no share from 0 to 1".into())
}

fn rotation(kind: &ValueKind) -> Result<Rotation, String> {
    let refused = || "is none of 0, 90, 180 and 270".to_owned();
    let degrees = integer(0..=u64::MAX)(kind).map_err(|_| refused())?;
    Rotation::from_degrees(degrees).ok_or_else(refused)
}
