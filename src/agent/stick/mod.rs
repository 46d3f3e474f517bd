//! The stick at work: its device, which may be absent, be somebody else's, go and come back; its events to the broker.
//!
//! - Holds events on their way to the agent (a bounded channel), and the presses that the broker heard of and whose end
//!   it has not heard.
//! - Never enters: what keys mean, which is the room `stick`.
//!
//! `worker` is the task over the device, `door` the agent's side, `told` what the broker knows, `health` what the log
//! hears. Start reading at [`spawn_stick`].

mod door;
mod health;
mod told;
mod worker;

pub use door::StickDoor;
pub(super) use door::{Outcome, publication};
pub use worker::{Stick, spawn_stick};

use crate::mqtt::{QoS, TopicName};

/// Where the stick's events go. They are never retained: a press would be given to whoever subscribes later, as if it
/// had just happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StickTopic {
    /// Where.
    pub topic: TopicName,
    /// With which quality of service.
    pub qos: QoS,
}
