//! A damaged file: what is readable goes into a fresh one, the damaged one is kept under a new name.
//!
//! A fresh file is made beside the damaged one (`-half`), is called `-fresh` when it is whole, and takes the place of
//! the damaged one when that has gone aside: a power cut between any two of these steps costs nothing.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, Statement, params_from_iter};

use super::error::{Damage, StoreError};
use super::row::{pack_sent, unpack_sent};
use super::table::{DELIVERY, TABLES, Table};
use super::{Options, connection, schema};
use crate::base::clock::Wall;

/// Rows written to the fresh file at once.
const ROWS_A_TRANSACTION: u64 = 10_000;

/// Rows that lost what they belong to.
const ORPHANS: &str = "
DELETE FROM subscription WHERE session NOT IN (SELECT id FROM session);
DELETE FROM received WHERE id >> 16 NOT IN (SELECT id FROM session);
DELETE FROM delivery WHERE session NOT IN (SELECT id FROM session);
DELETE FROM delivery WHERE message IS NOT NULL AND message NOT IN (SELECT id FROM message);
DELETE FROM message WHERE id NOT IN (SELECT message FROM delivery WHERE message IS NOT NULL);
";

/// Puts a sound file in place of the damaged one at `path`.
pub(super) fn salvage(path: &Path, options: &Options, reason: String, now: Wall) -> Result<Damage, StoreError> {
    let (half, fresh) = (beside(path, "half"), beside(path, "fresh"));
    remove(&half)?;
    let (kept, lost) = fill(&half, Some(path), options)?;
    put_in_place(&half, &fresh)?;
    let aside = set_aside(path, now)?;
    put_in_place(&fresh, path)?;
    Ok(Damage { reason, aside, kept, lost })
}

/// Sees to it that there is a file: makes an empty one, or finishes what a power cut interrupted. Half a fresh file goes,
/// a whole one takes its place when that is empty. A log without its file belongs to nothing that is there.
pub(super) fn prepare(path: &Path, options: &Options, now: Wall) -> Result<(), StoreError> {
    let (half, fresh) = (beside(path, "half"), beside(path, "fresh"));
    remove(&half)?;
    if exists(path)? {
        return remove(&fresh);
    }
    if exists(&beside(path, "wal"))? {
        set_aside(path, now)?;
    }
    if !exists(&fresh)? {
        fill(&half, None, options)?;
        put_in_place(&half, &fresh)?;
    }
    put_in_place(&fresh, path)
}

/// `<path>-<what>`, as SQLite names its own.
fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-");
    name.push(what);
    name.into()
}

fn exists(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(|error| StoreError::file("look for", path, &error))
}

fn remove(path: &Path) -> Result<(), StoreError> {
    for path in [path.to_owned(), beside(path, "wal"), beside(path, "journal")] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(StoreError::file("remove", &path, &error)),
            _ => {}
        }
    }
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::file("rename", from, &error)),
        _ => Ok(()),
    }
}

/// Moves the file, then its log, to `<path>.damaged-<unix time>`. An index of the log that another program left is of
/// no use to anybody.
fn set_aside(path: &Path, now: Wall) -> Result<PathBuf, StoreError> {
    let aside = free_name(path, now)?;
    rename(path, &aside)?;
    rename(&beside(path, "wal"), &beside(&aside, "wal"))?;
    remove(&beside(path, "shm"))?;
    Ok(aside)
}

fn free_name(path: &Path, now: Wall) -> Result<PathBuf, StoreError> {
    let mut second = now.unix_ms() / 1000;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{second}"));
        let name = PathBuf::from(name);
        if !exists(&name)? && !exists(&beside(&name, "wal"))? {
            return Ok(name);
        }
        second += 1;
    }
}

fn put_in_place(fresh: &Path, path: &Path) -> Result<(), StoreError> {
    rename(fresh, path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flushed = File::open(directory).and_then(|directory| directory.sync_all());
    flushed.map_err(|error| StoreError::file("flush", directory, &error))
}

/// Makes the fresh file with all that is readable in the damaged one; how many rows that is, and how many were not.
fn fill(fresh: &Path, damaged: Option<&Path>, options: &Options) -> Result<(u64, u64), StoreError> {
    let mut target = connection::open(fresh, options)?;
    connection::use_log(&target, super::Sync::Always)?;
    schema::migrate(&mut target, 0)?;
    let mut copy = Copy { target: &target, kept: 0, lost: 0, waiting: 0 };
    if let Some(Ok(source)) = damaged.map(connection::open_damaged) {
        copy.target.execute_batch("BEGIN")?;
        for table in TABLES {
            copy.table(&source, table)?;
        }
        copy.target.execute_batch(ORPHANS)?;
        copy.target.execute_batch("COMMIT")?;
    }
    let (kept, lost) = (copy.kept, copy.lost);
    target.close().map_err(|(_, error)| error)?;
    Ok((kept, lost))
}

struct Copy<'a> {
    target: &'a Connection,
    kept: u64,
    lost: u64,
    waiting: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// How a walk through a table ended.
enum Walk {
    /// There was nothing more.
    Ended,
    /// A page could not be read; the last key before it.
    Broken(i64),
}

impl Copy<'_> {
    /// Takes over a table: upwards to each hole of unreadable pages, over it, and back down to its other edge.
    fn table(&mut self, source: &Connection, table: &Table) -> Result<(), StoreError> {
        let mut from = i64::MIN;
        while let Walk::Broken(edge) = self.walk(source, table, (from, i64::MAX), Direction::Up)? {
            let far = behind_hole(source, table, edge);
            self.walk(source, table, (edge.saturating_add(1), far.unwrap_or(i64::MAX)), Direction::Down)?;
            let Some(far) = far else { break };
            from = far;
        }
        Ok(())
    }

    /// Copies rows with keys from `range.0` up to and without `range.1`, until the end or an unreadable page.
    fn walk(
        &mut self,
        source: &Connection,
        table: &Table,
        range: (i64, i64),
        direction: Direction,
    ) -> Result<Walk, StoreError> {
        let mut last = range.0;
        let order = if direction == Direction::Up { "ASC" } else { "DESC" };
        let condition = format!("WHERE id >= ?1 AND id < ?2 ORDER BY id {order}");
        let Ok(mut statement) = prepare_select(source, table, &condition) else { return Ok(Walk::Ended) };
        let Ok(mut rows) = statement.query(range) else { return Ok(Walk::Broken(last)) };
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    last = row.get(0).unwrap_or(last);
                    self.row(table, row)?;
                }
                Ok(None) => return Ok(Walk::Ended),
                Err(_) => return Ok(Walk::Broken(last)),
            }
        }
    }

    fn row(&mut self, table: &Table, row: &Row<'_>) -> Result<(), StoreError> {
        if !table.is_sound(row) {
            self.lost += 1;
            return Ok(());
        }
        let covered = (0..=table.covered).map(|column| row.get_ref(column).unwrap_or(ValueRef::Null));
        let behind = (table.name == DELIVERY.name).then(|| ValueRef::Integer(mark(row)));
        let values = covered.chain(behind).map(ToSqlOutput::Borrowed);
        self.target.prepare_cached(table.insert)?.execute(params_from_iter(values))?;
        self.kept += 1;
        self.waiting += 1;
        if self.waiting == ROWS_A_TRANSACTION {
            self.waiting = 0;
            self.target.execute_batch("COMMIT; BEGIN")?;
        }
        Ok(())
    }
}

/// Prepares to read from a file of this format or an earlier one, whatever its header says.
fn prepare_select<'a>(source: &'a Connection, table: &Table, condition: &str) -> rusqlite::Result<Statement<'a>> {
    let prepare = |select: &str| source.prepare(&format!("{select} {condition}"));
    table.earlier.iter().fold(prepare(table.select), |statement, select| statement.or_else(|_| prepare(select)))
}

/// How far a delivery has come; one whose mark changed begins anew, which at worst delivers it twice.
fn mark(row: &Row<'_>) -> i64 {
    let id = row.get(0).unwrap_or_default();
    let packed = row.get(DELIVERY.covered + 1).unwrap_or_default();
    if unpack_sent(id, packed).is_ok() { packed } else { pack_sent(id, None) }
}

/// A key behind `edge` from which on rows can be read; `None` when there is none.
fn behind_hole(source: &Connection, table: &Table, edge: i64) -> Option<i64> {
    let sql = format!("SELECT id FROM {} WHERE id >= ?1 ORDER BY id LIMIT 1", table.name);
    let mut statement = source.prepare(&sql).ok()?;
    let mut step = 1_i64;
    loop {
        let from = edge.checked_add(step)?;
        let found = statement.query_map([from], |row| row.get(0)).and_then(Iterator::collect::<Result<Vec<i64>, _>>);
        match found {
            Ok(found) => return found.first().copied(),
            Err(_) => step = step.checked_mul(2)?,
        }
    }
}
