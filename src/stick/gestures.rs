//! Gestures: what presses and releases mean together, each direction for itself.
//!
//! | phase | press | release | time |
//! |---|---|---|---|
//! | none | `Down` | | |
//! | `Down` | | `Waiting` | `long`, then `Down` that is told |
//! | `Waiting` | `Down` with a press before it | | `click`, then none |
//! | `Down` with one before | | `double`, then none | `click` for that one, `long`, then `Down` that is told |
//! | `Down` that is told | | none | |

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Action, Direction, Event};
use crate::base::clock::Monotonic;

/// The times that tell gestures apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GestureTimes {
    /// The longest time from a release to a press that makes it a double: a click is told only after it.
    pub double_within: Duration,
    /// How long a long press lasts at least.
    pub long_after: Duration,
}

/// Where each direction is between its first press and its gesture.
#[derive(Clone, Debug)]
pub(super) struct Gestures {
    times: GestureTimes,
    phases: BTreeMap<Direction, Phase>,
}

/// A short press that is over.
#[derive(Clone, Copy, Debug)]
struct Tap {
    released: Monotonic,
    held: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Down since then, with the press before it that makes it the second.
    Down { since: Monotonic, before: Option<Tap> },
    /// Down, and told as long.
    Told,
    /// Up: a click, unless another press follows.
    Waiting(Tap),
}

impl Gestures {
    pub(super) fn new(times: GestureTimes) -> Self {
        Self { times, phases: BTreeMap::new() }
    }

    /// The next moment at which a gesture is decided without another event.
    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        self.phases.values().filter_map(|phase| self.deadline(phase)).min()
    }

    fn deadline(&self, phase: &Phase) -> Option<Monotonic> {
        match phase {
            Phase::Down { since, .. } => Some(*since + self.times.long_after),
            Phase::Told => None,
            Phase::Waiting(tap) => Some(tap.released + self.times.double_within),
        }
    }

    /// Decides what is decided by `now`, the earliest first.
    pub(super) fn handle_timeout(&mut self, now: Monotonic) -> Vec<Event> {
        let due = |phase: &Phase| self.deadline(phase).filter(|deadline| *deadline <= now);
        let mut due: Vec<_> =
            self.phases.iter().filter_map(|(direction, phase)| Some((due(phase)?, *direction))).collect();
        due.sort();
        due.into_iter().flat_map(|(deadline, direction)| self.decide(direction, deadline)).collect()
    }

    /// The deadline of a direction has come.
    fn decide(&mut self, direction: Direction, deadline: Monotonic) -> Vec<Event> {
        match self.phases.remove(&direction) {
            Some(Phase::Waiting(tap)) => vec![click(direction, tap)],
            Some(Phase::Down { before, .. }) => {
                self.phases.insert(direction, Phase::Told);
                let held = Some(self.times.long_after);
                let long = Event { direction, action: Action::Long, time: deadline, held };
                before.map(|tap| click(direction, tap)).into_iter().chain([long]).collect()
            }
            Some(Phase::Told) | None => Vec::new(),
        }
    }

    /// Takes a press or a release in; what was due before it is decided first ([`Self::handle_timeout`]).
    pub(super) fn handle_event(&mut self, event: &Event) -> Option<Event> {
        let Event { direction, action, time, .. } = *event;
        match (action, self.phases.get(&direction).copied()) {
            (Action::Press, phase) => {
                let before = if let Some(Phase::Waiting(tap)) = phase { Some(tap) } else { None };
                self.phases.insert(direction, Phase::Down { since: time, before });
            }
            (Action::Release, Some(Phase::Down { since, before: None })) => {
                let tap = Tap { released: time, held: time.since(since) };
                self.phases.insert(direction, Phase::Waiting(tap));
            }
            (Action::Release, Some(Phase::Down { since, before: Some(_) })) => {
                self.phases.remove(&direction);
                return Some(Event { direction, action: Action::Double, time, held: Some(time.since(since)) });
            }
            (Action::Release, Some(Phase::Told)) => {
                self.phases.remove(&direction);
            }
            _ => {}
        }
        None
    }

    /// Forgets everything, as the device is gone: presses that were over are clicks, one that was not is no gesture.
    pub(super) fn handle_lost(&mut self) -> Vec<Event> {
        let phases = std::mem::take(&mut self.phases);
        let clicks = phases.into_iter().filter_map(|(direction, phase)| match phase {
            Phase::Waiting(tap) | Phase::Down { before: Some(tap), .. } => Some(click(direction, tap)),
            Phase::Down { before: None, .. } | Phase::Told => None,
        });
        clicks.collect()
    }
}

fn click(direction: Direction, tap: Tap) -> Event {
    Event { direction, action: Action::Click, time: tap.released, held: Some(tap.held) }
}
