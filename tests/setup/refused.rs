//! What is refused, with nothing written.

use std::fs;
use std::process::Command;

use crate::place::Place;

#[test]
fn without_a_terminal_and_without_yes_it_is_a_mistake_of_usage() {
    let place = Place::new();
    for flags in [&[][..], &["--dry-run"]] {
        let said = place.setup(flags);
        assert_eq!(said.status.code(), Some(64));
        assert!(said.errors.contains("--yes"), "{}", said.errors);
    }
    assert_eq!(place.setup(&["--no-lan", "--tls"]).status.code(), Some(64));
    assert!(place.files().is_empty());
}

#[test]
fn configuration_with_problems_is_left_as_it_is() {
    for (file, text, place_of_it) in [
        ("sensegate.toml", "prefix = 5\n", ":1:10: prefix:"),
        ("sensegate.toml", "prefix = \n", ":1:10"),
        ("passwords", "ann:plain\n", "passwords:1:5"),
        ("acl", "topics x\n", "acl:1:1"),
    ] {
        let place = Place::new();
        fs::write(place.path(file), text).unwrap();
        let files = place.files();
        let said = place.setup(&["--yes"]);
        assert_eq!(said.status.code(), Some(78), "{}", said.errors);
        assert!(said.errors.contains(place_of_it), "{}", said.errors);
        assert_eq!(place.files(), files);
    }
}

#[test]
fn answer_that_the_configuration_refuses_is_told_and_nothing_is_written() {
    let place = Place::new();
    let said = place.setup(&["--yes", "--prefix", "a/#"]);
    assert_eq!(said.status.code(), Some(78), "{}", said.errors);
    assert!(said.errors.contains("nothing was changed"), "{}", said.errors);
    assert!(place.files().is_empty());
}

#[test]
fn directory_that_cannot_be_written_is_told_before_any_question() {
    let output = Command::new(env!("CARGO_BIN_EXE_sensegate"))
        .args(["setup", "--yes", "--config", "/proc/nowhere/sensegate.toml"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("sudo sensegate setup"), "{errors}");
}
