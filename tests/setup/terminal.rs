//! Questions and answers, on a terminal.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::place::Place;
use crate::support::eventually;

/// The command, and somebody who sits in front of it.
struct Terminal {
    keyboard: File,
    screen: Arc<Mutex<String>>,
    /// How much of the screen was read.
    read: usize,
    child: Child,
}

impl Terminal {
    fn open(place: &Place, flags: &[&str]) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap().into_string().unwrap();
        let side = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let command = place.command(flags);
        // in a session of its own, whose terminal it is: so Ctrl-C reaches it
        let child = Command::new("setsid")
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(side.try_clone().unwrap())
            .stdout(side.try_clone().unwrap())
            .stderr(side)
            .spawn()
            .unwrap();
        let keyboard = File::from(keyboard);
        let screen = watch(keyboard.try_clone().unwrap());
        Self { keyboard, screen, read: 0, child }
    }

    /// Waits until one of `texts` is shown behind what was read so far; which.
    fn wait_for(&mut self, texts: &[&str]) -> usize {
        let (screen, read) = (Arc::clone(&self.screen), self.read);
        let (index, end) = eventually(&format!("{texts:?} behind\n{}", self.shown()), || {
            let shown = screen.lock().unwrap();
            let found = |text: &&str| Some(read + shown[read..].find(text)? + text.len());
            texts.iter().enumerate().filter_map(|(index, text)| Some((index, found(text)?))).min_by_key(|found| found.1)
        });
        self.read = end;
        index
    }

    fn answer(&mut self, question: &str, answer: &str) {
        self.wait_for(&[question]);
        self.keyboard.write_all(answer.as_bytes()).unwrap();
    }

    /// Answers what is asked only where there is no HAT, until `first` is.
    fn begin(&mut self, first: &str) {
        let questions = ["Switch I2C on", "Go on anyway?", first];
        loop {
            match self.wait_for(&questions) {
                0 => self.keyboard.write_all(b"n\n").unwrap(),
                1 => self.keyboard.write_all(b"y\n").unwrap(),
                _ => return,
            }
        }
    }

    fn shown(&self) -> String {
        self.screen.lock().unwrap().clone()
    }

    fn end(&mut self) -> ExitStatus {
        eventually("it ends", || self.child.try_wait().unwrap())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn watch(mut output: File) -> Arc<Mutex<String>> {
    let screen = Arc::new(Mutex::new(String::new()));
    let shared = Arc::clone(&screen);
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        // it fails when the other side is closed
        while let Ok(count @ 1..) = output.read(&mut bytes) {
            shared.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    });
    screen
}

#[test]
fn answers_make_the_files_and_the_password_is_shown_once() {
    let place = Place::new();
    let mut terminal = Terminal::open(&place, &[]);
    terminal.begin("First level of all topics");
    terminal.keyboard.write_all(b"kitchen\n").unwrap();
    terminal.answer("May other machines", "y\n");
    terminal.answer("With TLS", "n\n");
    terminal.answer("Port of the broker", &format!("{}\n", place.port));
    terminal.answer("User for them [laptop]", "ann\n");
    assert!(place.files().is_empty(), "nothing is written before it is agreed to");
    terminal.answer("Write this? [Y/n]", "y\n");
    assert!(terminal.end().success(), "{}", terminal.shown());
    eventually("the line is shown", || terminal.shown().contains("-u ann -P ").then_some(()));
    assert_eq!(terminal.shown().matches(" -P ").count(), 1, "{}", terminal.shown());
    assert!(place.read("sensegate.toml").contains("prefix = \"kitchen\""));
    assert!(place.read("passwords").starts_with("ann:"));
    assert!(place.read("acl").contains("topic read kitchen/#"));
}

#[test]
fn no_and_the_end_of_the_input_leave_everything_as_it_was() {
    for answer in ["n\n", "\u{4}"] {
        let place = Place::new();
        std::fs::write(place.configuration(), "# mine\nprefix = \"a\"\n").unwrap();
        let files = place.files();
        let mut terminal = Terminal::open(&place, &["--prefix", "b", "--no-lan", "--port", &place.port.to_string()]);
        terminal.begin("Write this?");
        assert!(terminal.shown().contains("- prefix = \"a\"") && terminal.shown().contains("+ prefix = \"b\""));
        terminal.keyboard.write_all(answer.as_bytes()).unwrap();
        assert_eq!(terminal.end().code(), Some(1));
        assert_eq!(place.files(), files);
    }
}

#[test]
fn ctrl_c_ends_it_at_any_question_with_nothing_done() {
    for question in ["May other machines", "Write this?"] {
        let place = Place::new();
        let mut terminal = Terminal::open(&place, &["--port", &place.port.to_string()]);
        terminal.begin("First level of all topics");
        terminal.keyboard.write_all(b"\n").unwrap();
        for asked in ["May other machines", "With TLS", "User for them", "Write this?"] {
            terminal.wait_for(&[asked]);
            terminal.keyboard.write_all(if asked == question { b"\x03" } else { b"\n" }).unwrap();
            if asked == question {
                break;
            }
        }
        assert_eq!(terminal.end().code(), Some(130));
        assert!(place.files().is_empty());
    }
}

#[test]
fn port_that_is_taken_is_asked_about() {
    let place = Place::new();
    let _other = std::net::TcpListener::bind(("127.0.0.1", place.port)).unwrap();
    let mut terminal = Terminal::open(&place, &["--port", &place.port.to_string()]);
    terminal.begin("First level of all topics");
    terminal.keyboard.write_all(b"\n").unwrap();
    terminal.answer("May other machines", "\n");
    terminal.answer("With TLS", "\n");
    terminal.wait_for(&["is taken by"]);
    terminal.answer("What to do? [1]", "2\n");
    terminal.answer("Write this?", "\n");
    assert!(terminal.end().success(), "{}", terminal.shown());
    let url = format!("url = \"mqtt://127.0.0.1:{}\"", place.port);
    assert!(place.read("sensegate.toml").contains(&url));
}
