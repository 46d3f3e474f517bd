//! The retained topics the gateway has left on a broker, remembered across restarts so that one that is renamed or
//! switched off can be cleared.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::keep::{self, KeepError};
use crate::mqtt::TopicName;

/// The topics by broker, in a small JSON file that is written only when they change.
///
/// A topic is remembered before its first message leaves, and forgotten only when the broker has taken the message
/// that clears it: a crash between costs one clearing too many, never one too few.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    book: Book,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Book {
    /// Broker's address to topic names.
    retained: BTreeMap<String, BTreeSet<String>>,
}

impl Memory {
    /// An empty memory that will be kept in `path`.
    pub(super) fn empty(path: PathBuf) -> Self {
        Self { path, book: Book::default() }
    }

    /// Reads the memory; a file that is not there is an empty one.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else.
    pub(super) fn load(path: &Path) -> Result<Self, KeepError> {
        Ok(Self { path: path.into(), book: keep::load(path)?.unwrap_or_default() })
    }

    /// Topics left on `broker` that `wanted` does not hold any more.
    pub(super) fn gone(&self, broker: &str, wanted: &BTreeSet<TopicName>) -> Vec<TopicName> {
        let left = self.book.retained.get(broker).into_iter().flatten();
        // a name that was edited into something else cannot be published to: it is passed over
        left.filter_map(|topic| TopicName::new(topic).ok()).filter(|topic| !wanted.contains(topic)).collect()
    }

    /// Adds `topics` to what is left on `broker`.
    ///
    /// # Errors
    /// When the file cannot be written; in memory the topics are remembered all the same.
    pub(super) fn remember(&mut self, broker: &str, topics: &BTreeSet<TopicName>) -> Result<(), KeepError> {
        let mut changed = false;
        let left = self.book.retained.entry(broker.to_owned()).or_default();
        for topic in topics {
            changed |= left.insert(topic.as_str().to_owned());
        }
        if changed { self.save() } else { Ok(()) }
    }

    /// Takes `topic` out: the broker holds nothing there any more.
    ///
    /// # Errors
    /// When the file cannot be written; then the topic is cleared once more after the next start.
    pub(super) fn forget(&mut self, broker: &str, topic: &TopicName) -> Result<(), KeepError> {
        let left = self.book.retained.get_mut(broker);
        let changed = left.is_some_and(|left| left.remove(topic.as_str()));
        if changed { self.save() } else { Ok(()) }
    }

    fn save(&self) -> Result<(), KeepError> {
        keep::save(&self.path, &self.book)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn topics(names: &[&str]) -> BTreeSet<TopicName> {
        names.iter().map(|name| TopicName::new(name).unwrap()).collect()
    }

    #[test]
    fn a_topic_is_gone_until_the_broker_has_taken_its_clearing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("topics.json");
        let mut memory = Memory::load(&path).unwrap();
        memory.remember("here", &topics(&["a", "b"])).unwrap();

        let mut memory = Memory::load(&path).unwrap();
        let gone = memory.gone("here", &topics(&["b", "c"]));
        assert_eq!(gone, [TopicName::new("a").unwrap()]);
        assert_eq!(Memory::load(&path).unwrap().gone("here", &topics(&["b"])).len(), 1);

        memory.forget("here", &gone[0]).unwrap();
        assert_eq!(Memory::load(&path).unwrap().gone("here", &topics(&["b"])), []);
    }

    #[test]
    fn each_broker_has_topics_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let mut memory = Memory::load(&directory.path().join("topics.json")).unwrap();
        memory.remember("here", &topics(&["a"])).unwrap();
        assert_eq!(memory.gone("there", &topics(&[])), []);
        memory.remember("there", &topics(&["b"])).unwrap();
        assert_eq!(memory.gone("here", &topics(&[])).len(), 1);
    }

    #[test]
    fn the_file_is_written_only_when_the_set_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("topics.json");
        let mut memory = Memory::load(&path).unwrap();
        memory.remember("here", &topics(&["a"])).unwrap();
        fs::remove_file(&path).unwrap();
        memory.remember("here", &topics(&["a"])).unwrap();
        memory.forget("here", &TopicName::new("z").unwrap()).unwrap();
        assert!(!path.exists());
        memory.remember("here", &topics(&["b"])).unwrap();
        assert!(path.exists());
    }

    #[test]
    fn a_file_with_something_else_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("topics.json");
        fs::write(&path, "[1]").unwrap();
        let error = Memory::load(&path).unwrap_err();
        assert!(error.to_string().contains("topics.json"), "{error}");
    }
}
