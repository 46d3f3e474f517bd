//! The two brokers under measurement, each a process of its own with a port and a directory that go with it.

use std::fs;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::client::Client;
use crate::options::{sensegate, variable};
use crate::process::{Process, free_port};

/// No limit of ours is met by what a benchmark does; mosquitto's are switched off as well.
pub(crate) const WIDE_LIMITS: &str = "[broker.limits]\nconnections = 20000\nsessions = 20000\n\
     queue_messages = 10000000\nqueue_size = \"1 GiB\"\nsubscriptions = 200000\nretained_messages = 200000\n";

/// mosquitto with everything that could slow it down or make it drop messages switched off.
const UNLIMITED: &str = "max_inflight_messages 0\nmax_queued_messages 0\n";

/// A broker that listens.
pub(crate) struct Broker {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    pub(crate) process: Process,
    /// Configuration and state.
    _directory: TempDir,
}

impl Broker {
    /// Ours with its default limits, and mosquitto without any.
    pub(crate) fn both() -> io::Result<[Self; 2]> {
        Ok([Self::sensegate("", &[])?, Self::mosquitto(UNLIMITED)?])
    }

    /// Both without limits that matter.
    pub(crate) fn both_wide() -> io::Result<[Self; 2]> {
        Ok([Self::sensegate(WIDE_LIMITS, &[])?, Self::mosquitto(UNLIMITED)?])
    }

    /// Both with the limits that they are shipped with.
    pub(crate) fn both_as_shipped() -> io::Result<[Self; 2]> {
        Ok([Self::sensegate("", &[])?, Self::mosquitto("")?])
    }

    /// mosquitto without limits and durability.
    pub(crate) fn mosquitto_unlimited() -> io::Result<Self> {
        Self::mosquitto(UNLIMITED)
    }

    /// The program of this crate with a simulated HAT that is read once an hour, and a quiet log.
    pub(crate) fn sensegate(limits: &str, environment: &[(&'static str, String)]) -> io::Result<Self> {
        let configuration = |port: u16, directory: &Path| {
            format!(
                "{limits}[sensors]\ninterval = \"1h\"\n\
                 [[broker.listener]]\naddress = \"127.0.0.1:{port}\"\n\
                 [storage]\ndirectory = \"{}\"\n\
                 [log]\nlevel = \"error\"\n",
                directory.join("state").display()
            )
        };
        Self::start("sensegate", &sensegate(), configuration, &["--simulate", "--config"], environment)
    }

    fn mosquitto(limits: &str) -> io::Result<Self> {
        let program = variable("MOSQUITTO", "/usr/sbin/mosquitto".to_owned());
        // started by root it would become another user, and the kernel would no longer tie its life to this process
        let configuration = |port: u16, _: &Path| {
            format!(
                "user root\nlistener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n{limits}\
                 persistence false\nlog_type error\n"
            )
        };
        Self::start("mosquitto", &program, configuration, &["-c"], &[])
    }

    fn start(
        name: &'static str,
        program: &str,
        configuration: impl FnOnce(u16, &Path) -> String,
        arguments: &[&str],
        environment: &[(&'static str, String)],
    ) -> io::Result<Self> {
        let (port, directory) = (free_port()?, tempfile::tempdir()?);
        let file = directory.path().join("configuration");
        fs::write(&file, configuration(port, directory.path()))?;
        let file = file.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        let process = Process::start(program, &[arguments, &[file]].concat(), environment)?;
        let broker = Self { name, port, process, _directory: directory };
        Client::connect(port, "first".into())
            .map_err(|error| io::Error::other(format!("{program} does not answer: {error}")))?;
        Ok(broker)
    }
}
