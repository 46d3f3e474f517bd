//! Programs that read the same chips. Two of them set the chips up for themselves, and take each other's conversions away.

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
        others.join(", ")
    )
}

/// The programs, beside this one, that have bus `number` open on the machine whose files are below `root`. One whose files
/// this user may not see counts when it is another sensegate.
pub(super) fn at_bus(root: &Path, number: u8) -> Vec<String> {
    let device = root.join(format!("dev/i2c-{number}"));
    let Ok(device) = fs::metadata(device) else { return Vec::new() };
    let entries = fs::read_dir(root.join("proc")).into_iter().flatten().flatten();
    let numbered = entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())));
    let others = numbered.filter(|(number, _)| *number != process::id());
    others.filter_map(|(number, path)| has_open(&path, &device).then(|| name_of(&path, number))).collect()
}

fn has_open(process: &Path, device: &Metadata) -> bool {
    let Ok(files) = fs::read_dir(process.join("fd")) else { return comm(process) == env!("CARGO_PKG_NAME") };
    let mut files = files.flatten().filter_map(|file| fs::metadata(file.path()).ok());
    files.any(|file| (file.dev(), file.ino()) == (device.dev(), device.ino()))
}

fn comm(process: &Path) -> String {
    fs::read_to_string(process.join("comm")).unwrap_or_default().trim().to_owned()
}

fn name_of(process: &Path, number: u32) -> String {
    format!("{} (process {number})", comm(process))
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
        assert_eq!(at_bus(root.path(), 1), Vec::<String>::new());
        std::os::unix::fs::symlink(root.path().join("dev/i2c-1"), fd.join("4")).unwrap();
        assert_eq!(at_bus(root.path(), 1), ["python3 (process 4711)"]);
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
