//! Small JSON files of the state directory, each replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Why a file could not be read or kept.
#[derive(Debug, Error)]
pub enum KeepError {
    /// The file or its directory gives an error.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The file holds something else.
    #[error("{}: {cause}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        cause: serde_json::Error,
    },
}

/// What the file at `path` holds; `None` when it is not there.
///
/// # Errors
/// When it cannot be read or holds something else.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, KeepError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|cause| KeepError::File { path: path.into(), cause })?,
    };
    let content = serde_json::from_slice(&bytes);
    content.map(Some).map_err(|cause| KeepError::Content { path: path.into(), cause })
}

/// Writes beside the file and renames, so that a power cut leaves the old or the new one. Blocks for a moment of the
/// card's: for what changes rarely.
///
/// # Errors
/// When the file cannot be written.
pub fn save<T: Serialize>(path: &Path, content: &T) -> Result<(), KeepError> {
    write(path, content).map_err(|cause| KeepError::File { path: path.into(), cause })
}

fn write<T: Serialize>(path: &Path, content: &T) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(&serde_json::to_vec_pretty(content)?)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}
