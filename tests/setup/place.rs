//! A directory in which the command writes, and the gateway that runs with what it wrote.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use tempfile::TempDir;

use crate::support::{Process, eventually, sensegate};

/// What other machines are in these tests: an address of loopback on which nobody listens by itself.
pub(crate) const OTHER: &str = "127.0.0.2";

pub(crate) struct Place {
    directory: TempDir,
    pub(crate) port: u16,
}

/// What the command said.
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::with_prefix("sensegate-").unwrap(), port: free_port() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.path("sensegate.toml")
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o7777
    }

    /// Every file, with what is in it.
    pub(crate) fn files(&self) -> BTreeMap<String, String> {
        fn collect(directory: &Path, files: &mut BTreeMap<String, String>) {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                match entry.file_type().unwrap().is_dir() {
                    true => collect(&entry.path(), files),
                    false => {
                        let text = fs::read_to_string(entry.path()).unwrap();
                        files.insert(entry.path().display().to_string(), text);
                    }
                }
            }
        }
        let mut files = BTreeMap::new();
        collect(self.directory.path(), &mut files);
        files
    }

    /// The command, for this place, with `flags` behind it.
    pub(crate) fn command(&self, flags: &[&str]) -> Command {
        let mut command = sensegate();
        command.arg("setup").arg("--config").arg(self.configuration()).args(flags).stdin(Stdio::null());
        command
    }

    pub(crate) fn setup(&self, flags: &[&str]) -> Said {
        let output = self.command(flags).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { status: output.status, output: text(&output.stdout), errors: text(&output.stderr) }
    }

    /// Without a question, on this place's port.
    pub(crate) fn setup_yes(&self, flags: &[&str]) -> Said {
        let port = self.port.to_string();
        let said = self.setup(&[&["--yes", "--port", &port], flags].concat());
        assert!(said.status.success(), "{}{}", said.output, said.errors);
        said
    }

    /// The gateway, with what was written.
    pub(crate) fn run(&self) -> Process {
        let mut command = sensegate();
        command.args(["run", "--simulate", "--config"]).arg(self.configuration());
        command.env("SENSEGATE__STORAGE__DIRECTORY", self.path("state")).env("SENSEGATE__SENSORS__INTERVAL", "100ms");
        let process = Process::spawn(&mut command);
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        eventually("the gateway serves", || TcpStream::connect(address).ok());
        process
    }
}

impl Said {
    /// The line for the other machine, for `host` in this machine's place.
    pub(crate) fn line(&self, host: &str) -> String {
        let lines = self.output.lines().map(str::trim);
        let line = lines.filter(|line| line.starts_with("mosquitto_sub")).find(|line| line.contains(" -h ")).unwrap();
        let (before, after) = line.split_once(" -h ").unwrap();
        format!("{before} -h {host} {}", after.split_once(' ').unwrap().1)
    }

    pub(crate) fn password(&self) -> String {
        let line = self.line(OTHER);
        line.split_once(" -P ").unwrap().1.split(' ').next().unwrap().to_owned()
    }
}

/// Pastes `line` into a shell, in `directory`, for one message; what it prints, and whether it succeeded.
pub(crate) fn paste(line: &str, directory: &Path) -> (bool, String) {
    let line = format!("{line} -C 1 -W 20");
    let output = Command::new("sh").arg("-c").arg(&line).current_dir(directory).output().unwrap();
    let said =
        format!("{line}\n{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("0.0.0.0", 0)).unwrap().local_addr().unwrap().port()
}
