//! The command line: what can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::calibrate::CalibrateArgs;
use super::passwd::PasswdArgs;
use super::publish::PublishArgs;
use super::record::RecordArgs;
use super::setup::SetupArgs;
use super::subscribe::SubscribeArgs;

/// A Raspberry Pi with a Sense HAT as a complete MQTT gateway: sensors, broker and client in one program.
#[derive(Debug, Parser)]
#[command(name = "sensegate", version, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) run: RunArgs,
}

/// What to do; `run` when nothing is said.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read the HAT, serve MQTT and publish (what happens without a command)
    Run(RunArgs),
    /// Check a configuration and tell every problem with its line and column
    Check {
        /// The file; without it the one that `run` would take
        file: Option<PathBuf>,
    },
    /// Make the first configuration: asks, or takes the defaults with --yes
    Setup(SetupArgs),
    /// Look at the bus, the chips, the ports, the clock and the uplinks, and tell what to do
    Doctor(SourceArgs),
    /// Take one sample and print it as JSON
    Read(SourceArgs),
    /// Correct the temperature for the heat of the processor, by a thermometer beside the HAT
    Calibrate(CalibrateArgs),
    /// Record what the HAT measures, in the format of the official tools
    Record(RecordArgs),
    /// Print the registers of a real HAT, as a file for --simulate
    Dump(SourceArgs),
    /// Publish messages, with the flags of mosquitto_pub
    Pub(PublishArgs),
    /// Subscribe and print messages, with the flags of mosquitto_sub
    Sub(SubscribeArgs),
    /// Add, change or remove a user of a password file, with the flags of mosquitto's tool
    Passwd(PasswdArgs),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Which configuration, and which HAT.
#[derive(Clone, Debug, Args)]
pub(super) struct SourceArgs {
    /// The configuration; without it /etc/sensegate/sensegate.toml, then ./config/sensegate.toml
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Read a simulated HAT, or one with the registers of FILE
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "clap's way to tell a bare flag from one with a value")]
    pub(super) simulate: Option<Option<PathBuf>>,
}

/// How to run.
#[derive(Clone, Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) source: SourceArgs,
    /// Publish one sample, print it as JSON, and end
    #[arg(long)]
    pub(super) once: bool,
}
