//! What all connections share: the queue to Python, replies on their way back, who is connected.

use crate::fast::FastState;
use crate::protocol::{Addressed, Command, ErrorFields, Request};
use bytes::Bytes;
use hw_consensus::owner::{Answers, Consensus};
use hw_link::client::Links;
use hw_link::events::EventQueue;
use hw_link::peeks::PeekSpec;
use hw_link::runtime::runtime;
use rustc_hash::FxHashMap;
use serde_bytes::ByteBuf;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::AbortHandle;

/// Connections at most where the configuration says nothing.
pub const CONNECTIONS_MAX: usize = 5000;
/// A message's bytes at most, once the client is let in, where the configuration says nothing.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Words from Python that wait for a connection at most; more notices are dropped.
const COMMANDS_MAX: usize = 64;
/// The bytes of a cancel key: four for protocol 3.0, all of them from 3.2 on.
pub const SECRET_BYTES: usize = 32;

/// Limits that a configuration may set.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Clients at most, those that are not let in yet included.
    pub connections_max: usize,
    /// A message's bytes at most.
    pub message_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { connections_max: CONNECTIONS_MAX, message_bytes_max: MESSAGE_BYTES_MAX }
    }
}

/// What others may do to a connection.
pub struct Peer {
    /// Its number.
    pub conn: u32,
    /// What a CancelRequest must show.
    pub secret: [u8; SECRET_BYTES],
    /// Set by whoever cancels, cleared by the connection.
    pub cancel_requested: AtomicBool,
    /// Wakes the connection.
    pub cancel: Notify,
    /// The connection ends: its statements need not be closed one by one.
    pub ending: AtomicBool,
    commands: mpsc::Sender<Command>,
}

impl Peer {
    /// Cancels what the connection is doing; nothing if it is idle.
    pub fn request_cancel(&self) {
        self.cancel_requested.store(true, Ordering::Release);
        self.cancel.notify_one();
    }
}

/// See the module.
pub struct Front {
    requests: EventQueue<Vec<u8>>,
    replies: Mutex<FxHashMap<u64, oneshot::Sender<Bytes>>>,
    peers: Mutex<FxHashMap<u32, Arc<Peer>>>,
    /// Peeks for readers in Python.
    collecting: Mutex<FxHashMap<u64, AbortHandle>>,
    last_request: AtomicU64,
    last_conn: AtomicU32,
    /// Links to replicas, with their peeks and subscriptions.
    pub links: Arc<Links>,
    /// What fast plans look at.
    pub state: Arc<FastState>,
    /// Who commits rows of single-row inserts without Python.
    inserts: OnceLock<Arc<Consensus>>,
    /// Limits.
    pub config: Config,
}

impl Front {
    /// Nobody is connected yet.
    pub fn new(links: Arc<Links>, config: Config) -> io::Result<Arc<Front>> {
        Ok(Arc::new(Front {
            // Each connection has one request on its way and few events, so that the number of
            // connections bounds the queue; it is never waited on.
            requests: EventQueue::new(usize::MAX)?,
            replies: Mutex::default(),
            peers: Mutex::default(),
            collecting: Mutex::default(),
            last_request: AtomicU64::new(0),
            last_conn: AtomicU32::new(0),
            links,
            state: Arc::default(),
            inserts: OnceLock::new(),
            config,
        }))
    }
    /// Names the store that commits rows of single-row inserts, and answers for it; once.
    pub fn set_inserts(&self, store: Arc<Consensus>) {
        store.answer_through(Arc::clone(&self.state) as Arc<dyn Answers>);
        let _ = self.inserts.set(store);
    }
    /// The store that commits rows, while it does.
    pub fn inserts(&self) -> Option<&Arc<Consensus>> {
        self.inserts.get().filter(|store| store.is_granted())
    }
    /// What Python drains: encoded requests.
    pub fn requests(&self) -> &EventQueue<Vec<u8>> {
        &self.requests
    }
    fn lock_replies(&self) -> MutexGuard<'_, FxHashMap<u64, oneshot::Sender<Bytes>>> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn lock_peers(&self) -> MutexGuard<'_, FxHashMap<u32, Arc<Peer>>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn lock_collecting(&self) -> MutexGuard<'_, FxHashMap<u64, AbortHandle>> {
        self.collecting.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn push(&self, id: u64, conn: u32, request: &Request) {
        let addressed = Addressed { id, conn, request };
        let bytes = rmp_serde::to_vec_named(&addressed).expect("plain data always encodes");
        self.requests.push(bytes, 0);
    }
    /// Asks; the reply comes through the receiver, which fails only where Python is gone.
    pub fn ask(&self, conn: u32, request: &Request) -> (u64, oneshot::Receiver<Bytes>) {
        let id = self.last_request.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, receiver) = oneshot::channel();
        self.lock_replies().insert(id, sender);
        self.push(id, conn, request);
        (id, receiver)
    }
    /// Tells.
    pub fn tell(&self, conn: u32, request: &Request) {
        self.push(0, conn, request);
    }
    /// Nobody waits for this reply any more.
    pub fn forget(&self, id: u64) {
        self.lock_replies().remove(&id);
    }
    /// Takes a reply from Python. False where nobody waits for it.
    pub fn reply(&self, id: u64, bytes: Bytes) -> bool {
        let waiting = self.lock_replies().remove(&id);
        waiting.is_some_and(|sender| sender.send(bytes).is_ok())
    }
    /// Takes a word from Python that nobody asked for. False where the connection is gone.
    pub fn command(&self, command: Command) -> bool {
        let conn = match &command {
            Command::SendNotice { conn, .. }
            | Command::SendParameter { conn, .. }
            | Command::CancelConnection { conn }
            | Command::TerminateConnection { conn, .. } => *conn,
        };
        let Some(peer) = self.lock_peers().get(&conn).map(Arc::clone) else { return false };
        match command {
            Command::CancelConnection { .. } => peer.request_cancel(),
            other => return peer.commands.try_send(other).is_ok(),
        }
        true
    }
    /// Registers a new connection; None where there are too many.
    pub fn register(&self) -> io::Result<Option<(Arc<Peer>, mpsc::Receiver<Command>)>> {
        let mut secret = [0u8; SECRET_BYTES];
        fill_random(&mut secret)?;
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let mut peers = self.lock_peers();
        if peers.len() >= self.config.connections_max {
            return Ok(None);
        }
        let conn = loop {
            let conn = self.last_conn.fetch_add(1, Ordering::Relaxed).wrapping_add(1) & (u32::MAX >> 1);
            if conn != 0 && !peers.contains_key(&conn) {
                break conn;
            }
        };
        let peer = Arc::new(Peer {
            conn,
            secret,
            cancel_requested: AtomicBool::new(false),
            cancel: Notify::new(),
            ending: AtomicBool::new(false),
            commands,
        });
        peers.insert(conn, Arc::clone(&peer));
        Ok(Some((peer, receiver)))
    }
    /// Forgets a connection.
    pub fn unregister(&self, conn: u32) {
        self.lock_peers().remove(&conn);
    }
    /// The number of connections.
    pub fn connections(&self) -> usize {
        self.lock_peers().len()
    }
    /// Cancels what connection `process_id` is doing, if `secret` is its own.
    pub fn cancel(&self, process_id: u32, secret: &[u8]) {
        let Some(peer) = self.lock_peers().get(&process_id).map(Arc::clone) else { return };
        let ours = peer.secret.get(..secret.len()).unwrap_or_default();
        let differs = ours.iter().zip(secret).fold(0, |differs, (a, b)| differs | (a ^ b));
        if (secret.len() == 4 || secret.len() == SECRET_BYTES) && differs == 0 {
            peer.request_cancel();
        }
    }
    /// Runs a peek for a reader in Python: `PeekResult` with the returned number follows.
    pub fn collect_peek(self: &Arc<Self>, spec: PeekSpec) -> u64 {
        let execution = self.last_request.fetch_add(1, Ordering::Relaxed) + 1;
        let front = Arc::clone(self);
        let mut collecting = self.lock_collecting();
        let task = runtime().spawn(async move {
            let result = match front.links.peeks().peek(spec) {
                Ok(mut handle) => handle.rows().await,
                Err(error) => Err(error),
            };
            let encoded = result
                .map_err(ErrorFields::from)
                .and_then(|rows| rows.encode().map_err(|error| ErrorFields::new("53000", error.to_string())));
            let (rows, error) = match encoded {
                Ok(rows) => (ByteBuf::from(rows), None),
                Err(error) => (ByteBuf::new(), Some(error)),
            };
            if front.lock_collecting().remove(&execution).is_some() {
                front.tell(0, &Request::PeekResult { execution, rows, error });
            }
        });
        collecting.insert(execution, task.abort_handle());
        execution
    }
    /// Gives a peek for a reader in Python up; no result follows.
    pub fn cancel_peek(&self, execution: u64) {
        if let Some(task) = self.lock_collecting().remove(&execution) {
            task.abort();
        }
    }
}

fn fill_random(secret: &mut [u8]) -> io::Result<()> {
    // SAFETY: the pointer and length are those of a slice that lives through the call.
    let got = unsafe { libc::getrandom(secret.as_mut_ptr().cast(), secret.len(), 0) };
    if usize::try_from(got) == Ok(secret.len()) { Ok(()) } else { Err(io::Error::last_os_error()) }
}
