//! The letters of running text: eight rows high, one to five columns wide.
//!
//! Printable ASCII, °, µ, €, and the small letters with accents of French and German. Capitals with accents and a few
//! typographic signs are shown without ([`plain`]); anything else is shown as a box.

use super::art::{self, Rows};

/// Some characters and their glyphs.
struct Block {
    /// The characters, in the order of the glyphs.
    characters: &'static str,
    /// The glyphs, side by side.
    rows: Rows,
}

const BLOCKS: [Block; 8] = [
    Block {
        characters: "ABCDEFGHIJKLM",
        rows: [
            ".##. ###. .##. ###. #### #### .##. #..# ### ..## #..# #... #...#",
            "#..# #..# #..# #..# #... #... #..# #..# .#. ...# #..# #... ##.##",
            "#..# #..# #... #..# #... #... #... #..# .#. ...# #.#. #... #.#.#",
            "#### ###. #... #..# ###. ###. #.## #### .#. ...# ##.. #... #.#.#",
            "#..# #..# #... #..# #... #... #..# #..# .#. ...# #.#. #... #...#",
            "#..# #..# #..# #..# #... #... #..# #..# .#. #..# #..# #... #...#",
            "#..# ###. .##. ###. #### #... .### #..# ### .##. #..# #### #...#",
            ".... .... .... .... .... .... .... .... ... .... .... .... .....",
        ],
    },
    Block {
        characters: "NOPQRSTUVWXYZ",
        rows: [
            "#..# .##. ###. .##. ###. .### ##### #..# #...# #...# #...# #...# ####",
            "##.# #..# #..# #..# #..# #... ..#.. #..# #...# #...# #...# #...# ...#",
            "##.# #..# #..# #..# #..# #... ..#.. #..# #...# #...# .#.#. .#.#. ..#.",
            "#.## #..# ###. #..# ###. .##. ..#.. #..# #...# #.#.# ..#.. ..#.. .##.",
            "#.## #..# #... #..# #.#. ...# ..#.. #..# .#.#. #.#.# .#.#. ..#.. .#..",
            "#..# #..# #... #.#. #..# ...# ..#.. #..# .#.#. ##.## #...# ..#.. #...",
            "#..# .##. #... .#.# #..# ###. ..#.. .##. ..#.. #...# #...# ..#.. ####",
            ".... .... .... .... .... .... ..... .... ..... ..... ..... ..... ....",
        ],
    },
    Block {
        characters: "abcdefghijklm",
        rows: [
            ".... #... ... ...# .... .## .... #... # .# #... #. .....",
            ".... #... ... ...# .... #.. .... #... . .. #... #. .....",
            ".##. ###. .## .### .##. #.. .### ###. # .# #..# #. ##.#.",
            "...# #..# #.. #..# #..# ##. #..# #..# # .# #.#. #. #.#.#",
            ".### #..# #.. #..# #### #.. #..# #..# # .# ##.. #. #.#.#",
            "#..# #..# #.. #..# #... #.. .### #..# # .# #.#. #. #.#.#",
            ".### ###. .## .### .### #.. ...# #..# # .# #..# .# #.#.#",
            ".... .... ... .... .... ... .##. .... . #. .... .. .....",
        ],
    },
    Block {
        characters: "nopqrstuvwxyz",
        rows: [
            ".... .... .... .... ... .... .#. .... ..... ..... ... .... ....",
            ".... .... .... .... ... .... .#. .... ..... ..... ... .... ....",
            "###. .##. ###. .### #.# .### ### #..# #...# #...# #.# #..# ####",
            "#..# #..# #..# #..# ##. #... .#. #..# #...# #.#.# #.# #..# ..#.",
            "#..# #..# #..# #..# #.. .##. .#. #..# .#.#. #.#.# .#. #..# .#..",
            "#..# #..# ###. .### #.. ...# .#. #..# .#.#. #.#.# #.# .### #...",
            "#..# .##. #... ...# #.. ###. ..# .### ..#.. .#.#. #.# ...# ####",
            ".... .... #... ...# ... .... ... .... ..... ..... ... .##. ....",
        ],
    },
    Block {
        characters: "0123456789+-*/=<>",
        rows: [
            ".##. .#. .##. ###. #..# #### .##. #### .##. .##. ... ... ..... ..# ... ... ...",
            "#..# ##. #..# ...# #..# #... #... ...# #..# #..# .#. ... ..#.. ..# ... ..# #..",
            "#.## .#. ...# ...# #..# ###. #... ...# #..# #..# .#. ... #.#.# .#. ### .#. .#.",
            "##.# .#. ..#. .##. #### ...# ###. ..#. .##. .### ### ### .###. .#. ... #.. ..#",
            "#..# .#. .#.. ...# ...# ...# #..# ..#. #..# ...# .#. ... #.#.# .#. ### .#. .#.",
            "#..# .#. #... ...# ...# #..# #..# .#.. #..# ...# .#. ... ..#.. #.. ... ..# #..",
            ".##. ### #### ###. ...# .##. .##. .#.. .##. .##. ... ... ..... #.. ... ... ...",
            ".... ... .... .... .... .... .... .... .... .... ... ... ..... ... ... ... ...",
        ],
    },
    Block {
        characters: r#".,:;!?'"`^~_|()[]{}"#,
        rows: [
            ". .. . .. # .##. # #.# #. .#. .... .... # .# #. ## ## ..# #..",
            ". .. . .. # #..# # #.# .# #.# .... .... # #. .# #. .# .#. .#.",
            ". .. # .# # ...# . ... .. ... .... .... # #. .# #. .# .#. .#.",
            ". .. . .. # ..#. . ... .. ... .#.# .... # #. .# #. .# #.. ..#",
            ". .. . .. # .#.. . ... .. ... #.#. .... # #. .# #. .# .#. .#.",
            ". .# # .# . .... . ... .. ... .... .... # #. .# #. .# .#. .#.",
            "# .# . .# # .#.. . ... .. ... .... .... # .# #. ## ## ..# #..",
            ". #. . #. . .... . ... .. ... .... #### # .. .. .. .. ... ...",
        ],
    },
    Block {
        characters: r"\#$%&@°µ€ ",
        rows: [
            "#.. .#.#. ..#.. ##..# .##.. .###. .#. .... ..## ...",
            "#.. .#.#. .#### ##.#. #..#. #...# #.# .... .#.. ...",
            ".#. ##### #.#.. ...#. #.#.. #.### .#. #..# #### ...",
            ".#. .#.#. .###. ..#.. .#... #.#.# ... #..# .#.. ...",
            ".#. ##### ..#.# .#... #.#.# #.### ... #..# #### ...",
            "..# .#.#. ####. .#.## #..#. #.... ... ##.# .#.. ...",
            "..# .#.#. ..#.. #..## .##.# .###. ... #.#. ..## ...",
            "... ..... ..... ..... ..... ..... ... #... .... ...",
        ],
    },
    Block {
        characters: "àâäéèêëîïôöùûüç",
        rows: [
            ".#.. .##. #..# ..#. .#.. .##. #..# .#. #.# .##. #..# .#.. .##. #..# ...",
            "..#. #..# .... .#.. ..#. #..# .... #.# ... #..# .... ..#. #..# .... ...",
            ".##. .##. .##. .##. .##. .##. .##. .#. .#. .##. .##. #..# #..# #..# .##",
            "...# ...# ...# #..# #..# #..# #..# .#. .#. #..# #..# #..# #..# #..# #..",
            ".### .### .### #### #### #### #### .#. .#. #..# #..# #..# #..# #..# #..",
            "#..# #..# #..# #... #... #... #... .#. .#. #..# #..# #..# #..# #..# #..",
            ".### .### .### .### .### .### .### .#. .#. .##. .##. .### .### .### .##",
            ".... .... .... .... .... .... .... ... ... .... .... .... .... .... .#.",
        ],
    },
];

/// What a character without a glyph looks like.
const BOX: [u8; 4] = [0b0111_1111, 0b0100_0001, 0b0100_0001, 0b0111_1111];

/// The columns of a text, from left to right: bit y of a column lights its row y. One dark column parts two characters.
pub(super) fn columns(text: &str) -> Vec<u8> {
    let glyphs: Vec<_> = text.chars().map(|character| glyph(plain(character)).unwrap_or_else(|| BOX.into())).collect();
    glyphs.join(&0)
}

/// The character that is shown in the place of this one: mostly itself.
fn plain(character: char) -> char {
    match character {
        'À' | 'Â' | 'Ä' => 'A',
        'Ç' => 'C',
        'É' | 'È' | 'Ê' | 'Ë' => 'E',
        'Î' | 'Ï' => 'I',
        'Ô' | 'Ö' => 'O',
        'Ù' | 'Û' | 'Ü' => 'U',
        '’' | '‘' => '\'',
        '“' | '”' | '«' | '»' => '"',
        '–' | '—' | '−' => '-',
        'º' => '°',
        'μ' => 'µ',
        other if other.is_whitespace() => ' ',
        other => other,
    }
}

/// The columns of one character.
fn glyph(character: char) -> Option<Vec<u8>> {
    BLOCKS.iter().find_map(|block| {
        let place = block.characters.chars().position(|known| known == character)?;
        Some(art::columns(&block.rows, place))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text as a picture.
    fn picture(text: &str) -> Vec<String> {
        let columns = columns(text);
        let row = |y: usize| columns.iter().map(|column| if column >> y & 1 == 1 { '#' } else { '.' }).collect();
        (0..8).map(row).collect()
    }

    #[test]
    fn every_row_of_a_block_has_each_glyph_in_the_same_width() {
        for block in &BLOCKS {
            let [first, rest @ ..] = art::widths(&block.rows);
            assert_eq!(first.len(), block.characters.chars().count(), "{}", block.characters);
            assert!(first.iter().all(|width| (1..=5).contains(width)), "{}", block.characters);
            assert!(rest.iter().all(|widths| *widths == first), "{}", block.characters);
        }
    }

    #[test]
    fn no_two_characters_look_alike_and_all_of_ascii_is_there() {
        let known: Vec<char> = BLOCKS.iter().flat_map(|block| block.characters.chars()).collect();
        assert!((' '..='~').all(|character| known.contains(&character)));
        let mut glyphs: Vec<_> = known.iter().map(|character| glyph(*character)).collect();
        glyphs.sort();
        glyphs.dedup();
        assert_eq!(glyphs.len(), known.len());
    }

    #[test]
    fn text_is_a_picture() {
        let expected = [
            ".##..#..#...#...#.",
            "#..#.#..#..#...#.#",
            "...#.#..#..##...#.",
            "..#..####.#..#....",
            ".#......#.####....",
            "#.......#.#.......",
            "####....#..###....",
            "..................",
        ];
        let shown = picture("24é°");
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        assert_eq!(shown.join("\n"), expected.join("\n"));
    }

    #[test]
    fn unknown_characters_are_boxes_and_some_lose_their_accent() {
        assert_eq!(columns("漢"), BOX);
        assert_eq!(columns("\u{1}"), BOX);
        assert_eq!(columns("É’\n"), columns("E' "));
        assert_eq!(columns(""), [0_u8; 0]);
    }
}
