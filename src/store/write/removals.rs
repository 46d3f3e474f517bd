//! Removes rows and updates rows in place, which a full disk has room for.

use rusqlite::types::{Value, ValueRef};
use rusqlite::{OptionalExtension, Row};

use super::super::book::{Effect, Garbage};
use super::super::pending::{DeliveryChange, Pending, SessionPart, Subscribed, WillChange};
use super::super::row::{pack_sent, received_key, signed, unpack_sent};
use super::super::table::{RECEIVED, RETAINED, SESSION, SUBSCRIPTION, WILL};
use super::{Result, Writer};
use crate::base::clock::Monotonic;
use crate::broker::state::{Phase, Sent};
use crate::mqtt::{ClientId, TopicFilter, TopicName};

/// Deliveries of ended sessions removed with one commit: about 2 ms.
const SWEPT_A_COMMIT: i64 = 1_000;

impl Writer<'_> {
    /// Writes the entries that remove rows or update them in place. The boot comes before the moments that refer to
    /// it: at most one row for each boot is added.
    pub(in super::super) fn write_removals(&mut self, pending: &Pending) -> Result {
        self.put_boot()?;
        for (client_id, part) in &pending.sessions {
            self.update_session(client_id, part)?;
        }
        for (arrival, part) in &pending.deliveries {
            self.update_delivery(&part.client_id, signed(*arrival), &part.what)?;
        }
        for topic in pending.retained.iter().filter(|(_, kept)| kept.is_none()).map(|(topic, _)| topic) {
            self.clear_retained(topic)?;
        }
        for (client_id, what) in &pending.wills {
            self.update_will(client_id, what)?;
        }
        self.sweep()?;
        self.drop_messages()
    }

    fn update_session(&mut self, client_id: &ClientId, part: &SessionPart) -> Result {
        if part.ended {
            return self.end_session(client_id);
        }
        for (filter, subscribed) in &part.subscriptions {
            self.update_subscription(client_id, filter, subscribed.as_ref())?;
        }
        let Some(session) = self.session_on_disk(client_id) else { return Ok(()) };
        if let Some(terms) = &part.kept {
            self.put(&SESSION, &super::session(&self.book.boots, session, client_id, terms))?;
        }
        for packet_id in part.received.iter().filter(|(_, kept)| !**kept).map(|(packet_id, _)| packet_id) {
            self.remove(&RECEIVED, received_key(session, packet_id.get()))?;
            self.effects.push(Effect::Forgotten(client_id.clone(), *packet_id));
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

    /// Replaces the row of a subscription, or removes it for `None`.
    fn update_subscription(
        &mut self,
        client_id: &ClientId,
        filter: &TopicFilter,
        subscribed: Option<&Subscribed>,
    ) -> Result {
        let Some((session, key)) = self.subscription_on_disk(client_id, filter) else { return Ok(()) };
        if let Some(subscribed) = subscribed {
            return self.put_subscription(session, key, filter, subscribed);
        }
        self.remove(&SUBSCRIPTION, key)?;
        self.effects.push(Effect::Unsubscribed(client_id.clone(), filter.clone()));
        Ok(())
    }

    fn update_delivery(&mut self, client_id: &ClientId, arrival: i64, what: &DeliveryChange) -> Result {
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

    fn update_will(&mut self, client_id: &ClientId, what: &WillChange) -> Result {
        match what {
            WillChange::Set(_) => Ok(()),
            WillChange::Delayed(due) => self.delay_will(client_id, *due),
            WillChange::Cleared => self.clear_will(client_id),
        }
    }

    /// The same row with the moment. One that is not there, or damaged, is left to the next opening of the file.
    fn delay_will(&self, client_id: &ClientId, due: Monotonic) -> Result {
        let Some(key) = self.book.wills.get(client_id) else { return Ok(()) };
        let mut select = self.connection.prepare_cached(&format!("{} WHERE id = ?1", WILL.select))?;
        let Some(mut values) = select.query_row([key], sound_will).optional()?.flatten() else { return Ok(()) };
        // the moment is the last of them
        values.pop();
        values.push(Value::Integer(self.book.boots.pack(due)));
        self.put(&WILL, &values.iter().map(ValueRef::from).collect::<Vec<_>>())
    }

    fn clear_will(&mut self, client_id: &ClientId) -> Result {
        if let Some(key) = self.book.wills.get(client_id) {
            self.remove(&WILL, *key)?;
            self.effects.push(Effect::WillCleared(client_id.clone()));
        }
        Ok(())
    }
}

/// The covered columns of a will, if they are what was written.
fn sound_will(row: &Row<'_>) -> Result<Option<Vec<Value>>> {
    if !WILL.is_sound(row) {
        return Ok(None);
    }
    (0..WILL.covered).map(|column| row.get(column)).collect::<Result<_>>().map(Some)
}
