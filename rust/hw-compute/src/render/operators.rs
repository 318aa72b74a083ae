//! The few operators that everything is rendered with; those that wait for times to complete are in
//! [`complete`](super::complete). Their logic is boxed: one instantiation a time
//! type, however many places use them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use differential_dataflow::operators::arrange::Arranged;
use differential_dataflow::trace::{BatchCursor, Cursor, Navigable, TraceReader};
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::CapabilitySet;
use timely::dataflow::operators::generic::{OutputBuilder, builder_rc::OperatorBuilder};
use timely::progress::Timestamp;

use crate::arrangement::{Bytes, RowArranged, RowBuilder, RowSpine, sizes};
use crate::container::{Diff, Flat, FlatBuilder, RowStream, Time};
use crate::expr::EvalError;

/// How long an operator works before it lets others run.
const TURN: Duration = Duration::from_millis(10);

/// Updates read between looks at the clock.
const VALS_A_LOOK: usize = 4096;

/// An operator's turn.
///
/// The clock goes on while the thread waits for a processor: a turn may be over before anything is done in
/// it. Whoever has one works first and asks then, so that each turn gets somewhere.
pub struct Turn {
    ends: Instant,
}

impl Turn {
    /// It begins.
    pub fn begin() -> Self {
        Turn { ends: Instant::now() + length() }
    }
    /// Whether others are to run: to be asked now and then, of a few thousand rows.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.ends
    }
}

#[cfg(not(test))]
fn length() -> Duration {
    TURN
}

#[cfg(test)]
thread_local! {
    /// The length of this thread's turns.
    pub static LENGTH: std::cell::Cell<Duration> = const { std::cell::Cell::new(TURN) };
}

#[cfg(test)]
fn length() -> Duration {
    LENGTH.get()
}

/// What an operator's logic writes to: rows, and errors (as rows of one text).
pub struct Out<T> {
    /// Rows, or keys and vals.
    pub oks: Flat<T, i64>,
    /// Errors.
    pub errs: Flat<T, i64>,
    /// Rows of one call of the logic that are more than a container.
    full: Vec<Flat<T, i64>>,
}

impl<T> Default for Out<T> {
    fn default() -> Self {
        Out { oks: Flat::default(), errs: Flat::default(), full: vec![] }
    }
}

impl<T: Time> Out<T> {
    /// Puts a full container aside: for logic that makes many rows of one.
    pub fn spill(&mut self) {
        if self.oks.is_full() {
            self.full.push(std::mem::take(&mut self.oks));
        }
    }
    /// Puts all rows aside.
    pub fn spill_all(&mut self) {
        if !self.oks.is_empty() {
            self.full.push(std::mem::take(&mut self.oks));
        }
    }
    /// The full containers.
    pub fn take_full(&mut self) -> Vec<Flat<T, i64>> {
        std::mem::take(&mut self.full)
    }
    /// Appends an error.
    pub fn error(&mut self, error: &EvalError, time: T, diff: i64) {
        error.push_row(self.errs.tail());
        let end = self.errs.tail().len();
        self.errs.seal(end, time, diff);
    }
}

/// Rows and errors.
pub struct Halves<'s, T: Timestamp> {
    /// The rows.
    pub oks: RowStream<'s, T>,
    /// The errors.
    pub errs: RowStream<'s, T>,
}

/// Applied to each update: key, val, time, diff.
pub type Logic<T> = Box<dyn FnMut(&[u8], &[u8], &T, i64, &mut Out<T>)>;

type Output<T> = OutputBuilder<T, FlatBuilder<T>>;

/// What is left for another turn: a container, and its capabilities for rows and for errors.
type Later<T> = ([CapabilitySet<T>; 2], Flat<T, i64>);

/// Applies `logic` to each update of a stream.
pub fn flat_map<'s, T: Time>(rows: RowStream<'s, T>, name: &str, mut logic: Logic<T>) -> Halves<'s, T> {
    let scope = rows.scope();
    let mut builder = OperatorBuilder::new(name.to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    let (oks, ok_stream) = builder.new_output();
    let (errs, err_stream) = builder.new_output();
    let (mut oks, mut errs) = (Output::<T>::from(oks), Output::<T>::from(errs));
    let mut input = builder.new_input(rows, Pipeline);
    builder.build(move |_| {
        let mut out = Out::default();
        let mut later: VecDeque<Later<T>> = VecDeque::new();
        move |_| {
            let (mut oks, mut errs) = (oks.activate(), errs.activate());
            let turn = Turn::begin();
            let mut map = |caps: &[CapabilitySet<T>; 2], data: &Flat<T, i64>| {
                let mut session = oks.session(&caps[0]);
                for (key, val, time, diff) in data.iter() {
                    logic(key, val, time, *diff, &mut out);
                    out.full.drain(..).for_each(|mut full| session.give_container(&mut full));
                    if out.oks.is_full() {
                        session.give_container(&mut out.oks);
                        out.oks.clear();
                    }
                }
                if !out.oks.is_empty() {
                    session.give_container(&mut out.oks);
                    out.oks.clear();
                }
                if !out.errs.is_empty() {
                    errs.session(&caps[1]).give_container(&mut out.errs);
                    out.errs.clear();
                }
            };
            input.for_each(|cap, data| {
                later.push_back(([cap.retain_stamp(0), cap.retain_stamp(1)], std::mem::take(data)));
            });
            while let Some((caps, data)) = later.pop_front() {
                map(&caps, &data);
                if turn.is_over() {
                    break;
                }
            }
            if !later.is_empty() {
                activator.activate();
            }
        }
    });
    Halves { oks: ok_stream, errs: err_stream }
}

/// Applied to each update: key, val, time, diff; writes updates of another diff, and errors.
pub type DiffLogic<T, R> = Box<dyn FnMut(&[u8], &[u8], &T, i64, &mut Flat<T, R>, &mut Flat<T, i64>)>;

/// As [`flat_map`], for logic that changes the diff's type and cannot fail.
pub fn map_diffs<'s, T: Time, R: Diff>(
    rows: RowStream<'s, T>,
    name: &str,
    mut logic: DiffLogic<T, R>,
) -> (RowStream<'s, T, R>, RowStream<'s, T>) {
    let mut builder = OperatorBuilder::new(name.to_owned(), rows.scope());
    let (oks, ok_stream) = builder.new_output();
    let (errs, err_stream) = builder.new_output();
    let mut oks = OutputBuilder::<T, FlatBuilder<T, R>>::from(oks);
    let mut errs = Output::<T>::from(errs);
    let mut input = builder.new_input(rows, Pipeline);
    builder.build(move |_| {
        let (mut out, mut failed) = (Flat::default(), Flat::default());
        move |_| {
            let (mut oks, mut errs) = (oks.activate(), errs.activate());
            input.for_each(|cap, data| {
                let ok_caps = cap.retain_stamp(0);
                let mut session = oks.session(&ok_caps);
                for (key, val, time, diff) in data.iter() {
                    logic(key, val, time, *diff, &mut out, &mut failed);
                    if out.is_full() {
                        session.give_container(&mut out);
                        out.clear();
                    }
                }
                if !out.is_empty() {
                    session.give_container(&mut out);
                    out.clear();
                }
                if !failed.is_empty() {
                    errs.session(&cap.retain_stamp(1)).give_container(&mut failed);
                    failed.clear();
                }
            });
        }
    });
    (ok_stream, err_stream)
}

/// A batch still to be read.
struct Todo<B: Navigable> {
    batch: B,
    cursor: B::Cursor,
    /// How many of the look-ups are done.
    looked_up: usize,
    /// Whether some of the current key's vals have been read.
    within: bool,
}

/// Applies `logic` to each update of an arrangement, or of those of its keys that are in `lookups` (sorted).
pub fn flat_map_arranged<'s, Tr, T: Time>(
    arranged: Arranged<'s, Tr>,
    name: &str,
    lookups: Option<Vec<Vec<u8>>>,
    mut logic: Logic<T>,
) -> Halves<'s, T>
where
    Tr: TraceReader<Time = T, Batch: Navigable> + 'static,
    for<'a> BatchCursor<Tr>: Cursor<Key<'a> = &'a [u8], Val<'a> = &'a [u8], Time = T, Diff = i64>,
{
    let scope = arranged.stream.scope();
    let mut builder = OperatorBuilder::new(name.to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    let (oks, ok_stream) = builder.new_output();
    let (errs, err_stream) = builder.new_output();
    let (mut oks, mut errs) = (Output::<T>::from(oks), Output::<T>::from(errs));
    let mut input = builder.new_input(arranged.stream, Pipeline);
    builder.build(move |_| {
        let mut todo = VecDeque::new();
        let mut out = Out::default();
        move |_| {
            let (mut oks, mut errs) = (oks.activate(), errs.activate());
            input.for_each(|cap, spans| {
                for batch in spans.drain(..).filter_map(|span| span.inner) {
                    let cursor = batch.cursor();
                    let caps: [CapabilitySet<T>; 2] = [cap.retain_stamp(0), cap.retain_stamp(1)];
                    todo.push_back((caps, Todo { batch, cursor, looked_up: 0, within: false }));
                }
            });
            let turn = Turn::begin();
            while let Some((caps, work)) = todo.front_mut() {
                let mut session = oks.session(&caps[0]);
                let mut done = false;
                loop {
                    let mut looked_at = 0;
                    while !done && looked_at < VALS_A_LOOK && !out.oks.is_full() {
                        done = !seek(work, lookups.as_deref());
                        if !done {
                            looked_at += 1 + read_vals::<Tr, T>(work, &mut logic, &mut out);
                        }
                    }
                    out.full.drain(..).for_each(|mut full| session.give_container(&mut full));
                    if out.oks.is_full() {
                        session.give_container(&mut out.oks);
                        out.oks.clear();
                    }
                    if done || turn.is_over() {
                        break;
                    }
                }
                if !out.oks.is_empty() {
                    session.give_container(&mut out.oks);
                    out.oks.clear();
                }
                drop(session);
                if !out.errs.is_empty() {
                    errs.session(&caps[1]).give_container(&mut out.errs);
                    out.errs.clear();
                }
                if done {
                    todo.pop_front();
                }
                if turn.is_over() {
                    break;
                }
            }
            if !todo.is_empty() {
                activator.activate();
            }
        }
    });
    Halves { oks: ok_stream, errs: err_stream }
}

/// Moves to the next key to read; false where there is none.
fn seek<B: Navigable>(work: &mut Todo<B>, lookups: Option<&[Vec<u8>]>) -> bool
where
    for<'a> B::Cursor: Cursor<Key<'a> = &'a [u8]>,
{
    let Some(lookups) = lookups.filter(|_| !work.within) else { return work.cursor.key_valid(&work.batch) };
    while let Some(key) = lookups.get(work.looked_up) {
        work.cursor.seek_key(&work.batch, key);
        match work.cursor.get_key(&work.batch) {
            None => return false,
            Some(found) if found == &key[..] => return true,
            Some(_) => work.looked_up += 1,
        }
    }
    false
}

/// Applies `logic` to the updates of the current key, up to some, and steps on where they are all; returns how
/// many there were.
fn read_vals<Tr, T: Time>(work: &mut Todo<Tr::Batch>, logic: &mut Logic<T>, out: &mut Out<T>) -> usize
where
    Tr: TraceReader<Time = T, Batch: Navigable> + 'static,
    for<'a> BatchCursor<Tr>: Cursor<Key<'a> = &'a [u8], Val<'a> = &'a [u8], Time = T, Diff = i64>,
{
    let mut count = 0;
    let Todo { batch, cursor, within, .. } = work;
    let Some(key) = cursor.get_key(batch) else { return 0 };
    while let Some(val) = cursor.get_val(batch) {
        *within = count >= VALS_A_LOOK || !out.full.is_empty();
        if *within {
            return count;
        }
        cursor.map_times(batch, |time, diff| {
            let time = <BatchCursor<Tr> as Cursor>::owned_time(time);
            logic(key, val, &time, <BatchCursor<Tr> as Cursor>::owned_diff(diff), out);
            out.spill();
            count += 1;
        });
        cursor.step_val(batch);
    }
    cursor.step_key(batch);
    work.looked_up += 1;
    count
}

/// From a key and its vals with their diffs to output vals with multiplicities.
pub type ReduceLogic<R> = Box<dyn FnMut(&[u8], &[(&[u8], R)], &mut Vec<(Vec<u8>, i64)>)>;

/// Reduces each key's vals; vals come sorted, and only for keys that have any.
pub fn reduce<'s, T: Time, R: Diff>(
    arranged: RowArranged<'s, T, R>,
    name: &str,
    logic: ReduceLogic<R>,
) -> RowArranged<'s, T> {
    let reduced = arranged.reduce_abelian::<_, RowBuilder<T, i64>, RowSpine<T, i64>, Bytes, _>(
        name,
        logic,
        |out, key, updates| {
            out.clear();
            for (val, time, diff) in updates.drain(..) {
                out.push(key, &val, time, diff);
            }
        },
    );
    sizes::know(&reduced);
    reduced
}

/// Updates that are there from the beginning, given by the first worker.
pub fn constant<'s, T: Time>(scope: Scope<'s, T>, rows: Vec<(Vec<u8>, i64)>, as_of: u64) -> RowStream<'s, T> {
    let mine = scope.index() == 0;
    timely::dataflow::operators::generic::operator::source::<_, FlatBuilder<T>, _, _>(
        scope,
        "Constant",
        move |cap, _| {
            let mut left = Some((cap, rows));
            move |output| {
                let Some((cap, rows)) = left.take() else { return };
                if !mine {
                    return;
                }
                let mut session = output.session(&cap);
                let mut out = Flat::default();
                for (row, diff) in &rows {
                    out.push(row, &[], T::minimum().advanced_to(as_of), *diff);
                    if out.is_full() {
                        session.give_container(&mut out);
                        out.clear();
                    }
                }
                if !out.is_empty() {
                    session.give_container(&mut out);
                }
            }
        },
    )
}
