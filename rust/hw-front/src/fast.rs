//! Prepared point reads that never ask Python: check, choose a time, peek, encode. And prepared
//! INSERTs of one row, which the store commits without Python while it may, and of which Python is told
//! the row alone otherwise: no statement, no transaction.
//!
//! Python keeps a few numbers here up to date. A plan applies while they say that asking would give
//! the same plan and a time at which the index can be read; in all other cases, and whenever such a
//! read fails for any reason, Python is asked as usual.

use crate::answers::RowAnswer;
use crate::connection::{Connection, End, Fault, Socket, Waited};
use crate::frames;
use crate::protocol::{Answer, ErrorFields, FastInsert, FastPlan, KeyPart, Request};
use crate::session::Statement;
use crate::stream::RowStream;
use crate::wire;
use hw_consensus::clock::monotonic_ns;
use hw_consensus::owner::{self, Consensus};
use hw_consensus::rounds::{Outcome, Row};
use hw_consensus::store::StoreError;
use hw_link::finishing::RowSetFinishing;
use hw_link::peeks::{PeekSpec, Uuid};
use hw_types::row::NULL_BYTES;
use rustc_hash::FxHashMap;
use serde::Serialize;
use serde_bytes::{ByteBuf, Bytes};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// An index that is behind by more, in milliseconds, is not read without asking: ticks are 1 s apart.
const BEHIND_MS_MAX: u64 = 5_000;

/// When an index can be read.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    since: u64,
    upper: Option<u64>,
}

/// What Python keeps up to date.
#[derive(Default)]
pub struct FastState {
    catalog_version: AtomicU64,
    read_ts: AtomicU64,
    lease_until_ns: AtomicU64,
    peeks: AtomicU64,
    /// Reads hold it while they choose a time and send the peek, so that a compaction that is told of
    /// here before it is sent cannot come in between.
    indexes: RwLock<FxHashMap<String, Times>>,
}

/// Mirrors `headwater.compute.protocol.Peek`.
#[derive(Serialize)]
struct Peek<'a> {
    kind: &'static str,
    uuid: &'a Bytes,
    target: &'a str,
    keys: Option<[&'a Bytes; 1]>,
    timestamp: u64,
    mfp: &'a hw_expr::mfp::Mfp,
    finishing: &'a RowSetFinishing,
    result_bytes_max: u64,
}

impl FastState {
    /// Plans made for other versions do not apply any more.
    pub fn set_catalog_version(&self, version: u64) {
        self.catalog_version.store(version, Ordering::Release);
    }
    /// The oracle's read timestamp: to be told before a write at it is acknowledged. Never goes back.
    pub fn set_read_ts(&self, read_ts: u64) {
        self.read_ts.fetch_max(read_ts, Ordering::AcqRel);
    }
    /// The oracle's read timestamp.
    pub fn read_ts(&self) -> u64 {
        self.read_ts.load(Ordering::Acquire)
    }
    /// Up to this moment no other server has acknowledged anything, so that reads at the read timestamp
    /// are strict: nanoseconds of the monotonic clock. Never goes back.
    pub fn set_lease_until(&self, until_ns: u64) {
        self.lease_until_ns.fetch_max(until_ns, Ordering::AcqRel);
    }
    /// An index can be read from `since` on: to be told before the replicas are.
    pub fn set_index_since(&self, id: &str, since: u64) {
        let mut indexes = self.indexes.write().unwrap_or_else(PoisonError::into_inner);
        match indexes.get_mut(id) {
            Some(times) => times.since = since,
            None => {
                indexes.insert(id.to_owned(), Times { since, upper: None });
            }
        }
    }
    /// An index can be read before `upper` without waiting.
    pub fn set_index_upper(&self, id: &str, upper: u64) {
        let mut indexes = self.indexes.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = indexes.get_mut(id) {
            times.upper = Some(upper);
        }
    }
    /// An index is gone.
    pub fn drop_index(&self, id: &str) {
        self.indexes.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
    /// A number that no other peek of this process has; Python's are random.
    fn uuid(&self) -> Uuid {
        let mut uuid = *b"fast\0\0\0\0\0\0\0\0\0\0\0\0";
        uuid[8..].copy_from_slice(&(self.peeks.fetch_add(1, Ordering::Relaxed) + 1).to_be_bytes());
        uuid
    }
    /// The time to read at; None where the index cannot be read at it, or not soon.
    fn timestamp(&self, plan: &FastPlan, times: Times) -> Option<u64> {
        let read_ts = self.read_ts();
        let timestamp = match times.upper {
            Some(upper) if plan.serializable => upper.saturating_sub(1).min(read_ts).max(times.since),
            // Why the index stands still is for Python to find out.
            Some(upper) if upper.saturating_add(BEHIND_MS_MAX) < read_ts => return None,
            _ => read_ts,
        };
        let strict = plan.serializable || monotonic_ns() < self.lease_until_ns.load(Ordering::Acquire);
        (strict && timestamp >= times.since).then_some(timestamp)
    }
}

impl<S: Socket> Connection<S> {
    /// Starts the read of a statement that has a plan and parameters that fit.
    pub(crate) fn fast(
        &mut self,
        statement: &Statement,
        params: &[Option<ByteBuf>],
    ) -> Option<Box<RowStream>> {
        let plan = statement.fast.as_ref()?;
        if !self.is_current(statement, plan.catalog_version) {
            return None;
        }
        let session = &self.session;
        let state = &self.front.state;
        let key = key(plan, params)?;
        let indexes = state.indexes.read().unwrap_or_else(PoisonError::into_inner);
        let timestamp = state.timestamp(plan, *indexes.get(&plan.index)?)?;
        let uuid = state.uuid();
        let peek = Peek {
            kind: "peek",
            uuid: Bytes::new(&uuid),
            target: &plan.index,
            keys: Some([Bytes::new(&key)]),
            timestamp,
            mfp: &plan.mfp,
            finishing: &plan.finishing,
            result_bytes_max: session.settings.max_result_bytes,
        };
        let peek = rmp_serde::to_vec_named(&peek).ok()?;
        let spec = PeekSpec {
            uuid: ByteBuf::from(uuid),
            cluster: plan.cluster.clone(),
            peek: ByteBuf::from(peek),
            finishing: plan.finishing.clone(),
            before: Vec::new(),
            after: Vec::new(),
            waiting_notice: String::new(),
            replica: String::new(),
            max_result_bytes: session.settings.max_result_bytes,
        };
        let handle = self.front.links.peeks().peek(spec).ok()?;
        drop(indexes);
        // With no replica it is Python who knows what to say.
        handle.is_asked().then(|| Box::new(RowStream::of_peek(handle)))
    }
}

impl<S: Socket> Connection<S> {
    /// Runs a statement that inserts one row and is a transaction of its own; a Sync follows.
    pub(crate) async fn fast_insert(
        &mut self,
        statement: &Statement,
        params: &[Option<ByteBuf>],
    ) -> Result<FastInserted, Fault> {
        let Some(plan) = &statement.fast_insert else { return Ok(FastInserted::Not) };
        if !self.is_current(statement, plan.catalog_version) {
            return Ok(FastInserted::Not);
        }
        let Some(row) = inserted_row(plan, params) else { return Ok(FastInserted::Not) };
        if let Some(table) = &plan.shard
            && let Some(store) = self.front.inserts().map(Arc::clone)
        {
            match self.insert(&store, table, plan.catalog_version, row.clone()).await? {
                Outcome::Inserted => return Ok(FastInserted::Answered),
                Outcome::Failed(error) => return Err(store_failed(&store, &error).into()),
                Outcome::Again => {}
                Outcome::Dropped => {
                    let text = "terminating connection due to administrator command";
                    return Err(Fault::End(End::Fatal(ErrorFields::fatal("57P01", text))));
                }
            }
        }
        let (table, catalog_version) = (plan.table.clone(), plan.catalog_version);
        let request = Request::Insert { table, row: ByteBuf::from(row), catalog_version };
        let (id, answer) = self.ask(&request).await?;
        Ok(if answer == Answer::Again {
            FastInserted::Not
        } else {
            FastInserted::Asked(id, Box::new(answer))
        })
    }
    /// Has the store commit a row, and answer up to ReadyForQuery once it is inserted. Up to the moment
    /// at which its round begins it can be cancelled.
    async fn insert(
        &mut self,
        store: &Consensus,
        table: &str,
        catalog_version: u64,
        row: Vec<u8>,
    ) -> Result<Outcome, Fault> {
        if let Some(reason) = self.flush_urgent().await? {
            return Err(reason.fields().into());
        }
        let mut message = std::mem::take(&mut self.out);
        let before = message.len();
        wire::complete(&mut message, "INSERT 0 1");
        wire::ready(&mut message, self.session.status);
        let more = frames::is_more(&self.input);
        let answer = Arc::new(RowAnswer::new(message, self.sender(), more));
        let waiting = Arc::clone(&answer);
        store.ask(owner::Request::Insert(Row::new(table.to_owned(), row, catalog_version, waiting)));
        let mut ended = pin!(answer.outcome());
        let outcome = loop {
            match self.wait(ended.as_mut()).await? {
                Waited::Done(outcome) => break Ok(outcome),
                Waited::Cancel(reason) if answer.withdraw() => break Err(reason.fields().into()),
                Waited::Cancel(_) => {}
            }
        };
        let mut out = answer.rest();
        match &outcome {
            Ok(Outcome::Inserted) => self.answered(),
            _ => out.truncate(before),
        }
        out.append(&mut self.out);
        self.out = out;
        outcome
    }
    /// Whether a plan made with a statement for a version of the catalog still is what planning would
    /// give, in a transaction of its own.
    fn is_current(&self, statement: &Statement, catalog_version: u64) -> bool {
        let session = &self.session;
        session.status == b'I'
            && !session.dirty
            && !session.failed
            && statement.settings_version == session.settings_version
            && catalog_version == self.front.state.catalog_version.load(Ordering::Acquire)
    }
}

/// What became of an INSERT that may do without Python.
pub(crate) enum FastInserted {
    /// It is to be executed as any other.
    Not,
    /// The client has its answer, or `out` has what is left of it, up to ReadyForQuery.
    Answered,
    /// Python has answered the request of this number.
    Asked(u64, Box<Answer>),
}

/// The row of a fast insert; None where a column has no value that it takes.
fn inserted_row(plan: &FastInsert, params: &[Option<ByteBuf>]) -> Option<Vec<u8>> {
    let mut row = Vec::new();
    for (column, part) in plan.row.iter().enumerate() {
        let datum = match part {
            KeyPart::Parameter(number) => params.get(*number)?.as_deref().map_or(NULL_BYTES, |v| v),
            KeyPart::Literal(datum) => datum,
        };
        if datum == NULL_BYTES && plan.not_null.contains(&column) {
            return None;
        }
        row.extend_from_slice(datum);
    }
    Some(row)
}

/// What a client hears of a store that could not commit its row: as `headwater.persist` says it.
fn store_failed(store: &Consensus, error: &StoreError) -> ErrorFields {
    let path = store.path().display();
    if *error == StoreError::Full {
        let text = format!("could not write consensus store \"{path}\": no space left on device");
        return ErrorFields::new("53100", text);
    }
    let mut fields = ErrorFields::new("58030", format!("consensus store \"{path}\" failed"));
    fields.detail = format!("{error}. Whether the row was inserted is not known.");
    fields
}

/// The row of key datums; None where one is NULL, which no index lookup finds.
fn key(plan: &FastPlan, params: &[Option<ByteBuf>]) -> Option<Vec<u8>> {
    let mut key = Vec::new();
    for part in &plan.key {
        match part {
            KeyPart::Parameter(number) => key.extend_from_slice(params.get(*number)?.as_ref()?),
            KeyPart::Literal(datum) => key.extend_from_slice(datum),
        }
    }
    Some(key)
}
