//! Adds rows.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::ValueRef;

use super::super::book::Effect;
use super::super::boot::Boots;
use super::super::pending::{DeliveryChange, Pending, SessionPart, WillChange};
use super::super::row::{flags, pack_marks, pack_owner, pack_sent, received_key, signed};
use super::super::table::{DELIVERY, MESSAGE, RECEIVED, RETAINED, SESSION, WILL};
use super::{Result, Writer, moment, optional_text, text};
use crate::broker::state::{Kept, KeptWill, Retained};
use crate::broker::{Delivery, Message, Terms};
use crate::mqtt::{ClientId, PacketId, TopicName};

impl Writer<'_> {
    /// Writes the entries that add rows, sessions before what belongs to them. Called after `write_removals`.
    pub(in super::super) fn write_additions(&mut self, pending: &Pending) -> Result {
        for (client_id, part) in &pending.sessions {
            self.add_session(client_id, part)?;
        }
        self.insert_deliveries(pending)?;
        for (topic, kept) in &pending.retained {
            if let Some(kept) = kept {
                self.put_retained(topic, kept)?;
            }
        }
        for what in pending.wills.values() {
            if let WillChange::Set(kept) = what {
                self.put_will(kept)?;
            }
        }
        Ok(())
    }

    fn add_session(&mut self, client_id: &ClientId, part: &SessionPart) -> Result {
        if let Some(terms) = &part.kept {
            self.session_with(client_id, terms)?;
        }
        for (filter, subscribed) in &part.subscriptions {
            if let Some(subscribed) =
                subscribed.as_ref().filter(|_| self.subscription_on_disk(client_id, filter).is_none())
            {
                let (session, key) = (self.session(client_id)?, self.book.fresh_key());
                self.put_subscription(session, key, filter, subscribed)?;
                self.effects.push(Effect::Subscribed(client_id.clone(), filter.clone(), key));
            }
        }
        for packet_id in part.received.iter().filter(|(_, kept)| **kept).map(|(packet_id, _)| packet_id) {
            self.remember(client_id, *packet_id)?;
        }
        Ok(())
    }

    /// The session's key. What is to be kept for a session that was never begun begins it: nothing is thrown away.
    fn session(&mut self, client_id: &ClientId) -> Result<i64> {
        self.session_with(client_id, &Terms::forever())
    }

    /// The same, on these terms if it is begun here. Those of one on disk were updated by
    /// `write_removals`.
    fn session_with(&mut self, client_id: &ClientId, terms: &Terms) -> Result<i64> {
        if let Some(id) = self.session_on_disk(client_id) {
            return Ok(id);
        }
        let id = self.book.fresh_key();
        self.put(&SESSION, &super::session(&self.book.boots, id, client_id, terms))?;
        self.started.insert(client_id.clone(), id);
        self.effects.push(Effect::SessionStarted(client_id.clone(), id));
        Ok(id)
    }

    fn remember(&mut self, client_id: &ClientId, packet_id: PacketId) -> Result {
        let key = received_key(self.session(client_id)?, packet_id.get());
        self.put(&RECEIVED, &[ValueRef::Integer(key)])?;
        self.effects.push(Effect::Received(client_id.clone(), packet_id));
        Ok(())
    }

    /// Writes when this boot was, so that a later boot can convert its moments.
    pub(super) fn put_boot(&mut self) -> Result {
        if let Some(offset_ms) = self.book.boots.put(self.connection)? {
            self.effects.push(Effect::BootWritten(offset_ms));
        }
        Ok(())
    }

    fn insert_deliveries(&mut self, pending: &Pending) -> Result {
        let shared = self.put_shared_messages(pending)?;
        for part in pending.deliveries.values() {
            if let DeliveryChange::Insert(kept) = &part.what {
                let message = shared.get(&Arc::as_ptr(&kept.delivery.message)).map(|range| range.first);
                self.insert_delivery(&part.client_id, kept, message)?;
            }
        }
        Ok(())
    }

    /// Writes each message that goes to several sessions, once.
    fn put_shared_messages(&self, pending: &Pending) -> Result<HashMap<*const Message, Range>> {
        let mut ranges = HashMap::<*const Message, Range>::new();
        for (arrival, part) in &pending.deliveries {
            if let DeliveryChange::Insert(Kept { delivery, .. }) = &part.what {
                let arrival = signed(*arrival);
                let range = ranges.entry(Arc::as_ptr(&delivery.message)).or_insert(Range::new(arrival, delivery));
                range.last = arrival;
            }
        }
        ranges.retain(|_, range| range.first < range.last);
        for Range { first, last, message } in ranges.values() {
            let ends = [ValueRef::Integer(*first), ValueRef::Integer(*last)];
            self.put(&MESSAGE, &[&ends[..], &contents(message, &self.book.boots)].concat())?;
        }
        Ok(ranges)
    }

    /// With its message, or with the key of the one that it shares.
    fn insert_delivery(&mut self, client_id: &ClientId, kept: &Kept, message: Option<i64>) -> Result {
        let Kept { delivery, sent } = kept;
        let (session, arrival) = (self.session(client_id)?, signed(delivery.arrival));
        let flags = ValueRef::Integer(flags(delivery.qos, delivery.retain));
        let key = message.map_or(ValueRef::Null, ValueRef::Integer);
        let whose = [ValueRef::Integer(arrival), ValueRef::Integer(session), flags, key];
        let own = || contents(&delivery.message, &self.book.boots);
        let what = message.map_or_else(own, |_| [ValueRef::Null; 4]);
        let marks = delivery.marks.as_deref().map(|marks| pack_marks(marks, &self.book.boots));
        let marks = [marks.as_deref().map_or(ValueRef::Null, ValueRef::Blob)];
        DELIVERY.put(self.connection, &[&whose[..], &what, &marks].concat(), Some(pack_sent(arrival, *sent)))?;
        self.effects.push(Effect::DeliveryAdded(client_id.clone(), arrival));
        Ok(())
    }

    fn put_retained(&mut self, topic: &TopicName, kept: &Retained) -> Result {
        let key = self.book.retained.get(topic).copied().unwrap_or_else(|| self.book.fresh_key());
        let whose = [ValueRef::Integer(key), ValueRef::Integer(kept.qos as i64)];
        let owner = pack_owner(&kept.owner);
        let owner = [optional_text(owner.as_deref())];
        self.put(&RETAINED, &[&whose[..], &contents(&kept.message, &self.book.boots), &owner].concat())?;
        self.effects.push(Effect::Retained(topic.clone(), key));
        Ok(())
    }

    fn put_will(&mut self, kept: &KeptWill) -> Result {
        let KeptWill { client_id, user, will, due } = kept;
        let key = self.book.wills.get(client_id).copied().unwrap_or_else(|| self.book.fresh_key());
        let flags = ValueRef::Integer(flags(will.qos, will.retain));
        let (topic, payload) = (text(will.topic.as_str()), ValueRef::Blob(&will.payload));
        let delay_s = ValueRef::Integer(will.delay_interval_s.into());
        let expiry_s = will.message_expiry_interval_s.map_or(ValueRef::Null, |s| ValueRef::Integer(s.into()));
        let whose = [ValueRef::Integer(key), text(client_id.as_str()), flags, topic, payload];
        let properties = ValueRef::Blob(will.properties.as_bytes());
        let rest = [delay_s, expiry_s, properties, optional_text(user.as_deref()), moment(&self.book.boots, *due)];
        self.put(&WILL, &[whose, rest].concat())?;
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
    fn new(arrival: i64, delivery: &Delivery) -> Self {
        Self { first: arrival, last: arrival, message: delivery.message.clone() }
    }
}

/// Four columns: topic, payload, when it expires, properties.
fn contents<'a>(message: &'a Message, boots: &Boots) -> [ValueRef<'a>; 4] {
    let properties = message.properties.as_bytes();
    let properties = if properties.is_empty() { ValueRef::Null } else { ValueRef::Blob(properties) };
    [text(message.topic.as_str()), ValueRef::Blob(&message.payload), moment(boots, message.expires), properties]
}
