//! Pictures that have a name.

use super::art::{self, Rows};
use super::{Frame, Rgb};

/// A picture with a name and a colour of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icon {
    /// The name in commands.
    pub name: &'static str,
    /// What it is drawn in unless something else is said.
    pub colour: Rgb,
    /// Its place in [`ART`].
    place: usize,
}

/// The icons in the order of [`Icon::ALL`], eight side by side.
const ART: [Rows; 2] = [
    [
        "...##... ...##... ...#.... ....#... ...##... ......## ........ ........",
        "..####.. ...##... ..##.... ....##.. ..#..#.. ......## .##..##. .......#",
        ".######. ...##... .##..... .....##. ..#..#.. ......## ######## ......##",
        "##.##.## ...##... ######## ######## ..####.. ...##.## ######## .....##.",
        "...##... ##.##.## ######## ######## ..####.. ...##.## .######. #...##..",
        "...##... .######. .##..... .....##. .######. ##.##.## ..####.. ##.##...",
        "...##... ..####.. ..##.... ....##.. .######. ##.##.## ...##... .###....",
        "...##... ...##... ...#.... ....#... ..####.. ##.##.## ........ ..#.....",
    ],
    [
        "##....## ...##... ...##... ..###... ........ ...##... ..####.. ..####..",
        "###..### ...##... .#....#. .##..... ..###... ..####.. .#....#. .#....#.",
        ".######. ..####.. ..####.. ##...... .#####.. ..#..#.. #.#..#.# #.#..#.#",
        "..####.. ..####.. #.####.# ##...... .######. .##..##. #......# #......#",
        "..####.. .######. #.####.# ##...... ######## .######. #.#..#.# #..##..#",
        ".######. .######. ..####.. ##.....# ######## ###..### #..##..# #.#..#.#",
        "###..### .######. .#....#. .##..##. .######. ###..### .#....#. .#....#.",
        "##....## ..####.. ...##... ..####.. ........ ######## ..####.. ..####..",
    ],
];

impl Icon {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::new("arrow-up", Rgb::WHITE, 0),
        Self::new("arrow-down", Rgb::WHITE, 1),
        Self::new("arrow-left", Rgb::WHITE, 2),
        Self::new("arrow-right", Rgb::WHITE, 3),
        Self::new("thermometer", Rgb::RED, 4),
        Self::new("bars", Rgb::GREEN, 5),
        Self::new("heart", Rgb::RED, 6),
        Self::new("check", Rgb::GREEN, 7),
        Self::new("cross", Rgb::RED, 8),
        Self::new("drop", Rgb::BLUE, 9),
        Self::new("sun", Rgb::YELLOW, 10),
        Self::new("moon", Rgb::YELLOW, 11),
        Self::new("cloud", Rgb::WHITE, 12),
        Self::new("warning", Rgb::ORANGE, 13),
        Self::new("smile", Rgb::YELLOW, 14),
        Self::new("frown", Rgb::YELLOW, 15),
    ];

    const fn new(name: &'static str, colour: Rgb, place: usize) -> Self {
        Self { name, colour, place }
    }

    /// The icon with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|icon| icon.name == name)
    }

    /// The icon drawn in `colour`.
    pub fn frame(self, colour: Rgb) -> Frame {
        let rows = ART.get(self.place / 8);
        let columns = rows.map(|rows| art::columns(rows, self.place % 8)).unwrap_or_default();
        Frame::from_columns(columns.try_into().unwrap_or_default(), colour, Rgb::BLACK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_icon_has_eight_columns_and_a_place_of_its_own() {
        for rows in &ART {
            assert!(art::widths(rows).iter().all(|widths| *widths == [8; 8]));
        }
        for (place, icon) in Icon::ALL.into_iter().enumerate() {
            assert_eq!(icon.place, place);
            assert_eq!(Icon::from_name(icon.name), Some(icon));
            assert!(icon.frame(Rgb::WHITE).pixels().filter(|pixel| *pixel == Rgb::WHITE).count() > 10, "{}", icon.name);
        }
    }

    #[test]
    fn an_icon_is_a_picture() {
        let heart = Icon::from_name("heart").unwrap();
        let expected = "\
........
.RR..RR.
RRRRRRRR
RRRRRRRR
.RRRRRR.
..RRRR..
...RR...
........
";
        assert_eq!(heart.frame(heart.colour).to_string(), expected);
    }
}
