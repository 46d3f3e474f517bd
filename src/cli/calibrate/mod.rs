//! `sensegate calibrate`: what a thermometer beside the HAT shows, at two moments or more, makes the correction for the
//! heat of the processor.
//!
//! - Holds the moments until the correction is written.
//! - Never enters: how a correction is found, which is `sensors`.
//!
//! Start reading at [`run`], then `measure` (one moment), `report` (what is told) and `configuration` (what is written).

mod configuration;
mod measure;
mod report;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use super::arguments::SourceArgs;
use super::edit::ask::Asker;
use super::edit::files::{self, Change, Changes, Shown};
use super::others;
use super::replace::Access;
use crate::base::clock;
use crate::config::{Loaded, Origin};
use crate::sensors::{self, Fit, Moment};
use measure::Place;

/// Fewer tell nothing of how the heat changes.
const MOMENTS_MIN: usize = 2;

/// What a thermometer in a room, a cellar or a greenhouse shows.
const REFERENCE_C: std::ops::RangeInclusive<f64> = -40.0..=60.0;

/// What stands below the flags in the help.
const AFTER_HELP: &str = "\
Put a thermometer beside the Raspberry Pi, where its warm air does not reach, and let it stand. Tell what it shows when \
the Pi has been idle for a quarter of an hour, and again when it has been busy for as long; more moments make the result \
better. Each is measured while the line waits; an empty line ends. Standard input may also be a file or a pipe: a \
temperature a line.

The gateway must not run meanwhile: `systemctl stop sensegate`, and start it again behind it. What is written is \
[sensors.correction], nothing else.

Exit codes: 0, 1 for a failure or a no, 64 for a usage that is none, 78 for a configuration that has problems.";

/// Correct the temperature for the heat of the processor, by a thermometer beside the HAT
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub(super) struct CalibrateArgs {
    #[command(flatten)]
    pub(super) source: SourceArgs,
    /// How long each moment is measured
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// The file in which the kernel tells the processor's temperature, instead of the one that the configuration names
    #[arg(long, value_name = "FILE")]
    processor_file: Option<PathBuf>,
    /// Write without a question at the end
    #[arg(short, long)]
    yes: bool,
    /// Tell what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Asks, measures, fits, shows and writes.
///
/// # Errors
/// A configuration that cannot be written, fewer than two moments, or a HAT that cannot be opened.
pub(super) fn run(args: &CalibrateArgs, loaded: &Loaded) -> anyhow::Result<ExitCode> {
    let Origin::File(path) = &loaded.file else {
        bail!(
            "there is no configuration to write the correction into; `sensegate setup` makes one, --config names one"
        );
    };
    if !args.dry_run {
        files::check_writable(path)?;
    }
    others::check_alone(&loaded.settings.sensors.source, Path::new("/"))?;
    let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    let document = configuration::parse(&text)?;
    let processor_file = args.processor_file.clone().unwrap_or_else(|| configuration::processor_file(&document));
    let mut sensor = sensors::open(&measure::options(&loaded.settings.sensors), clock::monotonic)?;
    let (mut input, mut output) = (io::stdin().lock(), io::stderr());
    let mut place = Place { sensor: &mut sensor, processor_file: &processor_file, duration: args.duration };
    let moments = ask(&mut Asker::new(&mut input, &mut output, true), |reference| place.measure(reference))?;
    let Some(fit) = best(&moments, &mut output)? else { return Ok(ExitCode::FAILURE) };
    let new = configuration::with(document, &fit, args.processor_file.as_deref())?;
    write(args, path, text, new, &mut input, &mut output)
}

/// Asks for what the thermometer shows until there is no more.
fn ask(
    asker: &mut Asker<'_>,
    mut measure: impl FnMut(f64) -> Result<measure::Measured, String>,
) -> anyhow::Result<Vec<Moment>> {
    let mut moments = Vec::new();
    loop {
        let question = format!("Thermometer, in °C (moment {}; empty when that is all):", moments.len() + 1);
        let Some(reference) = asker.optional(&question, parse_reference)? else { break };
        match measure(reference) {
            Ok(measured) => {
                asker.say(&report::measured(&measured))?;
                moments.push(measured.moment);
            }
            Err(why) => asker.say(&format!("  no temperature, so this moment does not count: {why}"))?,
        }
    }
    if moments.len() < MOMENTS_MIN {
        bail!("{} of {MOMENTS_MIN} moments: nothing was changed", moments.len());
    }
    Ok(moments)
}

fn parse_reference(typed: &str) -> Result<f64, String> {
    // where a decimal comma is used
    let number = typed.replace(',', ".").parse::<f64>().ok().filter(|celsius| REFERENCE_C.contains(celsius));
    let expected = || format!("a number from {} to {}, in °C", REFERENCE_C.start(), REFERENCE_C.end());
    number.ok_or_else(expected)
}

/// The method that agrees best, after both were shown.
fn best(moments: &[Moment], output: &mut dyn Write) -> io::Result<Option<Fit>> {
    let (offset, factor) = (Fit::offset(moments), Fit::factor(moments));
    write!(output, "{}", report::fits(moments, offset.as_ref(), factor.as_ref()))?;
    let usable = [factor, offset].into_iter().flatten().filter(configuration::is_allowed);
    // the factor comes first: where both are as good it goes on when the load is another
    let best = usable.min_by(|one, other| one.rms().total_cmp(&other.rms()));
    if best.is_none() {
        writeln!(output, "no correction makes the HAT agree with the thermometer; nothing was changed")?;
    }
    Ok(best)
}

fn write(
    args: &CalibrateArgs,
    path: &Path,
    old: String,
    new: String,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let change =
        Change { path: path.into(), old: Some(old), new, access: Access::ALL, shown: Shown::Lines, has_backup: true };
    let changes = Changes::of(vec![change]);
    if changes.is_empty() {
        writeln!(output, "{} says so already", path.display())?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(output, "{}", changes.show())?;
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !Asker::new(input, output, true).yes("Write it?", true)? {
        writeln!(output, "nothing was changed")?;
        return Ok(ExitCode::FAILURE);
    }
    for written in changes.commit()? {
        writeln!(output, "{}: written", written.display())?;
    }
    writeln!(output, "It holds from the next start: `systemctl start sensegate`.")?;
    Ok(ExitCode::SUCCESS)
}
