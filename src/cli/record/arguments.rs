//! What can be typed behind `record`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::open::Existing;
use super::output::Flush;
use crate::cli::arguments::SourceArgs;

/// Shorter intervals than the fastest chip converts in are refused by the configuration too.
const INTERVAL_MIN: Duration = Duration::from_millis(40);
const INTERVAL_MAX: Duration = Duration::from_secs(3600);

/// What to record, where to, and for how long.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct RecordArgs {
    /// Where to, `-` for the standard output; an existing file is not overwritten without --force
    #[arg(default_value = "-", hide_default_value = true)]
    pub(in crate::cli) file: Option<PathBuf>,
    /// How long, such as 90s or "1h 30m"; without it until Ctrl-C
    #[arg(short, long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(in crate::cli) duration: Option<Duration>,
    /// Time between two records, 40ms to 1h; without it sensors.interval
    #[arg(short, long, value_name = "TIME", value_parser = parse_interval)]
    pub(in crate::cli) interval: Option<Duration>,
    /// Write each record to the disk at once: a power cut then takes one at most, and the card wears
    #[arg(short, long)]
    pub(in crate::cli) flush: bool,
    /// Overwrite an existing file
    #[arg(long)]
    pub(in crate::cli) force: bool,
    #[command(flatten)]
    pub(in crate::cli) source: SourceArgs,
}

impl RecordArgs {
    pub(super) fn existing(&self) -> Existing {
        if self.force { Existing::Overwrite } else { Existing::Keep }
    }

    /// With `interval` between two records.
    pub(super) fn flush(&self, interval: Duration) -> Flush {
        if self.flush { Flush::EachRecord } else { Flush::WhenFull { interval } }
    }
}

fn parse_interval(typed: &str) -> Result<Duration, String> {
    let interval = humantime::parse_duration(typed).map_err(|error| error.to_string())?;
    let is_possible = (INTERVAL_MIN..=INTERVAL_MAX).contains(&interval);
    if is_possible { Ok(interval) } else { Err("a duration from 40ms to 1h is expected".into()) }
}
