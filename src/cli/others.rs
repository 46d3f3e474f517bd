//! Programs that read the same chips. Two of them set the chips up for themselves, and take each other's conversions away.

use std::fmt;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process;

use anyhow::bail;

use crate::sensors::SourceOptions;

/// For commands that read the HAT for a while.
///
/// # Errors
/// Who has the bus open, and what to do.
pub(super) fn check_alone(source: &SourceOptions, root: &Path) -> anyhow::Result<()> {
    let SourceOptions::I2c { bus } = source else { return Ok(()) };
    let others = at_bus(root, *bus);
    if others.is_empty() {
        return Ok(());
    }
    bail!(
        "{} reads the chips already, and two programs take each other's values away; stop it meanwhile (a gateway with \
         `systemctl stop sensegate`)",
        names(&others)
    )
}

/// Another program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Other {
    number: u32,
    name: String,
}

impl Other {
    /// Whether it is a sensegate as well.
    pub(super) fn is_sensegate(&self) -> bool {
        self.name == env!("CARGO_PKG_NAME")
    }
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.number)
    }
}

/// Several of them, in one line.
pub(super) fn names(others: &[Other]) -> String {
    others.iter().map(Other::to_string).collect::<Vec<_>>().join(", ")
}

/// The programs, beside this one, that have bus `number` open on the machine whose files are below `root`. One whose files
/// this user may not see counts when it is another sensegate.
pub(super) fn at_bus(root: &Path, number: u8) -> Vec<Other> {
    at_device(root, &root.join(format!("dev/i2c-{number}")))
}

/// As [`at_bus`], for any device, in the order of their numbers.
pub(super) fn at_device(root: &Path, device: &Path) -> Vec<Other> {
    let Ok(device) = fs::metadata(device) else { return Vec::new() };
    let entries = fs::read_dir(root.join("proc")).into_iter().flatten().flatten();
    let numbered = entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())));
    let others = numbered.filter(|(number, _)| *number != process::id());
    let others = others.filter(|(_, path)| has_open(path, &device));
    let mut others = others.map(|(number, path)| Other { number, name: comm(&path) }).collect::<Vec<_>>();
    others.sort();
    others
}

fn has_open(process: &Path, device: &Metadata) -> bool {
    let Ok(files) = fs::read_dir(process.join("fd")) else { return comm(process) == env!("CARGO_PKG_NAME") };
    let mut files = files.flatten().filter_map(|file| fs::metadata(file.path()).ok());
    files.any(|file| (file.dev(), file.ino()) == (device.dev(), device.ino()))
}

fn comm(process: &Path) -> String {
    fs::read_to_string(process.join("comm")).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::machine;

    #[test]
    fn a_program_that_has_the_bus_open_is_found_by_the_file_itself() {
        let root = machine(&[("dev/i2c-1", ""), ("dev/i2c-2", ""), ("proc/4711/comm", "python3\n")]);
        let fd = root.path().join("proc/4711/fd");
        fs::create_dir(&fd).unwrap();
        std::os::unix::fs::symlink(root.path().join("dev/i2c-2"), fd.join("3")).unwrap();
        assert_eq!(at_bus(root.path(), 1), []);
        std::os::unix::fs::symlink(root.path().join("dev/i2c-1"), fd.join("4")).unwrap();
        assert_eq!(names(&at_bus(root.path(), 1)), "python3 (process 4711)");
        // one whose files are not shown: here because there is no list of them
        fs::create_dir(root.path().join("proc/4712")).unwrap();
        fs::write(root.path().join("proc/4712/comm"), "sensegate\n").unwrap();
        assert_eq!(at_bus(root.path(), 1).len(), 2);
        let error = check_alone(&SourceOptions::I2c { bus: 1 }, root.path()).unwrap_err().to_string();
        assert!(error.contains("python3 (process 4711)") && error.contains("systemctl stop"), "{error}");
        assert!(check_alone(&SourceOptions::I2c { bus: 2 }, Path::new("/nonexistent")).is_ok());
        assert!(check_alone(&SourceOptions::Simulated, root.path()).is_ok());
    }
}
