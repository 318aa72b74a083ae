//! The workers of one process, as its shell and its link see them.

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;

use crossbeam_channel::{Receiver, Sender, unbounded};
use thiserror::Error;
use timely::communication::WorkerGuards;
use timely::{CommunicationConfig, WorkerConfig};

use crate::build::Place;
use crate::gather::{Gather, Responder};
use crate::plan::Frontier;
use crate::protocol::ComputeCommand;
use crate::source::PartBytes;
use crate::worker::{self, WorkerCommand};

/// How many workers there are, and where the other processes of the replica are.
#[derive(Clone, Debug)]
pub struct Config {
    /// Worker threads of this process; the same in all.
    pub workers: usize,
    /// Which process this is.
    pub process: usize,
    /// `host:port` of every process for timely's own connections; empty where there is but one.
    pub addresses: Vec<String>,
}

/// Why workers cannot be started or told.
#[derive(Debug, Error)]
pub enum ServerError {
    /// timely's communication could not be set up.
    #[error("cannot start workers: {0}")]
    Start(String),
    /// A command is not one.
    #[error("malformed command: {0}")]
    Command(#[from] rmp_serde::decode::Error),
    /// The workers have been stopped.
    #[error("the workers have stopped")]
    Stopped,
}

/// Running workers. Dropping it stops them and waits for their threads.
pub struct ComputeServer {
    senders: Vec<Sender<WorkerCommand>>,
    threads: Vec<Thread>,
    guards: Mutex<Option<WorkerGuards<()>>>,
    /// Where the next parts go, so that all workers decode alike much.
    turn: AtomicUsize,
    /// Held while commands are handed to all workers: every worker sees the same order.
    order: Mutex<()>,
    /// timely's network threads. They end with the peer's process, for which nobody waits: kept to the end.
    network: Mutex<Option<Box<dyn Any + Send>>>,
    single: bool,
}

impl ComputeServer {
    /// Starts the workers; returns once all of them run.
    pub fn start(config: &Config, responder: Arc<dyn Responder>) -> Result<Self, ServerError> {
        let processes = config.addresses.len().max(1);
        let communication = if processes == 1 {
            CommunicationConfig::Process(config.workers)
        } else {
            CommunicationConfig::Cluster {
                threads: config.workers,
                process: config.process,
                addresses: config.addresses.clone(),
                report: false,
                zerocopy: false,
            }
        };
        let (builders, network) =
            communication.try_build().map_err(|error| ServerError::Start(error.to_string()))?;
        let gather = Arc::new(Gather::new(config.workers, responder));
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..config.workers).map(|_| unbounded()).unzip();
        let (started_send, started) = unbounded();
        let place = Place { worker: 0, workers: config.workers, process: config.process, processes };
        let main = move |timely: &mut timely::worker::Worker| {
            let place = Place { worker: timely.index() % place.workers, ..place };
            let commands: &Receiver<WorkerCommand> = &receivers[place.worker];
            let _alarm = Alarm;
            // A failed send means that starting was given up, and then so are the commands.
            let _ = started_send.send((place.worker, std::thread::current()));
            worker::run(timely, place, commands, Arc::clone(&gather));
        };
        let guards = timely::execute::execute_from(builders, Box::new(()), WorkerConfig::default(), main)
            .map_err(|error| ServerError::Start(error.to_string()))?;
        let mut threads = Vec::with_capacity(config.workers);
        for _ in 0..config.workers {
            let thread = started.recv().map_err(|_| ServerError::Start("a worker ended at once".into()))?;
            threads.push(thread);
        }
        threads.sort_by_key(|thread| thread.0);
        Ok(ComputeServer {
            senders,
            threads: threads.into_iter().map(|thread| thread.1).collect(),
            guards: Mutex::new(Some(guards)),
            turn: AtomicUsize::new(0),
            order: Mutex::new(()),
            network: Mutex::new(Some(network)),
            single: processes == 1,
        })
    }
    fn send(&self, worker: usize, command: WorkerCommand) -> Result<(), ServerError> {
        self.senders[worker].send(command).map_err(|_| ServerError::Stopped)?;
        self.threads[worker].unpark();
        Ok(())
    }
    fn broadcast(&self, mut command: impl FnMut(usize) -> WorkerCommand) -> Result<(), ServerError> {
        let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        (0..self.senders.len()).try_for_each(|worker| self.send(worker, command(worker)))
    }
    /// Hands a command of the controller to all workers.
    pub fn command(&self, bytes: &[u8]) -> Result<(), ServerError> {
        let command: Arc<ComputeCommand> = Arc::new(rmp_serde::from_slice(bytes)?);
        self.broadcast(|_| WorkerCommand::Compute(Arc::clone(&command)))
    }
    /// Hands what was read from a shard to the workers, each its share; `upper` holds once all is in.
    pub fn feed(&self, token: u64, parts: Vec<PartBytes>, upper: Frontier) -> Result<(), ServerError> {
        let workers = self.senders.len();
        let mut shares: Vec<Vec<PartBytes>> = vec![vec![]; workers];
        for part in parts {
            shares[self.turn.fetch_add(1, Ordering::Relaxed) % workers].push(part);
        }
        self.broadcast(|worker| WorkerCommand::Feed {
            token,
            parts: std::mem::take(&mut shares[worker]),
            upper,
        })
    }
    /// Tells the workers that times before each upper are complete in its import or sink, and then asks sinks
    /// for what they should append in `[lower, upper)`: a `SinkBatch` answers each. The workers wake once for
    /// all: a wake costs more than the news, and what is derived from many imports is computed once.
    pub fn tell(
        &self,
        uppers: &[(u64, Frontier)],
        writes: &[(u64, Frontier, Frontier)],
    ) -> Result<(), ServerError> {
        let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        for (sender, thread) in self.senders.iter().zip(&self.threads) {
            let feeds =
                uppers.iter().map(|&(token, upper)| WorkerCommand::Feed { token, parts: vec![], upper });
            let writes =
                writes.iter().map(|&(token, lower, upper)| WorkerCommand::Write { token, lower, upper });
            for command in feeds.chain(writes) {
                sender.send(command).map_err(|_| ServerError::Stopped)?;
            }
            thread.unpark();
        }
        Ok(())
    }
    /// Stops the workers and waits for their threads. Further commands are refused.
    pub fn stop(&self) {
        let Some(guards) = self.guards.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        // A worker that is gone already needs no telling.
        let _ = self.broadcast(|_| WorkerCommand::Shutdown);
        for result in guards.join() {
            if let Err(error) = result {
                // The panic itself has been printed where it happened.
                drop(error);
            }
        }
        let network = self.network.lock().unwrap_or_else(PoisonError::into_inner).take();
        if !self.single {
            std::mem::forget(network);
        }
    }
}

/// Ends the process where a worker panics: its peers would wait for it for ever, and whoever started the
/// replica starts it anew. Unit tests see the panic instead.
struct Alarm;

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() && !cfg!(test) {
            std::process::abort();
        }
    }
}

impl Drop for ComputeServer {
    fn drop(&mut self) {
        self.stop();
    }
}
