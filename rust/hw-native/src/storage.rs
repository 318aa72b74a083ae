//! What Python sees of `hw-storage`.

use hw_expr::{format, parse};
use hw_storage::generator::{self, Generator, Options, Outputs};
use hw_storage::sink::kafka::{KafkaWriter as Writer, Options as SinkOptions};
use hw_storage::source::bindings;
use hw_storage::source::kafka::{
    self, Connection, KafkaReader as Reader, Options as KafkaOptions, SourceError, Span,
};
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
use std::time::Duration;

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
        Ok(LoadGenerator(Mutex::new(generator::generator(&options, from_text).map_err(invalid)?)))
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

type Halves<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

type Taken<'py> = (Option<(Vec<Halves<'py>>, BTreeMap<i32, i64>, u64, u64)>, Option<(bool, String)>, bool);

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
    /// Starts to read at `resume` (partition → next offset) and up to `until`, if that is given, with
    /// the outputs' snapshots `held`: pairs of rows and errors (flat). `ready_fd` is an eventfd: it is
    /// written when there is something to take.
    #[new]
    fn new(
        options: &[u8],
        resume: BTreeMap<i32, i64>,
        until: Option<BTreeMap<i32, i64>>,
        held: Vec<(Vec<u8>, Vec<u8>)>,
        ready_fd: RawFd,
    ) -> PyResult<Self> {
        let options: KafkaOptions = rmp_serde::from_slice(options).map_err(invalid)?;
        let decoded = |(rows, errors): &(Vec<u8>, Vec<u8>)| {
            Ok((Updates::decode(rows).map_err(invalid)?, Updates::decode(errors).map_err(invalid)?))
        };
        let held: Vec<(Updates, Updates)> = held.iter().map(decoded).collect::<PyResult<_>>()?;
        let ready = Box::new(move || signal(ready_fd));
        let reader = Reader::start(options, from_text, Span { resume, until }, &held, ready);
        Ok(KafkaReader(Mutex::new(Some(reader.map_err(source_error)?))))
    }

    /// Takes `(([(updates, errors) of each output], offsets, messages, bytes) | None, (definite, problem) | None,
    /// whether the snapshot goes on)`.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Taken<'py>> {
        let Some(taken) = py.detach(|| self.lock().as_ref().map(Reader::take)) else {
            return Ok((None, None, false));
        };
        let encoded = |updates: &Updates| -> PyResult<Bound<'py, PyBytes>> {
            Ok(PyBytes::new(py, &py.detach(|| updates.consolidate().encode()).map_err(invalid)?))
        };
        let batch = match taken.batch {
            None => None,
            Some(batch) => {
                let halves = batch.outputs.iter();
                let outputs = halves.map(|(rows, errors)| Ok((encoded(rows)?, encoded(errors)?)));
                let outputs = outputs.collect::<PyResult<_>>()?;
                Some((outputs, batch.offsets, batch.messages, batch.bytes))
            }
        };
        let problem =
            taken.problem.map(|problem| (matches!(problem, SourceError::Definite(_)), problem.to_string()));
        Ok((batch, problem, taken.more))
    }

    /// How the reader stands: `(whether it reads, offsets known upstream, offsets of the snapshot,
    /// records indexed, bytes indexed)`.
    fn gauges(&self) -> (bool, i64, i64, u64, u64) {
        let found = self.lock().as_ref().map(Reader::gauges).unwrap_or_default();
        (found.reading, found.known, found.snapshot, found.records_indexed, found.bytes_indexed)
    }

    /// Lets the consumer group know, soon, that everything before these offsets is durable.
    fn commit(&self, offsets: BTreeMap<i32, i64>) {
        if let Some(reader) = self.lock().as_ref() {
            reader.commit(offsets);
        }
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

/// The number of a topic's partitions, 0 if there is no such topic; `None` asks for all topics, to see
/// whether the brokers answer. `connection` is a msgpack `KafkaConnection`.
#[pyfunction]
fn kafka_partition_count(
    py: Python<'_>,
    connection: &[u8],
    topic: Option<&str>,
    timeout_ms: u64,
) -> PyResult<usize> {
    let connection: Connection = rmp_serde::from_slice(connection).map_err(invalid)?;
    let timeout = Duration::from_millis(timeout_ms);
    py.detach(|| kafka::partition_count(&connection, topic, timeout)).map_err(source_error)
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
    module.add_function(wrap_pyfunction!(kafka_partition_count, module)?)?;
    module.add_function(wrap_pyfunction!(kafka_binding, module)?)?;
    module.add_function(wrap_pyfunction!(kafka_offsets, module)?)
}
