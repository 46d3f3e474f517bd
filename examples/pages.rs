//! Writes what a package brings beside the program and its command line knows best: manual pages and completions.
//!
//! `cargo run --example pages -- DIRECTORY` makes `DIRECTORY/man/*.1`, and a directory each for bash, zsh and fish.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap_complete::Shell;

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
    clap_mangen::generate_to(sensegate::cli::command(), directory)
}
