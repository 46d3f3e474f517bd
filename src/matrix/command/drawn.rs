//! Pictures that are drawn here: text, icons, graphs, and none.

use serde_json::{Map, Value as Json};

use super::{CommandError, Graph, Picture, Text, value};
use crate::matrix::{Icon, Rgb};

/// Characters of a text: a minute and a half at the usual speed.
const TEXT_CHARACTERS_MAX: usize = 250;

/// Characters of a quantity's name.
const QUANTITY_CHARACTERS_MAX: usize = 64;

/// Columns a second unless something else is said, and at most: a faster text cannot be read.
const SPEED: u32 = 10;
const SPEED_MAX: u32 = 60;

/// How many times a text may run.
const REPEAT_MAX: u32 = 1_000;

pub(super) fn clear(json: &Json) -> Result<Picture, CommandError> {
    match json {
        Json::Bool(true) => Ok(Picture::Clear),
        _ => Err(value::wrong(json, "clear", "true")),
    }
}

pub(super) fn text(json: &Json, object: &Map<String, Json>) -> Result<Text, CommandError> {
    Ok(Text {
        text: value::text(json, "text", TEXT_CHARACTERS_MAX)?.to_owned(),
        colour: colour(object)?.unwrap_or(Rgb::WHITE),
        background: object.get("background").map_or(Ok(Rgb::BLACK), |json| value::colour(json, "background"))?,
        speed: object.get("speed").map_or(Ok(SPEED), |json| value::integer(json, "speed", 1..=SPEED_MAX))?,
        repeat: object.get("repeat").map_or(Ok(1), |json| value::integer(json, "repeat", 1..=REPEAT_MAX))?,
    })
}

pub(super) fn icon(json: &Json, object: &Map<String, Json>) -> Result<Picture, CommandError> {
    let icon = json.as_str().and_then(Icon::from_name);
    let icon = icon.ok_or_else(|| {
        let names = Icon::ALL.map(|icon| icon.name).join(", ");
        value::wrong(json, "icon", format_args!("one of {names}"))
    })?;
    Ok(Picture::Icon(icon, colour(object)?.unwrap_or(icon.colour)))
}

pub(super) fn graph(json: &Json, object: &Map<String, Json>) -> Result<Graph, CommandError> {
    let low = object.get("low").map(|json| value::number(json, "low")).transpose()?;
    let high = object.get("high").map(|json| value::number(json, "high")).transpose()?;
    if let (Some(low), Some(high), Some(json)) = (low, high, object.get("high"))
        && low >= high
    {
        return Err(value::wrong(json, "high", format_args!("a number above `low`, which is {low},")));
    }
    let quantity = value::text(json, "graph", QUANTITY_CHARACTERS_MAX)?.to_owned();
    Ok(Graph { quantity, low, high, colour: colour(object)?.unwrap_or(Rgb::WHITE) })
}

/// The colour, in either spelling.
fn colour(object: &Map<String, Json>) -> Result<Option<Rgb>, CommandError> {
    let key = if object.contains_key("color") { "color" } else { "colour" };
    object.get(key).map(|json| value::colour(json, key)).transpose()
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::*;

    fn picture(payload: &str) -> Picture {
        Command::parse(payload.as_bytes()).unwrap().picture.unwrap()
    }

    fn check_refusal(payload: &str, expected: &str) {
        assert_eq!(Command::parse(payload.as_bytes()).unwrap_err().to_string(), expected);
    }

    #[test]
    fn text_has_defaults() {
        let (colour, background) = (Rgb::WHITE, Rgb::BLACK);
        let expected = Text { text: "Hi".into(), colour, background, speed: 10, repeat: 1 };
        assert_eq!(picture(r#"{"text": "Hi"}"#), Picture::Text(expected));
        let payload = r#"{"text": "Hi", "color": "red", "background": "blue", "speed": 60, "repeat": 1000}"#;
        let (colour, background) = (Rgb::RED, Rgb::BLUE);
        let expected = Text { text: "Hi".into(), colour, background, speed: 60, repeat: 1_000 };
        assert_eq!(picture(payload), Picture::Text(expected));
    }

    #[test]
    fn text_out_of_range_is_refused() {
        check_refusal(r#"{"text": ""}"#, "text: is \"\", a text of 1 to 250 characters is expected");
        check_refusal(r#"{"text": 21}"#, "text: is 21, a text of 1 to 250 characters is expected");
        check_refusal(r#"{"text": "a", "speed": 0}"#, "speed: is 0, 1 to 60 is expected");
        check_refusal(r#"{"text": "a", "repeat": 1001}"#, "repeat: is 1001, 1 to 1000 is expected");
        check_refusal(
            r#"{"text": "a", "color": 1}"#,
            r##"color: is 1, [r, g, b], "#rrggbb" or a name such as "red" is expected"##,
        );
    }

    #[test]
    fn icons_have_names_and_colours_of_their_own() {
        let heart = Icon::from_name("heart").unwrap();
        assert_eq!(picture(r#"{"icon": "heart"}"#), Picture::Icon(heart, Rgb::RED));
        assert_eq!(picture(r#"{"icon": "heart", "colour": "blue"}"#), Picture::Icon(heart, Rgb::BLUE));
        let error = Command::parse(br#"{"icon": "herat"}"#).unwrap_err().to_string();
        assert!(error.starts_with("icon: is \"herat\", one of arrow-up, arrow-down, "), "{error}");
    }

    #[test]
    fn bounds_of_a_graph_part() {
        let (low, high) = (Some(-5.0), Some(30.0));
        let expected = Graph { quantity: "temperature".into(), low, high, colour: Rgb::WHITE };
        assert_eq!(picture(r#"{"graph": "temperature", "low": -5, "high": 30}"#), Picture::Graph(expected));
        check_refusal(
            r#"{"graph": "temperature", "low": 30, "high": 30}"#,
            "high: is 30, a number above `low`, which is 30, is expected",
        );
        check_refusal(r#"{"graph": "x", "low": "0"}"#, "low: is \"0\", a number is expected");
    }
}
