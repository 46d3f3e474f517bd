//! Rows with their check sum: the one place that writes and checks it.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};

/// How a table is read and written. The check sum covers the columns before it; those behind it have their own.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// All columns, without an end: a condition may follow.
    pub(super) select: &'static str,
    pub(super) insert: &'static str,
    pub(super) delete: &'static str,
    /// Columns under the check sum, which is the next one.
    pub(super) covered: usize,
}

macro_rules! table {
    ($name:literal, $columns:literal, $covered:literal, $places:literal) => {
        Table {
            name: $name,
            select: concat!("SELECT ", $columns, " FROM ", $name),
            insert: concat!("INSERT OR REPLACE INTO ", $name, "(", $columns, ") VALUES (", $places, ")"),
            delete: concat!("DELETE FROM ", $name, " WHERE id = ?1"),
            covered: $covered,
        }
    };
}

pub(super) const SESSION: Table = table!("session", "id, client_id, crc", 2, "?1, ?2, ?3");
pub(super) const SUBSCRIPTION: Table = table!("subscription", "id, session, filter, qos, crc", 4, "?1, ?2, ?3, ?4, ?5");
pub(super) const RECEIVED: Table = table!("received", "id, crc", 1, "?1, ?2");
pub(super) const DELIVERY: Table =
    table!("delivery", "id, session, flags, message, topic, payload, crc, sent", 6, "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8");
pub(super) const MESSAGE: Table = table!("message", "id, last, topic, payload, crc", 4, "?1, ?2, ?3, ?4, ?5");
pub(super) const RETAINED: Table = table!("retained", "id, qos, topic, payload, crc", 4, "?1, ?2, ?3, ?4, ?5");
pub(super) const WILL: Table = table!(
    "will",
    "id, client_id, flags, topic, payload, delay_s, expiry_s, properties, crc",
    8,
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9"
);

/// Each of them, deliveries behind what they refer to.
pub(super) const TABLES: [&Table; 7] = [&SESSION, &SUBSCRIPTION, &RECEIVED, &MESSAGE, &DELIVERY, &RETAINED, &WILL];

impl Table {
    /// Writes a row in place of the one with its key, with its check sum, and `behind` it what is not covered.
    pub(super) fn put(
        &self,
        connection: &Connection,
        values: &[ValueRef<'_>],
        behind: Option<i64>,
    ) -> rusqlite::Result<()> {
        let borrowed = values.iter().map(|value| ToSqlOutput::Borrowed(*value));
        let check = [Some(crc(values.iter().copied())), behind].into_iter().flatten().map(ToSqlOutput::from);
        connection.prepare_cached(self.insert)?.execute(params_from_iter(borrowed.chain(check)))?;
        Ok(())
    }

    /// Removes the row with this key, if there is one.
    pub(super) fn remove(&self, connection: &Connection, id: i64) -> rusqlite::Result<()> {
        connection.prepare_cached(self.delete)?.execute([id])?;
        Ok(())
    }

    /// Whether a row that was read with `select` holds what was written.
    pub(super) fn is_sound(&self, row: &Row<'_>) -> bool {
        let values = (0..self.covered).map(|column| row.get_ref(column).unwrap_or(ValueRef::Null));
        row.get_ref(self.covered).is_ok_and(|check| check == ValueRef::Integer(crc(values)))
    }
}

/// CRC-32 of values with their types and lengths, so that no two different rows give the same bytes.
fn crc<'a>(values: impl Iterator<Item = ValueRef<'a>>) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    for value in values {
        match value {
            ValueRef::Null => hasher.update(&[0]),
            ValueRef::Integer(number) => feed(&mut hasher, 1, &number.to_le_bytes()),
            ValueRef::Real(number) => feed(&mut hasher, 2, &number.to_le_bytes()),
            ValueRef::Text(bytes) => feed(&mut hasher, 3, bytes),
            ValueRef::Blob(bytes) => feed(&mut hasher, 4, bytes),
        }
    }
    i64::from(hasher.finalize())
}

fn feed(hasher: &mut crc32fast::Hasher, kind: u8, bytes: &[u8]) {
    hasher.update(&[kind]);
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_differ_in_type_or_in_their_border_have_other_check_sums() {
        let check = |values: &[ValueRef<'_>]| crc(values.iter().copied());
        let ab_c = check(&[ValueRef::Text(b"ab"), ValueRef::Text(b"c")]);
        assert_ne!(ab_c, check(&[ValueRef::Text(b"a"), ValueRef::Text(b"bc")]));
        assert_ne!(ab_c, check(&[ValueRef::Blob(b"ab"), ValueRef::Text(b"c")]));
        assert_ne!(check(&[ValueRef::Null]), check(&[]));
        assert_eq!(ab_c, check(&[ValueRef::Text(b"ab"), ValueRef::Text(b"c")]));
    }
}
