//! From containers in flight to batches at rest.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use differential_dataflow::batcher::{Batcher, Extract};
use differential_dataflow::logging::Logger;
use differential_dataflow::trace::Builder;
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;

use super::future::Future;
use super::sizes::{self, Size};
use super::{RowBatch, RowBuilder};
use crate::container::run::{Run, RunMaker, merge, sort};
use crate::container::{Diff, Flat, Time};

/// Updates are collected up to this many,
const RUN_LEN: usize = 64 << 10;
/// or this many bytes of rows, and then sorted into a run;
const RUN_BYTES: usize = 8 << 20;
/// and this many runs of one size are merged into one of the next. Two is differential's ladder; more
/// copies less often and consolidates later: eight was the fastest of 2, 8 and unbounded in the load test.
const FANOUT: usize = 8;
/// The size of what waits is not taken more often: a million updates are 500 pieces to look at.
const MEASURED_FOR: Duration = Duration::from_millis(100);

/// Sorts, merges and consolidates updates, and releases those before a frontier.
///
/// Runs that lie wholly beyond the frontier are not read, and single updates beyond it wait in
/// [`Future`]'s buckets: a tick costs what it releases.
pub struct RowBatcher<T, R> {
    pending: Vec<Flat<T, R>>,
    pending_len: usize,
    pending_bytes: usize,
    ladder: Vec<Run<T, R>>,
    future: Future<T, R>,
    frontier: Antichain<T>,
    /// What is in all of these, for whoever asks,
    size: Rc<Cell<Size>>,
    /// as it was then.
    measured: Option<Instant>,
}

impl<T: Time, R: Diff> Default for RowBatcher<T, R> {
    fn default() -> Self {
        RowBatcher {
            pending: vec![],
            pending_len: 0,
            pending_bytes: 0,
            ladder: vec![],
            future: Future::default(),
            frontier: Antichain::new(),
            size: Rc::default(),
            measured: None,
        }
    }
}

impl<T: Time, R: Diff> RowBatcher<T, R> {
    /// The constructor that differential's `arrange_core` asks for.
    pub fn new(_: Option<Logger>, operator: usize) -> Self {
        let batcher = Self::default();
        sizes::know_batcher(operator, &batcher.size);
        batcher
    }
    /// Notes what there is, piece by piece, unless that was done a moment ago.
    fn measure(&mut self) {
        let now = Instant::now();
        if self.measured.is_some_and(|then| now - then < MEASURED_FOR) {
            return;
        }
        self.measured = Some(now);
        let mut size = Size::default();
        let runs = self.ladder.iter().flat_map(Run::chunks);
        for chunk in self.pending.iter().chain(runs).chain(self.future.chunks()) {
            size.records += chunk.len();
            chunk.heap(&mut |used, held| size.add(used, held));
        }
        self.size.set(size);
    }
    fn level(len: usize) -> u32 {
        (len / RUN_LEN).max(1).ilog(FANOUT)
    }
    fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let run = sort(&self.pending);
        self.pending.clear();
        (self.pending_len, self.pending_bytes) = (0, 0);
        if !run.is_empty() {
            self.ladder.push(run);
        }
    }
    fn climb(&mut self) {
        while let Some(level) = self.ladder.last().map(|run| Self::level(run.len())) {
            let same = self.ladder.iter().rev().take_while(|run| Self::level(run.len()) <= level).count();
            if same < FANOUT {
                return;
            }
            let run = merge(self.ladder.split_off(self.ladder.len() - same));
            if !run.is_empty() {
                self.ladder.push(run);
            }
        }
    }
    /// Takes the updates of `container`.
    pub fn add(&mut self, container: &mut Flat<T, R>) {
        if container.is_empty() {
            return;
        }
        self.pending_len += container.len();
        self.pending_bytes += container.row_bytes();
        self.pending.push(std::mem::take(container));
        if self.pending_len >= RUN_LEN || self.pending_bytes >= RUN_BYTES {
            self.flush();
            self.climb();
            self.measure();
        }
    }
    /// A lower bound on the times kept by the last extract.
    pub fn retained(&self) -> AntichainRef<'_, T> {
        self.frontier.borrow()
    }
    /// What `upper` releases, sorted and consolidated.
    pub fn extract_run(&mut self, upper: AntichainRef<'_, T>) -> Run<T, R> {
        self.flush();
        let mut ready = Vec::new();
        let mut released = Vec::new();
        self.future.advance(upper, &mut released);
        if !released.is_empty() {
            ready.push(sort(&released));
        }
        for run in std::mem::take(&mut self.ladder) {
            if run.all_before(upper) {
                ready.push(run);
            } else if run.all_beyond(upper) {
                self.ladder.push(run); // not even looked at
            } else {
                ready.push(self.split(&run, upper));
            }
        }
        self.frontier.clear();
        for time in self.ladder.iter().flat_map(|run| run.lower().iter()).chain(self.future.lowers()) {
            self.frontier.insert_ref(time);
        }
        self.measure();
        merge(ready)
    }
    /// Sends what is beyond `upper` to the future and keeps the rest.
    fn split(&mut self, run: &Run<T, R>, upper: AntichainRef<'_, T>) -> Run<T, R> {
        let mut maker = RunMaker::default();
        for chunk in run.chunks() {
            for i in 0..chunk.len() {
                // The run is consolidated already, so that no two neighbours are equal and any prefix serves.
                if upper.less_equal(&chunk.times[i]) {
                    self.future.insert(chunk.get(i));
                } else {
                    maker.push(0, chunk, i);
                }
            }
        }
        maker.done()
    }
}

impl<T: Time, R: Diff> Batcher<Flat<T, R>> for RowBatcher<T, R> {
    fn insert(&mut self, container: &mut Flat<T, R>) {
        self.add(container);
    }
}

impl<T: Time, R: Diff> Extract for RowBatcher<T, R> {
    type Time = T;
    type Output = RowBatch<T, R>;
    fn extract<'a>(&'a mut self, upper: AntichainRef<'_, T>) -> (Option<Self::Output>, AntichainRef<'a, T>) {
        let mut builder = RowBuilder::<T, R>::default();
        for mut chunk in self.extract_run(upper).into_chunks() {
            builder.push(&mut chunk);
        }
        (builder.done(), self.frontier.borrow())
    }
}
