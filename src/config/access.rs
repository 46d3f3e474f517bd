//! `broker.password_file` and `broker.acl_file`: read here, so that their problems are told with all others.

use std::path::Path;
use std::sync::Arc;

use super::problem::{Place, Position};
use super::section::{Noted, Read, Section};
use super::value::{path, shown};
use crate::access::{FILE_BYTES_MAX, LoadError, Problem, load_acl, load_passwords};
use crate::server::Access;

/// Reads both files.
pub(super) fn read(broker: &mut Section<'_>) -> Read<Access> {
    let passwords = read_file(broker, "password_file", load_passwords);
    let acl = read_file(broker, "acl_file", load_acl);
    Ok(Access { passwords: passwords?.map(Arc::new), acl: acl?.map(Arc::new).unwrap_or_default() })
}

/// What is in the file that `key` names; `None` without the key.
fn read_file<T>(
    section: &mut Section<'_>,
    key: &str,
    load: impl FnOnce(&Path) -> Result<T, LoadError>,
) -> Read<Option<T>> {
    let Some(file) = section.optional(key, path)? else { return Ok(None) };
    load(&file).map(Some).map_err(|error| match error {
        LoadError::Read { path, source } => {
            section.problem(key, format!("names {}, which cannot be read: {source}", shown(&path.to_string_lossy())))
        }
        LoadError::NotAFile { path } => {
            let file = shown(&path.to_string_lossy());
            section.problem(key, format!("names {file}, which is no plain file"))
        }
        LoadError::TooLarge { path } => {
            let file = shown(&path.to_string_lossy());
            let remedy = "take out users that are gone, and say with one pattern what many may do";
            section.problem(key, format!("names {file}, which is larger than {FILE_BYTES_MAX} bytes; {remedy}"))
        }
        LoadError::Problems { path, problems } => note_all(section, &path, problems),
    })
}

/// Notes each problem with its place in `file`.
fn note_all(section: &mut Section<'_>, file: &Path, problems: Vec<Problem>) -> Noted {
    let mut last = None;
    for Problem { line, column, text } in problems {
        let place = Place::File(file.into(), Some(Position { line, column }));
        last = Some(section.notes().problem_at(place, text));
    }
    last.unwrap_or_else(|| section.notes().problem_at(Place::File(file.into(), None), "is refused".into()))
}
