//! Topic aliases of one connection, each way on its own (version 5, section 3.3.2.3.4).

use std::collections::HashMap;
use std::num::NonZeroU16;

use foldhash::fast::FixedState;

use crate::mqtt::TopicName;

/// Aliases that the client has given.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// By alias, less 1.
    topics: Vec<Option<TopicName>>,
}

impl Incoming {
    /// Lets `alias` stand for `topic` from now on.
    pub(super) fn set(&mut self, alias: NonZeroU16, topic: TopicName) {
        let place = usize::from(alias.get()) - 1;
        if self.topics.len() <= place {
            self.topics.resize(place + 1, None);
        }
        if let Some(known) = self.topics.get_mut(place) {
            *known = Some(topic);
        }
    }

    /// What `alias` stands for; `None` when nothing was said of it.
    pub(super) fn get(&self, alias: NonZeroU16) -> Option<TopicName> {
        self.topics.get(usize::from(alias.get()) - 1).cloned().flatten()
    }
}

/// Aliases that the broker has given: to the topics that came first, as long as there are any.
#[derive(Debug)]
pub(super) struct Outgoing {
    most: u16,
    aliases: HashMap<TopicName, NonZeroU16, FixedState>,
}

/// What an alias does in a PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alias {
    /// Stands beside the topic: it is told with this packet, which may therefore not be left out.
    Told(NonZeroU16),
    /// Stands in its place.
    Known(NonZeroU16),
}

impl Outgoing {
    /// At most `most` of them; 0 for a client that takes none [MQTT-3.1.2-26], [MQTT-3.1.2-27].
    pub(super) fn new(most: u16) -> Self {
        Self { most, aliases: HashMap::with_hasher(FixedState::default()) }
    }

    /// Whether topics have aliases at all.
    pub(super) const fn is_used(&self) -> bool {
        self.most > 0
    }

    /// The alias for `topic`; `None` when there is none left.
    pub(super) fn of(&self, topic: &str) -> Option<Alias> {
        if let Some(alias) = self.aliases.get(topic) {
            return Some(Alias::Known(*alias));
        }
        let next = u16::try_from(self.aliases.len()).ok()?.checked_add(1).filter(|next| *next <= self.most)?;
        NonZeroU16::new(next).map(Alias::Told)
    }

    /// The alias was told with a packet that goes out.
    pub(super) fn told(&mut self, alias: NonZeroU16, topic: &str) {
        if let Ok(topic) = TopicName::new(topic) {
            self.aliases.insert(topic, alias);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(number: u16) -> NonZeroU16 {
        NonZeroU16::new(number).unwrap()
    }

    #[test]
    fn the_first_topics_get_aliases_and_later_ones_none() {
        let mut outgoing = Outgoing::new(2);
        assert_eq!(outgoing.of("a"), Some(Alias::Told(alias(1))));
        outgoing.told(alias(1), "a");
        outgoing.told(alias(2), "b");
        assert_eq!(outgoing.of("a"), Some(Alias::Known(alias(1))));
        assert_eq!(outgoing.of("b"), Some(Alias::Known(alias(2))));
        assert_eq!(outgoing.of("c"), None);
        assert_eq!(Outgoing::new(0).of("a"), None);
    }

    #[test]
    fn an_alias_stands_for_what_was_said_last() {
        let mut incoming = Incoming::default();
        incoming.set(alias(3), TopicName::new("a").unwrap());
        assert_eq!(incoming.get(alias(1)), None);
        assert_eq!(incoming.get(alias(4)), None);
        incoming.set(alias(3), TopicName::new("b").unwrap());
        assert_eq!(incoming.get(alias(3)), TopicName::new("b").ok());
    }
}
