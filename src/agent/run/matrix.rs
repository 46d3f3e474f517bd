//! What the agent does for the LED matrix: commands to its thread, its state and its refusals to the broker.

use rumqttc::Publish;
use tracing::warn;

use super::Agent;
use crate::agent::delivery::Receipt;
use crate::agent::leds::LedsDoor;
use crate::base::clock;
use crate::mqtt::TopicName;

/// Waits until the LED matrix has another state.
pub(super) async fn leds_changed(leds: &mut Option<LedsDoor>) {
    match leds {
        Some(leds) => leds.changed().await,
        None => std::future::pending().await,
    }
}

impl Agent {
    /// A command to the matrix. What was on its way while the topic was renamed is none any more.
    pub(super) fn handle_incoming(&mut self, publish: &Publish) {
        let (Some(topics), Some(leds)) = (&self.options.leds, &mut self.leds) else { return };
        if topics.set.as_str() != publish.topic {
            return;
        }
        let refusal = leds.handle_payload(topics, &publish.payload, clock::monotonic(), clock::wall());
        if let Some(refusal) = refusal {
            self.publish(refusal, Receipt::None);
        }
    }

    /// Publishes the state of the matrix; while there is no connection it waits for the next one.
    pub(super) fn tell_leds(&mut self) {
        let (Some(topics), Some(leds)) = (&self.options.leds, &mut self.leds) else { return };
        if !self.connection.is_up() {
            return;
        }
        if let Some(state) = leds.state(topics, clock::monotonic(), clock::wall()) {
            self.publish(state, Receipt::None);
        }
    }

    /// Asks for commands to the matrix, instead of for those on the topic `before`. It comes before everything that is
    /// said, so that no answer to an announcement is missed.
    pub(super) fn subscribe(&self, before: Option<&TopicName>) {
        let wanted = self.options.leds.as_ref().map(|leds| &leds.set);
        if before == wanted {
            return;
        }
        let is_left = before.is_none_or(|topic| self.connection.try_unsubscribe(topic));
        let is_asked = wanted.is_none_or(|topic| self.connection.try_subscribe(topic));
        if !is_left || !is_asked {
            warn!("{} takes messages too slowly: commands to the LED matrix are not heard", self.options.broker);
        }
    }
}
