//! One rule: which topics cross, in which direction, under which names.

use thiserror::Error;

use crate::mqtt::{QoS, TopicFilter, TopicName};

/// Which way messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From here to there.
    Out,
    /// From there to here.
    In,
    /// Both.
    Both,
}

impl Direction {
    /// From here to there.
    pub const fn goes_out(self) -> bool {
        matches!(self, Self::Out | Self::Both)
    }

    /// From there to here.
    pub const fn comes_in(self) -> bool {
        matches!(self, Self::In | Self::Both)
    }
}

/// Which topics cross. `topic` stands behind the prefix of each side; empty, the prefixes are the two topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which way.
    pub direction: Direction,
    /// At most 1: the least of this and of the message's own counts.
    pub qos: QoS,
    /// Whether RETAIN goes along.
    pub retain: bool,
    /// What is added to or taken from names here.
    pub local_prefix: String,
    /// What is added to or taken from names there.
    pub remote_prefix: String,
    /// The topics here.
    pub local: TopicFilter,
    /// The topics there.
    pub remote: TopicFilter,
}

/// Why a rule makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RuleError {
    /// A prefix holds a wildcard.
    #[error("{0:?} holds a wildcard, which only `topic` may")]
    Prefix(String),
    /// Prefix and topic are no filter.
    #[error("makes {0:?}, which is no topic filter: {1}")]
    Filter(String, String),
    /// A filter that shares a subscription.
    #[error("makes {0:?}: shared subscriptions do not cross")]
    Shared(String),
}

impl Rule {
    /// The rule for `topic` behind the prefixes.
    ///
    /// # Errors
    /// When they make no filter.
    pub fn new(topic: &str, direction: Direction, local_prefix: &str, remote_prefix: &str) -> Result<Self, RuleError> {
        for prefix in [local_prefix, remote_prefix] {
            if prefix.contains(['+', '#']) {
                return Err(RuleError::Prefix(prefix.to_owned()));
            }
        }
        let filter = |prefix: &str| {
            let text = format!("{prefix}{topic}");
            let filter =
                TopicFilter::new_strict(&text).map_err(|error| RuleError::Filter(text.clone(), error.to_string()))?;
            if filter.as_str().starts_with("$share/") { Err(RuleError::Shared(text)) } else { Ok(filter) }
        };
        Ok(Self {
            direction,
            qos: QoS::AtLeastOnce,
            retain: true,
            local_prefix: local_prefix.to_owned(),
            remote_prefix: remote_prefix.to_owned(),
            local: filter(local_prefix)?,
            remote: filter(remote_prefix)?,
        })
    }

    /// The name there of a topic here; `None` where the rule does not match.
    pub fn out(&self, topic: &str) -> Option<String> {
        renamed(topic, &self.local, &self.local_prefix, &self.remote_prefix)
    }

    /// The name here of a topic there; `None` where the rule does not match.
    pub fn inward(&self, topic: &str) -> Option<String> {
        renamed(topic, &self.remote, &self.remote_prefix, &self.local_prefix)
    }
}

/// `topic` with the other prefix. `a/#` matches `a` too, which has no `a/` to take away: then it stays as it is behind
/// the new prefix without its slash.
fn renamed(topic: &str, filter: &TopicFilter, from: &str, to: &str) -> Option<String> {
    if !filter.matches(topic) {
        return None;
    }
    let name = match topic.strip_prefix(from) {
        Some(rest) => format!("{to}{rest}"),
        None => to.trim_end_matches('/').to_owned(),
    };
    TopicName::new(&name).ok().map(|_| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(topic: &str, prefixes: [&str; 2], here: &str, there: Option<&str>) {
        let [local, remote] = prefixes;
        let rule = Rule::new(topic, Direction::Both, local, remote).unwrap();
        assert_eq!(rule.out(here).as_deref(), there, "{topic} {prefixes:?} {here}");
        if let Some(there) = there {
            assert_eq!(rule.inward(there).as_deref(), Some(here), "back from {there}");
        }
    }

    #[test]
    fn prefixes_are_taken_away_and_added_as_mosquitto_does() {
        check("#", ["", ""], "a/b", Some("a/b"));
        check("#", ["myRasp/", "fleet/pi/"], "myRasp/sensors/temperature", Some("fleet/pi/sensors/temperature"));
        check("sensors/+", ["myRasp/", "site/"], "myRasp/sensors/humidity", Some("site/sensors/humidity"));
        check("sensors/+", ["myRasp/", "site/"], "myRasp/status", None);
        check("", ["myRasp/status", "fleet/pi/online"], "myRasp/status", Some("fleet/pi/online"));
        // `myRasp/#` matches `myRasp` itself
        check("#", ["myRasp/", "fleet/"], "myRasp", Some("fleet"));
    }

    #[test]
    fn what_makes_no_filter_is_refused() {
        let error = |topic, local, remote| Rule::new(topic, Direction::Out, local, remote).unwrap_err();
        assert!(matches!(error("x", "a/+/", ""), RuleError::Prefix(_)));
        assert!(matches!(error("", "", "b"), RuleError::Filter(..)));
        assert!(matches!(error("a#", "", ""), RuleError::Filter(..)));
        assert!(matches!(error("$share/g/a", "", ""), RuleError::Shared(_)));
    }
}
