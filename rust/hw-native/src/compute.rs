//! What Python sees of `hw-compute`: the workers of a replica process, and what they ask of its shell.

use crate::link::{CommandSinkHandle, ResponderHandle};
use hw_compute::gather::Responder;
use hw_compute::protocol::ShellRequest;
use hw_compute::server::{ComputeServer as Server, Config};
use hw_compute::source::{Encoding, Half, PartBytes};
use hw_link::Bytes;
use hw_link::events::EventQueue;
use hw_link::server::CommandSink;
use hw_persist::PartFilter;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use std::sync::{Arc, OnceLock};

/// Bytes of requests that wait for the shell, at most; requests are few and small.
const REQUEST_BYTES_MAX: usize = 256 << 20;

/// Where the workers' words go: answers to the link, requests to the shell's queue.
struct Words {
    link: OnceLock<hw_link::server::Responder>,
    answers: EventQueue<(u8, Bytes)>,
    requests: EventQueue<Vec<u8>>,
}

impl Responder for Words {
    fn respond(&self, channel: u8, payload: Bytes) {
        match self.link.get() {
            // False where no controller is connected: the next one is told everything anew.
            Some(link) => {
                link.respond(channel, payload);
            }
            None => {
                let size = payload.len();
                self.answers.push((channel, payload), size);
            }
        }
    }
    fn shell(&self, request: ShellRequest) {
        let encoded = rmp_serde::to_vec_named(&request).expect("requests have no maps with odd keys");
        let size = encoded.len();
        self.requests.push(encoded, size);
    }
}

/// Commands of the controller, on their way from the link to the workers.
struct Commands(Arc<Server>);

impl CommandSink for Commands {
    fn command(&self, _: u8, payload: Bytes) {
        // A controller of our version sends nothing malformed; of another one it was refused.
        if let Err(error) = self.0.command(&payload) {
            eprintln!("command refused: {error}");
        }
    }
}

fn stopped(error: impl ToString) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}

/// `(encoding, half, bytes, stamp, lower, upper, as_of)`: a part, and which of its updates count.
type Part = (String, u8, PyBackedBytes, Option<u64>, u64, Option<u64>, Option<u64>);

fn part(part: Part) -> PyResult<PartBytes> {
    let (encoding, half, bytes, stamp, lower, upper, as_of) = part;
    Ok(PartBytes {
        encoding: match encoding.as_str() {
            "flat" => Encoding::Flat,
            "parquet" => Encoding::Parquet,
            other => return Err(PyValueError::new_err(format!("unknown encoding {other}"))),
        },
        half: if half == 0 { Half::Ok } else { Half::Err },
        bytes: Bytes::from_owner(bytes),
        filter: PartFilter { stamp, lower, upper, as_of },
    })
}

/// The timely workers of this process.
#[pyclass(frozen)]
struct ComputeServer {
    server: Arc<Server>,
    words: Arc<Words>,
}

#[pymethods]
impl ComputeServer {
    /// Starts `workers` threads; with several processes, `addresses` are all of theirs.
    #[new]
    #[pyo3(signature = (workers, process=0, addresses=vec![]))]
    fn new(py: Python<'_>, workers: usize, process: usize, addresses: Vec<String>) -> PyResult<Self> {
        let words = Arc::new(Words {
            link: OnceLock::new(),
            answers: EventQueue::new(REQUEST_BYTES_MAX)?,
            requests: EventQueue::new(REQUEST_BYTES_MAX)?,
        });
        let config = Config { workers, process, addresses };
        let responder = Arc::clone(&words);
        let server = py.detach(|| Server::start(&config, responder)).map_err(stopped)?;
        Ok(ComputeServer { server: Arc::new(server), words })
    }
    /// Hands the workers' answers to a link, and returns who takes its commands.
    fn attach_link(&self, responder: &ResponderHandle) -> CommandSinkHandle {
        self.words.link.get_or_init(|| responder.0.clone());
        CommandSinkHandle(Arc::new(Commands(Arc::clone(&self.server))))
    }
    /// Hands a command to the workers, as the link does.
    fn command(&self, command: &[u8]) -> PyResult<()> {
        self.server.command(command).map_err(stopped)
    }
    /// Gives import or sink `token` parts; times before `upper` are complete once they are in.
    fn feed(&self, token: u64, parts: Vec<Part>, upper: Option<u64>) -> PyResult<()> {
        let parts = parts.into_iter().map(part).collect::<PyResult<Vec<_>>>()?;
        self.server.feed(token, parts, upper).map_err(stopped)
    }
    /// Says of imports and sinks that times before each upper, `(token, upper)`, are complete, then asks
    /// sinks, `(token, lower, upper)`, what `[lower, upper)` lacks.
    fn tell(
        &self,
        uppers: Vec<(u64, Option<u64>)>,
        writes: Vec<(u64, Option<u64>, Option<u64>)>,
    ) -> PyResult<()> {
        self.server.tell(&uppers, &writes).map_err(stopped)
    }
    /// The descriptor that is readable while requests to the shell wait.
    fn fd(&self) -> i32 {
        self.words.requests.fd()
    }
    /// Takes all waiting requests to the shell.
    fn drain<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let requests = self.words.requests.drain(usize::MAX);
        requests.iter().map(|request| PyBytes::new(py, request)).collect()
    }
    /// The descriptor that is readable while answers wait; only without a link.
    fn answers_fd(&self) -> i32 {
        self.words.answers.fd()
    }
    /// Takes all waiting answers, `(channel, payload)`; only without a link.
    fn drain_answers<'py>(&self, py: Python<'py>) -> Vec<(u8, Bound<'py, PyBytes>)> {
        let answers = self.words.answers.drain(usize::MAX);
        answers.iter().map(|(channel, payload)| (*channel, PyBytes::new(py, payload))).collect()
    }
    /// Stops the workers and waits for their threads.
    fn shutdown(&self, py: Python<'_>) {
        py.detach(|| self.server.stop());
    }
}

/// Adds this module's classes and functions to the extension.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ComputeServer>()
}
