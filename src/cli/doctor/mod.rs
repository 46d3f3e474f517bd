//! `sensegate doctor`: looks at everything a gateway needs, and says in one line each what is so and what to do.
//!
//! - Holds nothing. Every check is a function of what it looks at: the root of the file system (so that a test hands in
//!   a directory), an address, a bus.
//! - Nothing is changed on the machine, the chips are set up and read only where no other program has the bus open, and
//!   to the embedded broker and to far sides of uplinks it is a client of its own, so it may run beside a gateway that is at work.
//! - Uses `base`, `sensors`, `matrix`, `stick`, `client`, `broker`'s limits and the decided configuration.
//!
//! Start reading at [`examine`], which is the list of checks; then one file a subject.

pub(super) mod bus;
mod chips;
pub(super) mod finding;
mod leds;
mod limits;
mod place;
pub(super) mod ports;
mod readings;
mod stand_in;
mod stick;
mod uplinks;

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use finding::{Finding, Report, Verdict};

use crate::agent::BrokerAddress;
use crate::base::clock;
use crate::config::Settings;
use crate::sensors::bus::Bus;
use crate::sensors::{self, Chip, SourceOptions};
use crate::server::ListenerAddress;
use crate::stick::{Options, StickSource};

/// Prints what was found. 0 when there is no problem, 1 otherwise; a warning is none.
///
/// `origin` names the configuration's file.
pub(super) fn run(settings: &Settings, origin: &impl fmt::Display) -> ExitCode {
    let report = examine(settings, origin, Path::new("/"));
    print!("{report}");
    if report.verdict() == Verdict::Problem { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// All checks, on the machine whose files are below `root`.
fn examine(settings: &Settings, origin: &impl fmt::Display, root: &Path) -> Report {
    let mut findings = vec![Finding::ok("configuration", origin.to_string())];
    findings.extend(examine_source(&settings.sensors, root));
    if settings.leds.is_some() {
        findings.push(leds::check_framebuffer(root));
    }
    findings.extend(settings.stick.as_ref().and_then(|options| examine_stick(root, options)));
    findings.extend(examine_broker(settings, root));
    findings.extend(settings.broker.iter().flat_map(limits::examine));
    findings.push(place::check_clock(clock::wall(), clock::is_synchronised()));
    findings.push(place::check_directory(&settings.storage.directory, std::process::id()));
    findings.extend(uplinks::examine(settings));
    Report(findings)
}

/// The stick; whoever reads it waits for it on a runtime, so one is made. `None` where the system gives none.
fn examine_stick(root: &Path, options: &Options) -> Option<Finding> {
    if let StickSource::Emulator { directory } = &options.source {
        return Some(stick::check_emulator(directory));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().ok()?;
    let _context = runtime.enter();
    Some(stick::check_stick(root, options.grab))
}

/// Of the HAT: the bus, its drivers and its chips, on the machine whose files are below `root`.
pub(super) fn examine_source(options: &sensors::Options, root: &Path) -> Vec<Finding> {
    match &options.source {
        SourceOptions::I2c { bus } => examine_bus(root, *bus, options),
        SourceOptions::Simulated => vec![Finding::ok("hat", "simulated, as asked for: no bus is touched")],
        SourceOptions::Dump(file) => vec![place::check_dump(file)],
        SourceOptions::Emulator { directory } => vec![stand_in::check_emulator(directory)],
        SourceOptions::Replay(replay) => vec![stand_in::check_recording(&replay.file)],
    }
}

/// The device, then what is on it; a bus that does not open says nothing about its chips.
fn examine_bus(root: &Path, number: u8, options: &sensors::Options) -> Vec<Finding> {
    let mut findings = vec![bus::check_device(root, number, rustix::process::geteuid().as_raw())];
    findings.extend(Chip::ALL.map(|chip| bus::check_driver(root, number, chip.address())));
    if let Ok(mut open) = Bus::open(number) {
        findings.extend(Chip::ALL.map(|chip| chips::check_identity(&mut open, number, chip)));
        // of chips that cannot be read, what is wrong has been said
        if findings.iter().all(|finding| finding.verdict == Verdict::Ok) {
            findings.extend(readings::check(open, number, root, options));
        }
    }
    findings
}

/// The listeners of the embedded broker, or the way to the external one.
fn examine_broker(settings: &Settings, root: &Path) -> Vec<Finding> {
    let listeners = settings.broker.iter().flat_map(|broker| &broker.server.listeners);
    let mut findings: Vec<_> = listeners.map(|listener| examine_listener(&listener.address, root)).collect();
    if let BrokerAddress::External { host, port, .. } = &settings.agent.broker {
        findings.push(place::check_broker(host, *port));
    }
    findings
}

fn examine_listener(address: &ListenerAddress, root: &Path) -> Finding {
    match address {
        ListenerAddress::Tcp(address) => ports::check_tcp(root, *address),
        ListenerAddress::Unix(path) => ports::check_unix(path),
    }
}
