//! Configuration and state of a gateway with one bridge.

use std::fs;
use std::io;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::options::sensegate;
use crate::process::{Process, free_port};

/// Configuration and state, with or without a program that runs on them.
pub(crate) struct Place {
    pub(crate) port: u16,
    /// Where the far side will be.
    pub(crate) far_port: u16,
    file: PathBuf,
    state: PathBuf,
    _directory: TempDir,
}

impl Place {
    /// The bridge carries samples alone, and no queue is ever full.
    pub(crate) fn new(inflight: u16) -> io::Result<Self> {
        let (port, far_port, directory) = (free_port()?, free_port()?, tempfile::tempdir()?);
        let (file, state) = (directory.path().join("sensegate.toml"), directory.path().join("state"));
        let configuration = format!(
            "[sensors]\ninterval = \"1h\"\n\
             [clock]\nwait = \"0s\"\n\
             [[broker.listener]]\naddress = \"127.0.0.1:{port}\"\n\
             [storage]\ndirectory = \"{}\"\n\
             [log]\nlevel = \"error\"\n\
             [[uplink.bridge]]\nname = \"far\"\nurl = \"mqtt://127.0.0.1:{far_port}\"\ninflight = {inflight}\n\
             queue_messages = 10000000\nqueue_size = \"1 GiB\"\n\
             rules = [{{ topic = \"samples\", local_prefix = \"{{prefix}}/\" }}]\n",
            state.display()
        );
        fs::write(&file, configuration)?;
        Ok(Self { port, far_port, file, state, _directory: directory })
    }

    pub(crate) fn start(&self) -> io::Result<Process> {
        let file = self.file.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        Process::start(&sensegate(), &["--simulate", "--config", file], &[])
    }

    /// Bytes that the broker's database has on disk with its log beside it, and those of the log alone.
    pub(crate) fn disk_bytes(&self) -> io::Result<(f64, f64)> {
        let (mut total, mut of_log) = (0.0, 0.0);
        for entry in fs::read_dir(&self.state)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let bytes = f64::from(u32::try_from(entry.metadata()?.len()).map_err(io::Error::other)?);
            if name.starts_with("broker.db") && !name.ends_with("-shm") {
                total += bytes;
            }
            if name.ends_with("-wal") {
                of_log += bytes;
            }
        }
        Ok((total, of_log))
    }
}
