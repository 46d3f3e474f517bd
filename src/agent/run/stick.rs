//! What the agent does for the stick: its events to the broker, none of them late but the releases that were missed.

use super::Agent;
use crate::agent::delivery::Receipt;
use crate::agent::stick::{Outcome, StickDoor, StickTopic, publication};
use crate::base::clock;
use crate::stick::{Action, Direction, Event};

/// Waits for an event of the stick.
pub(super) async fn next_stick_event(stick: &mut Option<StickDoor>) -> Event {
    match stick {
        Some(stick) => stick.next_event().await,
        None => std::future::pending().await,
    }
}

impl Agent {
    /// Publishes an event. While there is no connection nothing is kept: what somebody pressed minutes ago is not what
    /// he wants now. Only the release of a press that the broker heard of is told later.
    pub(super) fn handle_stick_event(&mut self, event: &Event) {
        self.tell_missed_releases();
        let Some(topic) = self.options.stick.clone() else { return };
        if self.stick.as_ref().is_some_and(|stick| stick.wants(event)) {
            self.tell_stick_event(&topic, event);
        }
    }

    /// Publishes the releases that were missed, as far as it can.
    pub(super) fn tell_missed_releases(&mut self) {
        let missed = self.stick.as_ref().map(StickDoor::missed).unwrap_or_default();
        self.tell_stick_events(&missed);
    }

    /// Ends every press that was told, since what follows goes elsewhere.
    pub(super) fn let_go_of_stick(&mut self) {
        let releases = self.stick.as_ref().map(|stick| stick.let_go(clock::monotonic())).unwrap_or_default();
        self.tell_stick_events(&releases);
    }

    /// The broker has a release.
    pub(super) fn stick_delivered(&mut self, direction: Direction) {
        if let Some(stick) = &mut self.stick {
            stick.handle_delivered(direction);
        }
    }

    /// What was on its way is lost with the connection.
    pub(super) fn stick_lost(&mut self) {
        if let Some(stick) = &mut self.stick {
            stick.handle_lost();
        }
    }

    /// The next broker heard of no press.
    pub(super) fn forget_stick(&mut self) {
        if let Some(stick) = &mut self.stick {
            stick.forget();
        }
    }

    /// Publishes the events that are there already.
    pub(super) fn finish_stick(&mut self) {
        while let Some(event) = self.stick.as_mut().and_then(StickDoor::try_next_event) {
            self.handle_stick_event(&event);
        }
    }

    fn tell_stick_events(&mut self, events: &[(StickTopic, Event)]) {
        for (topic, event) in events {
            self.tell_stick_event(topic, event);
        }
    }

    fn tell_stick_event(&mut self, topic: &StickTopic, event: &Event) {
        let is_taken = self.connection.is_up() && self.publish_stick_event(topic, event);
        let outcome = if is_taken { Outcome::Published } else { Outcome::Missed };
        if let Some(stick) = &mut self.stick {
            stick.note(topic, event, outcome);
        }
    }

    fn publish_stick_event(&mut self, topic: &StickTopic, event: &Event) -> bool {
        let message = publication(topic, event, clock::monotonic(), clock::wall());
        let is_release = event.action == Action::Release;
        let receipt = if is_release { Receipt::Released(event.direction) } else { Receipt::None };
        self.publish(message, receipt)
    }
}
