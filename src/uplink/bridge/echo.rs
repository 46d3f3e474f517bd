//! What was sent and is expected back. A broker of MQTT 3.1.1 sends a client its own messages, where it subscribes to
//! them: they are known again by topic and payload, and go no further.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use crate::base::clock::Monotonic;

/// How long an echo is waited for.
const ECHO_WAIT: Duration = Duration::from_secs(60);

/// Echoes that are waited for; beyond it the oldest is given up, and would pass as a message.
const ECHOES_MAX: usize = 4096;

/// Messages whose echo is still to come, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Echoes {
    hasher: RandomState,
    /// Counts connections.
    connection: u64,
    expected: VecDeque<Expected>,
}

#[derive(Clone, Copy, Debug)]
struct Expected {
    sent: Monotonic,
    connection: u64,
    hash: u64,
}

impl Echoes {
    /// A connection begins: without the session of the one before, none of its echoes will come.
    pub(super) fn handle_connection(&mut self, session_present: bool) {
        self.connection += 1;
        if !session_present {
            self.expected.clear();
        }
    }

    /// A message goes out whose echo will come. Like one of an earlier connection it may be that one, sent once more
    /// because it was lost: then one echo comes. Two would come if it was not, and the second one passes: a message too
    /// many, where a message too few was the other choice.
    pub(super) fn remember(&mut self, topic: &str, payload: &[u8], now: Monotonic) {
        self.forget_old(now);
        let (connection, hash) = (self.connection, self.hasher.hash_one((topic, payload)));
        let is_repeated = |expected: &Expected| expected.hash == hash && expected.connection < connection;
        if let Some(at) = self.expected.iter().position(is_repeated) {
            self.expected.remove(at);
        }
        if self.expected.len() >= ECHOES_MAX {
            self.expected.pop_front();
        }
        self.expected.push_back(Expected { sent: now, connection, hash });
    }

    /// Whether a message is an echo; each is one once.
    pub(super) fn take(&mut self, topic: &str, payload: &[u8], now: Monotonic) -> bool {
        self.forget_old(now);
        let hash = self.hasher.hash_one((topic, payload));
        let found = self.expected.iter().position(|expected| expected.hash == hash);
        found.and_then(|at| self.expected.remove(at)).is_some()
    }

    fn forget_old(&mut self, now: Monotonic) {
        while self.expected.front().is_some_and(|expected| now.since(expected.sent) > ECHO_WAIT) {
            self.expected.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_secs(second))
    }

    #[test]
    fn each_message_has_one_echo_for_a_minute() {
        let mut echoes = Echoes::default();
        echoes.remember("a", b"x", at(0));
        echoes.remember("a", b"x", at(1));
        assert!(!echoes.take("a", b"y", at(2)));
        assert!(echoes.take("a", b"x", at(2)));
        assert!(echoes.take("a", b"x", at(2)));
        assert!(!echoes.take("a", b"x", at(2)));
        echoes.remember("a", b"x", at(3));
        assert!(!echoes.take("a", b"x", at(64)));
    }
}
