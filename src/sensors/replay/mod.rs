//! A recording in the place of a HAT.
//!
//! - Holds the file, one record and the next, and when the playing began.
//! - Never enters: the times of the recording. What is told has the time at which it is told.
//! - Uses [`recording`](super::recording) and the drivers' ranges.
//! - Follows law "valid or absent": what a record has no number for, what lies in a gap, and what comes after the end is
//!   absent, and so is a number that the chip cannot measure.
//!
//! The first record is played at the first sample. From then on each sample is the last record at or before the moment
//! that is played. A record holds for three times the recording's usual interval, and for a second at least; the last
//! one holds for one interval. Start reading at [`Replay::sample`].

mod player;
mod tell;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use self::player::Player;
use super::Readings;
use super::measured::Measured;
use super::recording::{RecordingError, Survey, survey};
use crate::base::clock::Monotonic;

/// What is played, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The recording.
    pub file: PathBuf,
    /// How many seconds of it are played in one.
    pub speed: f64,
    /// What comes after its end.
    pub after: After,
}

/// What comes after the end of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing: every quantity is absent.
    Nothing,
    /// Its beginning, one usual interval after the last record.
    Again,
}

/// A recording that is played.
#[derive(Debug)]
pub(super) struct Replay {
    options: Options,
    survey: Survey,
    began: Option<Monotonic>,
    round: f64,
    player: Player,
    /// What ended the playing for good.
    failed: Option<String>,
}

impl Replay {
    /// Opens the recording, and looks at its beginning and its end.
    ///
    /// # Errors
    /// When it cannot be played.
    pub(super) fn open(options: Options) -> Result<Self, RecordingError> {
        let survey = survey(&options.file)?;
        let player = Player::open(&options.file, survey.first_s)?;
        Ok(Self { options, survey, began: None, round: 0.0, player, failed: None })
    }

    /// What was found when it was opened.
    pub(super) const fn survey(&self) -> &Survey {
        &self.survey
    }

    /// What the recording has for this moment. Reads the file on, [`player::RECORDS_MAX`] records at most.
    pub(super) fn sample(&mut self, now: Monotonic) -> Readings {
        let began = *self.began.get_or_insert(now);
        let played_s = now.since(began).as_secs_f64() * self.options.speed;
        if self.failed.is_none()
            && let Err(error) = self.play_to(played_s)
        {
            self.failed = Some(error.to_string());
        }
        self.tell(self.moment_s(played_s), now)
    }

    fn play_to(&mut self, played_s: f64) -> Result<(), RecordingError> {
        let round = self.round_of(played_s);
        // numbers of rounds are whole
        if round > self.round {
            self.round = round;
            self.player = Player::open(&self.options.file, self.survey.first_s)?;
        }
        self.player.play_to(self.moment_s(played_s))
    }

    /// How often the recording was played before, `played_s` seconds of recording after the start.
    fn round_of(&self, played_s: f64) -> f64 {
        match self.options.after {
            After::Nothing => 0.0,
            After::Again => (played_s / self.period_s()).floor(),
        }
    }

    /// Where in the recording that is, in seconds after the first record.
    fn moment_s(&self, played_s: f64) -> f64 {
        played_s - self.round * self.period_s()
    }

    fn period_s(&self) -> f64 {
        (self.survey.span() + self.survey.interval).as_secs_f64()
    }

    fn tell(&self, moment_s: f64, now: Monotonic) -> Readings {
        let told = match &self.failed {
            Some(text) => Err(tell::failed(&self.options.file, text, now)),
            None => tell::record(&self.player, moment_s, &self.survey, now),
        };
        told.unwrap_or_else(|absence| Measured::nothing(&absence)).readings()
    }
}
