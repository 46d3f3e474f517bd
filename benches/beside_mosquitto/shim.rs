//! What goes between the program and the C library to count its flushes and to make them slow (`sync_shim.c`).

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

/// The built shim, and the counts of the one process that is started with it.
pub(crate) struct Shim {
    directory: TempDir,
}

/// What the process did so far.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) flushes: u64,
    pub(crate) bytes: u64,
}

impl Shim {
    /// Builds it with the system's C compiler.
    pub(crate) fn build() -> io::Result<Self> {
        let shim = Self { directory: tempfile::tempdir()? };
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/beside_mosquitto/sync_shim.c");
        let mut command = Command::new("cc");
        command.args(["-O2", "-shared", "-fPIC", "-o"]).arg(shim.library()).args([source, "-ldl"]);
        if !command.status()?.success() {
            return Err(io::Error::other("cc cannot build sync_shim.c"));
        }
        fs::write(shim.counts_file(), [0; 16])?;
        Ok(shim)
    }

    /// What loads it into a process and adds `delay` to each of its flushes.
    pub(crate) fn environment(&self, delay: Duration) -> Vec<(&'static str, String)> {
        vec![
            ("LD_PRELOAD", self.library().display().to_string()),
            ("SYNC_SHIM_COUNTS", self.counts_file().display().to_string()),
            ("SYNC_SHIM_DELAY_US", delay.as_micros().to_string()),
        ]
    }

    /// What was counted so far.
    pub(crate) fn counts(&self) -> io::Result<Counts> {
        let bytes = fs::read(self.counts_file())?;
        let (flushes, rest) = bytes.split_first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
        let bytes = rest.first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(Counts { flushes: u64::from_ne_bytes(*flushes), bytes: u64::from_ne_bytes(*bytes) })
    }

    fn library(&self) -> PathBuf {
        self.directory.path().join("sync_shim.so")
    }

    fn counts_file(&self) -> PathBuf {
        self.directory.path().join("counts")
    }
}
