//! Reads of indexes: they wait until the index is complete at their time, and many are served at once.

use std::cmp::Ordering;
use std::time::Instant;

use differential_dataflow::trace::cursor::cursor_list;
use differential_dataflow::trace::{Cursor, TraceReader};
use hw_types::flat::Updates;
use hw_types::order;
use serde_bytes::ByteBuf;
use timely::progress::Antichain;

use crate::arrangement::RowTrace;
use crate::expr::{EvalError, INVALID_DATA, MfpPlan, Scratch};
use crate::gather::{Gather, PeekPart, QUERY_CANCELED, before, least};
use crate::logging::events::Histogram;
use crate::plan::{ArrangementKey, Frontier, GlobalId};
use crate::protocol::{Peek, ReadError};
use crate::render::thinning::Restorer;

/// An arrangement of rows and one of errors, exported under a name.
pub struct Index {
    /// Rows.
    pub oks: RowTrace<u64>,
    /// Errors.
    pub errs: RowTrace<u64>,
    /// By what.
    pub key: ArrangementKey,
    /// The columns of what is arranged.
    pub arity: usize,
    /// The upper that was last seen.
    pub upper: Frontier,
    /// Reads are exact from here on.
    pub since: Frontier,
}

impl Index {
    /// Reads the upper, and lets batches before it be merged.
    pub fn refresh(&mut self, scratch: &mut Antichain<u64>) -> Frontier {
        let mut upper = None;
        for trace in [&mut self.oks, &mut self.errs] {
            trace.read_upper(scratch);
            upper = least(upper, scratch.iter().copied().min());
        }
        if upper != self.upper {
            self.upper = upper;
            for trace in [&mut self.oks, &mut self.errs] {
                trace.read_upper(scratch);
                trace.set_physical_compaction(scratch.borrow());
            }
        }
        upper
    }
    /// Lets times before `since` be forgotten.
    pub fn compact(&mut self, since: u64) {
        if before(self.since, Some(since)) {
            self.since = Some(since);
            for trace in [&mut self.oks, &mut self.errs] {
                trace.set_logical_compaction(Antichain::from_elem(since).borrow());
            }
        }
    }
    /// The least error at `time` by its bytes, the same on every replica; or a broken collection.
    fn error_at(&self, time: u64) -> Option<ReadError> {
        let mut batches = vec![];
        self.errs.map_spans(|span| batches.extend(span.inner.clone()));
        let (mut cursor, storage) = cursor_list(batches);
        while let Some(key) = cursor.get_key(&storage) {
            let mut count = 0;
            while cursor.val_valid(&storage) {
                cursor.map_times(&storage, |at, diff| count += if *at <= time { *diff } else { 0 });
                cursor.step_val(&storage);
            }
            if count != 0 {
                return Some(match EvalError::from_row(key) {
                    Ok(error) => read_error(&error),
                    Err(error) => ReadError { sqlstate: "XX001".into(), message: error.to_string() },
                });
            }
            cursor.step_key(&storage);
        }
        None
    }
}

/// An error of a row as the answer to a read.
pub fn read_error(error: &EvalError) -> ReadError {
    ReadError { sqlstate: error.sqlstate().to_owned(), message: error.message() }
}

fn internal(message: String) -> ReadError {
    ReadError { sqlstate: "XX000".into(), message }
}

/// A peek that waits, and its plan.
pub struct Waiting {
    peek: Peek,
    plan: MfpPlan,
    since: Instant,
}

/// The peeks of one worker.
#[derive(Default)]
pub struct Peeks {
    waiting: Vec<Waiting>,
    durations: Histogram,
}

impl Peeks {
    /// Takes a peek of an index that is there; answers at once where it never can be served.
    pub fn add(&mut self, mut peek: Peek, index: Option<&Index>, gather: &Gather) {
        let Some(index) = index else {
            let message = format!("index \"{}\" is not maintained by this replica", peek.target);
            return gather.answer(&peek.uuid, Err(internal(message)));
        };
        if before(Some(peek.timestamp), index.since) {
            let since = index.since.unwrap_or(u64::MAX);
            let message = format!(
                "cannot read index \"{}\" at {}: its history before {since} has been compacted",
                peek.target, peek.timestamp
            );
            return gather.answer(&peek.uuid, Err(internal(message)));
        }
        if peek.mfp.input_arity != index.arity {
            let message = format!("a peek takes {} columns of {}", peek.mfp.input_arity, index.arity);
            return gather.answer(&peek.uuid, Err(internal(message)));
        }
        if let Some(keys) = &mut peek.keys {
            keys.sort_unstable();
            keys.dedup();
        }
        match peek.mfp.compile() {
            Ok(plan) => self.waiting.push(Waiting { peek, plan, since: Instant::now() }),
            Err(error) => gather.answer(&peek.uuid, Err(internal(error.to_string()))),
        }
    }
    /// Forgets a peek. Its other workers may have answered: the answer is then never complete, so this
    /// one answers with nothing, and whoever cancelled drops it.
    pub fn cancel(&mut self, uuid: &ByteBuf, gather: &Gather) {
        self.waiting.retain(|waiting| {
            let keep = waiting.peek.uuid != *uuid;
            if !keep {
                gather.answer(
                    uuid,
                    Err(ReadError { sqlstate: QUERY_CANCELED.into(), message: "canceled".into() }),
                );
            }
            keep
        });
    }
    /// Answers the peeks of a dropped index.
    pub fn drop_index(&mut self, id: &GlobalId, gather: &Gather) {
        self.waiting.retain(|waiting| {
            let keep = waiting.peek.target != *id;
            if !keep {
                gather.answer(&waiting.peek.uuid, Err(internal(format!("index \"{id}\" was dropped"))));
            }
            keep
        });
    }
    /// The peeks that wait.
    pub fn waiting(&self) -> impl Iterator<Item = &Peek> {
        self.waiting.iter().map(|waiting| &waiting.peek)
    }
    /// How long peeks took that were answered.
    pub fn durations(&self) -> &Histogram {
        &self.durations
    }
    /// Whether any peek waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
    /// Answers all that can be, by the indexes that `index` finds.
    pub fn serve<'a>(&mut self, index: impl Fn(&GlobalId) -> Option<&'a Index>, gather: &Gather) {
        let ready = |waiting: &Waiting| {
            index(&waiting.peek.target).is_none_or(|index| before(Some(waiting.peek.timestamp), index.upper))
        };
        let (mut ready, waiting): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(ready);
        self.waiting = waiting;
        ready.sort_by(|a, b| (&a.peek.target, &a.peek.keys).cmp(&(&b.peek.target, &b.peek.keys)));
        for group in ready.chunk_by(|a, b| a.peek.target == b.peek.target) {
            let target = &group[0].peek.target;
            match index(target) {
                Some(index) => Reader::new(index).serve(group, gather),
                None => group.iter().for_each(|waiting| {
                    let error = internal(format!("index \"{target}\" was dropped"));
                    gather.answer(&waiting.peek.uuid, Err(error));
                }),
            }
        }
        ready.iter().for_each(|served| self.durations.add(served.since.elapsed()));
    }
}

/// What all peeks of one index share.
struct Reader<'a> {
    index: &'a Index,
    restorer: Restorer,
    scratch: Scratch,
    row: Vec<u8>,
    /// Whether there are errors at any time at all.
    errors: bool,
}

impl<'a> Reader<'a> {
    fn new(index: &'a Index) -> Self {
        let mut errors = false;
        index.errs.map_spans(|span| errors |= span.inner.is_some());
        let restorer = Restorer::new(&index.key, index.arity);
        Reader { index, restorer, scratch: Scratch::new(), row: vec![], errors }
    }
    fn serve(&mut self, peeks: &[Waiting], gather: &Gather) {
        let mut batches = vec![];
        self.index.oks.map_spans(|span| batches.extend(span.inner.clone()));
        let (mut cursor, storage) = cursor_list(batches);
        for waiting in peeks {
            cursor.rewind_keys(&storage);
            let failed = if self.errors { self.index.error_at(waiting.peek.timestamp) } else { None };
            let part = match failed {
                Some(error) => Err(error),
                None => self.read(waiting, &mut cursor, &storage),
            };
            gather.answer(&waiting.peek.uuid, part);
        }
    }
    fn read<C, S>(&mut self, waiting: &Waiting, cursor: &mut C, storage: &S) -> PeekPart
    where
        C: Cursor<Storage = S>,
        for<'c> C:
            Cursor<Key<'c> = &'c [u8], Val<'c> = &'c [u8], TimeGat<'c> = &'c u64, DiffGat<'c> = &'c i64>,
    {
        let mut answer = Answer::new(&waiting.peek);
        match &waiting.peek.keys {
            None => {
                while cursor.key_valid(storage) {
                    self.read_key(waiting, cursor, storage, &mut answer)?;
                    cursor.step_key(storage);
                }
            }
            Some(keys) => {
                for key in keys {
                    cursor.seek_key(storage, key);
                    if cursor.get_key(storage) == Some(&key[..]) {
                        self.read_key(waiting, cursor, storage, &mut answer)?;
                    }
                }
            }
        }
        answer.done()
    }
    fn read_key<C, S>(
        &mut self,
        waiting: &Waiting,
        cursor: &mut C,
        storage: &S,
        answer: &mut Answer<'_>,
    ) -> Result<(), ReadError>
    where
        C: Cursor<Storage = S>,
        for<'c> C:
            Cursor<Key<'c> = &'c [u8], Val<'c> = &'c [u8], TimeGat<'c> = &'c u64, DiffGat<'c> = &'c i64>,
    {
        let time = waiting.peek.timestamp;
        while let Some(val) = cursor.get_val(storage) {
            let mut count = 0;
            cursor.map_times(storage, |at, diff| count += if *at <= time { *diff } else { 0 });
            if count < 0 {
                let message = format!(
                    "Invalid data in source, saw retractions ({}) for row that does not exist",
                    -count
                );
                return Err(ReadError { sqlstate: INVALID_DATA.into(), message });
            }
            if count > 0 {
                self.row.clear();
                self.restorer.restore(cursor.key(storage), val, &mut self.row);
                let mut out = vec![];
                let passes = waiting.plan.evaluate_row(&self.row, &mut self.scratch, &mut out);
                if passes.map_err(|error| read_error(&error))? {
                    answer.push(out, count)?;
                }
            }
            cursor.step_val(storage);
        }
        Ok(())
    }
}

/// The rows of a worker's answer, cut by the finishing's limit as they come.
struct Answer<'a> {
    peek: &'a Peek,
    rows: Vec<(Vec<u8>, i64)>,
    bytes: u64,
    /// How many rows the finishing can use, where it says.
    enough: Option<usize>,
}

impl<'a> Answer<'a> {
    fn new(peek: &'a Peek) -> Self {
        let finishing = &peek.finishing;
        let enough = finishing.limit.map(|limit| limit.saturating_add(finishing.offset));
        let enough = enough.and_then(|enough| usize::try_from(enough).ok());
        Answer { peek, rows: vec![], bytes: 0, enough }
    }
    fn push(&mut self, row: Vec<u8>, count: i64) -> Result<(), ReadError> {
        self.bytes = self.bytes.saturating_add(self.size(&row, count));
        self.rows.push((row, count));
        // Cut at twice what is needed, so that cutting costs a constant factor.
        let crowded = self.enough.is_some_and(|enough| self.rows.len() > enough.saturating_mul(2).max(1024));
        if crowded || self.bytes > self.peek.result_bytes_max {
            self.cut();
        }
        if self.bytes > self.peek.result_bytes_max {
            let message = format!("result exceeds max size of {}", show_bytes(self.peek.result_bytes_max));
            return Err(ReadError { sqlstate: "53200".into(), message });
        }
        Ok(())
    }
    /// The bytes of a row in the result, as often as it can be used there.
    fn size(&self, row: &[u8], count: i64) -> u64 {
        let enough = self.enough.map_or(u64::MAX, |enough| enough.max(1) as u64);
        u64::try_from(count).unwrap_or(0).min(enough).saturating_mul(row.len() as u64)
    }
    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        order::compare(a, b, &self.peek.finishing.order_by)
    }
    fn cut(&mut self) {
        let Some(enough) = self.enough else { return };
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable_by(|a, b| self.compare(&a.0, &b.0));
        let mut have = 0usize;
        let needed = rows.iter().take_while(|(_, count)| {
            let before = have;
            have = have.saturating_add(usize::try_from(*count).unwrap_or(usize::MAX));
            before < enough
        });
        let needed = needed.count();
        rows.truncate(needed);
        self.bytes = rows.iter().fold(0, |bytes, (row, n)| bytes.saturating_add(self.size(row, *n)));
        self.rows = rows;
    }
    fn done(mut self) -> PeekPart {
        self.cut();
        let mut updates = Updates::new();
        for (row, count) in &self.rows {
            updates.push(row, self.peek.timestamp, *count);
        }
        Ok(updates)
    }
}

/// Bytes for people, as the reading side shows them.
fn show_bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")];
    let unit = UNITS.iter().find(|(unit, _)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(unit, name)| format!("{:.1} {name}", bytes as f64 / *unit as f64),
    )
}
