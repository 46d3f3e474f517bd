//! Values of a command's keys: each is of the expected type and in range, or refused with its place.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Number, Value as Json};

use super::CommandError;
use crate::matrix::{Brightness, Rgb, Rotation};

/// Characters of a text that an error shows.
const SHOWN_CHARACTERS_MAX: usize = 24;

/// The longest timeout: a week.
const TIMEOUT_S_MAX: f64 = 604_800.0;

/// What an error calls a value.
pub(super) fn describe(json: &Json) -> String {
    match json {
        Json::Null | Json::Bool(_) | Json::Number(_) => json.to_string(),
        Json::String(text) => quoted(text),
        Json::Array(items) => format!("a list of {}", items.len()),
        Json::Object(_) => "an object".to_owned(),
    }
}

/// A text in quotes, without what would break a line, and not too long.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        Some((end, _)) => format!("{:?}", text.get(..end).unwrap_or_default().to_owned() + "…"),
        None => format!("{text:?}"),
    }
}

/// The error of a value that is not what is expected.
pub(super) fn wrong(json: &Json, place: impl Display, expected: impl Display) -> CommandError {
    CommandError::Value { place: place.to_string(), found: describe(json), expected: expected.to_string() }
}

pub(super) fn boolean(json: &Json, place: &str) -> Result<bool, CommandError> {
    json.as_bool().ok_or_else(|| wrong(json, place, "true or false"))
}

pub(super) fn number(json: &Json, place: &str) -> Result<f64, CommandError> {
    json.as_f64().ok_or_else(|| wrong(json, place, "a number"))
}

/// A text of some characters.
pub(super) fn text<'a>(json: &'a Json, place: &str, characters_max: usize) -> Result<&'a str, CommandError> {
    let text = json.as_str().filter(|text| !text.is_empty() && text.chars().nth(characters_max).is_none());
    text.ok_or_else(|| wrong(json, place, format_args!("a text of 1 to {characters_max} characters")))
}

/// A whole number in this range; 3.0 is one as well, as it is for JSON Schema.
pub(super) fn integer(json: &Json, place: impl Display, range: RangeInclusive<u32>) -> Result<u32, CommandError> {
    let whole = json.as_number().and_then(whole).filter(|whole| range.contains(whole));
    whole.ok_or_else(|| wrong(json, place, format_args!("{} to {}", range.start(), range.end())))
}

/// The number, where it is a whole one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and within the range of a u32")]
fn whole(number: &Number) -> Option<u32> {
    let number = number.as_f64()?;
    let is_whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    is_whole.then_some(number as u32)
}

/// A colour: a list of three channels, six digits after a `#`, or a name.
pub(super) fn colour(json: &Json, place: impl Display) -> Result<Rgb, CommandError> {
    let found = match json {
        Json::String(text) => Rgb::from_text(text),
        Json::Array(channels) => match channels.as_slice() {
            [r, g, b] => Some(Rgb::new(channel(r, &place, 0)?, channel(g, &place, 1)?, channel(b, &place, 2)?)),
            _ => None,
        },
        _ => None,
    };
    found.ok_or_else(|| wrong(json, place, r##"[r, g, b], "#rrggbb" or a name such as "red""##))
}

fn channel(json: &Json, place: impl Display, index: usize) -> Result<u8, CommandError> {
    let channel = integer(json, format_args!("{place}[{index}]"), 0..=255)?;
    Ok(u8::try_from(channel).unwrap_or(u8::MAX))
}

pub(super) fn rotation(json: &Json) -> Result<Rotation, CommandError> {
    let degrees = json.as_number().and_then(whole);
    let rotation = degrees.and_then(|degrees| Rotation::from_degrees(degrees.into()));
    rotation.ok_or_else(|| wrong(json, "rotation", "0, 90, 180 or 270"))
}

pub(super) fn brightness(json: &Json) -> Result<Brightness, CommandError> {
    let brightness = json.as_f64().and_then(Brightness::new);
    brightness.ok_or_else(|| wrong(json, "brightness", "a number from 0 to 1"))
}

pub(super) fn timeout(json: &Json) -> Result<Duration, CommandError> {
    let seconds = json.as_f64().filter(|seconds| *seconds > 0.0 && *seconds <= TIMEOUT_S_MAX);
    let timeout = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    timeout.ok_or_else(|| wrong(json, "timeout", "a number of seconds above 0, 604800 at most,"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check<T: std::fmt::Debug>(result: Result<T, CommandError>, expected: &str) {
        assert_eq!(result.unwrap_err().to_string(), expected);
    }

    #[test]
    fn colours_are_lists_digits_or_names() {
        for json in [json!([255, 128, 0]), json!([255.0, 128, 0]), json!("#ff8000"), json!("orange")] {
            assert_eq!(colour(&json, "fill").unwrap(), Rgb::new(255, 128, 0));
        }
        let expected = r##"[r, g, b], "#rrggbb" or a name such as "red" is expected"##;
        check(colour(&json!([1, 2]), "fill"), &format!("fill: is a list of 2, {expected}"));
        check(colour(&json!("redd"), "fill"), &format!("fill: is \"redd\", {expected}"));
        check(colour(&json!(7), "fill"), &format!("fill: is 7, {expected}"));
        check(colour(&json!([0, 0, 300]), "fill"), "fill[2]: is 300, 0 to 255 is expected");
        check(colour(&json!([0, -1, 0]), "fill"), "fill[1]: is -1, 0 to 255 is expected");
        check(colour(&json!([0.5, 0, 0]), "fill"), "fill[0]: is 0.5, 0 to 255 is expected");
    }

    #[test]
    fn long_texts_are_shown_in_part_and_on_one_line() {
        assert_eq!(describe(&json!("a\nb")), r#""a\nb""#);
        assert_eq!(describe(&json!("é".repeat(25))), format!("\"{}…\"", "é".repeat(24)));
        assert_eq!(describe(&json!("é".repeat(24))), format!("\"{}\"", "é".repeat(24)));
        assert_eq!(describe(&json!({"a": 1})), "an object");
    }

    #[test]
    fn texts_are_counted_in_characters() {
        assert_eq!(text(&json!("éé"), "text", 2).unwrap(), "éé");
        check(text(&json!("ééé"), "text", 2), "text: is \"ééé\", a text of 1 to 2 characters is expected");
        check(text(&json!(""), "text", 2), "text: is \"\", a text of 1 to 2 characters is expected");
    }
}
