//! The command `sensegate`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sensegate::cli::main()
}
