//! Colours: as people name them, and as the framebuffer takes them.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Brightness;

/// A colour, eight bits a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rgb {
    /// Red.
    pub r: u8,
    /// Green.
    pub g: u8,
    /// Blue.
    pub b: u8,
}

impl Rgb {
    /// Dark.
    pub const BLACK: Self = Self::new(0, 0, 0);
    /// What text, icons and graphs are drawn in unless something else is said.
    pub const WHITE: Self = Self::new(255, 255, 255);
    /// Full red.
    pub const RED: Self = Self::new(255, 0, 0);
    /// Full green.
    pub const GREEN: Self = Self::new(0, 255, 0);
    /// Full blue.
    pub const BLUE: Self = Self::new(0, 0, 255);
    /// Red and green.
    pub const YELLOW: Self = Self::new(255, 255, 0);
    /// More red than green.
    pub const ORANGE: Self = Self::new(255, 128, 0);

    /// The colours that have a name in commands.
    pub const NAMED: [(&'static str, Self); 11] = [
        ("black", Self::BLACK),
        ("white", Self::WHITE),
        ("red", Self::RED),
        ("green", Self::GREEN),
        ("blue", Self::BLUE),
        ("yellow", Self::YELLOW),
        ("cyan", Self::new(0, 255, 255)),
        ("magenta", Self::new(255, 0, 255)),
        ("orange", Self::ORANGE),
        ("purple", Self::new(128, 0, 255)),
        ("pink", Self::new(255, 64, 128)),
    ];

    /// The colour of these channels.
    pub const fn new(r: u8, g: u8, b: u8) -> Self {
        Self { r, g, b }
    }

    /// The colour with this name, or with these digits after a `#`; `None` when it is neither.
    pub fn from_text(text: &str) -> Option<Self> {
        match text.strip_prefix('#') {
            Some(digits) => Self::from_hex(digits),
            None => Self::NAMED.into_iter().find(|(name, _)| *name == text).map(|(_, colour)| colour),
        }
    }

    /// The colour of six hexadecimal digits.
    fn from_hex(digits: &str) -> Option<Self> {
        // `from_str_radix` would take a sign as well
        if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let [_, r, g, b] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        Some(Self::new(r, g, b))
    }

    /// The colour as five bits of red, six of green and five of blue: the lower bits are lost.
    pub fn to_565(self) -> u16 {
        u16::from(self.r >> 3) << 11 | u16::from(self.g >> 2) << 5 | u16::from(self.b >> 3)
    }

    /// The colour that [`Self::to_565`] makes `bits` of. Full channels are full: the upper bits are repeated below.
    pub fn from_565(bits: u16) -> Self {
        let [upper, lower] = bits.to_be_bytes();
        let (r, b) = (upper & 0xf8, lower << 3);
        let g = upper << 5 | (lower >> 3 & 0x1c);
        Self::new(r | r >> 5, g | g >> 6, b | b >> 5)
    }

    /// The colour with another value for each channel.
    #[must_use]
    pub fn map(self, mut channel: impl FnMut(u8) -> u8) -> Self {
        Self::new(channel(self.r), channel(self.g), channel(self.b))
    }

    /// The colour at this brightness.
    #[must_use]
    pub fn at(self, brightness: Brightness) -> Self {
        self.map(|channel| brightness.scale(channel))
    }
}

/// Six digits after a `#`.
impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.r, self.g, self.b)
    }
}

/// As it is displayed.
impl Serialize for Rgb {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_have_names_or_six_digits() {
        assert_eq!(Rgb::from_text("orange"), Some(Rgb::new(255, 128, 0)));
        assert_eq!(Rgb::from_text("#0a0BfF"), Some(Rgb::new(10, 11, 255)));
        for text in ["", "#", "#12345", "#1234567", "#+12345", "#12345g", "#é1234", "Red", "255,0,0"] {
            assert_eq!(Rgb::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn channels_have_their_places_among_the_sixteen_bits() {
        assert_eq!(Rgb::RED.to_565(), 0xf800);
        assert_eq!(Rgb::GREEN.to_565(), 0x07e0);
        assert_eq!(Rgb::BLUE.to_565(), 0x001f);
        assert_eq!(Rgb::from_565(0xffff), Rgb::WHITE);
    }

    proptest! {
        #[test]
        fn sixteen_bits_come_back_as_they_were(bits: u16) {
            prop_assert_eq!(Rgb::from_565(bits).to_565(), bits);
        }

        #[test]
        fn digits_come_back_as_they_were(r: u8, g: u8, b: u8) {
            let colour = Rgb::new(r, g, b);
            prop_assert_eq!(Rgb::from_text(&colour.to_string()), Some(colour));
        }
    }
}
