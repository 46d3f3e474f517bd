//! The LED matrix: commands in, frames out.
//!
//! - Holds what is shown, since when and until when, the settings of the display, and the last values of the quantities
//!   that graphs are drawn of.
//! - Never enters: MQTT, the configuration's text, tasks. Time is handed in; nothing here waits or draws by itself.
//! - Uses `base`.
//! - Follows `docs/matrix.md`, which is the schema of commands for users, and the kernel's `rpisense-fb` driver.
//!
//! Whoever runs it (`agent::leds`) parses payloads ([`Command::parse`]), hands commands and values to the [`Player`],
//! asks it for the frame of now and for the next moment at which that frame changes ([`Player::next_deadline`]), and
//! writes frames to the [`Framebuffer`]. A later command replaces an earlier one at once: nothing queues up. Start
//! reading at [`Player`].

mod art;
mod brightness;
mod colour;
pub mod command;
#[cfg(test)]
mod documents;
mod font;
mod frame;
mod framebuffer;
mod gamma;
mod graph;
mod icons;
mod player;
#[cfg(test)]
mod properties;
mod rotation;
mod scroll;
mod shown;
mod state;

pub use brightness::Brightness;
pub use colour::Rgb;
pub use command::{Command, CommandError};
pub use frame::Frame;
pub use framebuffer::{Framebuffer, FramebufferError};
pub use gamma::Gamma;
pub use icons::Icon;
pub use player::Player;
pub use rotation::Rotation;
pub use state::State;

use std::time::Duration;

/// How the matrix shows what it is told to show.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Whether it starts with the low light table. The LEDs warm the sensors beside them, so this is the default.
    pub low_light: bool,
    /// The brightness it starts with, and the highest that a command can ask for: a greater one is lowered to this.
    pub brightness_max: Brightness,
    /// The rotation it starts with.
    pub rotation: Rotation,
    /// When a picture is cleared whose command has no `timeout`; `None`: never.
    pub timeout: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self { low_light: true, brightness_max: Brightness::FULL, rotation: Rotation::None, timeout: None }
    }
}
