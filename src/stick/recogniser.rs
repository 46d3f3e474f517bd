//! From what a device tells to what is told of it.

use super::device::DeviceEvent;
use super::gestures::Gestures;
use super::keys::Keys;
use super::{Event, GestureTimes};
use crate::base::clock::Monotonic;

/// Keys and gestures of one device, from its opening to its loss.
///
/// Presses and releases of a direction alternate, beginning with a press. Where gestures are asked for, each press
/// becomes part of exactly one: a click, a double, or a long one; only a press that the loss of the device cuts short
/// is none.
#[derive(Clone, Debug)]
pub struct Recogniser {
    keys: Keys,
    gestures: Option<Gestures>,
}

impl Recogniser {
    /// One that knows of no key that is down.
    pub fn new(gestures: Option<GestureTimes>) -> Self {
        Self { keys: Keys::default(), gestures: gestures.map(Gestures::new) }
    }

    /// Takes an event in; gives what is to be told, in order.
    pub fn handle_event(&mut self, event: &DeviceEvent) -> Vec<Event> {
        let mut told = self.handle_timeout(event.time());
        let happened = match event {
            DeviceEvent::Key { direction, state, time } => self.keys.handle_key(*direction, *state, *time),
            DeviceEvent::State { pressed, time } => self.keys.handle_state(pressed, *time),
        };
        for event in happened {
            told.push(event);
            told.extend(self.gestures.as_mut().and_then(|gestures| gestures.handle_event(&event)));
        }
        told
    }

    /// Decides the gestures that only waited for time to pass.
    pub fn handle_timeout(&mut self, now: Monotonic) -> Vec<Event> {
        self.gestures.as_mut().map(|gestures| gestures.handle_timeout(now)).unwrap_or_default()
    }

    /// The next moment at which [`Self::handle_timeout`] has something to decide.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.gestures.as_ref().and_then(Gestures::next_deadline)
    }

    /// The device is gone or is given up: whatever is down counts as let go, so that nobody waits for it for ever.
    pub fn handle_lost(&mut self, now: Monotonic) -> Vec<Event> {
        let mut told = self.handle_timeout(now);
        told.extend(self.gestures.as_mut().map(Gestures::handle_lost).unwrap_or_default());
        told.extend(self.keys.handle_state(&[], now));
        told
    }
}

#[cfg(test)]
mod tests;
