//! The store behind a machine, in memory: what was handed over is there after a restart.

use std::path::{Path, PathBuf};

use sensegate::base::clock::Monotonic;
use sensegate::broker::Change;
use sensegate::store::{Options, State, Store, Sync};
use tempfile::TempDir;

/// Where directories cost no disk, where there is such a place.
const IN_MEMORY: &str = "/dev/shm";

/// An empty directory that goes with its value.
pub fn directory() -> TempDir {
    let place = Path::new(IN_MEMORY);
    let made = if place.is_dir() { tempfile::tempdir_in(place) } else { tempfile::tempdir() };
    made.expect("a directory can be made in memory")
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
    pub fn store(&mut self) -> &mut Store {
        let options = self.options();
        let (store, _) = self.open.get_or_insert_with(|| {
            let directory = directory();
            (open(&file(&directory), options).0, directory)
        });
        store.commit(&std::mem::take(&mut self.changes), Monotonic::ZERO).expect("there is room in memory");
        store
    }

    /// What the next process finds.
    pub fn restart(&mut self) -> State {
        self.store();
        let Some((store, directory)) = self.open.take() else { return State::default() };
        store.close(Monotonic::ZERO).expect("there is room in memory");
        let (store, state) = open(&file(&directory), self.options());
        self.open = Some((store, directory));
        state
    }

    fn options(&self) -> Options {
        Options { sync: Sync::Off, deliveries_max: self.deliveries_max, ..Options::default() }
    }
}

/// The file of a store in `directory`.
pub fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("broker.db")
}

fn open(path: &Path, options: Options) -> (Store, State) {
    let (store, state, damages) = Store::open(path, options).expect("nobody else has the file");
    assert_eq!(damages, [], "what was written cannot be read");
    (store, state)
}
