//! Rows with their check sum: the one place that writes and checks it.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};

/// How a table is read and written. The check sum covers the columns before it; those behind it have their own.
///
/// Columns that a later format added are covered up to the last one with a value. So a row of format 1 is a row of each
/// later one, check sum and all, and a file comes to a new format without a row being touched.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Selects all columns, without a condition.
    pub(super) select: &'static str,
    /// Select the same from files of earlier formats, the latest first, with `NULL` for each column that they lack.
    pub(super) earlier: [&'static str; 2],
    pub(super) insert: &'static str,
    pub(super) delete: &'static str,
    /// Columns that format 1 has, without the check sum.
    first: usize,
    /// Columns under the check sum, which is the next one.
    pub(super) covered: usize,
}

/// Defines a table by its columns in format 1 and their number, the columns that formats 2 and 3 added with a `NULL` for
/// each, the number of all, the check sum with the columns after it, and a parameter for each column.
macro_rules! table {
    (
        $name:literal, $columns:literal, $first:literal, [$second:literal, $no_second:literal],
        [$third:literal, $no_third:literal], $covered:literal, $check:literal, $parameters:literal
    ) => {
        Table {
            name: $name,
            select: concat!("SELECT ", $columns, $second, $third, $check, " FROM ", $name),
            earlier: [
                concat!("SELECT ", $columns, $second, $no_third, $check, " FROM ", $name),
                concat!("SELECT ", $columns, $no_second, $no_third, $check, " FROM ", $name),
            ],
            insert: concat!(
                "INSERT OR REPLACE INTO ",
                $name,
                "(",
                $columns,
                $second,
                $third,
                $check,
                ") VALUES (",
                $parameters,
                ")"
            ),
            delete: concat!("DELETE FROM ", $name, " WHERE id = ?1"),
            first: $first,
            covered: $covered,
        }
    };
}

pub(super) const BOOT: Table =
    table!("boot", "id, boot_id, offset_ms", 3, ["", ""], ["", ""], 3, ", crc", "?1, ?2, ?3, ?4");
pub(super) const SESSION: Table = table!(
    "session",
    "id, client_id",
    2,
    [", user, expiry_s, ends", ", NULL, NULL, NULL"],
    ["", ""],
    5,
    ", crc",
    "?1, ?2, ?3, ?4, ?5, ?6"
);
pub(super) const SUBSCRIPTION: Table = table!(
    "subscription",
    "id, session, filter, qos",
    4,
    [", identifier", ", NULL"],
    ["", ""],
    5,
    ", crc",
    "?1, ?2, ?3, ?4, ?5, ?6"
);
pub(super) const RECEIVED: Table = table!("received", "id", 1, ["", ""], ["", ""], 1, ", crc", "?1, ?2");
pub(super) const DELIVERY: Table = table!(
    "delivery",
    "id, session, flags, message, topic, payload",
    6,
    [", expires, properties, marks", ", NULL, NULL, NULL"],
    ["", ""],
    9,
    ", crc, sent",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11"
);
pub(super) const MESSAGE: Table = table!(
    "message",
    "id, last, topic, payload",
    4,
    [", expires, properties", ", NULL, NULL"],
    ["", ""],
    6,
    ", crc",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7"
);
pub(super) const RETAINED: Table = table!(
    "retained",
    "id, qos, topic, payload",
    4,
    [", expires, properties", ", NULL, NULL"],
    [", owner", ", NULL"],
    7,
    ", crc",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8"
);
pub(super) const WILL: Table = table!(
    "will",
    "id, client_id, flags, topic, payload, delay_s, expiry_s, properties",
    8,
    [", user, due", ", NULL, NULL"],
    ["", ""],
    10,
    ", crc",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11"
);

/// Each of them, deliveries behind what they refer to.
pub(super) const TABLES: [&Table; 8] =
    [&BOOT, &SESSION, &SUBSCRIPTION, &RECEIVED, &MESSAGE, &DELIVERY, &RETAINED, &WILL];

impl Table {
    /// Writes a row in place of the one with its key, with its check sum, and `behind` it what is not covered.
    pub(super) fn put(
        &self,
        connection: &Connection,
        values: &[ValueRef<'_>],
        behind: Option<i64>,
    ) -> rusqlite::Result<()> {
        let borrowed = values.iter().map(|value| ToSqlOutput::Borrowed(*value));
        let check = [Some(self.check_sum(|column| values.get(column).copied())), behind]
            .into_iter()
            .flatten()
            .map(ToSqlOutput::from);
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
        let check = self.check_sum(|column| row.get_ref(column).ok());
        row.get_ref(self.covered).is_ok_and(|found| found == ValueRef::Integer(check))
    }

    /// CRC-32 of the covered columns, without those at the end that format 1 does not have and that hold nothing.
    fn check_sum<'a>(&self, value: impl Fn(usize) -> Option<ValueRef<'a>>) -> i64 {
        let value = |column| value(column).unwrap_or(ValueRef::Null);
        let mut end = self.covered;
        while end > self.first && value(end - 1) == ValueRef::Null {
            end -= 1;
        }
        crc((0..end).map(value))
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

    #[test]
    fn what_a_later_format_added_counts_up_to_its_last_value() {
        let of = |values: &[ValueRef<'static>]| SESSION.check_sum(|column| values.get(column).copied());
        let plain = [ValueRef::Integer(1), ValueRef::Text(b"c")];
        let null = ValueRef::Null;
        assert_eq!(of(&plain), crc(plain.into_iter()));
        assert_eq!(of(&[plain[0], plain[1], null, null, null]), of(&plain));
        let others = [[plain[1], null, null], [null, ValueRef::Integer(7), null], [null, null, ValueRef::Integer(7)]];
        let sums = others.map(|[a, b, c]| of(&[plain[0], plain[1], a, b, c]));
        assert!(sums[0] != of(&plain) && sums[0] != sums[1] && sums[1] != sums[2]);
        // a column of format 1 counts without a value too
        let message = [ValueRef::Integer(1); 4].map(Some).into_iter().chain([None; 5]).collect::<Vec<_>>();
        assert_eq!(DELIVERY.check_sum(|column| message[column]), crc((0..6).map(|n| message[n].unwrap_or(null))));
    }
}
