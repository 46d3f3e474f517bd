//! Which keys a command has, and which of them go together.

use serde_json::{Map, Value as Json};

use super::{CommandError, value};

/// The keys that say what to show. A command has one of them, or none.
pub const KINDS: [&str; 7] = ["pixels", "fill", "clear", "image", "text", "icon", "graph"];

/// The keys that every command may have.
pub const COMMON: [&str; 4] = ["rotation", "low_light", "brightness", "timeout"];

/// The keys that may stand beside one of [`KINDS`].
pub fn extra(kind: &str) -> &'static [&'static str] {
    match kind {
        "text" => &["colour", "color", "background", "speed", "repeat"],
        "icon" => &["colour", "color"],
        "graph" => &["colour", "color", "low", "high"],
        _ => &[],
    }
}

/// Looks whether the keys go together; gives the one that says what to show, with its value.
///
/// # Errors
/// When there is no key, an unknown one, or two that exclude each other.
pub(super) fn check(object: &Map<String, Json>) -> Result<Option<(&'static str, &Json)>, CommandError> {
    let mut kinds = KINDS.into_iter().filter_map(|kind| Some((kind, object.get(kind)?)));
    let kind = kinds.next();
    if let (Some((first, _)), Some((second, _))) = (kind, kinds.next()) {
        return Err(CommandError::Exclusive(first, second));
    }
    if object.is_empty() {
        return Err(CommandError::Nothing);
    }
    if object.contains_key("colour") && object.contains_key("color") {
        return Err(CommandError::Exclusive("colour", "color"));
    }
    let known = known(kind.map(|(kind, _)| kind));
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(CommandError::UnknownKey { key: value::quoted(key), known: known.join(", ") }),
        None => Ok(kind),
    }
}

/// The keys that may stand in a command of this kind.
fn known(kind: Option<&'static str>) -> Vec<&'static str> {
    match kind {
        Some(kind) => [&[kind], extra(kind), &COMMON].concat(),
        None => [&KINDS[..], &COMMON].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_refusal(json: &str, expected: &str) {
        let object: Map<String, Json> = serde_json::from_str(json).unwrap();
        assert_eq!(check(&object).unwrap_err().to_string(), expected);
    }

    #[test]
    fn unknown_keys_are_named_beside_the_known_ones() {
        check_refusal(
            r#"{"icon": "heart", "spede": 3}"#,
            "unknown key \"spede\": known are icon, colour, color, rotation, low_light, brightness, timeout",
        );
        let all = "pixels, fill, clear, image, text, icon, graph, rotation, low_light, brightness, timeout";
        check_refusal(r#"{"speed": 3}"#, &format!("unknown key \"speed\": known are {all}"));
    }

    #[test]
    fn keys_that_exclude_each_other_are_named() {
        check_refusal(
            r#"{"text": "a", "fill": "red"}"#,
            "`fill` and `text` exclude each other: one of them is expected",
        );
        check_refusal(
            r#"{"text": "a", "color": "red", "colour": "red"}"#,
            "`colour` and `color` exclude each other: one of them is expected",
        );
        check_refusal(
            "{}",
            r#"an object without keys asks for nothing: an object such as {"text": "hello"} is expected"#,
        );
    }

    #[test]
    fn one_kind_is_found_among_settings() {
        let object: Map<String, Json> = serde_json::from_str(r#"{"rotation": 90, "fill": "red"}"#).unwrap();
        assert_eq!(check(&object).unwrap().unwrap().0, "fill");
        let object: Map<String, Json> = serde_json::from_str(r#"{"rotation": 90}"#).unwrap();
        assert_eq!(check(&object).unwrap(), None);
    }
}
