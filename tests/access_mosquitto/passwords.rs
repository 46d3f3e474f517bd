//! A password file made by either tool lets the same people into the other's broker.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sensegate::access::{FILE_BYTES_MAX, Verdict, load_passwords};
use tempfile::TempDir;

use crate::broker::{Broker, is_installed};
use crate::client::Client;
use crate::support::Process;

/// A directory, and a password file in it that does not exist yet.
fn place() -> (TempDir, PathBuf) {
    let directory = TempDir::with_prefix("sensegate-").unwrap();
    let file = directory.path().join("passwords");
    (directory, file)
}

fn sensegate(arguments: &[&str], file: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sensegate"));
    command.arg("passwd").args(arguments).arg(file).args(more).output().unwrap()
}

#[track_caller]
fn succeed(arguments: &[&str], file: &Path, more: &[&str]) {
    let output = sensegate(arguments, file, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The exit code and what was said.
fn fail(arguments: &[&str], file: &Path, more: &[&str]) -> (i32, String) {
    let output = sensegate(arguments, file, more);
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn verdict(file: &Path, user: &str, password: &str) -> Verdict {
    load_passwords(file).unwrap().verify(user, Some(password.as_bytes()))
}

#[test]
fn file_made_by_mosquitto_passwd_is_verified_here() {
    if !is_installed() {
        return;
    }
    let (_directory, file) = place();
    let run = |arguments: &[&str], more: &[&str]| {
        let mut command = Command::new("mosquitto_passwd");
        Process::spawn(command.args(arguments).arg(&file).args(more)).expect_success();
    };
    run(&["-c", "-b"], &["bob", "secret"]);
    run(&["-H", "sha512", "-b"], &["b c", "pässword $7$:"]);
    for (user, password) in [("bob", "secret"), ("b c", "pässword $7$:")] {
        assert_eq!(verdict(&file, user, password), Verdict::Accepted, "{user}");
        assert_eq!(verdict(&file, user, "secret "), Verdict::Refused, "{user}");
    }
}

#[test]
fn file_made_here_lets_the_same_people_into_mosquitto() {
    if !is_installed() {
        return;
    }
    let (_directory, file) = place();
    succeed(&["-c", "-b", "-I", "1000"], &file, &["bob", "secret"]);
    succeed(&["-b", "-H", "sha512"], &file, &["b c", "pässword $7$:"]);
    succeed(&["-b"], &file, &["ann", "x"]);
    let broker = Broker::start(&[("password_file", &fs::read_to_string(&file).unwrap())], false);
    let connect = |user, password| Client::connect(broker.address(), "c", Some(user), Some(password)).map(drop);
    for (user, password) in [("bob", "secret"), ("b c", "pässword $7$:"), ("ann", "x")] {
        assert_eq!(connect(user, password), Ok(()), "{user}");
        assert!(connect(user, "wrong").is_err(), "{user}");
        assert_eq!(verdict(&file, user, password), Verdict::Accepted, "{user}");
    }
}

#[test]
fn argon2id_is_made_and_verified() {
    let (_directory, file) = place();
    succeed(&["-c", "-b", "-H", "argon2id"], &file, &["bob", "secret"]);
    assert!(fs::read_to_string(&file).unwrap().starts_with("bob:$argon2id$v=19$m=47104,t=1,p=1$"));
    assert_eq!(verdict(&file, "bob", "secret"), Verdict::Accepted);
    assert_eq!(verdict(&file, "bob", "Secret"), Verdict::Refused);
}

#[test]
fn user_is_changed_and_deleted_and_the_rest_of_the_file_kept() {
    let (_directory, file) = place();
    succeed(&["-c", "-b"], &file, &["ann", "1"]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    let commented = format!("# people\n\n{}# end\n", fs::read_to_string(&file).unwrap());
    fs::write(&file, &commented).unwrap();
    succeed(&["-b"], &file, &["bob", "2"]);
    succeed(&["-b"], &file, &["bob", "3"]);
    assert_eq!(verdict(&file, "bob", "3"), Verdict::Accepted);
    assert_eq!(verdict(&file, "bob", "2"), Verdict::Refused);
    succeed(&["-D"], &file, &["bob"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), commented);
    let (code, said) = fail(&["-D"], &file, &["bob"]);
    assert!(code == 1 && said.contains("no user bob"), "{said}");
}

#[test]
fn plain_text_is_hashed_and_hashed_lines_are_left_alone() {
    let (_directory, file) = place();
    succeed(&["-c", "-b"], &file, &["ann", "1"]);
    let ann = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("# people\nbob:secret\n{ann}")).unwrap();
    assert!(load_passwords(&file).is_err());
    succeed(&["-U"], &file, &[]);
    let hashed = fs::read_to_string(&file).unwrap();
    assert!(hashed.starts_with("# people\nbob:$7$20000$") && hashed.ends_with(&ann), "{hashed}");
    assert_eq!(verdict(&file, "bob", "secret"), Verdict::Accepted);
    assert_eq!(verdict(&file, "ann", "1"), Verdict::Accepted);
}

#[test]
fn password_is_asked_for_twice_where_none_is_given() {
    let (_directory, file) = place();
    let run = |input: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sensegate"));
        let command = command.args(["passwd", "-c"]).arg(&file).arg("bob");
        Process::spawn_with_input(command, input.into())
    };
    let mut differing = run("secret\nsecrets\n");
    assert_eq!(differing.wait().code(), Some(1));
    differing.expect_line_with("the two passwords differ");
    let mut ended = run("secret\n");
    assert_eq!(ended.wait().code(), Some(1));
    assert!(!file.exists());
    run("secret\nsecret\n").expect_success();
    assert_eq!(verdict(&file, "bob", "secret"), Verdict::Accepted);
}

#[test]
fn terminal_does_not_show_the_password() {
    // script (util-linux) gives it a terminal; what is typed before it listens would be shown, so it waits
    let (directory, file) = place();
    let typed = directory.path().join("typed");
    let transcript = directory.path().join("transcript");
    assert!(Command::new("mkfifo").arg(&typed).status().unwrap().success());
    let passwd = format!("{} passwd -c {} bob", env!("CARGO_BIN_EXE_sensegate"), file.display());
    let line = format!("script -qfec '{passwd}' {} < {}", transcript.display(), typed.display());
    let mut terminal = Process::spawn(Command::new("sh").args(["-c", &line]));
    let mut keyboard = fs::OpenOptions::new().write(true).open(&typed).unwrap();
    for prompt in ["Password: ", "Reenter password: "] {
        crate::support::eventually(prompt, || {
            fs::read_to_string(&transcript).ok().filter(|shown| shown.contains(prompt))
        });
        std::io::Write::write_all(&mut keyboard, b"hunter2\n").unwrap();
    }
    terminal.expect_success();
    let shown = fs::read_to_string(&transcript).unwrap();
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(verdict(&file, "bob", "hunter2"), Verdict::Accepted);
}

/// Runs `passwd` with `arguments` once for each of `users`, all of them at the same time, and returns the users that
/// were reported as added.
///
/// The test holds the lock of the directory until every process waits for it, so that all of them compete.
fn add_at_once(arguments: &[&str], file: &Path, users: &[String]) -> Vec<String> {
    let lock = fs::File::open(file.parent().unwrap()).unwrap();
    lock.lock().unwrap();
    let spawn = |user: &String| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sensegate"));
        let command = command.arg("passwd").args(arguments).args(["-b", "-I", "1"]).arg(file).args([user, "x"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut children: Vec<_> = users.iter().map(spawn).collect();
    for child in &mut children {
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("waiting for another process that changes files in"), "{line:?}");
    }
    drop(lock);
    let outputs = children.into_iter().map(|child| child.wait_with_output().unwrap().stdout);
    let lines: Vec<_> = outputs.map(|output| String::from_utf8(output).unwrap()).collect();
    lines.iter().filter_map(|line| line.trim_end().strip_prefix("Added user ")).map(ToOwned::to_owned).collect()
}

fn users_of(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let mut users: Vec<_> = text.lines().map(|line| line.split_once(':').unwrap().0.to_owned()).collect();
    users.sort();
    users
}

#[test]
fn every_user_that_concurrent_calls_report_as_added_is_in_the_file() {
    let (directory, file) = place();
    succeed(&["-c", "-b", "-I", "1"], &file, &["u00", "x"]);
    let users: Vec<_> = (1..=20).map(|number| format!("u{number:02}")).collect();
    let mut added = add_at_once(&[], &file, &users);
    added.push("u00".into());
    added.sort();
    assert_eq!(added.len(), 21);
    assert_eq!(users_of(&file), added);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "the password file alone");
}

#[test]
fn of_concurrent_calls_that_create_the_file_only_one_succeeds() {
    let (_directory, file) = place();
    let users: Vec<_> = (0..5).map(|number| format!("u{number}")).collect();
    let added = add_at_once(&["-c"], &file, &users);
    assert_eq!(added.len(), 1, "{added:?}");
    assert_eq!(users_of(&file), added);
}

#[test]
fn file_that_the_gateway_would_not_read_is_neither_read_nor_made() {
    let (_directory, file) = place();
    let comment = "#".repeat(usize::try_from(FILE_BYTES_MAX).unwrap());
    fs::write(&file, format!("{comment}#")).unwrap();
    let (code, said) = fail(&["-b"], &file, &["bob", "x"]);
    assert!(code == 1 && said.contains("is larger than 8388608 bytes"), "{said}");
    fs::write(&file, &comment).unwrap();
    let (code, said) = fail(&["-b"], &file, &["bob", "x"]);
    assert!(code == 1 && said.contains("would be larger than 8388608 bytes"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), comment);
    let (code, said) = fail(&["-b"], Path::new("/dev/zero"), &["bob", "x"]);
    assert!(code == 1 && said.contains("/dev/zero: is no file"), "{said}");
}

#[test]
fn mistakes_are_told_and_change_nothing() {
    let (_directory, file) = place();
    let (code, said) = fail(&["-b"], &file, &["bob", "x"]);
    assert!(code == 1 && said.contains("does not exist; -c creates it"), "{said}");
    fs::write(&file, "bob:$7$broken\n").unwrap();
    let (code, said) = fail(&["-c", "-b"], &file, &["bob", "x"]);
    assert!(code == 1 && said.contains("exists already"), "{said}");
    let (code, said) = fail(&["-U"], &file, &[]);
    assert!(code == 1 && said.contains(":1:5: the hash does not have the parts"), "{said}");
    let (code, said) = fail(&["-b"], &file, &["bob", ""]);
    assert!(code == 1 && said.contains("the password is empty"), "{said}");
    for (flags, more) in [
        (&["-b"][..], &["a:b", "x"][..]),
        (&["-b"], &["#a", "x"]),
        (&["-b"], &["a\nb", "x"]),
        (&["-b"], &["bob"]),
        (&[], &["bob", "x"]),
        (&["-c", "-D"], &["bob"]),
        (&["-U"], &["bob"]),
        (&["-b", "-I", "0"], &["bob", "x"]),
    ] {
        assert_eq!(fail(flags, &file, more).0, 64, "{flags:?} {more:?}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "bob:$7$broken\n");
}
