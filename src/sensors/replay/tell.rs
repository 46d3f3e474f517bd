//! From a record to readings.

use std::path::Path;

use super::player::Player;
use crate::base::clock::Monotonic;
use crate::sensors::error::ValueError;
use crate::sensors::measured::{self, Measured};
use crate::sensors::recording::Survey;
use crate::sensors::{Absence, Reading, Reason, hts221, lps25h};

/// A record holds for so many usual intervals, and for so many seconds at least; what is longer is a gap.
const INTERVALS_MAX: u32 = 3;
const GAP_MIN_S: f64 = 1.0;

/// What `player` has for the moment `moment_s`, or why it has nothing.
pub(super) fn record(player: &Player, moment_s: f64, survey: &Survey, now: Monotonic) -> Result<Measured, Absence> {
    let nothing = |reason, text: String| Err(Absence { reason, text, since: now });
    let Some(record) = player.current() else {
        return nothing(Reason::NotRecorded, "the recording has not begun".into());
    };
    let age_s = moment_s - player.offset_s(record);
    let gap_s = (survey.interval * INTERVALS_MAX).as_secs_f64().max(GAP_MIN_S);
    if player.is_behind(moment_s) {
        return nothing(Reason::Stale, "the recording cannot be read as fast as it is to be played".into());
    }
    if player.is_at_the_end() && age_s > survey.interval.as_secs_f64() {
        return nothing(Reason::Ended, format!("the recording has ended: {survey}"));
    }
    if age_s > gap_s {
        let text = format!("the recording has a gap here: a record is expected at least every {gap_s} s");
        return nothing(Reason::NotRecorded, text);
    }
    Ok(Measured {
        temperature: reading(record.temperature_from_humidity, |c| Ok(hts221::check_temperature(c)?.0), now),
        humidity: reading(record.humidity, |percent| Ok(hts221::check_humidity(percent)?.0), now),
        pressure: reading(record.pressure, |hpa| Ok(lps25h::check_hectopascal(hpa)?.0), now),
        temperature_beside_pressure: reading(
            record.temperature_from_pressure,
            |c| Ok(lps25h::check_temperature(c)?.0),
            now,
        ),
    })
}

fn reading(value: Option<f64>, check: impl FnOnce(f64) -> Result<f64, ValueError>, now: Monotonic) -> Reading {
    let Some(value) = value else {
        let text = "it was absent when the recording was made".to_owned();
        return Err(Absence { reason: Reason::NotRecorded, text, since: now });
    };
    check(value).map_err(|error| measured::absence(&error, now))
}

/// The recording cannot be read on.
pub(super) fn failed(file: &Path, text: &str, now: Monotonic) -> Absence {
    Absence { reason: Reason::Bus, text: format!("{}: {text}", file.display()), since: now }
}
