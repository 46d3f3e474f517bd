//! The device behind the stick: found by its name, opened, grabbed, and read record by record.
//!
//! - Holds the descriptor, what was read and not handed out yet, and whether the kernel had to drop events.
//! - Never enters: what events mean, retries.
//!
//! [`Machine`] opens the device of a machine; [`Input`] reads a descriptor that bears the kernel's records, whoever
//! opened it; [`EmulatedStick`] hears the Sense HAT emulator. Another source of events is another [`Device`] behind a
//! variant of [`super::StickSource`].

mod emulator;
mod error;
mod find;
mod input;
mod open;
mod record;
#[cfg(feature = "sensehat-stick")]
mod sensehat;

pub use emulator::EmulatedStick;
pub use error::StickError;
pub use find::{NAME, find};
pub use input::{Control, Input, Stamps};
pub use open::Machine;

use std::fmt;
use std::task::{Context, Poll};

use super::{Direction, Options};
use crate::base::clock::Monotonic;

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It went down.
    Pressed,
    /// It is still down.
    Repeated,
    /// It went up.
    Released,
}

/// What a device tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceEvent {
    /// One of the stick's keys has another state.
    Key {
        /// Which one.
        direction: Direction,
        /// Its state.
        state: KeyState,
        /// When.
        time: Monotonic,
    },
    /// Events were lost; this is what is down now.
    State {
        /// All keys that are down.
        pressed: Vec<Direction>,
        /// When.
        time: Monotonic,
    },
}

impl DeviceEvent {
    /// When it happened.
    pub const fn time(&self) -> Monotonic {
        match self {
            Self::Key { time, .. } | Self::State { time, .. } => *time,
        }
    }
}

/// An open stick.
pub trait Device: fmt::Debug + Send {
    /// The next event, when there is one; else the task of `context` is woken when there is.
    ///
    /// # Errors
    /// When the device is gone or cannot be read. It is then of no further use.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Result<DeviceEvent, StickError>>;
}

/// Whoever can open the stick, again and again.
pub trait Open: fmt::Debug + Send {
    /// Opens the device that the options ask for. Called on a runtime of tokio's; does not wait.
    ///
    /// # Errors
    /// When it is not there, or may not be used, or is somebody else's.
    fn open(&mut self, options: &Options) -> Result<Box<dyn Device>, StickError>;
}
