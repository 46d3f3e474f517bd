//! A program whose lines are read as they come.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use sensegate::base::clock;

use super::{PATIENCE, POLL, eventually};

/// A running program. What it prints, on both streams, is kept as lines. Dropping it kills it.
pub struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    printed: Arc<Mutex<Vec<String>>>,
    /// They end with its streams.
    readers: Vec<JoinHandle<()>>,
}

/// How long a program that has ended may leave its streams open, by a child of its own.
const STREAMS_OPEN_MAX: Duration = Duration::from_secs(5);

impl Process {
    /// Starts `command` with an empty input.
    pub fn spawn(command: &mut Command) -> Self {
        Self::spawn_with_input(command, Vec::new())
    }

    /// Starts `command` and feeds it `input` in the background.
    pub fn spawn_with_input(command: &mut Command, input: Vec<u8>) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let mut stdin = child.stdin.take().unwrap();
        // It may end before it has read everything; what it then says is the better message.
        thread::spawn(move || drop(stdin.write_all(&input)));
        let (sender, lines) = channel();
        let printed = Arc::new(Mutex::new(Vec::new()));
        let readers = vec![
            read_lines(child.stdout.take().unwrap(), sender.clone(), &printed),
            read_lines(child.stderr.take().unwrap(), sender, &printed),
        ];
        Self { name, child, lines, printed, readers }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line, or `None` when none comes within `patience` or when there will be none.
    pub fn line_within(&self, patience: Duration) -> Option<String> {
        self.lines.recv_timeout(patience).ok()
    }

    /// The next line; panics with everything printed so far when none comes.
    pub fn expect_line(&self) -> String {
        self.line_within(PATIENCE).unwrap_or_else(|| panic!("no further line:\n{}", self.printed()))
    }

    /// The next line that contains `text`; the lines before it are passed over.
    pub fn expect_line_with(&self, text: &str) -> String {
        loop {
            match self.line_within(PATIENCE) {
                Some(line) if line.contains(text) => return line,
                Some(_) => {}
                None => panic!("no line with {text:?}:\n{}", self.printed()),
            }
        }
    }

    /// Everything printed so far, with the program's name.
    pub fn printed(&self) -> String {
        format!("{} printed:\n{}", self.name, self.printed.lock().unwrap().join("\n"))
    }

    /// Sends it a signal; one that has ended already is left alone.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap();
        let _ = kill_process(pid, signal);
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it ends by itself, and until what it printed is read.
    pub fn wait(&mut self) -> ExitStatus {
        let name = self.name.clone();
        let status = eventually(&format!("{name} ends"), || self.child.try_wait().unwrap());
        let deadline = clock::monotonic() + STREAMS_OPEN_MAX;
        while !self.readers.iter().all(JoinHandle::is_finished) && clock::monotonic() < deadline {
            thread::sleep(POLL);
        }
        status
    }

    /// Waits until it ends by itself; panics with what it printed when it failed.
    pub fn expect_success(&mut self) {
        let status = self.wait();
        assert!(status.success(), "{status}: {}", self.printed());
    }

    /// Interrupts it, as Ctrl-C does, and waits for its end.
    pub fn interrupt(&mut self) -> ExitStatus {
        self.signal(Signal::INT);
        self.wait()
    }

    /// Ends it as a power cut would, and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn read_lines(
    stream: impl Read + Send + 'static,
    sender: Sender<String>,
    printed: &Arc<Mutex<Vec<String>>>,
) -> JoinHandle<()> {
    let printed = Arc::clone(printed);
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            printed.lock().unwrap().push(line.clone());
            // Nobody reads any more: go on, so that the program is never held up by a full pipe.
            let _ = sender.send(line);
        }
    })
}
