//! `sensegate run --once`: one sample, printed and published.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::read;
use crate::agent;
use crate::base::clock::Monotonic;
use crate::config::Settings;
use crate::sensors::Sensor;

/// How long the broker may take for everything.
const PUBLISH_WAIT: Duration = Duration::from_secs(10);

/// Takes a sample, prints it as `sensegate read` does, and publishes it. Exit code 0 when every quantity has a value
/// and the broker has taken it.
///
/// # Errors
/// When the broker does not take it, or standard output is closed.
pub(super) async fn run(
    settings: &Settings,
    mut sensor: Sensor,
    started: Monotonic,
    memory: PathBuf,
) -> anyhow::Result<ExitCode> {
    let sample = read::take_sample(&mut sensor);
    let code = read::report(&sample, &mut io::stdout().lock(), &mut io::stderr().lock())?;
    agent::publish_once(settings.agent.clone(), &sample, started, memory, PUBLISH_WAIT).await?;
    Ok(code)
}
