//! What was typed becomes what was decided, with every problem found at `file:line:column`.
//!
//! - Holds nothing at run time.
//! - Never enters: sockets, buses, tasks. It reads the configuration's file, the files that it names for secrets,
//!   rights and certificates, and the machine's id.
//! - Uses the `Options` of every room below it; nobody below knows TOML.
//!
//! The journey: `layers` finds the file and lays defaults, file and environment over each other; `document` parses and
//! knows where everything stands; `section` reads one key at a time and collects what is wrong; one file a section
//! (`general`, `sensors`, `source`, `publish`, `status`, `leds`, `stick`, `samples`, `broker`, `access`, `listener`,
//! `tls`, `limits`, `external`, `storage`, `log`, and the directory `uplink`) decides what it means, with the words of `value`, `template`,
//! `endpoint` and `credential`. Start reading at [`load`], then at `sensors`.

mod access;
mod broker;
mod credential;
mod document;
mod endpoint;
mod external;
mod general;
mod layers;
mod leds;
mod limits;
mod listener;
mod log;
mod problem;
mod publish;
mod samples;
mod section;
mod sensors;
mod settings;
mod source;
mod status;
mod stick;
mod storage;
mod template;
mod tls;
mod uplink;
mod value;

use std::fmt;
use std::path::{Path, PathBuf};

pub use problem::{Place, Position, Problem, Problems};
pub use settings::{EmbeddedBroker, LogFormat, LogLevel, LogOptions, Settings, StorageOptions};

use layers::Variables;
use section::{Notes, Section};

/// The shipped `config/sensegate.toml`: every key with its default, and the layer of the defaults itself.
pub const DEFAULTS: &str = layers::DEFAULTS;

/// What was decided, and from which file.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// Everything the gateway was asked to be.
    pub settings: Settings,
    /// Which file was taken.
    pub file: Origin,
}

/// Which file was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This one.
    File(PathBuf),
    /// None: there was none to find.
    Defaults,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Defaults => f.write_str("built-in defaults"),
        }
    }
}

/// Reads the file at `path`, else `/etc/sensegate/sensegate.toml`, else `./config/sensegate.toml`, else takes the
/// built-in defaults; variables of `environment` that begin with `SENSEGATE__` override it.
///
/// # Errors
/// Everything that is wrong with the file, its values and the environment, at once.
pub fn load(path: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Loaded, Problems> {
    let variables: Variables = environment.collect();
    let Some(file) = layers::read_file(path)? else {
        return Ok(Loaded { settings: decide(None, &variables)?, file: Origin::Defaults });
    };
    let settings = decide(Some((&file.path, &file.text)), &variables)?;
    Ok(Loaded { settings, file: Origin::File(file.path) })
}

/// As [`load`], with the text of a file at hand; `path` is its name in problems.
///
/// # Errors
/// As [`load`].
pub fn parse(
    path: &Path,
    text: &str,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Settings, Problems> {
    decide(Some((path, text)), &environment.collect())
}

/// The environment of this process, for [`load`]. A value that is not UTF-8 is kept with U+FFFD in it, which is refused
/// where it would override a key; a name that is not UTF-8 is none of ours.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    let variables = std::env::vars_os();
    variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
}

fn decide(file: Option<(&Path, &str)>, variables: &Variables) -> Result<Settings, Problems> {
    let merged = layers::merge(file, variables)?;
    let mut notes = Notes::new(merged.places, merged.problems);
    let settings = Section::read_root(&merged.values, &mut notes, |root| settings::read(root, variables));
    notes.finish(settings)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every key that the reader asks for, without the positions in lists.
    fn known_keys() -> BTreeSet<String> {
        let variables = Variables::from([("HOME".into(), "/home/pi".into())]);
        // sections that stand there as examples only
        let example = "[[broker.session]]\nclient_id = \"a\"\n\
                       [[uplink.ubidots.receive]]\nvariable = \"a\"\ntopic = \"a\"\n\
                       [[uplink.bridge]]\nname = \"a\"\nurl = \"mqtt://b\"\nrules = [{ topic = \"#\" }]";
        let merged = layers::merge(Some((Path::new("x.toml"), example)), &variables).unwrap();
        let mut notes = Notes::new(merged.places, merged.problems);
        let read = Section::read_root(&merged.values, &mut notes, |root| settings::read(root, &variables));
        assert!(read.is_ok());
        notes.known().iter().map(|path| path.replace("[0]", "").replace("[1]", "")).collect()
    }

    /// The keys that stand in the shipped file, typed or as an example, each with whether a comment is above it.
    fn shown_keys() -> Vec<(String, bool)> {
        let (mut section, mut above, mut keys) = (String::new(), "", Vec::new());
        for line in DEFAULTS.lines() {
            let bare = line.strip_prefix("# ").unwrap_or(line);
            let line = if bare.starts_with("[[") { bare } else { line };
            let key = bare.split_once(" = ").map(|(key, _)| key).filter(|key| document::is_plain(key));
            if line.starts_with('[') {
                section = line.trim_matches(['[', ']']).to_owned();
            } else if let Some(key) = key {
                keys.push((section::key_path(&section, key), above.starts_with("# ")));
            }
            above = line;
        }
        keys
    }

    #[test]
    fn every_key_stands_in_the_shipped_file() {
        let shown: BTreeSet<_> = shown_keys().into_iter().map(|(key, _)| key).collect();
        let is_section = |key: &String| ["]", "."].iter().any(|end| DEFAULTS.contains(&format!("[{key}{end}")));
        let is_shown = |key: &String| shown.contains(key) || is_section(key);
        let missing: Vec<_> = known_keys().into_iter().filter(|key| !is_shown(key)).collect();
        assert!(missing.is_empty(), "not in config/sensegate.toml: {missing:?}");
    }

    #[test]
    fn every_key_of_the_shipped_file_is_known_and_explained() {
        let known = known_keys();
        for (key, is_explained) in shown_keys() {
            assert!(known.contains(&key) || key.starts_with("labels."), "{key} is not known");
            // an example of the header, or an example of a label, explains itself by the lines around it
            assert!(is_explained || key.starts_with("labels."), "{key} has no comment above it");
        }
    }

    #[test]
    fn shipped_file_says_nothing_else_than_the_defaults() {
        let environment = || [("HOME".to_owned(), "/home/pi".to_owned())].into_iter();
        let from_file = parse(Path::new("config/sensegate.toml"), DEFAULTS, environment());
        assert_eq!(from_file, decide(None, &environment().collect()));
        assert!(from_file.is_ok(), "{from_file:?}");
    }
}
