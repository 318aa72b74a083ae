//! headwaterd's end: keeps a link to every process of every replica.
//!
//! A replica's processes live and die together: it counts as connected when all of them are, and when
//! one link breaks, all are closed and tried again. Each time it connects it gets a new *incarnation*;
//! what is sent names the incarnation it is meant for, so that a command never overtakes the history
//! that its controller replays first.

use crate::address::Address;
use crate::events::EventQueue;
use crate::frame;
use crate::peeks::{Commands, PeekManager};
use crate::pipe::{self, Incoming, Outbox, Outgoing, PipeError};
use crate::response::{self, Header};
use crate::runtime::runtime;
use crate::server::{ACCEPTED, Hello};
use crate::subscribes::Subscriptions;
use bytes::{Buf, Bytes};
use rustc_hash::FxHashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// The first pause after a failed attempt to connect; each further one is twice as long.
pub const BACKOFF_MIN: Duration = Duration::from_millis(10);
/// The longest pause.
pub const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// Bytes of messages that wait for Python at most; then links are not read.
pub const EVENT_BYTES_MAX: usize = 64 << 20;
const EVENT_OVERHEAD_BYTES: usize = 64;

/// What Python learns.
#[derive(Debug)]
pub enum Event {
    /// All processes of a replica are connected; `greetings` is what they said, by process.
    Connected {
        /// Which.
        replica: String,
        /// Since when.
        incarnation: u64,
        /// What each process answered to the hello.
        greetings: Vec<Bytes>,
    },
    /// The replica is gone; attempts to connect go on.
    Disconnected {
        /// Which.
        replica: String,
        /// Which connection of it.
        incarnation: u64,
        /// Why.
        reason: String,
    },
    /// An attempt to connect failed for a reason not reported just before.
    Unreachable {
        /// Which.
        replica: String,
        /// Why.
        reason: String,
    },
    /// A process of the replica said something that is not for Rust.
    Message {
        /// Which.
        replica: String,
        /// Which connection of it.
        incarnation: u64,
        /// Which process of it.
        process: usize,
        /// On which channel.
        channel: u8,
        /// What.
        payload: Bytes,
    },
}

/// A replica to keep connected.
#[derive(Clone, Debug)]
pub struct ReplicaSpec {
    /// Its id.
    pub replica: String,
    /// The cluster it belongs to.
    pub cluster: String,
    /// One address a process.
    pub addresses: Vec<Address>,
    /// This controller's epoch; a process obeys the newest only.
    pub epoch: u64,
    /// What each process is told first.
    pub hello: Bytes,
}

struct Connection {
    incarnation: u64,
    outboxes: Vec<Arc<Outbox>>,
}

struct Replica {
    spec: Arc<ReplicaSpec>,
    task: JoinHandle<()>,
    connection: Option<Connection>,
    incarnations: u64,
}

/// See the module.
pub struct Links {
    replicas: Mutex<FxHashMap<String, Replica>>,
    events: EventQueue<Event>,
    peeks: Arc<PeekManager>,
    subscriptions: Subscriptions,
}

impl Links {
    /// No replicas yet.
    pub fn new() -> io::Result<Arc<Links>> {
        let events = EventQueue::new(EVENT_BYTES_MAX)?;
        Ok(Arc::new_cyclic(|links: &std::sync::Weak<Links>| Links {
            replicas: Mutex::default(),
            events,
            peeks: PeekManager::new(links.clone()),
            subscriptions: Subscriptions::default(),
        }))
    }
    /// What Python drains.
    pub fn events(&self) -> &EventQueue<Event> {
        &self.events
    }
    /// The peeks over these links.
    pub fn peeks(&self) -> &Arc<PeekManager> {
        &self.peeks
    }
    /// The subscriptions over these links.
    pub fn subscriptions(&self) -> &Subscriptions {
        &self.subscriptions
    }
    fn lock(&self) -> MutexGuard<'_, FxHashMap<String, Replica>> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Begins to connect to a replica, and again whenever a link breaks, until [`Links::disconnect`].
    pub fn connect(self: &Arc<Self>, spec: ReplicaSpec) {
        self.disconnect(&spec.replica);
        let spec = Arc::new(spec);
        let mut replicas = self.lock();
        let task = runtime().spawn(keep_connected(Arc::clone(self), Arc::clone(&spec)));
        let replica = Replica { spec: Arc::clone(&spec), task, connection: None, incarnations: 0 };
        replicas.insert(spec.replica.clone(), replica);
    }
    /// Ends the links to a replica and forgets it. No event follows.
    pub fn disconnect(&self, replica: &str) {
        let Some(gone) = self.lock().remove(replica) else { return };
        gone.task.abort();
        self.peeks.replica_lost(&gone.spec.cluster, replica);
        self.subscriptions.replica_lost(replica);
    }
    /// Sends to every process of a replica, or to one of them.
    ///
    /// False where that incarnation is not connected any more; what was sent may be lost even so when
    /// the link breaks, and then a Disconnected event follows.
    pub fn send(
        &self,
        replica: &str,
        incarnation: u64,
        channel: u8,
        payload: Bytes,
        process: Option<usize>,
    ) -> bool {
        let replicas = self.lock();
        let Some(connection) = replicas.get(replica).and_then(|replica| replica.connection.as_ref()) else {
            return false;
        };
        if connection.incarnation != incarnation {
            return false;
        }
        let to = |at: usize| process.is_none_or(|process| process == at);
        let outboxes = connection.outboxes.iter().enumerate().filter(|(at, _)| to(*at));
        outboxes.fold(true, |sent, (_, outbox)| outbox.push(channel, payload.clone()) && sent)
    }
    /// Says that a replica has been sent its history: pending peeks may follow.
    pub fn ready(&self, replica: &str, incarnation: u64) -> bool {
        let replicas = self.lock();
        let Some(found) = replicas.get(replica) else { return false };
        let Some(connection) = &found.connection else { return false };
        if connection.incarnation != incarnation {
            return false;
        }
        let (cluster, processes) = (found.spec.cluster.clone(), connection.outboxes.len());
        drop(replicas);
        self.peeks.replica_ready(&cluster, replica, processes);
        true
    }
    fn connected(&self, spec: &ReplicaSpec, outboxes: Vec<Arc<Outbox>>) -> Option<u64> {
        let mut replicas = self.lock();
        let replica = replicas.get_mut(&spec.replica)?;
        replica.incarnations += 1;
        replica.connection = Some(Connection { incarnation: replica.incarnations, outboxes });
        Some(replica.incarnations)
    }
    fn lost(&self, spec: &ReplicaSpec) {
        if let Some(replica) = self.lock().get_mut(&spec.replica) {
            replica.connection = None;
        }
        self.peeks.replica_lost(&spec.cluster, &spec.replica);
        self.subscriptions.replica_lost(&spec.replica);
    }
    fn read_response(
        &self,
        spec: &ReplicaSpec,
        process: usize,
        payload: Bytes,
    ) -> Result<(), response::ResponseError> {
        let (header, body) = response::decode(payload)?;
        match header {
            Header::Peek { .. } => self.peeks.respond(&spec.cluster, &spec.replica, header, &body),
            Header::Subscribe { id, upper, errors, .. } => {
                let Some(subscription) = self.subscriptions.get(&id) else { return Ok(()) };
                let split = body.len().checked_sub(errors).ok_or(response::ResponseError::Truncated)?;
                let halves = (response::updates(&body[..split])?, response::updates(&body[split..])?);
                subscription.respond(&spec.replica, process, spec.addresses.len(), halves, upper);
            }
        }
        Ok(())
    }
}

impl Commands for Links {
    fn command(&self, replica: &str, payload: Bytes) {
        let replicas = self.lock();
        if let Some(connection) = replicas.get(replica).and_then(|replica| replica.connection.as_ref()) {
            for outbox in &connection.outboxes {
                outbox.push(frame::COMPUTE, payload.clone());
            }
        }
    }
}

async fn keep_connected(links: Arc<Links>, spec: Arc<ReplicaSpec>) {
    let mut pause = BACKOFF_MIN;
    let mut last_reason = String::new();
    loop {
        match open_all(&spec).await {
            Ok(pipes) => {
                pause = BACKOFF_MIN;
                last_reason.clear();
                run_all(&links, &spec, pipes).await;
            }
            Err(error) => {
                let reason = error.to_string();
                if reason != last_reason {
                    last_reason.clone_from(&reason);
                    links.events.push(Event::Unreachable { replica: spec.replica.clone(), reason }, 0);
                }
                sleep(pause).await;
                pause = (pause * 2).min(BACKOFF_MAX);
            }
        }
    }
}

type Pipe = (Incoming, Outgoing, Bytes);

async fn open_all(spec: &ReplicaSpec) -> Result<Vec<Pipe>, PipeError> {
    let mut pipes = Vec::with_capacity(spec.addresses.len());
    for address in &spec.addresses {
        let (mut incoming, mut outgoing) = pipe::open(address.connect().await?);
        let hello = Hello { epoch: spec.epoch, message: spec.hello.clone() };
        outgoing.send(frame::HELLO, &hello.encode()).await?;
        let mut answer = incoming.hello().await?;
        if answer.is_empty() {
            return Err(PipeError::Hello("an empty answer to the hello".into()));
        }
        if answer.get_u8() != ACCEPTED {
            return Err(PipeError::Hello(String::from_utf8_lossy(&answer).into_owned()));
        }
        pipes.push((incoming, outgoing, answer));
    }
    Ok(pipes)
}

/// Runs a replica's links until the first of them ends.
async fn run_all(links: &Arc<Links>, spec: &Arc<ReplicaSpec>, pipes: Vec<Pipe>) {
    let outboxes: Vec<Arc<Outbox>> = pipes.iter().map(|_| Arc::default()).collect();
    let greetings = pipes.iter().map(|(_, _, greeting)| greeting.clone()).collect();
    let Some(incarnation) = links.connected(spec, outboxes.clone()) else { return };
    let replica = spec.replica.clone();
    links.events.push(Event::Connected { replica, incarnation, greetings }, 0);
    let mut running = JoinSet::new();
    for (process, ((incoming, outgoing, _), outbox)) in pipes.into_iter().zip(outboxes).enumerate() {
        let mut receiver =
            Receiver { links: Arc::clone(links), spec: Arc::clone(spec), incarnation, process };
        running.spawn(async move { pipe::run(incoming, outgoing, outbox, &mut receiver).await });
    }
    let reason = match running.join_next().await {
        Some(Ok(error)) => error.to_string(),
        _ => "the link's task failed".to_owned(),
    };
    running.shutdown().await;
    links.lost(spec);
    let replica = spec.replica.clone();
    links.events.push(Event::Disconnected { replica, incarnation, reason }, 0);
}

struct Receiver {
    links: Arc<Links>,
    spec: Arc<ReplicaSpec>,
    incarnation: u64,
    process: usize,
}

impl pipe::Receiver for Receiver {
    async fn frame(&mut self, channel: u8, payload: Bytes) {
        let links = &self.links;
        if channel == frame::READS {
            // A response we cannot read is a bug or another version: the peek it belongs to stays
            // pending, and Python is told as of any other message.
            if links.read_response(&self.spec, self.process, payload.clone()).is_ok() {
                return;
            }
        }
        let bytes = payload.len() + EVENT_OVERHEAD_BYTES;
        let event = Event::Message {
            replica: self.spec.replica.clone(),
            incarnation: self.incarnation,
            process: self.process,
            channel,
            payload,
        };
        links.events.push_bounded(event, bytes).await;
    }
}
