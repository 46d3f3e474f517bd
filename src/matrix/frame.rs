//! One picture of the matrix.

use std::fmt;

use super::{Brightness, Rgb, Rotation};

/// Columns, and rows.
pub(super) const SIDE: usize = 8;

/// Eight rows of eight colours, from the top left corner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame([[Rgb; SIDE]; SIDE]);

impl Frame {
    /// Pixels in a frame.
    pub const PIXELS: usize = SIDE * SIDE;
    /// Bytes of a frame as the framebuffer takes it.
    pub const BYTES: usize = Self::PIXELS * 2;
    /// Nothing shines.
    pub const DARK: Self = Self::filled(Rgb::BLACK);

    /// One colour everywhere.
    pub const fn filled(colour: Rgb) -> Self {
        Self([[colour; SIDE]; SIDE])
    }

    /// The frame with the colour of each column and row, `colour(x, y)`.
    pub fn from_fn(mut colour: impl FnMut(usize, usize) -> Rgb) -> Self {
        Self(std::array::from_fn(|y| std::array::from_fn(|x| colour(x, y))))
    }

    /// The frame of these colours, row by row; what is missing is dark, what is too much is left out.
    pub fn from_pixels(pixels: impl IntoIterator<Item = Rgb>) -> Self {
        let mut pixels = pixels.into_iter();
        Self::from_fn(|_, _| pixels.next().unwrap_or_default())
    }

    /// The frame of eight columns of bits: bit y of a column lights its row y. What is not lit has the background.
    pub(super) fn from_columns(columns: [u8; SIDE], colour: Rgb, background: Rgb) -> Self {
        Self::from_fn(|x, y| {
            let is_lit = columns.get(x).is_some_and(|column| column >> y & 1 == 1);
            if is_lit { colour } else { background }
        })
    }

    /// The colour at column `x` and row `y`; `None` beside the frame.
    pub fn get(&self, x: usize, y: usize) -> Option<Rgb> {
        self.0.get(y)?.get(x).copied()
    }

    /// Sets the colour at column `x` and row `y`; beside the frame it changes nothing.
    pub fn set(&mut self, x: usize, y: usize, colour: Rgb) {
        if let Some(pixel) = self.0.get_mut(y).and_then(|row| row.get_mut(x)) {
            *pixel = colour;
        }
    }

    /// The colours, row by row.
    pub fn pixels(&self) -> impl Iterator<Item = Rgb> {
        self.0.iter().flatten().copied()
    }

    /// The frame with another colour for each.
    #[must_use]
    pub fn map(&self, colour: impl FnMut(Rgb) -> Rgb) -> Self {
        Self::from_pixels(self.pixels().map(colour))
    }

    /// The frame turned clockwise.
    #[must_use]
    pub fn rotated(&self, rotation: Rotation) -> Self {
        const LAST: usize = SIDE - 1;
        Self::from_fn(|x, y| {
            let (x, y) = match rotation {
                Rotation::None => (x, y),
                Rotation::Quarter => (y, LAST - x),
                Rotation::Half => (LAST - x, LAST - y),
                Rotation::ThreeQuarters => (LAST - y, x),
            };
            self.get(x, y).unwrap_or_default()
        })
    }

    /// The frame at this brightness.
    #[must_use]
    pub fn at(&self, brightness: Brightness) -> Self {
        self.map(|colour| colour.at(brightness))
    }

    /// The frame as the framebuffer takes it: RGB565, two bytes a pixel with the lower one first, row by row.
    pub fn to_rgb565(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        for (pair, colour) in bytes.chunks_exact_mut(2).zip(self.pixels()) {
            pair.copy_from_slice(&colour.to_565().to_le_bytes());
        }
        bytes
    }

    /// The frame of what [`Self::to_rgb565`] gives.
    pub fn from_rgb565(bytes: &[u8; Self::BYTES]) -> Self {
        let (pairs, _) = bytes.as_chunks::<2>();
        Self::from_pixels(pairs.iter().map(|pair| Rgb::from_565(u16::from_le_bytes(*pair))))
    }
}

/// Eight lines of eight characters: `.` is dark, `R`, `G`, `B`, `Y`, `C`, `M` and `#` (white) are the channels that
/// shine, in lower case where none of them reaches half its light (`+` for a grey).
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.0 {
            writeln!(f, "{}", row.iter().copied().map(character).collect::<String>())?;
        }
        Ok(())
    }
}

/// The character that stands for a colour. Channels that have less than half of the brightest one do not count.
fn character(colour: Rgb) -> char {
    let brightest = colour.r.max(colour.g).max(colour.b);
    let counts = |channel: u8| channel > 0 && u16::from(channel) * 2 >= u16::from(brightest);
    let name = match (counts(colour.r), counts(colour.g), counts(colour.b)) {
        (false, false, false) => '.',
        (true, false, false) => 'R',
        (false, true, false) => 'G',
        (false, false, true) => 'B',
        (true, true, false) => 'Y',
        (false, true, true) => 'C',
        (true, false, true) => 'M',
        (true, true, true) if brightest < 128 => '+',
        (true, true, true) => '#',
    };
    if brightest < 128 { name.to_ascii_lowercase() } else { name }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame with an L in its top left corner, whose foot is green.
    fn corner() -> Frame {
        let mut frame = Frame::DARK;
        frame.set(0, 0, Rgb::RED);
        frame.set(0, 1, Rgb::RED);
        frame.set(1, 1, Rgb::GREEN);
        frame
    }

    fn lit(frame: &Frame) -> Vec<(usize, usize, char)> {
        let rows = frame.to_string();
        let lines = rows.lines().enumerate();
        lines
            .flat_map(|(y, line)| line.chars().enumerate().map(move |(x, c)| (x, y, c)))
            .filter(|p| p.2 != '.')
            .collect()
    }

    #[test]
    fn a_frame_turns_clockwise() {
        let turned = |rotation| lit(&corner().rotated(rotation));
        assert_eq!(turned(Rotation::None), [(0, 0, 'R'), (0, 1, 'R'), (1, 1, 'G')]);
        assert_eq!(turned(Rotation::Quarter), [(6, 0, 'R'), (7, 0, 'R'), (6, 1, 'G')]);
        assert_eq!(turned(Rotation::Half), [(6, 6, 'G'), (7, 6, 'R'), (7, 7, 'R')]);
        assert_eq!(turned(Rotation::ThreeQuarters), [(1, 6, 'G'), (0, 7, 'R'), (1, 7, 'R')]);
    }

    #[test]
    fn a_pixel_lies_at_eight_times_its_row_and_its_column() {
        let mut frame = Frame::DARK;
        frame.set(3, 2, Rgb::RED);
        frame.set(8, 0, Rgb::RED);
        let bytes = frame.to_rgb565();
        let place = (2 * SIDE + 3) * 2;
        assert_eq!(bytes[place..place + 2], [0x00, 0xf8]);
        assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), 1);
    }

    #[test]
    fn colours_have_characters() {
        let colours = [Rgb::WHITE, Rgb::new(20, 20, 20), Rgb::new(100, 0, 0), Rgb::YELLOW, Rgb::new(3, 255, 200)];
        assert_eq!(colours.map(character), ['#', '+', 'r', 'Y', 'C']);
    }

    proptest! {
        #[test]
        fn a_frame_comes_back_from_its_bytes(bytes in proptest::collection::vec(any::<u8>(), Frame::BYTES)) {
            let bytes: [u8; Frame::BYTES] = bytes.try_into().unwrap();
            prop_assert_eq!(Frame::from_rgb565(&bytes).to_rgb565(), bytes);
        }

        #[test]
        fn four_quarters_are_none(pixels in proptest::collection::vec(any::<(u8, u8, u8)>(), Frame::PIXELS)) {
            let frame = Frame::from_pixels(pixels.into_iter().map(|(r, g, b)| Rgb::new(r, g, b)));
            let quarter = |frame: Frame| frame.rotated(Rotation::Quarter);
            prop_assert_eq!(quarter(quarter(frame)), frame.rotated(Rotation::Half));
            prop_assert_eq!(quarter(frame.rotated(Rotation::ThreeQuarters)), frame);
        }
    }
}
