//! The store: opened once, then told of changes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::book::Book;
use super::boot::{self, Clocks};
use super::connection::{self, Room};
use super::error::{Damage, StoreError};
use super::loaded::Loaded;
use super::pending::{DeliveryChange, Pending};
use super::read::Piece;
use super::reserve::Reserve;
use super::schema::{self, Header};
use super::write::Writer;
use super::{Options, Sync, read, salvage};
use crate::base::clock::{self, Monotonic, Wall};
use crate::broker::Change;
use crate::broker::state::{Kept, State};
use crate::mqtt::ClientId;

/// Time between two tries to write what found no room.
const RETRY: Duration = Duration::from_secs(1);

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
    pending: Pending,
    reserve: Reserve,
    /// The first commit since the last flush, under [`Sync::Interval`].
    unflushed_since: Option<Monotonic>,
    /// When to try again to write what could not be written.
    retry_at: Option<Monotonic>,
}

/// What a transaction is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Everything,
    Relief,
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
            pending: Pending::default(),
            reserve: Reserve::new(&path),
            path,
            options,
            clocks,
            damages: Vec::new(),
            unflushed_since: None,
            retry_at: None,
        };
        Ok((store, state, damages))
    }

    /// Says what both clocks say now. When the wall clock has moved against the other one by more than a second since that
    /// was last written, the next commit writes it, so that a later boot tells the moments of this one rightly.
    pub fn note_time(&mut self, now: Monotonic, wall: Wall) {
        (self.clocks.monotonic, self.clocks.wall) = (now, wall);
        self.book.boots.set_offset(self.clocks.offset_ms());
    }

    /// Makes `changes` durable, with everything that could not be written before. One transaction, one flush.
    /// Retained messages of QoS 0 may wait for [`Store::flush`].
    ///
    /// # Errors
    /// [`StoreError::Full`]: what needs no room is written. With any error, what is not written is kept and goes with
    /// the next commit that succeeds; [`Store::is_waiting`] tells which.
    pub fn commit(&mut self, changes: &[Change], now: Monotonic) -> Result<(), StoreError> {
        for change in changes {
            self.pending.record(change, now);
        }
        if self.late_due().is_some_and(|due| due <= now) {
            self.pending.take_late();
        }
        let written = match self.write(now) {
            Err(StoreError::Damaged(reason)) => self.heal(reason).and_then(|()| self.write(now)),
            other => other,
        };
        self.retry_at = written.is_err().then(|| now + RETRY);
        written
    }

    /// When [`Store::flush`] has something to do next; `None` when nothing is left over.
    pub fn next_flush(&self) -> Option<Monotonic> {
        let sweep = (!self.book.garbage.is_empty()).then_some(Monotonic::ZERO);
        let due = if self.retry_at.is_some() { self.retry_at } else { sweep };
        [due, self.late_due(), self.flush_due()].into_iter().flatten().min()
    }

    /// Does what is due: retained messages of QoS 0, remains of ended sessions, the flush of [`Sync::Interval`], and
    /// what found no room before.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn flush(&mut self, now: Monotonic) -> Result<(), StoreError> {
        self.commit(&[], now)?;
        if self.flush_due().is_some_and(|due| due <= now) {
            connection::checkpoint(&self.connection)?;
            self.unflushed_since = None;
        }
        Ok(())
    }

    /// Whether what `change` is about is not yet as durable as it asks.
    pub fn is_waiting(&self, change: &Change) -> bool {
        self.pending.concerns(change)
    }

    /// Whether everything that was handed over is on disk, but for late retained messages of QoS 0.
    pub fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// Up to `count` deliveries of a session behind arrival number `after` that were not sent yet, by arrival.
    /// Those whose message had changed on disk are named, and given up with the next commit.
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
        for arrival in &damaged {
            self.pending.remove(client_id, *arrival);
        }
        let merged = self.merge(client_id, after, count, deliveries);
        Ok(Loaded { deliveries: merged.into_iter().map(|kept| kept.delivery).collect(), damaged })
    }

    /// What was found broken since the file was opened: it was set aside then, and what was readable taken over, as in
    /// [`Store::open`]. Worth a loud line each.
    pub fn take_damages(&mut self) -> Vec<Damage> {
        std::mem::take(&mut self.damages)
    }

    /// Writes what is left and closes the file.
    ///
    /// # Errors
    /// As [`Store::commit`]. The file is closed nevertheless.
    pub fn close(mut self, now: Monotonic) -> Result<(), StoreError> {
        self.pending.take_late();
        let written = self.commit(&[], now);
        self.connection.close().map_err(|(_, error)| error)?;
        written
    }

    fn load_written(&self, client_id: &ClientId, after: u64, count: usize) -> Result<Piece, StoreError> {
        match self.book.sessions.get(client_id) {
            Some(entry) => Ok(read::load(&self.connection, &self.book.boots, entry, after, count)?),
            None => Ok(Piece::default()),
        }
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
        Ok(())
    }

    /// Adds what is not on disk yet, and takes out what is there no longer.
    fn merge(&self, client_id: &ClientId, after: u64, count: usize, mut deliveries: Vec<Kept>) -> Vec<Kept> {
        let parts = &self.pending.deliveries;
        let is_whole = deliveries.len() < count;
        let last = deliveries.last().map_or(after, |kept| kept.delivery.arrival);
        deliveries.retain(|kept| kept.sent.is_none() && !parts.contains_key(&kept.delivery.arrival));
        for (arrival, part) in parts.range(after.saturating_add(1)..) {
            if !is_whole && *arrival > last {
                break;
            }
            if let DeliveryChange::Insert(kept @ Kept { sent: None, .. }) = &part.what
                && part.client_id == *client_id
            {
                deliveries.push(kept.clone());
            }
        }
        deliveries.sort_unstable_by_key(|kept| kept.delivery.arrival);
        deliveries.truncate(count);
        deliveries
    }

    fn late_due(&self) -> Option<Monotonic> {
        self.pending.late_due(self.options.coalesce)
    }

    fn flush_due(&self) -> Option<Monotonic> {
        match self.options.sync {
            Sync::Interval(interval) => self.unflushed_since.map(|since| since + interval),
            Sync::Always | Sync::Off => None,
        }
    }

    /// Everything when there is room, else what needs none.
    fn write(&mut self, now: Monotonic) -> Result<(), StoreError> {
        if self.pending.is_empty() && self.book.garbage.is_empty() {
            return Ok(());
        }
        let has_room = self.reserve.restore() || connection::has_unused_pages(&self.connection);
        if !has_room {
            return self.relieve(now);
        }
        match self.transact(Scope::Everything, now) {
            Err(StoreError::Full) => {
                self.reserve.spend()?;
                // the log has its room already: copied into the file, it begins again from its start
                match connection::checkpoint(&self.connection) {
                    Ok(()) | Err(StoreError::Full) => self.relieve(now),
                    Err(error) => Err(error),
                }
            }
            other => other,
        }
    }

    fn relieve(&mut self, now: Monotonic) -> Result<(), StoreError> {
        connection::limit(&self.connection, self.options.bytes_max, Room::Spare)?;
        let relieved = self.transact(Scope::Relief, now);
        connection::limit(&self.connection, self.options.bytes_max, Room::Normal)?;
        relieved?;
        if self.pending.is_empty() { Ok(()) } else { Err(StoreError::Full) }
    }

    fn transact(&mut self, scope: Scope, now: Monotonic) -> Result<(), StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut writer = Writer::new(&transaction, &mut self.book);
        writer.write_relief(&self.pending)?;
        if scope == Scope::Everything {
            writer.write_growth(&self.pending)?;
        }
        let effects = writer.into_effects();
        transaction.commit()?;
        for effect in effects {
            self.book.apply(effect);
        }
        match scope {
            Scope::Everything => self.pending.clear(),
            Scope::Relief => self.pending.clear_relief(&self.book),
        }
        self.unflushed_since.get_or_insert(now);
        Ok(())
    }
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
