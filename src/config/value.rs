//! What a single value may be. Each function takes a value and gives what was meant, or says in one line what is
//! wrong and what would be right.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use config::ValueKind;

use crate::mqtt::QoS;

/// Longest piece of what was typed that is shown again; the rest becomes `…`.
const SHOWN_CHARACTERS_MAX: usize = 60;

/// How near a known word must be to be suggested, 0 (nothing in common) to 1 (the same).
const NEAR: f64 = 0.75;

/// A value as a problem names it.
pub(super) fn describe(kind: &ValueKind) -> String {
    match kind {
        ValueKind::String(text) => shown(text),
        ValueKind::Table(_) => "a section".into(),
        ValueKind::Array(_) => "a list".into(),
        other => other.to_string(),
    }
}

/// `text` in quotes, on one line, cut when it is long.
pub(super) fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN_CHARACTERS_MAX).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}

/// The one of `known` that is most like `word`, if any is like it.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|known| (strsim::jaro(word, known), known));
    let near = scored.filter(|(score, _)| *score >= NEAR);
    near.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, known)| known)
}

fn mismatch(kind: &ValueKind, expected: impl fmt::Display) -> String {
    format!("is {}, {expected} is expected", describe(kind))
}

/// Text of at least one character.
pub(super) fn text(kind: &ValueKind) -> Result<String, String> {
    match kind {
        ValueKind::String(text) if text.is_empty() => Err("is empty, at least one character is expected".into()),
        ValueKind::String(text) => Ok(text.clone()),
        ValueKind::I64(_) | ValueKind::Float(_) | ValueKind::Boolean(_) => {
            Err(mismatch(kind, "a text") + &format!(": \"{kind}\""))
        }
        other => Err(mismatch(other, "a text")),
    }
}

/// The path of a file or directory.
pub(super) fn path(kind: &ValueKind) -> Result<PathBuf, String> {
    let path = text(kind)?;
    if path.contains('\0') { Err("contains the NUL character, which no path has".into()) } else { Ok(path.into()) }
}

/// `true` or `false`.
pub(super) fn boolean(kind: &ValueKind) -> Result<bool, String> {
    match kind {
        ValueKind::Boolean(boolean) => Ok(*boolean),
        other => Err(mismatch(other, "true or false")),
    }
}

/// A whole number within `range`.
pub(super) fn integer<T>(range: RangeInclusive<T>) -> impl Fn(&ValueKind) -> Result<T, String>
where
    T: TryFrom<i64> + PartialOrd + fmt::Display,
{
    move |kind| {
        let number = match kind {
            ValueKind::I64(number) => T::try_from(*number).ok(),
            _ => None,
        };
        let expected = format_args!("a whole number from {} to {}", range.start(), range.end()).to_string();
        number.filter(|number| range.contains(number)).ok_or_else(|| mismatch(kind, expected))
    }
}

/// One of the numbers in `choices`, each with what it stands for.
pub(super) fn number_of<T: Copy>(choices: &[(u16, T)]) -> impl Fn(&ValueKind) -> Result<T, String> {
    move |kind| {
        let number = match kind {
            ValueKind::I64(number) => u16::try_from(*number).ok(),
            ValueKind::String(text) => text.parse().ok(),
            _ => None,
        };
        let chosen = choices.iter().find_map(|(of, choice)| (Some(*of) == number).then_some(*choice));
        let all = || choices.iter().map(|(number, _)| number.to_string()).collect::<Vec<_>>().join(", ");
        chosen.ok_or_else(|| mismatch(kind, format_args!("one of {}", all())))
    }
}

/// A number within `range`, whole or with a fraction. One that a variable of the environment gives is a text.
pub(super) fn number(range: RangeInclusive<f64>) -> impl Fn(&ValueKind) -> Result<f64, String> {
    move |kind| {
        let number = match kind {
            ValueKind::I64(number) => i32::try_from(*number).ok().map(f64::from),
            ValueKind::Float(number) => Some(*number),
            ValueKind::String(text) => text.parse().ok(),
            _ => None,
        };
        let expected = format_args!("a number from {} to {}", range.start(), range.end()).to_string();
        number.filter(|number| range.contains(number)).ok_or_else(|| mismatch(kind, expected))
    }
}

/// A quality of service of 0 or 1; `reason` is why 2 is none.
pub(super) fn qos_up_to_1(reason: &'static str) -> impl Fn(&ValueKind) -> Result<QoS, String> {
    move |kind| match qos(kind) {
        Ok(QoS::ExactlyOnce) => Err(format!("is 2, 0 or 1 is expected: {reason}")),
        Ok(qos) => Ok(qos),
        Err(_) => Err(mismatch(kind, "a quality of service of 0 or 1")),
    }
}

/// A quality of service.
pub(super) fn qos(kind: &ValueKind) -> Result<QoS, String> {
    let bits = match kind {
        ValueKind::I64(number) => u8::try_from(*number).ok(),
        _ => None,
    };
    bits.and_then(QoS::from_bits).ok_or_else(|| mismatch(kind, "a quality of service of 0, 1 or 2"))
}

/// A duration within `range`, as people write it: `"1s"`, `"2m 30s"`.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&ValueKind) -> Result<Duration, String> {
    move |kind| {
        let bounds = [range.start(), range.end()].map(|bound| humantime::format_duration(*bound));
        let [shortest, longest] = bounds;
        let expected = format!("a duration from \"{shortest}\" to \"{longest}\"");
        let duration = match kind {
            ValueKind::String(text) => humantime::parse_duration(text).ok(),
            _ => None,
        };
        duration.filter(|duration| range.contains(duration)).ok_or_else(|| mismatch(kind, expected))
    }
}

/// A number of bytes within `range`: a whole number, or a text with a unit (B, KiB, MiB, GiB).
pub(super) fn size(range: RangeInclusive<usize>) -> impl Fn(&ValueKind) -> Result<usize, String> {
    move |kind| {
        let bytes = match kind {
            ValueKind::I64(number) => usize::try_from(*number).ok(),
            ValueKind::String(text) => parse_size(text),
            _ => None,
        };
        let expected = || format!("a size from \"{}\" to \"{}\"", Size(*range.start()), Size(*range.end()));
        bytes.filter(|bytes| range.contains(bytes)).ok_or_else(|| mismatch(kind, expected()))
    }
}

const UNITS: [(&str, usize); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

fn parse_size(text: &str) -> Option<usize> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = unit.trim();
    let known = UNITS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, bytes)| bytes);
    let factor = if unit.is_empty() { Some(1) } else { known };
    number.parse::<usize>().ok()?.checked_mul(factor?)
}

/// Shown in the largest unit that leaves a whole number.
struct Size(usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.into_iter().find(|(_, bytes)| self.0 != 0 && self.0.is_multiple_of(*bytes));
        let (unit, bytes) = whole.unwrap_or(("B", 1));
        write!(f, "{} {unit}", self.0 / bytes)
    }
}

/// One word of several, each with what it stands for.
pub(super) fn choice<T: Copy>(words: &[(&str, T)]) -> impl Fn(&ValueKind) -> Result<T, String> {
    move |kind| {
        let typed = match kind {
            ValueKind::String(text) => text.as_str(),
            _ => "",
        };
        let found = words.iter().find(|(word, _)| *word == typed);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| not_among(kind, typed, words.iter().map(|(word, _)| *word)))
    }
}

fn not_among<'a>(kind: &ValueKind, typed: &str, words: impl Iterator<Item = &'a str> + Clone) -> String {
    let all: Vec<_> = words.clone().map(|word| format!("{word:?}")).collect();
    let near = nearest(&typed.to_lowercase(), words).map(|word| format!("; did you mean {word:?}?"));
    mismatch(kind, format_args!("one of {}", all.join(", "))) + &near.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> ValueKind {
        ValueKind::String(text.into())
    }

    #[test]
    fn sizes_are_bytes_or_have_a_binary_unit() {
        let size = size(0..=1 << 30);
        for (typed, bytes) in
            [("0", 0), ("17", 17), ("17 B", 17), ("64KiB", 65_536), ("1 mib", 1 << 20), ("1 GiB", 1 << 30)]
        {
            assert_eq!(size(&string(typed)), Ok(bytes), "{typed}");
        }
        for typed in ["", "MiB", "1 MB", "1.5 MiB", "-1", "99999999999999999999", "99999999999999 GiB", "1 MiB x"] {
            assert!(size(&string(typed)).is_err(), "{typed}");
        }
        assert_eq!(size(&ValueKind::I64(-1)), Err("is -1, a size from \"0 B\" to \"1 GiB\" is expected".into()));
    }

    #[test]
    fn the_nearest_word_is_suggested_and_a_strange_one_is_not() {
        let known = ["interval", "source", "bus"];
        for (typed, meant) in
            [("intervall", Some("interval")), ("intreval", Some("interval")), ("xyz", None), ("", None)]
        {
            assert_eq!(nearest(typed, known.into_iter()), meant, "{typed}");
        }
    }

    #[test]
    fn what_is_shown_again_is_short_and_on_one_line() {
        assert_eq!(shown("a\nb"), r#""a\nb""#);
        assert_eq!(shown(&"x".repeat(61)), format!("\"{}…\"", "x".repeat(60)));
    }
}
