//! Defaults, file and environment, each on top of the one before, and where each value was typed.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use config::{Config, ConfigError, Map, Source, Value, ValueKind};

use super::document::{Document, Spot};
use super::problem::{Place, Position, Problem, Problems};
use super::section::key_path;

/// The shipped file is the layer of the defaults itself.
pub(super) const DEFAULTS: &str = include_str!("../../config/sensegate.toml");

/// Where a file is looked for when none is named.
const SEARCHED: [&str; 2] = ["/etc/sensegate/sensegate.toml", "config/sensegate.toml"];

/// The largest file taken; a larger one is refused, for it is no configuration.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What begins the name of a variable that overrides a key.
const VARIABLE_PREFIX: &str = "SENSEGATE__";

/// The variables of the environment, by name.
pub(super) type Variables = BTreeMap<String, String>;

/// A file that was read.
pub(super) struct Text {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// Reads the file at `path`, else the first there is of those that are searched; `None` without any.
///
/// # Errors
/// When the file cannot be read or is no text.
pub(super) fn read_file(path: Option<&Path>) -> Result<Option<Text>, Problems> {
    if let Some(path) = path {
        return read(path).map(Some).map_err(|error| unreadable(path, &error));
    }
    for path in SEARCHED.map(Path::new) {
        match read(path) {
            Ok(text) => return Ok(Some(text)),
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(path, &error)),
        }
    }
    Ok(None)
}

enum ReadError {
    Io(io::Error),
    TooLarge,
    NotUtf8(Position),
}

fn read(path: &Path) -> Result<Text, ReadError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(ReadError::Io)?;
    let length = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(ReadError::Io)?;
    if length as u64 > FILE_BYTES_MAX {
        return Err(ReadError::TooLarge);
    }
    let text =
        String::from_utf8(bytes).map_err(|error| ReadError::NotUtf8(end_of(error.utf8_error(), error.as_bytes())))?;
    Ok(Text { path: path.to_owned(), text })
}

/// Where the part of `bytes` that is text ends.
fn end_of(error: std::str::Utf8Error, bytes: &[u8]) -> Position {
    let valid = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default());
    let last_line = valid.rsplit('\n').next().unwrap_or_default();
    Position { line: valid.matches('\n').count() + 1, column: last_line.chars().count() + 1 }
}

fn unreadable(path: &Path, error: &ReadError) -> Problems {
    let (position, text) = match error {
        ReadError::Io(error) => (None, format!("cannot be read: {error}")),
        ReadError::TooLarge => (None, format!("is larger than {FILE_BYTES_MAX} bytes, which no configuration is")),
        ReadError::NotUtf8(position) => (Some(*position), "is not UTF-8 from here on, as TOML must be".into()),
    };
    Problems::of_file(path.to_owned(), position, text)
}

/// Where the values were typed.
#[derive(Default)]
pub(super) struct Places {
    file: Option<(PathBuf, Document)>,
    /// Path of a key to the name of the variable that sets it.
    variables: BTreeMap<String, String>,
}

impl Places {
    /// Where the value of the key at `path` stands; for one that nobody typed, the nearest section around it.
    pub(super) fn of_value(&self, path: &str) -> Place {
        self.find(path, |spot| spot.value)
    }

    /// Where the key at `path` stands.
    pub(super) fn of_key(&self, path: &str) -> Place {
        self.find(path, |spot| spot.key)
    }

    /// Whether the key at `path` stands in the file or in the environment.
    pub(super) fn is_typed(&self, path: &str) -> bool {
        self.variable(path).is_some() || self.file.as_ref().is_some_and(|(_, file)| file.spots.contains_key(path))
    }

    fn find(&self, path: &str, offset: impl Fn(&Spot) -> usize) -> Place {
        if let Some(name) = self.variable(path) {
            return Place::Variable(name.to_owned());
        }
        let Some((name, file)) = &self.file else { return Place::Defaults };
        let spot = ancestors(path).find_map(|path| file.spots.get(path));
        Place::File(name.clone(), spot.map(|spot| file.position(offset(spot))))
    }

    /// The variable that sets the key at `path`, or a key below it.
    fn variable(&self, path: &str) -> Option<&str> {
        let below = format!("{path}.");
        let (_, name) = self.variables.iter().find(|(key, _)| *key == path || key.starts_with(&below))?;
        Some(name)
    }
}

/// `a.b[0].c`, `a.b[0]`, `a.b`, `a`.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| path.rfind(['.', '[']).and_then(|end| path.get(..end)))
}

/// The three layers as one.
pub(super) struct Merged {
    pub(super) values: HashMap<String, Value>,
    pub(super) places: Places,
    pub(super) problems: Vec<Problem>,
}

/// Lays `file` over the defaults, and the variables that begin with `SENSEGATE__` over both.
///
/// # Errors
/// When `file` is no TOML.
pub(super) fn merge(file: Option<(&Path, &str)>, variables: &Variables) -> Result<Merged, Problems> {
    let defaults = Document::parse(DEFAULTS).expect("a test holds the shipped file well-formed").values;
    let file = file.map(|(path, text)| parse(path, text)).transpose()?;
    let file_values = file.as_ref().map(|(_, document)| document.values.clone()).unwrap_or_default();
    let values = lay([&defaults, &file_values]);
    let problems = file.as_ref().map(|(path, document)| faults(path, document)).unwrap_or_default();
    let mut merged = Merged { values, places: Places { file, ..Places::default() }, problems };
    merged.lay_variables(variables, &defaults);
    Ok(merged)
}

fn parse(path: &Path, text: &str) -> Result<(PathBuf, Document), Problems> {
    let place = |position| Place::File(path.to_owned(), Some(position));
    let problem = |(position, text)| Problem { place: place(position), key: String::new(), text };
    let document = Document::parse(text);
    let document = document.map_err(|errors| Problems::new(errors.into_iter().map(problem).collect()))?;
    Ok((path.to_owned(), document))
}

fn faults(path: &Path, document: &Document) -> Vec<Problem> {
    let faults = document.faults.iter().map(|fault| Problem {
        place: Place::File(path.to_owned(), Some(document.position(fault.offset))),
        key: fault.path.clone(),
        text: fault.text.to_owned(),
    });
    faults.collect()
}

impl Merged {
    fn lay_variables(&mut self, variables: &Variables, defaults: &HashMap<String, Value>) {
        let ours =
            variables.iter().filter_map(|(name, value)| Some((name, name.strip_prefix(VARIABLE_PREFIX)?, value)));
        let mut layer = HashMap::new();
        for (name, key, value) in ours {
            match self.check_variable(key, value) {
                Ok(segments) => {
                    let path = segments.join(".");
                    layer.insert(path.clone(), Value::new(None, kind_like(lookup(defaults, &segments), value)));
                    self.places.variables.insert(path, name.clone());
                }
                Err(text) => {
                    let place = Place::Variable(name.clone());
                    self.problems.push(Problem { place, key: String::new(), text });
                }
            }
        }
        self.values = lay([&self.values, &layer]);
    }

    /// The segments of the key that the variable `SENSEGATE__{key}` sets.
    fn check_variable(&self, key: &str, value: &str) -> Result<Vec<String>, String> {
        let plain = |segment: &str| {
            let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
            !segment.is_empty() && segment.bytes().all(allowed)
        };
        if !key.split("__").all(plain) {
            return Err("is no key: capitals are expected, with `__` between section and key".into());
        }
        if value.contains(char::REPLACEMENT_CHARACTER) {
            return Err("is not UTF-8".into());
        }
        let segments: Vec<String> = key.split("__").map(str::to_lowercase).collect();
        self.check_section(&segments)?;
        Ok(segments)
    }

    /// A variable sets a single value: what it hides must not be a section, and what it goes through must be one.
    fn check_section(&self, segments: &[String]) -> Result<(), String> {
        let mut table = &self.values;
        let mut path = String::new();
        for (depth, segment) in segments.iter().enumerate() {
            path = key_path(&path, segment);
            let is_last = depth + 1 == segments.len();
            match table.get(segment).map(|value| &value.kind) {
                Some(ValueKind::Table(_)) if is_last => {
                    return Err(format!("[{path}] is a section: set one of its keys"));
                }
                Some(ValueKind::Array(_)) => return Err(format!("`{path}` is a list, which only a file can hold")),
                Some(ValueKind::Table(below)) => table = below,
                Some(_) if !is_last => return Err(format!("`{path}` is no section: it has no keys")),
                _ => return Ok(()),
            }
        }
        Ok(())
    }
}

/// The text of a variable as what its key is by default: `"2"` is a number where a number stands.
fn kind_like(default: Option<&ValueKind>, text: &str) -> ValueKind {
    let parsed = match default {
        Some(ValueKind::I64(_)) => text.parse().ok().map(ValueKind::I64),
        Some(ValueKind::Boolean(_)) => text.parse().ok().map(ValueKind::Boolean),
        _ => None,
    };
    parsed.unwrap_or_else(|| ValueKind::String(text.to_owned()))
}

fn lookup<'a>(table: &'a HashMap<String, Value>, segments: &[String]) -> Option<&'a ValueKind> {
    let (first, rest) = segments.split_first()?;
    match &table.get(first)?.kind {
        ValueKind::Table(below) if !rest.is_empty() => lookup(below, rest),
        kind => rest.is_empty().then_some(kind),
    }
}

/// Each layer over the one before: sections are merged, everything else is replaced.
fn lay(layers: [&HashMap<String, Value>; 2]) -> HashMap<String, Value> {
    let builder = layers.into_iter().fold(Config::builder(), |builder, layer| builder.add_source(Layer(layer.clone())));
    let merged = builder.build().expect("layers are values already: nothing is left that could fail");
    match merged.cache.kind {
        ValueKind::Table(table) => table,
        _ => HashMap::new(),
    }
}

/// Values that are parsed already, as a source for the crate `config`.
#[derive(Clone, Debug)]
struct Layer(HashMap<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}
