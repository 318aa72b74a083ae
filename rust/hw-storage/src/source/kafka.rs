//! A Kafka topic: one thread polls, decodes, applies the envelope, and gathers a batch until it is
//! taken. When a batch is full the thread waits, and librdkafka's own queue fills: back-pressure.
//!
//! Offsets are ours: they are committed to a consumer group only for people to look at. Read
//! committed; transaction markers take offsets that no message has, so that the end of a partition
//! is known by librdkafka's word (`PartitionEOF`), not by the last message's offset.
//!
//! What a source has not read yet is its *snapshot*: everything below the offsets that the topic
//! ended at when it was first looked at. It is handed over as one batch in several pieces, so that
//! it becomes visible at one time.

use super::decoding::Decoding;
use super::partitions::{Look, Partitions};
use crate::decode::{Format, FromText};
use hw_types::flat::Updates;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use thiserror::Error;

/// A batch that waits to be taken is full at this many bytes of rows,
pub const BATCH_BYTES_MAX: usize = 16 << 20;
/// or this many messages.
pub const BATCH_MESSAGES_MAX: u64 = 200_000;
/// How long one request to the broker may take.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the topic's end is asked for.
const LOOK: Duration = Duration::from_secs(1);
/// How long to wait before brokers out of reach are tried again.
const RETRY: Duration = Duration::from_secs(1);
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
    pub outputs: Vec<Output>,
    #[serde(default)]
    pub start_offsets: Vec<i64>,
    #[serde(default)]
    pub start_timestamp_ms: Option<i64>,
    pub metadata_refresh_ms: u64,
}

/// `ir.ingestion.KafkaOutput`: what one collection makes of the topic's messages.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Output {
    pub key_format: Option<Format>,
    pub value_format: Format,
    pub envelope: Envelope,
    #[serde(default)]
    pub include: Vec<Include>,
    #[serde(default)]
    pub include_key: Vec<String>,
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
    /// An error of these brokers, in words that say what to look at.
    pub fn error(&self, error: &KafkaError) -> SourceError {
        use RDKafkaErrorCode as Code;
        SourceError::External(match error.rdkafka_error_code() {
            Some(
                code @ (Code::AllBrokersDown
                | Code::BrokerTransportFailure
                | Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::Resolve),
            ) => format!("the Kafka brokers at {} are out of reach: {code}", self.brokers),
            _ => format!("the Kafka brokers at {}: {error}", self.brokers),
        })
    }
}

/// The number of a topic's partitions, 0 if there is no such topic; without a name, of all topics.
pub fn partition_count(
    connection: &Connection,
    topic: Option<&str>,
    timeout: Duration,
) -> Result<usize, SourceError> {
    let failed = |error| connection.error(&error);
    let consumer: BaseConsumer = connection.config().create().map_err(failed)?;
    let metadata = consumer.fetch_metadata(topic, timeout).map_err(failed)?;
    Ok(metadata.topics().iter().map(|topic| topic.partitions().len()).sum())
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
    /// For each output the updates of its ok half and its error half; times are 0.
    pub outputs: Vec<(Updates, Updates)>,
    /// For each partition that moved, the offset before which everything is in this batch or an
    /// earlier one.
    pub offsets: BTreeMap<i32, i64>,
    /// Messages read.
    pub messages: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

impl Batch {
    fn row_bytes(&self) -> usize {
        self.outputs.iter().map(|(rows, errors)| rows.row_bytes() + errors.row_bytes()).sum()
    }
    fn append(&mut self, other: &mut Batch) {
        self.outputs.resize_with(self.outputs.len().max(other.outputs.len()), Default::default);
        for ((rows, errors), (more, more_errors)) in self.outputs.iter_mut().zip(&other.outputs) {
            more.iter().for_each(|(row, time, diff)| rows.push(row, time, diff));
            more_errors.iter().for_each(|(row, time, diff)| errors.push(row, time, diff));
        }
        self.offsets.append(&mut other.offsets);
        self.messages += other.messages;
        self.bytes += other.bytes;
    }
}

/// What there was to take.
#[derive(Debug)]
pub struct Taken {
    /// What was read, if anything.
    pub batch: Option<Batch>,
    /// What stands against reading, if anything does.
    pub problem: Option<SourceError>,
    /// Whether the snapshot goes on after this.
    pub more: bool,
}

/// How a reader stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauges {
    /// Whether the topic was reached and nothing has stood against reading since.
    pub reading: bool,
    /// The sum of the offsets that the topic's partitions end at, as far as is known.
    pub known: i64,
    /// How many offsets the snapshot spans; 0 where reading goes on from an earlier one.
    pub snapshot: i64,
    /// Keys that the envelope remembers.
    pub records_indexed: u64,
    /// Bytes of these keys and their rows.
    pub bytes_indexed: u64,
}

struct State {
    batch: Batch,
    /// Partitions whose snapshot is under way; None before the topic was first looked at.
    snapshot: Option<BTreeSet<i32>>,
    gauges: Gauges,
    problem: Option<SourceError>,
    commit: BTreeMap<i32, i64>,
    stop: bool,
}

pub(super) struct Shared {
    state: Mutex<State>,
    taken: Condvar,
    ready: Box<dyn Fn() + Send + Sync>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which part of a topic is read.
#[derive(Clone, Debug, Default)]
pub struct Span {
    /// The next offset by partition; others are read from the start that the options ask for. With
    /// none at all there is a snapshot.
    pub resume: BTreeMap<i32, i64>,
    /// Where there is one: nothing but the snapshot is read, of these partitions, and only what lies
    /// before these offsets.
    pub until: Option<BTreeMap<i32, i64>>,
}

/// A running reader; dropping it stops its thread.
pub struct KafkaReader {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl KafkaReader {
    /// Starts to read the `span` of the topic. `held` has the outputs' snapshots, for envelopes that
    /// need them. `ready` is called, on the reader's thread, when there is something to take where
    /// there was nothing.
    pub fn start(
        options: Options,
        from_text: FromText,
        span: Span,
        held: &[(Updates, Updates)],
        ready: Box<dyn Fn() + Send + Sync>,
    ) -> Result<KafkaReader, SourceError> {
        let decodings = options.outputs.iter().map(|output| Decoding::new(output, from_text));
        let mut decodings: Vec<Decoding> = decodings.collect::<Result<_, _>>()?;
        for (decoding, (rows, errors)) in decodings.iter_mut().zip(held) {
            decoding.load(rows, errors);
        }
        let state = Mutex::new(State {
            batch: Batch::default(),
            snapshot: (!span.resume.is_empty()).then(BTreeSet::new),
            gauges: Gauges::default(),
            problem: None,
            commit: BTreeMap::new(),
            stop: false,
        });
        let shared = Arc::new(Shared { state, taken: Condvar::new(), ready });
        let its = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(format!("kafka {}", options.topic))
            .spawn(move || Poller::new(options, decodings, its, span).run())
            .map_err(|error| SourceError::External(error.to_string()))?;
        Ok(KafkaReader { shared, thread: Some(thread) })
    }
    /// Takes what there is.
    pub fn take(&self) -> Taken {
        let mut state = self.shared.lock();
        let batch = std::mem::take(&mut state.batch);
        let more = state.snapshot.as_ref().is_none_or(|left| !left.is_empty());
        let problem = state.problem.clone();
        drop(state);
        self.shared.taken.notify_all();
        Taken { batch: (!batch.offsets.is_empty()).then_some(batch), problem, more }
    }
    /// How the reader stands.
    pub fn gauges(&self) -> Gauges {
        self.shared.lock().gauges
    }
    /// Tells the consumer group, soon, that everything before these offsets is durable here.
    pub fn commit(&self, offsets: BTreeMap<i32, i64>) {
        self.shared.lock().commit.extend(offsets);
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

/// What one burst of messages comes to.
#[derive(Default)]
struct Burst {
    batch: Batch,
    /// Partitions whose end was reached.
    ended: Vec<i32>,
}

struct Poller {
    options: Options,
    decodings: Vec<Decoding>,
    shared: Arc<Shared>,
    partitions: Partitions,
}

impl Poller {
    fn new(options: Options, decodings: Vec<Decoding>, shared: Arc<Shared>, span: Span) -> Poller {
        let partitions = Partitions::new(&options, span);
        Poller { options, decodings, shared, partitions }
    }
    fn run(mut self) {
        loop {
            match self.read() {
                Ok(()) => return,
                Err(problem) => {
                    let definite = matches!(problem, SourceError::Definite(_));
                    self.report(problem);
                    if definite || self.pause(RETRY) {
                        return;
                    }
                }
            }
        }
    }
    fn report(&self, problem: SourceError) {
        let mut state = self.shared.lock();
        state.problem = Some(problem);
        state.gauges.reading = false;
        drop(state);
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
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("queued.max.messages.kbytes", "65536")
            .set("fetch.message.max.bytes", "4194304")
            .set("fetch.wait.max.ms", "20");
        let consumer: BaseConsumer =
            config.create().map_err(|error| self.options.connection.error(&error))?;
        self.partitions.begin();
        let mut looked: Option<Instant> = None;
        loop {
            if looked.is_none_or(|at| at.elapsed() >= LOOK) {
                let look = self.partitions.look(&consumer)?;
                self.note(look);
                self.commit(&consumer);
                looked = Some(Instant::now());
            }
            if self.poll(&consumer)? {
                return Ok(());
            }
        }
    }
    /// Takes in what a look at the topic has shown.
    fn note(&self, look: Look) {
        let mut state = self.shared.lock();
        state.problem = None;
        state.gauges.reading = true;
        state.gauges.known = look.known;
        if state.snapshot.is_none() {
            state.gauges.snapshot = look.begun.iter().map(|(_, (from, to))| to - from).sum();
            let unread = look.begun.iter().filter(|(_, (from, to))| from < to);
            state.snapshot = Some(unread.map(|(partition, _)| *partition).collect());
        }
        // Where a partition is begun is bound at once: a restart begins at the same place.
        state.batch.offsets.extend(look.begun.iter().map(|(partition, (from, _))| (*partition, *from)));
        drop(state);
        if !look.begun.is_empty() {
            (self.shared.ready)();
        }
    }
    /// Commits to the consumer group what is to be committed. It is for others to look at, so that
    /// failing does no harm: the next look says it again.
    fn commit(&self, consumer: &BaseConsumer) {
        let offsets = std::mem::take(&mut self.shared.lock().commit);
        if offsets.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            if list.add_partition_offset(&self.options.topic, partition, Offset::Offset(offset)).is_err() {
                return;
            }
        }
        let _ = consumer.commit(&list, CommitMode::Async);
    }
    /// Handles a burst of messages; true if the reader is to stop.
    fn poll(&mut self, consumer: &BaseConsumer) -> Result<bool, SourceError> {
        let Some(first) = consumer.poll(POLL) else { return Ok(self.shared.lock().stop) };
        let mut burst = Burst::default();
        let mut message = Some(first);
        let mut problem = None;
        while let Some(found) = message {
            match found {
                Ok(found) => self.take_in(&found, &mut burst.batch),
                Err(KafkaError::PartitionEOF(partition)) => {
                    if let Some(end) = self.partitions.reached_end(partition) {
                        burst.batch.offsets.insert(partition, end);
                    }
                    burst.ended.push(partition);
                }
                Err(error) => problem = self.complain(&error),
            }
            if problem.is_some() || burst.batch.messages as usize >= BURST {
                break;
            }
            message = consumer.poll(Duration::ZERO);
        }
        let stop = self.merge(burst);
        problem.map_or(Ok(stop), Err)
    }
    /// What is to be done about an error: None if librdkafka goes on trying by itself.
    fn complain(&self, error: &KafkaError) -> Option<SourceError> {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset) => {
                // Which partition it is, and what is left of it, the next look says.
                Some(SourceError::External(format!(
                    "topic \"{}\": the records to be read next are gone",
                    self.options.topic
                )))
            }
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                Some(SourceError::External(format!("topic \"{}\" does not exist", self.options.topic)))
            }
            _ => {
                self.report(self.options.connection.error(error));
                None
            }
        }
    }
    fn take_in(&mut self, message: &BorrowedMessage<'_>, batch: &mut Batch) {
        if !self.partitions.advance(message.partition(), message.offset()) {
            return;
        }
        batch.messages += 1;
        let size = message.key().map_or(0, <[u8]>::len) + message.payload().map_or(0, <[u8]>::len);
        batch.bytes += size as u64;
        batch.outputs.resize_with(self.decodings.len(), Default::default);
        for (decoding, (rows, errors)) in self.decodings.iter_mut().zip(&mut batch.outputs) {
            decoding.decode(message, rows, errors);
        }
        batch.offsets.insert(message.partition(), message.offset() + 1);
    }
    /// Adds a burst to the waiting batch, waiting while that is full; true if it is time to stop.
    fn merge(&self, mut burst: Burst) -> bool {
        let state = self.shared.lock();
        let full = |state: &mut State| {
            let is_full =
                state.batch.row_bytes() >= BATCH_BYTES_MAX || state.batch.messages >= BATCH_MESSAGES_MAX;
            is_full && !state.stop
        };
        let waited = self.shared.taken.wait_while(state, full);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        let indexed = self.decodings.iter().map(Decoding::indexed);
        let indexed = indexed.fold((0, 0), |(n, size), (more, bytes)| (n + more, size + bytes));
        (state.gauges.records_indexed, state.gauges.bytes_indexed) = indexed;
        if let Some(left) = &mut state.snapshot
            && !left.is_empty()
        {
            let done = |partition: &i32| self.partitions.snapshot_done(*partition);
            left.retain(|partition| !burst.ended.contains(partition) && !done(partition));
        }
        let added = &mut burst.batch;
        if !added.offsets.is_empty() {
            let was_empty = state.batch.offsets.is_empty();
            state.batch.append(added);
            state.problem = None;
            state.gauges.reading = true;
            state.gauges.known = state.gauges.known.max(self.partitions.known());
            if was_empty {
                (self.shared.ready)();
            }
        }
        state.stop
    }
}
