//! The file: all versions of all shards in one table, in commit order.
//!
//! A commit that touches hundreds of shards dirties few pages so; where a shard's versions stand is
//! known from memory:
//!
//! ```text
//! shard(no, name)      log(pos, shard, seqno, data)      pos rises by one a version
//! ```
//!
//! Another process may write to the same file (a newer owner that is about to fence us): `PRAGMA
//! data_version` tells, and the index is read again.
//!
//! Source: design, section 11 (0.18 ms a commit with `synchronous=FULL`; NORMAL loses acknowledged
//! commits with the power).

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

const SCHEMA_VERSION: i64 = 1;
/// Another owner may commit at the same moment, for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Versions removed a transaction: truncation gives way to commits.
const DELETES_MAX: usize = 64;
/// The WAL is folded into the file when it has grown by this much.
const CHECKPOINT_WAL_BYTES: usize = 4 << 20;
const STATEMENTS_CACHED: usize = 32;

const SCHEMA: &str = "
BEGIN IMMEDIATE;
CREATE TABLE shard (no INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE log (pos INTEGER PRIMARY KEY, shard INTEGER NOT NULL, seqno INTEGER NOT NULL,
                  data BLOB NOT NULL);
PRAGMA user_version=1;
COMMIT;
";
/// Nothing is added where another process has written since the index was read: whatever it adds comes
/// after what we know of, and the last version of all is never removed.
const APPEND_ONE: &str = "INSERT INTO log SELECT ?1, ?2, ?3, ?4 WHERE (SELECT max(pos) FROM log) = ?1 - 1";

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StoreError {
    /// Nothing was changed.
    #[error("no space left on device")]
    Full,
    /// The file's schema is of a newer version of the program.
    #[error("its schema is {0}")]
    Newer(i64),
    /// The file is not what it should be.
    #[error("{0}")]
    Damaged(String),
    /// A commit may or may not have happened.
    #[error("{0}")]
    Failed(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Damaged(error.to_string())
            }
            _ => StoreError::Failed(error.to_string()),
        }
    }
}

/// Add the version after `expected` (0: the first) to a shard's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cas {
    /// The shard.
    pub shard: String,
    /// Its newest version.
    pub expected: u64,
    /// The new one.
    pub data: Vec<u8>,
}

/// The shards whose newest version was not as expected; none: committed.
pub type Mismatched = Vec<String>;

/// Versions of a shard: their numbers and data.
pub type Versions = Vec<(u64, Vec<u8>)>;

/// Where a shard's versions stand: `positions[i]` is version `first + i`.
#[derive(Debug)]
struct Index {
    no: i64,
    first: u64,
    positions: VecDeque<i64>,
}

impl Index {
    fn head(&self) -> u64 {
        self.first + self.positions.len() as u64 - 1
    }
}

/// See the module.
pub struct Store {
    connection: Connection,
    path: PathBuf,
    shards: FxHashMap<String, Index>,
    last_no: i64,
    last_pos: i64,
    data_version: i64,
    doomed: VecDeque<i64>,
    wal_bytes: usize,
}

impl Store {
    /// Opens or makes the store.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        let connection = connect(path)?;
        let version = connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))?;
        if version > SCHEMA_VERSION {
            return Err(StoreError::Newer(version));
        }
        if version == 0 {
            connection.execute_batch(SCHEMA)?;
        }
        let mut store = Store {
            connection,
            path: path.to_owned(),
            shards: FxHashMap::default(),
            last_no: 0,
            last_pos: 0,
            data_version: -1,
            doomed: VecDeque::new(),
            wal_bytes: 0,
        };
        store.load()?;
        Ok(store)
    }
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Applies each request as a whole, or finds what it expected otherwise; all are durable on return.
    pub fn commit(&mut self, requests: &[&[Cas]]) -> Result<Vec<Mismatched>, StoreError> {
        if let [[op]] = requests
            && self.doomed.is_empty()
            && self.append_one(op)
        {
            return Ok(vec![Vec::new()]);
        }
        self.transact(requests).inspect_err(|_| self.reload())
    }
    fn transact(&mut self, requests: &[&[Cas]]) -> Result<Vec<Mismatched>, StoreError> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let done = self.append_all(requests).and_then(|done| {
            self.connection.execute_batch("COMMIT")?;
            Ok(done)
        });
        if done.is_err() && !self.connection.is_autocommit() {
            // The transaction is over with the connection at the latest.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        done
    }
    fn append_all(&mut self, requests: &[&[Cas]]) -> Result<Vec<Mismatched>, StoreError> {
        self.sync()?;
        let mut done = Vec::with_capacity(requests.len());
        for ops in requests {
            let head = |op: &Cas| self.shards.get(&op.shard).map_or(0, Index::head);
            let differing = ops.iter().filter(|op| head(op) != op.expected);
            let mismatched: Mismatched = differing.map(|op| op.shard.clone()).collect();
            if mismatched.is_empty() {
                for op in *ops {
                    self.append(op)?;
                }
            }
            done.push(mismatched);
        }
        let mut delete = self.connection.prepare_cached("DELETE FROM log WHERE pos = ?")?;
        for pos in self.doomed.drain(..self.doomed.len().min(DELETES_MAX)) {
            delete.execute([pos])?;
            self.wal_bytes += 64;
        }
        Ok(done)
    }
    fn append(&mut self, op: &Cas) -> Result<(), StoreError> {
        if !self.shards.contains_key(&op.shard) {
            let no = self.last_no + 1;
            self.connection
                .prepare_cached("INSERT INTO shard VALUES (?, ?)")?
                .execute(params![no, op.shard])?;
            self.know(no, op.shard.clone());
        }
        let Some(index) = self.shards.get_mut(&op.shard) else { return Ok(()) };
        self.last_pos += 1;
        index.positions.push_back(self.last_pos);
        let seqno = stored(op.expected + 1);
        self.connection.prepare_cached("INSERT INTO log VALUES (?, ?, ?, ?)")?.execute(params![
            self.last_pos,
            index.no,
            seqno,
            op.data
        ])?;
        self.wrote(op.data.len());
        Ok(())
    }
    /// Adds one version as a transaction of one statement, the usual case; false where that is not
    /// possible (another owner is at it or has been, or the disk is full): the long way says which.
    fn append_one(&mut self, op: &Cas) -> bool {
        let Some(index) = self.shards.get_mut(&op.shard) else { return false };
        if index.head() != op.expected {
            return false;
        }
        let Ok(mut statement) = self.connection.prepare_cached(APPEND_ONE) else { return false };
        let (pos, seqno) = (self.last_pos + 1, stored(op.expected + 1));
        let added = statement.execute(params![pos, index.no, seqno, op.data]);
        drop(statement);
        if added != Ok(1) {
            return false;
        }
        self.last_pos = pos;
        index.positions.push_back(pos);
        self.wrote(op.data.len());
        true
    }
    fn wrote(&mut self, bytes: usize) {
        self.wal_bytes += bytes + 256;
    }
    /// Whether the WAL has grown enough to be folded back since this was asked last.
    pub fn is_checkpoint_due(&mut self) -> bool {
        let due = self.wal_bytes >= CHECKPOINT_WAL_BYTES;
        if due {
            self.wal_bytes = 0;
        }
        due
    }
    /// Counts a transaction's pages.
    pub fn transacted(&mut self) {
        self.wal_bytes += 8192;
    }
    /// A shard's newest version, 0 where there is none, as this process knows it.
    pub fn head(&self, shard: &str) -> u64 {
        self.shards.get(shard).map_or(0, Index::head)
    }
    /// The versions from `from` on, oldest first.
    pub fn scan(&mut self, shard: &str, from: u64) -> Result<Versions, StoreError> {
        self.sync()?;
        loop {
            if let Some(found) = self.try_scan(shard, from)? {
                return Ok(found);
            }
            self.load()?;
        }
    }
    /// As `scan`; None where another owner has truncated what was looked for.
    fn try_scan(&self, shard: &str, from: u64) -> Result<Option<Versions>, StoreError> {
        let Some(index) = self.shards.get(shard) else { return Ok(Some(Vec::new())) };
        let mut statement = self.connection.prepare_cached("SELECT data FROM log WHERE pos = ?")?;
        let mut found = Vec::new();
        for (seqno, pos) in (index.first..).zip(&index.positions).filter(|(seqno, _)| *seqno >= from) {
            match statement.query_row([pos], |row| row.get(0)).optional()? {
                Some(data) => found.push((seqno, data)),
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }
    /// The shards that have a version.
    pub fn list(&mut self) -> Result<Vec<String>, StoreError> {
        self.sync()?;
        let with_versions = self.shards.iter().filter(|(_, index)| !index.positions.is_empty());
        Ok(with_versions.map(|(name, _)| name.clone()).collect())
    }
    /// Has versions before `before` removed, some with each commit, but for the newest.
    pub fn truncate(&mut self, shard: &str, before: u64) {
        let Some(index) = self.shards.get_mut(shard) else { return };
        while index.first < before && index.positions.len() > 1 {
            self.doomed.extend(index.positions.pop_front());
            index.first += 1;
        }
    }
    /// Whether versions wait to be removed.
    pub fn has_doomed(&self) -> bool {
        !self.doomed.is_empty()
    }
    /// Sets a pragma of the connection that commits, where a value is given, and returns what it is.
    pub fn pragma(&self, name: &str, value: Option<i64>) -> Result<i64, StoreError> {
        let text = value.map_or_else(|| format!("PRAGMA {name}"), |value| format!("PRAGMA {name}={value}"));
        Ok(self.connection.query_row(&text, [], |row| row.get(0))?)
    }
    fn know(&mut self, no: i64, name: String) {
        self.last_no = self.last_no.max(no);
        self.shards.insert(name, Index { no, first: 1, positions: VecDeque::new() });
    }
    fn read_data_version(&self) -> Result<i64, StoreError> {
        let mut statement = self.connection.prepare_cached("PRAGMA data_version")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }
    /// Reads the index again if another process has written.
    fn sync(&mut self) -> Result<(), StoreError> {
        if self.read_data_version()? != self.data_version { self.load() } else { Ok(()) }
    }
    /// Reads the index again after a failure: what of it was written is unknown.
    fn reload(&mut self) {
        if self.load().is_err() {
            self.data_version = -1;
        }
    }
    fn load(&mut self) -> Result<(), StoreError> {
        self.shards.clear();
        (self.last_no, self.last_pos) = (0, 0);
        self.doomed.clear();
        let mut names = FxHashMap::default();
        let mut shards = FxHashMap::default();
        let mut statement = self.connection.prepare_cached("SELECT no, name FROM shard")?;
        for row in statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))? {
            let (no, name) = row?;
            self.last_no = self.last_no.max(no);
            names.insert(no, name);
            shards.insert(no, Index { no, first: 1, positions: VecDeque::new() });
        }
        let mut statement =
            self.connection.prepare_cached("SELECT pos, shard, seqno FROM log ORDER BY pos")?;
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        for row in statement.query_map([], read)? {
            let (pos, no, seqno): (i64, i64, i64) = row?;
            let nameless = || StoreError::Damaged(format!("version {pos} is of no shard"));
            let index = shards.get_mut(&no).ok_or_else(nameless)?;
            let seqno = u64::try_from(seqno).unwrap_or_default();
            // Truncation removes in order, but a crash may leave some of what it had doomed.
            if index.positions.is_empty() || seqno != index.head() + 1 {
                index.positions.clear();
                index.first = seqno;
            }
            index.positions.push_back(pos);
            self.last_pos = pos;
        }
        drop(statement);
        self.shards =
            shards.into_iter().filter_map(|(no, index)| Some((names.remove(&no)?, index))).collect();
        self.data_version = self.read_data_version()?;
        Ok(())
    }
}

/// SQLite's integers are signed; versions are counted, and never reach the half of it.
fn stored(seqno: u64) -> i64 {
    i64::try_from(seqno).unwrap_or(i64::MAX)
}

/// Opens the file as every connection to it must.
pub(crate) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    for pragma in ["journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=0", "cache_size=-16384"] {
        let mut statement = connection.prepare(&format!("PRAGMA {pragma}"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(connection)
}
