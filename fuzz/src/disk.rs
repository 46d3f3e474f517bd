//! The store behind a machine, in memory: what was handed over is there after a restart.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sensegate::base::clock::{Monotonic, Wall};
use sensegate::base::ids::BootId;
use sensegate::broker::Change;
use sensegate::store::{Clocks, Options, State, Store, Sync};
use tempfile::TempDir;

/// Where directories cost no disk, where there is such a place.
const IN_MEMORY: &str = "/dev/shm";

/// An empty directory that goes with its value.
pub fn directory() -> TempDir {
    let place = Path::new(IN_MEMORY);
    let made = if place.is_dir() { tempfile::tempdir_in(place) } else { tempfile::tempdir() };
    made.expect("a directory can be made in memory")
}

/// Both clocks of a machine that is switched off now and then.
#[derive(Debug)]
pub struct Time {
    now: Monotonic,
    /// How many boots there were.
    boots: u32,
    /// When the present one was.
    booted: Duration,
}

impl Time {
    /// Some time after the first boot, some time after 1970.
    pub fn new() -> Self {
        Self { now: Monotonic::from_boot(Duration::from_secs(1000)), boots: 0, booted: Duration::from_secs(1 << 30) }
    }

    pub fn now(&self) -> Monotonic {
        self.now
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// The machine is switched off for `time`.
    pub fn reboot(&mut self, time: Duration) {
        self.booted += self.now.since_boot() + time;
        self.now = Monotonic::from_boot(Duration::from_secs(10));
        self.boots += 1;
    }

    pub fn clocks(&self) -> Clocks {
        let wall_ms = (self.booted + self.now.since_boot()).as_millis();
        Clocks {
            boot_id: BootId::new(format!("boot {}", self.boots)),
            monotonic: self.now,
            wall: Wall::from_unix_ms(i64::try_from(wall_ms).unwrap_or(i64::MAX)),
        }
    }
}

/// A store that is opened when it is needed: most inputs never read back what they write.
pub struct Disk {
    deliveries_max: usize,
    /// Handed over and not written yet.
    changes: Vec<Change>,
    open: Option<(Store, TempDir)>,
}

impl Disk {
    /// An empty one, which gives back `deliveries_max` deliveries a session when it is read.
    pub fn new(deliveries_max: usize) -> Self {
        Self { deliveries_max, changes: Vec::new(), open: None }
    }

    /// Takes changes, in the order of their tickets.
    pub fn write(&mut self, changes: Vec<Change>) {
        self.changes.extend(changes);
    }

    /// The store with everything that was handed over.
    pub fn store(&mut self, time: &Time) -> &mut Store {
        let options = self.options();
        let clocks = time.clocks();
        let (store, _) = self.open.get_or_insert_with(|| {
            let directory = directory();
            (open(&file(&directory), options, clocks.clone()).0, directory)
        });
        store.note_time(clocks.monotonic, clocks.wall);
        store.commit(&std::mem::take(&mut self.changes), clocks.monotonic).expect("there is room in memory");
        store
    }

    /// The process ends.
    pub fn close(&mut self, time: &Time) -> Closed {
        self.store(time);
        let directory = self.open.take().map(|(store, directory)| {
            store.close(time.now()).expect("there is room in memory");
            directory
        });
        Closed(directory)
    }

    /// What the next process finds.
    pub fn open(&mut self, closed: Closed, time: &Time) -> State {
        let Some(directory) = closed.0 else { return State::default() };
        let (store, state) = open(&file(&directory), self.options(), time.clocks());
        self.open = Some((store, directory));
        state
    }

    fn options(&self) -> Options {
        Options { sync: Sync::Off, deliveries_max: self.deliveries_max, ..Options::default() }
    }
}

/// A store between two processes.
pub struct Closed(Option<TempDir>);

/// The file of a store in `directory`.
pub fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("broker.db")
}

fn open(path: &Path, options: Options, clocks: Clocks) -> (Store, State) {
    let (store, state, damages) = Store::open(path, options, clocks).expect("nobody else has the file");
    assert_eq!(damages, [], "what was written cannot be read");
    (store, state)
}

/// What takes room on a disk.
pub fn needs_room(change: &Change) -> bool {
    matches!(
        change,
        Change::SessionKept { .. }
            | Change::Subscribed { .. }
            | Change::Enqueued { .. }
            | Change::Received { .. }
            | Change::Retained { .. }
            | Change::WillSet { .. }
    )
}
