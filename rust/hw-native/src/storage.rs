//! What Python sees of `hw-storage`.

use hw_expr::{format, parse};
use hw_storage::generator::{self, Generator, Options, Outputs};
use hw_storage::sink::kafka::{KafkaWriter as Writer, Options as SinkOptions};
use hw_storage::source::bindings;
use hw_storage::source::kafka::{KafkaReader as Reader, Options as KafkaOptions, SourceError};
use hw_types::datum::Datum;
use hw_types::flat::Updates;
use hw_types::relation::RelationDesc;
use hw_types::scalar::ScalarType;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

create_exception!(_native, SourceUnavailable, PyException, "The external system is out of reach for now.");
create_exception!(_native, SourceDefinite, PyException, "The source can't go on: trying again won't help.");

fn invalid(error: impl ToString) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn source_error(error: SourceError) -> PyErr {
    match error {
        SourceError::External(text) => SourceUnavailable::new_err(text),
        SourceError::Definite(text) => SourceDefinite::new_err(text),
    }
}

fn from_text(ty: &ScalarType, text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    parse::push_from_text(ty, text, out).map_err(|error| error.to_string())
}

fn to_text(ty: &ScalarType, datum: Datum<'_>, out: &mut Vec<u8>) {
    format::text(ty, datum, out);
}

/// A load generator; `options` is a msgpack `LoadGeneratorSource`.
#[pyclass(frozen)]
struct LoadGenerator(Mutex<Box<dyn Generator>>);

#[pymethods]
impl LoadGenerator {
    #[new]
    fn new(options: &[u8]) -> PyResult<Self> {
        let options: Options = rmp_serde::from_slice(options).map_err(invalid)?;
        Ok(LoadGenerator(Mutex::new(generator::generator(&options).map_err(invalid)?)))
    }

    /// Makes one step of a round: `([(output, flat updates)], whether there is another step)`.
    fn step<'py>(&self, py: Python<'py>, offset: u64, step: u64, now_micros: i64) -> PyResult<Step<'py>> {
        let (made, more) = py.detach(|| {
            let mut generator = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let mut outputs = Outputs::default();
            let more = generator.step(offset, step, now_micros, &mut outputs);
            let encode =
                |(name, updates): (&&'static str, &Updates)| Ok((*name, updates.consolidate().encode()?));
            let made: Result<Vec<_>, hw_types::flat::FlatError> = outputs.0.iter().map(encode).collect();
            (made, more)
        });
        let made = made.map_err(invalid)?.into_iter();
        Ok((made.map(|(name, bytes)| (name, PyBytes::new(py, &bytes))).collect(), more))
    }
}

/// Updates by output, and whether there is another step.
type Step<'py> = (Vec<(&'static str, Bound<'py, PyBytes>)>, bool);

type Taken<'py> = (
    Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>, BTreeMap<i32, i64>, u64, u64)>,
    Option<(bool, String)>,
    i64,
);

/// A Kafka topic's reader; `options` is a msgpack `KafkaSource`.
#[pyclass(frozen)]
struct KafkaReader(Mutex<Option<Reader>>);

impl KafkaReader {
    fn lock(&self) -> MutexGuard<'_, Option<Reader>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl KafkaReader {
    /// Starts to read at `resume` (partition → next offset), with the output's snapshot `rows` and
    /// `errors` (flat). `ready_fd` is an eventfd: it is written when there is something to take.
    #[new]
    fn new(
        options: &[u8],
        resume: BTreeMap<i32, i64>,
        rows: &[u8],
        errors: &[u8],
        ready_fd: RawFd,
    ) -> PyResult<Self> {
        let options: KafkaOptions = rmp_serde::from_slice(options).map_err(invalid)?;
        let rows = Updates::decode(rows).map_err(invalid)?;
        let errors = Updates::decode(errors).map_err(invalid)?;
        let ready = Box::new(move || signal(ready_fd));
        let reader = Reader::start(options, from_text, resume, (&rows, &errors), ready);
        Ok(KafkaReader(Mutex::new(Some(reader.map_err(source_error)?))))
    }

    /// Takes `((updates, errors, offsets, messages, bytes) | None, (definite, problem) | None,
    /// offsets known upstream)`.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Taken<'py>> {
        let (batch, problem, known) =
            py.detach(|| self.lock().as_ref().map(Reader::take)).unwrap_or_default();
        let encoded = |updates: &Updates| -> PyResult<Bound<'py, PyBytes>> {
            Ok(PyBytes::new(py, &py.detach(|| updates.consolidate().encode()).map_err(invalid)?))
        };
        let batch = match batch {
            None => None,
            Some(batch) => Some((
                encoded(&batch.updates)?,
                encoded(&batch.errors)?,
                batch.offsets,
                batch.messages,
                batch.bytes,
            )),
        };
        let problem =
            problem.map(|problem| (matches!(problem, SourceError::Definite(_)), problem.to_string()));
        Ok((batch, problem, known))
    }

    /// Stops the reader's thread.
    fn close(&self, py: Python<'_>) {
        py.detach(|| drop(self.lock().take()));
    }
}

fn signal(fd: RawFd) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: `one` is 8 readable bytes; writing to a descriptor that is not an eventfd (any more)
    // fails or writes 8 bytes, neither of which touches our memory. The owner closes the descriptor
    // only after `close` has ended the thread that calls this.
    unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) };
}

/// A Kafka topic's writer; `options` is a msgpack `KafkaSink`, `desc` a msgpack `RelationDesc`.
#[pyclass(frozen)]
struct KafkaWriter(Mutex<Writer>);

#[pymethods]
impl KafkaWriter {
    /// Makes topics, fences older writers, finds the progress. Blocks without the interpreter.
    #[new]
    fn new(py: Python<'_>, options: &[u8], desc: &[u8]) -> PyResult<Self> {
        let options: SinkOptions = rmp_serde::from_slice(options).map_err(invalid)?;
        let desc: RelationDesc = rmp_serde::from_slice(desc).map_err(invalid)?;
        let writer = py.detach(|| Writer::open(options, &desc, to_text)).map_err(source_error)?;
        Ok(KafkaWriter(Mutex::new(writer)))
    }

    /// The time before which everything is written already.
    fn progress(&self) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).progress()
    }

    /// Writes the changes in the flat batches before `frontier` in one transaction; returns records
    /// and bytes.
    fn write(
        &self,
        py: Python<'_>,
        batches: Vec<Vec<u8>>,
        frontier: u64,
        version: u64,
    ) -> PyResult<(u64, u64)> {
        py.detach(|| {
            let mut all = Updates::new();
            for batch in &batches {
                let updates = Updates::decode(batch).map_err(invalid)?;
                updates.iter().for_each(|(row, time, diff)| all.push(row, time, diff));
            }
            let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            writer.write(&all.consolidate(), frontier, version).map_err(source_error)
        })
    }
}

/// The row that binds a Kafka partition to the offset it was read up to.
#[pyfunction]
fn kafka_binding<'py>(py: Python<'py>, partition: i32, offset: u64) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &bindings::kafka_row(partition, offset))
}

/// The offsets that the rows of a remap collection (flat) say, by partition.
#[pyfunction]
fn kafka_offsets(rows: &[u8]) -> PyResult<BTreeMap<i32, i64>> {
    bindings::kafka_offsets(&Updates::decode(rows).map_err(invalid)?).map_err(invalid)
}

/// A flat batch with times forgotten and diffs summed: a collection's contents.
#[pyfunction]
fn consolidate_times<'py>(py: Python<'py>, batch: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let updates = Updates::decode(batch).map_err(invalid)?;
    Ok(PyBytes::new(py, &py.detach(|| updates.consolidate_times().encode()).map_err(invalid)?))
}

/// Adds this module's classes and functions to the extension.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("SourceUnavailable", module.py().get_type::<SourceUnavailable>())?;
    module.add("SourceDefinite", module.py().get_type::<SourceDefinite>())?;
    module.add_class::<LoadGenerator>()?;
    module.add_class::<KafkaReader>()?;
    module.add_class::<KafkaWriter>()?;
    module.add_function(wrap_pyfunction!(consolidate_times, module)?)?;
    module.add_function(wrap_pyfunction!(kafka_binding, module)?)?;
    module.add_function(wrap_pyfunction!(kafka_offsets, module)?)
}
