//! Which keys are down: presses and releases that alternate, whatever the kernel had no room to tell.

use std::collections::BTreeMap;

use super::device::KeyState;
use super::{Action, Direction, Event};
use crate::base::clock::Monotonic;

/// The keys that are down, and since when.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    pressed: BTreeMap<Direction, Monotonic>,
}

impl Keys {
    /// What a key's new state says. A key that was down before anybody looked is not spoken of until it is pressed
    /// again; one that is pressed twice was let go in between.
    pub(super) fn handle_key(&mut self, direction: Direction, state: KeyState, time: Monotonic) -> Vec<Event> {
        match state {
            KeyState::Pressed => {
                let missed = self.release(direction, time);
                missed.into_iter().chain([self.press(direction, time)]).collect()
            }
            KeyState::Repeated => self.told(direction, Action::Hold, time).into_iter().collect(),
            KeyState::Released => self.release(direction, time).into_iter().collect(),
        }
    }

    /// What is down now, after some events were lost: tells the releases that were among them, then the presses.
    pub(super) fn handle_state(&mut self, pressed: &[Direction], time: Monotonic) -> Vec<Event> {
        let gone: Vec<_> = self.pressed.keys().copied().filter(|direction| !pressed.contains(direction)).collect();
        let mut events: Vec<_> = gone.into_iter().filter_map(|direction| self.release(direction, time)).collect();
        for direction in pressed {
            if !self.pressed.contains_key(direction) {
                events.push(self.press(*direction, time));
            }
        }
        events
    }

    fn press(&mut self, direction: Direction, time: Monotonic) -> Event {
        self.pressed.insert(direction, time);
        Event { direction, action: Action::Press, time, held: None }
    }

    fn release(&mut self, direction: Direction, time: Monotonic) -> Option<Event> {
        let event = self.told(direction, Action::Release, time);
        self.pressed.remove(&direction);
        event
    }

    /// Something about a key that is down.
    fn told(&self, direction: Direction, action: Action, time: Monotonic) -> Option<Event> {
        let since = *self.pressed.get(&direction)?;
        Some(Event { direction, action, time, held: Some(time.since(since)) })
    }
}
