//! Topic names and topic filters (section 4.7).

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::code_points::disallowed_code_point;

/// Why a text is no topic name or no topic filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TopicError {
    /// [MQTT-4.7.3-1]
    #[error("is empty, at least one character is expected [MQTT-4.7.3-1]")]
    Empty,
    /// [MQTT-4.7.3-2]
    #[error("contains the NUL character [MQTT-4.7.3-2]")]
    Nul,
    /// [MQTT-4.7.3-3]
    #[error("is {0} bytes long, at most 65535 are allowed [MQTT-4.7.3-3]")]
    TooLong(usize),
    /// [MQTT-3.3.2-2]
    #[error("contains the wildcard `{0}`, which only a subscription may [MQTT-3.3.2-2]")]
    WildcardInName(char),
    /// [MQTT-4.7.1-2]
    #[error("has `#` in another place than alone in its last level [MQTT-4.7.1-2]")]
    MultiLevelWildcard,
    /// [MQTT-4.7.1-3]
    #[error("has `+` beside other characters of its level [MQTT-4.7.1-3]")]
    SingleLevelWildcard,
    /// Version 5, section 1.5.4.
    #[error("contains U+{0:04X}, a control character or non-character, which brokers refuse [section 1.5.4]")]
    DisallowedCodePoint(u32),
    /// [MQTT-4.8.2-1]
    #[error(
        "begins with `$share/` but names no share: at least one character without wildcards is expected [MQTT-4.8.2-1]"
    )]
    NoShareName,
    /// [MQTT-4.8.2-2]
    #[error("begins with `$share/` but has no filter behind the share's name [MQTT-4.8.2-2]")]
    NoSharedFilter,
}

impl TopicError {
    /// The clause that was broken, without its brackets.
    pub const fn clause(&self) -> &'static str {
        match self {
            Self::Empty => "MQTT-4.7.3-1",
            Self::Nul => "MQTT-4.7.3-2",
            Self::TooLong(_) => "MQTT-4.7.3-3",
            Self::WildcardInName(_) => "MQTT-3.3.2-2",
            Self::MultiLevelWildcard => "MQTT-4.7.1-2",
            Self::SingleLevelWildcard => "MQTT-4.7.1-3",
            Self::DisallowedCodePoint(_) => "section 1.5.4",
            Self::NoShareName => "MQTT-4.8.2-1",
            Self::NoSharedFilter => "MQTT-4.8.2-2",
        }
    }
}

/// The name a message is published to: not empty, no wildcards, no NUL, at most 65 535 bytes. Cheap to clone.
///
/// It may contain [disallowed code points](disallowed_code_point), because a broker's store or another broker may have
/// such a name. [`TopicName::new_strict`] is for names that a user or a file gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

impl TopicName {
    /// Checks `text` and takes it in.
    ///
    /// # Errors
    /// When `text` breaks a rule of section 4.7.3 or holds a wildcard.
    pub fn new(text: &str) -> Result<Self, TopicError> {
        Self::check(text)?;
        Ok(Self(text.into()))
    }

    /// As [`TopicName::new`], and without disallowed code points.
    ///
    /// # Errors
    /// As [`TopicName::new`], and with [`TopicError::DisallowedCodePoint`].
    pub fn new_strict(text: &str) -> Result<Self, TopicError> {
        Self::new(text).and_then(|name| check_code_points(text).map(|()| name))
    }

    /// Checks without taking in. Cost: one pass, eight bytes at a time.
    ///
    /// # Errors
    /// As [`TopicName::new`].
    #[inline]
    pub fn check(text: &str) -> Result<(), TopicError> {
        check_length(text)?;
        if has_no_place_in_a_name(text.as_bytes()) { Err(why_no_name(text)) } else { Ok(()) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// So that a table by topic can be asked with the text of a packet.
impl Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a subscription asks for: a topic name that may hold `+` for one level and a final `#` for all below.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter(Arc<str>);

/// The filter that matches this name alone.
impl From<&TopicName> for TopicFilter {
    fn from(name: &TopicName) -> Self {
        Self(name.as_str().into())
    }
}

impl TopicFilter {
    /// Checks `text` and takes it in.
    ///
    /// # Errors
    /// When `text` breaks a rule of sections 4.7.1 or 4.7.3.
    pub fn new(text: &str) -> Result<Self, TopicError> {
        check_length(text)?;
        if text.contains('\0') {
            return Err(TopicError::Nul);
        }
        check_wildcards(text)?;
        Ok(Self(text.into()))
    }

    /// As [`TopicFilter::new`], and without [disallowed code points](disallowed_code_point).
    ///
    /// # Errors
    /// As [`TopicFilter::new`], and with [`TopicError::DisallowedCodePoint`].
    pub fn new_strict(text: &str) -> Result<Self, TopicError> {
        Self::new(text).and_then(|filter| check_code_points(text).map(|()| filter))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The share's name and the filter behind it, where this is a shared subscription; `None` where it is not
    /// (version 5, section 4.8.2). The filter is checked already.
    ///
    /// # Errors
    /// When it begins with `$share/` and the rest is none.
    pub fn shared(&self) -> Result<Option<(&str, &str)>, TopicError> {
        let Some(share) = self.0.strip_prefix("$share/") else { return Ok(None) };
        match share.split_once('/') {
            None if share.is_empty() => Err(TopicError::NoShareName),
            None | Some((_, "")) => Err(TopicError::NoSharedFilter),
            Some((name, _)) if name.is_empty() || name.contains(['+', '#']) => Err(TopicError::NoShareName),
            Some(both) => Ok(Some(both)),
        }
    }

    /// Whether it is a shared subscription.
    pub fn is_shared(&self) -> bool {
        matches!(self.shared(), Ok(Some(_)))
    }

    /// Whether a message published to `name` comes under this filter (section 4.7). Cost: the length of both.
    pub fn matches(&self, name: &str) -> bool {
        // a wildcard in the first level leaves names that begin with $ alone [MQTT-4.7.2-1]
        if name.starts_with('$') && self.0.starts_with(['+', '#']) {
            return false;
        }
        let mut levels = name.split('/');
        for wanted in self.0.split('/') {
            match (wanted, levels.next()) {
                // `#` also stands for the level above it: sport/# comes with sport
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (wanted, Some(level)) if wanted == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether NUL or a wildcard is among `bytes`.
#[inline]
fn has_no_place_in_a_name(bytes: &[u8]) -> bool {
    let (words, tail) = bytes.as_chunks::<8>();
    words.iter().any(|word| word_is_refused(u64::from_le_bytes(*word))) || tail.iter().copied().any(is_refused)
}

#[inline]
const fn is_refused(byte: u8) -> bool {
    matches!(byte, 0 | b'+' | b'#')
}

/// Eight bytes at once: a byte that is searched for becomes zero by exclusive or, and `has_zero` finds a zero byte.
#[inline]
const fn word_is_refused(word: u64) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const fn has_zero(word: u64) -> u64 {
        word.wrapping_sub(EACH) & !word & (EACH << 7)
    }
    has_zero(word) | has_zero(word ^ (EACH * b'+' as u64)) | has_zero(word ^ (EACH * b'#' as u64)) != 0
}

#[cold]
fn why_no_name(text: &str) -> TopicError {
    match text.bytes().find(|byte| is_refused(*byte)) {
        Some(wildcard @ (b'+' | b'#')) => TopicError::WildcardInName(char::from(wildcard)),
        _ => TopicError::Nul,
    }
}

fn check_code_points(text: &str) -> Result<(), TopicError> {
    match disallowed_code_point(text) {
        None => Ok(()),
        Some(character) => Err(TopicError::DisallowedCodePoint(character.into())),
    }
}

fn check_length(text: &str) -> Result<(), TopicError> {
    match text.len() {
        0 => Err(TopicError::Empty),
        1..=65_535 => Ok(()),
        longer => Err(TopicError::TooLong(longer)),
    }
}

fn check_wildcards(text: &str) -> Result<(), TopicError> {
    let mut levels = text.split('/').peekable();
    while let Some(level) = levels.next() {
        let is_last = levels.peek().is_none();
        if level.contains('#') && !(level == "#" && is_last) {
            return Err(TopicError::MultiLevelWildcard);
        }
        if level.contains('+') && level != "+" {
            return Err(TopicError::SingleLevelWildcard);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(filter: &str, name: &str, expected: bool) {
        let filter = TopicFilter::new(filter).unwrap();
        assert_eq!(filter.matches(name), expected, "{filter} against {name}");
    }

    #[test]
    fn filters_match_as_section_4_7_tells() {
        check("sport/tennis/player1/#", "sport/tennis/player1", true);
        check("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true);
        check("#", "a", true);
        check("sport/tennis/+", "sport/tennis/player1", true);
        check("sport/tennis/+", "sport/tennis/player1/ranking", false);
        check("sport/+", "sport", false);
        check("sport/+", "sport/", true);
        check("+/+", "/finance", true);
        check("/+", "/finance", true);
        check("+", "/finance", false);
        check("été/#", "été/x", true);
        check("a/b", "a/b/", false);
    }

    #[test]
    fn names_with_a_dollar_are_not_caught_by_a_wildcard_in_front() {
        check("#", "$SYS/uptime", false);
        check("+/monitor", "$SYS/monitor", false);
        check("$SYS/#", "$SYS/uptime", true);
        check("$SYS/monitor/+", "$SYS/monitor/clients", true);
    }

    #[test]
    fn a_shared_filter_is_a_name_and_a_filter() {
        for (filter, expected) in [
            ("a/b", Ok(None)),
            ("$share", Ok(None)),
            ("$shared/a/b", Ok(None)),
            ("$share/s/a", Ok(Some(("s", "a")))),
            ("$share/s/+/#", Ok(Some(("s", "+/#")))),
            ("$share/s//", Ok(Some(("s", "/")))),
            ("$share/", Err(TopicError::NoShareName)),
            ("$share//a", Err(TopicError::NoShareName)),
            ("$share/+/a", Err(TopicError::NoShareName)),
            ("$share/s", Err(TopicError::NoSharedFilter)),
            ("$share/s/", Err(TopicError::NoSharedFilter)),
        ] {
            assert_eq!(TopicFilter::new(filter).unwrap().shared(), expected, "{filter}");
        }
    }

    #[test]
    fn malformed_filters_and_names_are_refused() {
        for (filter, error) in [
            ("", TopicError::Empty),
            ("a/b#", TopicError::MultiLevelWildcard),
            ("a/#/b", TopicError::MultiLevelWildcard),
            ("#/a", TopicError::MultiLevelWildcard),
            ("a+/b", TopicError::SingleLevelWildcard),
            ("a/+b", TopicError::SingleLevelWildcard),
            ("a\0", TopicError::Nul),
        ] {
            assert_eq!(TopicFilter::new(filter), Err(error), "{filter:?}");
        }
        assert_eq!(TopicName::new("a/+/b"), Err(TopicError::WildcardInName('+')));
        assert_eq!(TopicName::new("a/#"), Err(TopicError::WildcardInName('#')));
        assert_eq!(TopicName::new("a\0b"), Err(TopicError::Nul));
        assert_eq!(TopicName::new(&"x".repeat(65_536)), Err(TopicError::TooLong(65_536)));
        assert!(TopicName::new(&"x".repeat(65_535)).is_ok());
        assert!(TopicName::new("/").is_ok());
    }

    #[test]
    fn a_refused_character_is_found_wherever_it_stands() {
        for length in 1..=33 {
            for at in 0..length {
                for (refused, error) in [
                    ('+', TopicError::WildcardInName('+')),
                    ('#', TopicError::WildcardInName('#')),
                    ('\0', TopicError::Nul),
                ] {
                    let text: String = (0..length).map(|index| if index == at { refused } else { 'x' }).collect();
                    assert_eq!(TopicName::check(&text), Err(error), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn every_other_character_is_taken() {
        for character in (1..=0x2fff).filter_map(char::from_u32).filter(|c| !matches!(c, '+' | '#')) {
            let text = character.to_string().repeat(9);
            assert_eq!(TopicName::check(&text), Ok(()), "{text:?}");
        }
    }

    #[test]
    fn a_strict_name_or_filter_has_no_disallowed_code_point() {
        let error = TopicError::DisallowedCodePoint(1);
        assert_eq!(TopicName::new_strict("a/\u{1}"), Err(error));
        assert_eq!(TopicFilter::new_strict("+/\u{1}"), Err(error));
        assert_eq!(TopicName::new_strict("a/+"), Err(TopicError::WildcardInName('+')));
        assert_eq!(TopicName::new_strict("été"), TopicName::new("été"));
        assert_eq!(TopicFilter::new_strict("été/#"), TopicFilter::new("été/#"));
        assert!(error.to_string().contains("U+0001"), "{error}");
    }

    #[test]
    fn every_message_names_its_clause() {
        for error in [
            TopicError::Empty,
            TopicError::Nul,
            TopicError::TooLong(65_536),
            TopicError::WildcardInName('+'),
            TopicError::MultiLevelWildcard,
            TopicError::SingleLevelWildcard,
            TopicError::DisallowedCodePoint(1),
            TopicError::NoShareName,
            TopicError::NoSharedFilter,
        ] {
            assert!(error.to_string().ends_with(&format!(" [{}]", error.clause())), "{error}");
        }
    }
}
