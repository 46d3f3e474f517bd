//! Changes and files for the tests of the store.

#![allow(dead_code, reason = "each test program uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sensegate::base::clock::{Monotonic, Wall};
use sensegate::base::ids::BootId;
use sensegate::broker::{Change, Delivery, Granted, Message, Owner, Terms};
use sensegate::mqtt::{ClientId, MessageFields, MessageProperties, PacketId, QoS, TopicFilter, TopicName, Will};
use sensegate::store::{Clocks, Damage, Options, State, Store, StoreError};

/// A directory of its own with the name of a file in it.
pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("state.db")
    }

    pub(crate) fn open(&self) -> (Store, State) {
        let (store, state, damages) = self.try_open(Options::default()).unwrap();
        assert_eq!(damages, []);
        (store, state)
    }

    pub(crate) fn try_open(&self, options: Options) -> Result<(Store, State, Vec<Damage>), StoreError> {
        Store::open(self.file(), options, first_boot())
    }

    pub(crate) fn open_at(&self, clocks: Clocks) -> (Store, State) {
        let (store, state, damages) = Store::open(self.file(), Options::default(), clocks).unwrap();
        assert_eq!(damages, []);
        (store, state)
    }

    /// What is there for the next process.
    pub(crate) fn state(&self) -> State {
        self.open().1
    }

    /// Names in the directory, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub(crate) const START: Monotonic = Monotonic::ZERO;

pub(crate) fn at(seconds: u64) -> Monotonic {
    Monotonic::from_boot(Duration::from_secs(seconds))
}

/// A boot, the seconds since it began, and the time of day.
pub(crate) fn clocks(boot_id: &str, seconds: u64, unix_s: i64) -> Clocks {
    Clocks { boot_id: BootId::new(boot_id), monotonic: at(seconds), wall: Wall::from_unix_ms(unix_s * 1000) }
}

pub(crate) fn first_boot() -> Clocks {
    clocks("first", 0, 1_000_000)
}

pub(crate) fn client(name: &str) -> ClientId {
    ClientId::new(name)
}

pub(crate) fn packet_id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

pub(crate) fn message(topic: &str, payload: &[u8]) -> Arc<Message> {
    let payload = bytes::Bytes::copy_from_slice(payload);
    Arc::new(Message::new(TopicName::new(topic).unwrap(), payload))
}

pub(crate) fn started(name: &str) -> Change {
    Change::SessionKept { client_id: client(name), terms: Terms::forever() }
}

pub(crate) fn ended(name: &str) -> Change {
    Change::SessionEnded { client_id: client(name) }
}

pub(crate) fn subscribed(name: &str, filter: &str, qos: QoS) -> Change {
    Change::Subscribed {
        client_id: client(name),
        filter: TopicFilter::new(filter).unwrap(),
        granted: Granted::new(qos),
        replay: false,
    }
}

pub(crate) fn enqueued_as(name: &str, arrival: u64, message: &Arc<Message>, qos: QoS) -> Change {
    let delivery = Delivery { arrival, message: message.clone(), qos, retain: false, marks: None };
    Change::Enqueued { client_id: client(name), delivery }
}

pub(crate) fn enqueued(name: &str, arrival: u64, payload: &[u8]) -> Change {
    enqueued_as(name, arrival, &message("t", payload), QoS::AtLeastOnce)
}

pub(crate) fn sent(name: &str, arrival: u64, number: u16) -> Change {
    Change::Sent { client_id: client(name), arrival, packet_id: packet_id(number) }
}

pub(crate) fn dequeued(name: &str, arrival: u64) -> Change {
    Change::Dequeued { client_id: client(name), arrival }
}

pub(crate) fn retained(topic: &str, payload: &[u8], qos: QoS) -> Change {
    Change::Retained { message: message(topic, payload), qos, owner: Owner::Anonymous }
}

pub(crate) fn will(topic: &str) -> Will {
    let fields = MessageFields { content_type: Some("text/plain"), ..MessageFields::default() };
    Will {
        topic: TopicName::new(topic).unwrap(),
        payload: "gone".into(),
        qos: QoS::AtLeastOnce,
        retain: true,
        delay_interval_s: u32::MAX,
        message_expiry_interval_s: Some(60),
        properties: MessageProperties::new(&fields),
    }
}

/// Arrival numbers of what the first session has in memory.
pub(crate) fn arrivals(state: &State) -> Vec<u64> {
    state.sessions.iter().flat_map(|session| &session.deliveries).map(|kept| kept.delivery.arrival).collect()
}

/// This test's program again, for one test that acts as another process; `role` is what `role()` gives there.
pub(crate) fn again(test: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env("STORE_TEST_ROLE", role);
    command.stdout(Stdio::piped());
    command
}

/// What this process is to do when it was started by `again`.
pub(crate) fn role() -> Option<String> {
    std::env::var("STORE_TEST_ROLE").ok()
}
