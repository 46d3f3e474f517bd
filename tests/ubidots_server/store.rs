//! What was stored: dots in the order of their arrival.

use sensegate::base::clock::{Monotonic, Wall};
use serde_json::{Map, Value, json};

/// A stored value of a variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Dot {
    /// Whose it is.
    pub owner: String,
    /// Label of the device.
    pub device: String,
    /// Label of the variable.
    pub variable: String,
    /// The value.
    pub value: f64,
    /// Milliseconds since 1970, as sent; the time of arrival where none was.
    pub timestamp_ms: i64,
    /// Whether the client sent the timestamp.
    pub is_dated: bool,
    /// What was sent with it; empty where nothing was.
    pub context: Map<String, Value>,
    /// The server's time of day at its arrival.
    pub created_at: Wall,
    /// The moment of its arrival.
    pub arrived: Monotonic,
    /// Which connection brought it, counted from 1; a will comes with the connection that left it.
    pub connection: u64,
    /// QoS that it was received with.
    pub qos: u8,
    /// Whether it was received with RETAIN.
    pub retain: bool,
    /// Whether it was received with DUP.
    pub dup: bool,
}

impl Dot {
    /// As it is told to subscribers: `{"value": 27, "timestamp": …, "context": {}, "created_at": …}`.
    pub(super) fn to_json(&self) -> String {
        format!(
            r#"{{"value": {}, "timestamp": {}, "context": {}, "created_at": {}}}"#,
            self.value,
            self.timestamp_ms,
            json!(self.context),
            self.created_at.unix_ms()
        )
    }

    fn is_of_variable(&self, other: &Self) -> bool {
        (&self.owner, &self.device, &self.variable) == (&other.owner, &other.device, &other.variable)
    }
}

/// All dots of all owners. A device or a variable is there as soon as it has a dot.
#[derive(Debug, Default)]
pub(super) struct Store(Vec<Dot>);

impl Store {
    pub(super) fn append(&mut self, dots: &[Dot]) {
        self.0.extend_from_slice(dots);
    }

    pub(super) fn all(&self) -> &[Dot] {
        &self.0
    }

    /// The current value of each variable: the one with the latest timestamp, of two with the same the later arrival.
    pub(super) fn current(&self) -> Vec<Dot> {
        let mut current: Vec<&Dot> = Vec::new();
        for dot in &self.0 {
            match current.iter_mut().find(|known| known.is_of_variable(dot)) {
                Some(known) if known.timestamp_ms <= dot.timestamp_ms => *known = dot,
                Some(_) => {}
                None => current.push(dot),
            }
        }
        current.into_iter().cloned().collect()
    }
}
