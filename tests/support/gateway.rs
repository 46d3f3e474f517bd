//! The program under test, on a free port of loopback.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::{PATIENCE, POLL, Process, sensegate};
use sensegate::base::clock;

/// How often a start is tried: a free port may be taken by somebody else before the program has it.
const STARTS_MAX: u32 = 5;

/// The built `sensegate` with `--simulate`, or mosquitto in its place. Dropping it kills it.
pub struct Gateway {
    // Before the directory: ended first when dropped.
    process: Process,
    directory: TempDir,
    port: u16,
    hat: Hat,
    is_stand_in: bool,
}

/// What it finds on its bus.
#[derive(Clone, Copy)]
enum Hat {
    Simulated,
    Missing,
}

impl Gateway {
    /// Starts it on a free port. `toml_extra` stands before this harness's own tables in the file, so it may begin
    /// with top-level keys; it must not hold `[[broker.listener]]`, `[storage]` or `[sensors]`.
    pub fn start(toml_extra: &str) -> Self {
        Self::start_either(toml_extra, "")
    }

    /// Starts it as [`Self::start`] does; `stand_in_extra` says the same to mosquitto in its own words.
    pub fn start_either(toml_extra: &str, stand_in_extra: &str) -> Self {
        let extra = [toml_extra, stand_in_extra];
        for _ in 1..STARTS_MAX {
            if let Ok(gateway) = Self::try_start(free_port(), extra, Hat::Simulated) {
                return gateway;
            }
        }
        Self::try_start(free_port(), extra, Hat::Simulated)
            .unwrap_or_else(|printed| panic!("does not serve: {printed}"))
    }

    /// Starts it on a free port, and on a bus that does not exist.
    pub fn start_without_hat() -> Self {
        Self::try_start(free_port(), ["", ""], Hat::Missing)
            .unwrap_or_else(|printed| panic!("does not serve: {printed}"))
    }

    /// Starts it on `port`.
    pub fn start_on(port: u16, toml_extra: &str) -> Self {
        let extra = [toml_extra, ""];
        Self::try_start(port, extra, Hat::Simulated).unwrap_or_else(|printed| panic!("does not serve: {printed}"))
    }

    fn try_start(port: u16, extra: [&str; 2], hat: Hat) -> Result<Self, String> {
        let directory = TempDir::with_prefix("sensegate-").unwrap();
        write_configuration(directory.path(), port, extra);
        let process = spawn(directory.path(), hat);
        let mut gateway = Self { process, directory, port, hat, is_stand_in: is_stand_in() };
        gateway.wait_until_it_accepts()?;
        Ok(gateway)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its configuration file.
    pub fn configuration(&self) -> PathBuf {
        self.directory.path().join("sensegate.toml")
    }

    /// Its state directory.
    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait()
    }

    /// Whether mosquitto stands in for it: steps that need more than a broker, or more than mosquitto does, are
    /// left out.
    pub fn is_stand_in(&self) -> bool {
        self.is_stand_in
    }

    /// Everything it printed so far.
    pub fn printed(&self) -> String {
        self.process.printed()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Asks it to stop (SIGTERM) and waits until it did.
    pub fn stop(&mut self) -> ExitStatus {
        self.process.signal(Signal::TERM);
        self.process.wait()
    }

    /// Ends it as a power cut would (SIGKILL).
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again after [`Self::stop`] or [`Self::kill`], with the same file and state.
    pub fn start_again(&mut self) {
        self.process = spawn(self.directory.path(), self.hat);
        self.wait_until_it_accepts().unwrap_or_else(|printed| panic!("does not serve again: {printed}"));
    }

    fn wait_until_it_accepts(&mut self) -> Result<(), String> {
        let deadline = clock::monotonic() + PATIENCE;
        while clock::monotonic() < deadline && self.process.is_running() {
            if TcpStream::connect_timeout(&self.address(), Duration::from_secs(1)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
        Err(self.process.printed())
    }
}

/// Whether mosquitto stands in for the gateway.
fn is_stand_in() -> bool {
    std::env::var("SENSEGATE_TEST_BROKER").is_ok_and(|broker| broker == "mosquitto")
}

/// A port that is free now.
pub(super) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// `extra` is for the gateway and for mosquitto.
fn write_configuration(directory: &Path, port: u16, extra: [&str; 2]) {
    let [toml_extra, stand_in_extra] = extra;
    let state = directory.join("state");
    let toml = format!(
        "{toml_extra}\n[sensors]\ninterval = \"100ms\"\n\n[storage]\ndirectory = \"{}\"\n\n\
         [[broker.listener]]\naddress = \"127.0.0.1:{port}\"\n",
        state.display()
    );
    fs::write(directory.join("sensegate.toml"), toml).unwrap();
    let stand_in = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\n\
         max_inflight_messages 0\n{stand_in_extra}"
    );
    fs::write(directory.join("mosquitto.conf"), stand_in).unwrap();
}

fn spawn(directory: &Path, hat: Hat) -> Process {
    if is_stand_in() {
        return Process::spawn(Command::new("mosquitto").arg("-c").arg(directory.join("mosquitto.conf")));
    }
    let mut command = sensegate();
    match hat {
        Hat::Simulated => command.arg("--simulate"),
        Hat::Missing => command.env("SENSEGATE__SENSORS__BUS", "251"),
    };
    Process::spawn(command.arg("--config").arg(directory.join("sensegate.toml")))
}
