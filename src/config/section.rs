//! A table of the configuration that is read one key at a time, and remembers what it was asked for.
//!
//! A read that fails has noted its problem. So a section first reads all its keys and only then puts them together
//! with `?`: a `?` between two reads would hide the problems of the second.

use std::collections::{BTreeSet, HashMap};

use config::{Value, ValueKind};

use super::document::is_plain;
use super::layers::Places;
use super::problem::{Place, Problem, Problems};
use super::value::{describe, nearest};

/// What was read, or that a problem was noted.
pub(super) type Read<T> = Result<T, Noted>;

/// Why nothing was read: the reason is in the notes. Only noting a problem makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Noted(());

/// What nil stands for: a value that no key takes, as `document` noted.
const NOTED_BY_THE_PARSER: Noted = Noted(());

type Table = HashMap<String, Value>;

/// What was found wrong, and what was asked for, over all sections.
pub(super) struct Notes {
    places: Places,
    problems: Vec<Problem>,
    known: BTreeSet<String>,
    unknown: Vec<(String, String)>,
}

impl Notes {
    pub(super) fn new(places: Places, problems: Vec<Problem>) -> Self {
        Self { places, problems, known: BTreeSet::new(), unknown: Vec::new() }
    }

    /// The paths of all keys that were asked for.
    #[cfg(test)]
    pub(super) fn known(&self) -> &BTreeSet<String> {
        &self.known
    }

    /// Notes that the value of the key at `path` is wrong.
    pub(super) fn problem(&mut self, path: &str, text: String) -> Noted {
        let place = self.places.of_value(path);
        self.problems.push(Problem { place, key: path.to_owned(), text });
        Noted(())
    }

    /// Notes a problem of a file that a key names.
    pub(super) fn problem_at(&mut self, place: Place, text: String) -> Noted {
        self.problems.push(Problem { place, key: String::new(), text });
        Noted(())
    }

    /// Whether somebody typed the key at `path`.
    pub(super) fn is_typed(&self, path: &str) -> bool {
        self.places.is_typed(path)
    }

    /// What was read, when nothing was wrong with it.
    ///
    /// # Errors
    /// Everything that was wrong.
    pub(super) fn finish<T>(mut self, read: Read<T>) -> Result<T, Problems> {
        self.report_unknown_keys();
        match read {
            Ok(read) if self.problems.is_empty() => Ok(read),
            _ => Err(Problems::new(self.problems)),
        }
    }

    /// Comes last, when all sections have told which keys they know.
    fn report_unknown_keys(&mut self) {
        for (section, key) in std::mem::take(&mut self.unknown) {
            let path = key_path(&section, &key);
            let place = self.places.of_key(&path);
            let text = format!("is no key of {}; {}", section_name(&section), self.advice(&section, &key));
            self.problems.push(Problem { place, key: path, text });
        }
    }

    /// What somebody who typed `key` in `section` may have meant.
    fn advice(&self, section: &str, key: &str) -> String {
        let siblings: Vec<&str> = self.known.iter().filter_map(|path| key_in(section, path)).collect();
        let in_a_file = format!("{key}_file");
        if siblings.contains(&in_a_file.as_str()) {
            return format!("a secret stands in a file of its own, which `{in_a_file}` names");
        }
        if let Some(near) = nearest(key, siblings.iter().copied()) {
            return format!("did you mean `{near}`?");
        }
        match self.known.iter().map(|path| split(path)).find(|(_, known)| *known == key) {
            Some((home, _)) => format!("it belongs into {}", section_name(home)),
            None => format!("its keys are {}", siblings.join(", ")),
        }
    }
}

/// One table.
pub(super) struct Section<'a> {
    path: String,
    table: &'a Table,
    notes: &'a mut Notes,
    asked: BTreeSet<String>,
}

impl<'a> Section<'a> {
    /// Reads the whole configuration with `read`; keys it did not ask for are unknown.
    pub(super) fn read_root<T>(table: &'a Table, notes: &'a mut Notes, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        Section { path: String::new(), table, notes, asked: BTreeSet::new() }.read(read)
    }

    fn read<T>(mut self, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let result = read(&mut self);
        let unknown = self.table.keys().filter(|key| !self.asked.contains(*key));
        let unknown = unknown.map(|key| (self.path.clone(), key.clone()));
        self.notes.unknown.extend(unknown);
        result
    }

    /// The value of a key that must be there, as `parse` understands it.
    pub(super) fn required<T>(&mut self, key: &str, parse: impl FnOnce(&ValueKind) -> Result<T, String>) -> Read<T> {
        let value = self.optional(key, parse)?;
        value.ok_or_else(|| self.problem(key, "is missing".into()))
    }

    /// The value of a key that may be left out.
    pub(super) fn optional<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&ValueKind) -> Result<T, String>,
    ) -> Read<Option<T>> {
        let value = self.ask(key).map(|value| &value.kind);
        if let Some(ValueKind::Nil) = value {
            return Err(NOTED_BY_THE_PARSER);
        }
        value.map(parse).transpose().map_err(|text| self.problem(key, text))
    }

    /// The table `key`, read by `read`; one that is not there is read as empty.
    pub(super) fn section<T>(&mut self, key: &str, read: impl FnOnce(&mut Section<'_>) -> Read<T>) -> Read<T> {
        let empty = Table::new();
        match self.ask(key).map(|value| &value.kind) {
            None => self.child(self.path(key), &empty).read(read),
            Some(ValueKind::Table(table)) => self.child(self.path(key), table).read(read),
            Some(ValueKind::Nil) => Err(NOTED_BY_THE_PARSER),
            Some(other) => {
                let path = self.path(key);
                Err(self.problem(key, format!("is {}, a section is expected: [{path}]", describe(other))))
            }
        }
    }

    /// The table `key`, read by `read`; `None` when it is not there.
    pub(super) fn optional_section<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Section<'_>) -> Read<T>,
    ) -> Read<Option<T>> {
        if self.ask(key).is_none() { Ok(None) } else { self.section(key, read).map(Some) }
    }

    /// Each table of the list `key`, read by `read`.
    pub(super) fn sections<T>(&mut self, key: &str, mut read: impl FnMut(&mut Section<'_>) -> Read<T>) -> Read<Vec<T>> {
        let Some(value) = self.ask(key) else { return Ok(Vec::new()) };
        let ValueKind::Array(elements) = &value.kind else {
            let text = format!("is no list of sections, each with [[{}]] above it", self.path(key));
            return Err(self.problem(key, text));
        };
        let elements = elements.iter().enumerate();
        let read: Vec<_> = elements.map(|(index, element)| self.element(key, index, element, &mut read)).collect();
        // collected twice, so that the first element with a problem does not hide the others
        read.into_iter().collect()
    }

    /// Each value of the list `key`, as `parse` understands it; `None` when it is not there.
    pub(super) fn list<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&ValueKind) -> Result<T, String>,
    ) -> Read<Option<Vec<T>>> {
        let elements = match self.ask(key).map(|value| &value.kind) {
            None => return Ok(None),
            Some(ValueKind::Nil) => return Err(NOTED_BY_THE_PARSER),
            Some(ValueKind::Array(elements)) => elements,
            Some(other) => return Err(self.problem(key, format!("is {}, a list is expected", describe(other)))),
        };
        let path = self.path(key);
        let read = |(index, element): (usize, &Value)| match &element.kind {
            ValueKind::Nil => Err(NOTED_BY_THE_PARSER),
            kind => parse(kind).map_err(|text| self.notes.problem(&index_path(&path, index), text)),
        };
        let read: Vec<_> = elements.iter().enumerate().map(read).collect();
        read.into_iter().collect::<Read<_>>().map(Some)
    }

    fn element<T>(
        &mut self,
        key: &str,
        index: usize,
        element: &Value,
        read: impl FnOnce(&mut Section<'_>) -> Read<T>,
    ) -> Read<T> {
        let path = index_path(&self.path(key), index);
        match &element.kind {
            ValueKind::Table(table) => self.child(path, table).read(read),
            ValueKind::Nil => Err(NOTED_BY_THE_PARSER),
            other => {
                let text = format!("is {}, a section is expected: [[{}]]", describe(other), self.path(key));
                Err(self.notes.problem(&path, text))
            }
        }
    }

    fn child<'b>(&'b mut self, path: String, table: &'b Table) -> Section<'b> {
        Section { path, table, notes: self.notes, asked: BTreeSet::new() }
    }

    fn ask(&mut self, key: &str) -> Option<&'a Value> {
        self.asked.insert(key.to_owned());
        self.notes.known.insert(self.path(key));
        self.table.get(key)
    }

    /// The keys that stand here, sorted.
    pub(super) fn keys(&self) -> Vec<String> {
        let sorted: BTreeSet<_> = self.table.keys().cloned().collect();
        sorted.into_iter().collect()
    }

    /// Notes that the value of `key` is wrong.
    pub(super) fn problem(&mut self, key: &str, text: String) -> Noted {
        self.notes.problem(&self.path(key), text)
    }

    /// The path of `key` in this section.
    pub(super) fn path(&self, key: &str) -> String {
        key_path(&self.path, key)
    }

    /// What is noted over all sections.
    pub(super) fn notes(&mut self) -> &mut Notes {
        self.notes
    }
}

/// The path of `key` in the table at `path`, quoted as TOML would need it.
pub(super) fn key_path(path: &str, key: &str) -> String {
    let key = if is_plain(key) { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// The path of an element, counted from 0, of the list at `path`.
pub(super) fn index_path(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// The path of the table that holds the key at `path`, and the key.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

fn key_in<'a>(section: &str, path: &'a str) -> Option<&'a str> {
    let (home, key) = split(path);
    (home == section).then_some(key)
}

/// How somebody would type it: `[sensors]`, or `[[broker.listener]]` for an element of a list.
fn section_name(path: &str) -> String {
    match path.rsplit_once('[') {
        _ if path.is_empty() => "the top level".into(),
        Some((list, _)) => format!("[[{list}]]"),
        None => format!("[{path}]"),
    }
}
