//! What kinds of brokers do not take, or take otherwise than they say.

/// Levels that EMQX takes (`max_topic_levels`).
const EMQX_LEVELS_MAX: usize = 128;

/// What a broker takes at a time that says nothing about it (`HiveMQ`, Server Receive Maximum).
const HIVEMQ_RECEIVE_MAX: usize = 10;

/// Names longer than this are cut or refused somewhere.
const LONG_BYTES: usize = 256;

/// A kind of broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Any that keeps to the standards.
    #[default]
    Generic,
    /// EMQX 5 and 6.
    Emqx,
    /// `HiveMQ` 4, CE and Edge.
    Hivemq,
    /// RabbitMQ with its MQTT plugin: topics become routing keys, `/` becomes `.`.
    Rabbitmq,
    /// NATS with JetStream: topics become subjects, `/` becomes `.`.
    Nats,
    /// `VerneMQ`.
    Vernemq,
}

/// What may be wrong with a name, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lint {
    /// This broker does not take it.
    Refused(&'static str),
    /// Some brokers do not, or treat it in their own way.
    Doubtful(&'static str),
}

impl Profile {
    /// All of them, by their names.
    pub const ALL: [(&'static str, Self); 6] = [
        ("generic", Self::Generic),
        ("emqx", Self::Emqx),
        ("hivemq", Self::Hivemq),
        ("rabbitmq", Self::Rabbitmq),
        ("nats", Self::Nats),
        ("vernemq", Self::Vernemq),
    ];

    /// Whether it speaks version 5.
    pub const fn speaks_5(self) -> bool {
        !matches!(self, Self::Nats)
    }

    /// Messages that it takes at a time, where it does not say so itself.
    pub const fn inflight_max(self) -> usize {
        match self {
            Self::Hivemq => HIVEMQ_RECEIVE_MAX,
            _ => usize::MAX,
        }
    }

    /// What there is to say about retained messages.
    pub const fn retain_note(self) -> Option<&'static str> {
        match self {
            Self::Rabbitmq => Some("RabbitMQ keeps retained messages on one node, and sends none for a wildcard"),
            Self::Nats => Some("NATS replicates retained messages when it can, not before it acknowledges"),
            Self::Vernemq => Some("VerneMQ's nodes agree on retained messages after a while"),
            _ => None,
        }
    }

    /// Whether a message can have this name there.
    ///
    /// # Errors
    /// Why not.
    pub fn check_topic(self, topic: &str) -> Result<(), &'static str> {
        match self.refusal(topic) {
            Some(reason) => Err(reason),
            None => Ok(()),
        }
    }

    fn refusal(self, topic: &str) -> Option<&'static str> {
        let levels = || topic.split('/');
        match self {
            Self::Emqx if levels().count() > EMQX_LEVELS_MAX => Some("EMQX takes 128 levels"),
            Self::Rabbitmq if topic.contains('.') => Some("RabbitMQ reads `.` as `/`"),
            Self::Nats if topic.contains(' ') => Some("NATS takes no space and closes the connection"),
            Self::Nats if topic.contains('.') => Some("NATS 2.9 takes no `.`, later ones rename it"),
            Self::Nats if levels().any(|level| matches!(level, "*" | ">")) => {
                Some("NATS takes `*` and `>` for wildcards")
            }
            _ => None,
        }
    }

    /// What is to be said about the names that a filter or a prefix makes there.
    pub fn lint(self, name: &str) -> Vec<Lint> {
        let refused = self.refusal(name).map(Lint::Refused);
        let inner = name.trim_end_matches('#').trim_end_matches('/');
        let doubtful = [
            (name.contains('.'), "a `.` is a separator for RabbitMQ and NATS"),
            (name.contains(' '), "NATS closes the connection over a space"),
            (name.contains(['*', '>']), "`*` and `>` are wildcards for NATS"),
            (name.contains('$'), "names with `$` belong to the broker"),
            (name.starts_with('/'), "it begins with an empty level"),
            (inner.contains("//"), "it has an empty level"),
            (!name.is_ascii(), "it is not plain ASCII"),
            (name.len() > LONG_BYTES, "it is longer than 256 bytes"),
            (name.split('/').count() > EMQX_LEVELS_MAX, "it has more than 128 levels"),
        ];
        let doubtful = doubtful.into_iter().filter(|(is_so, _)| *is_so).map(|(_, text)| Lint::Doubtful(text));
        refused.into_iter().chain(doubtful).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_broker_has_names_that_it_does_not_take() {
        for (profile, topic, is_taken) in [
            (Profile::Generic, "a.b/ c", true),
            (Profile::Rabbitmq, "a.b", false),
            (Profile::Nats, "a b", false),
            (Profile::Nats, "a.b", false),
            (Profile::Nats, "a/*/b", false),
            (Profile::Nats, "/a/b", true),
            (Profile::Emqx, "myRasp/sensors/temperature", true),
        ] {
            assert_eq!(profile.check_topic(topic).is_ok(), is_taken, "{profile:?} {topic}");
        }
        assert!(Profile::Emqx.check_topic(&"a/".repeat(128)).is_err());
    }

    #[test]
    fn names_that_travel_badly_are_told() {
        assert_eq!(Profile::Generic.lint("fleet/pi/#"), []);
        assert_eq!(Profile::Generic.lint("/a"), [Lint::Doubtful("it begins with an empty level")]);
        assert!(matches!(Profile::Rabbitmq.lint("a.b")[..], [Lint::Refused(_), Lint::Doubtful(_)]));
    }
}
