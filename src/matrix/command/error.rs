//! Why a command is refused.

use super::PAYLOAD_BYTES_MAX;

/// What to do instead, for whoever has not read the schema.
const EXAMPLE: &str = r#"an object such as {"text": "hello"} is expected"#;

/// Why a payload is no command, in one sentence that names the place. A command that is refused changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Longer than a command can be.
    #[error("{bytes} bytes are too many: {PAYLOAD_BYTES_MAX} at most are expected")]
    TooLong {
        /// The payload's length.
        bytes: usize,
    },
    /// Not JSON, or not UTF-8.
    #[error("no JSON ({0}): {EXAMPLE}")]
    NotJson(serde_json::Error),
    /// JSON, but not an object.
    #[error("{found} is no command: {EXAMPLE}")]
    NotAnObject {
        /// What it is.
        found: String,
    },
    /// An object without keys.
    #[error("an object without keys asks for nothing: {EXAMPLE}")]
    Nothing,
    /// A key that is not known at all, or not beside the others.
    #[error("unknown key {key}: known are {known}")]
    UnknownKey {
        /// The key, in quotes.
        key: String,
        /// The keys that may stand there.
        known: String,
    },
    /// Two keys of which only one may stand there.
    #[error("`{0}` and `{1}` exclude each other: one of them is expected")]
    Exclusive(&'static str, &'static str),
    /// A value of another type than expected, or out of range.
    #[error("{place}: is {found}, {expected} is expected")]
    Value {
        /// The key, with what leads to the value within it: `pixels[12][1]`.
        place: String,
        /// What is there.
        found: String,
        /// What may be there.
        expected: String,
    },
}
