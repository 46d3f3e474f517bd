//! The stick: whether it is there, whether this user may read it, and who has it; or whether the emulator's is there.

use std::fs;
use std::path::Path;

use super::super::others::{self, Other};
use super::finding::Finding;
use crate::stick::device::NAME;
use crate::stick::{EmulatedStick, Grab, Machine, StickError};

const SUBJECT: &str = "stick";

/// Whether the stick of the machine below `root` can be opened and grabbed; it is given back at once. A HAT without its
/// stick serves all the same, so it is no problem when it cannot. Called on a runtime of tokio's.
pub(super) fn check_stick(root: &Path, grab: Grab) -> Finding {
    match Machine::new(root.into()).open_input(grab) {
        Ok(stick) => Finding::ok(SUBJECT, stick.path().display().to_string()),
        Err(error) => advise(root, &error),
    }
}

/// Whether the emulator's window listens in `directory`; nothing is said to it.
pub(super) fn check_emulator(directory: &Path) -> Finding {
    match EmulatedStick::find(directory) {
        Ok(socket) => Finding::ok(SUBJECT, format!("the Sense HAT emulator's, at {}", socket.display())),
        Err(error) => advise(directory, &error),
    }
}

fn advise(root: &Path, error: &StickError) -> Finding {
    match error {
        StickError::Absent { class } if has_driver(class) => Finding::warning(
            SUBJECT,
            "is known to the kernel and has no file: the module evdev is not loaded",
            "sudo modprobe evdev; for good: echo evdev | sudo tee /etc/modules-load.d/evdev.conf",
        ),
        StickError::Absent { .. } => Finding::warning(
            SUBJECT,
            "is not there: nothing is heard of it",
            "plug the HAT in; where it is, dtoverlay=rpi-sense in /boot/firmware/config.txt and a reboot; or say \
             enabled = false in [stick]",
        ),
        StickError::Permission { path } => Finding::warning(
            SUBJECT,
            format!("{} may not be read by this user", path.display()),
            "sudo usermod -aG input $USER, and log in again; the service has that group",
        ),
        StickError::Busy { path } => advise_busy(root, path),
        StickError::WrongKind { path } => Finding::warning(
            SUBJECT,
            format!("{} has its name and is no input device of the kernel", path.display()),
            "look at what made the file: ls -l, and dmesg",
        ),
        StickError::Lost { path } => Finding::warning(
            SUBJECT,
            format!("{} is not there, though the kernel has the stick", path.display()),
            "in a container, hand the device in; else look at dmesg: the HAT may be loose",
        ),
        StickError::NoEmulator { path } => Finding::warning(
            SUBJECT,
            format!("the Sense HAT emulator does not listen at {}: nothing is heard of it", path.display()),
            "start it: sense_emu_gui; sense_play has no stick; or say enabled = false in [stick]",
        ),
        StickError::EmulatorPermission { path } => Finding::warning(
            SUBJECT,
            format!("{} is another user's Sense HAT emulator, and may not be written to", path.display()),
            "run both as one user; or, after each start of the emulator, chmod o+w on that socket",
        ),
        StickError::Io { path, source } => {
            Finding::warning(SUBJECT, format!("{} cannot be used: {source}", path.display()), "look at dmesg")
        }
    }
}

/// Whether a driver has made the stick: then only what makes its file is missing.
fn has_driver(class: &Path) -> bool {
    let entries = fs::read_dir(class).into_iter().flatten().flatten();
    let mut names = entries.filter_map(|entry| fs::read_to_string(entry.path().join("name")).ok());
    names.any(|name| name.trim_end() == NAME)
}

fn advise_busy(root: &Path, device: &Path) -> Finding {
    let others = others::at_device(root, device);
    let device = device.display();
    if others.is_empty() {
        let text = format!("{device} is grabbed by another program");
        return Finding::warning(SUBJECT, text, "sudo sensegate doctor says by which; it may be a gateway that runs");
    }
    let names = others::names(&others);
    if others.iter().any(Other::is_sensegate) {
        return Finding::ok(SUBJECT, format!("{device} is read by {names}"));
    }
    let text = format!("{device} is grabbed by another program; it is open in {names}");
    Finding::warning(SUBJECT, text, "stop it, or say enabled = false in [stick]")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixDatagram;

    use super::super::finding::Verdict;
    use super::*;
    use crate::cli::testing::machine;

    const NAMED: (&str, &str) = ("sys/class/input/event3/device/name", "Raspberry Pi Sense HAT Joystick\n");

    /// What is said of a machine with these files, or of this error on it.
    fn check(files: &[(&str, &str)], words: &[&str]) {
        let root = machine(files);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let finding = runtime.block_on(async { check_stick(root.path(), Grab::Exclusive) });
        expect(&finding, words);
    }

    fn expect(finding: &Finding, words: &[&str]) {
        assert_eq!(finding.verdict, Verdict::Warning);
        let text = finding.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{words:?} in {text}");
    }

    #[test]
    fn a_stick_that_is_absent_or_no_device_is_a_warning_with_a_cure() {
        check(&[], &["is not there", "dtoverlay=rpi-sense"]);
        check(&[("sys/class/input/input5/name", NAMED.1)], &["modprobe evdev"]);
        check(&[NAMED], &["dev/input/event3 is not there", "container"]);
        check(&[NAMED, ("dev/input/event3", "")], &["no input device", "ls -l"]);
    }

    #[test]
    fn an_emulator_is_there_while_somebody_listens_and_is_told_to_be_started_else() {
        let directory = tempfile::tempdir().unwrap();
        expect(&check_emulator(directory.path()), &["does not listen", "rpi-sense-emu-stick", "sense_emu_gui"]);
        let socket = UnixDatagram::bind(directory.path().join("rpi-sense-emu-stick")).unwrap();
        let finding = check_emulator(directory.path());
        assert_eq!((finding.verdict, finding.text.contains("emulator's, at")), (Verdict::Ok, true), "{finding}");
        drop(socket);
        expect(&check_emulator(directory.path()), &["does not listen"]);
        let error = StickError::EmulatorPermission { path: "/dev/shm/x".into() };
        expect(&advise(Path::new("/"), &error), &["another user's", "chmod o+w"]);
    }

    #[test]
    fn missing_permission_names_the_group() {
        let error = StickError::Permission { path: "/dev/input/event3".into() };
        expect(&advise(Path::new("/"), &error), &["/dev/input/event3 may not be read", "usermod -aG input"]);
    }

    #[test]
    fn a_busy_stick_is_told_with_the_programs_that_have_it_open() {
        let files =
            [("proc/41/comm", "retroarch\n"), ("proc/7/comm", "sh\n"), ("proc/version", ""), ("dev/input/event3", "")];
        let root = machine(&files);
        let device = root.path().join("dev/input/event3");
        let error = StickError::Busy { path: device.clone() };
        expect(&advise(root.path(), &error), &["another program", "sudo sensegate doctor"]);
        for (process, target) in [(41, device.as_path()), (7, Path::new("/dev/null"))] {
            let descriptors = root.path().join(format!("proc/{process}/fd"));
            fs::create_dir_all(&descriptors).unwrap();
            symlink(target, descriptors.join("5")).unwrap();
        }
        let finding = advise(root.path(), &error);
        expect(&finding, &["open in retroarch (process 41)  ->", "enabled = false"]);
        fs::write(root.path().join("proc/41/comm"), "sensegate\n").unwrap();
        let finding = advise(root.path(), &error);
        assert_eq!(finding.verdict, Verdict::Ok);
        assert!(finding.text.contains("read by sensegate (process 41)"), "{finding}");
    }
}
