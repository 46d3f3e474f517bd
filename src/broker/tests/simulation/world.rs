//! The machine with its disk, its clock and its connections; every input passes by here.

use super::super::super::{Broker, ConnectionId, Origin, Output, SendClass, Standing, Verdict};
use super::clients::Client;
use super::disk::Disk;
use super::oracle::Oracle;
use super::wire::{Reader, Socket, whole};
use super::*;
use crate::access::Rights;

/// What everybody may do, in turn.
const LISTS: [&str; 4] = [
    "pattern readwrite #\n",
    "pattern readwrite #\npattern deny a/c\n",
    "topic readwrite #\nuser u1\ntopic write #\ntopic read b\nuser u2\ntopic readwrite #\nuser u3\ntopic read #\n",
    "topic read a/#\ntopic write #\nuser u1\ntopic readwrite #\nuser u2\ntopic readwrite +\nuser u3\ntopic readwrite #\n",
];

pub(super) struct Simulation {
    pub(super) broker: Broker,
    pub(super) oracle: Oracle,
    pub(super) disk: Disk,
    pub(super) sockets: Vec<Socket>,
    readers: Vec<Reader>,
    /// The first connection of this process.
    first: usize,
    pub(super) clients: Vec<Client>,
    pub(super) random: fastrand::Rng,
    acl: Acl,
    /// Users that the password file does not have at present.
    pub(super) removed: [bool; CLIENTS],
    /// Connections for which the machine waits until what was sent has left.
    rooms: Vec<ConnectionId>,
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
        Self {
            broker: Broker::new(options(), seed),
            oracle: Oracle::new(CLIENTS, now),
            disk: Disk::default(),
            sockets: Vec::new(),
            readers: Vec::new(),
            first: 0,
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            random: fastrand::Rng::with_seed(seed),
            acl: Acl::everything(),
            removed: [false; CLIENTS],
            rooms: Vec::new(),
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
        self.note_oldest();
        self.oracle.close(serial);
        let id = self.sockets[serial].id;
        self.broker.handle_close(id, self.now);
        self.absorb();
    }

    /// Carries the first `count` bytes of what the client has written to the machine.
    pub(super) fn carry(&mut self, serial: usize, count: usize) {
        // no two deadlines meet: which comes first then is open
        self.pass(Duration::from_nanos(1), false);
        if self.sockets[serial].is_over {
            return;
        }
        let bytes: Vec<u8> = self.sockets[serial].up.drain(..count).collect();
        self.readers[serial].push(&bytes);
        while !self.sockets[serial].is_over && self.broker.accepts_input(self.sockets[serial].id) {
            let version = self.sockets[serial].version;
            let Some(bytes) = self.readers[serial].next(version) else { return };
            self.handle(serial, whole(&bytes, version));
        }
    }

    fn handle(&mut self, serial: usize, packet: Packet<'_>) {
        self.say(|| format!("{serial} -> {packet:?}"));
        self.note_oldest();
        self.asked = if let Packet::Connect(connect) = &packet { Some(connect.clone()) } else { None };
        if self.asked.is_none() {
            self.oracle.packet(serial, &packet);
        }
        let id = self.sockets[serial].id;
        self.broker.handle_packet(id, packet, self.now);
        self.absorb();
    }

    /// A packet that goes out with the next input may have been decided since the oldest open ticket was requested.
    fn note_oldest(&mut self) {
        self.oracle.oldest_open = self.disk.waiting.iter().map(|waiting| waiting.since).min();
    }

    /// Carries out what the machine wants, in order, and compares it with the oracle.
    fn absorb(&mut self) {
        let mut outputs = Vec::new();
        let mut asked = None;
        while let Some(output) = self.broker.poll_output() {
            match output {
                Output::RequestPersist { ticket, changes } => {
                    let since = (self.now, self.oracle.next_mark());
                    self.say(|| format!("request {ticket:?} {changes:?}"));
                    self.disk.request(ticket, since, changes);
                }
                Output::RequestAuthenticate { connection, user_name, client_id, .. } => {
                    let serial = self.serial(connection);
                    asked = Some((serial, self.asked.take().expect("its CONNECT came just now")));
                    let rights = self.acl.rights(user_name.as_deref(), client_id.as_str());
                    let user = user_name.map(Into::into);
                    let verdict = if self.removed[self.sockets[serial].client] {
                        Verdict::Refused(ConnectReturnCode::NotAuthorized)
                    } else {
                        Verdict::Accepted { user, rights }
                    };
                    self.broker.handle_verdict(connection, verdict, self.now);
                }
                Output::RequestLoad { client_id, after, count } => self.disk.request_load(client_id, after, count),
                other => outputs.push(other),
            }
        }
        if let Some((serial, connect)) = asked {
            self.admit(serial, &connect, &mut outputs);
        }
        outputs.into_iter().for_each(|output| self.carry_out(output));
        self.finish_replays();
        self.check_disk();
        let (told, due) = (self.broker.next_deadline(), self.oracle.next_due());
        assert!(due.is_none_or(|due| told.is_some_and(|told| told <= due)), "{told:?}, but {due:?} is due");
    }

    /// A CONNECT was verified: it is refused at once, or admitted.
    fn admit(&mut self, serial: usize, connect: &Connect, outputs: &mut Vec<Output>) {
        let (id, version, client) =
            (self.sockets[serial].id, self.sockets[serial].version, self.sockets[serial].client);
        let refusal = outputs.iter().position(|output| match output {
            Output::RequestSend { connection, frame, .. } if *connection == id => {
                let mut bytes = Vec::new();
                frame.append_to(&mut bytes);
                matches!(whole(&bytes, version), Packet::ConnAck(ack) if ack.reason.is_failure())
            }
            _ => false,
        });
        let Some(refusal) = refusal else { return self.oracle.admit(serial, client, connect) };
        if let Output::RequestSend { frame, .. } = outputs.remove(refusal) {
            let mut bytes = Vec::new();
            frame.append_to(&mut bytes);
            if let Packet::ConnAck(ack) = whole(&bytes, version) {
                self.say(|| format!("{serial} <- {ack:?}"));
                self.oracle.refuse(serial, client, connect, ack.reason);
            }
            self.sockets[serial].down.extend_from_slice(&bytes);
        }
    }

    /// What would a restart find now, and if some more tickets had become durable unnoticed?
    fn check_disk(&mut self) {
        self.oracle.check_restart(&self.disk.durable);
    }

    fn finish_replays(&mut self) {
        if !self.broker.has_work() && self.rooms.is_empty() {
            (0..CLIENTS).for_each(|client| self.oracle.finish_replays(client));
        }
    }

    fn serial(&self, id: ConnectionId) -> usize {
        let mut sockets = self.sockets.iter().enumerate().skip(self.first);
        sockets.find(|(_, socket)| socket.id == id).map(|(serial, _)| serial).expect("it was opened")
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::RequestSend { connection, frame, class } => {
                let serial = self.serial(connection);
                if self.sockets[serial].is_over {
                    return;
                }
                let mut bytes = Vec::new();
                frame.append_to(&mut bytes);
                let version = self.sockets[serial].version;
                let packet = whole(&bytes, version);
                self.say(|| format!("{serial} <- {packet:?} {class:?}"));
                let is_dropped = class == SendClass::MayDrop && self.random.u8(..10) == 0;
                self.oracle.emitted(serial, &packet, bytes.len(), is_dropped);
                if !is_dropped {
                    self.sockets[serial].down.extend_from_slice(&bytes);
                }
            }
            Output::RequestClose { connection, reason } => {
                let serial = self.serial(connection);
                self.say(|| format!("{serial} closed: {reason}"));
                self.oracle.closed(serial);
                self.sockets[serial].is_over = true;
            }
            Output::RequestRoom { connection } => self.rooms.push(connection),
            Output::NotifyDropped { client_id } => panic!("something is dropped for {client_id:?}"),
            _ => {}
        }
    }

    /// Makes at most `most` tickets durable and answers them, and the requests to load that are due.
    pub(super) fn commit(&mut self, most: usize) {
        for _ in 0..most {
            self.load();
            self.note_oldest();
            let Some(ticket) = self.disk.commit() else { break };
            self.say(|| format!("durable: {ticket:?}"));
            self.broker.handle_persisted(ticket, self.now);
            self.absorb();
        }
        self.load();
    }

    /// Whether the machine waits for nothing but its clients.
    pub(super) fn is_idle(&self) -> bool {
        self.disk.is_idle() && self.rooms.is_empty() && !self.broker.has_work()
    }

    /// Does one slice of the work that the machine has put off.
    pub(super) fn work(&mut self) {
        self.say(|| "work".into());
        self.note_oldest();
        self.broker.handle_work(self.now);
        self.absorb();
    }

    /// What was sent to a connection has left, if the machine waits for that.
    pub(super) fn make_room(&mut self) {
        if self.rooms.is_empty() {
            return;
        }
        let place = self.random.usize(..self.rooms.len());
        let connection = self.rooms.swap_remove(place);
        self.say(|| "room".into());
        self.note_oldest();
        self.broker.handle_room(connection, self.now);
        self.absorb();
    }

    /// Hands over what the machine did not accept before.
    pub(super) fn read_on(&mut self) {
        (self.first..self.sockets.len()).for_each(|serial| self.carry(serial, 0));
    }

    fn load(&mut self) {
        while let Some((client_id, deliveries)) = self.disk.load() {
            self.say(|| format!("load {client_id:?} {}", deliveries.len()));
            self.note_oldest();
            self.broker.handle_loaded(&client_id, deliveries, self.now);
            self.absorb();
        }
    }

    pub(super) fn fill_disk(&mut self, is_full: bool) {
        self.say(|| format!("disk full: {is_full}"));
        (self.disk.is_full, self.oracle.is_disk_full) = (is_full, is_full);
        let disk = if is_full { super::super::super::Disk::Full } else { super::super::super::Disk::Writes };
        self.note_oldest();
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
        self.note_oldest();
        self.oracle.time(now);
        self.broker.handle_timeout(now);
        self.absorb();
        assert!(self.broker.next_deadline().is_none_or(|deadline| deadline > now), "a deadline is not met");
    }

    /// Everybody gets other rights; sometimes one user has to log in again, or is removed.
    pub(super) fn change_rights(&mut self, list: usize, expelled: Option<(usize, Expulsion)>) {
        self.acl = Acl::parse(LISTS[list]).unwrap();
        if let Some((client, Expulsion::Removed)) = expelled {
            self.removed[client] = true;
        }
        self.say(|| format!("rights {list} {expelled:?}"));
        self.note_oldest();
        let rights: Vec<Option<Rights>> = (0..CLIENTS).map(|client| self.rights(client)).collect();
        self.oracle.change_rights(rights.clone());
        if let Some((client, expulsion)) = expelled {
            self.oracle.expel(client, expulsion == Expulsion::Removed);
        }
        let unproven = expelled.filter(|(_, expulsion)| *expulsion == Expulsion::Unproven).map(|(client, _)| client);
        self.broker.handle_access(|_, client_id| standing(&rights, unproven, client_id), self.now);
        self.absorb();
    }

    fn rights(&self, client: usize) -> Option<Rights> {
        (!self.removed[client]).then(|| self.acl.rights(user(client).as_deref(), &format!("c{client}")))
    }

    /// The process is gone; of what was not answered, some tickets may be durable.
    pub(super) fn crash(&mut self, seed: u64) {
        let unnoticed = self.random.usize(..=self.disk.waiting.len());
        let count = (0..unnoticed).map_while(|_| self.disk.commit()).count();
        self.say(|| format!("crash, {count} more are durable"));
        let restored = self.disk.restored(IN_MEMORY);
        self.disk.restart();
        self.rooms.clear();
        self.sockets.iter_mut().for_each(|socket| socket.is_over = true);
        self.first = self.sockets.len();
        self.now = self.now + Duration::from_millis(self.random.u64(..60_000));
        self.oracle.restart(&self.disk.durable, self.now);
        self.broker = Broker::new(options(), seed);
        let rights: Vec<Option<Rights>> = (0..CLIENTS).map(|client| self.rights(client)).collect();
        self.broker.restore(restored, self.now, |_, client_id| standing(&rights, None, client_id));
        self.absorb();
    }
}

/// What becomes of a client with these rights.
fn standing(rights: &[Option<Rights>], unproven: Option<usize>, client_id: &str) -> Standing {
    let client: usize = client_id[1..].parse().unwrap();
    match rights[client].clone() {
        None => Standing::Gone,
        Some(rights) if unproven == Some(client) => Standing::Unproven(rights),
        Some(rights) => Standing::Stays(rights),
    }
}

/// Why a client cannot stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expulsion {
    /// Its password is another one.
    Unproven,
    /// Its user is removed.
    Removed,
}

/// Shows the last steps of a life that went wrong.
impl Drop for Simulation {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("SENSEGATE_TRACE").is_some() {
            self.trace.iter().for_each(|line| eprintln!("{line}"));
        }
    }
}
