//! `sensegate record`: what the HAT measures, as a recording.
//!
//! - Holds the sensor, the output, and the count of what was recorded.
//! - Never enters: corrections and filters. What is written is what the chips say, so that a replay goes the same way
//!   through the gateway.
//! - Uses `sensors`, and the agent's schedule.
//! - Follows the format of `sense_rec` ([`crate::sensors::recording`]).
//!
//! Start reading at [`run`]; `output` is where records go, `open` how that is opened, `stop` what ends a recording,
//! `tally` what is said at the end.

mod arguments;
mod open;
mod output;
mod stop;
mod tally;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

pub(super) use arguments::RecordArgs;

use self::output::{Output, Written};
use self::stop::Stop;
use self::tally::Tally;
use super::others;
use super::read::{causes, wait_for_values};
use crate::agent::Schedule;
use crate::base::clock::{self, Monotonic};
use crate::sensors::recording::{Header, Record};
use crate::sensors::{self, Readings, Reason, Sensor, Source, SourceOptions};

/// Between two looks at an output that takes nothing.
const ROOM_PAUSE: Duration = Duration::from_millis(50);

/// Records until the duration is over, until SIGINT, SIGTERM or SIGHUP, until nobody reads any more, or until the
/// recording that is replayed ends. Says on standard error what is absent at the start, and what was recorded at the
/// end.
///
/// # Errors
/// A source that cannot be opened, a file that exists or is the source, a terminal for an output, or a disk that takes
/// no more. What was recorded until then stays, whole.
pub(super) fn run(arguments: &RecordArgs, options: &sensors::Options) -> anyhow::Result<ExitCode> {
    others::check_alone(&options.source, Path::new("/"))?;
    let interval = arguments.interval.unwrap_or(options.interval);
    let mut sensor = sensors::open(&sensors::Options { interval, ..options.clone() }, clock::monotonic)?;
    let (file, flush) = (arguments.file.as_deref(), arguments.flush(interval));
    let mut output = Output::open(file, arguments.existing(), flush, played(&options.source))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut tally = Tally::default();
    let result = runtime.block_on(async {
        let mut stop = Stop::new().context("cannot listen for signals")?;
        // before the first record: a chip that is starting has no value yet
        let first = wait_for_values(|now| sensor.sample_raw(now));
        for cause in causes(&first) {
            eprintln!("sensegate: {cause}");
        }
        let (began, duration) = (clock::monotonic(), arguments.duration);
        let mut recording = Recording { sensor, output: &mut output, tally: &mut tally, began, duration };
        recording.run(&mut stop, interval).await
    });
    // a session that has dropped has no terminal any more
    let _ = writeln!(io::stderr(), "sensegate: {tally}");
    result.map(|()| ExitCode::SUCCESS)
}

/// The recording that is the source.
fn played(source: &SourceOptions) -> Option<&Path> {
    match source {
        SourceOptions::Replay(replay) => Some(&replay.file),
        _ => None,
    }
}

struct Recording<'a> {
    sensor: Sensor,
    output: &'a mut Output,
    tally: &'a mut Tally,
    began: Monotonic,
    /// Without it there is no end.
    duration: Option<Duration>,
}

impl Recording<'_> {
    /// Times are reckoned from the start by the clock that never jumps: they never go back, whatever happens to the
    /// wall clock.
    async fn run(&mut self, stop: &mut Stop, interval: Duration) -> anyhow::Result<()> {
        let start = clock::wall();
        let mut schedule = Schedule::new(self.began, interval);
        let mut written = self.output.write_header(Header { start_s: seconds_of(start) })?;
        while written == Written::Taken {
            tokio::select! {
                biased;
                () = stop.wait() => break,
                () = self.wait(&schedule) => {}
            }
            let now = clock::monotonic();
            if self.left(now).is_zero() {
                break;
            }
            let readings = self.sensor.sample_raw(now);
            if self.is_over(&readings) {
                break;
            }
            written = self.record(seconds_of(start) + now.since(self.began).as_secs_f64(), &readings, now)?;
            schedule.advance(clock::monotonic());
            self.tally.set_missed(schedule.missed());
        }
        self.output.finish()
    }

    /// Until a record is due and the output takes it, or the duration is over. The output is not simply written to: a
    /// reader that takes nothing would hold off the signals.
    async fn wait(&self, schedule: &Schedule) {
        let now = clock::monotonic();
        tokio::time::sleep(schedule.wait(now).min(self.left(now))).await;
        while !self.output.has_room() && !self.left(clock::monotonic()).is_zero() {
            tokio::time::sleep(ROOM_PAUSE).await;
        }
    }

    /// What is left of the duration. However short it is, one record is wanted.
    fn left(&self, now: Monotonic) -> Duration {
        let duration = self.duration.filter(|_| self.tally.has_records());
        duration.map_or(Duration::MAX, |duration| duration.saturating_sub(now.since(self.began)))
    }

    fn record(&mut self, time_s: f64, readings: &Readings, now: Monotonic) -> anyhow::Result<Written> {
        let written = self.output.write(&Record::of(time_s, readings), now)?;
        self.tally.count(readings, now);
        Ok(written)
    }

    /// Whether a recording that is recorded again has come to its end.
    fn is_over(&self, readings: &Readings) -> bool {
        let has_ended = |reason| reason == Reason::Ended;
        self.sensor.source() == Source::Replay
            && readings.iter().all(|(_, reading)| reading.as_ref().is_err_and(|absence| has_ended(absence.reason)))
    }
}

fn seconds_of(wall: clock::Wall) -> f64 {
    let since_epoch = Duration::from_millis(u64::try_from(wall.unix_ms()).unwrap_or(0));
    since_epoch.as_secs_f64()
}
