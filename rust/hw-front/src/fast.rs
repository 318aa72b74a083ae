//! Prepared point reads that never ask Python: check, choose a time, peek, encode.
//!
//! Python keeps a few numbers here up to date. A plan applies while they say that asking would give
//! the same plan and a time at which the index can be read; in all other cases, and whenever such a
//! read fails for any reason, Python is asked as usual.

use crate::connection::{Connection, Socket};
use crate::protocol::{FastPlan, KeyPart};
use crate::session::Statement;
use crate::stream::RowStream;
use hw_link::finishing::RowSetFinishing;
use hw_link::peeks::{PeekSpec, Uuid};
use rustc_hash::FxHashMap;
use serde::Serialize;
use serde_bytes::{ByteBuf, Bytes};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

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
    /// The time to read at; None where the index cannot be read at it.
    fn timestamp(&self, plan: &FastPlan, times: Times) -> Option<u64> {
        let read_ts = self.read_ts.load(Ordering::Acquire);
        let timestamp = match times.upper {
            Some(upper) if plan.serializable => upper.saturating_sub(1).min(read_ts).max(times.since),
            _ => read_ts,
        };
        (timestamp >= times.since).then_some(timestamp)
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
        let session = &self.session;
        let state = &self.front.state;
        let applies = session.status == b'I'
            && !session.dirty
            && !session.failed
            && statement.settings_version == session.settings_version
            && plan.catalog_version == state.catalog_version.load(Ordering::Acquire);
        if !applies {
            return None;
        }
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
