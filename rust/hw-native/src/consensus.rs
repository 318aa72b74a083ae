//! What Python sees of `hw-consensus`: the store, its events, and the grant that it commits rows under.

use hw_consensus::grant::Grant;
use hw_consensus::owner::{self, Done, Event, Request};
use hw_consensus::store::{Cas, StoreError};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyTuple};
use std::path::PathBuf;
use std::sync::Arc;

/// A store in one SQLite file. Whatever is asked has a number, which the event with its result names.
#[pyclass(frozen)]
pub struct Consensus(pub Arc<owner::Consensus>);

#[pymethods]
impl Consensus {
    /// Opens or makes the store; a failure is a `ValueError(kind, detail)`.
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let opened = py.detach(|| owner::Consensus::open(&path));
        opened.map(|store| Consensus(Arc::new(store))).map_err(|error| {
            let (kind, detail) = described(&error);
            PyValueError::new_err((kind, detail))
        })
    }
    fn fd(&self) -> i32 {
        self.0.events().fd()
    }
    /// Takes up to `max` events: tuples that begin with their kind.
    fn drain<'py>(&self, py: Python<'py>, max: usize) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        self.0.events().drain(max).into_iter().map(|event| shown(py, event)).collect()
    }
    /// Applies all `(shard, newest version, data)` or none.
    fn commit(&self, id: u64, ops: Vec<(String, u64, PyBackedBytes)>) -> PyResult<()> {
        let cas = |(shard, expected, data): (String, u64, PyBackedBytes)| Cas {
            shard,
            expected,
            data: data.to_vec(),
        };
        self.ask(Request::Commit { id, ops: ops.into_iter().map(cas).collect() })
    }
    fn scan(&self, id: u64, shard: String, from_seqno: u64) -> PyResult<()> {
        self.ask(Request::Scan { id, shard, from: from_seqno })
    }
    fn truncate(&self, id: u64, shard: String, before: u64) -> PyResult<()> {
        self.ask(Request::Truncate { id, shard, before })
    }
    fn list_shards(&self, id: u64) -> PyResult<()> {
        self.ask(Request::List { id })
    }
    #[pyo3(signature = (id, name, value=None))]
    fn pragma(&self, id: u64, name: String, value: Option<i64>) -> PyResult<()> {
        self.ask(Request::Pragma { id, name, value })
    }
    /// Lends the store a shard: it commits rows to it from now on. `token`: eight bytes.
    #[pyo3(signature = (*, shard, seqno, upper, open, epoch, catalog_version, inline_bytes_max, token))]
    #[allow(clippy::too_many_arguments)]
    fn give(
        &self,
        shard: String,
        seqno: u64,
        upper: u64,
        open: bool,
        epoch: u64,
        catalog_version: u64,
        inline_bytes_max: usize,
        token: [u8; 8],
    ) -> PyResult<()> {
        let grant = Grant { shard, seqno, upper, open, epoch, catalog_version, inline_bytes_max, token };
        self.ask(Request::Give(grant))
    }
    /// Has the store take rows already: the shard will be lent soon.
    fn announce(&self) -> PyResult<()> {
        self.ask(Request::Announce)
    }
    /// Takes the shard back; all rounds are told before the result is. `soon`: it is lent again soon.
    #[pyo3(signature = (id, *, soon))]
    fn take_back(&self, id: u64, soon: bool) -> PyResult<()> {
        self.ask(Request::TakeBack { id, soon })
    }
    /// Has all times up to `time` completed, while the shard is lent.
    fn nudge(&self, time: u64) -> PyResult<()> {
        self.ask(Request::Nudge(time))
    }
    /// Finishes what was asked and closes the file.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

impl Consensus {
    fn ask(&self, request: Request) -> PyResult<()> {
        self.0.ask(request).then_some(()).ok_or_else(|| PyOSError::new_err("the consensus store is closed"))
    }
}

fn described(error: &StoreError) -> (&'static str, String) {
    let kind = match error {
        StoreError::Full => "full",
        StoreError::Newer(_) => "newer",
        StoreError::Damaged(_) => "damaged",
        StoreError::Failed(_) => "failed",
    };
    (kind, error.to_string())
}

fn shown(py: Python<'_>, event: Event) -> PyResult<Bound<'_, PyTuple>> {
    match event {
        Event::Done { id, done } => match done {
            Done::Committed(mismatched) => ("done", id, mismatched).into_pyobject(py),
            Done::Versions(versions) => {
                let versions: Vec<_> =
                    versions.into_iter().map(|(seqno, data)| (seqno, PyBytes::new(py, &data))).collect();
                ("done", id, versions).into_pyobject(py)
            }
            Done::Shards(shards) => ("done", id, shards).into_pyobject(py),
            Done::Number(number) => ("done", id, number).into_pyobject(py),
            Done::Nothing => ("done", id, py.None()).into_pyobject(py),
            Done::Failed(error) => ("failed", id, described(&error)).into_pyobject(py),
        },
        Event::Round { cas, time, began_ns, tables } => {
            let data = PyBytes::new(py, &cas.data);
            ("round", cas.shard, cas.expected, data, time, began_ns, tables).into_pyobject(py)
        }
        Event::Ended => ("ended",).into_pyobject(py),
    }
}

/// Adds this module's classes and functions to the extension.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Consensus>()
}
