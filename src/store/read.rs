//! Reads what the broker begins again with, and pieces of queues.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};

use super::Options;
use super::book::{Book, Entry, Garbage};
use super::boot::{Boots, Clocks};
use super::error::StoreError;
use super::pending::Subscribed;
use super::row::{self, received_parts, signed, unflags, unpack_sent, unsigned};
use super::table::{BOOT, DELIVERY, MESSAGE, RECEIVED, RETAINED, SESSION, SUBSCRIPTION, Table, WILL};
use crate::broker::state::{Backlog, Kept, KeptWill, Retained, SessionState, State};
use crate::broker::{Delivery, Message, Terms};
use crate::mqtt::{ClientId, MessageProperties, QoS, TopicFilter, TopicName, Will};

/// Payloads up to this size lie on the page of their row, or nearly: they are checked when the file is opened. Larger
/// ones are read, and checked, when they are needed.
const PAYLOAD_CHECKED_BYTES_MAX: u64 = 3_000;

/// Columns of `delivery` with those of the message that it refers to left to a second look.
const SCAN: &str = "SELECT id, session, flags, message, topic, CASE WHEN length(payload) <= ?1 THEN payload END,
  expires, properties, marks, crc, sent,
  length(payload), length(payload) + length(CAST(topic AS BLOB)) + coalesce(length(properties), 0)
  FROM delivery ORDER BY id";

/// Where the marks and how far a delivery has come stand in `DELIVERY.select`; both lengths in [`SCAN`] follow.
const MARKS: usize = 8;
const SENT: usize = 10;

/// Everything, and where it stands.
///
/// # Errors
/// [`StoreError::Damaged`] also when a single row is not what was written: the caller takes over the others.
pub(super) fn read(connection: &Connection, options: &Options, clocks: &Clocks) -> Result<(State, Book), StoreError> {
    let mut reader = Reader::new(connection, options, clocks);
    reader.boots()?;
    reader.sessions()?;
    reader.subscriptions()?;
    reader.received()?;
    reader.deliveries()?;
    reader.retained()?;
    reader.wills()?;
    Ok(reader.into_parts())
}

struct Reader<'a> {
    connection: &'a Connection,
    options: &'a Options,
    state: State,
    book: Book,
    /// Beside `state.sessions`.
    entries: Vec<Entry>,
    /// Place in `state.sessions` by key.
    places: HashMap<i64, usize>,
    /// Deliveries of sessions that are no more: their first arrival by session.
    garbage: HashMap<i64, i64>,
    messages: Messages,
}

/// A row that does not say what it should.
struct Unsound(&'static str, i64);

impl From<Unsound> for StoreError {
    fn from(Unsound(table, id): Unsound) -> Self {
        Self::Damaged(format!("row {id} of table {table} is not what was written"))
    }
}

impl<'a> Reader<'a> {
    fn new(connection: &'a Connection, options: &'a Options, clocks: &Clocks) -> Self {
        let state = State { next_arrival: 1, ..State::default() };
        let (book, messages) = (Book::new(Boots::new(clocks)), Messages::default());
        let (entries, places, garbage) = (Vec::new(), HashMap::new(), HashMap::new());
        Self { connection, options, state, book, entries, places, garbage, messages }
    }

    /// Hands each sound row of `table` to `take`, which gives `None` when it makes no sense.
    fn each(&mut self, table: &Table, take: impl Fn(&mut Self, i64, &Row<'_>) -> Option<()>) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare(&format!("{} ORDER BY id", table.select))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            if !table.is_sound(row) || take(self, id, row).is_none() {
                return Err(Unsound(table.name, id).into());
            }
        }
        Ok(())
    }

    fn session(&mut self, id: i64) -> Option<&mut SessionState> {
        self.places.get(&id).and_then(|place| self.state.sessions.get_mut(*place))
    }

    fn entry(&mut self, id: i64) -> Option<&mut Entry> {
        self.places.get(&id).and_then(|place| self.entries.get_mut(*place))
    }

    fn into_parts(mut self) -> (State, Book) {
        let client_ids = self.state.sessions.iter().map(|session| session.client_id.clone());
        self.book.sessions = client_ids.zip(self.entries).collect();
        (self.state, self.book)
    }

    fn boots(&mut self) -> Result<(), StoreError> {
        self.each(&BOOT, |reader, id, row| reader.book.boots.note(id, row))?;
        self.book.boots.settle();
        Ok(())
    }

    fn sessions(&mut self) -> Result<(), StoreError> {
        self.each(&SESSION, |reader, id, row| {
            let (client_id, terms) = (row::client_id(row, 1)?, row::terms(row, 2, &reader.book.boots)?);
            reader.book.note_key(id);
            reader.entries.push(Entry { id, ..Entry::default() });
            reader.places.insert(id, reader.state.sessions.len());
            reader.state.sessions.push(SessionState::new(client_id, terms));
            Some(())
        })
    }

    fn subscriptions(&mut self) -> Result<(), StoreError> {
        self.each(&SUBSCRIPTION, |reader, id, row| {
            let (session, filter) = (row::integer(row, 1)?, TopicFilter::new(row::text(row, 2)?).ok()?);
            let Subscribed { granted, replay } = row::subscribed(row, 3)?;
            reader.book.note_key(id);
            reader.entry(session)?.subscriptions.insert(filter.clone(), id);
            let state = reader.session(session)?;
            state.replays.extend(replay.then(|| filter.clone()));
            state.subscriptions.push((filter, granted));
            Some(())
        })
    }

    fn received(&mut self) -> Result<(), StoreError> {
        self.each(&RECEIVED, |reader, id, _| {
            let (session, packet_id) = received_parts(id)?;
            reader.entry(session)?.received.insert(packet_id);
            reader.session(session)?.received.push(packet_id);
            Some(())
        })
    }

    fn retained(&mut self) -> Result<(), StoreError> {
        self.each(&RETAINED, |reader, id, row| {
            let message = row::message(row, 2, &reader.book.boots)?;
            let (qos, _) = unflags(row::integer(row, 1)?)?;
            reader.book.note_key(id);
            reader.book.retained.insert(message.topic.clone(), id);
            reader.state.retained.push(Retained { message, qos, owner: row::owner(row, 6)? });
            Some(())
        })
    }

    fn wills(&mut self) -> Result<(), StoreError> {
        self.each(&WILL, |reader, id, row| {
            let kept = kept_will(row, &reader.book.boots)?;
            reader.book.note_key(id);
            reader.book.wills.insert(kept.client_id.clone(), id);
            reader.state.wills.push(kept);
            Some(())
        })
    }

    fn deliveries(&mut self) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare(SCAN)?;
        let mut rows = statement.query([signed(PAYLOAD_CHECKED_BYTES_MAX)])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            self.delivery(id, row)?;
            self.state.next_arrival = unsigned(id).ok_or(Unsound(DELIVERY.name, id))? + 1;
        }
        self.book.garbage = self.garbage.drain().map(|(session, lowest)| Garbage { session, lowest }).collect();
        self.book.garbage.sort_unstable_by_key(|garbage| garbage.session);
        Ok(())
    }

    fn delivery(&mut self, id: i64, row: &Row<'_>) -> Result<(), StoreError> {
        let unsound = || Unsound(DELIVERY.name, id);
        let session = row::integer(row, 1).ok_or_else(unsound)?;
        let is_whole = row.get_ref(5)? != ValueRef::Null || row.get_ref(SENT + 1)? == ValueRef::Null;
        if is_whole && !DELIVERY.is_sound(row) {
            return Err(unsound().into());
        }
        let Some(entry) = self.entry(session) else {
            self.book.note_key(session);
            self.garbage.entry(session).or_insert(id);
            return Ok(());
        };
        entry.add(id);
        let sent = unpack_sent(id, row.get(SENT)?).map_err(|_| unsound())?;
        let deliveries_max = self.options.deliveries_max;
        let is_taken = sent.is_some() || self.session(session).is_some_and(|session| session.has_room(deliveries_max));
        if is_taken {
            let kept = self.taken(id, row, is_whole)?.ok_or_else(unsound)?;
            self.session(session).into_iter().for_each(|session| session.deliveries.push(kept.clone()));
        } else {
            let bytes = self.bytes(row)?.ok_or_else(unsound)?;
            self.session(session).into_iter().for_each(|session| session.rest.add(bytes));
        }
        Ok(())
    }

    fn taken(&mut self, id: i64, row: &Row<'_>, is_whole: bool) -> rusqlite::Result<Option<Kept>> {
        let mut source = Source { connection: self.connection, boots: &self.book.boots, messages: &mut self.messages };
        if is_whole {
            return source.decode(row);
        }
        let mut statement = self.connection.prepare_cached(&format!("{} WHERE id = ?1", DELIVERY.select))?;
        statement.query_row([id], |row| source.decode(row))
    }

    fn bytes(&mut self, row: &Row<'_>) -> rusqlite::Result<Option<u64>> {
        match row::integer(row, 3) {
            Some(message) => self.messages.bytes(self.connection, message),
            None => Ok(row::integer(row, SENT + 2).and_then(unsigned)),
        }
    }
}

impl SessionState {
    fn new(client_id: ClientId, terms: Terms) -> Self {
        let (subscriptions, received, deliveries) = (Vec::new(), Vec::new(), Vec::new());
        Self { client_id, terms, subscriptions, replays: Vec::new(), received, deliveries, rest: Backlog::default() }
    }

    /// Once one was left on disk, all later ones are: what is handed over has no holes.
    fn has_room(&self, deliveries_max: usize) -> bool {
        self.rest.count == 0 && self.deliveries.len() < deliveries_max
    }
}

impl Backlog {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// The shared messages that were looked at last: deliveries of one stand close together.
#[derive(Default)]
struct Messages {
    whole: Option<(i64, Arc<Message>)>,
    bytes: Option<(i64, u64)>,
}

impl Messages {
    fn get(&mut self, connection: &Connection, boots: &Boots, id: i64) -> rusqlite::Result<Option<Arc<Message>>> {
        if let Some((known, message)) = &self.whole
            && *known == id
        {
            return Ok(Some(message.clone()));
        }
        let mut statement = connection.prepare_cached(&format!("{} WHERE id = ?1", MESSAGE.select))?;
        let read = |row: &Row<'_>| Ok(MESSAGE.is_sound(row).then(|| row::message(row, 2, boots)).flatten());
        let message = statement.query_row([id], read).optional()?.flatten();
        self.whole = message.clone().map(|message| (id, message));
        Ok(message)
    }

    /// Bytes of topic, payload and properties, without reading a large payload.
    fn bytes(&mut self, connection: &Connection, id: i64) -> rusqlite::Result<Option<u64>> {
        if let Some((known, bytes)) = self.bytes
            && known == id
        {
            return Ok(Some(bytes));
        }
        let mut statement = connection.prepare_cached(
            "SELECT length(CAST(topic AS BLOB)) + length(payload) + coalesce(length(properties), 0)
             FROM message WHERE id = ?1",
        )?;
        let bytes: Option<i64> = statement.query_row([id], |row| row.get(0)).optional()?;
        let bytes = bytes.and_then(unsigned);
        self.bytes = bytes.map(|bytes| (id, bytes));
        Ok(bytes)
    }
}

/// The will in a row of `WILL.select`, and whose it is.
fn kept_will(row: &Row<'_>, boots: &Boots) -> Option<KeptWill> {
    let (user, due) = (row::user(row, 8)?, row::moment(row, 9, boots)?);
    Some(KeptWill { client_id: row::client_id(row, 1)?, user, will: will(row)?, due })
}

/// The will in a row of `WILL.select`.
fn will(row: &Row<'_>) -> Option<Will> {
    let (qos, retain) = unflags(row::integer(row, 2)?)?;
    let topic = TopicName::new(row::text(row, 3)?).ok()?;
    let delay_interval_s = u32::try_from(row::integer(row, 5)?).ok()?;
    let message_expiry_interval_s = row::integer(row, 6).map(u32::try_from).transpose().ok()?;
    let properties = MessageProperties::from_bytes(row::blob(row, 7)?).ok()?;
    let payload = row::blob(row, 4)?;
    Some(Will { topic, payload, qos, retain, delay_interval_s, message_expiry_interval_s, properties })
}

/// What a row of `DELIVERY.select` is read with.
struct Source<'a> {
    connection: &'a Connection,
    boots: &'a Boots,
    messages: &'a mut Messages,
}

impl Source<'_> {
    /// The delivery in a row; `None` when it is not what was written.
    fn decode(&mut self, row: &Row<'_>) -> rusqlite::Result<Option<Kept>> {
        let message = match row::integer(row, 3) {
            Some(message) => self.messages.get(self.connection, self.boots, message)?,
            None => row::message(row, 4, self.boots),
        };
        Ok(message.and_then(|message| kept(row, message, self.boots)).filter(|_| DELIVERY.is_sound(row)))
    }
}

fn kept(row: &Row<'_>, message: Arc<Message>, boots: &Boots) -> Option<Kept> {
    let id = row::integer(row, 0)?;
    let (qos, retain) = unflags(row::integer(row, 2)?).filter(|(qos, _)| *qos != QoS::AtMostOnce)?;
    let delivery = Delivery { arrival: unsigned(id)?, message, qos, retain, marks: row::marks(row, MARKS, boots)? };
    Some(Kept { delivery, sent: unpack_sent(id, row::integer(row, SENT)?).ok()? })
}

/// A piece of a queue as it is on disk.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// By arrival.
    pub(super) deliveries: Vec<Delivery>,
    /// Arrival numbers of those that are not what was written.
    pub(super) damaged: Vec<u64>,
}

/// Reads up to `count` deliveries of a session after arrival number `after`, without those that were sent and those
/// for which `is_changed` holds. Fewer than `count` means that there are no more.
/// Cost: the deliveries of all sessions that lie between them.
pub(super) fn load(
    connection: &Connection,
    boots: &Boots,
    entry: &Entry,
    after: u64,
    count: usize,
    is_changed: impl Fn(u64) -> bool,
) -> rusqlite::Result<Piece> {
    let mut piece = Piece::default();
    let mut source = Source { connection, boots, messages: &mut Messages::default() };
    let sql = format!("{} WHERE id >= ?1 AND session = ?2 ORDER BY id", DELIVERY.select);
    let mut statement = connection.prepare_cached(&sql)?;
    let from = signed(after).saturating_add(1).max(entry.lowest);
    let mut rows = statement.query((from, entry.id))?;
    while piece.deliveries.len() < count
        && let Some(row) = rows.next()?
    {
        let arrival = unsigned(row.get(0)?);
        if arrival.is_some_and(&is_changed) {
            continue;
        }
        match source.decode(row)? {
            Some(Kept { delivery, sent: None }) => piece.deliveries.push(delivery),
            Some(_) => {}
            None => piece.damaged.extend(arrival),
        }
    }
    Ok(piece)
}
