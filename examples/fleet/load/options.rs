//! What a run is to do, decided.

use std::net::SocketAddr;
use std::time::Duration;

use sensegate::base::secret::Secret;
use sensegate::mqtt::{QoS, TopicError, TopicFilter, TopicName};

/// What stands in templates for a gateway's client identifier.
const PLACEHOLDER: &str = "{gateway}";

/// The number of the first gateway, as its client identifier shows it: `sensegate-f1ee70000000`.
const FIRST_NUMBER: u64 = 0xf1ee_7000_0000;

/// Consumers at most: what one of them saw is a bit of a sample's entry.
pub(crate) const CONSUMERS_MAX: u16 = 16;

/// Samples of a whole run at most, at 8 bytes each.
pub(crate) const SAMPLES_MAX: u64 = 20_000_000;

/// One run.
#[derive(Debug)]
pub(crate) struct Options {
    /// The broker.
    pub(crate) address: SocketAddr,
    /// How many gateways.
    pub(crate) gateways: u32,
    /// The number of the first, so that several processes can share a fleet.
    pub(crate) first: u32,
    /// Time between two samples of a gateway.
    pub(crate) interval: Duration,
    /// Samples of each gateway.
    pub(crate) samples: u32,
    /// Quality of service of the samples and of the subscriptions, 0 or 1. Birth and will have 1.
    pub(crate) qos: QoS,
    /// User name, which may hold `{gateway}`, and password.
    pub(crate) credentials: Option<(Template, Secret)>,
    /// Where samples go.
    pub(crate) samples_topic: Template,
    /// Where birth and will go.
    pub(crate) status_topic: Template,
    /// How many clients check what arrives, up to [`CONSUMERS_MAX`].
    pub(crate) consumers: u16,
    /// The group in which they share the subscription.
    pub(crate) shared: Option<String>,
    /// Whether the sessions of the consumers outlive their connections.
    pub(crate) is_persistent: bool,
    /// Connections opened a second; 0 for as many as the broker answers.
    pub(crate) connect_rate: u32,
    /// How long the end of a phase is waited for while nothing happens.
    pub(crate) patience: Duration,
    /// The broker's process, if it is to be measured too.
    pub(crate) broker_pid: Option<u32>,
}

impl Options {
    /// The client identifier of the gateway at `place`: as a gateway's own, `sensegate-` and 12 digits.
    pub(crate) fn client_id(&self, place: u32) -> String {
        format!("sensegate-{:012x}", FIRST_NUMBER + u64::from(self.first) + u64::from(place))
    }

    /// The client identifier of a consumer.
    pub(super) fn consumer_id(&self, place: u16) -> String {
        format!("sensegate-fleet-{:x}-{place}", self.first)
    }

    /// What the consumers subscribe to.
    pub(super) fn filter(&self) -> Result<TopicFilter, TopicError> {
        let filter = self.samples_topic.of("+");
        TopicFilter::new(&self.shared.as_ref().map_or(filter.clone(), |group| format!("$share/{group}/{filter}")))
    }

    /// Samples of all gateways.
    pub(crate) fn samples_of_all(&self) -> u64 {
        u64::from(self.gateways) * u64::from(self.samples)
    }
}

/// A text in which `{gateway}` stands for a client identifier.
#[derive(Clone, Debug)]
pub(crate) struct Template(String);

impl Template {
    /// Takes any text.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Takes the template of a topic.
    ///
    /// # Errors
    /// When `{gateway}` is not a level of its own, once, or when it does not give a topic.
    pub(crate) fn topic(text: &str) -> Result<Self, String> {
        let levels = text.split('/').filter(|level| *level == PLACEHOLDER).count();
        if levels != 1 || text.matches(PLACEHOLDER).count() != 1 {
            return Err(format!("{PLACEHOLDER} is expected once, as a level of its own"));
        }
        let template = Self::new(text);
        TopicName::check(&template.of("x")).map_err(|error| error.to_string())?;
        Ok(template)
    }

    /// The text for `client_id`.
    pub(crate) fn of(&self, client_id: &str) -> String {
        self.0.replace(PLACEHOLDER, client_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_holds_the_gateway_once_and_as_a_level_of_its_own() {
        let template = Template::topic("fleet/{gateway}/samples").unwrap();
        assert_eq!((template.of("+"), template.of("g")), ("fleet/+/samples".into(), "fleet/g/samples".into()));
        for wrong in
            ["fleet/samples", "fleet/x{gateway}/samples", "{gateway}/{gateway}", "{gateway}/x-{gateway}", "{gateway}/#"]
        {
            assert!(Template::topic(wrong).is_err(), "{wrong}");
        }
    }
}
