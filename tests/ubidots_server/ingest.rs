//! What a payload holds: readings, or the reason why all of it is dropped.
//!
//! Forms: a number, a dot `{"value": …, "timestamp": …, "context": {…}}`, an array of dots. A device's topic takes an
//! object of them by variable, mixed as one likes; a variable's topic takes one dot.

use serde_json::{Map, Value};
use thiserror::Error;

use super::topics::{Target, is_label};

/// The longest payload in bytes.
const PAYLOAD_BYTES_MAX: usize = 10_000;

/// Why a publish was acknowledged and nothing of it stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum Dropped {
    /// The token is revoked, or may not touch the device.
    #[error("the token may not write that device")]
    Unauthorised,
    /// Not a topic of a device or a variable; a bad label in it is that too.
    #[error("no topic of a device or a variable")]
    Topic,
    /// More than 10 000 bytes.
    #[error("a payload of more than {PAYLOAD_BYTES_MAX} bytes")]
    TooLarge,
    /// Not JSON, or not of the form that the topic takes.
    #[error("a payload of another form")]
    Form,
    /// A label of a variable in a device's payload.
    #[error("a label with characters that labels do not have")]
    Label,
    /// No value, or one that is no number.
    #[error("a value that is no number")]
    Value,
    /// A timestamp that is no whole number.
    #[error("a timestamp that is no whole number of milliseconds")]
    Timestamp,
    /// A context that is no object.
    #[error("a context that is no object")]
    Context,
    /// More requests of this token than its limit.
    #[error("more requests than the token's limit")]
    RequestRate,
    /// More dots of this owner than its limit.
    #[error("more dots than the account's limit")]
    DotRate,
    /// A fault swallows everything.
    #[error("a fault that swallows everything")]
    Swallowed,
}

impl Dropped {
    /// Whether the client could have known.
    pub const fn is_clients_fault(self) -> bool {
        match self {
            Self::Topic | Self::TooLarge | Self::Form | Self::Label | Self::Value | Self::Timestamp | Self::Context => {
                true
            }
            Self::Unauthorised | Self::RequestRate | Self::DotRate | Self::Swallowed => false,
        }
    }
}

/// A dot as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reading {
    pub(super) variable: String,
    pub(super) value: f64,
    /// `None` where it is for the server to say. Any whole number is taken: seconds land in 1970, as at the real one.
    pub(super) timestamp_ms: Option<i64>,
    pub(super) context: Map<String, Value>,
}

/// All readings of a payload, in its order; one bad reading drops all.
pub(super) fn readings(target: Target<'_>, payload: &[u8]) -> Result<Vec<Reading>, Dropped> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(Dropped::TooLarge);
    }
    let Value::Object(object) = serde_json::from_slice(payload).map_err(|_| Dropped::Form)? else {
        return Err(Dropped::Form);
    };
    match target {
        Target::Variable { variable, .. } => Ok(vec![dot(variable, &object)?]),
        Target::Device { .. } if object.is_empty() => Err(Dropped::Form),
        Target::Device { .. } => {
            let each: Result<Vec<_>, _> = object.iter().map(|(variable, value)| of_variable(variable, value)).collect();
            Ok(each?.concat())
        }
    }
}

fn of_variable(variable: &str, value: &Value) -> Result<Vec<Reading>, Dropped> {
    match value {
        _ if !is_label(variable) => Err(Dropped::Label),
        Value::Number(_) => Ok(vec![reading(variable, Some(value), None, None)?]),
        Value::Object(object) => Ok(vec![dot(variable, object)?]),
        Value::Array(dots) if !dots.is_empty() => {
            dots.iter().map(|value| dot(variable, value.as_object().ok_or(Dropped::Form)?)).collect()
        }
        Value::Array(_) => Err(Dropped::Form),
        Value::Null | Value::Bool(_) | Value::String(_) => Err(Dropped::Value),
    }
}

fn dot(variable: &str, object: &Map<String, Value>) -> Result<Reading, Dropped> {
    reading(variable, object.get("value"), object.get("timestamp"), object.get("context"))
}

fn reading(
    variable: &str,
    value: Option<&Value>,
    timestamp: Option<&Value>,
    context: Option<&Value>,
) -> Result<Reading, Dropped> {
    Ok(Reading {
        variable: variable.to_owned(),
        value: value.and_then(Value::as_f64).ok_or(Dropped::Value)?,
        timestamp_ms: timestamp.map(|timestamp| timestamp.as_i64().ok_or(Dropped::Timestamp)).transpose()?,
        context: match context {
            None => Map::new(),
            Some(context) => context.as_object().ok_or(Dropped::Context)?.clone(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: Target<'_> = Target::Device { device: "d" };
    const VARIABLE: Target<'_> = Target::Variable { device: "d", variable: "v" };

    /// Variable, value and timestamp of what is taken.
    type Taken = (&'static str, f64, Option<i64>);

    fn check(target: Target<'_>, payload: &str, expected: Result<&[Taken], Dropped>) {
        let found = readings(target, payload.as_bytes());
        let found = found.map(|readings| {
            let short = |reading: Reading| (reading.variable, reading.value, reading.timestamp_ms);
            readings.into_iter().map(short).collect::<Vec<_>>()
        });
        let expected =
            expected.map(|each| each.iter().map(|&(label, value, at)| (label.to_owned(), value, at)).collect());
        assert_eq!(found, expected, "{payload}");
    }

    #[test]
    fn a_device_takes_numbers_dots_and_arrays_mixed() {
        check(DEVICE, r#"{"h": -0.5, "t": 10}"#, Ok(&[("h", -0.5, None), ("t", 10.0, None)]));
        check(
            DEVICE,
            r#"{"a": 25.4, "b": {"value": 20, "context": {"status": "cold"}},
               "c": [{"value": 13, "timestamp": 10001}, {"value": 14, "timestamp": -1}]}"#,
            Ok(&[("a", 25.4, None), ("b", 20.0, None), ("c", 13.0, Some(10_001)), ("c", 14.0, Some(-1))]),
        );
    }

    #[test]
    fn a_variable_takes_one_dot() {
        check(VARIABLE, r#"{"value": 27}"#, Ok(&[("v", 27.0, None)]));
        check(VARIABLE, r#"{"value": 27, "timestamp": 1634311791}"#, Ok(&[("v", 27.0, Some(1_634_311_791))]));
        check(VARIABLE, "27", Err(Dropped::Form));
        check(VARIABLE, r#"[{"value": 27}]"#, Err(Dropped::Form));
    }

    #[test]
    fn one_bad_reading_drops_the_whole_payload() {
        for (payload, dropped) in [
            ("", Dropped::Form),
            ("{", Dropped::Form),
            ("{}", Dropped::Form),
            (r#"{"a": NaN}"#, Dropped::Form),
            (r#"{"a": 1e999}"#, Dropped::Form),
            (r#"{"a": []}"#, Dropped::Form),
            (r#"{"a": [1, 2]}"#, Dropped::Form),
            (r#"{"ok": 1, "a": "25"}"#, Dropped::Value),
            (r#"{"a": null}"#, Dropped::Value),
            (r#"{"a": {"timestamp": 1}}"#, Dropped::Value),
            (r#"{"a": {"value": "25"}}"#, Dropped::Value),
            (r#"{"a": {"value": 1, "timestamp": 1.5}}"#, Dropped::Timestamp),
            (r#"{"a": {"value": 1, "timestamp": "now"}}"#, Dropped::Timestamp),
            (r#"{"a": {"value": 1, "timestamp": null}}"#, Dropped::Timestamp),
            (r#"{"a": {"value": 1, "context": 3}}"#, Dropped::Context),
            (r#"{"a b": 1}"#, Dropped::Label),
            (r#"{"": 1}"#, Dropped::Label),
        ] {
            check(DEVICE, payload, Err(dropped));
        }
    }

    #[test]
    fn ten_thousand_bytes_are_taken_and_one_more_is_not() {
        let mut payload = String::from(r#"{"a": 1}"#);
        payload.push_str(&" ".repeat(PAYLOAD_BYTES_MAX - payload.len()));
        check(DEVICE, &payload, Ok(&[("a", 1.0, None)]));
        payload.push(' ');
        check(DEVICE, &payload, Err(Dropped::TooLarge));
    }
}
