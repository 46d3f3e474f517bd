//! A terminal with a shell in it, typed into as a person does.

use std::io::Write;
use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;

use sensegate::base::clock;

use crate::machine::{Machine, has_settled};
use crate::pattern::{is_any_lines, matches};
use crate::screen::{SET_PROMPT, Screen, Seen};
use crate::support::{PATIENCE, POLL};

/// What Ctrl-C sends.
const INTERRUPT: &[u8] = b"\x03";

/// How long to rest between two looks at the sockets, which cost a program each.
const SETTLING_POLL: Duration = Duration::from_millis(50);

/// How soon a person presses Ctrl-C at the earliest, where a program never comes to what it is to do.
const QUICKEST: Duration = Duration::from_secs(2);

/// What paho-mqtt 2.2 logs at the end of each `publish.single`, whatever the broker. The documents say so once.
const NOISE_OF_PAHO: &str = "Client is not connected. Socket: None). Last known Connection State: MQTT_CS_DISCONNECTED";

/// What is wrong, for the reader of the test's output.
pub(crate) type Result = std::result::Result<(), String>;

/// A shell in a terminal of its own. Dropping it ends it and what runs in it.
pub(crate) struct Terminal {
    process: Child,
    keyboard: ChildStdin,
    screen: Screen,
    /// The session of every program in it.
    session: u32,
    /// A command runs.
    is_busy: bool,
    /// It is to fail.
    is_to_fail: bool,
    /// The last thing shown was [`is_any_lines`]: whatever it prints now is well.
    is_any: bool,
}

impl Terminal {
    /// Opens one.
    pub(crate) fn open(machine: &Machine) -> Self {
        let mut command = machine.command("script");
        // exec: where SHELL does not do so itself, the session would not be bash's
        command.args(["-q", "-f", "-e", "-c", "exec bash --norc --noprofile --noediting", "/dev/null"]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let keyboard = process.stdin.take().unwrap();
        let screen = Screen::new(process.stdout.take().unwrap());
        let mut terminal =
            Self { process, keyboard, screen, session: 0, is_busy: true, is_to_fail: false, is_any: true };
        let directory = machine.directory();
        terminal.type_line(&format!(
            "stty -echo; unset HISTFILE; cd {}; {SET_PROMPT}; echo session $$",
            directory.display()
        ));
        terminal.session = terminal.wait_for_session();
        terminal.become_idle().unwrap();
        terminal
    }

    fn wait_for_session(&mut self) -> u32 {
        loop {
            match self.screen.next(PATIENCE) {
                Seen::Line(line) => {
                    // behind the prompt that the shell began with
                    if let Some(Ok(session)) = line.rsplit_once("session ").map(|(_, number)| number.parse()) {
                        return session;
                    }
                }
                other => panic!("a shell, not {other:?}"),
            }
        }
    }

    /// Types a command, once what ran before has ended.
    pub(crate) fn type_command(&mut self, command: &str, is_to_fail: bool) -> Result {
        self.become_idle()?;
        self.type_line(command);
        (self.is_busy, self.is_to_fail, self.is_any) = (true, is_to_fail, false);
        Ok(())
    }

    fn type_line(&mut self, line: &str) {
        self.keyboard.write_all(line.as_bytes()).and_then(|()| self.keyboard.write_all(b"\n")).unwrap();
    }

    /// Waits until these lines are printed; types `password` where one of them asks for it.
    pub(crate) fn expect(&mut self, shown: &[String], password: Option<&str>) -> Result {
        for shown in shown {
            if is_any_lines(shown) {
                self.is_any = true;
                continue;
            }
            match password.filter(|_| shown.trim_end().ends_with(':')) {
                Some(password) => self.answer(shown, password)?,
                None => self.expect_line(shown)?,
            }
            self.is_any = false;
        }
        Ok(())
    }

    fn expect_line(&mut self, shown: &str) -> Result {
        loop {
            match self.screen.next(PATIENCE) {
                Seen::Line(line) if matches(shown, &line) => return Ok(()),
                Seen::Line(line) if self.is_any || line == NOISE_OF_PAHO => {}
                Seen::Line(line) => return Err(format!("prints {line:?}, not {shown:?}")),
                seen => return Err(format!("does not print {shown:?}: {seen:?}")),
            }
        }
    }

    /// Waits for a question that no line end follows, and answers it.
    fn answer(&mut self, question: &str, password: &str) -> Result {
        let deadline = clock::monotonic() + PATIENCE;
        while !matches(question, &self.screen.beginning()) {
            match self.screen.next(POLL) {
                Seen::Nothing if clock::monotonic() < deadline => {}
                // what ended the answer before this one
                Seen::Line(line) if line.is_empty() => {}
                seen => return Err(format!("does not ask {question:?}: {seen:?}")),
            }
        }
        self.screen.take_beginning();
        self.type_line(password);
        // what ends this answer
        self.expect_line("")
    }

    /// Presses Ctrl-C, not before the program has had a person's time to begin. What it says to that is its own.
    pub(crate) fn interrupt(&mut self) -> Result {
        let deadline = clock::monotonic() + QUICKEST;
        loop {
            match self.screen.next(SETTLING_POLL) {
                Seen::Nothing if has_settled(self.session) || clock::monotonic() > deadline => break,
                Seen::Nothing => {}
                Seen::Line(line) => self.pass_over(&line)?,
                seen => return Err(format!("nothing is left to interrupt: {seen:?}")),
            }
        }
        self.keyboard.write_all(INTERRUPT).unwrap();
        loop {
            match self.screen.next(PATIENCE) {
                Seen::Line(_) => {}
                Seen::Prompt(_) => break,
                seen => return Err(format!("does not end when it is interrupted: {seen:?}")),
            }
        }
        self.is_busy = false;
        Ok(())
    }

    /// Waits until the command has ended, as it was to, or does what it goes on doing.
    pub(crate) fn settle(&mut self) -> Result {
        let deadline = clock::monotonic() + PATIENCE;
        while self.is_busy {
            match self.screen.next(SETTLING_POLL) {
                Seen::Nothing if has_settled(self.session) => return Ok(()),
                Seen::Nothing if clock::monotonic() < deadline => {}
                Seen::Line(line) => self.pass_over(&line)?,
                Seen::Prompt(status) => self.handle_end(status)?,
                seen => return Err(format!("neither ends nor subscribes nor listens: {seen:?}")),
            }
        }
        Ok(())
    }

    /// Waits until no command runs; everything that was printed must have been shown.
    pub(crate) fn become_idle(&mut self) -> Result {
        while self.is_busy {
            match self.screen.next(PATIENCE) {
                Seen::Line(line) => self.pass_over(&line)?,
                Seen::Prompt(status) => self.handle_end(status)?,
                seen => return Err(format!("the command does not end: {seen:?}")),
            }
        }
        Ok(())
    }

    fn pass_over(&self, line: &str) -> Result {
        if self.is_any || line == NOISE_OF_PAHO {
            Ok(())
        } else {
            Err(format!("prints a line that is not shown: {line:?}"))
        }
    }

    fn handle_end(&mut self, status: i32) -> Result {
        self.is_busy = false;
        match (status, self.is_to_fail) {
            (0, false) | (1.., true) => Ok(()),
            _ => Err(format!("the command ended with {status}")),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // its programs are hung up
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
