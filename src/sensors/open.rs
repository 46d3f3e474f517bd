//! From options to something that can be sampled.

use std::path::PathBuf;

use super::dump::{Dump, DumpError};
use super::emulator::Emulator;
use super::hat::Hat;
use super::real::RealHat;
use super::recording::RecordingError;
use super::refine::Refinery;
use super::replay::Replay;
use super::simulated::SimulatedHat;
use super::{Counts, Options, Readings, Source, SourceOptions, replay};
use crate::base::clock::Monotonic;

/// The HAT that was asked for. `Send`, so that it can live on the thread of the blocking bus.
#[derive(Debug)]
pub struct Sensor {
    kind: Kind,
    refinery: Refinery,
}

#[derive(Debug)]
enum Kind {
    Real(Box<RealHat>),
    Simulated(Box<Hat<SimulatedHat>>),
    Emulator(Emulator),
    Replay(Box<Replay>),
}

/// What was asked for cannot be had, whatever happens later.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The dump's file cannot be read.
    #[error("cannot read the register dump {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The dump's file is no dump.
    #[error("{}:{cause}", path.display())]
    Dump {
        /// The file.
        path: PathBuf,
        /// Where in it, and what is wrong.
        cause: DumpError,
    },
    /// The recording cannot be played.
    #[error("{}: {cause}", path.display())]
    Recording {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: RecordingError,
    },
}

/// Opens what `options` ask for; `clock` drives the simulated HAT. No chip is touched.
///
/// # Errors
/// A dump or a recording that cannot be read. A missing bus or HAT is none: its readings are absent with the reason, and
/// it is looked for again with backoff.
pub fn open(options: &Options, clock: fn() -> Monotonic) -> Result<Sensor, OpenError> {
    let kind = match &options.source {
        SourceOptions::I2c { bus } => Kind::Real(Box::new(RealHat::new(*bus, options.clone()))),
        SourceOptions::Simulated => simulated(SimulatedHat::new(clock, fastrand::u64(..)), options),
        SourceOptions::Dump(path) => simulated(SimulatedHat::from_dump(&Dump::load(path)?, clock), options),
        SourceOptions::Emulator { directory } => Kind::Emulator(Emulator::new(directory.clone())),
        SourceOptions::Replay(replay) => Kind::Replay(Box::new(open_recording(replay)?)),
    };
    Ok(Sensor { kind, refinery: Refinery::new(options.refinement.clone()) })
}

fn simulated(i2c: SimulatedHat, options: &Options) -> Kind {
    Kind::Simulated(Box::new(Hat::new(i2c, options)))
}

fn open_recording(options: &replay::Options) -> Result<Replay, OpenError> {
    let path = || options.file.clone();
    Replay::open(options.clone()).map_err(|cause| OpenError::Recording { path: path(), cause })
}

impl Sensor {
    /// Does what is due with the chips and tells what is known ([`Hat::sample`]), refined.
    pub fn sample(&mut self, now: Monotonic) -> Readings {
        let raw = self.sample_raw(now);
        self.refinery.refine(&raw, now)
    }

    /// As [`Self::sample`], and not refined: what the chips say, which is what a recording holds.
    pub fn sample_raw(&mut self, now: Monotonic) -> Readings {
        match &mut self.kind {
            Kind::Real(hat) => hat.sample(now),
            Kind::Simulated(hat) => hat.sample(now),
            Kind::Emulator(emulator) => emulator.sample(now),
            Kind::Replay(replay) => replay.sample(now),
        }
    }

    /// While a chip starts up: when the next sample finds it further; see [`Hat::next_deadline`].
    pub fn next_deadline(&self) -> Option<Monotonic> {
        match &self.kind {
            Kind::Real(hat) => hat.next_deadline(),
            Kind::Simulated(hat) => hat.next_deadline(),
            Kind::Emulator(_) | Kind::Replay(_) => None,
        }
    }

    /// What happened on the bus since the start.
    pub fn counts(&self) -> Counts {
        match &self.kind {
            Kind::Real(hat) => hat.counts(),
            Kind::Simulated(hat) => hat.counts(),
            Kind::Emulator(_) | Kind::Replay(_) => Counts::default(),
        }
    }

    /// Goes over to other options, all but the source; see [`Hat::set_options`].
    pub fn set_options(&mut self, options: &Options) {
        match &mut self.kind {
            Kind::Real(hat) => hat.set_options(options),
            Kind::Simulated(hat) => hat.set_options(options),
            Kind::Emulator(_) | Kind::Replay(_) => {}
        }
        self.refinery.set_options(&options.refinement);
    }

    /// Where the readings come from.
    pub const fn source(&self) -> Source {
        match &self.kind {
            Kind::Real(_) => Source::I2c,
            Kind::Simulated(_) => Source::Simulated,
            Kind::Emulator(_) => Source::Emulator,
            Kind::Replay(_) => Source::Replay,
        }
    }

    /// What is worth saying once about what is read: of a recording, its span, and whether it was cut short.
    pub fn remark(&self) -> Option<String> {
        match &self.kind {
            Kind::Replay(replay) => Some(format!("the recording has {}", replay.survey())),
            Kind::Real(_) | Kind::Simulated(_) | Kind::Emulator(_) => None,
        }
    }
}
