//! The tables, and the way from each format to the next.
//!
//! Every table has the key `id` and no index: what is looked up by name is found through [`Book`](super::book::Book).
//! So a commit touches few pages, and a damaged page costs its own rows only.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::StoreError;
use super::row::signed;

/// `SGAT`: says in the file's header whose it is.
pub(super) const APPLICATION_ID: i64 = 0x5347_4154;

/// The format that this version writes; `user_version` in the file's header.
pub(super) const FORMAT: i64 = 3;

/// The way from format N to N + 1 stands at place N.
const STEPS: &[&str] = &[FORMAT_1, FORMAT_2, FORMAT_3];

/// - `delivery.id` is the arrival number: one sequence for all sessions, so that a commit for ten of them touches one
///   page and not ten. It carries its message itself, or names a row of `message` when several sessions share it.
/// - `message.id` is the arrival number of its first delivery, `last` that of its last: no count has to be kept.
/// - `received.id` is the session's, times 65 536, plus the packet identifier.
/// - `sent` is the one value that changes in place; it has its check sum within (see `row`).
const FORMAT_1: &str = "
CREATE TABLE session (id INTEGER PRIMARY KEY, client_id TEXT NOT NULL, crc INTEGER NOT NULL) STRICT;
CREATE TABLE subscription (
  id INTEGER PRIMARY KEY, session INTEGER NOT NULL, filter TEXT NOT NULL, qos INTEGER NOT NULL, crc INTEGER NOT NULL
) STRICT;
CREATE TABLE received (id INTEGER PRIMARY KEY, crc INTEGER NOT NULL) STRICT;
CREATE TABLE delivery (
  id INTEGER PRIMARY KEY, sent INTEGER NOT NULL, session INTEGER NOT NULL, flags INTEGER NOT NULL, message INTEGER,
  crc INTEGER NOT NULL, topic TEXT, payload BLOB
) STRICT;
CREATE TABLE message (
  id INTEGER PRIMARY KEY, last INTEGER NOT NULL, crc INTEGER NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL
) STRICT;
CREATE TABLE retained (
  id INTEGER PRIMARY KEY, qos INTEGER NOT NULL, crc INTEGER NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL
) STRICT;
CREATE TABLE will (
  id INTEGER PRIMARY KEY, client_id TEXT NOT NULL, flags INTEGER NOT NULL, delay_s INTEGER NOT NULL, expiry_s INTEGER,
  crc INTEGER NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL, properties BLOB NOT NULL
) STRICT;
";

/// What version 5 of the protocol adds. Every column is empty where it is not used, which costs one byte, and stands
/// behind those of format 1: rows of it are left as they are (see `table`).
///
/// - Moments (`ends`, `expires`, `due`) refer to a row of `boot` (see `boot`).
/// - `session.expiry_s` is empty for ever; `ends` while its client is connected.
/// - `subscription.qos` holds its options as in SUBSCRIBE (section 3.8.3.1), of which the QoS is the lowest two bits.
/// - `delivery.marks`: 16 and a moment of eight bytes, where the delivery is not to wait longer; identifiers of
///   subscriptions, four bytes each; then the shared filter. Most significant bytes first.
const FORMAT_2: &str = "
CREATE TABLE boot (
  id INTEGER PRIMARY KEY, boot_id TEXT NOT NULL, offset_ms INTEGER NOT NULL, crc INTEGER NOT NULL
) STRICT;
ALTER TABLE session ADD COLUMN user TEXT;
ALTER TABLE session ADD COLUMN expiry_s INTEGER;
ALTER TABLE session ADD COLUMN ends INTEGER;
ALTER TABLE subscription ADD COLUMN identifier INTEGER;
ALTER TABLE delivery ADD COLUMN expires INTEGER;
ALTER TABLE delivery ADD COLUMN properties BLOB;
ALTER TABLE delivery ADD COLUMN marks BLOB;
ALTER TABLE message ADD COLUMN expires INTEGER;
ALTER TABLE message ADD COLUMN properties BLOB;
ALTER TABLE retained ADD COLUMN expires INTEGER;
ALTER TABLE retained ADD COLUMN properties BLOB;
ALTER TABLE will ADD COLUMN user TEXT;
ALTER TABLE will ADD COLUMN due INTEGER;
";

/// What the account of retained messages and the replay to subscriptions need. As in format 2, no row is touched.
///
/// - `retained.owner`: empty for anonymous clients, `internal`, or `user:` and the name. Rows of earlier formats count
///   as anonymous.
/// - `subscription.qos`: bit 4 says that retained messages are still to be sent. A program of format 2 takes such a row
///   for damaged.
const FORMAT_3: &str = "
ALTER TABLE retained ADD COLUMN owner TEXT;
";

/// Bytes 16 to 24 of every file that this program makes (SQLite's file format, section 1.3): pages of 4096 bytes, a log
/// for writing and for reading, no bytes reserved in a page, and three numbers that are always so. SQLite believes some
/// of them when they have changed, and destroys what it then writes.
const FIXED_BYTES: [u8; 8] = [0x10, 0x00, 2, 2, 0, 64, 32, 32];

/// Checks them in a file that begins as a database of ours would; others are told by [`header`].
pub(super) fn check_fixed_bytes(path: &Path) -> Result<(), StoreError> {
    let mut bytes = [0; 72];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut bytes, 0));
    match read {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(StoreError::Damaged("the header is cut".into())),
        Err(error) => Err(StoreError::file("read", path, &error)),
        Ok(()) if is_ours(&bytes) && bytes.get(16..24) != Some(&FIXED_BYTES[..]) => {
            Err(StoreError::Damaged("the header was overwritten".into()))
        }
        Ok(()) => Ok(()),
    }
}

fn is_ours(header: &[u8; 72]) -> bool {
    let application_id = u32::try_from(APPLICATION_ID).unwrap_or_default().to_be_bytes();
    header.get(68..72) == Some(&application_id[..])
}

/// Whose a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// Nobody's: nothing in it yet.
    Empty,
    /// Ours, in this format, which is at least 1.
    Ours(i64),
    /// Ours once.
    Broken,
    /// Another program's.
    Foreign(i64),
}

/// Looks whose file it is.
pub(super) fn header(connection: &Connection) -> rusqlite::Result<Header> {
    let application_id = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let format: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let sql =
        "SELECT count(*), coalesce(sum(name IN ('session', 'delivery', 'retained', 'will')), 0) FROM sqlite_master";
    let (objects, ours): (i64, i64) = connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(match application_id {
        APPLICATION_ID if format > 0 => Header::Ours(format),
        0 if objects == 0 => Header::Empty,
        // our tables under another name, or in no format: a header that was overwritten
        _ if ours >= 4 || application_id == APPLICATION_ID => Header::Broken,
        other => Header::Foreign(other),
    })
}

/// Brings a file of format `found` (0 for an empty one) to [`FORMAT`], in one transaction.
pub(super) fn migrate(connection: &mut Connection, found: i64) -> Result<(), StoreError> {
    migrate_by(connection, found, STEPS)
}

fn migrate_by(connection: &mut Connection, found: i64, steps: &[&str]) -> Result<(), StoreError> {
    let known = usize::try_from(found).map_err(|_| StoreError::Damaged(format!("format {found}")))?;
    if known >= steps.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in steps.iter().skip(known) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", signed(steps.len() as u64))?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_is_the_number_of_steps() {
        assert_eq!(FORMAT, i64::try_from(STEPS.len()).unwrap());
    }

    #[test]
    fn an_older_format_is_brought_forward_with_what_it_holds() {
        let mut connection = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE t (a INTEGER)", "ALTER TABLE t ADD COLUMN b INTEGER DEFAULT 7"];
        migrate_by(&mut connection, 0, &steps[..1]).unwrap();
        assert_eq!(header(&connection).unwrap(), Header::Ours(1));
        connection.execute("INSERT INTO t VALUES (5)", []).unwrap();
        migrate_by(&mut connection, 1, &steps).unwrap();
        assert_eq!(header(&connection).unwrap(), Header::Ours(2));
        let row = connection.query_row("SELECT a, b FROM t", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(row, (5, 7));
    }

    #[test]
    fn a_step_that_fails_leaves_the_old_format() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate_by(&mut connection, 0, &["CREATE TABLE t (a INTEGER)"]).unwrap();
        let steps = ["", "CREATE TABLE u (a INTEGER); CREATE TABLE t (a INTEGER)"];
        assert!(migrate_by(&mut connection, 1, &steps).is_err());
        assert_eq!(header(&connection).unwrap(), Header::Ours(1));
        assert!(connection.prepare("SELECT * FROM u").is_err());
    }
}
