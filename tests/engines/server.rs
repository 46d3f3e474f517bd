//! What all engines have in common.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use sensegate::base::clock;

use crate::connection::{Connection, Login};
use crate::place::Place;
use crate::support::{POLL, Process};

/// How long an engine may take to serve, or to end. Erlang and Java on a busy machine take their time.
pub(crate) const ENGINE_PATIENCE: Duration = Duration::from_secs(150);

/// How often a first start is tried: a free port may be taken by somebody else before the engine has it.
const STARTS_MAX: u32 = 3;

/// An MQTT engine under a test's hand. Dropping it kills it with all that it started.
pub(crate) trait Engine {
    /// What people call it.
    fn name(&self) -> &'static str;
    /// Where it serves MQTT: one address a node, the same ones after each start.
    fn addresses(&self) -> Vec<SocketAddr>;
    /// The directory of its files, which the command line or the environment of each of its processes names.
    fn directory(&self) -> &Path;
    /// Asks it to stop and waits until it did.
    fn stop(&mut self);
    /// Ends it as a power cut would, but for what the system still has to write.
    fn kill(&mut self);
    /// Starts it after [`Self::stop`] or [`Self::kill`], with the same addresses and data, and waits until it serves.
    fn start_again(&mut self);
    /// What it printed since its last start.
    fn printed(&self) -> String;
}

/// An engine that is one process.
pub(crate) struct Server {
    // Before the directory: ended first when dropped.
    process: Process,
    directory: TempDir,
    place: Place,
    address: SocketAddr,
    /// The command that starts it, from its directory.
    command: fn(&Path) -> Command,
}

impl Server {
    /// Starts it in `place` with a directory of its own, and waits until it serves. `configure` writes its files for
    /// the address it is to serve on.
    pub(crate) fn start(place: &Place, configure: fn(&Path, SocketAddr), command: fn(&Path) -> Command) -> Self {
        for attempt in 1.. {
            let directory = TempDir::with_prefix("engine-").unwrap();
            let address = place.free_address();
            configure(directory.path(), address);
            let process = place.start(&mut command(directory.path()));
            let mut server = Self { process, directory, place: place.clone(), address, command };
            match server.wait_until_it_serves() {
                Ok(()) => return server,
                Err(printed) => assert!(attempt < STARTS_MAX, "does not serve: {printed}"),
            }
        }
        unreachable!("the last attempt panics")
    }

    /// Where it serves.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The directory of its files.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What it printed since its last start.
    pub(crate) fn printed(&self) -> String {
        self.process.printed()
    }

    /// Asks it to stop (SIGTERM) and waits until it did.
    pub(crate) fn stop(&mut self) {
        self.process.signal(Signal::TERM);
        wait_for_end(&mut self.process);
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again and waits until it serves.
    pub(crate) fn start_again(&mut self) {
        self.process = self.place.start(&mut (self.command)(self.directory.path()));
        self.wait_until_it_serves().unwrap_or_else(|printed| panic!("does not serve again: {printed}"));
    }

    fn wait_until_it_serves(&mut self) -> Result<(), String> {
        wait_until_serving(&self.place, self.address, &mut self.process)
    }
}

/// Waits until a client is accepted at `address`: TCP, CONNECT and CONNACK.
///
/// # Errors
/// What the program printed, when it ends before.
pub(crate) fn wait_until_serving(place: &Place, address: SocketAddr, process: &mut Process) -> Result<(), String> {
    let login = Login::passing(&format!("looks-{}", fastrand::u32(..)));
    let mut last = String::new();
    let serves = within(ENGINE_PATIENCE, || {
        match place.run(|| Connection::open(address, &login)) {
            Ok(_) => return Some(true),
            Err(error) => last = error.to_string(),
        }
        (!process.is_running()).then_some(false)
    });
    match serves {
        Some(true) => Ok(()),
        _ => Err(format!("{address}: {last}; {}", process.printed())),
    }
}

/// Waits until a program ends by itself.
pub(crate) fn wait_for_end(process: &mut Process) {
    let ended = within(ENGINE_PATIENCE, || (!process.is_running()).then_some(()));
    assert!(ended.is_some(), "does not stop: {}", process.printed());
}

/// Looks until `look` finds something; `None` when it did not within `patience`.
pub(crate) fn within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = clock::monotonic() + patience;
    loop {
        let found = look();
        if found.is_some() || clock::monotonic() >= deadline {
            return found;
        }
        std::thread::sleep(POLL);
    }
}

/// Whether a program is installed.
pub(crate) fn has_program(name: &str) -> bool {
    Command::new("sh").args(["-c", &format!("command -v {name}")]).stdout(Stdio::null()).status().unwrap().success()
}

/// The processes whose command line or environment names `text`.
pub(crate) fn processes_with(text: &str) -> HashSet<u32> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let names = |file: String| fs::read(file).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text));
    processes.filter(|id| names(format!("/proc/{id}/cmdline")) || names(format!("/proc/{id}/environ"))).collect()
}

/// Tells a measured time past the test's hidden output.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
