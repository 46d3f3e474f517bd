//! Tickets that could not be written, for want of room or because the disk fails.
//!
//! The rule: a ticket is written whole or not at all, and never before an earlier ticket that has a key in common with
//! it (`key`). So each unwritten ticket belongs to one of these:
//!
//! - The **removals**: tickets whose net difference removes rows or updates them in place. They are written together,
//!   on a full disk in the room that is reserved for them.
//! - The **blocked groups**: tickets that need room, each with the later tickets that have a key in common with it. No
//!   two groups have a key in common, so each can be written without the others. A group whose net difference no
//!   longer needs room (the message that it enqueues is acknowledged, say) joins the removals.
//!
//! When there is room, everything is written in one transaction. The removals come first: where they share a key with a
//! group, they are older.
//!
//! Memory is bounded by the rows on disk and by what the broker itself holds: an entry that changes nothing on disk is
//! dropped, and each key has one entry. Ticket numbers are stored as ranges, [`RANGES_MAX`] at most.

use std::collections::{BTreeSet, HashMap};

use super::book::Book;
use super::key::Key;
use super::pending::Pending;
use super::tickets::TicketSet;
use crate::broker::Ticket;
use crate::mqtt::ClientId;

/// Ranges of ticket numbers, 16 bytes each. With more of them all groups become one, which is written when there is
/// room for the whole of it.
const RANGES_MAX: usize = 10_000;

/// Tickets that are written together, and their net difference.
#[derive(Debug, Default)]
struct Group {
    tickets: TicketSet,
    net: Pending,
}

/// All tickets that are not written.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    removals: Group,
    blocked: HashMap<u64, Group>,
    /// The blocked group that has a key.
    index: HashMap<Key, u64>,
    /// The number of the latest group.
    latest: u64,
}

impl Unwritten {
    /// Adds a ticket with its net difference; `None` for a difference that nobody waits for.
    pub(super) fn add(&mut self, ticket: Option<Ticket>, net: Pending, book: &Book) {
        let before = self.groups_before(&net);
        if before.is_empty() && !net.needs_room(book, &self.removals.net) {
            self.removals.append(ticket, net, book);
        } else {
            let number = self.join(&before, book);
            self.append(number, ticket, net, book);
            self.release(number, book);
        }
        if self.ranges() > RANGES_MAX {
            self.join_all(book);
            self.fill_gaps();
        }
    }

    /// Returns the numbers of the groups that have a key in common with `net`.
    fn groups_before(&self, net: &Pending) -> BTreeSet<u64> {
        let with_key = net.keys().filter_map(|key| self.index.get(&key));
        let with_end = net.clients().filter_map(|client_id| self.index.get(&Key::SessionEnd(client_id.clone())));
        let of_ended = net.ended().flat_map(|client_id| self.groups_of(client_id));
        with_key.chain(with_end).chain(of_ended).copied().collect()
    }

    /// Returns the numbers of the groups with an entry of this client's session. Cost: O(entries of all groups).
    fn groups_of<'a>(&'a self, client_id: &'a ClientId) -> impl Iterator<Item = &'a u64> {
        let is_of = move |group: &Group| group.net.clients().any(|other| other == client_id);
        self.blocked.iter().filter(move |(_, group)| is_of(group)).map(|(number, _)| number)
    }

    /// Makes one group of these groups, a new one of none, and returns its number. Cost: O(entries of all but the
    /// largest).
    fn join(&mut self, numbers: &BTreeSet<u64>, book: &Book) -> u64 {
        let size = |number: &u64| self.blocked.get(number).map_or(0, |group| group.net.size());
        let Some(largest) = numbers.iter().copied().max_by_key(size) else {
            self.latest += 1;
            return self.latest;
        };
        for number in numbers.iter().filter(|number| **number != largest) {
            let Some(group) = self.blocked.remove(number) else { continue };
            self.index.extend(group.net.keys().map(|key| (key, largest)));
            let joined = self.blocked.entry(largest).or_default();
            joined.tickets.extend([&group.tickets]);
            joined.net.append(group.net, book);
        }
        largest
    }

    /// Adds a ticket to a group.
    fn append(&mut self, number: u64, ticket: Option<Ticket>, net: Pending, book: &Book) {
        let group = self.blocked.entry(number).or_default();
        let mut changed: Vec<_> = net.keys().collect();
        if net.ended().next().is_some() {
            // the end of a session removes entries that have no key in `net`
            changed.extend(group.net.keys());
        }
        group.append(ticket, net, book);
        for key in changed {
            if group.net.contains(&key) {
                self.index.insert(key, number);
            } else {
                self.index.remove(&key);
            }
        }
    }

    /// Moves a group to the removals if it needs no room.
    fn release(&mut self, number: u64, book: &Book) {
        if self.blocked.get(&number).is_none_or(|group| group.net.needs_room(book, &self.removals.net)) {
            return;
        }
        if let Some(group) = self.blocked.remove(&number) {
            for key in group.net.keys() {
                self.index.remove(&key);
            }
            self.removals.tickets.extend([&group.tickets]);
            self.removals.net.append(group.net, book);
        }
    }

    fn ranges(&self) -> usize {
        let of = |group: &Group| group.tickets.ranges().len();
        of(&self.removals) + self.blocked.values().map(of).sum::<usize>()
    }

    /// Makes one range of all ticket numbers. It contains numbers of tickets that are written already.
    fn fill_gaps(&mut self) {
        self.removals.tickets.fill_gaps();
        self.blocked.values_mut().for_each(|group| group.tickets.fill_gaps());
    }

    /// Makes one group of all tickets.
    pub(super) fn join_all(&mut self, book: &Book) {
        let mut all = std::mem::take(&mut self.removals);
        all.tickets.extend(self.blocked.values().map(|group| &group.tickets));
        for (_, group) in self.blocked.drain() {
            all.net.append(group.net, book);
        }
        self.index.clear();
        self.latest += 1;
        self.index.extend(all.net.keys().map(|key| (key, self.latest)));
        self.blocked.insert(self.latest, all);
        self.release(self.latest, book);
    }

    /// The number of entries.
    pub(super) fn size(&self) -> usize {
        self.nets().map(Pending::size).sum()
    }

    /// Whether every ticket is written.
    pub(super) fn is_empty(&self) -> bool {
        self.blocked.is_empty() && self.removals.is_empty()
    }

    /// Whether no ticket waits that can be written without room.
    pub(super) fn has_no_removals(&self) -> bool {
        self.removals.is_empty()
    }

    /// Returns the net difference of all tickets.
    pub(super) fn net(&self, book: &Book) -> Pending {
        let mut net = self.removals.net.clone();
        for group in self.blocked.values() {
            net.append(group.net.clone(), book);
        }
        net
    }

    /// Returns the net difference of the tickets that need no room.
    pub(super) fn removals(&self) -> &Pending {
        &self.removals.net
    }

    /// Returns the net differences of all groups.
    pub(super) fn nets(&self) -> impl Iterator<Item = &Pending> {
        self.blocked.values().chain([&self.removals]).map(|group| &group.net)
    }

    /// Takes the tickets that need no room: they are written.
    pub(super) fn take_removals(&mut self) -> TicketSet {
        std::mem::take(&mut self.removals).tickets
    }

    /// Takes all tickets: they are written.
    pub(super) fn take_all(&mut self) -> TicketSet {
        let Self { mut removals, blocked, .. } = std::mem::take(self);
        removals.tickets.extend(blocked.values().map(|group| &group.tickets));
        removals.tickets
    }
}

#[cfg(test)]
impl Unwritten {
    /// The number of everything in memory: entries, their keys, and ranges of ticket numbers.
    pub(super) fn parts(&self) -> usize {
        self.nets().map(|net| net.keys().count()).sum::<usize>() + self.index.len() + self.ranges()
    }
}

impl Group {
    fn append(&mut self, ticket: Option<Ticket>, net: Pending, book: &Book) {
        if let Some(ticket) = ticket {
            self.tickets.insert(ticket);
        }
        self.net.append(net, book);
    }

    fn is_empty(&self) -> bool {
        self.net.is_empty() && self.tickets.ranges().is_empty()
    }
}
