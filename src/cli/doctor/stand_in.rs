//! What is read in the place of a HAT: the emulator, or a recording. No chip is looked for.

use std::path::Path;

use super::finding::Finding;
use crate::sensors::emulator::{self, EmulatorError};
use crate::sensors::recording::survey;

const SUBJECT: &str = "hat";

/// Whether the Sense HAT emulator runs, and what it shows in `directory` can be read.
pub(super) fn check_emulator(directory: &Path) -> Finding {
    match emulator::find(directory) {
        Ok(id) => {
            let text = format!("the Sense HAT emulator, process {id}, in {}: no chip is read", directory.display());
            Finding::ok(SUBJECT, text)
        }
        Err(error) => Finding::problem(SUBJECT, error.to_string(), cure(&error)),
    }
}

fn cure(error: &EmulatorError) -> &'static str {
    match error {
        EmulatorError::NotStarted { .. } | EmulatorError::Closed { .. } | EmulatorError::Ended { .. } => {
            "start it: sense_emu_gui (sudo apt install sense-emu-tools where it is missing); a process in a container \
             of its own is not seen"
        }
        EmulatorError::Permission { .. } => "run both as one user, or let this one read it",
        _ => "close the emulator, remove its files there, and start it again",
    }
}

/// Whether the recording can be played, and what it spans.
pub(super) fn check_recording(file: &Path) -> Finding {
    match survey(file) {
        Ok(found) => Finding::ok(SUBJECT, format!("the recording {}: {found}; no chip is read", file.display())),
        Err(error) => {
            let text = format!("the recording {} {error}", file.display());
            Finding::problem(SUBJECT, text, "sensegate record FILE writes one, and the official sense_rec too")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;
    use crate::sensors::recording::{Header, Record};

    #[test]
    fn emulator_that_does_not_run_is_a_problem_with_a_cure() {
        let directory = tempfile::tempdir().unwrap();
        let finding = check_emulator(directory.path());
        assert_eq!(finding.verdict, Verdict::Problem);
        assert!(finding.text.contains("is not running") && finding.cure.contains("sense_emu_gui"), "{finding}");
    }

    #[test]
    fn recording_is_told_with_its_span_and_one_that_is_none_with_what_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.hat");
        let record = |time_s| Record { time_s, ..Record::default() }.encode();
        let bytes = [&Header { start_s: 60.0 }.encode()[..], &record(60.0), &record(120.0)].concat();
        std::fs::write(&file, bytes).unwrap();
        let finding = check_recording(&file);
        assert_eq!(finding.verdict, Verdict::Ok);
        let expected = ": 2 records over 1m, from 1970-01-01T00:01:00.000Z on; no chip is read";
        assert!(finding.text.ends_with(expected), "{finding}");
        std::fs::write(&file, "time,pressure\n1,2\n3,4,5,6,7\n").unwrap();
        let finding = check_recording(&file);
        assert_eq!(finding.verdict, Verdict::Problem);
        assert!(finding.text.contains("begins with \"time,pre\""), "{finding}");
        assert_eq!(check_recording(&directory.path().join("none")).verdict, Verdict::Problem);
    }
}
