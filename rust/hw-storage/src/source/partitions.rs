//! A topic's partitions: which are read, up to where, and whether they are still what they were.
//!
//! The topic is looked at once a second. What can't be mended is found out there: a topic that is
//! gone, that has fewer partitions than were read, that ends before the offset that is to be read
//! next (it was made anew, or cut off), or that begins after it (retention was faster).

use super::kafka::{Options, REQUEST_TIMEOUT, SourceError, Span};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A topic that was read is deleted if the brokers have not known it for this long: right after a
/// restart one of them may not know it yet.
const ABSENT_MAX: Duration = Duration::from_secs(3);

/// What a look at the topic has shown.
#[derive(Debug, Default)]
pub struct Look {
    /// The sum of the offsets that its partitions end at.
    pub known: i64,
    /// Partitions read from now on that were not read before: from where, and where they end.
    pub begun: BTreeMap<i32, (i64, i64)>,
}

/// One partition that is read.
#[derive(Clone, Copy, Debug)]
struct Assigned {
    /// Where it ended before the consumer was last told where to read: whatever end librdkafka
    /// reports after that is at least here.
    end: i64,
    /// Where it ended at the last look, and what was to be read next then.
    seen: (i64, i64),
}

/// See the module.
pub struct Partitions {
    topic: String,
    connection: super::kafka::Connection,
    start_offsets: Vec<i64>,
    start_timestamp_ms: Option<i64>,
    refresh: Duration,
    next: BTreeMap<i32, i64>,
    until: Option<BTreeMap<i32, i64>>,
    assigned: BTreeMap<i32, Assigned>,
    count: i32,
    refreshed: Option<Instant>,
    absent: Option<Instant>,
}

impl Partitions {
    /// The partitions of a topic, as far as `span` goes.
    pub fn new(options: &Options, span: Span) -> Partitions {
        Partitions {
            topic: options.topic.clone(),
            connection: options.connection.clone(),
            start_offsets: options.start_offsets.clone(),
            start_timestamp_ms: options.start_timestamp_ms,
            refresh: Duration::from_millis(options.metadata_refresh_ms),
            next: span.resume,
            until: span.until,
            assigned: BTreeMap::new(),
            count: 0,
            refreshed: None,
            absent: None,
        }
    }
    /// Forgets what an earlier consumer was told.
    pub fn begin(&mut self) {
        self.assigned.clear();
        self.refreshed = None;
    }
    /// The sum of the offsets that the partitions are known to reach.
    pub fn known(&self) -> i64 {
        let end = |(partition, next): (&i32, &i64)| {
            self.assigned.get(partition).map_or(*next, |assigned| assigned.seen.0.max(*next))
        };
        self.next.iter().map(end).sum()
    }
    /// Notes a message; false if it was read before, or is not to be read.
    pub fn advance(&mut self, partition: i32, offset: i64) -> bool {
        let until = self.until_of(partition);
        match self.next.get_mut(&partition) {
            Some(next) if offset >= *next => {
                *next = offset + 1;
                offset < until
            }
            _ => false,
        }
    }
    fn until_of(&self, partition: i32) -> i64 {
        self.until.as_ref().map_or(i64::MAX, |until| until.get(&partition).copied().unwrap_or(0))
    }
    /// Whether everything that was there when the partition was begun is read.
    pub fn snapshot_done(&self, partition: i32) -> bool {
        let end = self.assigned.get(&partition).map_or(0, |assigned| assigned.end);
        let end = end.min(self.until_of(partition));
        self.next.get(&partition).is_none_or(|next| *next >= end)
    }
    /// Notes that a partition's end was reached: what lies between the last message and where it
    /// ended is transaction markers. Returns the offset to read next, if that has moved.
    pub fn reached_end(&mut self, partition: i32) -> Option<i64> {
        let end = self.assigned.get(&partition)?.end;
        let next = self.next.get_mut(&partition)?;
        (*next < end).then(|| {
            *next = end;
            end
        })
    }
    /// Looks at the topic; has `consumer` read the partitions that it does not read yet.
    pub fn look(&mut self, consumer: &BaseConsumer) -> Result<Look, SourceError> {
        if self.refreshed.is_none_or(|at| at.elapsed() >= self.refresh) {
            self.count = self.count_partitions(consumer)?;
            self.refreshed = Some(Instant::now());
        }
        let all: Vec<i32> = (0..self.count).filter(|partition| self.until_of(*partition) > 0).collect();
        let ends = match self.offsets(consumer, &all, Offset::End) {
            Ok(ends) => ends,
            Err(error) => {
                // Why they can't be had is what the metadata say, if they say anything.
                self.count = self.count_partitions(consumer)?;
                return Err(error);
            }
        };
        let mut look = Look { known: ends.values().sum(), begun: BTreeMap::new() };
        for (partition, end) in &ends {
            if let Some(next) = self.next.get(partition)
                && *next > *end
            {
                return Err(self.shrunk(*partition, *next, *end));
            }
        }
        let new: Vec<i32> = all.into_iter().filter(|p| !self.assigned.contains_key(p)).collect();
        if !new.is_empty() {
            self.assign(consumer, &new, &ends, &mut look)?;
        }
        self.pass_markers(consumer, &ends);
        Ok(look)
    }
    fn assign(
        &mut self,
        consumer: &BaseConsumer,
        new: &[i32],
        ends: &BTreeMap<i32, i64>,
        look: &mut Look,
    ) -> Result<(), SourceError> {
        let begins = self.offsets(consumer, new, Offset::Beginning)?;
        let mut list = TopicPartitionList::new();
        for partition in new {
            let (Some(low), Some(end)) = (begins.get(partition), ends.get(partition)) else { continue };
            let at = match self.next.get(partition) {
                Some(next) if next < low => return Err(self.expired(*partition, *next, *low)),
                Some(next) => *next,
                None => match self.start(consumer, *partition, *low, *end)? {
                    Some(at) => {
                        look.begun.insert(*partition, (at, (*end).min(self.until_of(*partition))));
                        at
                    }
                    // START OFFSET lies beyond the end: it is read when it gets there.
                    None => continue,
                },
            };
            self.next.insert(*partition, at);
            self.assigned.insert(*partition, Assigned { end: *end, seen: (*end, at) });
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(at))
                .map_err(|error| self.connection.error(&error))?;
        }
        if list.count() > 0 {
            consumer.incremental_assign(&list).map_err(|error| self.connection.error(&error))?;
        }
        Ok(())
    }
    /// Where a partition that was never read is begun; None if not yet.
    fn start(
        &self,
        consumer: &BaseConsumer,
        partition: i32,
        low: i64,
        end: i64,
    ) -> Result<Option<i64>, SourceError> {
        if let Some(at) = self.start_offsets.get(partition as usize) {
            return Ok((*at <= end).then_some((*at).max(low)));
        }
        let Some(timestamp) = self.start_timestamp_ms else { return Ok(Some(low)) };
        let found = self.offsets(consumer, &[partition], Offset::Offset(timestamp))?;
        Ok(Some(found.get(&partition).copied().unwrap_or(end)))
    }
    /// A partition that stands still short of its end, though messages would have come by now: has it
    /// read once more what is left, so that its end is reported if nothing but markers is.
    fn pass_markers(&mut self, consumer: &BaseConsumer, ends: &BTreeMap<i32, i64>) {
        for (partition, assigned) in &mut self.assigned {
            let (Some(next), Some(end)) = (self.next.get(partition), ends.get(partition)) else { continue };
            let before = std::mem::replace(&mut assigned.seen, (*end, *next));
            if next < end
                && before == assigned.seen
                && assigned.end < *end
                && consumer.seek(&self.topic, *partition, Offset::Offset(*next), REQUEST_TIMEOUT).is_ok()
            {
                // Reports of earlier ends are void after a seek.
                assigned.end = *end;
            }
        }
    }
    fn count_partitions(&mut self, consumer: &BaseConsumer) -> Result<i32, SourceError> {
        let topic = &self.topic;
        let metadata = consumer
            .fetch_metadata(Some(topic), REQUEST_TIMEOUT)
            .map_err(|error| self.connection.error(&error))?;
        let found = metadata.topics().first();
        let unknown = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        let is_absent = found.is_none_or(|topic| topic.error() == Some(unknown));
        let count = found.map_or(0, |topic| topic.partitions().len()) as i32;
        let read = self.next.keys().max().map_or(0, |last| last + 1);
        if count == 0 {
            let absent = *self.absent.get_or_insert_with(Instant::now);
            if is_absent && read > 0 && absent.elapsed() >= ABSENT_MAX {
                return Err(SourceError::Definite(format!("topic \"{topic}\" was deleted")));
            }
            return Err(SourceError::External(format!("topic \"{topic}\" does not exist")));
        }
        self.absent = None;
        if count < read {
            return Err(SourceError::Definite(format!(
                "topic \"{topic}\" was recreated: it has {count} partitions where {read} were read"
            )));
        }
        Ok(count)
    }
    /// What the partitions' offsets are at `which`: their ends, beginnings or those of a timestamp.
    /// A partition without such an offset is left out.
    fn offsets(
        &self,
        consumer: &BaseConsumer,
        partitions: &[i32],
        which: Offset,
    ) -> Result<BTreeMap<i32, i64>, SourceError> {
        if partitions.is_empty() {
            return Ok(BTreeMap::new()); // librdkafka refuses to ask for nothing
        }
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition_offset(&self.topic, *partition, which)
                .map_err(|error| self.connection.error(&error))?;
        }
        let found = consumer
            .offsets_for_times(list, REQUEST_TIMEOUT)
            .map_err(|error| self.connection.error(&error))?;
        let mut offsets = BTreeMap::new();
        for element in found.elements() {
            match (element.error(), element.offset()) {
                (Err(error), _) => {
                    return Err(match error.rdkafka_error_code() {
                        Some(RDKafkaErrorCode::UnknownTopicOrPartition) => {
                            SourceError::External(format!("topic \"{}\" does not exist", self.topic))
                        }
                        _ => self.connection.error(&error),
                    });
                }
                (Ok(()), Offset::Offset(offset)) => {
                    offsets.insert(element.partition(), offset);
                }
                (Ok(()), _) => {}
            }
        }
        Ok(offsets)
    }
    fn shrunk(&self, partition: i32, next: i64, end: i64) -> SourceError {
        SourceError::Definite(format!(
            "topic \"{}\" was recreated: partition {partition} ends at offset {end} where \
             everything before {next} was read",
            self.topic
        ))
    }
    fn expired(&self, partition: i32, next: i64, low: i64) -> SourceError {
        SourceError::Definite(format!(
            "topic \"{}\" no longer has offsets {next} to {} of partition {partition}, which were \
             not read yet: they were deleted or expired",
            self.topic,
            low - 1
        ))
    }
}
