//! What is there already.

use std::fs;

use crate::place::Place;
use crate::support::sensegate;

#[test]
fn twice_is_harmless() {
    let place = Place::new();
    place.setup_yes(&[]);
    let files = place.files();
    let said = place.setup_yes(&[]);
    assert!(said.errors.contains("everything is as it should be already"), "{}", said.errors);
    assert_eq!(place.files(), files);
    assert_eq!(said.password(), "PASSWORD", "a password that is there is not known");
}

#[test]
fn shipped_file_keeps_its_comments_and_is_kept_under_another_name() {
    let place = Place::new();
    let shipped = fs::read_to_string("config/sensegate.toml").unwrap();
    fs::write(place.configuration(), &shipped).unwrap();
    place.setup_yes(&[]);
    let text = place.read("sensegate.toml");
    let comments =
        |text: &str| text.lines().filter(|line| line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    let now = comments(&text);
    assert!(comments(&shipped).iter().all(|line| now.contains(line)));
    assert_eq!(place.read("sensegate.toml.bak-1"), shipped);
    let check = sensegate().arg("check").arg(place.configuration()).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}

#[test]
fn user_and_lines_that_are_there_stay() {
    let place = Place::new();
    fs::write(place.path("acl"), "# mine\nuser bob\ntopic read x\n").unwrap();
    place.setup_yes(&["--user", "bob"]);
    let bob = place.read("passwords");
    assert!(place.read("acl").starts_with("# mine\nuser bob\ntopic read x\n"));
    let kept = place.setup_yes(&["--user", "bob"]);
    assert_eq!((place.read("passwords"), kept.password().as_str()), (bob.clone(), "PASSWORD"));
    let replaced = place.setup_yes(&["--user", "bob", "--new-password"]);
    assert_ne!((place.read("passwords"), replaced.password().as_str()), (bob, "PASSWORD"));
    place.setup_yes(&["--user", "ann"]);
    assert_eq!(place.read("passwords").lines().count(), 2);
}

#[test]
fn dry_run_tells_and_leaves_nothing() {
    let place = Place::new();
    let said = place.setup_yes(&["--dry-run", "--tls"]);
    assert!(said.errors.contains("sensegate.toml is new:") && said.errors.contains("dry run"), "{}", said.errors);
    assert!(place.files().is_empty() && said.output.is_empty(), "{}", said.output);
}
