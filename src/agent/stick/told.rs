//! What the broker heard of the stick, so that whoever does something while it is pushed hears of the end.

use std::collections::BTreeMap;

use super::StickTopic;
use crate::base::clock::Monotonic;
use crate::stick::{Action, Direction, Event};

/// Presses that were published, and the releases that are owed for them: one of each a direction at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pressed: BTreeMap<Direction, Pressed>,
    owed: BTreeMap<Direction, Owed>,
}

#[derive(Clone, Debug)]
struct Pressed {
    since: Monotonic,
    /// Where the press was told.
    topic: StickTopic,
}

/// A release that the broker has not acknowledged.
#[derive(Clone, Debug)]
struct Owed {
    topic: StickTopic,
    event: Event,
    is_on_its_way: bool,
}

impl Told {
    /// Whether an event is to be published: what goes on with a press that nobody heard of is not.
    pub(super) fn wants(&self, event: &Event) -> bool {
        match event.action {
            Action::Hold | Action::Release => self.pressed.contains_key(&event.direction),
            Action::Press | Action::Click | Action::Double | Action::Long => true,
        }
    }

    /// The connection has taken an event's message. A release is owed until the broker has it, or a later press takes
    /// its place.
    pub(super) fn handle_published(&mut self, topic: &StickTopic, event: &Event) {
        match event.action {
            Action::Press => {
                self.owed.remove(&event.direction);
                self.pressed.insert(event.direction, Pressed { since: event.time, topic: topic.clone() });
            }
            Action::Release => self.owe(topic, event, true),
            _ => {}
        }
    }

    /// An event could not be published: a release of a press that was told has to be, later on.
    pub(super) fn handle_missed(&mut self, topic: &StickTopic, event: &Event) {
        if event.action == Action::Release {
            self.owe(topic, event, false);
        }
    }

    fn owe(&mut self, topic: &StickTopic, event: &Event, is_on_its_way: bool) {
        self.pressed.remove(&event.direction);
        self.owed.insert(event.direction, Owed { topic: topic.clone(), event: *event, is_on_its_way });
    }

    /// The broker has the release that was on its way.
    pub(super) fn handle_delivered(&mut self, direction: Direction) {
        if self.owed.get(&direction).is_some_and(|owed| owed.is_on_its_way) {
            self.owed.remove(&direction);
        }
    }

    /// The connection is lost, with what was on its way.
    pub(super) fn handle_lost(&mut self) {
        self.owed.values_mut().for_each(|owed| owed.is_on_its_way = false);
    }

    /// The releases that have to be told, and where.
    pub(super) fn missed(&self) -> Vec<(StickTopic, Event)> {
        let missed = self.owed.values().filter(|owed| !owed.is_on_its_way);
        missed.map(|owed| (owed.topic.clone(), owed.event)).collect()
    }

    /// The releases that end what was told, and where that was.
    pub(super) fn let_go(&self, now: Monotonic) -> Vec<(StickTopic, Event)> {
        let release = |(direction, pressed): (&Direction, &Pressed)| {
            let held = Some(now.since(pressed.since));
            (pressed.topic.clone(), Event { direction: *direction, action: Action::Release, time: now, held })
        };
        self.pressed.iter().map(release).collect()
    }

    /// Another broker heard of nothing.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::mqtt::{QoS, TopicName};

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_secs(seconds))
    }

    fn event(action: Action, seconds: u64) -> Event {
        Event { direction: Direction::Up, action, time: at(seconds), held: None }
    }

    fn topic() -> StickTopic {
        StickTopic { topic: TopicName::new("t/stick").unwrap(), qos: QoS::AtLeastOnce }
    }

    /// One press was told.
    fn pressed() -> Told {
        let mut told = Told::default();
        told.handle_published(&topic(), &event(Action::Press, 1));
        told
    }

    #[test]
    fn the_end_of_a_press_that_nobody_heard_of_is_not_told() {
        let told = Told::default();
        assert!(told.wants(&event(Action::Press, 1)) && told.wants(&event(Action::Click, 1)));
        assert!(!told.wants(&event(Action::Hold, 1)) && !told.wants(&event(Action::Release, 1)));
        assert!(pressed().wants(&event(Action::Release, 2)));
    }

    #[test]
    fn a_release_that_could_not_be_told_waits_until_it_is_delivered() {
        let mut told = pressed();
        told.handle_missed(&topic(), &event(Action::Release, 2));
        assert_eq!(told.missed(), [(topic(), event(Action::Release, 2))]);
        assert!(!told.wants(&event(Action::Hold, 4)), "it belongs to a press that nobody heard of");
        told.handle_published(&topic(), &event(Action::Release, 2));
        assert!(told.missed().is_empty());
        told.handle_delivered(Direction::Up);
        told.handle_lost();
        assert!(told.missed().is_empty());
    }

    #[test]
    fn a_release_that_was_on_its_way_when_the_connection_was_lost_is_told_again() {
        let mut told = pressed();
        told.handle_published(&topic(), &event(Action::Release, 2));
        assert!(told.missed().is_empty());
        told.handle_lost();
        assert_eq!(told.missed(), [(topic(), event(Action::Release, 2))]);
    }

    #[test]
    fn a_later_press_takes_the_place_of_a_release_that_is_owed() {
        let mut told = pressed();
        told.handle_missed(&topic(), &event(Action::Release, 2));
        told.handle_published(&topic(), &event(Action::Press, 3));
        assert!(told.missed().is_empty());
        assert!(told.wants(&event(Action::Release, 4)));
    }

    #[test]
    fn letting_go_ends_what_was_told_where_it_was_told() {
        let mut told = pressed();
        let held = Some(Duration::from_secs(4));
        let release = Event { held, ..event(Action::Release, 5) };
        assert_eq!(told.let_go(at(5)), [(topic(), release)]);
        told.handle_missed(&topic(), &release);
        assert!(told.let_go(at(6)).is_empty());
        assert_eq!(told.missed(), [(topic(), release)]);
        told.forget();
        assert!(told.missed().is_empty() && !told.wants(&event(Action::Release, 7)));
    }
}
