//! Which keys a command has, and which of them go together.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json};

use super::{CommandError, value};

/// The keys that every command may have.
pub const COMMON: [&str; 4] = ["rotation", "low_light", "brightness", "timeout"];

/// What to show, by the key that says it. A command has one of these keys, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 64 colours, given one by one.
    Pixels,
    /// One colour everywhere.
    Fill,
    /// Nothing.
    Clear,
    /// 64 colours, given as bytes.
    Image,
    /// Running text.
    Text,
    /// A picture with a name.
    Icon,
    /// Bars of the last values of a quantity.
    Graph,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Pixels, Self::Fill, Self::Clear, Self::Image, Self::Text, Self::Icon, Self::Graph];

    /// The key, which is also the word in the state.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pixels => "pixels",
            Self::Fill => "fill",
            Self::Clear => "clear",
            Self::Image => "image",
            Self::Text => "text",
            Self::Icon => "icon",
            Self::Graph => "graph",
        }
    }

    /// The keys that may stand beside this one, without those that may stand anywhere.
    pub const fn extra(self) -> &'static [&'static str] {
        match self {
            Self::Text => &["colour", "color", "background", "speed", "repeat"],
            Self::Icon => &["colour", "color"],
            Self::Graph => &["colour", "color", "low", "high"],
            Self::Pixels | Self::Fill | Self::Clear | Self::Image => &[],
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.name().serialize(serializer)
    }
}

/// Looks whether the keys go together; gives the one that says what to show, with its value.
///
/// # Errors
/// When there is no key, an unknown one, or two that exclude each other.
pub(super) fn check(object: &Map<String, Json>) -> Result<Option<(Kind, &Json)>, CommandError> {
    let mut kinds = Kind::ALL.into_iter().filter_map(|kind| Some((kind, object.get(kind.name())?)));
    let kind = kinds.next();
    if let (Some((first, _)), Some((second, _))) = (kind, kinds.next()) {
        return Err(CommandError::Exclusive(first.name(), second.name()));
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
fn known(kind: Option<Kind>) -> Vec<&'static str> {
    match kind {
        Some(kind) => [&[kind.name()], kind.extra(), &COMMON].concat(),
        None => [&Kind::ALL.map(Kind::name)[..], &COMMON].concat(),
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
        assert_eq!(check(&object).unwrap().unwrap().0, Kind::Fill);
        let object: Map<String, Json> = serde_json::from_str(r#"{"rotation": 90}"#).unwrap();
        assert_eq!(check(&object).unwrap(), None);
    }
}
