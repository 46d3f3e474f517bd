//! The two brokers under measurement, each a process of its own with a port and a directory that go with it.

use std::fs;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::client::Client;
use crate::options::{sensegate, variable};
use crate::process::{Process, free_port};

/// A broker that listens.
pub(crate) struct Broker {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    pub(crate) process: Process,
    /// Configuration and state.
    _directory: TempDir,
}

impl Broker {
    /// The program of this crate with its default limits, a simulated HAT that is read once an hour, and a quiet log.
    pub(crate) fn sensegate() -> io::Result<Self> {
        let configuration = |port: u16, directory: &Path| {
            format!(
                "[sensors]\ninterval = \"1h\"\n\
                 [[broker.listener]]\naddress = \"127.0.0.1:{port}\"\n\
                 [storage]\ndirectory = \"{}\"\n\
                 [log]\nlevel = \"warn\"\n",
                directory.join("state").display()
            )
        };
        Self::start("sensegate", &sensegate(), configuration, &["--simulate", "--config"])
    }

    /// mosquitto with everything that could slow it down or make it drop messages switched off.
    pub(crate) fn mosquitto() -> io::Result<Self> {
        let program = variable("MOSQUITTO", "/usr/sbin/mosquitto".to_owned());
        // started by root it would become another user, and the kernel would no longer tie its life to this process
        let configuration = |port: u16, _: &Path| {
            format!(
                "user root\nlistener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n\
                 max_inflight_messages 0\nmax_queued_messages 0\npersistence false\nlog_type error\n"
            )
        };
        Self::start("mosquitto", &program, configuration, &["-c"])
    }

    fn start(
        name: &'static str,
        program: &str,
        configuration: impl FnOnce(u16, &Path) -> String,
        arguments: &[&str],
    ) -> io::Result<Self> {
        let (port, directory) = (free_port()?, tempfile::tempdir()?);
        let file = directory.path().join("configuration");
        fs::write(&file, configuration(port, directory.path()))?;
        let file = file.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        let process = Process::start(program, &[arguments, &[file]].concat())?;
        let broker = Self { name, port, process, _directory: directory };
        Client::connect(port, "first".into())
            .map_err(|error| io::Error::other(format!("{program} does not answer: {error}")))?;
        Ok(broker)
    }
}
