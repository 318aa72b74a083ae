//! Peeks under way: sent to every ready replica of a cluster, the first complete answer wins.
//!
//! A peek stays until it is answered or given up. A replica that connects and is ready is sent what is
//! pending for its cluster, after the history that its controller has replayed; a replica that is lost
//! takes its half answers with it. What a peek needs around it (a transient dataflow before, its
//! dropping after) is part of its specification, so that nobody has to be asked again.

use crate::finishing::{RowSetFinishing, finish};
use crate::response::{self, Header, ReadError};
use bytes::Bytes;
use hw_types::flat::Updates;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Names a peek in responses.
pub type Uuid = [u8; 16];

/// A result's bytes at most where the specification says nothing.
pub const RESULT_BYTES_MAX: u64 = 1 << 30;
/// Results beyond this are sorted off the socket threads.
const INLINE_FINISH_BYTES_MAX: usize = 1 << 20;

/// Mirrors `headwater.pgwire.protocol.PeekSource`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeekSpec {
    /// 16 bytes.
    pub uuid: ByteBuf,
    /// Whose replicas are asked.
    pub cluster: String,
    /// The Peek command.
    pub peek: ByteBuf,
    /// Applied to the merged rows.
    pub finishing: RowSetFinishing,
    /// Commands to send first.
    #[serde(default)]
    pub before: Vec<ByteBuf>,
    /// Commands to send when the peek is over.
    #[serde(default)]
    pub after: Vec<ByteBuf>,
    /// What to tell the client after a second without an answer.
    #[serde(default)]
    pub waiting_notice: String,
    /// Ask only this replica; empty for all.
    #[serde(default)]
    pub replica: String,
    /// More bytes than this are an error; 0 for the default.
    #[serde(default)]
    pub max_result_bytes: u64,
}

/// The command that gives a peek up; mirrors `headwater.compute.protocol.CancelPeek`.
#[derive(Serialize)]
struct CancelPeek<'a> {
    kind: &'static str,
    #[serde(with = "serde_bytes")]
    uuid: &'a [u8],
}

/// Who carries commands to a replica: [`crate::client::Links`], or a test.
pub trait Commands: Send + Sync {
    /// Sends a compute command to every process of a replica, if it is connected.
    fn command(&self, replica: &str, payload: Bytes);
}

/// The parts of an answer, still to be finished, or what went wrong.
pub type Answer = Result<Vec<Updates>, ReadError>;

#[derive(Default)]
struct Partial {
    parts: Vec<Updates>,
    bytes: u64,
    done: usize,
}

struct Pending {
    spec: Arc<PeekSpec>,
    answer: oneshot::Sender<Answer>,
    asked: FxHashMap<String, Partial>,
}

#[derive(Default)]
struct State {
    /// Ready replicas and their number of processes, by cluster.
    clusters: FxHashMap<String, FxHashMap<String, usize>>,
    peeks: FxHashMap<Uuid, Pending>,
}

/// See the module.
pub struct PeekManager {
    state: Mutex<State>,
    commands: Weak<dyn Commands>,
}

/// A peek under way. Dropping it before the answer gives it up.
pub struct PeekHandle {
    manager: Arc<PeekManager>,
    uuid: Uuid,
    spec: Arc<PeekSpec>,
    answer: oneshot::Receiver<Answer>,
    finishing: Option<JoinHandle<Result<Updates, ReadError>>>,
}

impl PeekHandle {
    /// Waits for the rows, finished.
    ///
    /// Cancellation: the future may be dropped and [`PeekHandle::rows`] called again, until it has
    /// returned.
    pub async fn rows(&mut self) -> Result<Updates, ReadError> {
        if self.finishing.is_none() {
            let answer = (&mut self.answer).await;
            let parts = answer.unwrap_or_else(|_| Err(given_up()))?;
            if parts.iter().map(Updates::row_bytes).sum::<usize>() <= INLINE_FINISH_BYTES_MAX {
                return finish(&parts, &self.spec.finishing);
            }
            let spec = Arc::clone(&self.spec);
            self.finishing = Some(tokio::task::spawn_blocking(move || finish(&parts, &spec.finishing)));
        }
        let Some(finishing) = &mut self.finishing else { return Err(given_up()) };
        finishing.await.unwrap_or_else(|_| Err(ReadError::new("XX000", "finishing a result failed")))
    }
    /// Whether some replica has been asked.
    pub fn is_asked(&self) -> bool {
        self.manager.lock().peeks.get(&self.uuid).is_none_or(|pending| !pending.asked.is_empty())
    }
    /// What to do with the rows, and what to tell who waits.
    pub fn spec(&self) -> &PeekSpec {
        &self.spec
    }
}

impl Drop for PeekHandle {
    fn drop(&mut self) {
        self.manager.cancel(&self.uuid);
    }
}

impl PeekManager {
    /// No peeks yet; commands go out through `commands`.
    pub fn new(commands: Weak<dyn Commands>) -> Arc<Self> {
        Arc::new(PeekManager { state: Mutex::default(), commands })
    }
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Starts a peek on every ready replica of its cluster.
    pub fn peek(self: &Arc<Self>, spec: PeekSpec) -> Result<PeekHandle, ReadError> {
        let uuid = Uuid::try_from(spec.uuid.as_slice())
            .map_err(|_| ReadError::new("XX000", "a peek's uuid has 16 bytes"))?;
        let spec = Arc::new(spec);
        let (answer, receiver) = oneshot::channel();
        let mut pending = Pending { spec: Arc::clone(&spec), answer, asked: FxHashMap::default() };
        let mut state = self.lock();
        if state.peeks.contains_key(&uuid) {
            return Err(ReadError::new("XX000", "a peek's uuid is used twice"));
        }
        if let Some(replicas) = state.clusters.get(&spec.cluster) {
            for replica in replicas.keys() {
                self.ask(&mut pending, replica);
            }
        }
        state.peeks.insert(uuid, pending);
        drop(state);
        Ok(PeekHandle { manager: Arc::clone(self), uuid, spec, answer: receiver, finishing: None })
    }
    /// Gives a peek up; no-op where it is over.
    pub fn cancel(&self, uuid: &Uuid) {
        let pending = self.lock().peeks.remove(uuid);
        if let Some(pending) = pending {
            self.clean_up(&pending, None);
        }
    }
    /// Ends all peeks of a cluster with an error, because it is dropped for example.
    pub fn fail(&self, cluster: &str, error: &ReadError) {
        let mut state = self.lock();
        let failed: Vec<Pending> = state
            .peeks
            .extract_if(|_, pending| pending.spec.cluster == cluster)
            .map(|(_, pending)| pending)
            .collect();
        drop(state);
        for pending in failed {
            self.clean_up(&pending, None);
            // The reader may have given up in this very moment.
            let _ = pending.answer.send(Err(error.clone()));
        }
    }
    /// Ends one peek with an error, because what it waits for can't come; nothing where it is over.
    pub fn fail_one(&self, uuid: &[u8], error: ReadError) {
        let Ok(uuid) = Uuid::try_from(uuid) else { return };
        let Some(pending) = self.lock().peeks.remove(&uuid) else { return };
        self.clean_up(&pending, None);
        // The reader may have given up in this very moment.
        let _ = pending.answer.send(Err(error));
    }
    /// A replica has its history: send what is pending for it.
    pub fn replica_ready(&self, cluster: &str, replica: &str, processes: usize) {
        let mut state = self.lock();
        state.clusters.entry(cluster.to_owned()).or_default().insert(replica.to_owned(), processes);
        for pending in state.peeks.values_mut().filter(|pending| pending.spec.cluster == cluster) {
            self.ask(pending, replica);
        }
    }
    /// A replica is gone, with whatever it had begun to answer.
    pub fn replica_lost(&self, cluster: &str, replica: &str) {
        let mut state = self.lock();
        if let Some(replicas) = state.clusters.get_mut(cluster) {
            replicas.remove(replica);
        }
        state.peeks.values_mut().for_each(|pending| {
            pending.asked.remove(replica);
        });
    }
    /// Takes in a part of an answer from one process of `replica`.
    pub fn respond(&self, cluster: &str, replica: &str, header: Header, body: &[u8]) {
        let Header::Peek { uuid, last, error, canceled } = header else { return };
        let Ok(uuid) = Uuid::try_from(uuid.as_slice()) else { return };
        let mut state = self.lock();
        let Some(processes) = state.clusters.get(cluster).and_then(|c| c.get(replica)).copied() else {
            return;
        };
        let Some(pending) = state.peeks.get_mut(&uuid) else { return };
        let Some(partial) = pending.asked.get_mut(replica) else { return };
        let answer = match (error, canceled) {
            (Some(error), _) => Some(Err(error)),
            (None, true) => Some(Err(given_up())),
            (None, false) => partial.add(body, last, processes, &pending.spec),
        };
        let Some(answer) = answer else { return };
        let Some(pending) = state.peeks.remove(&uuid) else { return };
        drop(state);
        self.clean_up(&pending, Some(replica));
        // The reader may have given up in this very moment.
        let _ = pending.answer.send(answer);
    }
    fn ask(&self, pending: &mut Pending, replica: &str) {
        let spec = &pending.spec;
        if !spec.replica.is_empty() && spec.replica != replica {
            return;
        }
        pending.asked.insert(replica.to_owned(), Partial::default());
        let Some(commands) = self.commands.upgrade() else { return };
        for command in spec.before.iter().chain([&spec.peek]) {
            commands.command(replica, Bytes::copy_from_slice(command));
        }
    }
    /// Tells replicas that a peek is over: the others that they need not answer.
    fn clean_up(&self, pending: &Pending, winner: Option<&str>) {
        let Some(commands) = self.commands.upgrade() else { return };
        let cancel = CancelPeek { kind: "cancel_peek", uuid: &pending.spec.uuid };
        let cancel = Bytes::from(rmp_serde::to_vec_named(&cancel).expect("plain data always encodes"));
        for replica in pending.asked.keys() {
            if winner != Some(replica) {
                commands.command(replica, cancel.clone());
            }
            for command in &pending.spec.after {
                commands.command(replica, Bytes::copy_from_slice(command));
            }
        }
    }
}

impl Partial {
    /// Adds a chunk; the answer once all processes have said all.
    fn add(&mut self, body: &[u8], last: bool, processes: usize, spec: &PeekSpec) -> Option<Answer> {
        match response::updates(body) {
            Ok(updates) => {
                self.bytes = self.bytes.saturating_add(result_bytes(&updates, &spec.finishing));
                self.parts.push(updates);
            }
            Err(error) => return Some(Err(ReadError::new("XX000", format!("malformed answer: {error}")))),
        }
        let limit = if spec.max_result_bytes == 0 { RESULT_BYTES_MAX } else { spec.max_result_bytes };
        if self.bytes > limit {
            return Some(Err(too_large(limit)));
        }
        self.done += usize::from(last);
        (self.done >= processes).then(|| Ok(std::mem::take(&mut self.parts)))
    }
}

fn given_up() -> ReadError {
    ReadError::new("57014", "canceling statement due to user request")
}

/// The bytes of a result's rows, each as often as it is sent; one that is repeated beyond what a LIMIT
/// can use counts for no more than that.
pub fn result_bytes(rows: &Updates, finishing: &RowSetFinishing) -> u64 {
    let enough = finishing.limit.map_or(u64::MAX, |limit| limit.saturating_add(finishing.offset).max(1));
    rows.iter().fold(0, |bytes, (row, _, count)| {
        let count = u64::try_from(count).unwrap_or(0).min(enough);
        bytes.saturating_add(count.saturating_mul(row.len() as u64))
    })
}

/// The error of a result beyond its limit.
pub fn too_large(limit: u64) -> ReadError {
    ReadError::new("53200", format!("result exceeds max size of {}", show_bytes(limit)))
}

fn show_bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")];
    for (unit, name) in UNITS {
        if bytes >= unit {
            return format!("{:.1} {name}", bytes as f64 / unit as f64);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
#[path = "peeks_tests.rs"]
mod tests;
