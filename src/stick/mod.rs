//! The stick (the HAT's joystick): what the kernel, or the Sense HAT emulator, tells of five keys becomes presses,
//! releases and gestures.
//!
//! - Holds which keys are down and since when, what a gesture is waiting for, and the open device.
//! - Never enters: MQTT, the configuration's text, tasks. The pure part is handed its time; only [`device`] asks the
//!   clock, for a device whose events carry none.
//! - Uses `base`.
//! - Follows the kernel's `Documentation/input/event-codes.rst` and `linux/input.h`.
//!
//! Whoever runs it (`agent::stick`) opens a [`Device`] ([`Open`]), hands its events and the time to the [`Recogniser`],
//! and tells what comes out of it. Start reading at [`Recogniser`], then `keys`, `gestures`, and `device`.

pub mod device;
mod direction;
mod event;
mod gestures;
mod keys;
mod recogniser;

use std::path::PathBuf;

pub use device::{Control, Device, DeviceEvent, EmulatedStick, Input, KeyState, Machine, Open, Stamps, StickError};
pub use direction::Direction;
pub use event::{Action, Event};
pub use gestures::GestureTimes;
pub use recogniser::Recogniser;

/// How the stick is read, and what is made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Where its events come from.
    pub source: StickSource,
    /// Who else sees them.
    pub grab: Grab,
    /// The times that tell gestures apart; `None`: no gestures.
    pub gestures: Option<GestureTimes>,
}

/// Where events come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StickSource {
    /// The kernel's input device.
    #[default]
    Input,
    /// The window of the Sense HAT emulator. Nobody else can see or grab anything there: [`Grab`] says nothing of it.
    Emulator {
        /// Where the emulator has its socket.
        directory: PathBuf,
    },
}

/// Who sees the events of an input device that is read here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grab {
    /// Nobody else: the stick is a keyboard, whose arrows and Enter would reach the console.
    #[default]
    Exclusive,
    /// Everybody who reads the device, and the console.
    Shared,
}
