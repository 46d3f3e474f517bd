//! Commands to the matrix: one JSON object, whose schema for users is `docs/matrix.md`.
//!
//! - Holds nothing.
//! - Never enters: what is shown now, time, the topic that a command came on.
//! - Uses the colours, icons and frames of the matrix.
//!
//! A command is understood as a whole or refused as a whole, in one sentence that names the place. Start reading at
//! [`Command::parse`].

mod drawn;
mod error;
mod keys;
mod pixels;
mod value;

pub use error::CommandError;
pub use keys::{COMMON, Kind};

use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::{Brightness, Frame, Icon, Rgb, Rotation};

/// Bytes of a payload. A longer one is refused before it is looked at; 64 pixels written generously are 2 KB.
pub const PAYLOAD_BYTES_MAX: usize = 16 * 1024;

/// What a payload asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// What to show; `None` keeps what is shown.
    pub picture: Option<Picture>,
    /// The rotation from now on.
    pub rotation: Option<Rotation>,
    /// Whether to use the table for low light from now on.
    pub low_light: Option<bool>,
    /// The brightness from now on, before it is limited.
    pub brightness: Option<Brightness>,
    /// After how long the picture is cleared.
    pub timeout: Option<Duration>,
}

/// What to show.
#[derive(Clone, Debug, PartialEq)]
pub enum Picture {
    /// Nothing.
    Clear,
    /// 64 colours, given one by one.
    Pixels(Frame),
    /// One colour everywhere.
    Fill(Rgb),
    /// 64 colours, given as bytes.
    Image(Frame),
    /// Running text.
    Text(Text),
    /// A picture with a name, in this colour.
    Icon(Icon, Rgb),
    /// Bars of the last values of a quantity.
    Graph(Graph),
}

/// Running text.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// The text, not empty.
    pub text: String,
    /// The colour of its letters.
    pub colour: Rgb,
    /// The colour behind them.
    pub background: Rgb,
    /// Columns a second, at least 1.
    pub speed: u32,
    /// How many times, at least 1.
    pub repeat: u32,
}

/// Bars of the last values of a quantity.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// The quantity's name, not empty. Whether there is such a quantity is not known here.
    pub quantity: String,
    /// The value of the lowest bar; `None`: the lowest value that is shown.
    pub low: Option<f64>,
    /// The value of the highest bar; `None`: the highest value that is shown.
    pub high: Option<f64>,
    /// The colour of the bars.
    pub colour: Rgb,
}

impl Picture {
    /// What it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Clear => Kind::Clear,
            Self::Pixels(_) => Kind::Pixels,
            Self::Fill(_) => Kind::Fill,
            Self::Image(_) => Kind::Image,
            Self::Text(_) => Kind::Text,
            Self::Icon(..) => Kind::Icon,
            Self::Graph(_) => Kind::Graph,
        }
    }

    /// The colour that it is drawn in, where there is one.
    pub const fn colour(&self) -> Option<Rgb> {
        match self {
            Self::Clear | Self::Pixels(_) | Self::Image(_) => None,
            Self::Fill(colour) | Self::Icon(_, colour) => Some(*colour),
            Self::Text(text) => Some(text.colour),
            Self::Graph(graph) => Some(graph.colour),
        }
    }
}

impl Command {
    /// The command that clears the matrix and leaves its settings.
    pub const CLEAR: Self =
        Self { picture: Some(Picture::Clear), rotation: None, low_light: None, brightness: None, timeout: None };

    /// Reads a payload. An empty one clears: that is what `mosquitto_pub -n` sends.
    ///
    /// # Errors
    /// When it is too long, is not one JSON object, has an unknown key, keys that exclude each other or none, or a
    /// value of the wrong type or out of range.
    pub fn parse(payload: &[u8]) -> Result<Self, CommandError> {
        if payload.is_empty() {
            return Ok(Self::CLEAR);
        }
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(CommandError::TooLong { bytes: payload.len() });
        }
        match serde_json::from_slice(payload).map_err(CommandError::NotJson)? {
            Json::Object(object) => Self::from_object(&object),
            other => Err(CommandError::NotAnObject { found: value::describe(&other) }),
        }
    }

    /// The one command that does what this one and then `later` do at one moment: what `later` shows replaces what this
    /// one shows, with its timeout, and a setting that `later` leaves alone is this one's.
    #[must_use]
    pub fn followed_by(self, later: Self) -> Self {
        let is_replaced = later.picture.is_some();
        Self {
            picture: later.picture.or(self.picture),
            rotation: later.rotation.or(self.rotation),
            low_light: later.low_light.or(self.low_light),
            brightness: later.brightness.or(self.brightness),
            timeout: later.timeout.or(self.timeout.filter(|_| !is_replaced)),
        }
    }

    fn from_object(object: &Map<String, Json>) -> Result<Self, CommandError> {
        let kind = keys::check(object)?;
        Ok(Self {
            picture: kind.map(|(kind, json)| picture(kind, json, object)).transpose()?,
            rotation: object.get("rotation").map(value::rotation).transpose()?,
            low_light: object.get("low_light").map(|json| value::boolean(json, "low_light")).transpose()?,
            brightness: object.get("brightness").map(value::brightness).transpose()?,
            timeout: object.get("timeout").map(value::timeout).transpose()?,
        })
    }
}

/// The picture of this kind that `json` describes; `object` holds what else is said of it.
fn picture(kind: Kind, json: &Json, object: &Map<String, Json>) -> Result<Picture, CommandError> {
    Ok(match kind {
        Kind::Pixels => Picture::Pixels(pixels::pixels(json)?),
        Kind::Fill => Picture::Fill(value::colour(json, "fill")?),
        Kind::Clear => drawn::clear(json)?,
        Kind::Image => Picture::Image(pixels::image(json)?),
        Kind::Text => Picture::Text(drawn::text(json, object)?),
        Kind::Icon => drawn::icon(json, object)?,
        Kind::Graph => Picture::Graph(drawn::graph(json, object)?),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(payload: &str) -> String {
        Command::parse(payload.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_payload_clears() {
        assert_eq!(Command::parse(b"").unwrap(), Command::CLEAR);
        assert_eq!(Command::parse(br#"{"clear": true}"#).unwrap(), Command::CLEAR);
        assert_eq!(refusal(r#"{"clear": false}"#), "clear: is false, true is expected");
    }

    #[test]
    fn settings_alone_keep_the_picture() {
        let payload = br#"{"rotation": 270, "low_light": false, "brightness": 0.25, "timeout": 1.5}"#;
        let expected = Command {
            picture: None,
            rotation: Some(Rotation::ThreeQuarters),
            low_light: Some(false),
            brightness: Brightness::new(0.25),
            timeout: Some(Duration::from_millis(1_500)),
        };
        assert_eq!(Command::parse(payload).unwrap(), expected);
    }

    #[test]
    fn two_commands_at_one_moment_are_one() {
        let check = |first: &str, later: &str, expected: &str| {
            let [first, later, expected] =
                [first, later, expected].map(|payload| Command::parse(payload.as_bytes()).unwrap());
            assert_eq!(first.followed_by(later), expected);
        };
        check(r#"{"rotation": 90}"#, r#"{"fill": "red"}"#, r#"{"fill": "red", "rotation": 90}"#);
        check(r#"{"fill": "red", "timeout": 5}"#, r#"{"clear": true}"#, "");
        check(
            r#"{"fill": "red", "timeout": 5}"#,
            r#"{"rotation": 0}"#,
            r#"{"fill": "red", "timeout": 5, "rotation": 0}"#,
        );
        check(r#"{"fill": "red", "timeout": 5}"#, r#"{"timeout": 9}"#, r#"{"fill": "red", "timeout": 9}"#);
        check(r#"{"low_light": true}"#, r#"{"low_light": false}"#, r#"{"low_light": false}"#);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert!(refusal("hello").starts_with("no JSON (expected value at line 1 column 1): an object such as"));
        assert!(refusal(" ").starts_with("no JSON (EOF while parsing a value at line 1 column 1)"));
        assert!(refusal(r#"["red"]"#).starts_with("a list of 1 is no command: an object such as"));
        let long = format!(r#"{{"text": "{}"}}"#, " ".repeat(PAYLOAD_BYTES_MAX));
        assert_eq!(refusal(&long), "16396 bytes are too many: 16384 at most are expected");
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        assert_eq!(refusal(r#"{"rotation": 45}"#), "rotation: is 45, 0, 90, 180 or 270 is expected");
        assert_eq!(refusal(r#"{"low_light": "yes"}"#), "low_light: is \"yes\", true or false is expected");
        assert_eq!(refusal(r#"{"brightness": 1.5}"#), "brightness: is 1.5, a number from 0 to 1 is expected");
        let seconds = "a number of seconds above 0, 604800 at most, is expected";
        assert_eq!(refusal(r#"{"timeout": 0}"#), format!("timeout: is 0, {seconds}"));
        assert_eq!(refusal(r#"{"timeout": 604801}"#), format!("timeout: is 604801, {seconds}"));
        assert_eq!(refusal(r#"{"timeout": null}"#), format!("timeout: is null, {seconds}"));
    }

    proptest! {
        #[test]
        fn bytes_of_any_kind_are_understood_or_refused(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Command::parse(&payload);
        }

        #[test]
        fn values_of_any_kind_are_understood_or_refused(
            key in proptest::sample::select([&Kind::ALL.map(Kind::name)[..], &COMMON[..], &["speed", "low", "?"]].concat()),
            value in proptest::sample::select(vec![
                "null", "true", "-1", "1e300", "0.5", "\"\"", "\"red\"", "\"=\"", "[]", "[1,2,3]", "[[1,2,3]]", "{}",
                "{\"0,0\":\"red\"}", "{\"8,0\":\"red\"}", "{\"text\":1}", "\"\\u0000\"", "18446744073709551615",
            ]),
            other in proptest::sample::select(vec!["", ",\"fill\":\"red\"", ",\"rotation\":90", ",\"speed\":3"]),
        ) {
            let payload = format!("{{\"{key}\":{value}{other}}}");
            if let Err(error) = Command::parse(payload.as_bytes()) {
                prop_assert!(!error.to_string().contains('\n'), "{}", error);
            }
        }
    }
}
