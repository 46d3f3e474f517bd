//! Lines on standard error: text for people or JSON for machines, at a level that a reload may change.

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

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

/// Starts the log of this process. Under systemd the journal adds the time.
pub(super) fn start(options: &LogOptions) -> Level {
    let (filter, handle) = reload::Layer::new(filter(options.level));
    let is_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let layer = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines: Box<dyn Layer<_> + Send + Sync> = match (options.format, is_journal) {
        (LogFormat::Json, _) => layer.json().flatten_event(true).boxed(),
        (LogFormat::Text, true) => layer.without_time().with_ansi(false).boxed(),
        (LogFormat::Text, false) => layer.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).init();
    Level(handle)
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
