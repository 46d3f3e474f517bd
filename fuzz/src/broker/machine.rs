//! The machine and all that is outside of it. Nothing else in this package calls its functions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use sensegate::broker::{self, Broker, Change, ConnectionId, Options, Origin, Output, Ticket};
use sensegate::mqtt::{ClientId, Decoded, connect_version, decode_from_client};

use super::operation::Operation;
use super::peer::{End, Peer, payload_of};
use super::setting::{Setting, standings, verdict};
use crate::disk::{Disk, Time, needs_room};

/// Clients of the world outside.
const CLIENTS: usize = 4;

/// More outputs of one input, or more rounds until all is quiet, than any machine needs.
const OUTPUTS_MAX: usize = 20_000;

/// Longer than any interval that version 5 can say.
const FOR_EVER: Duration = Duration::from_secs((1 << 32) + 1000);

/// As far as time goes before everything comes to rest: the sum of both is what a moment on disk can say.
const NOW_MAX: Duration = Duration::from_secs(1 << 32);

/// A request to persist that was not answered yet.
struct Request {
    ticket: Ticket,
    /// Empty when they are on the disk already.
    changes: Vec<Change>,
}

/// The machine, its clients and its disk.
pub struct Machine {
    broker: Broker,
    options: Options,
    tells_system: bool,
    time: Time,
    disk: Disk,
    is_disk_full: bool,
    /// Whether everybody was told that the process ends.
    is_ending: bool,
    peers: BTreeMap<ConnectionId, Peer>,
    clients: [Option<ConnectionId>; CLIENTS],
    asking: Vec<(ConnectionId, Option<String>)>,
    requests: VecDeque<Request>,
    /// Answered, but not written as long as earlier ones are not answered.
    early: BTreeMap<Ticket, Vec<Change>>,
    newest: Ticket,
    loads: VecDeque<(ClientId, u64, usize)>,
    /// Payloads that clients have published or left as wills: nothing else is delivered.
    payloads: BTreeSet<Bytes>,
}

impl Machine {
    pub fn new(setting: &Setting) -> Self {
        let options = setting.options();
        let mut machine = Self {
            broker: Broker::new(options.clone(), 1),
            options,
            tells_system: setting.tells_system(),
            time: Time::new(),
            disk: Disk::new(setting.deliveries_max()),
            is_disk_full: false,
            is_ending: false,
            peers: BTreeMap::new(),
            clients: [None; CLIENTS],
            asking: Vec::new(),
            requests: VecDeque::new(),
            early: BTreeMap::new(),
            newest: Ticket::default(),
            loads: VecDeque::new(),
            payloads: BTreeSet::new(),
        };
        machine.start();
        machine
    }

    fn start(&mut self) {
        if self.tells_system {
            self.broker.handle_start(self.time.now());
            self.drain();
        }
    }

    /// Lets something happen, and carries out what the machine wants then.
    pub fn carry_out(&mut self, operation: &Operation) {
        match operation {
            Operation::Open { client, is_house } => self.open(*client, *is_house),
            Operation::Packet { client, packet } => {
                let Some(connection) = self.connection(*client) else { return };
                let Some(peer) = self.peers.get(&connection) else { return };
                self.send(connection, &packet.bytes(peer.version));
            }
            Operation::Bytes { client, bytes } => {
                let Some(connection) = self.connection(*client) else { return };
                self.send(connection, bytes);
            }
            Operation::Answer { client, count } => {
                let Some(connection) = self.connection(*client) else { return };
                self.answer(connection, (*count).into());
            }
            Operation::Close { client } => self.close(*client),
            Operation::Pass { seconds } => {
                let left = NOW_MAX.saturating_sub(self.time.now().since_boot());
                self.pass(left.min(Duration::from_secs((*seconds).into())));
            }
            Operation::Persist { which } => self.persist((*which).into()),
            Operation::Load => self.load(),
            Operation::Judge { which, verdict } => self.judge((*which).into(), *verdict),
            Operation::Reload { standings } => self.reload(*standings),
            Operation::Disk { is_full } => self.fill(*is_full),
            Operation::ShutDown => self.shut_down(),
            Operation::Restart { written, standings, off_s } => {
                self.restart((*written).into(), *standings, off_s.map(|seconds| Duration::from_secs(seconds.into())));
            }
        }
    }

    /// Answers everything on all sides until nothing is under way, and looks whether something is left over.
    pub fn rest(&mut self) {
        self.fill(false);
        if self.is_ending {
            self.restart(usize::MAX, 0, None);
        }
        self.settle();
        self.peers.values().for_each(Peer::check_rest);
        self.pass(FOR_EVER);
        (0..=u8::MAX).take(CLIENTS).for_each(|client| self.close(client));
        let open: Vec<_> = self.peers.keys().copied().collect();
        open.into_iter().for_each(|connection| self.close_connection(connection));
        self.settle();
        self.pass(FOR_EVER);
        self.settle();
        // a will that was left at last may be retained for a while
        self.pass(Duration::from_secs(1000));
        if !self.tells_system {
            assert_eq!(self.broker.next_deadline(), None, "nobody is there, and yet there is something to wait for");
        }
    }

    fn settle(&mut self) {
        for _ in 0..OUTPUTS_MAX {
            let is_quiet = self.requests.is_empty() && self.asking.is_empty() && self.loads.is_empty();
            while !self.asking.is_empty() {
                self.judge(0, 0);
            }
            while !self.requests.is_empty() {
                self.persist(0);
            }
            while !self.loads.is_empty() {
                self.load();
            }
            let connections: Vec<_> = self.peers.keys().copied().collect();
            let answered: usize = connections.into_iter().map(|connection| self.answer(connection, usize::MAX)).sum();
            if is_quiet && answered == 0 {
                return;
            }
        }
        panic!("never quiet");
    }

    fn connection(&self, client: u8) -> Option<ConnectionId> {
        self.clients[usize::from(client) % CLIENTS]
    }

    fn open(&mut self, client: u8, is_house: bool) {
        if self.is_ending {
            return;
        }
        let origin = if is_house { Origin::House } else { Origin::Public };
        let connection = self.broker.handle_open(origin, self.time.now());
        let before = self.peers.insert(connection, Peer::new(self.options.inflight_max));
        assert!(before.is_none(), "{connection:?} is given twice");
        self.clients[usize::from(client) % CLIENTS] = Some(connection);
        self.drain();
    }

    /// As the server does: packet by packet, with one request to persist behind them, and not while a login waits.
    fn send(&mut self, connection: ConnectionId, mut bytes: &[u8]) {
        while let Some(peer) = self.peers.get_mut(&connection)
            && peer.is_open()
            && !peer.is_asking
        {
            match decode_from_client(bytes, peer.version, self.options.packet_bytes_max) {
                Ok(Decoded::Packet { packet, length }) => {
                    peer.has_sent(&packet);
                    self.payloads.extend(payload_of(&packet));
                    self.broker.handle_packet(connection, packet, self.time.now());
                    bytes = &bytes[length..];
                }
                Ok(Decoded::Incomplete { .. }) => break,
                Err(error) => {
                    // nothing behind it can be read; the close itself may be held back for a while
                    let version = connect_version(bytes);
                    peer.has_sent_nonsense(version);
                    self.broker.handle_malformed(connection, error, version, self.time.now());
                    break;
                }
            }
            while let Some(output) = self.broker.poll_immediate() {
                self.take(output);
            }
        }
        self.drain();
    }

    /// The client answers up to `count` of the packets it has; how many it did.
    fn answer(&mut self, connection: ConnectionId, count: usize) -> usize {
        let mut answered = 0;
        while answered < count
            && let Some(peer) = self.peers.get_mut(&connection).filter(|peer| peer.is_open())
            && let Some(bytes) = peer.next_answer()
        {
            self.send(connection, &bytes);
            answered += 1;
            assert!(answered < OUTPUTS_MAX, "an answer to each answer");
        }
        answered
    }

    fn close(&mut self, client: u8) {
        if let Some(connection) = self.clients[usize::from(client) % CLIENTS].take() {
            self.close_connection(connection);
        }
    }

    fn close_connection(&mut self, connection: ConnectionId) {
        self.broker.handle_close(connection, self.time.now());
        if let Some(peer) = self.peers.get_mut(&connection).filter(|peer| peer.is_open()) {
            peer.end = End::Gone(self.newest);
        }
        self.drain();
    }

    fn pass(&mut self, time: Duration) {
        self.time.pass(time);
        self.broker.handle_timeout(self.time.now());
        self.drain();
        let next = self.broker.next_deadline();
        assert!(next.is_none_or(|next| next > self.time.now()), "{next:?} was due and is not done");
    }

    /// Without room on the disk, what needs some waits.
    fn persist(&mut self, which: usize) {
        let Some(which) = which.checked_rem(self.requests.len()) else { return };
        if self.is_disk_full && self.requests[which].changes.iter().any(needs_room) {
            return;
        }
        let Some(request) = self.requests.remove(which) else { return };
        self.early.insert(request.ticket, request.changes);
        let oldest = self.requests.front().map(|request| request.ticket);
        while let Some(entry) = self.early.first_entry()
            && oldest.is_none_or(|oldest| *entry.key() < oldest)
        {
            self.disk.write(entry.remove());
        }
        self.broker.handle_persisted(request.ticket, self.time.now());
        self.drain();
    }

    /// The disk reads behind everything that it was asked to write before.
    fn load(&mut self) {
        let Some((client_id, after, count)) = self.loads.pop_front() else { return };
        self.write_all();
        let loaded = self.disk.store(&self.time).load(&client_id, after, count).expect("what is in memory can be read");
        assert!(loaded.damaged.is_empty(), "what was written cannot be read");
        self.broker.handle_loaded(&client_id, loaded.deliveries, self.time.now());
        self.drain();
    }

    /// Writes what is requested, answered or not, in the order of the tickets.
    fn write_all(&mut self) {
        for request in &mut self.requests {
            self.early.insert(request.ticket, std::mem::take(&mut request.changes));
        }
        for (_, changes) in std::mem::take(&mut self.early) {
            self.disk.write(changes);
        }
    }

    fn judge(&mut self, which: usize, bits: u8) {
        let Some(which) = which.checked_rem(self.asking.len()) else { return };
        let (connection, user) = self.asking.remove(which);
        if let Some(peer) = self.peers.get_mut(&connection) {
            peer.is_asking = false;
        }
        self.broker.handle_verdict(connection, verdict(bits, user), self.time.now());
        self.drain();
    }

    fn reload(&mut self, bits: u8) {
        self.broker.handle_access(standings(bits), self.time.now());
        self.drain();
    }

    fn fill(&mut self, is_full: bool) {
        self.is_disk_full = is_full;
        self.broker.handle_disk(if is_full { broker::Disk::Full } else { broker::Disk::Writes }, self.time.now());
        self.drain();
    }

    fn shut_down(&mut self) {
        self.is_ending = true;
        self.broker.handle_shutdown(self.time.now());
        self.drain();
    }

    /// Of the requests that were not answered, the first `written` are on the disk. With a time, the whole computer was
    /// off for so long.
    fn restart(&mut self, written: usize, bits: u8, off: Option<Duration>) {
        let missing = self.requests.iter().skip(written).map(|request| request.ticket).next();
        for request in self.requests.drain(..) {
            self.early.insert(request.ticket, request.changes);
        }
        for (ticket, changes) in std::mem::take(&mut self.early) {
            if missing.is_none_or(|missing| ticket < missing) {
                self.disk.write(changes);
            }
        }
        let closed = self.disk.close(&self.time);
        if let Some(off) = off {
            self.time.reboot(off);
        }
        self.forget();
        self.broker = Broker::new(self.options.clone(), 1);
        self.broker.restore(self.disk.open(closed, &self.time), self.time.now(), standings(bits));
        self.drain();
        self.start();
    }

    /// What a process takes with it.
    fn forget(&mut self) {
        self.peers.clear();
        self.clients = [None; CLIENTS];
        self.asking.clear();
        self.loads.clear();
        self.newest = Ticket::default();
        (self.is_disk_full, self.is_ending) = (false, false);
    }

    fn drain(&mut self) {
        let mut count = 0;
        while let Some(output) = self.broker.poll_output() {
            self.take(output);
            count += 1;
            assert!(count < OUTPUTS_MAX, "outputs without end");
        }
        let oldest = self.requests.front().map(|request| request.ticket);
        for peer in self.peers.values_mut() {
            if let End::Gone(until) = peer.end
                && oldest.is_none_or(|oldest| oldest > until)
            {
                peer.end = End::Over;
            }
        }
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::RequestSend { connection, frame, .. } => {
                let mut bytes = Vec::new();
                frame.append_to(&mut bytes);
                assert_eq!(frame.wire_len(), bytes.len());
                let payload = self.peer(connection).is_sent(&bytes);
                let is_known = payload.is_none_or(|payload| self.payloads.contains(payload));
                assert!(is_known, "nobody has published what comes with {bytes:02x?}");
            }
            Output::RequestClose { connection, .. } => {
                let peer = self.peer(connection);
                assert!(peer.end != End::Over, "{connection:?} is closed twice");
                peer.end = End::Over;
            }
            Output::RequestPersist { ticket, changes } => {
                assert!(ticket > self.newest && !changes.is_empty(), "{ticket:?} with {changes:?}");
                self.newest = ticket;
                self.requests.push_back(Request { ticket, changes });
            }
            Output::RequestLoad { client_id, after, count } => self.loads.push_back((client_id, after, count)),
            Output::RequestAuthenticate { connection, user_name, .. } => {
                self.peer(connection).is_asking = true;
                self.asking.push((connection, user_name));
            }
            _ => {}
        }
    }

    fn peer(&mut self, connection: ConnectionId) -> &mut Peer {
        self.peers.get_mut(&connection).unwrap_or_else(|| panic!("{connection:?} was never opened"))
    }
}
