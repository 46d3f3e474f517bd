//! Damage to the store's file and its log: it opens, serves what it can prove, and takes commits.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arbitrary::Arbitrary;
use bytes::Bytes;
use sensegate::access::Acl;
use sensegate::base::clock::Monotonic;
use sensegate::broker::{Broker, Change, Options as BrokerOptions, Origin, Output, Standing, Verdict};
use sensegate::mqtt::{
    ClientId, Connect, Packet, PacketId, Properties, PropertyFields, ProtocolVersion, Publish, PublishProperties, QoS,
    Subscribe, Subscription, SubscriptionId, TopicFilter, TopicName, Will,
};
use sensegate::store::{Clocks, Options, State, Store, StoreError};

use crate::disk::{Time, directory, file};

/// Messages in the file, some of them large enough for pages of their own.
const MESSAGES: u16 = 150;

/// Clients whose sessions are in the file.
const CLIENTS: [&str; 3] = ["a", "b", "c"];

/// Bytes of the file that say which format it has and whose it is; where they have changed, it may be left alone
/// (SQLite's file format, section 1.3).
const FORMAT_AND_OWNER: std::ops::Range<usize> = 60..72;

/// Bytes that a tear or a piece that is put in may add.
const LENGTH_MAX: usize = 1 << 20;

/// What happened to the two files, in order.
#[derive(Arbitrary, Debug)]
pub struct Harm(Vec<Blow>);

/// One change of one file. Places are taken modulo its length.
#[derive(Arbitrary, Debug)]
enum Blow {
    /// Other bytes.
    Overwrite { is_log: bool, at: u32, bytes: Vec<u8> },
    /// Other bytes at a place in a page: where its structure stands.
    OverwriteInPage { is_log: bool, page: u8, at: u16, bytes: [u8; 4] },
    /// One bit.
    Flip { is_log: bool, at: u32, bit: u8 },
    /// The same byte all over a block of 512.
    Fill { is_log: bool, block: u16, byte: u8 },
    /// A page stands where another stood.
    Copy { is_log: bool, from: u8, to: u8 },
    /// The end is missing.
    Cut { is_log: bool, length: u32 },
    /// There is more.
    Append { is_log: bool, bytes: Vec<u8> },
    /// Nothing is left.
    Remove { is_log: bool },
}

/// A file with its log, as a kill leaves them, and what is in them.
struct Original {
    files: [Vec<u8>; 2],
    /// Payloads by arrival number.
    deliveries: BTreeMap<u64, Bytes>,
}

/// Deals `harm` out to a copy of the file, then opens it.
pub fn check(harm: &Harm) {
    static ORIGINAL: OnceLock<Original> = OnceLock::new();
    let original = ORIGINAL.get_or_init(Original::make);
    let mut files = original.files.clone().map(Some);
    harm.0.iter().take(20).for_each(|blow| blow.land(&mut files));
    let directory = directory();
    let path = file(&directory);
    for (path, content) in [path.clone(), log_of(&path)].iter().zip(&files) {
        if let Some(content) = content {
            fs::write(path, content).expect("there is room in memory");
        }
    }
    check_opened(original, &path, &files);
}

fn check_opened(original: &Original, path: &Path, files: &[Option<Vec<u8>>; 2]) {
    match Store::open(path, all(), clocks()) {
        Ok((store, state, damages)) => {
            original.check_subset(&state);
            assert!(damages.iter().all(|damage| damage.aside.exists()), "{damages:?}");
            check_serving(original, store, path, &state);
        }
        Err(StoreError::Newer { .. } | StoreError::Foreign { .. }) if original.is_disowned(files) => {}
        Err(error) => panic!("{error}"),
    }
}

/// The store takes commits, and nothing that it had or got is lost when it is opened again.
fn check_serving(original: &Original, mut store: Store, path: &Path, state: &State) {
    for client in CLIENTS {
        let loaded = store.load(&ClientId::new(client), 0, usize::MAX >> 1).expect("what can be opened can be read");
        assert!(loaded.damaged.is_empty(), "it was read before");
    }
    store.commit(&more(), Monotonic::ZERO).expect("there is room");
    let damages = store.take_damages();
    store.close(Monotonic::ZERO).expect("there is room");
    let (_, again, later) = Store::open(path, all(), clocks()).expect("what was written can be read");
    assert_eq!(later, [], "what was written cannot be read");
    let after: BTreeMap<_, _> = deliveries(&again).into_iter().collect();
    if damages.is_empty() {
        let is_there = |(arrival, payload): &(u64, Bytes)| after.get(arrival) == Some(payload);
        assert!(deliveries(state).iter().all(is_there), "lost between two starts");
    }
    original.check_known(after.iter().filter(|(_, payload)| *payload != MORE));
}

fn all() -> Options {
    Options { deliveries_max: usize::MAX, ..Options::default() }
}

fn clocks() -> Clocks {
    Time::new().clocks()
}

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

impl Blow {
    fn land(&self, files: &mut [Option<Vec<u8>>; 2]) {
        let [file, log] = files;
        let target = if self.is_about_the_log() { log } else { file };
        let Some(bytes) = target else { return };
        match self {
            Self::Overwrite { at, bytes: new, .. } => overwrite(bytes, *at as usize, new),
            Self::OverwriteInPage { page, at, bytes: new, .. } => {
                overwrite(bytes, usize::from(*page) * 4096 + usize::from(*at % 4096), new);
            }
            Self::Flip { at, bit, .. } => {
                let place = (*at as usize).checked_rem(bytes.len());
                if let Some(byte) = place.and_then(|place| bytes.get_mut(place)) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Self::Fill { block, byte, .. } => overwrite(bytes, usize::from(*block) * 512, &[*byte; 512]),
            Self::Copy { from, to, .. } => {
                let page = bytes.chunks(4096).nth(usize::from(*from)).map(<[u8]>::to_vec).unwrap_or_default();
                overwrite(bytes, usize::from(*to) * 4096, &page);
            }
            Self::Cut { length, .. } => bytes.truncate(*length as usize % (bytes.len() + 1)),
            Self::Append { bytes: more, .. } if bytes.len() < LENGTH_MAX => bytes.extend(more),
            Self::Append { .. } => {}
            Self::Remove { .. } => *target = None,
        }
    }

    fn is_about_the_log(&self) -> bool {
        match self {
            Self::Overwrite { is_log, .. }
            | Self::OverwriteInPage { is_log, .. }
            | Self::Flip { is_log, .. }
            | Self::Fill { is_log, .. }
            | Self::Copy { is_log, .. }
            | Self::Cut { is_log, .. }
            | Self::Append { is_log, .. }
            | Self::Remove { is_log } => *is_log,
        }
    }
}

/// Puts `new` at `at`, as far as there is something to overwrite.
fn overwrite(bytes: &mut [u8], at: usize, new: &[u8]) {
    let Some(at) = at.checked_rem(bytes.len()) else { return };
    let end = bytes.len().min(at + new.len());
    bytes[at..end].copy_from_slice(&new[..end - at]);
}

impl Original {
    /// Runs a machine over a fixed life, writes what it asks for, and copies the files while they are open.
    fn make() -> Self {
        let (directory, copy) = (directory(), directory());
        let path = file(&directory);
        let (mut store, ..) = Store::open(&path, all(), clocks()).expect("nobody else has the file");
        let mut life = changes();
        let late = life.split_off(life.len() / 4 * 3);
        store.commit(&life.concat(), Monotonic::ZERO).expect("there is room");
        store.close(Monotonic::ZERO).expect("there is room");
        let (mut store, ..) = Store::open(&path, all(), clocks()).expect("nobody else has the file");
        for changes in late {
            store.commit(&changes, Monotonic::ZERO).expect("there is room");
        }
        let files = [path.clone(), log_of(&path)].map(|path| fs::read(path).expect("both are there"));
        for (path, content) in [file(&copy), log_of(&file(&copy))].iter().zip(&files) {
            fs::write(path, content).expect("there is room in memory");
        }
        let (_, state, damages) = Store::open(file(&copy), all(), clocks()).expect("nobody else has the file");
        assert!(damages.is_empty() && files.iter().all(|file| !file.is_empty()));
        Self { files, deliveries: deliveries(&state).into_iter().collect() }
    }

    /// Everything in `state` was written so.
    fn check_subset(&self, state: &State) {
        assert!(state.sessions.iter().all(|session| CLIENTS.contains(&session.client_id.as_str())));
        let deliveries = deliveries(state);
        self.check_known(deliveries.iter().map(|(arrival, payload)| (arrival, payload)));
        for kept in &state.retained {
            let (topic, payload) = (kept.message.topic.as_str(), &kept.message.payload);
            // an earlier one, where the log lost its end
            let is_known = (0..MESSAGES)
                .filter(|number| is_retained(*number))
                .any(|number| topic == topic_of(number) && *payload == payload_of(number));
            assert!(is_known, "{topic} is misread: {payload:?}");
        }
    }

    fn check_known<'a>(&self, deliveries: impl Iterator<Item = (&'a u64, &'a Bytes)>) {
        for (arrival, payload) in deliveries {
            assert_eq!(self.deliveries.get(arrival), Some(payload), "{arrival} is misread");
        }
    }

    /// Whether the file does not say any more that it is ours and of our format.
    fn is_disowned(&self, files: &[Option<Vec<u8>>; 2]) -> bool {
        let [file, log] = files;
        let [own, own_log] = &self.files;
        let changed = file.as_ref().is_some_and(|file| file.get(FORMAT_AND_OWNER) != own.get(FORMAT_AND_OWNER));
        changed || log.as_ref() != Some(own_log)
    }
}

/// Arrival numbers and payloads of all sessions, in order.
fn deliveries(state: &State) -> Vec<(u64, Bytes)> {
    let mut all = Vec::new();
    for session in &state.sessions {
        assert!(session.deliveries.is_sorted_by_key(|kept| kept.delivery.arrival), "out of order");
        let kept = session.deliveries.iter().map(|kept| &kept.delivery);
        all.extend(kept.map(|delivery| (delivery.arrival, delivery.message.payload.clone())));
    }
    all
}

fn topic_of(number: u16) -> String {
    format!("x/{}", number % 7)
}

fn payload_of(number: u16) -> String {
    let length = if number % 30 == 0 { 9_000 } else { 20 };
    format!("{number:0>length$}")
}

fn is_retained(number: u16) -> bool {
    number % 20 == 0
}

/// Longer than the life of the machine.
const EXPIRY_S: u32 = 1_000_000;

/// The payload of what is written behind the damage.
const MORE: &[u8] = b"written after the damage";

/// One more message for everybody, from a machine that knows all sessions.
fn more() -> Vec<Change> {
    let mut life = Life::begin();
    life.arrivals_from(1 << 20);
    life.publish("x/more", MORE, false);
    life.changes.concat()
}

/// What a machine asks to persist in the life of a few clients.
fn changes() -> Vec<Vec<Change>> {
    let mut life = Life::begin();
    for number in 0..MESSAGES {
        life.publish(&topic_of(number), payload_of(number).as_bytes(), is_retained(number));
    }
    life.changes
}

/// A machine whose outputs are all carried out at once.
struct Life {
    broker: Broker,
    publisher: sensegate::broker::ConnectionId,
    changes: Vec<Vec<Change>>,
}

impl Life {
    /// Three sessions, one of them absent, its will waiting; the first has all of it sent and nothing acknowledged.
    fn begin() -> Self {
        let mut broker = Broker::new(BrokerOptions::default(), 1);
        let publisher = broker.handle_open(Origin::Public, Monotonic::ZERO);
        let mut life = Self { broker, publisher, changes: Vec::new() };
        life.send(publisher, Packet::Connect(connect("publisher", true)));
        for client in CLIENTS {
            let connection = life.broker.handle_open(Origin::Public, Monotonic::ZERO);
            life.send(connection, Packet::Connect(connect(client, false)));
            let filter = TopicFilter::new(if client == "a" { "x/1" } else { "x/#" }).expect("a constant");
            let subscription = Subscription::new(filter, QoS::ExactlyOnce);
            let subscribe = Subscribe { properties: identifier(client), ..Subscribe::new(id(1), vec![subscription]) };
            life.send(connection, Packet::Subscribe(subscribe));
            if client == "c" {
                life.broker.handle_close(connection, Monotonic::ZERO);
                life.drain();
            }
        }
        life
    }

    fn arrivals_from(&mut self, first: u64) {
        let state = State { next_arrival: first, ..State::default() };
        self.changes.clear();
        self.broker.restore(state, Monotonic::ZERO, |_, _| Standing::Stays(Acl::everything().rights(None, "")));
    }

    fn publish(&mut self, topic: &str, payload: &[u8], retain: bool) {
        let properties =
            PublishProperties { message_expiry_interval_s: (!retain).then_some(EXPIRY_S), ..PublishProperties::NONE };
        let new = Publish::new(topic, payload);
        let publish = Publish { qos: QoS::AtLeastOnce, packet_id: Some(id(1)), retain, properties, ..new };
        self.send(self.publisher, Packet::Publish(publish));
    }

    fn send(&mut self, from: sensegate::broker::ConnectionId, packet: Packet<'_>) {
        self.broker.handle_packet(from, packet, Monotonic::ZERO);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.broker.poll_output() {
            match output {
                Output::RequestPersist { ticket, changes } => {
                    self.changes.push(changes);
                    self.broker.handle_persisted(ticket, Monotonic::ZERO);
                }
                Output::RequestAuthenticate { connection, .. } => {
                    let rights = Acl::everything().rights(None, "");
                    self.broker.handle_verdict(connection, Verdict::Accepted { user: None, rights }, Monotonic::ZERO);
                }
                _ => {}
            }
        }
    }
}

/// All but one are of version 5, with sessions that end.
fn connect(client_id: &str, clean_session: bool) -> Connect {
    let topic = TopicName::new("will").expect("a constant");
    let will = Will { delay_interval_s: EXPIRY_S, ..Will::new(topic, Bytes::from_static(b"gone")) };
    let is_of_5 = client_id != "b";
    let session_expiry_interval_s = (is_of_5 && !clean_session).then_some(EXPIRY_S);
    Connect {
        version: if is_of_5 { ProtocolVersion::V5 } else { ProtocolVersion::V311 },
        clean_session,
        keep_alive_s: 0,
        properties: Properties::new(PropertyFields { session_expiry_interval_s, ..PropertyFields::default() }),
        client_id: ClientId::new(client_id),
        will: (client_id != "b").then_some(will),
        user_name: None,
        password: None,
    }
}

/// One of version 5 names its subscription.
fn identifier(client_id: &str) -> Properties {
    let subscription_identifier = (client_id == "a").then(|| SubscriptionId::new(7)).flatten();
    Properties::new(PropertyFields { subscription_identifier, ..PropertyFields::default() })
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("not 0")
}
