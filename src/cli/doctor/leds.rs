//! The LED matrix: whether it is there, and whether this user may write to it.

use std::path::Path;

use super::finding::Finding;
use crate::matrix::{Framebuffer, FramebufferError};

const SUBJECT: &str = "led matrix";

/// Whether the framebuffer below `root` can be opened; nothing is written to it. A HAT without its matrix serves all
/// the same, so it is no problem when it cannot.
pub(super) fn check_framebuffer(root: &Path) -> Finding {
    match Framebuffer::open(root) {
        Ok(framebuffer) => Finding::ok(SUBJECT, framebuffer.path().display().to_string()),
        Err(FramebufferError::Absent { .. }) => Finding::warning(
            SUBJECT,
            "is not there: what is published to it is not seen",
            "plug the HAT in; where it is, dtoverlay=rpi-sense in /boot/firmware/config.txt and a reboot; or say \
             enabled = false in [leds]",
        ),
        Err(FramebufferError::Permission { path }) => Finding::warning(
            SUBJECT,
            format!("{} may not be written to by this user", path.display()),
            "sudo usermod -aG video $USER, and log in again; the service has that group",
        ),
        Err(FramebufferError::Io { path, source }) => {
            Finding::warning(SUBJECT, format!("{} cannot be used: {source}", path.display()), "look at dmesg")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_matrix_that_is_absent_is_a_warning_with_a_cure_and_one_that_is_there_is_ok() {
        let root = tempfile::tempdir().unwrap();
        let finding = check_framebuffer(root.path());
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(finding.cure.contains("dtoverlay=rpi-sense"), "{finding}");

        let class = root.path().join("sys/class/graphics/fb1");
        fs::create_dir_all(&class).unwrap();
        fs::create_dir_all(root.path().join("dev")).unwrap();
        fs::write(class.join("name"), "RPi-Sense FB\n").unwrap();
        fs::write(root.path().join("dev/fb1"), "as it was").unwrap();
        let finding = check_framebuffer(root.path());
        assert_eq!(finding.verdict, Verdict::Ok);
        assert!(finding.text.ends_with("dev/fb1"), "{finding}");
        assert_eq!(fs::read_to_string(root.path().join("dev/fb1")).unwrap(), "as it was");
    }
}
