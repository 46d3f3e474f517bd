//! One entry of a list, as it stands in the file.

use serde::Deserialize;
use toml::Spanned;

/// The one id of appendix B that is misprinted, of 3.1.1, and where it belongs.
const MISPRINT: (&str, &str) = ("MQTT-3-8.3-4", "MQTT-3.8.3-4");

/// A normative statement.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Statement {
    pub(crate) version: String,
    /// With its place in the file, to be found again.
    id: Spanned<String>,
    /// What it demands, in our own words.
    pub(crate) says: String,
    status: String,
    /// `path/of/file.rs::name_of_test`
    pub(crate) tests: Vec<String>,
    /// Where what is held is less or other than the words of the standard.
    pub(crate) note: Option<String>,
    /// Line of the id, from 1.
    #[serde(skip)]
    pub(crate) line: usize,
}

/// What is the case here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status<'a> {
    Held,
    /// And why.
    NotApplicable(&'a str),
    Open,
    /// None of the others.
    Unknown(&'a str),
}

/// Place of a statement: chapter, section, subsection and number.
pub(crate) type Place = [u32; 4];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    statement: Vec<Statement>,
}

/// The entries of a file, in their order.
///
/// # Errors
/// When the text is no TOML, or a key is missing, unknown or of another type.
pub(crate) fn parse(text: &str) -> Result<Vec<Statement>, toml::de::Error> {
    let mut list: List = toml::from_str(text)?;
    for statement in &mut list.statement {
        let before = text.get(..statement.id.span().start).unwrap_or(text);
        statement.line = 1 + before.matches('\n').count();
    }
    Ok(list.statement)
}

impl Statement {
    pub(crate) fn id(&self) -> &str {
        self.id.get_ref()
    }

    pub(crate) fn status(&self) -> Status<'_> {
        match self.status.as_str() {
            "held" => Status::Held,
            "open" => Status::Open,
            other => other.strip_prefix("not applicable: ").map_or(Status::Unknown(other), Status::NotApplicable),
        }
    }

    /// The id in numbers; `None` when it is none.
    pub(crate) fn place(&self) -> Option<Place> {
        let id = if self.id() == MISPRINT.0 && self.version == "3.1.1" { MISPRINT.1 } else { self.id() };
        let (section, number) = id.strip_prefix("MQTT-")?.split_once('-')?;
        let mut parts = section.split('.').map(number_of);
        let place = [parts.next()??, parts.next()??, parts.next()??, number_of(number)?];
        parts.next().is_none().then_some(place)
    }
}

/// A number as the standards write it: digits alone, without a zero before them.
fn number_of(text: &str) -> Option<u32> {
    let is_padded = text.len() > 1 && text.starts_with('0');
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (is_digits && !is_padded).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_of(version: &str, id: &str) -> Option<Place> {
        let text = format!("[[statement]]\nversion='{version}'\nid='{id}'\nsays=''\nstatus='held'\ntests=[]\n");
        let statements = parse(&text).unwrap();
        assert_eq!(statements[0].line, 3);
        statements[0].place()
    }

    #[test]
    fn an_id_is_a_section_of_three_numbers_and_a_number() {
        assert_eq!(place_of("5", "MQTT-3.10.4-6"), Some([3, 10, 4, 6]));
        assert_eq!(place_of("3.1.1", "MQTT-3-8.3-4"), Some([3, 8, 3, 4]));
        for wrong in ["3.1.0-1", "MQTT-3.1-1", "MQTT-3.1.0.1-1", "MQTT-3.1.0", "MQTT-3.01.0-1", "MQTT-3.1.+0-1", ""] {
            assert_eq!(place_of("5", wrong), None, "{wrong}");
        }
        assert_eq!(place_of("5", "MQTT-3-8.3-4"), None);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(parse("[[statement]]\nversion='5'\nid='x'\nsays=''\nstatus='held'\ntest=[]\n").is_err());
    }
}
