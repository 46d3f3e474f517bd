//! The program's own words: `sensegate pub`, `sensegate sub` and the others.

use std::process::Command;

use super::{Gateway, PATIENCE, Process};

/// What the debug lines of [`Listener`] begin with; a message never does.
const DEBUG: &str = "listener: ";

/// The built `sensegate`. The environment is a layer of its configuration: what the developer has set stays out.
pub fn sensegate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sensegate"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SENSEGATE_")) {
        command.env_remove(name);
    }
    command
}

/// A running `sensegate sub` whose subscription is acknowledged.
pub struct Listener {
    process: Process,
}

impl Listener {
    /// Subscribes to a gateway with the given flags of `sensegate sub`.
    pub fn start(gateway: &Gateway, flags: &[&str]) -> Self {
        Self::run(&[&["-h", "127.0.0.1", "-p", &gateway.port().to_string()], flags].concat())
    }

    /// Subscribes with the given flags, those among them that say where; `-i` and `-d` are added.
    pub fn run(flags: &[&str]) -> Self {
        let process = Process::spawn(sensegate().args(["sub", "-i", "listener", "-d"]).args(flags));
        process.expect_line_with("SubAck");
        Self { process }
    }

    /// The next line that it prints for a message.
    pub fn line(&self) -> String {
        loop {
            let line = self.process.line_within(PATIENCE);
            let line = line.unwrap_or_else(|| panic!("no further message; {}", self.process.printed()));
            if !line.starts_with(DEBUG) {
                return line;
            }
        }
    }

    /// The process itself.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
