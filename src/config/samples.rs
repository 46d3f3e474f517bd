//! `[clock]` and `[samples]`: how samples reach the uplinks.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::publish::topic_name;
use super::section::{Read, Section};
use super::template::Names;
use super::value::{duration, text};
use crate::mqtt::TopicName;

/// A clock that is not right within a day is not going to be.
const WAIT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(24 * 3600);

/// Reads `[clock]`: how long a sample may wait for the time to become known.
pub(super) fn read_clock(section: &mut Section<'_>) -> Read<Duration> {
    section.required("wait", duration(WAIT))
}

/// Reads `[samples]`. The topic is used only while an uplink carries readings.
pub(super) fn read_topic(section: &mut Section<'_>, names: &Names) -> Read<TopicName> {
    section.required("topic", |kind| topic_name(&text(kind)?, names))
}
