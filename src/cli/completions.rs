//! `sensegate completions SHELL`.

use std::io;
use std::process::ExitCode;

use clap::CommandFactory;

use super::arguments::Arguments;

/// Prints the script; `source <(sensegate completions bash)` puts it to use.
pub(super) fn run(shell: clap_complete::Shell) -> ExitCode {
    clap_complete::generate(shell, &mut Arguments::command(), "sensegate", &mut io::stdout());
    ExitCode::SUCCESS
}
