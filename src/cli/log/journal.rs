//! Lines to systemd's journal with their priority and fields, in its native protocol.
//!
//! Own code, because the libraries for it leave the fields out of the message, so that `journalctl` would show
//! "connection closed" and neither whose nor why.

use std::fmt::{self, Write as _};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Where the journal takes datagrams.
const SOCKET: &str = "/run/systemd/journal/socket";

/// How long a journal that is busy may keep a thread for one line; after that the line is lost.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// A line that is longer is cut: a datagram of the system's default size takes it whole.
const VALUE_BYTES_MAX: usize = 16 * 1024;

/// The journal's longest name of a field.
const NAME_BYTES_MAX: usize = 64;

/// Whether standard error leads to the journal: `JOURNAL_STREAM` names its device and inode (systemd.exec(5)), and
/// stays in the environment of those whose standard error leads elsewhere.
pub(super) fn is_stderr() -> bool {
    let Some(named) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    let Ok(stat) = rustix::fs::fstat(io::stderr().as_fd()) else { return false };
    named == format!("{}:{}", stat.st_dev, stat.st_ino)
}

/// Sends every event to the journal.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
}

impl Journal {
    /// Connects to the journal.
    pub(super) fn connect() -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(SOCKET)?;
        socket.set_write_timeout(Some(WAIT_MAX))?;
        Ok(Self { socket })
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        // nobody is left to tell
        let _ = self.socket.send(&line.datagram(*event.metadata().level()));
    }
}

/// The `PRIORITY` of a level (syslog(3)).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// One event: what people read, and its fields once more by name.
#[derive(Debug, Default)]
struct Line {
    message: String,
    shown: String,
    fields: Vec<(String, String)>,
}

impl Line {
    fn add(&mut self, field: &Field, value: &dyn fmt::Display) {
        match field.name() {
            "message" => self.message = value.to_string(),
            // where in a library the line was written
            name if name.starts_with("log.") => {}
            name => {
                let value = value.to_string();
                // a String takes everything
                let _ = write!(self.shown, " {name}={value}");
                self.fields.push((field_name(name), value));
            }
        }
    }

    fn datagram(&self, level: Level) -> Vec<u8> {
        let mut datagram = Vec::new();
        append(&mut datagram, "PRIORITY", &priority(level).to_string());
        append(&mut datagram, "SYSLOG_IDENTIFIER", "sensegate");
        append(&mut datagram, "MESSAGE", &format!("{}{}", self.message, self.shown));
        for (name, value) in &self.fields {
            append(&mut datagram, name, value);
        }
        datagram
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, &value);
    }
}

/// Capital letters, digits and underscores, behind a prefix that keeps it apart from the journal's own.
fn field_name(name: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    let prefixed = "SENSEGATE_".chars().chain(name.chars().map(letter));
    prefixed.take(NAME_BYTES_MAX).collect()
}

/// As much of `text` as `bytes_max` hold, cut between two characters.
fn start(text: &str, bytes_max: usize) -> &str {
    (0..=bytes_max.min(text.len())).rev().find_map(|end| text.get(..end)).unwrap_or_default()
}

/// A field whose value may hold newlines: name, newline, length in eight bytes, value, newline.
fn append(datagram: &mut Vec<u8>, name: &str, value: &str) {
    let value = start(value, VALUE_BYTES_MAX);
    datagram.extend_from_slice(name.as_bytes());
    datagram.push(b'\n');
    datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
    datagram.extend_from_slice(value.as_bytes());
    datagram.push(b'\n');
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// The datagram's fields, taken apart as the journal does.
    fn fields(datagram: &[u8]) -> Vec<(String, String)> {
        let mut rest = datagram;
        let mut found = Vec::new();
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
            let (name, behind) = rest.split_at(end);
            let (length, behind) = behind[1..].split_first_chunk().unwrap();
            let (value, behind) = behind.split_at(u64::from_le_bytes(*length).try_into().unwrap());
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            found.push((text(name), text(value)));
            rest = behind.strip_prefix(b"\n").unwrap();
        }
        found
    }

    /// What the journal gets of the events of `act`.
    fn received(act: impl FnOnce()) -> Vec<(String, String)> {
        let (socket, journal) = UnixDatagram::pair().unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Journal { socket }), act);
        let mut datagram = vec![0; 1 << 17];
        let length = journal.recv(&mut datagram).unwrap();
        fields(&datagram[..length])
    }

    #[test]
    fn a_line_has_its_priority_its_message_with_all_fields_and_each_field_by_name() {
        let got = received(|| tracing::warn!(client = %"pi", peer_port = 1883, "connection\nclosed"));
        let expected = [
            ("PRIORITY", "4"),
            ("SYSLOG_IDENTIFIER", "sensegate"),
            ("MESSAGE", "connection\nclosed client=pi peer_port=1883"),
            ("SENSEGATE_CLIENT", "pi"),
            ("SENSEGATE_PEER_PORT", "1883"),
        ];
        assert_eq!(got, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn priorities_are_those_of_syslog() {
        let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
        assert_eq!(levels.map(priority), [3, 4, 6, 7, 7]);
    }

    #[test]
    fn a_value_that_never_ends_is_cut_between_two_characters() {
        let got = received(|| tracing::info!("{}", "é".repeat(VALUE_BYTES_MAX)));
        assert_eq!(got[2].1, "é".repeat(VALUE_BYTES_MAX / 2));
    }
}
