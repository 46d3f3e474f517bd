//! A ticket is written whole or not at all, in every state of the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::model::{Generator, Model};
use super::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disk {
    HasRoom,
    Full,
    Broken,
}

/// A store, all tickets since its file was made, and those that were answered.
struct World {
    directory: tempfile::TempDir,
    store: Store,
    disk: Disk,
    tickets: BTreeMap<u64, Vec<Change>>,
    answered: BTreeSet<u64>,
    next_ticket: u64,
    now_s: u64,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = open(&directory);
        let (tickets, answered) = (BTreeMap::new(), BTreeSet::new());
        Self { directory, store, disk: Disk::HasRoom, tickets, answered, next_ticket: 1, now_s: 0 }
    }

    fn set_disk(&mut self, disk: Disk) {
        self.disk = disk;
        self.store.set_bytes_max(if disk == Disk::Full { 0 } else { u64::MAX });
        self.store.set_broken(disk == Disk::Broken);
    }

    fn commit(&mut self, tickets: Vec<Vec<Change>>) {
        let first = self.next_ticket;
        self.next_ticket += tickets.len() as u64;
        let numbered: Vec<_> = (first..).map(Ticket).zip(tickets).collect();
        let result = self.store.commit_tickets(&numbered, at(self.now_s));
        self.tickets.extend(numbered.into_iter().map(|(ticket, changes)| (ticket.0, changes)));
        self.take_answers();
        let are_answered = self.answered.len() == self.tickets.len();
        assert_eq!(are_answered, self.store.is_settled());
        // a sweep of an ended session may fail too
        assert!(are_answered || result.is_err());
    }

    fn take_answers(&mut self) {
        let written = self.store.take_written();
        self.answered.extend(written.into_iter().flat_map(|tickets| tickets.iter().map(|ticket| ticket.0)));
    }

    /// The effect of the tickets that were answered.
    fn durable(&self) -> Model {
        let tickets = self.tickets.iter().filter(|(ticket, _)| self.answered.contains(ticket));
        Model::of(tickets.flat_map(|(_, changes)| changes))
    }

    /// The files as a power cut leaves them.
    fn copy(&self) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        for name in ["state.db", "state.db-wal"] {
            fs::copy(self.directory.path().join(name), copy.path().join(name)).unwrap();
        }
        copy
    }

    /// Checks what a restart after a power cut finds.
    fn check(&self) {
        assert_eq!(Model::of_state(open(&self.copy()).1), self.durable());
    }

    fn cut_power(&mut self) {
        let copy = self.copy();
        self.store = open(&copy).0;
        self.directory = copy;
        self.tickets.retain(|ticket, _| self.answered.contains(ticket));
        self.set_disk(self.disk);
    }

    /// Checks that tickets which only remove, and do not depend on one that waits, were answered.
    fn check_removals(&self) {
        let waiting: Vec<_> = self.tickets.iter().filter(|(ticket, _)| !self.answered.contains(ticket)).collect();
        for (index, (ticket, changes)) in waiting.iter().enumerate() {
            let earlier = waiting[..index].iter().flat_map(|(_, changes)| changes.iter());
            let depends = earlier.clone().any(|one| changes.iter().any(|other| depend(one, other)));
            assert!(depends || !changes.iter().all(removes), "{ticket} waits: {changes:?}");
        }
    }
}

fn removes(change: &Change) -> bool {
    matches!(
        change,
        Change::SessionEnded { .. }
            | Change::Unsubscribed { .. }
            | Change::Sent { .. }
            | Change::Released { .. }
            | Change::Dequeued { .. }
            | Change::Forgotten { .. }
            | Change::RetainedCleared { .. }
            | Change::WillDelayed { .. }
            | Change::WillCleared { .. }
    )
}

/// Whether the order of two changes matters.
fn depend(one: &Change, other: &Change) -> bool {
    let ends = |change: &Change| matches!(change, Change::SessionEnded { .. });
    let (one_subject, other_subject) = (subject(one), subject(other));
    let is_of_session = |subject: &(Option<ClientId>, String)| subject.0.is_some();
    one_subject == other_subject
        || (ends(one) || ends(other)) && is_of_session(&one_subject) && one_subject.0 == other_subject.0
}

/// The session that a change belongs to, and what it is about.
fn subject(change: &Change) -> (Option<ClientId>, String) {
    match change {
        Change::SessionKept { client_id, .. } | Change::SessionEnded { client_id } => {
            (Some(client_id.clone()), String::new())
        }
        Change::Subscribed { client_id, filter, .. } | Change::Unsubscribed { client_id, filter } => {
            (Some(client_id.clone()), format!("subscription {filter:?}"))
        }
        Change::Received { client_id, packet_id } | Change::Forgotten { client_id, packet_id } => {
            (Some(client_id.clone()), format!("received {packet_id:?}"))
        }
        Change::Enqueued { client_id, delivery } => (Some(client_id.clone()), format!("delivery {}", delivery.arrival)),
        Change::Sent { client_id, arrival, .. }
        | Change::Released { client_id, arrival }
        | Change::Dequeued { client_id, arrival } => (Some(client_id.clone()), format!("delivery {arrival}")),
        Change::Retained { message, .. } => (None, format!("retained {:?}", message.topic)),
        Change::RetainedCleared { topic } => (None, format!("retained {topic:?}")),
        Change::WillSet { client_id, .. }
        | Change::WillDelayed { client_id, .. }
        | Change::WillCleared { client_id } => (None, format!("will {client_id:?}")),
    }
}

/// One life with a disk that is full or broken now and then, and power cuts.
fn live(seed: u64) -> [usize; 2] {
    let random = fastrand::Rng::with_seed(seed);
    let mut generator = Generator { random, latest: Model::default(), next_arrival: 0 };
    let mut world = World::new();
    let mut waited = [0, 0];
    for _ in 0..60 {
        let disk = match generator.random.u8(..8) {
            0 => Disk::HasRoom,
            1 | 2 => Disk::Full,
            3 => Disk::Broken,
            _ => world.disk,
        };
        world.set_disk(disk);
        world.now_s += generator.random.u64(..2);
        let count = generator.random.usize(..4);
        world.commit((0..count).map(|_| generator.ticket()).collect());
        let is_waiting = world.answered.len() < world.tickets.len();
        waited[0] += usize::from(is_waiting);
        if disk == Disk::Full {
            world.check_removals();
        }
        match generator.random.u8(..8) {
            0 | 1 => world.check(),
            2 if generator.random.bool() => {
                waited[1] += usize::from(is_waiting);
                world.cut_power();
                generator.latest = world.durable();
            }
            _ => {}
        }
    }
    world.set_disk(Disk::HasRoom);
    world.now_s += 1;
    world.store.flush(at(world.now_s)).unwrap();
    world.take_answers();
    assert_eq!(world.answered.len(), world.tickets.len(), "all are answered when there is room");
    world.check();
    waited
}

#[test]
fn a_restart_finds_whole_tickets_whenever_the_disk_was_full_or_broken() {
    let mut waited = [0, 0];
    for seed in 0..40 {
        println!("seed {seed}");
        let of_life = live(seed);
        waited = [waited[0] + of_life[0], waited[1] + of_life[1]];
    }
    println!("tickets waited after {} commits and at {} power cuts", waited[0], waited[1]);
    assert!(waited[0] > 400 && waited[1] > 20, "{waited:?}");
}

/// A store on a full disk that has a session `1` with deliveries 1 and 2, a will and a retained message.
fn full() -> World {
    let mut world = World::new();
    let message = message("m", 10);
    let kept = |name| Change::SessionKept { client_id: client(name), terms: Terms::forever() };
    let enqueued = |arrival| Change::Enqueued { client_id: client(1), delivery: delivery(arrival, &message) };
    let wills = [will_set(&client(1), 10), retained("r", 10)];
    world.commit(vec![[vec![kept(1), kept(2), enqueued(1), enqueued(2)], wills.to_vec()].concat()]);
    world.set_disk(Disk::Full);
    // fills the pages that are not full
    let mut number = 0;
    while world.store.is_settled() {
        number += 1;
        world.commit(vec![vec![retained(format!("filler/{number}"), 100)]]);
    }
    world
}

fn answers(world: &World, tickets: &[u64]) -> Vec<bool> {
    tickets.iter().map(|ticket| world.answered.contains(ticket)).collect()
}

#[test]
fn a_will_is_cleared_only_with_the_messages_that_it_became() {
    let mut world = full();
    let first = world.next_ticket;
    let published = Change::Enqueued { client_id: client(2), delivery: delivery(9, &message("w", 5_000)) };
    world.commit(vec![vec![Change::WillCleared { client_id: client(1) }, published]]);
    world.check();
    assert_eq!(answers(&world, &[first]), [false]);
    world.set_disk(Disk::HasRoom);
    world.commit(vec![]);
    assert_eq!(answers(&world, &[first]), [true]);
    world.check();
}

#[test]
fn a_session_ends_only_with_the_reassigned_messages_and_later_changes_of_it_wait() {
    let mut world = full();
    let first = world.next_ticket;
    let reassigned = Change::Enqueued { client_id: client(2), delivery: delivery(9, &message("m", 5_000)) };
    world.commit(vec![
        vec![
            Change::Dequeued { client_id: client(1), arrival: 1 },
            reassigned,
            Change::SessionEnded { client_id: client(1) },
        ],
        vec![Change::Dequeued { client_id: client(1), arrival: 2 }],
        vec![Change::RetainedCleared { topic: topic("r") }],
    ]);
    world.check();
    assert_eq!(answers(&world, &[first, first + 1, first + 2]), [false, false, true]);
    // the message that needs room is acknowledged, so that the rest needs none
    world.commit(vec![vec![Change::Dequeued { client_id: client(2), arrival: 9 }]]);
    assert_eq!(answers(&world, &[first, first + 1, first + 3]), [true, true, true]);
    world.check();
}
