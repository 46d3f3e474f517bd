//! What a terminal shows: lines, the beginning of one, and the shell's prompt.

use std::io::Read;
use std::mem;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// The shell's prompt is this, the status of the last command, and [`PROMPT_END`].
const PROMPT: u8 = 2;
const PROMPT_END: u8 = 3;

/// How a shell is told to prompt so.
pub(crate) const SET_PROMPT: &str = r"PS1=$'\002$?\003'; PS2=";

/// What a look finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A line of output.
    Line(String),
    /// The shell waits for a command; the last one ended with this status.
    Prompt(i32),
    /// Nothing in this time.
    Nothing,
    /// The terminal is gone.
    Gone,
}

/// What was printed and not looked at.
pub(crate) struct Screen {
    chunks: Receiver<Vec<u8>>,
    unread: Vec<u8>,
}

impl Screen {
    /// Reads `output` as it comes.
    pub(crate) fn new(mut output: impl Read + Send + 'static) -> Self {
        let (sender, chunks) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                let is_taken = buffer.get(..length).is_some_and(|bytes| sender.send(bytes.to_vec()).is_ok());
                if !is_taken {
                    break;
                }
            }
        });
        Self { chunks, unread: Vec::new() }
    }

    /// The next line or prompt; waits for it.
    pub(crate) fn next(&mut self, patience: Duration) -> Seen {
        use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
        loop {
            if let Some(seen) = self.take() {
                return seen;
            }
            match self.chunks.recv_timeout(patience) {
                Ok(chunk) => self.unread.extend(chunk),
                Err(Timeout) => return Seen::Nothing,
                Err(Disconnected) => return Seen::Gone,
            }
        }
    }

    /// The line that has begun and not ended.
    pub(crate) fn beginning(&self) -> String {
        String::from_utf8_lossy(&self.unread).into_owned()
    }

    /// Takes the line that has begun.
    pub(crate) fn take_beginning(&mut self) {
        self.unread.clear();
    }

    fn take(&mut self) -> Option<Seen> {
        let end = self.unread.iter().position(|byte| [b'\n', PROMPT].contains(byte))?;
        if self.unread.get(end) == Some(&b'\n') {
            return Some(Seen::Line(self.take_text(end + 1)));
        }
        if end > 0 {
            return Some(Seen::Line(self.take_text(end)));
        }
        let end = self.unread.iter().position(|byte| *byte == PROMPT_END)?;
        let status = self.take_text(end + 1).trim_matches(['\u{2}', '\u{3}']).parse();
        Some(Seen::Prompt(status.expect("the shell's status is a number")))
    }

    /// Takes so many bytes as a line.
    fn take_text(&mut self, length: usize) -> String {
        let rest = self.unread.split_off(length);
        let taken = mem::replace(&mut self.unread, rest);
        without_colours(&String::from_utf8_lossy(&taken)).trim_end_matches(['\r', '\n']).to_owned()
    }
}

/// The text without the sequences that set colours: ESC, [, numbers, m.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.map(|part| part.split_once('m').map_or("", |(_, rest)| rest)).collect::<String>()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn lines_and_prompts_come_apart() {
        let mut screen = Screen::new(Cursor::new("\u{1b}[32mon\u{1b}[0me\r\ntw\u{2}0\u{3}\u{2}130\u{3}Password: "));
        let seen: Vec<_> = (0..5).map(|_| screen.next(Duration::from_secs(10))).collect();
        let expected =
            [Seen::Line("one".into()), Seen::Line("tw".into()), Seen::Prompt(0), Seen::Prompt(130), Seen::Gone];
        assert_eq!(seen, expected);
        assert_eq!(screen.beginning(), "Password: ");
    }
}
