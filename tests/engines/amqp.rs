//! A consumer over AMQP 0-9-1, the other protocol of RabbitMQ: pika in Python, `amqp_consumer.py`.

use std::path::Path;
use std::time::Duration;

use sensegate::base::clock;

use crate::place::Place;
use crate::sequences::Sequences;
use crate::server::ENGINE_PATIENCE;
use crate::support::{POLL, Process, Python};

/// What the script prints before a body.
const MARK: &str = "> ";

/// Where the queue's messages are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    /// On the node that it was declared on.
    Classic,
    /// On a majority of the nodes.
    Quorum,
}

/// A running consumer. Dropping it ends it; its queue stays.
pub(crate) struct AmqpConsumer {
    process: Process,
    sequences: Sequences,
}

impl AmqpConsumer {
    /// Declares a queue for `routing_key` (a topic of MQTT with dots for its slashes) and of that name, takes from it, and
    /// waits until it is bound. The ports, of loopback in `place`, are tried one after the other, from the first on.
    pub(crate) fn start(python: &Python, place: &Place, ports: &[u16], queue: Queue, routing_key: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engines/amqp_consumer.py");
        let queue = if queue == Queue::Classic { "classic" } else { "quorum" };
        let mut command = python.command(&script);
        command.args([routing_key, queue, routing_key]).args(ports.iter().map(u16::to_string));
        let process = place.start(&mut command);
        process.expect_line_with("ready");
        Self { process, sequences: Sequences::default() }
    }

    /// Waits until every number from `first` to `last` has come, and gives all that came.
    pub(crate) fn wait_for(&mut self, first: u64, last: u64) -> &Sequences {
        let deadline = clock::monotonic() + ENGINE_PATIENCE;
        while !self.sequences.gaps(first, last).is_empty() && clock::monotonic() < deadline {
            self.read(POLL);
        }
        &self.sequences
    }

    /// Waits until everything has come that came elsewhere, and gives all that came.
    pub(crate) fn wait_for_all_of(&mut self, elsewhere: &Sequences) -> &Sequences {
        let deadline = clock::monotonic() + ENGINE_PATIENCE;
        loop {
            self.read(POLL);
            let missing = self.sequences.missing_of(elsewhere);
            if missing.is_empty() {
                return &self.sequences;
            }
            assert!(clock::monotonic() < deadline, "{missing:?} of {elsewhere:?} are missing: {:?}", self.sequences);
        }
    }

    /// What came so far.
    pub(crate) fn sequences(&mut self) -> &Sequences {
        self.read(Duration::ZERO);
        &self.sequences
    }

    /// Reads lines until none comes for `patience`.
    fn read(&mut self, patience: Duration) {
        while let Some(line) = self.process.line_within(patience) {
            if let Some(body) = line.strip_prefix(MARK) {
                self.sequences.take(body.as_bytes());
            }
        }
    }
}
