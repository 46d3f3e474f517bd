//! What the broker heard of the stick, so that whoever does something while it is pushed hears of the end.

use std::collections::BTreeMap;

use crate::base::clock::Monotonic;
use crate::stick::{Action, Direction, Event};

/// Presses that were published and whose release was not: one a direction at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pressed: BTreeMap<Direction, Pressed>,
}

#[derive(Clone, Copy, Debug)]
struct Pressed {
    since: Monotonic,
    /// The release that could not be published.
    missed: Option<Event>,
}

impl Told {
    /// Whether an event is to be published: what goes on with a press that nobody heard of is not.
    pub(super) fn wants(&self, event: &Event) -> bool {
        match event.action {
            Action::Hold | Action::Release => {
                self.pressed.get(&event.direction).is_some_and(|pressed| pressed.missed.is_none())
            }
            Action::Press | Action::Click | Action::Double | Action::Long => true,
        }
    }

    /// An event was published.
    pub(super) fn handle_published(&mut self, event: &Event) {
        match event.action {
            Action::Press => {
                self.pressed.insert(event.direction, Pressed { since: event.time, missed: None });
            }
            Action::Release => {
                self.pressed.remove(&event.direction);
            }
            _ => {}
        }
    }

    /// An event could not be published: a release of a press that was told has to be, later on.
    pub(super) fn handle_missed(&mut self, event: &Event) {
        if event.action == Action::Release
            && let Some(pressed) = self.pressed.get_mut(&event.direction)
        {
            pressed.missed = Some(*event);
        }
    }

    /// The releases that have to be told.
    pub(super) fn missed(&self) -> Vec<Event> {
        self.pressed.values().filter_map(|pressed| pressed.missed).collect()
    }

    /// Nothing more is told here: the releases that end what was told.
    pub(super) fn let_go(&mut self, now: Monotonic) -> Vec<Event> {
        let pressed = std::mem::take(&mut self.pressed);
        let release = |(direction, pressed): (Direction, Pressed)| {
            let held = Some(now.since(pressed.since));
            pressed.missed.unwrap_or(Event { direction, action: Action::Release, time: now, held })
        };
        pressed.into_iter().map(release).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_secs(seconds))
    }

    fn event(action: Action, seconds: u64) -> Event {
        Event { direction: Direction::Up, action, time: at(seconds), held: None }
    }

    #[test]
    fn the_end_of_a_press_that_nobody_heard_of_is_not_told() {
        let told = Told::default();
        assert!(told.wants(&event(Action::Press, 1)) && told.wants(&event(Action::Click, 1)));
        assert!(!told.wants(&event(Action::Hold, 1)) && !told.wants(&event(Action::Release, 1)));
    }

    #[test]
    fn a_release_that_could_not_be_told_waits_and_a_later_press_takes_its_place() {
        let mut told = Told::default();
        told.handle_published(&event(Action::Press, 1));
        told.handle_missed(&event(Action::Release, 2));
        assert_eq!(told.missed(), [event(Action::Release, 2)]);
        assert!(!told.wants(&event(Action::Hold, 4)), "it belongs to a press that nobody heard of");
        told.handle_published(&event(Action::Release, 2));
        assert!(told.missed().is_empty());
    }

    #[test]
    fn letting_go_ends_what_was_told_and_nothing_else() {
        let mut told = Told::default();
        told.handle_published(&event(Action::Press, 1));
        let held = Some(Duration::from_secs(4));
        assert_eq!(told.let_go(at(5)), [Event { held, ..event(Action::Release, 5) }]);
        assert!(told.let_go(at(6)).is_empty());
        assert!(!told.wants(&event(Action::Release, 7)));
    }
}
