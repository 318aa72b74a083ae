//! What the workers of this process have to say, put together into one answer.
//!
//! Workers post their parts under a lock that is held for moments; whoever completes an answer sends it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hw_types::flat::Updates;
use serde_bytes::ByteBuf;

use crate::plan::{Frontier, GlobalId};
use crate::protocol::{
    CHANNEL_CONTROL, CHANNEL_ROWS, ComputeResponse, Header, ReadError, ShellRequest, frame,
};

/// Frontiers are sent at most this often: a controller learns of a tick soon enough, and a busy replica
/// does not spend itself on reports.
pub const FRONTIER_INTERVAL: Duration = Duration::from_millis(2);

/// The code of a read that was given up.
pub const QUERY_CANCELED: &str = "57014";

/// Where answers and requests go. Calls come from worker threads and must return soon.
pub trait Responder: Send + Sync {
    /// Sends to the controller.
    fn respond(&self, channel: u8, payload: Bytes);
    /// Asks the shell of this process.
    fn shell(&self, request: ShellRequest);
}

/// Whether frontier `a` is before `b`, `None` being the end of time.
pub fn before(a: Frontier, b: Frontier) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a < b,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// The lesser of two frontiers.
pub fn least(a: Frontier, b: Frontier) -> Frontier {
    if before(a, b) { a } else { b }
}

/// One frontier a worker, and the least that was said.
struct Least {
    workers: Vec<Frontier>,
    said: Frontier,
}

impl Least {
    fn new(workers: usize) -> Self {
        Least { workers: vec![Some(0); workers], said: Some(0) }
    }
    /// The new least, where it has moved.
    fn advance(&mut self, worker: usize, upper: Frontier) -> Option<(Frontier, Frontier)> {
        self.workers[worker] = upper;
        let least = self.workers.iter().copied().fold(None, least);
        if !before(self.said, least) {
            return None;
        }
        Some((std::mem::replace(&mut self.said, least), least))
    }
}

/// A worker's part of the answer to a peek.
pub type PeekPart = Result<Updates, ReadError>;

struct PeekParts {
    left: usize,
    parts: Vec<Updates>,
    error: Option<ReadError>,
}

struct Subscription {
    least: Least,
    oks: Vec<Updates>,
    errs: Vec<Updates>,
}

#[derive(Default)]
struct State {
    uppers: HashMap<GlobalId, Least>,
    moved: BTreeMap<GlobalId, Frontier>,
    flushed: Option<Instant>,
    peeks: HashMap<ByteBuf, PeekParts>,
    sinks: HashMap<u64, Least>,
    batches: HashMap<(u64, Frontier, Frontier), (usize, Updates, Updates)>,
    subscriptions: HashMap<GlobalId, Subscription>,
}

/// The meeting point of a process's workers.
pub struct Gather {
    workers: usize,
    responder: Arc<dyn Responder>,
    state: Mutex<State>,
}

fn append(to: &mut Updates, from: &Updates) {
    from.iter().for_each(|(row, time, diff)| to.push(row, time, diff));
}

fn encode(updates: &Updates) -> Vec<u8> {
    updates.encode().expect("batches are bounded far below 4 GiB")
}

impl Gather {
    /// For so many workers.
    pub fn new(workers: usize, responder: Arc<dyn Responder>) -> Self {
        Gather { workers, responder, state: Mutex::default() }
    }
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Asks the shell.
    pub fn shell(&self, request: ShellRequest) {
        self.responder.shell(request);
    }
    /// Says that a dataflow could not be rendered.
    pub fn failed(&self, id: GlobalId, message: String) {
        let response = ComputeResponse::DataflowFailed { id, message };
        self.responder.respond(CHANNEL_CONTROL, response.encode());
    }
    /// A worker's own words.
    pub fn say(&self, response: &ComputeResponse) {
        self.responder.respond(CHANNEL_CONTROL, response.encode());
    }
    /// A worker's upper of an export has moved.
    pub fn advance(&self, worker: usize, id: &GlobalId, upper: Frontier) {
        let mut state = self.lock();
        let least = state.uppers.entry(id.clone()).or_insert_with(|| Least::new(self.workers));
        if let Some((_, upper)) = least.advance(worker, upper) {
            state.moved.insert(id.clone(), upper);
        }
    }
    /// Sends the frontiers that moved, unless that was done just now; returns when to ask again.
    pub fn flush(&self) -> Option<Duration> {
        let mut state = self.lock();
        if state.moved.is_empty() {
            return None;
        }
        let now = Instant::now();
        let since = state.flushed.map_or(FRONTIER_INTERVAL, |flushed| now - flushed);
        if since < FRONTIER_INTERVAL {
            return Some(FRONTIER_INTERVAL - since);
        }
        state.flushed = Some(now);
        let uppers = std::mem::take(&mut state.moved).into_iter().collect();
        drop(state);
        self.responder.respond(CHANNEL_CONTROL, ComputeResponse::Frontiers { uppers }.encode());
        None
    }
    /// An export is dropped: nothing more is said of it.
    pub fn forget(&self, id: &GlobalId) {
        let mut state = self.lock();
        state.uppers.remove(id);
        state.moved.remove(id);
        state.subscriptions.remove(id);
    }
    /// A sink is dropped.
    pub fn forget_sink(&self, token: u64) {
        let mut state = self.lock();
        state.sinks.remove(&token);
        state.batches.retain(|(of, ..), _| *of != token);
    }
    /// A worker's part of the answer to a peek.
    pub fn answer(&self, uuid: &ByteBuf, part: PeekPart) {
        let mut state = self.lock();
        let workers = self.workers;
        let new = || PeekParts { left: workers, parts: vec![], error: None };
        let parts = state.peeks.entry(uuid.clone()).or_insert_with(new);
        parts.left -= 1;
        match part {
            Ok(updates) if updates.is_empty() => {}
            Ok(updates) => parts.parts.push(updates),
            // The least of the workers' errors, so that every replica says the same.
            Err(error) => match &mut parts.error {
                Some(said) if (&said.sqlstate, &said.message) <= (&error.sqlstate, &error.message) => {}
                said => *said = Some(error),
            },
        }
        if parts.left > 0 {
            return;
        }
        let parts = state.peeks.remove(uuid);
        drop(state);
        if let Some(parts) = parts {
            self.responder.respond(CHANNEL_ROWS, peek_response(uuid, parts));
        }
    }
    /// A worker knows the desired contents of a sink before `desired`.
    pub fn desired(&self, worker: usize, token: u64, desired: Frontier) {
        let mut state = self.lock();
        let least = state.sinks.entry(token).or_insert_with(|| Least::new(self.workers));
        if let Some((_, desired)) = least.advance(worker, desired) {
            drop(state);
            self.shell(ShellRequest::SinkFrontier { token, desired });
        }
    }
    /// A worker's part of a batch to write.
    pub fn batch(&self, token: u64, lower: Frontier, upper: Frontier, oks: &Updates, errs: &Updates) {
        let mut state = self.lock();
        let key = (token, lower, upper);
        let entry =
            state.batches.entry(key).or_insert_with(|| (self.workers, Updates::new(), Updates::new()));
        entry.0 -= 1;
        append(&mut entry.1, oks);
        append(&mut entry.2, errs);
        if entry.0 > 0 {
            return;
        }
        let done = state.batches.remove(&key);
        drop(state);
        if let Some((_, oks, errs)) = done {
            let (updates, errors) = (ByteBuf::from(encode(&oks)), ByteBuf::from(encode(&errs)));
            self.shell(ShellRequest::SinkBatch { token, lower, upper, updates, errors });
        }
    }
    /// A worker's updates of a subscription, all before `upper`, which it has reached.
    pub fn subscribe(&self, worker: usize, id: &GlobalId, upper: Frontier, oks: Updates, errs: Updates) {
        let mut state = self.lock();
        let subscription = state.subscriptions.entry(id.clone()).or_insert_with(|| Subscription {
            least: Least::new(self.workers),
            oks: vec![],
            errs: vec![],
        });
        subscription.oks.push(oks);
        subscription.errs.push(errs);
        let Some((lower, upper)) = subscription.least.advance(worker, upper) else { return };
        let oks = take_before(&mut subscription.oks, upper);
        let errs = take_before(&mut subscription.errs, upper);
        // Sent under the lock, so that intervals leave in order.
        let mut body = encode(&oks);
        let errors = if errs.is_empty() { vec![] } else { encode(&errs) };
        body.extend_from_slice(&errors);
        let header = Header::Subscribe { id: id.clone(), lower, upper, errors: errors.len() };
        self.responder.respond(CHANNEL_ROWS, frame(&header, &body));
    }
}

fn peek_response(uuid: &ByteBuf, parts: PeekParts) -> Bytes {
    let canceled = parts.error.as_ref().is_some_and(|error| error.sqlstate == QUERY_CANCELED);
    let failed = parts.error.is_some();
    let error = parts.error.filter(|_| !canceled);
    let header = Header::Peek { uuid: uuid.clone(), last: true, error, canceled };
    if failed {
        return frame(&header, &[]);
    }
    let mut parts = parts.parts.into_iter();
    let mut all = parts.next().unwrap_or_default();
    parts.for_each(|part| append(&mut all, &part));
    frame(&header, &encode(&all))
}

/// Takes out the updates before `upper`.
fn take_before(from: &mut Vec<Updates>, upper: Frontier) -> Updates {
    let mut taken = Updates::new();
    for updates in std::mem::take(from) {
        let mut rest = Updates::new();
        for (row, time, diff) in updates.iter() {
            let to = if before(Some(time), upper) { &mut taken } else { &mut rest };
            to.push(row, time, diff);
        }
        if !rest.is_empty() {
            from.push(rest);
        }
    }
    taken.consolidate()
}
