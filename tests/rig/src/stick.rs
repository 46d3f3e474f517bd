//! The HAT's stick as an input device that no hardware stands behind: uinput (`Documentation/input/uinput.rst`).

use std::fs::File;
use std::io::{self, Write};
use std::str::FromStr;

use crate::sys;

/// The name that the kernel's driver of the real one has.
pub const STICK_NAME: &str = "Raspberry Pi Sense HAT Joystick";

/// `linux/input-event-codes.h`.
const EV_SYN: u16 = 0;
const EV_KEY: u16 = 1;
/// Length of a name, and of the four tables of 64 numbers, in `uinput_user_dev`.
const NAME_BYTES: usize = 80;
const TABLES_BYTES: usize = 4 * 64 * 4;
/// Bus (none that is real), vendor, product, version, each 16 bits, and the number of force effects, 32 bits.
const IDENTITY_BYTES: usize = 4 * 2 + 4;

/// Where the stick can be pushed, and pressed, as the keys it reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `KEY_UP`.
    Up = 103,
    /// `KEY_LEFT`.
    Left = 105,
    /// `KEY_RIGHT`.
    Right = 106,
    /// `KEY_DOWN`.
    Down = 108,
    /// `KEY_ENTER`.
    Middle = 28,
}

impl Direction {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Up, Self::Left, Self::Right, Self::Down, Self::Middle];
}

impl FromStr for Direction {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|direction| format!("{direction:?}").to_lowercase() == name);
        named.ok_or_else(|| format!("`{name}` is no direction: expected up, left, right, down or middle"))
    }
}

/// A stick; it goes when this is dropped.
#[derive(Debug)]
pub struct Stick(File);

impl Stick {
    /// Makes the device.
    ///
    /// # Errors
    /// Without root or the module `uinput`.
    pub fn new() -> io::Result<Self> {
        let mut file = File::options().write(true).open("/dev/uinput")?;
        sys::allow_event_kind(&file, EV_KEY)?;
        for direction in Direction::ALL {
            sys::allow_key(&file, direction as u16)?;
        }
        file.write_all(&user_device())?;
        sys::create_input_device(&file)?;
        Ok(Self(file))
    }

    /// Pushes it there and lets it go.
    ///
    /// # Errors
    /// When the kernel does not take the events.
    pub fn push(&mut self, direction: Direction) -> io::Result<()> {
        self.press(direction)?;
        self.tell(direction, 0)
    }

    /// Pushes it there and holds it.
    ///
    /// # Errors
    /// As of [`Self::push`].
    pub fn press(&mut self, direction: Direction) -> io::Result<()> {
        self.tell(direction, 1)
    }

    fn tell(&mut self, direction: Direction, value: i32) -> io::Result<()> {
        self.0.write_all(&event(EV_KEY, direction as u16, value))?;
        self.0.write_all(&event(EV_SYN, 0, 0))
    }
}

/// `uinput_user_dev`: the name; the rest is zero for keys.
fn user_device() -> Vec<u8> {
    let mut bytes = STICK_NAME.as_bytes().to_vec();
    bytes.resize(NAME_BYTES + IDENTITY_BYTES + TABLES_BYTES, 0);
    bytes
}

/// `input_event`: two machine words of time, which the kernel fills in, then type, code and value.
fn event(kind: u16, code: u16, value: i32) -> Vec<u8> {
    let mut bytes = vec![0; 2 * size_of::<usize>()];
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(code.to_ne_bytes());
    bytes.extend(value.to_ne_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_the_kernels_sizes() {
        assert_eq!(user_device().len(), 1116);
        assert_eq!(event(EV_KEY, 28, 1).len(), if cfg!(target_pointer_width = "64") { 24 } else { 16 });
    }

    #[test]
    fn directions_are_read_by_their_names() {
        assert_eq!("up".parse(), Ok(Direction::Up));
        assert_eq!("middle".parse(), Ok(Direction::Middle));
        assert!("north".parse::<Direction>().unwrap_err().contains("middle"));
    }
}
