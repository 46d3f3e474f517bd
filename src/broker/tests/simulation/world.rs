//! The machine with its disk, its clock and its connections; every input passes by here.

use std::collections::BTreeMap;

use super::super::super::{Broker, Origin, Output, SendClass, Standing, Verdict};
use super::clients::Client;
use super::disk::Disk;
use super::model::Model;
use super::wire::{Reader, Socket, whole};
use super::*;

/// What everybody may do, in turn.
const LISTS: [&str; 4] = [
    "pattern readwrite #\n",
    "pattern readwrite #\npattern deny a/c\n",
    "topic readwrite #\nuser u1\ntopic write #\ntopic read b\nuser u2\ntopic readwrite #\nuser u3\ntopic read #\n",
    "topic read a/#\ntopic write #\nuser u1\ntopic readwrite #\nuser u2\ntopic readwrite +\nuser u3\ntopic readwrite #\n",
];

pub(super) struct Simulation {
    pub(super) broker: Broker,
    pub(super) model: Model,
    /// The model as it was when each request to persist was made.
    snapshots: BTreeMap<u64, Model>,
    pub(super) disk: Disk,
    pub(super) sockets: Vec<Socket>,
    readers: Vec<Reader>,
    /// The first connection of this process.
    first: usize,
    pub(super) clients: Vec<Client>,
    pub(super) random: fastrand::Rng,
    acl: Acl,
    /// The CONNECT that is handled now.
    asked: Option<Connect>,
    pub(super) now: Monotonic,
    pub(super) messages: usize,
    pub(super) trace: Vec<String>,
}

fn options() -> Options {
    Options { inflight_max: INFLIGHT_MAX, spills_queues: true, queue_in_memory_max: IN_MEMORY, ..Options::default() }
}

impl Simulation {
    pub(super) fn new(seed: u64) -> Self {
        let now = Monotonic::from_boot(Duration::from_secs(1000));
        let model = Model::new(CLIENTS, now);
        Self {
            broker: Broker::new(options(), seed),
            snapshots: BTreeMap::from([(0, model.clone())]),
            model,
            disk: Disk::default(),
            sockets: Vec::new(),
            readers: Vec::new(),
            first: 0,
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            random: fastrand::Rng::with_seed(seed),
            acl: Acl::everything(),
            asked: None,
            now,
            messages: 0,
            trace: Vec::new(),
        }
    }

    pub(super) fn say(&mut self, words: impl FnOnce() -> String) {
        self.trace.push(words());
    }

    pub(super) fn open(&mut self, client: usize, version: ProtocolVersion) -> usize {
        let id = self.broker.handle_open(Origin::Public, self.now);
        self.sockets.push(Socket::new(id, client, version));
        self.readers.push(Reader::default());
        self.absorb();
        self.sockets.len() - 1
    }

    /// The connection breaks, or its client closes it.
    pub(super) fn close(&mut self, serial: usize) {
        if std::mem::replace(&mut self.sockets[serial].is_over, true) {
            return;
        }
        self.say(|| format!("close {serial}"));
        self.model.end(serial, true);
        let id = self.sockets[serial].id;
        self.broker.handle_close(id, self.now);
        self.absorb();
    }

    /// Carries the first `count` bytes of what the client has written to the machine.
    pub(super) fn carry(&mut self, serial: usize, count: usize) {
        // no two deadlines meet: whose comes first then is nobody's promise
        self.pass(Duration::from_nanos(1), false);
        if self.sockets[serial].is_over {
            return;
        }
        let bytes: Vec<u8> = self.sockets[serial].up.drain(..count).collect();
        self.readers[serial].push(&bytes);
        while !self.sockets[serial].is_over {
            let version = self.sockets[serial].version;
            let Some(bytes) = self.readers[serial].next(version) else { return };
            let packet = whole(&bytes, version);
            self.say(|| format!("{serial} -> {packet:?}"));
            if let Packet::Publish(publish) = &packet
                && self.disk.is_full
                && self.model.has_group(publish.topic)
            {
                // whether it needs the disk would depend on whose turn it is
                self.fill_disk(false);
            }
            if !matches!(packet, Packet::Connect(_)) {
                self.model.packet(serial, &packet);
            }
            self.asked = if let Packet::Connect(connect) = &packet { Some(connect.clone()) } else { None };
            let id = self.sockets[serial].id;
            self.broker.handle_packet(id, packet, self.now);
            self.absorb();
        }
    }

    /// Carries out what the machine wants, in order, and holds it against the model.
    fn absorb(&mut self) {
        let (mut outputs, mut changes) = (Vec::new(), None);
        while let Some(output) = self.broker.poll_output() {
            match output {
                Output::RequestPersist { ticket, changes: asked } => {
                    assert!(changes.is_none(), "one request an input");
                    self.disk.request(ticket, self.now, asked.clone());
                    self.model.observe(&asked);
                    changes = Some(asked);
                }
                Output::RequestAuthenticate { connection, user_name, client_id, .. } => {
                    let rights = self.acl.rights(user_name.as_deref(), client_id.as_str());
                    let serial = self.serial(connection);
                    let client = self.sockets[serial].client;
                    let asked = self.asked.take().expect("its CONNECT came just now");
                    if !self.model.is_turned_away(client, &asked) {
                        self.model.admit(serial, client, &asked);
                    }
                    let user = user_name.map(Into::into);
                    self.broker.handle_verdict(connection, Verdict::Accepted { user, rights }, self.now);
                }
                Output::RequestLoad { client_id, after, count } => {
                    self.disk.loads.push_back((self.disk.newest, client_id, after, count));
                }
                other => outputs.push(other),
            }
        }
        self.model.seal(self.disk.newest.0);
        outputs.into_iter().for_each(|output| self.carry_out(output));
        self.model.compare(&self.disk.latest);
        if changes.is_some() {
            self.snapshots.insert(self.disk.newest.0, self.model.clone());
        }
        self.model.earliest = self.disk.waiting.front().map_or(self.now, |(_, since, _)| *since);
        let (told, due) = (self.broker.next_deadline(), self.model.next_due());
        assert!(due.is_none_or(|due| told.is_some_and(|told| told <= due)), "{told:?}, but {due:?} is due");
    }

    fn serial(&self, id: super::super::super::ConnectionId) -> usize {
        let mut sockets = self.sockets.iter().enumerate().skip(self.first);
        sockets.find(|(_, socket)| socket.id == id).map(|(serial, _)| serial).expect("it was opened")
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::RequestSend { connection, frame, class } => {
                let serial = self.serial(connection);
                let mut bytes = Vec::new();
                frame.append_to(&mut bytes);
                let version = self.sockets[serial].version;
                let packet = whole(&bytes, version);
                self.say(|| format!("{serial} <- {packet:?} {class:?}"));
                let aliases = self.model.connections.get(&serial).map(|connection| connection.aliases_out.clone());
                self.model.emitted(serial, &packet, bytes.len(), self.disk.answered.0);
                if class == SendClass::Must || self.random.u8(..10) > 0 {
                    return self.sockets[serial].down.extend_from_slice(&bytes);
                }
                // too many bytes wait for it already: it never learns what this one told
                if let (Some(connection), Some(aliases)) = (self.model.connections.get_mut(&serial), aliases) {
                    connection.aliases_out = aliases;
                }
            }
            Output::RequestClose { connection, reason } => {
                let serial = self.serial(connection);
                assert!(!self.model.connections.contains_key(&serial), "{serial} is closed: {reason}");
                self.say(|| format!("{serial} closed: {reason}"));
                self.sockets[serial].is_over = true;
            }
            Output::NotifyDropped { client_id } => panic!("something is dropped for {client_id:?}"),
            _ => {}
        }
    }

    /// Makes at most `most` requests durable and says so; a full disk does neither.
    pub(super) fn commit(&mut self, most: usize) {
        for _ in 0..most {
            let Some(ticket) = (!self.disk.is_full).then(|| self.disk.commit()).flatten() else { break };
            self.snapshots = self.snapshots.split_off(&ticket.0);
            self.broker.handle_persisted(ticket, self.now);
            self.absorb();
        }
        if let Some((client_id, deliveries)) = self.disk.load() {
            self.say(|| format!("load {client_id:?} {}", deliveries.len()));
            self.broker.handle_loaded(&client_id, deliveries, self.now);
            self.absorb();
        }
    }

    pub(super) fn fill_disk(&mut self, is_full: bool) {
        self.say(|| format!("disk full: {is_full}"));
        (self.disk.is_full, self.model.is_disk_full) = (is_full, is_full);
        let disk = if is_full { super::super::super::Disk::Full } else { super::super::super::Disk::Writes };
        self.broker.handle_disk(disk, self.now);
        self.absorb();
    }

    /// The clock goes on; deadlines are met on time or, when it jumps, late.
    pub(super) fn pass(&mut self, time: Duration, jumps: bool) {
        let target = self.now + time;
        while let Some(deadline) = self.broker.next_deadline().filter(|deadline| !jumps && *deadline < target) {
            self.set_clock(deadline.max(self.now));
        }
        self.set_clock(target);
    }

    fn set_clock(&mut self, now: Monotonic) {
        self.now = now;
        self.say(|| format!("clock {:?}", now.since_boot()));
        self.model.time(now);
        self.broker.handle_timeout(now);
        self.absorb();
        assert!(self.broker.next_deadline().is_none_or(|deadline| deadline > now), "a deadline is not met");
    }

    /// Everybody gets other rights; sometimes one user has to log in again, or is gone.
    pub(super) fn change_rights(&mut self, place: usize, expelled: Option<(usize, Standing)>) {
        self.acl = Acl::parse(LISTS[place]).unwrap();
        let rights: Vec<_> = (0..CLIENTS).map(|client| self.rights(client)).collect();
        self.say(|| format!("rights {place} {expelled:?}"));
        self.model.judge(rights);
        let acl = self.acl.clone();
        self.broker.handle_access(|user, client_id| Standing::Stays(acl.rights(user, client_id)), self.now);
        self.absorb();
        let Some((client, standing)) = expelled else { return };
        let serial = self.model.sessions.get(&client).and_then(|session| session.connection);
        serial.into_iter().for_each(|serial| self.model.end(serial, true));
        if standing == Standing::Gone {
            self.model.remove_session(client);
        }
        let name = format!("c{client}");
        let judge = |user: Option<&str>, client_id: &str| {
            let stays = Standing::Stays(acl.rights(user, client_id));
            if client_id == name { standing.clone() } else { stays }
        };
        self.broker.handle_access(judge, self.now);
        self.absorb();
    }

    fn rights(&self, client: usize) -> crate::access::Rights {
        self.acl.rights(user(client).as_deref(), &format!("c{client}"))
    }

    /// The process is gone; of what was not answered, the first requests may be durable.
    pub(super) fn crash(&mut self, seed: u64) {
        let durable = self.random.usize(..=self.disk.waiting.len());
        let durable = if self.disk.is_full { 0 } else { durable };
        let last = (0..durable).fold(self.disk.answered, |last, _| self.disk.commit().unwrap_or(last));
        self.say(|| format!("crash, durable up to {last:?}"));
        let restored = self.disk.restored(IN_MEMORY);
        let snapshot = self.snapshots.remove(&last.0).expect("a request has its snapshot");
        self.disk.restart();
        self.sockets.iter_mut().for_each(|socket| socket.is_over = true);
        self.first = self.sockets.len();
        self.now = self.now + Duration::from_millis(self.random.u64(..60_000));
        // what a restart undoes may have been seen
        let (rights, passed_on) = (self.model.rights.clone(), self.model.passed_on.clone());
        self.model = Model { rights, passed_on, is_disk_full: false, newest: 0, ..snapshot.clone() };
        self.model.earliest = self.now;
        self.model.restart(self.now);
        self.broker = Broker::new(options(), seed);
        let acl = self.acl.clone();
        self.broker.restore(restored, self.now, |user, client_id| Standing::Stays(acl.rights(user, client_id)));
        self.snapshots = BTreeMap::from([(0, snapshot)]);
        self.absorb();
    }
}

/// Shows the last steps of a life that went wrong.
impl Drop for Simulation {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("SENSEGATE_TRACE").is_some() {
            self.trace.iter().for_each(|line| eprintln!("{line}"));
        }
    }
}
