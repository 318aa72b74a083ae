//! What a worker knows of itself, as collections: the `mz_introspection` relations that are not views.
//!
//! A dataflow that reads a [`Log`] is fed by the worker it runs on: with everything at its as_of, and from then
//! on, once in [`PERIOD`], with what has changed. Nobody pays for a log that is not read, but for the counts of
//! [`events`], and the frontier of one that is read keeps up with the clock, as that of a table does.
//!
//! Every worker has rows of its own, and so has every replica.

pub mod events;
pub mod rows;

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hw_persist::PartFilter;
use hw_types::flat::Updates;
use serde::{Deserialize, Serialize};

use crate::source::{Encoding, Half, PartBytes, SharedFeed};
use rows::{Counted, Sight};

/// How often logs that are read are looked at: Materialize's default introspection interval.
pub const PERIOD: Duration = Duration::from_secs(1);

/// Which of the things that a worker knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Log {
    /// Peeks that wait.
    ActivePeeks,
    /// How many batches arrangements have.
    ArrangementBatches,
    /// How many updates arrangements hold.
    ArrangementRecords,
    /// Bytes used by the batches of arrangements.
    ArrangementHeapSize,
    /// Bytes held by the batches of arrangements.
    ArrangementHeapCapacity,
    /// How many pieces those bytes are in.
    ArrangementHeapAllocations,
    /// How many readers arrangements have.
    ArrangementSharing,
    /// How many updates wait to become batches.
    BatcherRecords,
    /// Bytes used by those.
    BatcherSize,
    /// Bytes held for those.
    BatcherCapacity,
    /// How many pieces those bytes are in.
    BatcherAllocations,
    /// What channels connect.
    Channels,
    /// Objects that dataflows compute or export.
    DataflowGlobalIds,
    /// Where operators and channels are.
    DataflowAddresses,
    /// The errors of exports.
    ErrorCounts,
    /// Exports and their dataflows.
    Exports,
    /// The uppers of exports.
    Frontiers,
    /// How long exports took to pass their as_of.
    HydrationTimes,
    /// The uppers of what exports are computed from.
    ImportFrontiers,
    /// Which operators belong to which node of a plan.
    LirMapping,
    /// Batches of messages received.
    MessageBatchCountsReceived,
    /// Batches of messages sent.
    MessageBatchCountsSent,
    /// Messages received.
    MessageCountsReceived,
    /// Messages sent.
    MessageCountsSent,
    /// How long operators ran each time.
    OperatorDurations,
    /// Whether nodes of plans have passed their as_of.
    OperatorHydrationStatuses,
    /// Operators.
    Operators,
    /// How long peeks took.
    PeekDurations,
    /// What the process has used.
    PrometheusMetrics,
    /// How long operators ran in all.
    SchedulingElapsed,
    /// How long the worker slept.
    SchedulingParks,
}

/// One dataflow's reading of one log, on one worker.
pub struct LogFeed {
    log: Log,
    feed: SharedFeed,
    told: Counted,
    /// Where the first rows are put; none once they have been.
    as_of: Option<u64>,
    upper: u64,
}

impl LogFeed {
    /// Nothing has been told yet.
    pub fn new(log: Log, feed: SharedFeed, as_of: u64) -> Self {
        LogFeed { log, feed, told: Counted::new(), as_of: Some(as_of), upper: as_of }
    }
    /// Which log.
    pub fn log(&self) -> Log {
        self.log
    }
    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.feed.borrow().is_closed()
    }
    /// Tells what is different from what was told, at `now` or, the first time, at the as_of.
    pub fn tell(&mut self, rows: &Counted, now: u64) {
        let time = self.as_of.take().unwrap_or_else(|| now.max(self.upper));
        let mut updates = Updates::new();
        for (row, count) in rows {
            let before = self.told.get(row).copied().unwrap_or(0);
            if before != *count {
                updates.push(row, time, count - before);
            }
        }
        for (row, count) in self.told.iter().filter(|(row, _)| !rows.contains_key(*row)) {
            updates.push(row, time, -count);
        }
        self.told.clone_from(rows);
        self.upper = now.max(time + 1);
        self.feed.borrow_mut().push(parts(&updates), Some(self.upper));
    }
}

fn parts(updates: &Updates) -> Vec<PartBytes> {
    if updates.is_empty() {
        return vec![];
    }
    let bytes = updates.encode().expect("what a worker knows of itself is small").into();
    vec![PartBytes { encoding: Encoding::Flat, half: Half::Ok, bytes, filter: PartFilter::default() }]
}

/// All logs that are read on one worker, by the tokens of their imports.
pub struct Logs {
    feeds: HashMap<u64, LogFeed>,
    next: Instant,
}

impl Default for Logs {
    fn default() -> Self {
        Logs { feeds: HashMap::new(), next: Instant::now() }
    }
}

impl Logs {
    /// Begins to tell; `known` is what was so before the dataflow that reads was built.
    pub fn begin(&mut self, feeds: Vec<(u64, LogFeed)>, known: &HashMap<Log, Counted>) {
        for (token, mut feed) in feeds {
            if let Some(rows) = known.get(&feed.log()) {
                feed.tell(rows, now_ms());
            }
            self.feeds.insert(token, feed);
        }
    }
    /// Forgets the readings of a dropped dataflow.
    pub fn end(&mut self, tokens: &[u64]) {
        tokens.iter().for_each(|token| drop(self.feeds.remove(token)));
    }
    /// Whether any is read.
    pub fn is_empty(&self) -> bool {
        self.feeds.is_empty()
    }
    /// How long until something has to be told; zero where it has to be now.
    pub fn due_in(&mut self) -> Option<Duration> {
        self.feeds.retain(|_, feed| !feed.is_closed());
        (!self.is_empty()).then(|| self.next.saturating_duration_since(Instant::now()))
    }
    /// Tells all that has changed.
    pub fn tell(&mut self, sight: &Sight<'_>) {
        self.next = Instant::now() + PERIOD;
        let mut known: HashMap<Log, Counted> = HashMap::new();
        for feed in self.feeds.values_mut() {
            let rows = known.entry(feed.log()).or_insert_with(|| sight.rows(feed.log()));
            feed.tell(rows, now_ms());
        }
    }
}

/// The system's time: milliseconds since the epoch.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
