//! Lines on standard error, text for people or JSON for machines, or with their fields to systemd's journal; at a level
//! that a reload may change.

mod journal;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use journal::Journal;

use crate::config::{LogFormat, LogLevel, LogOptions};

/// The level, to be changed while the log goes on.
#[derive(Clone, Debug)]
pub(super) struct Level(Handle<LevelFilter, Registry>);

impl Level {
    /// Shows lines down to `level` from now on.
    pub(super) fn set(&self, level: LogLevel) {
        // fails only when the log is gone, with the process
        let _ = self.0.reload(filter(level));
    }
}

/// Starts the log of this process. Text goes to the journal itself where standard error leads there.
pub(super) fn start(options: &LogOptions) -> Level {
    let (filter, handle) = reload::Layer::new(filter(options.level));
    let layer = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines: Box<dyn Layer<_> + Send + Sync> = match options.format {
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
        LogFormat::Text if journal::is_stderr() => match Journal::connect() {
            Ok(journal) => journal.boxed(),
            // the journal adds the time to what it reads from standard error
            Err(_) => layer.without_time().with_ansi(false).boxed(),
        },
        LogFormat::Text => layer.with_ansi(wants_colours()).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).init();
    Level(handle)
}

/// Colours are for terminals of people who have nothing against them (no-color.org).
fn wants_colours() -> bool {
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !is_refused && std::io::IsTerminal::is_terminal(&std::io::stderr())
}

/// Prints what ends the process before or beside its log. In the journal each line is an error (sd-daemon(3)).
pub(super) fn print_error(text: &str) {
    let priority = if journal::is_stderr() { "<3>" } else { "" };
    for line in text.lines() {
        eprintln!("{priority}{line}");
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
