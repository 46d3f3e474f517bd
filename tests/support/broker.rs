//! A real mosquitto, as somebody else's broker.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::gateway::free_port;
use super::{Process, eventually};

/// How often a start is tried: a free port may be taken by somebody else before mosquitto has it.
const STARTS_MAX: u32 = 5;

/// A running mosquitto, which keeps nothing when it ends. Dropping it kills it.
pub struct Broker {
    // Before the directory: ended first when dropped.
    process: Process,
    directory: TempDir,
    port: u16,
}

impl Broker {
    /// Starts one that lets everybody in.
    pub fn start() -> Self {
        Self::start_with(|_| "allow_anonymous true\n".into())
    }

    /// Starts one with further lines of its configuration; they may name files that `settings` puts into the
    /// directory it is given.
    pub fn start_with(settings: impl FnOnce(&Path) -> String) -> Self {
        let directory = TempDir::with_prefix("mosquitto-").unwrap();
        let settings = settings(directory.path());
        for _ in 1..STARTS_MAX {
            let port = free_port();
            write_configuration(directory.path(), port, &settings);
            let mut process = spawn(directory.path());
            if accepts(&mut process, port) {
                return Self { process, directory, port };
            }
        }
        panic!("mosquitto does not start: {settings}");
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of its files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Everything it printed since its last start; each connection is a line.
    pub fn printed(&self) -> String {
        self.process.printed()
    }

    /// Asks it to stop and waits until it did.
    pub fn stop(&mut self) {
        self.process.signal(Signal::TERM);
        self.process.wait();
    }

    /// Starts it again after [`Self::stop`], on the same port, with nothing left.
    pub fn start_again(&mut self) {
        self.process = spawn(self.directory.path());
        assert!(accepts(&mut self.process, self.port), "mosquitto does not start again: {}", self.process.printed());
    }
}

/// Whether mosquitto and its programs are installed.
pub fn has_mosquitto() -> bool {
    let mut command = Command::new("mosquitto");
    let is_there = command.arg("-h").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    is_there && super::has_mosquitto_clients()
}

fn write_configuration(directory: &Path, port: u16, settings: &str) {
    // Started by root it becomes another user, who may not read the directory.
    let text = format!("user root\nlistener {port} 127.0.0.1\npersistence false\nlog_type all\n{settings}");
    fs::write(directory.join("mosquitto.conf"), text).unwrap();
}

fn spawn(directory: &Path) -> Process {
    Process::spawn(Command::new("mosquitto").arg("-c").arg(directory.join("mosquitto.conf")))
}

/// Whether it accepts before it ends.
fn accepts(process: &mut Process, port: u16) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    eventually("mosquitto accepts or ends", || {
        let accepts = TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok();
        (accepts || !process.is_running()).then_some(accepts)
    })
}
