//! `mosquitto_sub` and `mosquitto_pub`.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Gateway, PATIENCE, Process};

/// What `mosquitto_sub` prints before a message when [`Subscriber`] runs it; its own debug lines lack it.
const MARK: &str = "> ";

/// A running `mosquitto_sub` whose subscription is acknowledged.
pub struct Subscriber {
    process: Process,
}

/// A message as `mosquitto_sub` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Topic name.
    pub topic: String,
    /// QoS it was delivered with.
    pub qos: u8,
    /// Whether it came from the retained store.
    pub retain: bool,
    /// Payload.
    pub payload: String,
}

impl Subscriber {
    /// Subscribes to `filter` with QoS 0.
    pub fn start(gateway: &Gateway, filter: &str) -> Self {
        Self::start_with(gateway, &["-t", filter])
    }

    /// Subscribes with the given flags of `mosquitto_sub`. Not for queued messages (`-c`): they may come before the
    /// acknowledgement, and what comes before it is passed over.
    pub fn start_with(gateway: &Gateway, flags: &[&str]) -> Self {
        Self::run(&[&["-h", "127.0.0.1", "-p", &gateway.port().to_string()], flags].concat())
    }

    /// Subscribes with the given flags of `mosquitto_sub`, those among them that say where.
    pub fn run(flags: &[&str]) -> Self {
        // It holds its debug lines back when its output is a pipe; stdbuf (coreutils) makes it print line by line.
        let mut command = Command::new("stdbuf");
        command.args(["-oL", "mosquitto_sub", "-d", "-F", "> %t %q %r %p"]).args(flags);
        let process = Process::spawn(&mut command);
        process.expect_line_with("Subscribed (mid:");
        Self { process }
    }

    /// The next message.
    pub fn message(&self) -> Message {
        self.message_within(PATIENCE).unwrap_or_else(|| panic!("no further message; {}", self.process.printed()))
    }

    /// The next message, or `None` when nothing more is printed for `patience`.
    pub fn message_within(&self, patience: Duration) -> Option<Message> {
        loop {
            let line = self.process.line_within(patience)?;
            if let Some(message) = line.strip_prefix(MARK) {
                return Some(parse_message(message));
            }
        }
    }

    /// The messages up to, and without, the one whose payload is `last`.
    pub fn messages_until(&self, last: &str) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let message = self.message();
            if message.payload == last {
                return messages;
            }
            messages.push(message);
        }
    }

    /// The process itself.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn parse_message(line: &str) -> Message {
    let mut parts = line.splitn(4, ' ');
    let mut part = || parts.next().unwrap_or_else(|| panic!("a message, not {line:?}")).to_owned();
    let (topic, qos, retain, payload) = (part(), part(), part(), part());
    Message { topic, qos: qos.parse().unwrap(), retain: retain == "1", payload }
}

/// Runs `mosquitto_pub` with the given flags until it ends; panics when it fails.
pub fn publish(gateway: &Gateway, flags: &[&str]) {
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "127.0.0.1", "-p", &gateway.port().to_string()]).args(flags);
    Process::spawn(&mut command).expect_success();
}

/// Whether the programs are installed.
pub fn has_mosquitto_clients() -> bool {
    ["mosquitto_sub", "mosquitto_pub"].iter().all(|program| {
        let mut command = Command::new(program);
        command.arg("--help").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    })
}
