//! What happened to the stick, and its form as JSON.

use std::time::Duration;

use serde::Serialize;

use super::Direction;
use crate::base::clock::{Monotonic, Wall};

/// What was done to the stick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It was pushed.
    Press,
    /// It is still pushed: the kernel repeats this as it repeats a key.
    Hold,
    /// It was let go, or nobody can tell any more whether it is pushed.
    Release,
    /// A gesture: one short press, and no other soon after it.
    Click,
    /// A gesture: the second of two short presses.
    Double,
    /// A gesture: a press that has lasted long.
    Long,
}

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Where the stick was pushed.
    pub direction: Direction,
    /// What was done.
    pub action: Action,
    /// When, by the kernel, or when it was heard of the emulator; of a gesture, when its last press ended, or had lasted long enough.
    pub time: Monotonic,
    /// How long it was pushed until then; `None` of a press.
    pub held: Option<Duration>,
}

#[derive(Serialize)]
struct EventJson {
    direction: Direction,
    action: Action,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_ms: Option<u64>,
}

impl Event {
    /// The payload; `now` on both clocks turns the kernel's time since the boot into a date.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sensegate::base::clock::{Monotonic, Wall};
    /// # use sensegate::stick::{Action, Direction, Event};
    /// let at = |ms| Monotonic::from_boot(Duration::from_millis(ms));
    /// let held = Some(Duration::from_millis(120));
    /// let event = Event { direction: Direction::Up, action: Action::Release, time: at(5000), held };
    /// assert_eq!(
    ///     event.to_json(at(5250), Wall::from_unix_ms(1_795_377_331_250)),
    ///     r#"{"direction":"up","action":"release","time":"2026-11-22T19:55:31.000Z","held_ms":120}"#
    /// );
    /// ```
    #[expect(clippy::missing_panics_doc, reason = "it cannot happen, as the text below says")]
    pub fn to_json(&self, now: Monotonic, wall: Wall) -> String {
        let json = EventJson {
            direction: self.direction,
            action: self.action,
            time: wall.of(self.time, now).to_string(),
            held_ms: self.held.map(|held| u64::try_from(held.as_millis()).unwrap_or(u64::MAX)),
        };
        serde_json::to_string(&json).expect("keys are text and values are numbers or text")
    }
}
