//! Writes what is pending, within a transaction that the caller holds.
//!
//! Relief first: removals and marks in place, which need no room. Then growth: everything that adds a row.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};

use super::book::{Book, Effect, Garbage};
use super::pending::{DeliveryChange, NewDelivery, Pending, SessionPart};
use super::row::{self, flags, pack_sent, received_key, signed, unpack_sent};
use super::table::{DELIVERY, MESSAGE, RECEIVED, RETAINED, SESSION, SUBSCRIPTION, Table, WILL};
use crate::broker::Message;
use crate::broker::state::{Phase, Retained, Sent};
use crate::mqtt::{ClientId, PacketId, QoS, TopicFilter, TopicName, Will};

/// Deliveries of ended sessions removed with one commit: about 2 ms.
const SWEPT_A_COMMIT: i64 = 1_000;

type Result<T = ()> = rusqlite::Result<T>;

/// One transaction's work.
pub(super) struct Writer<'a> {
    connection: &'a Connection,
    book: &'a mut Book,
    /// Keys of sessions begun here.
    started: HashMap<ClientId, i64>,
    ended: HashSet<ClientId>,
    /// Rows of `message` that lost a delivery.
    released: HashSet<i64>,
    effects: Vec<Effect>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(connection: &'a Connection, book: &'a mut Book) -> Self {
        let (started, ended, released) = (HashMap::new(), HashSet::new(), HashSet::new());
        Self { connection, book, started, ended, released, effects: Vec::new() }
    }

    /// What the book has to take over when the transaction succeeds.
    pub(super) fn into_effects(self) -> Vec<Effect> {
        self.effects
    }

    /// Writes everything that needs no room.
    pub(super) fn write_relief(&mut self, pending: &Pending) -> Result {
        for (client_id, part) in &pending.sessions {
            self.relieve_session(client_id, part)?;
        }
        for (arrival, part) in &pending.deliveries {
            self.relieve_delivery(&part.client_id, signed(*arrival), &part.what)?;
        }
        for topic in pending.retained.iter().filter(|(_, kept)| kept.is_none()).map(|(topic, _)| topic) {
            self.clear_retained(topic)?;
        }
        for client_id in pending.wills.iter().filter(|(_, will)| will.is_none()).map(|(client_id, _)| client_id) {
            self.clear_will(client_id)?;
        }
        self.sweep()?;
        self.drop_messages()
    }

    /// Writes everything that needs room. Sessions before what belongs to them.
    pub(super) fn write_growth(&mut self, pending: &Pending) -> Result {
        for (client_id, part) in &pending.sessions {
            self.grow_session(client_id, part)?;
        }
        self.insert_deliveries(pending)?;
        for (topic, kept) in &pending.retained {
            if let Some(kept) = kept {
                self.put_retained(topic, kept)?;
            }
        }
        for (client_id, will) in &pending.wills {
            if let Some(will) = will {
                self.put_will(client_id, will)?;
            }
        }
        Ok(())
    }

    fn remove(&self, table: &Table, key: i64) -> Result {
        table.remove(self.connection, key)
    }

    fn put(&self, table: &Table, values: &[ValueRef<'_>]) -> Result {
        table.put(self.connection, values, None)
    }

    /// The key of the session on disk; `None` when it has none there, or ended in this transaction.
    fn session_on_disk(&self, client_id: &ClientId) -> Option<i64> {
        match self.started.get(client_id) {
            Some(id) => Some(*id),
            None if self.ended.contains(client_id) => None,
            None => self.book.sessions.get(client_id).map(|entry| entry.id),
        }
    }

    fn relieve_session(&mut self, client_id: &ClientId, part: &SessionPart) -> Result {
        if part.ended {
            return self.end_session(client_id);
        }
        for filter in part.subscriptions.iter().filter(|(_, qos)| qos.is_none()).map(|(filter, _)| filter) {
            self.unsubscribe(client_id, filter)?;
        }
        let Some(session) = self.session_on_disk(client_id) else { return Ok(()) };
        for packet_id in part.received.iter().filter(|(_, kept)| !**kept).map(|(packet_id, _)| packet_id) {
            self.remove(&RECEIVED, received_key(session, packet_id.get()))?;
        }
        Ok(())
    }

    /// Its deliveries go with later sweeps: a million of them at once would hold everybody up.
    fn end_session(&mut self, client_id: &ClientId) -> Result {
        let Some(entry) = self.book.sessions.get(client_id) else { return Ok(()) };
        for key in entry.subscriptions.values() {
            self.remove(&SUBSCRIPTION, *key)?;
        }
        let mut received = self.connection.prepare_cached("DELETE FROM received WHERE id BETWEEN ?1 AND ?2")?;
        received.execute([received_key(entry.id, 0), received_key(entry.id, u16::MAX)])?;
        self.remove(&SESSION, entry.id)?;
        self.ended.insert(client_id.clone());
        self.effects.push(Effect::SessionEnded(client_id.clone()));
        Ok(())
    }

    fn unsubscribe(&mut self, client_id: &ClientId, filter: &TopicFilter) -> Result {
        let key = self.book.sessions.get(client_id).and_then(|entry| entry.subscriptions.get(filter));
        if let Some(key) = key {
            self.remove(&SUBSCRIPTION, *key)?;
            self.effects.push(Effect::Unsubscribed(client_id.clone(), filter.clone()));
        }
        Ok(())
    }

    fn relieve_delivery(&mut self, client_id: &ClientId, arrival: i64, what: &DeliveryChange) -> Result {
        match what {
            DeliveryChange::Insert(_) => Ok(()),
            DeliveryChange::Sent(sent) => self.mark(arrival, Some(*sent)),
            DeliveryChange::Released => self.release(arrival),
            DeliveryChange::Remove => self.remove_delivery(client_id, arrival),
        }
    }

    fn mark(&self, arrival: i64, sent: Option<Sent>) -> Result {
        let mut update = self.connection.prepare_cached("UPDATE delivery SET sent = ?2 WHERE id = ?1")?;
        update.execute([arrival, pack_sent(arrival, sent)])?;
        Ok(())
    }

    fn release(&self, arrival: i64) -> Result {
        let mut select = self.connection.prepare_cached("SELECT sent FROM delivery WHERE id = ?1")?;
        let packed = select.query_row([arrival], |row| row.get(0)).optional()?;
        // one that is not there, or damaged, is left to the next opening of the file
        match packed.map(|packed| unpack_sent(arrival, packed)) {
            Some(Ok(Some(sent))) => self.mark(arrival, Some(Sent { phase: Phase::Released, ..sent })),
            _ => Ok(()),
        }
    }

    fn remove_delivery(&mut self, client_id: &ClientId, arrival: i64) -> Result {
        let mut delete = self.connection.prepare_cached("DELETE FROM delivery WHERE id = ?1 RETURNING message")?;
        if let Some(message) = delete.query_row([arrival], |row| row.get::<_, Option<i64>>(0)).optional()? {
            self.released.extend(message);
            self.effects.push(Effect::DeliveryRemoved(client_id.clone(), arrival));
        }
        Ok(())
    }

    /// Removes a piece of what ended sessions left.
    fn sweep(&mut self) -> Result {
        let Some(&Garbage { session, lowest }) = self.book.garbage.first() else { return Ok(()) };
        let mut delete = self.connection.prepare_cached(
            "DELETE FROM delivery WHERE id IN (SELECT id FROM delivery WHERE id >= ?1 AND session = ?2 ORDER BY id LIMIT ?3)
             RETURNING id, message",
        )?;
        let rows = delete.query_map((lowest, session, SWEPT_A_COMMIT), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let swept = rows.collect::<Result<Vec<(i64, Option<i64>)>>>()?;
        self.released.extend(swept.iter().filter_map(|(_, message)| *message));
        let has_more = swept.len() == usize::try_from(SWEPT_A_COMMIT).unwrap_or(0);
        let next = swept.iter().map(|(arrival, _)| arrival + 1).max().filter(|_| has_more);
        self.effects.push(Effect::Swept(next));
        Ok(())
    }

    /// Removes shared messages whose last delivery is gone. Their deliveries stand close together by arrival.
    fn drop_messages(&mut self) -> Result {
        let mut delete = self.connection.prepare_cached(
            "DELETE FROM message WHERE id = ?1 AND NOT EXISTS (
               SELECT 1 FROM delivery WHERE delivery.id BETWEEN message.id AND message.last
               AND delivery.message = message.id)",
        )?;
        for message in self.released.drain() {
            delete.execute([message])?;
        }
        Ok(())
    }

    fn clear_retained(&mut self, topic: &TopicName) -> Result {
        if let Some(key) = self.book.retained.get(topic) {
            self.remove(&RETAINED, *key)?;
            self.effects.push(Effect::RetainedCleared(topic.clone()));
        }
        Ok(())
    }

    fn clear_will(&mut self, client_id: &ClientId) -> Result {
        if let Some(key) = self.book.wills.get(client_id) {
            self.remove(&WILL, *key)?;
            self.effects.push(Effect::WillCleared(client_id.clone()));
        }
        Ok(())
    }

    fn grow_session(&mut self, client_id: &ClientId, part: &SessionPart) -> Result {
        if part.started {
            self.session(client_id)?;
        }
        for (filter, qos) in &part.subscriptions {
            if let Some(qos) = qos {
                self.subscribe(client_id, filter, *qos)?;
            }
        }
        for packet_id in part.received.iter().filter(|(_, kept)| **kept).map(|(packet_id, _)| packet_id) {
            self.remember(client_id, *packet_id)?;
        }
        Ok(())
    }

    /// The session's key. What is to be kept for a session that was never begun begins it: nothing is thrown away.
    fn session(&mut self, client_id: &ClientId) -> Result<i64> {
        if let Some(id) = self.session_on_disk(client_id) {
            return Ok(id);
        }
        let id = self.book.fresh_key();
        self.put(&SESSION, &[ValueRef::Integer(id), text(client_id.as_str())])?;
        self.started.insert(client_id.clone(), id);
        self.effects.push(Effect::SessionStarted(client_id.clone(), id));
        Ok(id)
    }

    fn subscribe(&mut self, client_id: &ClientId, filter: &TopicFilter, qos: QoS) -> Result {
        let session = self.session(client_id)?;
        let entry = self.book.sessions.get(client_id).filter(|entry| entry.id == session);
        let known = entry.and_then(|entry| entry.subscriptions.get(filter)).copied();
        let key = known.unwrap_or_else(|| self.book.fresh_key());
        let values = [ValueRef::Integer(key), ValueRef::Integer(session), text(filter.as_str()), number(qos)];
        self.put(&SUBSCRIPTION, &values)?;
        self.effects.push(Effect::Subscribed(client_id.clone(), filter.clone(), key));
        Ok(())
    }

    fn remember(&mut self, client_id: &ClientId, packet_id: PacketId) -> Result {
        let key = received_key(self.session(client_id)?, packet_id.get());
        self.put(&RECEIVED, &[ValueRef::Integer(key)])
    }

    fn insert_deliveries(&mut self, pending: &Pending) -> Result {
        let shared = self.put_shared_messages(pending)?;
        for (arrival, part) in &pending.deliveries {
            if let DeliveryChange::Insert(delivery) = &part.what {
                let message = shared.get(&Arc::as_ptr(&delivery.message)).map(|range| range.first);
                self.insert_delivery(&part.client_id, signed(*arrival), delivery, message)?;
            }
        }
        Ok(())
    }

    /// Writes each message that goes to several sessions, once.
    fn put_shared_messages(&self, pending: &Pending) -> Result<HashMap<*const Message, Range>> {
        let mut ranges = HashMap::<*const Message, Range>::new();
        for (arrival, part) in &pending.deliveries {
            if let DeliveryChange::Insert(delivery) = &part.what {
                let arrival = signed(*arrival);
                let range = ranges.entry(Arc::as_ptr(&delivery.message)).or_insert(Range::new(arrival, delivery));
                range.last = arrival;
            }
        }
        ranges.retain(|_, range| range.first < range.last);
        for Range { first, last, message } in ranges.values() {
            let ends = [ValueRef::Integer(*first), ValueRef::Integer(*last)];
            self.put(&MESSAGE, &[&ends[..], &contents(message)].concat())?;
        }
        Ok(ranges)
    }

    fn insert_delivery(
        &mut self,
        client_id: &ClientId,
        arrival: i64,
        delivery: &NewDelivery,
        message: Option<i64>,
    ) -> Result {
        let session = self.session(client_id)?;
        let flags = ValueRef::Integer(flags(delivery.qos, delivery.retain));
        let whose = [ValueRef::Integer(arrival), ValueRef::Integer(session), flags];
        let [topic, payload] = contents(&delivery.message);
        let own = [ValueRef::Null, topic, payload];
        let what = message.map_or(own, |key| [ValueRef::Integer(key), ValueRef::Null, ValueRef::Null]);
        DELIVERY.put(self.connection, &[whose, what].concat(), Some(pack_sent(arrival, delivery.sent)))?;
        self.effects.push(Effect::DeliveryAdded(client_id.clone(), arrival));
        Ok(())
    }

    fn put_retained(&mut self, topic: &TopicName, kept: &Retained) -> Result {
        let key = self.book.retained.get(topic).copied().unwrap_or_else(|| self.book.fresh_key());
        let [topic_text, payload] = contents(&kept.message);
        self.put(&RETAINED, &[ValueRef::Integer(key), number(kept.qos), topic_text, payload])?;
        self.effects.push(Effect::Retained(topic.clone(), key));
        Ok(())
    }

    fn put_will(&mut self, client_id: &ClientId, will: &Will) -> Result {
        let key = self.book.wills.get(client_id).copied().unwrap_or_else(|| self.book.fresh_key());
        let flags = ValueRef::Integer(row::flags(will.qos, will.retain));
        let (topic, payload) = (text(will.topic.as_str()), ValueRef::Blob(&will.payload));
        let delay_s = ValueRef::Integer(will.delay_interval_s.into());
        let expiry_s = will.message_expiry_interval_s.map_or(ValueRef::Null, |s| ValueRef::Integer(s.into()));
        let whose = [ValueRef::Integer(key), text(client_id.as_str()), flags, topic, payload];
        let properties = ValueRef::Blob(will.properties.as_bytes());
        self.put(&WILL, &[&whose[..], &[delay_s, expiry_s, properties]].concat())?;
        self.effects.push(Effect::WillSet(client_id.clone(), key));
        Ok(())
    }
}

/// The arrival numbers that share a message.
struct Range {
    first: i64,
    last: i64,
    message: Arc<Message>,
}

impl Range {
    fn new(arrival: i64, delivery: &NewDelivery) -> Self {
        Self { first: arrival, last: arrival, message: delivery.message.clone() }
    }
}

fn contents(message: &Message) -> [ValueRef<'_>; 2] {
    [text(message.topic.as_str()), ValueRef::Blob(&message.payload)]
}

fn text(text: &str) -> ValueRef<'_> {
    ValueRef::Text(text.as_bytes())
}

fn number(qos: QoS) -> ValueRef<'static> {
    ValueRef::Integer(qos as i64)
}
