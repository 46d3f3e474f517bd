//! Pictures that are given pixel by pixel.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value as Json};

use super::{CommandError, value};
use crate::matrix::{Frame, Rgb};

/// Bytes of an image: three a pixel.
const IMAGE_BYTES: usize = Frame::PIXELS * 3;

/// The picture of 64 colours row by row, or of colours at places.
pub(super) fn pixels(json: &Json) -> Result<Frame, CommandError> {
    match json {
        Json::Array(colours) if colours.len() == Frame::PIXELS => listed(colours),
        Json::Object(places) => placed(places),
        _ => Err(value::wrong(json, "pixels", r#"a list of 64 colours, or an object such as {"0,7": "red"},"#)),
    }
}

fn listed(colours: &[Json]) -> Result<Frame, CommandError> {
    let colours = colours.iter().enumerate();
    let pixels = colours.map(|(index, json)| value::colour(json, format_args!("pixels[{index}]")));
    Ok(Frame::from_pixels(pixels.collect::<Result<Vec<_>, _>>()?))
}

fn placed(places: &Map<String, Json>) -> Result<Frame, CommandError> {
    let mut frame = Frame::DARK;
    for (key, json) in places {
        let (x, y) = place(key).ok_or_else(|| no_place(key))?;
        frame.set(x, y, value::colour(json, format_args!("pixels[\"{key}\"]"))?);
    }
    Ok(frame)
}

/// Column and row of a key such as `3,7`.
fn place(key: &str) -> Option<(usize, usize)> {
    let index = |digit: u8| (b'0'..=b'7').contains(&digit).then(|| usize::from(digit - b'0'));
    match key.as_bytes() {
        [x, b',', y] => Some((index(*x)?, index(*y)?)),
        _ => None,
    }
}

fn no_place(key: &str) -> CommandError {
    let expected = r#"column and row from 0 to 7, such as "3,7","#.to_owned();
    CommandError::Value { place: "a key of pixels".to_owned(), found: value::quoted(key), expected }
}

/// The picture of 192 bytes in base64: red, green and blue of each pixel, row by row.
pub(super) fn image(json: &Json) -> Result<Frame, CommandError> {
    let expected = format_args!("base64 of 192 bytes");
    let text = json.as_str().ok_or_else(|| value::wrong(json, "image", expected))?;
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| value::wrong(json, "image", expected))?;
    if bytes.len() != IMAGE_BYTES {
        let found = format!("base64 of {} bytes", bytes.len());
        return Err(CommandError::Value { place: "image".to_owned(), found, expected: expected.to_string() });
    }
    let (pixels, _) = bytes.as_chunks::<3>();
    Ok(Frame::from_pixels(pixels.iter().map(|[r, g, b]| Rgb::new(*r, *g, *b))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(result: Result<Frame, CommandError>, expected: &str) {
        assert_eq!(result.unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_list_fills_the_matrix_row_by_row() {
        let mut colours = vec![json!([0, 0, 0]); 64];
        colours[8 + 2] = json!([255, 0, 0]);
        colours[63] = json!("blue");
        let frame = pixels(&Json::Array(colours.clone())).unwrap();
        assert_eq!((frame.get(2, 1), frame.get(7, 7)), (Some(Rgb::RED), Some(Rgb::BLUE)));
        colours[12] = json!([0, 300, 0]);
        check(pixels(&Json::Array(colours)), "pixels[12][1]: is 300, 0 to 255 is expected");
    }

    #[test]
    fn an_object_lights_some_places_and_leaves_the_rest_dark() {
        let frame = pixels(&json!({"0,7": "red", "7,0": [0, 0, 255]})).unwrap();
        assert_eq!((frame.get(0, 7), frame.get(7, 0)), (Some(Rgb::RED), Some(Rgb::BLUE)));
        assert_eq!(frame.pixels().filter(|pixel| *pixel != Rgb::BLACK).count(), 2);
        let expected = r#"column and row from 0 to 7, such as "3,7", is expected"#;
        for key in ["8,0", "0", "", "0,0,0", "0, 0", "-1,0"] {
            check(pixels(&json!({key: "red"})), &format!("a key of pixels: is {key:?}, {expected}"));
        }
        check(pixels(&json!({"0,7": [0, 0, 256]})), "pixels[\"0,7\"][2]: is 256, 0 to 255 is expected");
    }

    #[test]
    fn pixels_of_another_number_or_type_are_refused() {
        let expected = r#"a list of 64 colours, or an object such as {"0,7": "red"}, is expected"#;
        check(pixels(&json!(["red"])), &format!("pixels: is a list of 1, {expected}"));
        check(pixels(&json!("red")), &format!("pixels: is \"red\", {expected}"));
    }

    #[test]
    fn an_image_is_192_bytes_in_base64() {
        let bytes: Vec<u8> = (0..192).collect();
        let frame = image(&json!(BASE64_STANDARD.encode(bytes))).unwrap();
        assert_eq!((frame.get(0, 0), frame.get(1, 7)), (Some(Rgb::new(0, 1, 2)), Some(Rgb::new(171, 172, 173))));
        check(image(&json!("AAAA")), "image: is base64 of 3 bytes, base64 of 192 bytes is expected");
        check(image(&json!("A?")), "image: is \"A?\", base64 of 192 bytes is expected");
        check(image(&json!(3)), "image: is 3, base64 of 192 bytes is expected");
    }
}
