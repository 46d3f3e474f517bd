//! What the agent does for the stick: its events to the broker, none of them late but the releases that were missed.

use super::Agent;
use crate::agent::delivery::Receipt;
use crate::agent::stick::{Outcome, StickDoor, StickTopic, publication};
use crate::base::clock;
use crate::stick::Event;

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
        if self.stick.as_ref().is_some_and(|stick| stick.wants(event)) {
            self.tell_stick_event(event);
        }
    }

    /// Publishes the releases that were missed, as far as it can.
    pub(super) fn tell_missed_releases(&mut self) {
        let missed = self.stick.as_ref().map(StickDoor::missed).unwrap_or_default();
        for event in &missed {
            self.tell_stick_event(event);
        }
    }

    /// Ends every press that was told, since what follows goes elsewhere.
    pub(super) fn let_go_of_stick(&mut self) {
        let releases = self.stick.as_mut().map(|stick| stick.let_go(clock::monotonic())).unwrap_or_default();
        for event in &releases {
            self.tell_stick_event(event);
        }
    }

    /// Publishes the events that are there already.
    pub(super) fn finish_stick(&mut self) {
        while let Some(event) = self.stick.as_mut().and_then(StickDoor::try_next_event) {
            self.handle_stick_event(&event);
        }
    }

    fn tell_stick_event(&mut self, event: &Event) {
        let outcome = match self.options.stick.clone() {
            Some(topic) if self.connection.is_up() => self.publish_stick_event(&topic, event),
            _ => Outcome::Missed,
        };
        if let Some(stick) = &mut self.stick {
            stick.note(event, outcome);
        }
    }

    fn publish_stick_event(&mut self, topic: &StickTopic, event: &Event) -> Outcome {
        let message = publication(topic, event, clock::monotonic(), clock::wall());
        if self.publish(message, Receipt::None) { Outcome::Published } else { Outcome::Missed }
    }
}
