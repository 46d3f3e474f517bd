//! What is shown, as it is told to others.

use serde::{Serialize, Serializer};

use super::command::Kind;
use super::{Brightness, Rgb, Rotation};
use crate::base::clock::Monotonic;

/// What the matrix shows, and how:
///
/// ```json
/// {"kind":"text","text":"21 °C","colour":"#ffffff","rotation":0,"low_light":true,"brightness":1.0,
///  "since_monotonic_ms":81234,"until_monotonic_ms":85234}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct State {
    /// What the picture is; `clear` when nothing is shown.
    pub kind: Kind,
    /// The text that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The icon's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<&'static str>,
    /// The quantity of the graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graph: Option<String>,
    /// The colour, where the picture has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour: Option<Rgb>,
    /// How the picture is turned.
    pub rotation: Rotation,
    /// Whether the table for low light is used.
    pub low_light: bool,
    /// The brightness, after it was limited.
    pub brightness: Brightness,
    /// When the picture came: milliseconds since the boot.
    #[serde(rename = "since_monotonic_ms", serialize_with = "milliseconds")]
    pub since: Monotonic,
    /// When it will be cleared; nothing is written where it stays.
    #[serde(rename = "until_monotonic_ms", skip_serializing_if = "Option::is_none", serialize_with = "until")]
    pub until: Option<Monotonic>,
}

impl State {
    /// The state as JSON.
    #[expect(clippy::missing_panics_doc, reason = "it cannot happen, as the text below says")]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("keys are text and values are numbers, text or booleans")
    }
}

fn milliseconds<S: Serializer>(moment: &Monotonic, serializer: S) -> Result<S::Ok, S::Error> {
    moment.since_boot_ms().serialize(serializer)
}

#[expect(clippy::ref_option, reason = "serde hands it over so")]
fn until<S: Serializer>(moment: &Option<Monotonic>, serializer: S) -> Result<S::Ok, S::Error> {
    moment.map(Monotonic::since_boot_ms).serialize(serializer)
}
