//! Rows that wait for their round, and what becomes of them.

use crate::gathering::Gathering;
use crate::grant::{Grant, LEAD_MS_MAX};
use crate::store::{Cas, StoreError};
use crate::version::{self, Commit};
use hw_types::flat::Updates;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// Rows in a round at most.
const ROWS_MAX: usize = 1024;
/// What the flat codec adds to a row.
const ROW_OVERHEAD_BYTES: usize = 20;
/// Rows wait so long for a grant that was announced, before they are given to Python after all.
pub const ANNOUNCED_MAX: Duration = Duration::from_millis(250);
/// A time that nothing follows is closed after so long.
const CLOSE_AFTER: Duration = Duration::from_millis(1);

/// How a row ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable, and seen by every read that begins from now on.
    Inserted,
    /// Nothing was done: Python is to be asked.
    Again,
    /// It was not inserted; or, where the store failed, that is not known.
    Failed(StoreError),
    /// The row was given up: it was withdrawn, or the store is closed.
    Dropped,
}

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// Lets the one who waits for a row change his mind, up to the moment at which its round begins.
#[derive(Debug, Default)]
pub struct Ticket(AtomicU8);

impl Ticket {
    /// Takes the row back; false where its round has begun.
    pub fn withdraw(&self) -> bool {
        self.settle(WITHDRAWN)
    }
    fn take(&self) -> bool {
        self.settle(TAKEN)
    }
    fn settle(&self, to: u8) -> bool {
        self.0.compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// Who waits for a row.
pub trait Waiting: Send + Sync {
    /// Asked when the row's round begins.
    fn ticket(&self) -> &Ticket;
    /// Hears how the row ended, once, on the store's thread: it must not wait for anything.
    fn end(&self, outcome: Outcome);
}

/// A row that is a transaction of its own. Whatever becomes of it, who waits hears of it.
pub struct Row {
    /// The table's shard.
    pub table: String,
    /// Its bytes.
    pub row: Vec<u8>,
    /// The catalog for which they were made.
    pub catalog_version: u64,
    /// Who waits.
    pub waiting: Arc<dyn Waiting>,
    /// Whether he has been told.
    ended: bool,
}

impl Row {
    /// A row for `table`, made for a version of the catalog.
    pub fn new(table: String, row: Vec<u8>, catalog_version: u64, waiting: Arc<dyn Waiting>) -> Row {
        Row { table, row, catalog_version, waiting, ended: false }
    }
    /// Tells who waits.
    pub fn end(mut self, outcome: Outcome) {
        self.ended = true;
        self.waiting.end(outcome);
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        if !self.ended {
            self.waiting.end(Outcome::Dropped);
        }
    }
}

impl Debug for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").field("table", &self.table).finish_non_exhaustive()
    }
}

/// A round on its way.
pub struct Round {
    /// Who is to be answered.
    pub rows: Vec<Row>,
    /// The version.
    pub cas: Cas,
    /// Its time.
    pub time: u64,
    /// Whether more may follow at this time.
    pub open: bool,
    /// What is written to.
    pub tables: Vec<String>,
}

impl Round {
    /// Tells everybody how it ended.
    pub fn end(self, outcome: &Outcome) {
        self.rows.into_iter().for_each(|row| row.end(outcome.clone()));
    }
}

/// The rows that wait, and the grant under which they are committed.
#[derive(Default)]
pub struct Rounds {
    grant: Option<Grant>,
    /// Without a grant: one will follow before this, and rows wait for it.
    announced: Option<Instant>,
    waiting: VecDeque<Row>,
    gathering: Gathering,
    /// The round that is being gathered begins at this moment.
    gather_until: Option<Instant>,
    /// It waits for rows that have not come yet.
    in_vain: bool,
    /// Times up to these are asked for; none of them is complete.
    nudged: BTreeSet<u64>,
    ended: Option<(usize, Duration)>,
    last: Option<Instant>,
}

impl Rounds {
    /// The grant.
    pub fn grant(&self) -> Option<&Grant> {
        self.grant.as_ref()
    }
    /// Begins to commit rows, those that have waited for it first.
    pub fn give(&mut self, grant: Grant) {
        let (fitting, others) = self.waiting.drain(..).partition(|row| fits(&grant, row));
        self.waiting = fitting;
        others.into_iter().for_each(|row: Row| row.end(Outcome::Again));
        (self.grant, self.announced) = (Some(grant), None);
        self.last = Some(Instant::now());
    }
    /// Commits no more: who waits is to ask Python. Returns whether there was a grant.
    pub fn take_back(&mut self) -> bool {
        self.waiting.drain(..).for_each(|row| row.end(Outcome::Again));
        self.announced = None;
        self.stop()
    }
    /// Commits no more until the next grant, for which rows wait: for a bounded time.
    pub fn announce(&mut self, now: Instant) {
        self.stop();
        self.announced = Some(now + ANNOUNCED_MAX);
    }
    /// Whether a grant was announced and has not come.
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.announced.is_some_and(|until| until <= now)
    }
    fn stop(&mut self) -> bool {
        (self.gather_until, self.in_vain, self.ended) = (None, false, None);
        self.nudged.clear();
        self.grant.take().is_some()
    }
    /// Takes a row.
    pub fn take(&mut self, row: Row) {
        let kept = self.grant.as_ref().map_or(self.announced.is_some(), |grant| fits(grant, &row));
        if kept {
            self.waiting.push_back(row);
        } else {
            row.end(Outcome::Again);
        }
    }
    /// Asks for all times up to `time` to be complete.
    pub fn nudge(&mut self, time: u64) {
        if self.grant.as_ref().is_some_and(|grant| time >= grant.upper) {
            self.nudged.insert(time);
        }
    }
    /// Notes that all that had come meanwhile has been taken.
    pub fn drained(&mut self, now: Instant) {
        if let Some((answered, took)) = self.ended.take() {
            self.gathering.ended(answered, self.waiting.len(), took);
        }
        match self.gather_until {
            None if self.grant.is_some() && !self.waiting.is_empty() => {
                let moment = self.gathering.moment(self.waiting.len());
                self.in_vain = !moment.is_zero();
                self.gather_until = Some(now + moment);
            }
            Some(_) if self.in_vain && self.waiting.len() >= self.gathering.expected => {
                self.in_vain = false;
                self.gathering.waited(false);
                self.gather_until = Some(now);
            }
            Some(_) | None => {}
        }
    }
    /// How many more rows are worth waking for before the round is due.
    pub fn wanted(&self) -> usize {
        match self.gather_until {
            Some(_) if self.in_vain => self.gathering.expected.saturating_sub(self.waiting.len()).max(1),
            _ => 1,
        }
    }
    /// When a round is due; None where there is nothing to do.
    pub fn due(&self, now_ms: u64) -> Option<Instant> {
        let Some(grant) = &self.grant else { return self.announced };
        let gathered = if self.waiting.is_empty() { None } else { self.gather_until };
        let closing = self.last.filter(|_| grant.open).map(|last| last + CLOSE_AFTER);
        let ahead = |time: &u64| Duration::from_millis(time.saturating_sub(now_ms));
        let nudged = self.nudged.first().map(|time| Instant::now() + ahead(time));
        [gathered, closing, nudged].into_iter().flatten().min()
    }
    /// Makes the round that is due: with the rows that wait, or with none to complete a time.
    pub fn begin(&mut self, now_ms: u64) -> Option<Round> {
        let grant = self.grant.as_ref()?;
        if std::mem::take(&mut self.in_vain) && self.gather_until.is_some() {
            self.gathering.waited(true);
        }
        self.gather_until = None;
        let awaited = self.nudged.first().is_some_and(|time| *time <= now_ms + LEAD_MS_MAX);
        let fresh = self.waiting.is_empty() || awaited;
        let (time, open) = grant.next_time(now_ms, fresh);
        let mut writes: BTreeMap<String, Updates> = BTreeMap::new();
        let mut rows = Vec::new();
        while rows.len() < ROWS_MAX {
            let Some(row) = self.waiting.front() else { break };
            let bytes = writes
                .get(&row.table)
                .map_or(0, |updates| updates.row_bytes() + (updates.len() + 2) * ROW_OVERHEAD_BYTES);
            if bytes + row.row.len() > grant.inline_bytes_max {
                break;
            }
            let Some(row) = self.waiting.pop_front() else { break };
            if row.waiting.ticket().take() {
                writes.entry(row.table.clone()).or_default().push(&row.row, time, 1);
                rows.push(row);
            }
        }
        let token = grant.next_token();
        let commit = Commit { token: &token, time, epoch: grant.epoch, open, writes: &writes };
        let data = version::encode(&commit).expect("a round is far below what a batch can hold");
        let cas = Cas { shard: grant.shard.clone(), expected: grant.seqno, data };
        Some(Round { rows, cas, time, open, tables: writes.into_keys().collect() })
    }
    /// Notes that a round was committed, before it is answered.
    pub fn committed(&mut self, round: &Round, took: Duration) {
        if let Some(grant) = &mut self.grant {
            grant.committed(round.time, round.open);
            self.nudged = self.nudged.split_off(&grant.upper);
        }
        self.last = Some(Instant::now());
        if !round.rows.is_empty() {
            self.ended = Some((round.rows.len(), took));
        }
    }
}

/// Whether a row can be committed under a grant.
fn fits(grant: &Grant, row: &Row) -> bool {
    grant.catalog_version == row.catalog_version
        && row.row.len() + 2 * ROW_OVERHEAD_BYTES < grant.inline_bytes_max
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    struct Listener {
        ticket: Ticket,
        heard: Sender<Outcome>,
    }

    impl Waiting for Listener {
        fn ticket(&self) -> &Ticket {
            &self.ticket
        }
        fn end(&self, outcome: Outcome) {
            let _ = self.heard.send(outcome);
        }
    }

    /// A row made for a version of the catalog, and what is heard of it.
    pub(crate) fn row_of(catalog_version: u64) -> (Row, Receiver<Outcome>) {
        let (heard, outcome) = channel();
        let waiting = Arc::new(Listener { ticket: Ticket::default(), heard });
        (Row::new("t".to_owned(), vec![1], catalog_version, waiting), outcome)
    }

    pub(crate) fn row() -> Row {
        row_of(1).0
    }

    fn grant() -> Grant {
        Grant {
            shard: "txns".to_owned(),
            seqno: 1,
            upper: 1,
            open: false,
            epoch: 1,
            catalog_version: 1,
            inline_bytes_max: 1 << 10,
            token: [0; 8],
        }
    }

    /// Rounds that have had eight rows and wait for as many, with one.
    fn gathering() -> Rounds {
        let mut rounds = Rounds::default();
        rounds.give(grant());
        (0..8).for_each(|_| rounds.take(row()));
        rounds.drained(Instant::now());
        let round = rounds.begin(10).expect("a round");
        rounds.committed(&round, Duration::from_millis(1));
        rounds.drained(Instant::now());
        rounds.take(row());
        rounds.drained(Instant::now());
        rounds
    }

    #[test]
    fn rows_that_are_expected_wake_together() {
        assert_eq!(gathering().wanted(), 7);
    }

    #[test]
    fn rows_wait_for_a_grant_that_was_announced_up_to_a_bound() {
        let mut rounds = gathering();
        let now = Instant::now();
        rounds.announce(now);
        rounds.take(row());
        rounds.drained(now);
        assert_eq!(rounds.waiting.len(), 2);
        assert!(rounds.begin(11).is_none());
        assert_eq!(rounds.due(11), Some(now + ANNOUNCED_MAX));
        assert!(!rounds.is_overdue(now) && rounds.is_overdue(now + ANNOUNCED_MAX));
        rounds.give(grant());
        assert!(!rounds.is_overdue(now + ANNOUNCED_MAX));
        rounds.drained(now);
        assert_eq!(rounds.begin(11).map(|round| round.rows.len()), Some(2));
    }

    #[test]
    fn a_row_that_does_not_fit_the_grant_that_it_waited_for_is_pythons() {
        let mut rounds = Rounds::default();
        rounds.announce(Instant::now());
        let (other, outcome) = row_of(2);
        rounds.take(other);
        rounds.take(row());
        rounds.give(grant());
        assert_eq!(outcome.recv(), Ok(Outcome::Again));
        assert_eq!(rounds.waiting.len(), 1);
    }

    #[test]
    fn a_row_that_nobody_gathers_for_wakes_at_once() {
        assert_eq!(Rounds::default().wanted(), 1);
        let mut rounds = gathering();
        rounds.take_back();
        assert_eq!(rounds.wanted(), 1);
        rounds.give(grant());
        assert_eq!(rounds.wanted(), 1);
        let mut rounds = gathering();
        assert!(rounds.begin(11).is_some());
        assert_eq!(rounds.wanted(), 1);
    }
}
