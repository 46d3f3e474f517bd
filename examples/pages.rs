//! Writes what a package brings beside the program and its command line knows best: manual pages and completions.
//!
//! `cargo run --example pages -- DIRECTORY` makes `DIRECTORY/man/*.1`, and a directory each for bash, zsh and fish.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap_complete::Shell;

/// What the manual page of the program ends with; the help has to fit a screen.
const AFTER: &str = "\
Files:
  /etc/sensegate/sensegate.toml  the configuration; every key is explained in place
  /var/lib/sensegate             the state of the service: broker.db and small files beside it
  /etc/credstore                 secrets for the service, by name: ubidots.token, broker.password

Exit codes:
  0   success
  1   failure
  64  a mistake on the command line
  78  a configuration with problems";

const SHELLS: [(&str, Shell); 3] = [("bash", Shell::Bash), ("zsh", Shell::Zsh), ("fish", Shell::Fish)];

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1) else {
        eprintln!("usage: pages DIRECTORY");
        return ExitCode::from(64);
    };
    match write_all(Path::new(&directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pages: cannot write to {}: {error}", PathBuf::from(directory).display());
            ExitCode::FAILURE
        }
    }
}

fn write_all(directory: &Path) -> io::Result<()> {
    write_manual(&directory.join("man"))?;
    for (name, shell) in SHELLS {
        let place = directory.join(name);
        fs::create_dir_all(&place)?;
        clap_complete::generate_to(shell, &mut sensegate::cli::command(), "sensegate", OsString::from(place))?;
    }
    Ok(())
}

/// One page for the program and one for each of its commands, `sensegate-run.1` and so on.
fn write_manual(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    clap_mangen::generate_to(sensegate::cli::command().after_help(AFTER), directory)
}
