//! The agent's side of the matrix: payloads in, what is to be published out. Nothing here waits for the thread.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tracing::{debug, warn};

use super::LedsTopics;
use super::inbox::Inbox;
use super::report::Report;
use crate::agent::Publication;
use crate::agent::state::json;
use crate::base::clock::{Monotonic, Wall};
use crate::matrix::{Command, CommandError};
use crate::mqtt::QoS;
use crate::sensors::Readings;

/// A refused command is told to the log once in so long; those between are told to its developer level.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// What the agent needs to hand commands and values to the thread, and to hear of it.
#[derive(Debug)]
pub struct LedsDoor {
    inbox: Arc<Inbox>,
    reports: watch::Receiver<Option<Report>>,
    last_logged: Option<Monotonic>,
}

impl LedsDoor {
    pub(super) fn new(inbox: Arc<Inbox>, reports: watch::Receiver<Option<Report>>) -> Self {
        Self { inbox, reports, last_logged: None }
    }

    /// Waits until there is another state; for ever when the thread has ended. Cancel safe.
    pub(in crate::agent) async fn changed(&mut self) {
        if self.reports.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether there is a state that [`LedsDoor::state`] has not given yet.
    pub(in crate::agent) fn has_news(&self) -> bool {
        self.reports.borrow().has_changed()
    }

    /// The message with the newest state, where there is one.
    pub(in crate::agent) fn state(&mut self, topics: &LedsTopics, now: Monotonic, wall: Wall) -> Option<Publication> {
        let payload = self.reports.borrow_and_update().as_ref()?.to_json(now, wall).into_bytes();
        Some(Publication { topic: topics.state.clone(), payload, qos: QoS::AtLeastOnce, retain: true })
    }

    /// Takes the values of a sample.
    pub(in crate::agent) fn handle_readings(&self, readings: &Readings) {
        let values = readings.iter().map(|(quantity, reading)| (quantity.name(), reading.as_ref().ok().copied()));
        let values = values.collect();
        self.inbox.put(|news| news.values = Some(values));
    }

    /// Takes a command; gives the message that says why it is refused.
    pub(in crate::agent) fn handle_payload(
        &mut self,
        topics: &LedsTopics,
        payload: &[u8],
        now: Monotonic,
        wall: Wall,
    ) -> Option<Publication> {
        match Command::parse(payload) {
            Ok(command) => {
                self.inbox.put_command(command);
                None
            }
            Err(error) => {
                self.log(topics, &error, now);
                Some(refusal(topics, &error, wall))
            }
        }
    }

    fn log(&mut self, topics: &LedsTopics, error: &CommandError, now: Monotonic) {
        if self.last_logged.is_some_and(|last| now.since(last) < LOG_INTERVAL) {
            return debug!("a command on {} is refused: {error}", topics.set);
        }
        self.last_logged = Some(now);
        warn!("a command on {} is refused: {error}", topics.set);
    }
}

#[derive(Serialize)]
struct RefusalJson {
    error: String,
    time: String,
}

fn refusal(topics: &LedsTopics, error: &CommandError, wall: Wall) -> Publication {
    let payload = json(&RefusalJson { error: error.to_string(), time: wall.to_string() }).into_bytes();
    Publication { topic: topics.error.clone(), payload, qos: QoS::AtLeastOnce, retain: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::TopicName;

    fn topics() -> LedsTopics {
        let topic = |name: &str| TopicName::new(name).unwrap();
        LedsTopics { set: topic("t/leds/set"), state: topic("t/leds"), error: topic("t/leds/error") }
    }

    #[test]
    fn a_command_goes_to_the_thread_and_a_bad_one_to_the_topic_of_errors() {
        let (_told, reports) = watch::channel(None);
        let inbox = Arc::new(Inbox::default());
        let mut door = LedsDoor::new(Arc::clone(&inbox), reports);
        let wall = Wall::from_unix_ms(0);
        assert_eq!(door.handle_payload(&topics(), br#"{"fill": "red"}"#, Monotonic::ZERO, wall), None);
        let refused = door.handle_payload(&topics(), br#"{"rotation": 45}"#, Monotonic::ZERO, wall).unwrap();
        let expected =
            r#"{"error":"rotation: is 45, 0, 90, 180 or 270 is expected","time":"1970-01-01T00:00:00.000Z"}"#;
        assert_eq!(String::from_utf8(refused.payload).unwrap(), expected);
        assert_eq!((refused.topic.as_str(), refused.qos, refused.retain), ("t/leds/error", QoS::AtLeastOnce, false));
        assert_eq!(inbox.take(None).command, Some(Command::parse(br#"{"fill": "red"}"#).unwrap()));
    }

    #[test]
    fn there_is_no_state_to_tell_before_the_thread_told_one() {
        let (_told, reports) = watch::channel(None);
        let mut door = LedsDoor::new(Arc::default(), reports);
        assert_eq!(door.state(&topics(), Monotonic::ZERO, Wall::default()), None);
        assert!(!door.has_news());
    }
}
