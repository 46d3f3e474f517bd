//! The LED matrix at work: commands from the broker to the thread `matrix`, its state back.
//!
//! - Holds what waits for the thread (one slot each for commands, values and usage, where the newest counts) and what
//!   the thread told last.
//! - Never enters: how a picture is drawn, which is the room `matrix`.
//!
//! `door` is the agent's side, `inbox` the way to the thread, `worker` the thread's loop over a `display`, which is a
//! player with a `screen`, and `report` the way back. Start reading at [`spawn_leds`].

mod display;
mod door;
mod inbox;
mod report;
mod screen;
mod worker;

pub use door::LedsDoor;
pub use worker::{Leds, spawn_leds};

use crate::mqtt::TopicName;

/// Where the matrix is told what to show, and tells what it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedsTopics {
    /// Commands; the agent subscribes to it.
    pub set: TopicName,
    /// The state: retained, QoS 1, whenever it changes and on each connection.
    pub state: TopicName,
    /// Why a command was refused: QoS 1, not retained.
    pub error: TopicName,
}
