//! The words the operator sees: arguments in, lines and exit codes out.
//!
//! - Holds nothing that outlives a command.
//! - Never enters: protocol rules, registers.
//! - Uses every room; it is where `server` and `agent` meet.
//!
//! One file a command. Start reading at [`main()`], then `run`.

mod arguments;
mod calibrate;
mod check;
mod client;
mod completions;
mod directory_lock;
mod doctor;
mod dump;
mod edit;
mod greeting;
mod life;
mod log;
mod once;
mod others;
mod passwd;
mod publish;
mod read;
mod record;
mod replace;
mod run;
mod setup;
mod source;
mod state;
mod subscribe;
#[cfg(test)]
mod testing;
mod threads;
mod uplinks;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use arguments::{Arguments, Command, RunArgs};

use crate::store::StoreError;

/// A command line that is none (sysexits.h, `EX_USAGE`).
const EXIT_USAGE: u8 = 64;
/// A configuration or a state file that cannot be used (sysexits.h, `EX_CONFIG`); systemd does not restart on it.
const EXIT_CONFIGURATION: u8 = 78;

/// Runs the command that the process was called with.
pub fn main() -> ExitCode {
    life::end_with_the_first_panic();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    match dispatch(arguments) {
        Ok(code) => code,
        Err(error) => {
            log::print_error(&format!("sensegate: {error:#}"));
            let is_permanent =
                error.chain().any(|cause| cause.downcast_ref::<StoreError>().is_some_and(StoreError::is_permanent));
            if is_permanent { ExitCode::from(EXIT_CONFIGURATION) } else { ExitCode::FAILURE }
        }
    }
}

/// The command line, for those who describe it: manual pages and completions.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Help and version are answers; everything else that clap says is a mistake of usage.
fn refuse(error: &clap::Error) -> ExitCode {
    // a closed standard output leaves nobody to tell
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
}

fn dispatch(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { command, run: before } = arguments;
    match command {
        None => run::run(&before),
        Some(Command::Run(args)) => {
            run::run(&RunArgs { once: args.once || before.once, source: args.source.or(before.source) })
        }
        Some(Command::Check { file }) => Ok(check::run(file.or(before.source.config).as_deref())),
        Some(Command::Doctor(args)) => {
            args.or(before.source).with(|loaded| Ok(doctor::run(&loaded.settings, &loaded.file)))
        }
        Some(Command::Read(args)) => args.or(before.source).with(|loaded| read::run(&loaded.settings.sensors)),
        Some(Command::Calibrate(args)) => {
            args.source.clone().or(before.source).with(|loaded| calibrate::run(&args, loaded))
        }
        Some(Command::Record(args)) => {
            let source = args.source.clone().or(before.source);
            source.with(|loaded| record::run(&args, &loaded.settings.sensors))
        }
        Some(Command::Dump(args)) => args.or(before.source).with(|loaded| dump::run(&loaded.settings.sensors)),
        Some(Command::Pub(args)) => publish::run(&args),
        Some(Command::Sub(args)) => subscribe::run(&args),
        Some(Command::Passwd(args)) => passwd::run(&args),
        Some(Command::Setup(args)) => setup::run(&args, before.source.config),
        Some(Command::Completions { shell }) => Ok(completions::run(shell)),
    }
}
