//! The Unicode code points that text in MQTT should not contain (version 3.1.1, section 1.5.3; version 5, section 1.5.4).

/// Which code points a decoder accepts in a packet's strings, beside what the standards forbid in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CodePoints {
    /// All of them.
    All,
    /// All but the disallowed ones: see [`disallowed_code_point`].
    Allowed,
}

/// Returns the first disallowed code point of `text`: a control character (U+0001 to U+001F, U+007F to U+009F) or a
/// non-character of Unicode (for example U+FFFF).
///
/// A receiver may accept or refuse them. mosquitto, its client library and its programs refuse them, so that such a topic
/// ends the connection of every subscriber of that kind. U+0000 is not among them: the standards forbid it.
///
/// Cost: one pass, eight bytes at a time as long as `text` is plain ASCII.
#[inline]
pub fn disallowed_code_point(text: &str) -> Option<char> {
    let (words, tail) = text.as_bytes().as_chunks::<8>();
    let is_plain = words.iter().all(|word| word_is_plain(u64::from_le_bytes(*word)))
        && tail.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if is_plain { None } else { text.chars().find(|character| is_disallowed(*character)) }
}

const fn is_disallowed(character: char) -> bool {
    match character as u32 {
        0x01..=0x1f | 0x7f..=0x9f | 0xfdd0..=0xfdef => true,
        // the last two code points of each plane
        number => number & 0xfffe == 0xfffe,
    }
}

/// Returns whether all eight bytes are printable ASCII, U+0020 to U+007E.
#[inline]
const fn word_is_plain(word: u64) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = EACH << 7;
    // the high bit of a byte is set where it was set before, or where a subtraction or an addition carried into it; a
    // carry into the next byte starts only at a byte that is reported anyway
    let below_space = word.wrapping_sub(EACH * b' ' as u64);
    let above_tilde = word.wrapping_add(EACH);
    (word | below_space | above_tilde) & HIGH == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list of the standard and of mosquitto 2.0, written a second time.
    fn is_on_the_list(number: u32) -> bool {
        let ranges = [(0x1, 0x1f), (0x7f, 0x9f), (0xfdd0, 0xfdef)];
        let planes = (0..=0x10).flat_map(|plane| [plane * 0x1_0000 + 0xfffe, plane * 0x1_0000 + 0xffff]);
        ranges.iter().any(|(first, last)| (*first..=*last).contains(&number))
            || planes.into_iter().any(|of| of == number)
    }

    #[test]
    fn every_code_point_is_judged_as_the_list_says() {
        for character in '\0'..=char::MAX {
            let expected = is_on_the_list(character as u32).then_some(character);
            assert_eq!(disallowed_code_point(&character.to_string()), expected, "{character:?}");
        }
    }

    #[test]
    fn a_disallowed_code_point_is_found_at_every_position() {
        for length in 1..=33 {
            for at in 0..length {
                for disallowed in ['\u{1}', '\n', '\u{1f}', '\u{7f}', '\u{80}', '\u{ffff}'] {
                    let text = |filler: char| -> String {
                        (0..length).map(|index| if index == at { disallowed } else { filler }).collect()
                    };
                    for filler in [' ', 'x', '~', 'é'] {
                        assert_eq!(disallowed_code_point(&text(filler)), Some(disallowed), "{:?}", text(filler));
                    }
                }
            }
        }
    }

    #[test]
    fn text_without_one_is_accepted() {
        for text in ["", "a/b", "myRasp/sensors/temperature", " ~", "été/α/温度/🌡", "a\0b", "\u{feff}\u{fffd}\u{a0}"]
        {
            assert_eq!(disallowed_code_point(text), None, "{text:?}");
        }
    }
}
