//! A machine of its own for a document: a network whose standard ports are free, an `/etc` that is a copy, and the
//! services that the document starts.
//!
//! - The programs are real; `sudo`, `systemctl`, `journalctl` and `cargo` are scripts that stand in for them.
//! - Ubidots' host name leads to a local Ubidots, whose authority is among those that the machine trusts.
//! - Takes root.

use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::{Process, Python, in_network_of};
use crate::ubidots_server::{Account, Options, Ubidots};

/// Where Ubidots is.
const UBIDOTS_IP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The token that the documents show.
const TOKEN: &str = "BBUS-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// The scripts that stand in for programs.
const SHIMS: [(&str, &str); 4] = [
    ("sudo", include_str!("shims/sudo")),
    ("systemctl", include_str!("shims/systemctl")),
    ("journalctl", include_str!("shims/journalctl")),
    ("cargo", include_str!("shims/cargo")),
];

/// Copies what is to be changed and shows the copy in its place, to whoever enters.
const HOLD: &str = "ip link set lo up && mount --bind \"$LAB_MACHINE/etc\" /etc && echo up && exec sleep 600";

/// The bytes of a CONNACK and a SUBACK: a client that has received as many is subscribed.
const SUBSCRIBED_BYTES: u64 = 9;

/// A machine. Dropping it ends its services.
pub(crate) struct Machine {
    /// The process whose namespaces it is; it outlives the machine.
    holder: u32,
    root: TempDir,
    python: Python,
}

/// Runs `body` on a machine whose Python has the given paho. Gives `None` where that is not permitted.
pub(crate) fn on_a_machine<T: Send>(python: Python, body: impl FnOnce(&Machine) -> T + Send) -> Option<T> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let root = TempDir::with_prefix("lab-documents-").unwrap();
    fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
    furnish(root.path());
    let mut hold = Command::new("unshare");
    hold.args(["--net", "--mount", "sh", "-c", HOLD]).env("LAB_MACHINE", root.path());
    let holder = Process::spawn(&mut hold);
    if holder.expect_line() != "up" {
        return None;
    }
    let machine = Machine { holder: holder.id(), root, python };
    in_network_of(&holder, move || {
        let ubidots = Ubidots::start_with(Options { ip: UBIDOTS_IP, port: 1883, tls_port: 8883, ..Options::default() });
        ubidots.add_token(TOKEN, Account::of("student"));
        machine.trust(&ubidots.ca_file());
        Process::spawn(machine.command("systemctl").args(["start", "mosquitto"])).expect_success();
        let result = body(&machine);
        assert_eq!(ubidots.misconduct(), Vec::<String>::new());
        result
    })
}

/// Puts everything in place that does not depend on what runs.
fn furnish(root: &Path) {
    for directory in ["bin", "lab", "run", "state", "config"] {
        fs::create_dir(root.join(directory)).unwrap();
    }
    for (name, text) in SHIMS {
        fs::write(root.join("bin").join(name), text).unwrap();
        fs::set_permissions(root.join("bin").join(name), Permissions::from_mode(0o755)).unwrap();
    }
    // Python's own program, because a launcher before it takes longer than what the lab's programs do
    let python = Command::new("python3").args(["-c", "import sys; print(sys.executable, end='')"]).output().unwrap();
    symlink(String::from_utf8(python.stdout).unwrap(), root.join("bin/python3")).unwrap();
    let (built, installed) = (env!("CARGO_BIN_EXE_sensegate"), root.join("bin/sensegate"));
    // not a symbolic link: the service's user may not reach where it is built
    fs::hard_link(built, &installed).or_else(|_| fs::copy(built, &installed).map(drop)).unwrap();
    Process::spawn(Command::new("cp").args(["-a", "/etc"]).arg(root)).expect_success();
    let etc = root.join("etc");
    fs::write(etc.join("hosts"), format!("127.0.0.1 localhost\n{UBIDOTS_IP} industrial.api.ubidots.com\n")).unwrap();
    fs::create_dir_all(etc.join("sensegate")).unwrap();
    fs::copy(in_tree("config/sensegate.toml"), etc.join("sensegate/sensegate.toml")).unwrap();
    append(&etc.join("passwd"), "sensegate:x:64999:64999::/nonexistent:/usr/sbin/nologin\n");
    append(&etc.join("group"), "sensegate:x:64999:\n");
    chown(root.join("state"), Some(64_999), Some(64_999)).unwrap();
}

fn in_tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn append(file: &Path, text: &str) {
    let before = fs::read_to_string(file).unwrap_or_default();
    fs::write(file, before + text).unwrap();
}

impl Machine {
    /// The directory that terminals begin in.
    pub(crate) fn directory(&self) -> PathBuf {
        self.root.path().join("lab")
    }

    /// Where a file that a document names really is.
    pub(crate) fn place_of(&self, file: &str) -> PathBuf {
        match file.strip_prefix('/') {
            Some(absolute) => self.root.path().join(absolute),
            None => self.directory().join(file),
        }
    }

    /// A command that runs on it, with its programs, files and environment.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = self.python.on_path(Command::new("nsenter"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SENSEGATE_")) {
            command.env_remove(name);
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let root = self.root.path();
        command
            .args(["--target", &self.holder.to_string(), "--net", "--mount", "--", program])
            .env("PATH", format!("{}:{path}", root.join("bin").display()))
            .env("LAB_MACHINE", root)
            .env("XDG_STATE_HOME", root.join("state"))
            .env("XDG_CONFIG_HOME", root.join("config"))
            // paho-mqtt 2 has one for whoever names version 1 of its callbacks
            .env("PYTHONWARNINGS", "ignore::DeprecationWarning")
            .envs([("LANG", "C.UTF-8"), ("TERM", "dumb")]);
        command
    }

    /// Adds an authority to those that the machine trusts.
    fn trust(&self, ca_file: &Path) {
        append(&self.place_of("/etc/ssl/certs/ca-certificates.crt"), &fs::read_to_string(ca_file).unwrap());
    }
}

/// Whether a program of this session listens, or has received the acknowledgement of its subscription, in
/// the network of this thread.
pub(crate) fn has_settled(session: u32) -> bool {
    let sockets = |flags| Command::new("ss").arg(flags).output().map(|output| output.stdout).unwrap();
    let listening = String::from_utf8_lossy(&sockets("-HltnpO")).into_owned();
    let connected = String::from_utf8_lossy(&sockets("-HtnpiO")).into_owned();
    let subscribed = connected.lines().filter(|line| received_bytes(line) >= SUBSCRIBED_BYTES);
    listening.lines().chain(subscribed).filter_map(process_of).any(|process| session_of(process) == Some(session))
}

/// From a line of `ss -i`.
fn received_bytes(line: &str) -> u64 {
    let count = line.split_once("bytes_received:").map(|(_, rest)| rest.split(' ').next().unwrap_or_default());
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// From a line of `ss -p`.
fn process_of(line: &str) -> Option<u32> {
    let (_, rest) = line.split_once("pid=")?;
    rest.split(',').next()?.parse().ok()
}

/// `proc_pid_stat`(5): the fourth field behind the name, which may hold spaces and parentheses.
fn session_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(3)?.parse().ok()
}

impl Drop for Machine {
    fn drop(&mut self) {
        for unit in ["sensegate", "mosquitto"] {
            let file = self.root.path().join("run").join(unit).with_extension("pid");
            let number = fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
            if let Some(pid) = number.and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}
