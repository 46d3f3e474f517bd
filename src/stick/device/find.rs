//! Which of the machine's input devices is the stick: asked of sysfs, so that no other is opened.

use std::fs;
use std::path::{Path, PathBuf};

use super::StickError;

/// The name that the kernel's driver gives it.
pub const NAME: &str = "Raspberry Pi Sense HAT Joystick";

/// Where the kernel lists input devices, under the root of the file system.
const CLASS: &str = "sys/class/input";

/// The file of the stick, `dev/input/eventN` below `root`; of several with its name, the one with the lowest number.
///
/// # Errors
/// [`StickError::Absent`] when none has its name.
pub fn find(root: &Path) -> Result<PathBuf, StickError> {
    let class = root.join(CLASS);
    let entries = fs::read_dir(&class).into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.strip_prefix("event")?.parse::<u32>().ok());
    let number = numbers.filter(|number| is_stick(&class, *number)).min().ok_or(StickError::Absent { class })?;
    Ok(root.join(format!("dev/input/event{number}")))
}

fn is_stick(class: &Path, number: u32) -> bool {
    fs::read_to_string(class.join(format!("event{number}/device/name"))).is_ok_and(|name| name.trim_end() == NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(devices: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (device, name) in devices {
            let directory = root.path().join(CLASS).join(device).join("device");
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("name"), name).unwrap();
        }
        root
    }

    #[test]
    fn the_stick_is_told_from_keyboards_and_mice_by_its_name() {
        let stick = format!("{NAME}\n");
        let root = machine(&[
            ("event0", "gpio-keys\n"),
            ("event12", &stick),
            ("event9", &stick),
            ("event1", "Raspberry Pi Sense HAT Joystick 2\n"),
            ("mouse0", &stick),
            ("js0", &stick),
        ]);
        assert_eq!(find(root.path()).unwrap(), root.path().join("dev/input/event9"));
    }

    #[test]
    fn a_machine_without_one_says_where_it_was_looked_for() {
        let root = machine(&[("event0", "gpio-keys\n")]);
        let error = find(root.path()).unwrap_err();
        assert!(matches!(&error, StickError::Absent { class } if *class == root.path().join(CLASS)), "{error}");
        assert!(error.to_string().contains("rpi-sense"), "{error}");
    }
}
