//! A Kafka sink: the changes of a collection, exactly once.
//!
//! One transaction holds the records of whole timestamps together with a record in the progress topic
//! that says up to which time they go: either both are there or neither. Opening the producer with
//! the sink's transactional id fences any older one; what its open transaction held is aborted; then
//! the progress that is committed says where to go on.

use crate::decode::Format;
use crate::sink::encode::{Encoder, ToText};
use crate::sink::partition::Partitioner;
use crate::source::kafka::{Connection, SourceError};
use hw_expr::scalar::ScalarExpr;
use hw_types::arena::Arena;
use hw_types::datum::Datum;
use hw_types::flat::Updates;
use hw_types::relation::RelationDesc;
use hw_types::row::{split, unpack};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the end of a topic's partition may take to show.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to let the producer's full queue drain before trying again.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(20);
/// The header that every record has: the time of its change.
const TIME_HEADER: &str = "materialize-timestamp";
/// What the names of our own headers begin with.
const OUR_HEADERS: &str = "materialize-";

/// `ir.ingestion.KafkaSink`, as far as the writer needs it.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Options {
    pub connection: SinkConnection,
    pub topic: String,
    pub key: Option<Vec<usize>>,
    pub key_format: Option<Format>,
    pub value_format: Format,
    pub envelope: SinkEnvelope,
    pub transactional_id: String,
    pub partition_count: Option<i32>,
    pub replication_factor: Option<i32>,
    #[serde(default)]
    pub topic_config: BTreeMap<String, String>,
    pub compression: String,
    /// The column of a map whose entries become headers.
    #[serde(default)]
    pub headers: Option<usize>,
    /// Says which partition a row goes to.
    #[serde(default)]
    pub partition_by: Option<ScalarExpr>,
    pub metadata_refresh_ms: u64,
    pub progress_group_id: String,
}

/// A connection that knows where progress is recorded.
#[derive(Clone, Debug, Deserialize)]
pub struct SinkConnection {
    /// How to reach the brokers.
    #[serde(flatten)]
    pub connection: Connection,
    /// The topic of progress records, shared by all sinks of the connection.
    pub progress_topic: String,
    /// How many copies of it there are, where it is made.
    #[serde(default)]
    pub progress_replication_factor: Option<i32>,
}

/// How changes are written.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SinkEnvelope {
    /// The value that holds under a key, null for none.
    Upsert,
    /// What was and what is.
    Debezium,
}

/// The value of a progress record; its key is the transactional id.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Progress {
    /// All changes at times before this are written.
    frontier: u64,
    /// The sink's version: an altered sink goes on from its predecessor's frontier.
    version: u64,
}

/// A sink's writer. Methods block; they are called off the event loop.
pub struct KafkaWriter {
    options: Options,
    producer: BaseProducer,
    key: Option<Encoder>,
    key_columns: Vec<usize>,
    value: Encoder,
    partitioner: Partitioner,
    partitions_counted: Instant,
    progress: Option<u64>,
}

/// One record to be written.
struct Record {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: OwnedHeaders,
    partition: i32,
}

impl KafkaWriter {
    /// Makes the topics if they do not exist, fences older writers, and finds the progress.
    pub fn open(options: Options, desc: &RelationDesc, to_text: ToText) -> Result<KafkaWriter, SourceError> {
        let definite = |error: String| SourceError::Definite(error);
        let all: Vec<usize> = (0..desc.columns.len()).collect();
        let key_columns = options.key.clone().unwrap_or_default();
        let key_format = options.key_format.as_ref().unwrap_or(&options.value_format);
        let key = match &options.key {
            Some(columns) => {
                Some(Encoder::new(key_format, &desc.columns, columns, to_text).map_err(definite)?)
            }
            None => None,
        };
        let value = Encoder::new(&options.value_format, &desc.columns, &all, to_text).map_err(definite)?;
        let partition_by = options.partition_by.as_ref().map(ScalarExpr::compile).transpose();
        let partition_by = partition_by.map_err(|error| definite(error.to_string()))?;
        make_topics(&options)?;
        let mut config = options.connection.connection.config();
        config
            .set("transactional.id", &options.transactional_id)
            .set("enable.idempotence", "true")
            .set("compression.type", &options.compression)
            .set("queue.buffering.max.kbytes", "131072")
            .set("linger.ms", "5")
            .set("transaction.timeout.ms", "60000");
        let connection = &options.connection.connection;
        let producer: BaseProducer = config.create().map_err(|error| connection.error(&error))?;
        producer.init_transactions(REQUEST_TIMEOUT).map_err(|error| connection.error(&error))?;
        let progress = read_progress(&options)?;
        let partitioner = Partitioner::new(partition_by, count_partitions(&options, &producer)?);
        let partitions_counted = Instant::now();
        Ok(KafkaWriter {
            options,
            producer,
            key,
            key_columns,
            value,
            partitioner,
            partitions_counted,
            progress,
        })
    }
    /// The time before which everything is written already.
    pub fn progress(&self) -> Option<u64> {
        self.progress
    }
    /// Writes all changes at times before `frontier`, which `updates` holds completely from the
    /// progress on, in one transaction. Returns the number of records and of their bytes.
    pub fn write(
        &mut self,
        updates: &Updates,
        frontier: u64,
        version: u64,
    ) -> Result<(u64, u64), SourceError> {
        let refresh = Duration::from_millis(self.options.metadata_refresh_ms);
        if self.partitions_counted.elapsed() >= refresh {
            self.partitioner.set_count(count_partitions(&self.options, &self.producer)?);
            self.partitions_counted = Instant::now();
        }
        self.producer.begin_transaction().map_err(|error| self.error(&error))?;
        match self.write_open(updates, frontier, version) {
            Ok(written) => {
                self.progress = Some(frontier);
                Ok(written)
            }
            Err(error) => {
                // What the transaction held is void; the next writer fences and starts over.
                let _ = self.producer.abort_transaction(REQUEST_TIMEOUT);
                Err(error)
            }
        }
    }
    fn write_open(
        &mut self,
        updates: &Updates,
        frontier: u64,
        version: u64,
    ) -> Result<(u64, u64), SourceError> {
        let (mut records, mut bytes) = (0, 0);
        for change in changes(updates, &self.key_columns) {
            for (before, after) in change.pairs() {
                let record = self.encode(before, after, change.time);
                records += 1;
                let sizes = [&record.key, &record.value].map(|part| part.as_ref().map_or(0, Vec::len));
                bytes += sizes.iter().sum::<usize>() as u64;
                self.send(&record)?;
            }
        }
        let progress = serde_json::to_vec(&Progress { frontier, version })
            .map_err(|error| SourceError::External(error.to_string()))?;
        let topic = self.options.connection.progress_topic.clone();
        let key = self.options.transactional_id.clone();
        self.send_record(|| BaseRecord::to(&topic).key(&key).payload(&progress).partition(0))?;
        self.producer.commit_transaction(REQUEST_TIMEOUT).map_err(|error| self.error(&error))?;
        Ok((records, bytes))
    }
    fn error(&self, error: &KafkaError) -> SourceError {
        self.options.connection.connection.error(error)
    }
    fn encode(&self, before: Option<&[u8]>, after: Option<&[u8]>, time: u64) -> Record {
        let any = after.or(before).unwrap_or_default();
        let key = self.key.as_ref().and_then(|encoder| encoder.encode(any));
        let value = match self.options.envelope {
            SinkEnvelope::Upsert => after.and_then(|row| self.value.encode(row)),
            SinkEnvelope::Debezium => {
                let part = |row: Option<&[u8]>| row.and_then(|row| self.value.encode(row));
                let mut value = b"{\"before\":".to_vec();
                value.extend(part(before).unwrap_or_else(|| b"null".to_vec()));
                value.extend_from_slice(b",\"after\":");
                value.extend(part(after).unwrap_or_else(|| b"null".to_vec()));
                value.push(b'}');
                Some(value)
            }
        };
        let partition = self.partitioner.partition(any, key.as_deref());
        Record { key, value, headers: self.headers(any, time), partition }
    }
    /// The time of the change, and what the row itself says. Names that begin with ours are ours.
    fn headers(&self, row: &[u8], time: u64) -> OwnedHeaders {
        let stamp = time.to_string();
        let headers = OwnedHeaders::new().insert(Header { key: TIME_HEADER, value: Some(stamp.as_str()) });
        let Some(column) = self.options.headers else { return headers };
        let arena = Arena::new();
        let mut datums = Vec::new();
        unpack(row, &arena, &mut datums);
        let Datum::Map(map) = datums[column] else { return headers };
        map.entries(&arena).filter(|(key, _)| !key.starts_with(OUR_HEADERS)).fold(
            headers,
            |headers, (key, value)| {
                let value = match value {
                    Datum::Text(text) => Some(text.as_bytes()),
                    Datum::Bytes(bytes) => Some(bytes),
                    _ => None,
                };
                headers.insert(Header { key, value })
            },
        )
    }
    fn send(&self, record: &Record) -> Result<(), SourceError> {
        self.send_record(|| {
            let mut made = BaseRecord::<[u8], [u8]>::to(&self.options.topic)
                .headers(record.headers.clone())
                .partition(record.partition);
            if let Some(key) = &record.key {
                made = made.key(key.as_slice());
            }
            if let Some(value) = &record.value {
                made = made.payload(value.as_slice());
            }
            made
        })
    }
    fn send_record<'r, K, P>(&self, record: impl Fn() -> BaseRecord<'r, K, P>) -> Result<(), SourceError>
    where
        K: rdkafka::message::ToBytes + ?Sized + 'r,
        P: rdkafka::message::ToBytes + ?Sized + 'r,
    {
        loop {
            match self.producer.send(record()) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    self.producer.poll(QUEUE_FULL_PAUSE);
                }
                Err((error, _)) => return Err(self.error(&error)),
            }
        }
    }
}

/// What happened to the rows of one key at one time.
struct Change<'a> {
    time: u64,
    before: Vec<&'a [u8]>,
    after: Vec<&'a [u8]>,
}

impl<'a> Change<'a> {
    /// Pairs of what was and what is; one of each where a key has one row.
    fn pairs(&self) -> impl Iterator<Item = (Option<&'a [u8]>, Option<&'a [u8]>)> {
        let count = self.before.len().max(self.after.len());
        (0..count).map(|n| (self.before.get(n).copied(), self.after.get(n).copied()))
    }
}

/// The changes in order of time; with key columns those of one key and time are one.
fn changes<'a>(updates: &'a Updates, key: &[usize]) -> Vec<Change<'a>> {
    let mut order: Vec<usize> = (0..updates.len()).collect();
    order.sort_by_key(|at| updates.times[*at]);
    let mut found: FxHashMap<(u64, Vec<u8>), usize> = FxHashMap::default();
    let mut changes: Vec<Change<'a>> = Vec::new();
    for at in order {
        let (row, time, diff) = (updates.row(at), updates.times[at], updates.diffs[at]);
        let slot = if key.is_empty() {
            None
        } else {
            let columns: Vec<&[u8]> = split(row).collect();
            Some((time, key.iter().flat_map(|at| columns[*at].iter().copied()).collect()))
        };
        let at = slot.as_ref().and_then(|slot| found.get(slot).copied()).unwrap_or_else(|| {
            changes.push(Change { time, before: Vec::new(), after: Vec::new() });
            changes.len() - 1
        });
        if let Some(slot) = slot {
            found.insert(slot, at);
        }
        let side = if diff > 0 { &mut changes[at].after } else { &mut changes[at].before };
        (0..diff.unsigned_abs()).for_each(|_| side.push(row));
    }
    changes
}

/// Creates the sink's topic and the progress topic unless they exist.
fn make_topics(options: &Options) -> Result<(), SourceError> {
    let external = |error: KafkaError| options.connection.connection.error(&error);
    let client: AdminClient<DefaultClientContext> =
        options.connection.connection.config().create().map_err(external)?;
    let replicas = TopicReplication::Fixed(options.replication_factor.unwrap_or(-1));
    let mut topic = NewTopic::new(&options.topic, options.partition_count.unwrap_or(-1), replicas);
    for (name, value) in &options.topic_config {
        topic = topic.set(name, value);
    }
    let copies = options.connection.progress_replication_factor.unwrap_or(-1);
    let progress = NewTopic::new(&options.connection.progress_topic, 1, TopicReplication::Fixed(copies))
        .set("cleanup.policy", "compact");
    let existing = client.inner().fetch_metadata(None, REQUEST_TIMEOUT).map_err(external)?;
    let exists = |name: &str| existing.topics().iter().any(|topic| topic.name() == name);
    let wanted: Vec<NewTopic<'_>> =
        [topic, progress].into_iter().filter(|topic| !exists(topic.name)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let request = client.create_topics(&wanted, &AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)));
    for result in block_on(request).map_err(external)? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                return Err(SourceError::External(format!("topic \"{name}\" can't be made: {code}")));
            }
        }
    }
    Ok(())
}

/// How many partitions the sink's topic has.
fn count_partitions(options: &Options, producer: &BaseProducer) -> Result<u64, SourceError> {
    let metadata = producer
        .client()
        .fetch_metadata(Some(&options.topic), REQUEST_TIMEOUT)
        .map_err(|error| options.connection.connection.error(&error))?;
    match metadata.topics().first().map_or(0, |topic| topic.partitions().len()) {
        0 => Err(SourceError::External(format!("topic \"{}\" does not exist", options.topic))),
        count => Ok(count as u64),
    }
}

/// Waits for a future that librdkafka's own thread completes.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::task::Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::park();
    }
}

/// The last committed progress of this sink.
fn read_progress(options: &Options) -> Result<Option<u64>, SourceError> {
    let external = |error: KafkaError| options.connection.connection.error(&error);
    let mut config = options.connection.connection.config();
    config
        .set("group.id", &options.progress_group_id)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create().map_err(external)?;
    let topic = &options.connection.progress_topic;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).map_err(external)?;
    consumer.assign(&list).map_err(external)?;
    let mut last = None;
    loop {
        match consumer.poll(READ_TIMEOUT) {
            None => return Err(SourceError::External(format!("topic \"{topic}\" can't be read to its end"))),
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(last),
            Some(Err(error)) => return Err(external(error)),
            Some(Ok(message)) => {
                if message.key() == Some(options.transactional_id.as_bytes()) {
                    let progress = message.payload().and_then(|value| serde_json::from_slice(value).ok());
                    last = progress.map(|progress: Progress| progress.frontier);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_types::row::{push_int, push_text};

    fn row(key: i64, value: &str) -> Vec<u8> {
        let mut out = vec![];
        push_int(&mut out, key);
        push_text(&mut out, value);
        out
    }

    #[test]
    fn changes_of_one_key_and_time_are_paired_in_order_of_time() {
        let mut updates = Updates::new();
        updates.push(&row(1, "b"), 5, 1);
        updates.push(&row(2, "x"), 4, 1);
        updates.push(&row(1, "a"), 5, -1);
        updates.push(&row(1, "b"), 6, -1);
        let got: Vec<_> = changes(&updates, &[0])
            .iter()
            .map(|change| {
                let owned = |side: &[&[u8]]| side.iter().map(|row| row.to_vec()).collect::<Vec<_>>();
                (change.time, owned(&change.before), owned(&change.after))
            })
            .collect();
        let want = vec![
            (4, vec![], vec![row(2, "x")]),
            (5, vec![row(1, "a")], vec![row(1, "b")]),
            (6, vec![row(1, "b")], vec![]),
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn without_a_key_every_update_stands_alone() {
        let mut updates = Updates::new();
        updates.push(&row(1, "b"), 5, 2);
        updates.push(&row(1, "a"), 5, -1);
        let pairs: usize = changes(&updates, &[]).iter().map(|change| change.pairs().count()).sum();
        assert_eq!(pairs, 3);
    }
}
