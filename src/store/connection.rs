//! The connection, and the settings that make SQLite write little.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, OpenFlags};

use super::error::StoreError;
use super::{Options, Sync};

/// Bytes of a page: SQLite's default, and the block of most disks.
const PAGE_BYTES: u64 = 4096;

/// Pages in the log at which it is copied into the file and begun again from its start. A log that grows costs twice
/// the bytes: the file system writes its new size with each flush.
const CHECKPOINT_PAGES: u32 = 200;

/// The log is cut to this size when it is begun again: above [`CHECKPOINT_PAGES`], so that it normally never is.
const LOG_BYTES_MAX: i64 = 4 << 20;

/// Pages that removals may use beyond the size that the file may have.
const SPARE_PAGES: u64 = 256;

/// Memory for pages: 1 MiB, in KiB and negative as SQLite wants it.
const CACHE_KIB: i64 = -1024;

/// Unused pages at which the file is written anew when it is opened: 16 MiB.
const UNUSED_PAGES_MAX: i64 = 4096;

/// Statements kept ready.
const STATEMENTS_MAX: usize = 40;

/// Opens `path` for writing, creating it when it is missing. Only this process may have it open then. The file and its
/// log stay as they are until [`use_log`] is called.
pub(super) fn open(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // else closing a file that is refused would copy its log into it
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.busy_timeout(Duration::ZERO)?;
    // before the log is touched: its index then lives in memory and needs no file of its own
    connection.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.pragma_update(None, "foreign_keys", false)?;
    limit(&connection, options.bytes_max, Room::Normal)?;
    Ok(connection)
}

/// Refuses a file that SQLite would only read, which it does without a word. Known behind the first look at it.
pub(super) fn check_writable(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    if !connection.is_readonly(MAIN_DB)? {
        return Ok(());
    }
    match OpenOptions::new().write(true).open(path) {
        Ok(_) => Err(StoreError::Damaged("the file says that it is only to be read".into())),
        Err(error) => Err(StoreError::file("write to", path, &error)),
    }
}

/// Makes the file one that logs ahead. Not done to a file that may be another program's.
pub(super) fn use_log(connection: &Connection, sync: Sync) -> Result<(), StoreError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    let synchronous = match sync {
        Sync::Always => "FULL",
        Sync::Interval(_) => "NORMAL",
        Sync::Off => "OFF",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES_MAX, |_| Ok(()))?;
    Ok(())
}

/// Opens `path` without changing it.
pub(super) fn open_damaged(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // without it SQLite looks at nothing in a file that is shorter than it says
    connection.pragma_update(None, "writable_schema", true)?;
    Ok(connection)
}

/// How large the file may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// `bytes_max`.
    Normal,
    /// A little more, for removals.
    Spare,
}

/// Bounds the file. One that is larger already keeps its size.
pub(super) fn limit(connection: &Connection, bytes_max: u64, room: Room) -> Result<(), StoreError> {
    let spare = if room == Room::Spare { SPARE_PAGES } else { 0 };
    let pages = (bytes_max / PAGE_BYTES + spare).clamp(1, u64::from(u32::MAX - 1)).cast_signed();
    Ok(connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?)
}

/// Copies the log into the file and flushes both, so that the log begins again from its start.
pub(super) fn checkpoint(connection: &Connection) -> Result<(), StoreError> {
    Ok(connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
}

/// Whether so many pages of the file are unused that they serve as the room kept free.
pub(super) fn has_unused_pages(connection: &Connection) -> bool {
    unused_pages(connection).is_ok_and(|pages| pages >= SPARE_PAGES.cast_signed())
}

/// Gives the disk back what a backlog that is gone took, when that is most of the file.
pub(super) fn shrink(connection: &Connection) -> Result<(), StoreError> {
    let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let unused = unused_pages(connection)?;
    if unused < UNUSED_PAGES_MAX || unused < pages / 4 * 3 {
        return Ok(());
    }
    match connection.execute_batch("VACUUM").map_err(StoreError::from) {
        // it needs room for a while; without it the file stays as large as it is
        Err(StoreError::Full) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

fn unused_pages(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?)
}
