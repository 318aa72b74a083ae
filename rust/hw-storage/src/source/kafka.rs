//! A Kafka topic: one thread polls, decodes, applies the envelope, and gathers a batch until it is
//! taken. When a batch is full the thread waits, and librdkafka's own queue fills: back-pressure.
//!
//! Offsets are ours: no consumer group membership, no committing upstream for correctness. Read
//! committed; transaction markers take offsets, so offsets are sparse.

use crate::decode::{Decoder, Format, FromText};
use crate::envelope::{Upsert, error_row};
use hw_types::container::push_end;
use hw_types::datum::Datum;
use hw_types::flat::Updates;
use hw_types::row::{push_datum, push_int, push_null, push_text, push_uint};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use thiserror::Error;

/// A batch that waits to be taken is full at this many bytes of rows,
pub const BATCH_BYTES_MAX: usize = 16 << 20;
/// or this many messages.
pub const BATCH_MESSAGES_MAX: u64 = 200_000;
/// How long one request to the broker may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the thread waits for a message before it looks around.
const POLL: Duration = Duration::from_millis(50);
/// Messages handled between two looks at the shared state.
const BURST: usize = 512;

/// Why a source can't be read.
#[derive(Clone, Debug, Error)]
pub enum SourceError {
    /// The broker is out of reach, for now.
    #[error("{0}")]
    External(String),
    /// What was read before is gone, or was never there: trying again can't help.
    #[error("{0}")]
    Definite(String),
}

/// `ir.ingestion.KafkaSource`, as far as the reader needs it.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Options {
    pub connection: Connection,
    pub topic: String,
    pub group_id: String,
    pub key_format: Option<Format>,
    pub value_format: Format,
    pub envelope: Envelope,
    #[serde(default)]
    pub include: Vec<Include>,
    #[serde(default)]
    pub include_key: Vec<String>,
    #[serde(default)]
    pub start_offsets: Vec<i64>,
    #[serde(default)]
    pub start_timestamp_ms: Option<i64>,
    pub metadata_refresh_ms: u64,
}

/// How to reach the brokers.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Connection {
    pub brokers: String,
    pub options: BTreeMap<String, String>,
}

impl Connection {
    /// A client configuration with the connection's own options set.
    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        for (name, value) in &self.options {
            config.set(name, value);
        }
        config.set_log_level(RDKafkaLogLevel::Critical);
        config
    }
}

/// What a message means.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Envelope {
    None,
    Upsert { inline_errors: Option<String> },
    Debezium,
}

/// A metadata column.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Include {
    pub what: String,
    #[serde(default)]
    pub header: String,
    #[serde(default)]
    pub as_bytes: bool,
}

/// What was read since the last batch was taken.
#[derive(Debug, Default)]
pub struct Batch {
    /// Updates of the ok half; times are 0.
    pub updates: Updates,
    /// Updates of the error half.
    pub errors: Updates,
    /// For each partition that moved, the offset before which everything is in this batch or an
    /// earlier one.
    pub offsets: BTreeMap<i32, i64>,
    /// Messages read.
    pub messages: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

#[derive(Default)]
struct State {
    batch: Batch,
    known: BTreeMap<i32, i64>,
    problem: Option<SourceError>,
    stop: bool,
}

struct Shared {
    state: Mutex<State>,
    taken: Condvar,
    ready: Box<dyn Fn() + Send + Sync>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running reader; dropping it stops its thread.
pub struct KafkaReader {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl KafkaReader {
    /// Starts to read at `resume` (next offset by partition; others from the start that the options
    /// ask for). `held` is the output's snapshot, for envelopes that need it. `ready` is called, on
    /// the reader's thread, when there is something to take where there was nothing.
    pub fn start(
        options: Options,
        from_text: FromText,
        resume: BTreeMap<i32, i64>,
        held: (&Updates, &Updates),
        ready: Box<dyn Fn() + Send + Sync>,
    ) -> Result<KafkaReader, SourceError> {
        let mut decoding = Decoding::new(&options, from_text)?;
        if let Some(upsert) = &mut decoding.upsert {
            upsert.load(held.0, held.1, decoding.key.as_ref().map_or(0, Decoder::arity));
        }
        let state = Mutex::new(State::default());
        let shared = Arc::new(Shared { state, taken: Condvar::new(), ready });
        let its = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(format!("kafka {}", options.topic))
            .spawn(move || Poller { options, decoding, shared: its, next: resume }.run())
            .map_err(|error| SourceError::External(error.to_string()))?;
        Ok(KafkaReader { shared, thread: Some(thread) })
    }
    /// Takes what was read, if anything; what stands against reading, if anything does; and the sum
    /// of the offsets known upstream.
    pub fn take(&self) -> (Option<Batch>, Option<SourceError>, i64) {
        let mut state = self.shared.lock();
        let batch = std::mem::take(&mut state.batch);
        let known = state.known.values().sum();
        let problem = state.problem.clone();
        drop(state);
        self.shared.taken.notify_all();
        ((!batch.offsets.is_empty()).then_some(batch), problem, known)
    }
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.taken.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it panicked or it did not: there is nothing left to stop
        }
    }
}

struct Poller {
    options: Options,
    decoding: Decoding,
    shared: Arc<Shared>,
    next: BTreeMap<i32, i64>,
}

impl Poller {
    fn run(mut self) {
        loop {
            match self.read() {
                Ok(()) => return,
                Err(problem) => {
                    let definite = matches!(problem, SourceError::Definite(_));
                    self.report(problem);
                    if definite || self.pause(Duration::from_secs(1)) {
                        return;
                    }
                }
            }
        }
    }
    fn report(&self, problem: SourceError) {
        self.shared.lock().problem = Some(problem);
        (self.shared.ready)();
    }
    /// Waits; true if the reader is to stop.
    fn pause(&self, long: Duration) -> bool {
        let state = self.shared.lock();
        let waited = self.shared.taken.wait_timeout_while(state, long, |state| !state.stop);
        waited.unwrap_or_else(PoisonError::into_inner).0.stop
    }
    fn read(&mut self) -> Result<(), SourceError> {
        let mut config = self.options.connection.config();
        config
            .set("group.id", &self.options.group_id)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("queued.max.messages.kbytes", "65536")
            .set("fetch.message.max.bytes", "4194304")
            .set("fetch.wait.max.ms", "20");
        let consumer: BaseConsumer = config.create().map_err(external)?;
        let mut assigned = 0;
        let mut refreshed = Instant::now();
        let refresh = Duration::from_millis(self.options.metadata_refresh_ms.max(100));
        loop {
            if assigned == 0 || refreshed.elapsed() >= refresh {
                assigned = self.assign(&consumer, assigned)?;
                refreshed = Instant::now();
                self.shared.lock().problem = None;
            }
            if self.poll(&consumer)? {
                return Ok(());
            }
        }
    }
    /// Assigns the partitions there are beyond the first `assigned`; returns how many there are.
    fn assign(&mut self, consumer: &BaseConsumer, assigned: i32) -> Result<i32, SourceError> {
        let topic = self.options.topic.clone();
        let metadata = consumer.fetch_metadata(Some(&topic), REQUEST_TIMEOUT).map_err(external)?;
        let count = metadata.topics().first().map_or(0, |topic| topic.partitions().len() as i32);
        let read = self.next.keys().max().map_or(0, |last| last + 1).max(assigned);
        if count == 0 && read == 0 {
            return Err(SourceError::External(format!("topic \"{topic}\" does not exist")));
        }
        if count < read {
            return Err(SourceError::Definite(format!(
                "topic \"{topic}\" has {count} partitions where {read} were read: it was made anew"
            )));
        }
        let mut list = TopicPartitionList::new();
        for partition in assigned..count {
            let (low, high) =
                consumer.fetch_watermarks(&topic, partition, REQUEST_TIMEOUT).map_err(external)?;
            self.shared.lock().known.insert(partition, high);
            let at = match self.next.get(&partition) {
                Some(next) => *next,
                None => self.start(consumer, partition, low, high)?,
            };
            if at < low || at > high {
                return Err(SourceError::Definite(format!(
                    "topic \"{topic}\" partition {partition} holds offsets {low} to {high}, \
                     and offset {at} was to be read next: its records are gone"
                )));
            }
            self.next.insert(partition, at);
            list.add_partition_offset(&topic, partition, Offset::Offset(at)).map_err(external)?;
        }
        if list.count() > 0 {
            consumer.incremental_assign(&list).map_err(external)?;
        }
        Ok(count)
    }
    fn start(
        &self,
        consumer: &BaseConsumer,
        partition: i32,
        low: i64,
        high: i64,
    ) -> Result<i64, SourceError> {
        if let Some(at) = self.options.start_offsets.get(partition as usize) {
            return Ok((*at).max(low));
        }
        let Some(timestamp) = self.options.start_timestamp_ms else { return Ok(low) };
        let mut list = TopicPartitionList::new();
        let topic = &self.options.topic;
        list.add_partition_offset(topic, partition, Offset::Offset(timestamp)).map_err(external)?;
        let found = consumer.offsets_for_times(list, REQUEST_TIMEOUT).map_err(external)?;
        let found = found.find_partition(topic, partition).map(|found| found.offset());
        Ok(if let Some(Offset::Offset(at)) = found { at } else { high })
    }
    /// Handles a burst of messages; true if the reader is to stop.
    fn poll(&mut self, consumer: &BaseConsumer) -> Result<bool, SourceError> {
        let Some(first) = consumer.poll(POLL) else { return Ok(self.shared.lock().stop) };
        let mut burst = Batch::default();
        let mut message = Some(first);
        while let Some(found) = message {
            match found {
                Ok(found) => self.take_in(&found, &mut burst),
                Err(KafkaError::PartitionEOF(_)) => {}
                Err(error) => self.complain(error)?,
            }
            if burst.messages as usize >= BURST {
                break;
            }
            message = consumer.poll(Duration::ZERO);
        }
        Ok(self.merge(&mut burst))
    }
    fn complain(&self, error: KafkaError) -> Result<(), SourceError> {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset) => {
                Err(SourceError::Definite(format!(
                    "topic \"{}\": {error}: the records to be read next are gone",
                    self.options.topic
                )))
            }
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                Err(external(error))
            }
            // librdkafka goes on trying by itself; say so meanwhile.
            _ => {
                self.report(external(error));
                Ok(())
            }
        }
    }
    fn take_in(&mut self, message: &BorrowedMessage<'_>, burst: &mut Batch) {
        burst.messages += 1;
        let size = message.key().map_or(0, <[u8]>::len) + message.payload().map_or(0, <[u8]>::len);
        burst.bytes += size as u64;
        self.decoding.decode(message, &mut burst.updates, &mut burst.errors);
        burst.offsets.insert(message.partition(), message.offset() + 1);
        self.next.insert(message.partition(), message.offset() + 1);
    }
    /// Adds a burst to the waiting batch, waiting while that is full; true if it is time to stop.
    fn merge(&self, burst: &mut Batch) -> bool {
        let state = self.shared.lock();
        let full = |state: &mut State| {
            let batch = &state.batch;
            let bytes = batch.updates.row_bytes() + batch.errors.row_bytes();
            !state.stop && (bytes >= BATCH_BYTES_MAX || batch.messages >= BATCH_MESSAGES_MAX)
        };
        let waited = self.shared.taken.wait_while(state, full);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if burst.messages > 0 {
            let was_empty = state.batch.offsets.is_empty();
            let batch = &mut state.batch;
            burst.updates.iter().for_each(|(row, time, diff)| batch.updates.push(row, time, diff));
            burst.errors.iter().for_each(|(row, time, diff)| batch.errors.push(row, time, diff));
            batch.offsets.append(&mut burst.offsets);
            batch.messages += burst.messages;
            batch.bytes += burst.bytes;
            state.problem = None;
            for (partition, next) in state.batch.offsets.clone() {
                let known = state.known.entry(partition).or_insert(next);
                *known = (*known).max(next);
            }
            if was_empty {
                (self.shared.ready)();
            }
        }
        state.stop
    }
}

fn external(error: KafkaError) -> SourceError {
    SourceError::External(error.to_string())
}

/// From a message to updates.
struct Decoding {
    key: Option<Decoder>,
    value: Decoder,
    include_key: bool,
    include: Vec<Include>,
    upsert: Option<Upsert>,
    inline_errors: bool,
    row: Vec<u8>,
    key_row: Vec<u8>,
}

impl Decoding {
    fn new(options: &Options, from_text: FromText) -> Result<Decoding, SourceError> {
        let decoder = |format: &Format| {
            Decoder::new(format, from_text).map_err(|error| SourceError::Definite(error.to_string()))
        };
        let (upsert, inline_errors) = match &options.envelope {
            Envelope::None => (None, false),
            Envelope::Upsert { inline_errors } => (Some(Upsert::new()), inline_errors.is_some()),
            Envelope::Debezium => {
                return Err(SourceError::Definite("ENVELOPE DEBEZIUM is not supported for JSON".into()));
            }
        };
        let key = options.key_format.as_ref().map(decoder).transpose()?;
        Ok(Decoding {
            include_key: upsert.is_some() || !options.include_key.is_empty(),
            value: decoder(&options.value_format)?,
            key,
            include: options.include.clone(),
            upsert,
            inline_errors,
            row: Vec::new(),
            key_row: Vec::new(),
        })
    }
    fn decode(&mut self, message: &BorrowedMessage<'_>, rows: &mut Updates, errors: &mut Updates) {
        let place = || format!("partition {}, offset {}", message.partition(), message.offset());
        self.key_row.clear();
        self.row.clear();
        if let Err(error) = self.decode_key(message) {
            let text = format!("failed to decode key ({}): {error}", place());
            errors.push(&error_row("22P02", &text, None), 0, 1);
            return;
        }
        if self.include_key {
            self.row.extend_from_slice(&self.key_row);
        }
        let decoded = match message.payload() {
            None if self.upsert.is_some() => {
                if let Some(upsert) = &mut self.upsert {
                    upsert.delete(&self.key_row, rows, errors);
                }
                return;
            }
            None => {
                (0..self.value.arity()).for_each(|_| push_null(&mut self.row));
                Ok(())
            }
            Some(payload) => self.value.decode(payload, &mut self.row).map_err(|error| error.to_string()),
        };
        let decoded = match decoded {
            Ok(()) if self.inline_errors => {
                push_null(&mut self.row);
                Ok(())
            }
            Err(error) if self.inline_errors => {
                self.push_inline_error(&error);
                Ok(())
            }
            other => other,
        };
        let decoded = decoded.and_then(|()| self.push_metadata(message));
        match (decoded, &mut self.upsert) {
            (Ok(()), None) => rows.push(&self.row, 0, 1),
            (Ok(()), Some(upsert)) => upsert.upsert(&self.key_row, &self.row, rows, errors),
            (Err(error), None) => {
                let text = format!("failed to decode value ({}): {error}", place());
                errors.push(&error_row("22P02", &text, None), 0, 1);
            }
            (Err(error), Some(upsert)) => {
                let text = format!("failed to decode value ({}): {error}", place());
                upsert.fail(&self.key_row, &text, rows, errors);
            }
        }
    }
    /// Values are NULL and the error's text is the one field of a record.
    fn push_inline_error(&mut self, error: &str) {
        (0..self.value.arity()).for_each(|_| push_null(&mut self.row));
        let mut fields = Vec::new();
        push_text(&mut fields, error);
        push_end(&mut fields);
        push_datum(&mut self.row, Datum::Record(hw_types::datum::Record(&fields)));
    }
    fn decode_key(&mut self, message: &BorrowedMessage<'_>) -> Result<(), String> {
        let Some(decoder) = &mut self.key else { return Ok(()) };
        match message.key() {
            Some(key) => decoder.decode(key, &mut self.key_row).map_err(|error| error.to_string()),
            None if self.upsert.is_some() => Err("the key is null".into()),
            None => {
                (0..decoder.arity()).for_each(|_| push_null(&mut self.key_row));
                Ok(())
            }
        }
    }
    fn push_metadata(&mut self, message: &BorrowedMessage<'_>) -> Result<(), String> {
        let row = &mut self.row;
        for include in &self.include {
            match include.what.as_str() {
                "partition" => push_int(row, message.partition().into()),
                "offset" => push_uint(row, message.offset().max(0) as u64),
                "timestamp" => match message.timestamp().to_millis() {
                    Some(millis) => push_int(row, millis.saturating_mul(1_000)),
                    None => push_null(row),
                },
                "headers" => push_headers(row, message)?,
                "header" => push_header(row, message, include)?,
                other => return Err(format!("unknown metadata column {other}")),
            }
        }
        Ok(())
    }
}

/// All headers, as a list of records (key text, value bytea).
fn push_headers(row: &mut Vec<u8>, message: &BorrowedMessage<'_>) -> Result<(), String> {
    let mut elements = Vec::new();
    for header in message.headers().iter().flat_map(|headers| headers.iter()) {
        let mut fields = Vec::new();
        push_text(&mut fields, crate::decode::utf8(header.key.as_bytes()).map_err(|error| error.0)?);
        match header.value {
            Some(value) => push_datum(&mut fields, Datum::Bytes(value)),
            None => push_null(&mut fields),
        }
        push_end(&mut fields);
        push_datum(&mut elements, Datum::Record(hw_types::datum::Record(&fields)));
    }
    push_end(&mut elements);
    push_datum(row, Datum::List(hw_types::datum::List(&elements)));
    Ok(())
}

/// The last header of a name.
fn push_header(row: &mut Vec<u8>, message: &BorrowedMessage<'_>, include: &Include) -> Result<(), String> {
    let headers = message.headers();
    let named = headers.iter().flat_map(|headers| headers.iter()).filter(|h| h.key == include.header);
    let Some(header) = named.last() else {
        return Err(format!("header \"{}\" is missing", include.header));
    };
    match header.value {
        None => push_null(row),
        Some(value) if include.as_bytes => push_datum(row, Datum::Bytes(value)),
        Some(value) => push_text(row, crate::decode::utf8(value).map_err(|error| error.0)?),
    }
    Ok(())
}
