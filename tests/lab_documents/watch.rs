//! Tells when a program does what it goes on doing, from what `/proc` shows of it.
//!
//! - A program has settled when it listens, or is connected and nothing is on its way to it or from it any more.
//! - `ss` would tell how many bytes came, but only where the kernel has its netlink interface to sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

/// The state of a socket that is connected, as `/proc/net/tcp` has it: `TCP_ESTABLISHED`.
const CONNECTED: &str = "01";

/// `TCP_LISTEN`.
const LISTENING: &str = "0A";

/// Watches the programs of one session, in the network of this thread.
pub(crate) struct Watch {
    session: u32,
    /// How often each of its threads was put to sleep, at the last look.
    switches: Option<BTreeMap<u32, u64>>,
}

/// A socket of `/proc/net/tcp`, `proc_net_tcp`(5).
#[derive(Debug, PartialEq)]
struct Socket {
    state: String,
    is_empty: bool,
    inode: u64,
}

/// A thread of `/proc`, `proc_pid_status`(5).
#[derive(Debug, PartialEq)]
struct Thread {
    is_asleep: bool,
    switches: u64,
}

impl Watch {
    /// Watches this session.
    pub(crate) fn new(session: u32) -> Self {
        Self { session, switches: None }
    }

    /// Looks once. True if a program listens; or if one is connected, every byte in this network has been taken,
    /// everything in it sleeps, and the session's threads have slept since the last look.
    pub(crate) fn has_settled(&mut self) -> bool {
        let sockets = sockets();
        let (session, others) = numbered(Path::new("/proc"))
            .into_iter()
            .partition::<Vec<_>, _>(|path| session_of(path) == Some(self.session));
        let others_sleep = others_sleep(&others);
        // behind the others: what one of them does for the session wakes the session
        let threads = session.iter().flat_map(|process| threads(process)).collect::<Vec<_>>();
        let session_sleeps = threads.iter().all(|(_, thread)| thread.is_asleep);
        let switches = threads.into_iter().map(|(number, thread)| (number, thread.switches)).collect();
        let has_slept = self.switches.replace(switches) == self.switches;

        let inodes = session.iter().flat_map(|process| socket_inodes(process)).collect::<BTreeSet<_>>();
        let has = |state| sockets.iter().any(|socket| socket.state == state && inodes.contains(&socket.inode));
        let is_still = has_slept && session_sleeps && others_sleep && sockets.iter().all(|socket| socket.is_empty);
        has(LISTENING) || has(CONNECTED) && is_still
    }
}

/// Whether every thread in the network of this one sleeps, among these processes.
fn others_sleep(processes: &[PathBuf]) -> bool {
    let network = |thread: &Path| fs::read_link(thread.join("ns/net")).ok();
    let here = network(Path::new("/proc/thread-self"));
    let this = fs::read_link("/proc/thread-self").map(|this| Path::new("/proc").join(this)).ok();
    let threads = processes.iter().flat_map(|process| numbered(&process.join("task")));
    let mut awake =
        threads.filter(|thread| network(thread) == here && this.as_ref() != Some(thread) && is_awake(thread));
    awake.next().is_none()
}

/// Every TCP socket in the network of this thread.
fn sockets() -> Vec<Socket> {
    let read = |name| fs::read_to_string(Path::new("/proc/thread-self/net").join(name)).unwrap_or_default();
    [read("tcp"), read("tcp6")].iter().flat_map(|table| table.lines().skip(1)).filter_map(socket).collect()
}

/// From a line of `/proc/net/tcp`.
fn socket(line: &str) -> Option<Socket> {
    let fields = line.split_whitespace().collect::<Vec<_>>();
    let &[_, _, _, state, queues, _, _, _, _, inode, ..] = fields.as_slice() else { return None };
    Some(Socket { state: state.into(), is_empty: queues == "00000000:00000000", inode: inode.parse().ok()? })
}

/// The sockets that a process has open.
fn socket_inodes(process: &Path) -> Vec<u64> {
    let inode = |entry: DirEntry| {
        let link = fs::read_link(entry.path()).ok()?;
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    fs::read_dir(process.join("fd")).into_iter().flatten().flatten().filter_map(inode).collect()
}

/// The entries of a directory of `/proc` that are processes, or threads.
fn numbered(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| number_of(path).is_some()).collect()
}

fn number_of(entry: &Path) -> Option<u32> {
    entry.file_name()?.to_str()?.parse().ok()
}

/// The threads of a process.
fn threads(process: &Path) -> Vec<(u32, Thread)> {
    let thread = |path: &PathBuf| Some((number_of(path)?, read_thread(path)?));
    numbered(&process.join("task")).iter().filter_map(thread).collect()
}

fn is_awake(thread: &Path) -> bool {
    // one that has ended in the meantime does nothing any more
    read_thread(thread).is_some_and(|thread| !thread.is_asleep)
}

fn read_thread(thread: &Path) -> Option<Thread> {
    parse_thread(&fs::read_to_string(thread.join("status")).ok()?)
}

fn parse_thread(status: &str) -> Option<Thread> {
    let field = |name| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let switches = |name| field(name)?.parse::<u64>().ok();
    Some(Thread {
        is_asleep: !field("State")?.starts_with(['R', 'D']),
        switches: switches("voluntary_ctxt_switches")? + switches("nonvoluntary_ctxt_switches")?,
    })
}

/// `proc_pid_stat`(5): the fourth field behind the name, which may hold spaces and parentheses.
fn session_of(process: &Path) -> Option<u32> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_read_with_what_waits_in_it() {
        let line =
            "   1: 0100007F:075B 0100007F:BC20 01 00000000:00000009 02:000A7CD3 00000000     0        0 51337 2 0";
        assert_eq!(socket(line), Some(Socket { state: CONNECTED.into(), is_empty: false, inode: 51_337 }));
        let line = "   0: 0100007F:075B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7 1 0";
        assert_eq!(socket(line), Some(Socket { state: LISTENING.into(), is_empty: true, inode: 7 }));
    }

    #[test]
    fn a_thread_that_runs_is_told_from_one_that_sleeps() {
        let status = |state| {
            format!("Name:\tcat\nState:\t{state}\nvoluntary_ctxt_switches:\t3\nnonvoluntary_ctxt_switches:\t4\n")
        };
        let thread = |state| parse_thread(&status(state));
        assert_eq!(thread("R (running)"), Some(Thread { is_asleep: false, switches: 7 }));
        assert_eq!(thread("S (sleeping)"), Some(Thread { is_asleep: true, switches: 7 }));
    }
}
