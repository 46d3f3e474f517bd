//! `[leds]`: what the LED matrix shows, and how.

use std::ops::RangeInclusive;
use std::time::Duration;

use config::ValueKind;

use super::publish::{Topics, topic_name};
use super::section::{Read, Section};
use super::value::{boolean, duration, integer, number, text};
use crate::agent::LedsTopics;
use crate::matrix::{Brightness, Options, Rotation};
use crate::mqtt::TopicName;

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
    let mut topic = |key: &str| read_topic(section, key, topics, &enabled);
    let (set, state, error) = (topic("set_topic"), topic("topic"), topic("error_topic"));
    let low_light = section.required("low_light", boolean);
    let brightness_max = section.required("brightness", brightness);
    let rotation = section.required("rotation", rotation);
    let timeout = section.optional("timeout", duration(TIMEOUT));
    let topics = LedsTopics { set: set?, state: state?, error: error? };
    let display =
        Options { low_light: low_light?, brightness_max: brightness_max?, rotation: rotation?, timeout: timeout? };
    Ok(enabled?.then_some(Leds { topics, display }))
}

/// Each needs a topic of its own, the commands too: the gateway must not take what it tells for one.
fn read_topic(section: &mut Section<'_>, key: &str, topics: &mut Topics, enabled: &Read<bool>) -> Read<TopicName> {
    let topic = section.required(key, |kind| topic_name(&text(kind)?, topics.names()))?;
    if *enabled != Ok(false) {
        topics.claim(section.path(key), topic.clone());
    }
    Ok(topic)
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
