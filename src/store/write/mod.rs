//! Writes a net difference, within a transaction that the caller holds.
//!
//! Removals and updates in place come first: they need no room. Then come the entries that add rows.

mod additions;
mod removals;

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::book::{Book, Effect};
use super::boot::Boots;
use super::pending::Subscribed;
use super::row::options;
use super::table::{SUBSCRIPTION, Table};
use crate::base::clock::Monotonic;
use crate::broker::Terms;
use crate::mqtt::{ClientId, TopicFilter};

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

    /// The keys of the session and of its subscription, if both were on disk before this transaction and the session
    /// has not ended in it.
    fn subscription_on_disk(&self, client_id: &ClientId, filter: &TopicFilter) -> Option<(i64, i64)> {
        let entry = self.book.sessions.get(client_id).filter(|_| !self.ended.contains(client_id))?;
        entry.subscriptions.get(filter).map(|key| (entry.id, *key))
    }

    /// Writes the row of a subscription, in place of the one with its key.
    fn put_subscription(&self, session: i64, key: i64, filter: &TopicFilter, subscribed: &Subscribed) -> Result {
        let whose = [ValueRef::Integer(key), ValueRef::Integer(session), text(filter.as_str())];
        let identifier = subscribed.granted.id.map_or(ValueRef::Null, |id| ValueRef::Integer(id.get().into()));
        self.put(&SUBSCRIPTION, &[&whose[..], &[ValueRef::Integer(options(subscribed)), identifier]].concat())
    }
}

fn text(text: &str) -> ValueRef<'_> {
    ValueRef::Text(text.as_bytes())
}

fn optional_text(value: Option<&str>) -> ValueRef<'_> {
    value.map_or(ValueRef::Null, text)
}

fn moment(boots: &Boots, moment: Option<Monotonic>) -> ValueRef<'static> {
    moment.map_or(ValueRef::Null, |moment| ValueRef::Integer(boots.pack(moment)))
}

/// The row of a session.
fn session<'a>(boots: &Boots, id: i64, client_id: &'a ClientId, terms: &'a Terms) -> [ValueRef<'a>; 5] {
    let expiry_s = match terms.expiry_interval_s {
        Terms::FOREVER_S => ValueRef::Null,
        seconds => ValueRef::Integer(seconds.into()),
    };
    let user = optional_text(terms.user.as_deref());
    [ValueRef::Integer(id), text(client_id.as_str()), user, expiry_s, moment(boots, terms.ends)]
}
