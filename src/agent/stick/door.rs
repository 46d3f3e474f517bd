//! The agent's side of the stick: events in, what is to be published out.

use tokio::sync::mpsc;

use super::StickTopic;
use super::told::Told;
use crate::agent::Publication;
use crate::base::clock::{Monotonic, Wall};
use crate::stick::{Direction, Event};

/// What the agent needs to hear of the stick.
#[derive(Debug)]
pub struct StickDoor {
    events: mpsc::Receiver<Event>,
    told: Told,
}

impl StickDoor {
    pub(super) fn new(events: mpsc::Receiver<Event>) -> Self {
        Self { events, told: Told::default() }
    }

    /// Waits for an event; for ever when the task has ended. Cancel safe.
    pub(in crate::agent) async fn next_event(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// An event that is there already.
    pub(in crate::agent) fn try_next_event(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Whether the event is worth a message.
    pub(in crate::agent) fn wants(&self, event: &Event) -> bool {
        self.told.wants(event)
    }

    /// Remembers what became of an event's message.
    pub(in crate::agent) fn note(&mut self, topic: &StickTopic, event: &Event, outcome: Outcome) {
        match outcome {
            Outcome::Published => self.told.handle_published(topic, event),
            Outcome::Missed => self.told.handle_missed(topic, event),
        }
    }

    /// The broker has a release.
    pub(in crate::agent) fn handle_delivered(&mut self, direction: Direction) {
        self.told.handle_delivered(direction);
    }

    /// The connection is lost.
    pub(in crate::agent) fn handle_lost(&mut self) {
        self.told.handle_lost();
    }

    /// Releases that the broker has not, whose presses it had, and where they belong.
    pub(in crate::agent) fn missed(&self) -> Vec<(StickTopic, Event)> {
        self.told.missed()
    }

    /// Releases that end what was published, before the topic or the broker is another one.
    pub(in crate::agent) fn let_go(&self, now: Monotonic) -> Vec<(StickTopic, Event)> {
        self.told.let_go(now)
    }

    /// The broker is another one, which heard of nothing.
    pub(in crate::agent) fn forget(&mut self) {
        self.told.forget();
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::agent) enum Outcome {
    /// The connection has taken it.
    Published,
    /// There was none, or no room in it.
    Missed,
}

/// The message of an event.
pub(in crate::agent) fn publication(topic: &StickTopic, event: &Event, now: Monotonic, wall: Wall) -> Publication {
    let payload = event.to_json(now, wall).into_bytes();
    Publication { topic: topic.topic.clone(), payload, qos: topic.qos, retain: false }
}
