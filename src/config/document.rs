//! One TOML text as values for the layers, with the place of every key and value.
//!
//! The crate `config` has a TOML format of its own; it drops positions, takes a date for a text, and reads a quoted
//! key such as `"a.b"` as a path. So the text is parsed here, once, and handed to it as values.

use std::collections::{BTreeMap, HashMap};

use config::{Value, ValueKind};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::problem::Position;
use super::section::{index_path, key_path};

/// Allowed before the first character, and none itself.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// What a text holds.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// The values; nil where one of the `faults` stands.
    pub(super) values: HashMap<String, Value>,
    /// Where each key stands, by its path.
    pub(super) spots: BTreeMap<String, Spot>,
    /// What TOML allows and this program does not.
    pub(super) faults: Vec<Fault>,
    lines: Lines,
}

/// Where a key and its value begin, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) key: usize,
    pub(super) value: usize,
}

/// A key or a value that no key of this program can be.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) path: String,
    pub(super) text: &'static str,
}

impl Document {
    /// Parses `text`.
    ///
    /// # Errors
    /// What the parser stumbled over, with places: the first of each line, because the rest tends to follow from it.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<(Position, String)>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut document = Self { lines: Lines::new(text), ..Self::default() };
        if !errors.is_empty() {
            return Err(document.syntax_errors(&errors));
        }
        document.values = document.table("", table.get_ref());
        Ok(document)
    }

    /// Line and column of the byte at `offset`.
    pub(super) fn position(&self, offset: usize) -> Position {
        self.lines.position(offset)
    }

    fn syntax_errors(&self, errors: &[toml::de::Error]) -> Vec<(Position, String)> {
        let place = |error: &toml::de::Error| self.position(error.span().map_or(0, |span| span.start));
        let mut placed: Vec<_> = errors.iter().map(|error| (place(error), error.message().to_owned())).collect();
        placed.sort();
        placed.dedup_by_key(|(position, _)| position.line);
        placed
    }

    fn table(&mut self, path: &str, table: &DeTable<'_>) -> HashMap<String, Value> {
        let mut values = HashMap::new();
        for (key, value) in table {
            let path = key_path(path, key.get_ref());
            self.spots.insert(path.clone(), Spot { key: key.span().start, value: value.span().start });
            if is_plain(key.get_ref()) {
                values.insert(key.get_ref().to_string(), self.value(&path, value));
            } else {
                self.fault(key.span().start, &path, "is no key: only letters, digits, `-` and `_` are expected");
            }
        }
        values
    }

    fn array(&mut self, path: &str, array: &DeArray<'_>) -> Vec<Value> {
        let mut values = Vec::new();
        for (index, element) in array.iter().enumerate() {
            let path = index_path(path, index);
            let start = element.span().start;
            self.spots.insert(path.clone(), Spot { key: start, value: start });
            values.push(self.value(&path, element));
        }
        values
    }

    fn value(&mut self, path: &str, value: &Spanned<DeValue<'_>>) -> Value {
        let start = value.span().start;
        let kind = match value.get_ref() {
            DeValue::String(text) => ValueKind::String(text.to_string()),
            DeValue::Boolean(boolean) => ValueKind::Boolean(*boolean),
            DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(integer) => ValueKind::I64(integer),
                Err(_) => self.fault(start, path, "is too large a number for any key"),
            },
            DeValue::Float(float) => ValueKind::Float(float.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Datetime(_) => self.fault(start, path, "is a date or a time, which no key takes"),
            DeValue::Array(array) => ValueKind::Array(self.array(path, array)),
            DeValue::Table(table) => ValueKind::Table(self.table(path, table)),
        };
        Value::new(None, kind)
    }

    fn fault(&mut self, offset: usize, path: &str, text: &'static str) -> ValueKind {
        self.faults.push(Fault { offset, path: path.to_owned(), text });
        ValueKind::Nil
    }
}

/// Whether TOML takes `key` without quotes.
pub(super) fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The lines of a text, for the way from a byte to its line and column.
#[derive(Debug, Default)]
struct Lines {
    text: String,
    starts: Vec<usize>,
}

impl Lines {
    fn new(text: &str) -> Self {
        let behind_newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text: text.to_owned(), starts: std::iter::once(0).chain(behind_newlines).collect() }
    }

    fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or("").trim_start_matches(BYTE_ORDER_MARK);
        Position { line, column: before.chars().count() + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, path: &str, key: (usize, usize), value: (usize, usize)) {
        let document = Document::parse(text).unwrap();
        let spot = document.spots[path];
        let place = |offset| document.position(offset);
        assert_eq!(place(spot.key), Position { line: key.0, column: key.1 }, "key {path} of {text:?}");
        assert_eq!(place(spot.value), Position { line: value.0, column: value.1 }, "value {path} of {text:?}");
    }

    #[test]
    fn keys_and_values_are_found_at_their_line_and_column() {
        check("a = 1\nb = \"x\"", "b", (2, 1), (2, 5));
        check("[s]\n  k = true", "s.k", (2, 3), (2, 7));
        check("s.k = 1", "s.k", (1, 3), (1, 7));
        check("[s.t]\nk = 1", "s.t", (1, 4), (1, 1));
        check("[[l]]\nk = 1\n[[l]]\nk = 2", "l[1].k", (4, 1), (4, 5));
        check("[[l]]\nk = 1\n[[l]]\nk = 2", "l[1]", (3, 1), (3, 1));
        check("l = [{ k = 1 }]", "l[0].k", (1, 8), (1, 12));
    }

    #[test]
    fn columns_count_characters_and_not_bytes() {
        check("\u{feff}a = 1", "a", (1, 1), (1, 5));
        check("a = { \"é\" = 1, b = 2 }", "a.b", (1, 16), (1, 20));
    }

    #[test]
    fn what_no_key_can_be_is_nil_and_named() {
        let text = "\"a.b\" = 1\nbig = 99999999999999999999\nday = 1979-05-27\nok = 1";
        let document = Document::parse(text).unwrap();
        let paths: Vec<_> = document.faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["\"a.b\"", "big", "day"]);
        assert_eq!(document.values["ok"].kind, ValueKind::I64(1));
        assert_eq!(document.values["big"].kind, ValueKind::Nil);
        assert!(!document.values.contains_key("a.b"));
    }
}
