//! What the thread of the matrix tells, and its form as JSON.

use serde::Serialize;

use crate::agent::state::json;
use crate::base::clock::{Monotonic, Wall};
use crate::matrix::{FramebufferError, State};

/// How the matrix is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It shows what it is told.
    Ok,
    /// There is none.
    Absent(String),
    /// It may not be written to.
    Permission(String),
    /// Anything else.
    Failed(String),
}

impl Health {
    /// What `error` says of it.
    pub(super) fn of(error: &FramebufferError) -> Self {
        match error {
            FramebufferError::Absent { .. } => Self::Absent(error.to_string()),
            FramebufferError::Permission { .. } => Self::Permission(error.to_string()),
            FramebufferError::Io { source, .. } => Self::Failed(format!("{error}: {source}")),
        }
    }

    /// The word that says it.
    const fn name(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Absent(_) => "absent",
            Self::Permission(_) => "permission",
            Self::Failed(_) => "failed",
        }
    }

    /// Why it is not well, in a sentence.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Ok => None,
            Self::Absent(text) | Self::Permission(text) | Self::Failed(text) => Some(text),
        }
    }
}

/// What is shown, and whether it can be seen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Report {
    pub(super) state: State,
    pub(super) health: Health,
}

/// The report's form: health, then the state, with its times on the wall clock beside those since the boot.
///
/// ```json
/// {"health":"absent","health_text":"no LED matrix: …","since":"2026-11-22T19:55:31.250Z",
///  "kind":"icon","icon":"heart","colour":"#ff0000","rotation":0,"low_light":true,"brightness":1.0,
///  "since_monotonic_ms":81234}
/// ```
#[derive(Serialize)]
struct ReportJson<'a> {
    health: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_text: Option<&'a str>,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(flatten)]
    state: &'a State,
}

impl Report {
    /// The payload; `now` on both clocks turns times since the boot into dates.
    pub(super) fn to_json(&self, now: Monotonic, wall: Wall) -> String {
        let date = |moment| wall.of(moment, now).to_string();
        json(&ReportJson {
            health: self.health.name(),
            health_text: self.health.text(),
            since: date(self.state.since),
            until: self.state.until.map(date),
            state: &self.state,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::matrix::{Command, Options, Player};

    #[test]
    fn a_report_has_health_dates_and_what_is_shown() {
        let at = |seconds| Monotonic::from_boot(Duration::from_secs(seconds));
        let mut player = Player::new(Options::default(), at(0));
        player.handle_command(Command::parse(br#"{"text": "hi", "speed": 1, "timeout": 9}"#).unwrap(), at(10));
        let report = Report { state: player.state(at(12)), health: Health::Failed("it broke".into()) };
        let told: Value = serde_json::from_str(&report.to_json(at(12), Wall::from_unix_ms(60_000))).unwrap();
        let expected = json!({"health": "failed", "health_text": "it broke", "kind": "text", "text": "hi",
            "colour": "#ffffff", "since": "1970-01-01T00:00:58.000Z", "until": "1970-01-01T00:01:07.000Z",
            "rotation": 0, "low_light": true, "brightness": 1.0, "since_monotonic_ms": 10_000,
            "until_monotonic_ms": 19_000});
        assert_eq!(told, expected);
    }
}
