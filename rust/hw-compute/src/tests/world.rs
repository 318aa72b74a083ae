//! Replicas, and simulated shards between them.
//!
//! What the Python shell does with persist is done here in memory: shards are lists of updates with an upper,
//! sources are fed what is appended, and sinks append what their workers give by compare-and-append.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hw_types::flat::Updates;
use hw_types::relation::{Column, RelationDesc};
use hw_types::scalar::BaseType;
use serde_bytes::ByteBuf;

use crate::expr::Mfp;
use crate::gather::{Responder, before};
use crate::plan::{DataflowDescription, Frontier};
use crate::protocol::{
    CHANNEL_CONTROL, ComputeCommand, ComputeResponse, Header, Peek, ReadError, RowSetFinishing, ShellRequest,
};
use crate::server::{ComputeServer, Config};
use crate::source::{Encoding, Half, PartBytes};

/// A bound on waiting, for tests that fail.
const PATIENCE: Duration = Duration::from_secs(30);

/// Rows and how often each is there.
pub type Rows = BTreeMap<Vec<u8>, i64>;

#[derive(Default)]
struct Recorded {
    uppers: HashMap<String, Frontier>,
    failures: Vec<(String, String)>,
    peeks: HashMap<Vec<u8>, Result<Rows, ReadError>>,
    canceled: Vec<Vec<u8>>,
    shell: Vec<ShellRequest>,
    subscribed: Vec<(Header, Updates, Updates)>,
}

#[derive(Default)]
struct Recorder {
    recorded: Mutex<Recorded>,
    changed: Condvar,
}

/// The header and the body of a response.
fn take_apart(payload: &[u8]) -> (Header, &[u8]) {
    let (length, rest) = payload.split_first_chunk::<4>().expect("a length");
    let (header, body) = rest.split_at(u32::from_le_bytes(*length) as usize);
    (rmp_serde::from_slice(header).expect("a header"), body)
}

fn updates(body: &[u8]) -> Updates {
    if body.is_empty() { Updates::new() } else { Updates::decode(body).expect("flat updates") }
}

impl Responder for Recorder {
    fn respond(&self, channel: u8, payload: Bytes) {
        let mut recorded = self.recorded.lock().expect("no test panics under the lock");
        if channel == CHANNEL_CONTROL {
            match rmp_serde::from_slice(&payload).expect("a response") {
                ComputeResponse::Frontiers { uppers } => {
                    for (id, upper) in uppers {
                        let last = recorded.uppers.insert(id.clone(), upper);
                        assert!(last.is_none_or(|last| before(last, upper)), "{id} goes back to {upper:?}");
                    }
                }
                ComputeResponse::DataflowFailed { id, message } => recorded.failures.push((id, message)),
                ComputeResponse::Errors { .. } | ComputeResponse::Inspected { .. } => {}
            }
        } else {
            let (header, body) = take_apart(&payload);
            match header {
                Header::Peek { uuid, canceled: true, .. } => recorded.canceled.push(uuid.into_vec()),
                Header::Peek { uuid, error, .. } => {
                    let mut rows = Rows::new();
                    for (row, _, diff) in updates(body).iter() {
                        *rows.entry(row.to_vec()).or_insert(0) += diff;
                    }
                    let before = recorded.peeks.insert(uuid.into_vec(), error.map_or(Ok(rows), Err));
                    assert!(before.is_none(), "one answer");
                }
                Header::Subscribe { errors, .. } => {
                    let (oks, errs) = body.split_at(body.len() - errors);
                    recorded.subscribed.push((header, updates(oks), updates(errs)));
                }
            }
        }
        self.changed.notify_all();
    }
    fn shell(&self, request: ShellRequest) {
        let encoded = request.encode();
        assert_eq!(rmp_serde::from_slice::<ShellRequest>(&encoded).expect("round trip"), request);
        self.recorded.lock().expect("no test panics under the lock").shell.push(request);
        self.changed.notify_all();
    }
}

/// An update of a simulated shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Whether it is of the error half.
    pub error: bool,
    /// The row.
    pub row: Vec<u8>,
    /// When.
    pub time: u64,
    /// How often.
    pub diff: i64,
}

/// A simulated shard.
#[derive(Clone, Debug, Default)]
pub struct Shard {
    /// All that was appended.
    pub stored: Vec<Stored>,
    /// Everything before it was.
    pub upper: u64,
}

impl Shard {
    /// The rows of one half at `time`.
    pub fn at(&self, time: u64, error: bool) -> Rows {
        let mut rows = Rows::new();
        for stored in self.stored.iter().filter(|stored| stored.error == error && stored.time <= time) {
            *rows.entry(stored.row.clone()).or_insert(0) += stored.diff;
        }
        rows.retain(|_, count| *count != 0);
        rows
    }
}

/// A shard that a replica reads under a token.
struct Reading {
    shard: String,
    as_of: u64,
}

/// A sink of a replica.
struct Writing {
    shard: String,
    desired: Frontier,
    asked: Option<(u64, Frontier)>,
}

/// One replica process.
pub struct Replica {
    server: ComputeServer,
    recorder: Arc<Recorder>,
    readings: HashMap<u64, Reading>,
    writings: HashMap<u64, Writing>,
    /// While paused, batches that were given are not appended.
    pub paused: bool,
}

/// Replicas and shards.
#[derive(Default)]
pub struct World {
    /// The shards.
    pub shards: BTreeMap<String, Shard>,
    /// The replicas.
    pub replicas: Vec<Replica>,
    /// Batches that came too late.
    pub lost: usize,
    peeks: u64,
}

/// The description of a relation of whole numbers.
pub fn desc(arity: usize) -> RelationDesc {
    let column = |i: usize| Column { name: format!("c{i}"), ty: BaseType::Int8.into(), nullable: true };
    RelationDesc { columns: (0..arity).map(column).collect(), keys: vec![], added: vec![] }
}

/// How an index is read when nothing is to be left out.
pub fn unfinished(arity: usize) -> RowSetFinishing {
    RowSetFinishing { order_by: vec![], limit: None, offset: 0, project: (0..arity).collect() }
}

/// A part as a shell reads it.
pub fn part(half: Half, updates: &Updates) -> PartBytes {
    let bytes = updates.encode().expect("small").into();
    PartBytes { encoding: Encoding::Flat, half, bytes, filter: hw_persist::PartFilter::default() }
}

impl Replica {
    fn feed(&self, token: u64, as_of: u64, stored: &[Stored], upper: Frontier) {
        let mut parts = vec![];
        // Several parts, so that all workers have some.
        for chunk in stored.chunks(stored.len().div_ceil(3).max(1)) {
            for half in [Half::Ok, Half::Err] {
                let mut updates = Updates::new();
                for update in chunk.iter().filter(|update| update.error == (half == Half::Err)) {
                    // A snapshot is advanced to its as_of by persist.
                    updates.push(
                        &update.row,
                        update.time.max(as_of.min(update.time.max(as_of))),
                        update.diff,
                    );
                }
                if !updates.is_empty() {
                    parts.push(part(half, &updates));
                }
            }
        }
        self.server.feed(token, parts, upper).expect("workers run");
    }
    /// Sends a command.
    pub fn command(&self, command: &ComputeCommand) {
        let bytes = rmp_serde::to_vec_named(command).expect("plain data");
        self.server.command(&bytes).expect("workers run");
    }
    /// Builds a dataflow.
    pub fn create(&self, dataflow: DataflowDescription) {
        self.command(&ComputeCommand::CreateDataflow { dataflow: Box::new(dataflow) });
    }
    /// Lets history be forgotten, or drops the export.
    pub fn allow_compaction(&self, id: &str, since: Frontier) {
        self.command(&ComputeCommand::AllowCompaction { id: id.into(), since });
    }
    /// What could not be rendered.
    pub fn failures(&self) -> Vec<(String, String)> {
        self.recorder.recorded.lock().expect("no panics").failures.clone()
    }
    /// What subscriptions have said.
    pub fn subscribed(&self) -> Vec<(Header, Updates, Updates)> {
        self.recorder.recorded.lock().expect("no panics").subscribed.clone()
    }
    /// The peeks that were given up.
    pub fn canceled(&self) -> Vec<Vec<u8>> {
        self.recorder.recorded.lock().expect("no panics").canceled.clone()
    }
    /// The upper of an export, as far as it was said.
    pub fn upper(&self, id: &str) -> Frontier {
        self.recorder.recorded.lock().expect("no panics").uppers.get(id).copied().unwrap_or(Some(0))
    }
    /// The sources that are open.
    pub fn open_sources(&self) -> usize {
        self.readings.len()
    }
}

impl World {
    /// One replica of so many workers.
    pub fn new(workers: usize) -> Self {
        let mut world = World::default();
        world.add_replica(workers);
        world
    }
    /// Starts a replica.
    pub fn add_replica(&mut self, workers: usize) -> usize {
        let recorder = Arc::new(Recorder::default());
        let config = Config { workers, process: 0, addresses: vec![] };
        let responder: Arc<dyn Responder> = Arc::<Recorder>::clone(&recorder);
        let server = ComputeServer::start(&config, responder).expect("threads");
        let (readings, writings) = (HashMap::new(), HashMap::new());
        self.replicas.push(Replica { server, recorder, readings, writings, paused: false });
        self.replicas.len() - 1
    }
    /// Starts a replica of two processes, which follow each other in `replicas`.
    pub fn add_cluster(&mut self, workers: usize) {
        let free = || std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let listeners = [free(), free()];
        let address = |listener: &std::net::TcpListener| listener.local_addr().expect("bound").to_string();
        let addresses: Vec<String> = listeners.iter().map(address).collect();
        drop(listeners);
        let start = |process: usize| {
            let config = Config { workers, process, addresses: addresses.clone() };
            std::thread::spawn(move || {
                let recorder = Arc::new(Recorder::default());
                let responder: Arc<dyn Responder> = Arc::<Recorder>::clone(&recorder);
                (ComputeServer::start(&config, responder).expect("threads and sockets"), recorder)
            })
        };
        // Each waits for the other.
        for starting in [start(0), start(1)] {
            let (server, recorder) = starting.join().expect("no panics");
            let (readings, writings) = (HashMap::new(), HashMap::new());
            self.replicas.push(Replica { server, recorder, readings, writings, paused: false });
        }
    }
    /// The only replica.
    pub fn replica(&mut self) -> &mut Replica {
        &mut self.replicas[0]
    }
    /// Appends to a shard, and feeds those that read it.
    pub fn append(&mut self, shard: &str, updates: Vec<Stored>, upper: u64) {
        let entry = self.shards.entry(shard.into()).or_default();
        assert!(entry.upper <= upper && updates.iter().all(|update| update.time < upper));
        entry.stored.extend(updates.iter().cloned());
        entry.upper = upper;
        for replica in &self.replicas {
            for (token, reading) in replica.readings.iter().filter(|(_, reading)| reading.shard == shard) {
                replica.feed(*token, reading.as_of, &updates, Some(upper));
            }
        }
    }
    /// Does what the replicas ask for; whether there was anything.
    pub fn pump(&mut self) -> bool {
        let mut busy = false;
        for at in 0..self.replicas.len() {
            let requests =
                std::mem::take(&mut self.replicas[at].recorder.recorded.lock().expect("no panics").shell);
            for request in requests {
                busy = true;
                self.serve(at, request);
            }
            busy |= self.write(at);
        }
        busy
    }
    fn serve(&mut self, at: usize, request: ShellRequest) {
        let replica = &mut self.replicas[at];
        match request {
            ShellRequest::OpenSource { token, shard, as_of, .. } => self.open(at, token, shard, as_of),
            ShellRequest::OpenSink { token, shard, as_of, .. } => {
                let writing = Writing { shard: shard.clone(), desired: Some(0), asked: None };
                replica.writings.insert(token, writing);
                self.open(at, token, shard, as_of);
            }
            ShellRequest::CloseSource { token } | ShellRequest::CloseSink { token } => {
                assert!(replica.readings.remove(&token).is_some(), "closed once, after it was opened");
                replica.writings.remove(&token);
            }
            ShellRequest::SinkFrontier { token, desired } => {
                if let Some(writing) = replica.writings.get_mut(&token) {
                    writing.desired = desired;
                }
            }
            ShellRequest::SinkBatch { token, lower, upper, updates, errors } => {
                let Some(writing) = replica.writings.get_mut(&token) else { return };
                assert_eq!(writing.asked.take().map(|asked| (Some(asked.0), asked.1)), Some((lower, upper)));
                let shard = writing.shard.clone();
                if Some(self.shards.entry(shard.clone()).or_default().upper) != lower {
                    self.lost += 1;
                    return;
                }
                let mut stored = vec![];
                for (error, bytes) in [(false, updates), (true, errors)] {
                    for (row, time, diff) in Updates::decode(&bytes).expect("flat").iter() {
                        assert!(!before(Some(time), lower) && before(Some(time), upper), "within the batch");
                        stored.push(Stored { error, row: row.to_vec(), time, diff });
                    }
                }
                self.append(&shard, stored, upper.expect("tests end before time does"));
            }
        }
    }
    fn open(&mut self, at: usize, token: u64, shard: String, as_of: Frontier) {
        let as_of = as_of.expect("tests read at times");
        let entry = self.shards.entry(shard.clone()).or_default().clone();
        let replica = &mut self.replicas[at];
        replica.feed(token, as_of, &entry.stored, Some(entry.upper));
        replica.readings.insert(token, Reading { shard, as_of });
    }
    /// Asks sinks for what their shards lack.
    fn write(&mut self, at: usize) -> bool {
        let replica = &mut self.replicas[at];
        let mut busy = false;
        for (token, writing) in &mut replica.writings {
            let upper = self.shards.get(&writing.shard).map_or(0, |shard| shard.upper);
            if writing.asked.is_none() && !replica.paused && before(Some(upper), writing.desired) {
                writing.asked = Some((upper, writing.desired));
                let ask = (*token, Some(upper), writing.desired);
                replica.server.tell(&[], &[ask]).expect("workers run");
                busy = true;
            }
        }
        busy
    }
    /// Serves the replicas until `done` finds what it waits for.
    pub fn wait<R>(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> Option<R>) -> R {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let busy = self.pump();
            if let Some(found) = done(self) {
                return found;
            }
            assert!(std::time::Instant::now() < deadline, "waited too long for {what}");
            if !busy {
                let recorder = Arc::clone(&self.replicas[0].recorder);
                let recorded = recorder.recorded.lock().expect("no panics");
                // With several replicas another one may be the next to speak.
                let pause = Duration::from_millis(if self.replicas.len() > 1 { 1 } else { 100 });
                if recorded.shell.is_empty() {
                    drop(recorder.changed.wait_timeout(recorded, pause).expect("no panics"));
                }
            }
        }
    }
    /// Sends a peek.
    pub fn send_peek(&mut self, at: usize, peek: Peek) -> Vec<u8> {
        let uuid = peek.uuid.to_vec();
        self.replicas[at].command(&ComputeCommand::Peek(Box::new(peek)));
        uuid
    }
    /// A peek of a whole index.
    pub fn peek_of(&mut self, target: &str, arity: usize, timestamp: u64) -> Peek {
        self.peeks += 1;
        Peek {
            uuid: ByteBuf::from(u128::from(self.peeks).to_be_bytes()),
            target: target.into(),
            keys: None,
            timestamp,
            mfp: Mfp::identity(arity),
            finishing: unfinished(arity),
            result_bytes_max: u64::MAX,
        }
    }
    /// Waits for the answer to a peek.
    pub fn answer(&mut self, at: usize, uuid: &[u8]) -> Result<Rows, ReadError> {
        self.wait("a peek", |world| {
            world.replicas[at].recorder.recorded.lock().expect("no panics").peeks.remove(uuid)
        })
    }
    /// Reads a whole index at a time.
    pub fn peek(&mut self, target: &str, arity: usize, timestamp: u64) -> Result<Rows, ReadError> {
        let peek = self.peek_of(target, arity, timestamp);
        let uuid = self.send_peek(0, peek);
        self.answer(0, &uuid)
    }
}
