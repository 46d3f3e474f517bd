//! What tests of several commands need.

use std::fs;

use tempfile::TempDir;

/// A machine's root directory with these files in it, each given by its path and its text.
pub(crate) fn machine(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}
