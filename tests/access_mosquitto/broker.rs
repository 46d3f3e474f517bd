//! mosquitto itself, with a configuration of the test's.

use std::fmt::Write;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{PATIENCE, POLL, Process, skip_or_fail};
use sensegate::base::clock;

/// How often a start is tried: a free port may be taken by somebody else before the program has it.
const STARTS_MAX: u32 = 5;

/// A running mosquitto. Dropping it kills it.
pub(crate) struct Broker {
    process: Process,
    address: SocketAddr,
    _directory: TempDir,
}

impl Broker {
    /// Starts it with `files`, each a key of its configuration and the text of the file that the key names.
    pub(crate) fn start(files: &[(&str, &str)], allow_anonymous: bool) -> Self {
        (0..STARTS_MAX).find_map(|_| Self::try_start(files, allow_anonymous)).expect("mosquitto serves")
    }

    fn try_start(files: &[(&str, &str)], allow_anonymous: bool) -> Option<Self> {
        let directory = TempDir::with_prefix("sensegate-").unwrap();
        let address = free_address();
        let mut configuration =
            format!("user root\nlistener {} 127.0.0.1\nallow_anonymous {allow_anonymous}\n", address.port());
        for (key, text) in files {
            let path = directory.path().join(key);
            fs::write(&path, text).unwrap();
            writeln!(configuration, "{key} {}", path.display()).unwrap();
        }
        let path = directory.path().join("mosquitto.conf");
        fs::write(&path, configuration).unwrap();
        let process = Process::spawn(Command::new(program("mosquitto")).arg("-c").arg(&path));
        let mut broker = Self { process, address, _directory: directory };
        broker.accepts().then_some(broker)
    }

    /// Waits until it accepts; false when it ended instead.
    fn accepts(&mut self) -> bool {
        let deadline = clock::monotonic() + PATIENCE;
        while clock::monotonic() < deadline && self.process.is_running() {
            if TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok() {
                return self.process.is_running();
            }
            std::thread::sleep(POLL);
        }
        false
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

/// Debian puts the broker where a user's PATH may not look.
fn program(name: &str) -> PathBuf {
    let installed = PathBuf::from("/usr/sbin").join(name);
    if installed.exists() { installed } else { name.into() }
}

/// Whether mosquitto and its password tool are there; says so when they are not.
pub(crate) fn is_installed() -> bool {
    let runs = |name| {
        let mut command = Command::new(program(name));
        command.arg("-h").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    let installed = runs("mosquitto") && runs("mosquitto_passwd");
    if !installed {
        skip_or_fail("mosquitto is not installed");
    }
    installed
}
