//! What Python sees of `hw-front`: the queue of requests, replies, commands, and the fast path's numbers.

use crate::consensus::Consensus;
use crate::link::Links;
use hw_front::copy_file::{FileReader, encode_file};
use hw_front::fast::FastState;
use hw_front::front::{self, Config};
use hw_front::protocol::{Command, ErrorFields, ResultColumn};
use hw_front::server::Listening;
use hw_link::Bytes;
use hw_link::peeks::PeekSpec;
use hw_types::flat::Updates;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex, PoisonError};

/// The wire protocol's front end. Messages are MessagePack; see `headwater.pgwire.protocol`.
#[pyclass(frozen)]
struct Front {
    front: Arc<front::Front>,
    listening: Mutex<Vec<Listening>>,
}

fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> PyResult<T> {
    rmp_serde::from_slice(bytes).map_err(|error| PyValueError::new_err(error.to_string()))
}

#[pymethods]
impl Front {
    #[new]
    #[pyo3(signature = (links, connections_max=None, message_bytes_max=None))]
    fn new(
        links: &Links,
        connections_max: Option<usize>,
        message_bytes_max: Option<usize>,
    ) -> PyResult<Self> {
        let defaults = Config::default();
        let config = Config {
            connections_max: connections_max.unwrap_or(defaults.connections_max),
            message_bytes_max: message_bytes_max.unwrap_or(defaults.message_bytes_max),
        };
        let front = front::Front::new(Arc::clone(&links.0), config)?;
        Ok(Front { front, listening: Mutex::default() })
    }
    /// Listens at `host:port` and returns the address, with a real port.
    #[pyo3(signature = (address, *, internal=false))]
    fn listen(&self, py: Python<'_>, address: &str, internal: bool) -> PyResult<String> {
        let listening = py.detach(|| Listening::new(&self.front, address, internal))?;
        let address = listening.address().to_string();
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).push(listening);
        Ok(address)
    }
    /// Stops listening; connections go on.
    fn close(&self) {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
    /// Names the store that commits rows of single-row inserts under a grant; once.
    fn set_inserts(&self, store: &Consensus) {
        self.front.set_inserts(Arc::clone(&store.0));
    }
    fn fd(&self) -> i32 {
        self.front.requests().fd()
    }
    /// Takes up to `max` requests.
    fn drain<'py>(&self, py: Python<'py>, max: usize) -> Vec<Bound<'py, PyBytes>> {
        self.front.requests().drain(max).iter().map(|request| PyBytes::new(py, request)).collect()
    }
    /// Answers request `id`; false where nobody waits for it any more.
    fn reply(&self, id: u64, reply: &[u8]) -> bool {
        self.front.reply(id, Bytes::copy_from_slice(reply))
    }
    /// Tells a connection something unasked; false where it is gone, or too busy for a notice.
    fn command(&self, command: &[u8]) -> PyResult<bool> {
        Ok(self.front.command(decoded::<Command>(command)?))
    }
    /// Starts a `PeekSource`; a `PeekResult` request with the returned number follows.
    fn collect_peek(&self, source: &[u8]) -> PyResult<u64> {
        Ok(self.front.collect_peek(decoded::<PeekSpec>(source)?))
    }
    /// Gives a peek of `collect_peek` up; no result follows.
    fn cancel_peek(&self, number: u64) {
        self.front.cancel_peek(number);
    }
    /// The number of connections.
    fn connections(&self) -> usize {
        self.front.connections()
    }
    /// The fast path's numbers.
    #[getter]
    fn state(&self) -> FrontState {
        FrontState(Arc::clone(&self.front.state))
    }
}

/// What prepared point reads look at, so that they need not ask.
#[pyclass(frozen)]
struct FrontState(Arc<FastState>);

#[pymethods]
impl FrontState {
    /// Plans made for other versions do not apply any more.
    fn set_catalog_version(&self, version: u64) {
        self.0.set_catalog_version(version);
    }
    /// The oracle's read timestamp; to be told before a write at it is acknowledged.
    fn set_read_ts(&self, read_ts: u64) {
        self.0.set_read_ts(read_ts);
    }
    /// The same, rounds of the store's own included.
    fn read_ts(&self) -> u64 {
        self.0.read_ts()
    }
    /// Until when no other server has acknowledged anything: nanoseconds of the monotonic clock.
    fn set_lease_until(&self, until_ns: u64) {
        self.0.set_lease_until(until_ns);
    }
    /// An index can be read from `since` on; to be told before AllowCompaction is sent.
    fn set_index_since(&self, id: &str, since: u64) {
        self.0.set_index_since(id, since);
    }
    /// An index can be read before `upper` without waiting; for serializable reads.
    fn set_index_upper(&self, id: &str, upper: u64) {
        self.0.set_index_upper(id, upper);
    }
    /// An index is gone.
    fn drop_index(&self, id: &str) {
        self.0.drop_index(id);
    }
}

/// What was made, or the error's fields; see `headwater.pgwire.protocol`.
type Made<T> = (T, Option<Py<PyBytes>>);

/// Where in a file it happened is all the detail there is: nobody but us can tell a client of a context.
fn fields(py: Python<'_>, mut error: ErrorFields) -> Option<Py<PyBytes>> {
    if error.detail.is_empty() {
        error.detail = std::mem::take(&mut error.context);
    }
    let fields = rmp_serde::to_vec_named(&error).expect("plain data always encodes");
    Some(PyBytes::new(py, &fields).unbind())
}

fn updates(rows: &[u8]) -> PyResult<Updates> {
    Updates::decode(rows).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Writes rows as COPY does, from number `from_row` on until the file has `bytes_max` bytes.
#[pyfunction]
fn copy_encode(
    py: Python<'_>,
    format: &[u8],
    columns: &[u8],
    rows: &[u8],
    from_row: usize,
    bytes_max: usize,
) -> PyResult<Made<(Py<PyBytes>, usize)>> {
    let (format, columns, rows) = (decoded(format)?, decoded::<Vec<ResultColumn>>(columns)?, updates(rows)?);
    let made = py.detach(|| encode_file(&format, &columns, &rows, from_row, bytes_max));
    Ok(match made {
        Ok((file, next)) => ((PyBytes::new(py, &file).unbind(), next), None),
        Err(error) => ((PyBytes::new(py, b"").unbind(), from_row), fields(py, error)),
    })
}

/// Reads a file as COPY does.
#[pyclass]
struct CopyReader(FileReader);

#[pymethods]
impl CopyReader {
    #[new]
    fn new(table: String, format: &[u8], columns: &[u8]) -> PyResult<Self> {
        Ok(CopyReader(FileReader::new(table, decoded(columns)?, &decoded(format)?)))
    }
    /// The rows that end in this chunk; None is the end of the file.
    #[pyo3(signature = (chunk))]
    fn feed(&mut self, py: Python<'_>, chunk: Option<&[u8]>) -> PyResult<Made<Py<PyBytes>>> {
        let rows = py.detach(|| self.0.feed(chunk));
        let encoded = match &rows {
            Ok(rows) => rows.encode().map_err(|error| PyValueError::new_err(error.to_string()))?,
            Err(_) => vec![],
        };
        Ok((PyBytes::new(py, &encoded).unbind(), rows.err().and_then(|error| fields(py, error))))
    }
}

/// Adds this module's classes and functions to the extension.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Front>()?;
    module.add_class::<CopyReader>()?;
    module.add_function(wrap_pyfunction!(copy_encode, module)?)?;
    module.add_class::<FrontState>()
}
