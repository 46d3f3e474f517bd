//! The store: opens the state file and commits tickets to it.
//!
//! A ticket is a list of changes that are written whole or not at all. What could not be written waits in `Unwritten`,
//! which has the rule for a full disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::book::Book;
use super::boot::{self, Clocks};
use super::connection::{self, Room};
use super::error::{Damage, StoreError};
use super::late::Late;
use super::loaded::Loaded;
use super::pending::{DeliveryChange, DeliveryPart, Pending};
use super::read::Piece;
use super::reserve::Reserve;
use super::schema::{self, Header};
use super::tickets::{TicketSet, Tickets};
use super::unwritten::Unwritten;
use super::write::Writer;
use super::{Options, Sync, read, salvage};
use crate::base::clock::{self, Monotonic, Wall};
use crate::broker::state::{Kept, State};
use crate::broker::{Change, Delivery, Ticket};
use crate::mqtt::ClientId;

/// Time between two tries to write what found no room.
const RETRY: Duration = Duration::from_secs(1);

/// Unwritten entries up to which every commit tries to write all of them. More take too long for that.
const EAGER_ENTRIES_MAX: usize = 1_000;

/// The durable state.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
    options: Options,
    clocks: Clocks,
    /// Found since the file was opened.
    damages: Vec<Damage>,
    book: Book,
    late: Late,
    unwritten: Unwritten,
    /// Tickets written since [`Store::take_written`] was called last.
    written: TicketSet,
    /// The highest ticket so far.
    newest: Ticket,
    reserve: Reserve,
    /// The first commit since the last flush, under [`Sync::Interval`].
    unflushed_since: Option<Monotonic>,
    /// Why the last write failed, while something is unwritten.
    failure: Option<Failure>,
}

/// A write that failed.
#[derive(Debug)]
struct Failure {
    error: StoreError,
    /// When to try again at the latest.
    retry_at: Monotonic,
}

/// Which entries of a net difference a transaction writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Everything,
    /// Those that need no room.
    Removals,
}

/// Whether a write includes the retained messages of QoS 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LateMessages {
    Included,
    Deferred,
}

type Opened = (Connection, State, Book);

impl Store {
    /// Opens the state at `path`, making an empty one when there is none. A damaged file is set aside as
    /// `<path>.damaged-<unix time>`, and what is readable in it is taken over: then there is an entry in the third part.
    ///
    /// Moments in the state are of the present boot, which `clocks` tells. Those of an earlier one are told by the wall
    /// clock as it was last known then and is now, and lie not before this boot.
    ///
    /// # Errors
    /// [`StoreError::Newer`] and [`StoreError::Foreign`] for files that are to be left alone, [`StoreError::InUse`]
    /// when another process has it, and whatever the system says.
    pub fn open(
        path: impl Into<PathBuf>,
        options: Options,
        clocks: Clocks,
    ) -> Result<(Self, State, Vec<Damage>), StoreError> {
        let path = path.into();
        let mut damages = Vec::new();
        let (connection, state, book) = open_any(&path, &options, &clocks, &mut damages)?;
        let store = Self {
            connection,
            book,
            late: Late::default(),
            unwritten: Unwritten::default(),
            written: TicketSet::default(),
            newest: Ticket::default(),
            reserve: Reserve::new(&path),
            path,
            options,
            clocks,
            damages: Vec::new(),
            unflushed_since: None,
            failure: None,
        };
        Ok((store, state, damages))
    }

    /// Says what both clocks say now. When the wall clock has moved against the other one by more than a second since that
    /// was last written, the next commit writes it, so that a later boot tells the moments of this one rightly.
    pub fn note_time(&mut self, now: Monotonic, wall: Wall) {
        (self.clocks.monotonic, self.clocks.wall) = (now, wall);
        self.book.boots.set_offset(self.clocks.offset_ms());
    }

    /// Makes one ticket of `changes` durable, as [`Store::commit_tickets`] does; its number is the next one.
    ///
    /// # Errors
    /// When the ticket is not written. It is written later, as with `commit_tickets`.
    pub fn commit(&mut self, changes: &[Change], now: Monotonic) -> Result<(), StoreError> {
        let ticket = Ticket(self.newest.0 + 1);
        let result = self.commit_tickets(&[(ticket, changes)], now);
        if self.written.contains(ticket) { Ok(()) } else { result }
    }

    /// Makes tickets durable, with those that could not be written before: one transaction, one flush. Their numbers
    /// must ascend from call to call. [`Store::take_written`] returns the tickets that were written. Retained messages
    /// of QoS 0 may wait for [`Store::flush`].
    ///
    /// # Errors
    /// When not everything is written. [`StoreError::Full`]: the tickets that need no room are written, but for those
    /// that have a key in common with an earlier unwritten ticket. With any other error nothing is written. What is not
    /// written goes with the next commit that succeeds.
    pub fn commit_tickets<C: AsRef<[Change]>>(
        &mut self,
        tickets: &[(Ticket, C)],
        now: Monotonic,
    ) -> Result<(), StoreError> {
        for (ticket, changes) in tickets {
            self.newest = self.newest.max(*ticket);
            for change in changes.as_ref() {
                self.late.record(change, now);
            }
        }
        let is_due = self.late.due(self.options.coalesce).is_some_and(|due| due <= now);
        self.write(tickets, if is_due { LateMessages::Included } else { LateMessages::Deferred }, now)
    }

    /// Takes the tickets that were written since the last call, in ascending order. After a long time on a full disk a
    /// range may contain tickets that were taken before.
    pub fn take_written(&mut self) -> Vec<Tickets> {
        std::mem::take(&mut self.written).into_ranges()
    }

    /// Returns when [`Store::flush`] has something to do next; `None` when there is nothing to do.
    pub fn next_flush(&self) -> Option<Monotonic> {
        let sweep = (!self.book.garbage.is_empty()).then_some(Monotonic::ZERO);
        let late = self.late.due(self.options.coalesce);
        // a retry includes the sweep and the retained messages of QoS 0
        let write =
            self.failure.as_ref().map(|failure| failure.retry_at).or_else(|| sweep.into_iter().chain(late).min());
        write.into_iter().chain(self.flush_due()).min()
    }

    /// Does what is due: writes retained messages of QoS 0 and tickets that could not be written before, removes rows of
    /// ended sessions, and flushes under [`Sync::Interval`].
    ///
    /// # Errors
    /// As [`Store::commit_tickets`].
    pub fn flush(&mut self, now: Monotonic) -> Result<(), StoreError> {
        self.commit_tickets::<&[Change]>(&[], now)?;
        if self.flush_due().is_some_and(|due| due <= now) {
            connection::checkpoint(&self.connection)?;
            self.unflushed_since = None;
        }
        Ok(())
    }

    /// Whether every ticket is written, but for retained messages of QoS 0.
    pub fn is_settled(&self) -> bool {
        self.unwritten.is_empty()
    }

    /// Reads up to `count` deliveries of a session after arrival number `after` that were not sent yet, by arrival. An
    /// empty piece means that there are no more. Deliveries whose message has changed on disk are named in the answer,
    /// and removed with the next commit.
    ///
    /// Cost: the deliveries of all sessions that lie between them.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn load(&mut self, client_id: &ClientId, after: u64, count: usize) -> Result<Loaded, StoreError> {
        let Piece { deliveries, damaged } = match self.load_written(client_id, after, count) {
            Err(StoreError::Damaged(reason)) => {
                self.heal(reason)?;
                self.load_written(client_id, after, count)
            }
            other => other,
        }?;
        if !damaged.is_empty() {
            let mut net = Pending::default();
            for arrival in &damaged {
                net.remove(client_id, *arrival);
            }
            self.unwritten.add(None, net, &self.book);
        }
        let merged = self.merge(client_id, after, count, deliveries);
        Ok(Loaded { deliveries: merged, damaged })
    }

    /// What was found broken since the file was opened: it was set aside then, and what was readable taken over, as in
    /// [`Store::open`]. Worth a loud line each.
    pub fn take_damages(&mut self) -> Vec<Damage> {
        std::mem::take(&mut self.damages)
    }

    /// Writes what is left and closes the file.
    ///
    /// # Errors
    /// As [`Store::commit_tickets`]. The file is closed nevertheless.
    pub fn close(mut self, now: Monotonic) -> Result<(), StoreError> {
        let written = self.write::<&[Change]>(&[], LateMessages::Included, now);
        self.connection.close().map_err(|(_, error)| error)?;
        written
    }

    fn load_written(&self, client_id: &ClientId, after: u64, count: usize) -> Result<Piece, StoreError> {
        let is_ended = self.unwritten.nets().any(|net| net.ended().any(|ended| ended == client_id));
        let Some(entry) = self.book.sessions.get(client_id).filter(|_| !is_ended) else { return Ok(Piece::default()) };
        let is_changed = |arrival| self.unwritten.nets().any(|net| net.deliveries.contains_key(&arrival));
        Ok(read::load(&self.connection, &self.book.boots, entry, after, count, is_changed)?)
    }

    /// Puts a fresh file with what is readable in place of the one that turned out to be damaged.
    fn heal(&mut self, reason: String) -> Result<(), StoreError> {
        // the file has to be closed first; what stands in for it has no tables, so that nothing is taken for written
        self.connection = Connection::open_in_memory()?;
        if self.path.exists() {
            self.damages.push(salvage::salvage(&self.path, &self.options, reason, clock::wall())?);
        }
        let options = Options { deliveries_max: 0, ..self.options.clone() };
        let (connection, _, book) = open_any(&self.path, &options, &self.clocks, &mut self.damages)?;
        (self.connection, self.book) = (connection, book);
        // rows that are lost have to be added again, which needs room
        self.unwritten.join_all(&self.book);
        Ok(())
    }

    /// Adds the deliveries that are not on disk yet. `deliveries` are those on disk, `count` of them or all.
    fn merge(&self, client_id: &ClientId, after: u64, count: usize, mut deliveries: Vec<Delivery>) -> Vec<Delivery> {
        let is_of_client = |part: &&DeliveryPart| part.client_id == *client_id;
        let parts = self.unwritten.nets().flat_map(|net| net.deliveries.range(after.saturating_add(1)..));
        deliveries.extend(parts.map(|(_, part)| part).filter(is_of_client).filter_map(|part| match &part.what {
            DeliveryChange::Insert(Kept { delivery, sent: None }) => Some(delivery.clone()),
            _ => None,
        }));
        deliveries.sort_unstable_by_key(|delivery| delivery.arrival);
        deliveries.truncate(count);
        deliveries
    }

    fn flush_due(&self) -> Option<Monotonic> {
        match self.options.sync {
            Sync::Interval(interval) => self.unflushed_since.map(|since| since + interval),
            Sync::Always | Sync::Off => None,
        }
    }

    /// Writes tickets and those that were not written before, if necessary to a repaired file.
    fn write<C: AsRef<[Change]>>(
        &mut self,
        tickets: &[(Ticket, C)],
        late: LateMessages,
        now: Monotonic,
    ) -> Result<(), StoreError> {
        let written = match self.write_once(tickets, late, now) {
            Err(StoreError::Damaged(reason)) => {
                self.heal(reason).and_then(|()| self.write_once::<&[Change]>(&[], late, now))
            }
            other => other,
        };
        let retry_at = self.failure.as_ref().map(|failure| failure.retry_at).filter(|retry_at| now < *retry_at);
        self.failure = written.clone().err().map(|error| Failure { error, retry_at: retry_at.unwrap_or(now + RETRY) });
        written
    }

    /// Writes everything if there is room, else the tickets that need none.
    fn write_once<C: AsRef<[Change]>>(
        &mut self,
        tickets: &[(Ticket, C)],
        late: LateMessages,
        now: Monotonic,
    ) -> Result<(), StoreError> {
        // the usual case: one net difference for all tickets
        let is_usual = self.unwritten.is_empty();
        if !is_usual {
            self.add_unwritten(tickets);
        }
        let written = if let Some(error) = self.reason_to_wait(now) {
            Err(error)
        } else {
            let net = if is_usual { net_of(tickets) } else { self.unwritten.net(&self.book) };
            let net = self.with_late(net, late);
            self.write_everything(&net, now)
        };
        match written {
            Ok(()) if is_usual => tickets.iter().for_each(|(ticket, _)| self.written.insert(*ticket)),
            Ok(()) => self.written.extend([&self.unwritten.take_all()]),
            Err(_) if is_usual => self.add_unwritten(tickets),
            Err(_) => {}
        }
        match written {
            Ok(()) if late == LateMessages::Included => self.late.clear(),
            Err(StoreError::Full) => return self.write_removals(late, now),
            _ => {}
        }
        written
    }

    /// Why the large backlog is not tried again yet: once a second is enough. `None` for a small one.
    fn reason_to_wait(&self, now: Monotonic) -> Option<StoreError> {
        let failure = self.failure.as_ref().filter(|failure| now < failure.retry_at)?;
        (self.unwritten.size() > EAGER_ENTRIES_MAX).then(|| failure.error.clone())
    }

    /// Adds the retained messages of QoS 0 to a net difference.
    fn with_late(&self, mut net: Pending, late: LateMessages) -> Pending {
        if late == LateMessages::Included {
            let messages = self.late.messages();
            net.retained.extend(messages.map(|(topic, retained)| (topic.clone(), Some(retained.clone()))));
        }
        net
    }

    fn add_unwritten<C: AsRef<[Change]>>(&mut self, tickets: &[(Ticket, C)]) {
        for ticket in tickets {
            self.unwritten.add(Some(ticket.0), net_of(std::slice::from_ref(ticket)), &self.book);
        }
    }

    /// Writes `net` if there is room for all of it.
    fn write_everything(&mut self, net: &Pending, now: Monotonic) -> Result<(), StoreError> {
        if net.is_empty() && self.book.garbage.is_empty() {
            return Ok(());
        }
        if !self.reserve.restore() && !connection::has_unused_pages(&self.connection) {
            return Err(StoreError::Full);
        }
        let written = self.transact(Scope::Everything, net, now);
        if written == Err(StoreError::Full) {
            self.reserve.spend()?;
            // the log has its room already: copied into the file, it begins again from its start
            match connection::checkpoint(&self.connection) {
                Ok(()) | Err(StoreError::Full) => {}
                Err(error) => return Err(error),
            }
        }
        written
    }

    /// Writes the tickets that need no room. Gives [`StoreError::Full`] if something is left.
    fn write_removals(&mut self, late: LateMessages, now: Monotonic) -> Result<(), StoreError> {
        if !self.unwritten.has_no_removals() || !self.book.garbage.is_empty() {
            connection::limit(&self.connection, self.options.bytes_max, Room::Spare)?;
            let net = self.unwritten.removals().clone();
            let written = self.transact(Scope::Removals, &net, now);
            connection::limit(&self.connection, self.options.bytes_max, Room::Normal)?;
            written?;
            self.written.extend([&self.unwritten.take_removals()]);
        }
        let is_late_left = late == LateMessages::Included && !self.late.is_empty();
        if self.unwritten.is_empty() && !is_late_left { Ok(()) } else { Err(StoreError::Full) }
    }

    fn transact(&mut self, scope: Scope, net: &Pending, now: Monotonic) -> Result<(), StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut writer = Writer::new(&transaction, &mut self.book);
        writer.write_removals(net)?;
        if scope == Scope::Everything {
            writer.write_additions(net)?;
        }
        let effects = writer.into_effects();
        transaction.commit()?;
        for effect in effects {
            self.book.apply(effect);
        }
        self.unflushed_since.get_or_insert(now);
        Ok(())
    }
}

#[cfg(test)]
impl Store {
    /// Bounds the file as `Options::bytes_max` does: with 0 it may not grow.
    pub(super) fn set_bytes_max(&mut self, bytes_max: u64) {
        self.options.bytes_max = bytes_max;
        connection::limit(&self.connection, bytes_max, Room::Normal).unwrap();
    }

    /// Makes every write fail, as a broken disk does.
    pub(super) fn set_broken(&mut self, is_broken: bool) {
        self.connection.pragma_update(None, "query_only", is_broken).unwrap();
    }

    pub(super) fn unwritten(&self) -> &Unwritten {
        &self.unwritten
    }
}

/// Returns the net difference of all changes, in the order of the tickets.
fn net_of<C: AsRef<[Change]>>(tickets: &[(Ticket, C)]) -> Pending {
    let mut net = Pending::default();
    for change in tickets.iter().flat_map(|(_, changes)| changes.as_ref()) {
        net.record(change);
    }
    net
}

/// Opens the file, or one with what is readable in it.
fn open_any(path: &Path, options: &Options, clocks: &Clocks, damages: &mut Vec<Damage>) -> Result<Opened, StoreError> {
    salvage::prepare(path, options, clock::wall())?;
    match open_sound(path, options, clocks) {
        Err(StoreError::Damaged(reason)) => {
            damages.push(salvage::salvage(path, options, reason, clock::wall())?);
            open_sound(path, options, clocks)
        }
        other => other,
    }
}

/// Brings the file to this format, on a full disk with the room that is kept for such needs.
fn migrate(connection: &mut Connection, found: i64, path: &Path) -> Result<(), StoreError> {
    match schema::migrate(connection, found) {
        Err(StoreError::Full) => {
            Reserve::new(path).spend()?;
            schema::migrate(connection, found)
        }
        other => other,
    }
}

/// Opens a file that is whole.
fn open_sound(path: &Path, options: &Options, clocks: &Clocks) -> Result<Opened, StoreError> {
    schema::check_fixed_bytes(path)?;
    let mut connection = connection::open(path, options)?;
    let found = match schema::header(&connection)? {
        Header::Broken => return Err(StoreError::Damaged("the header was overwritten".into())),
        Header::Empty => return Err(StoreError::Damaged("the file holds no tables".into())),
        Header::Ours(found) if found > schema::FORMAT => {
            return Err(StoreError::Newer { path: path.to_owned(), found, known: schema::FORMAT });
        }
        Header::Ours(found) => found,
        Header::Foreign(application_id) => return Err(StoreError::Foreign { path: path.to_owned(), application_id }),
    };
    connection::check_writable(&connection, path)?;
    connection::use_log(&connection, options.sync)?;
    // a file that is as large as it may be gets its new tables nevertheless
    connection::limit(&connection, options.bytes_max, Room::Spare)?;
    migrate(&mut connection, found, path)?;
    connection::limit(&connection, options.bytes_max, Room::Normal)?;
    connection::shrink(&connection)?;
    boot::forget(&connection)?;
    let (state, book) = read::read(&connection, options, clocks)?;
    Ok((connection, state, book))
}
