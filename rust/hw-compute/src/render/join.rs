//! Joins of two arrangements, which stop within a key and go on later.
//!
//! A key with many rows on both sides makes their product: a cross join is one such key. differential's own
//! tactic plays a whole key out at once; nothing else of the worker runs until then, and what the join makes
//! is held in memory. Here a key's rows are joined block by block, and between blocks it can be left.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::{Duration, Instant};

use differential_dataflow::consolidation::consolidate;
use differential_dataflow::operators::ValueHistory;
use differential_dataflow::operators::arrange::Arranged;
use differential_dataflow::operators::join::{Fresh, JoinTactic, join_with_tactic};
use differential_dataflow::trace::cursor::cursor_list;
use differential_dataflow::trace::{BatchCursor, Cursor, Navigable, TraceReader};
use timely::container::Accountable;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::{OutputBuilder, builder_rc::OperatorBuilder};

use super::operators::{Halves, Out};
use crate::container::{Flat, FlatBuilder, RowStream, Time};

/// Joins vals: key, both vals, time, product of the diffs.
pub type JoinLogic<T> = Box<dyn FnMut(&[u8], &[u8], &[u8], T, i64, &mut Out<T>)>;

/// How long a join works on the changes of one input before it lets others run.
const TURN: Duration = Duration::from_millis(10);
/// The fuel of differential's driver for one input, in the units that containers report.
const DRIVER_FUEL: i64 = 1_000_000;
/// Pairs and seeks between looks at the clock.
const STEPS: usize = 8192;

/// Updates of one key on the left that are joined in the order of their times.
const REPLAYED_MAX: usize = 2048;

/// A cursor over keys and vals of bytes.
trait ByteCursor<T>:
    for<'a> Cursor<Key<'a> = &'a [u8], Val<'a> = &'a [u8], Time = T, Diff = i64> + 'static
{
}
impl<T, C> ByteCursor<T> for C where
    C: for<'a> Cursor<Key<'a> = &'a [u8], Val<'a> = &'a [u8], Time = T, Diff = i64> + 'static
{
}

/// Joins two arrangements. Errors are told apart only where the logic is `fallible`.
pub fn join<'s, T: Time, Tr1, Tr2>(
    a: Arranged<'s, Tr1>,
    b: Arranged<'s, Tr2>,
    name: &str,
    fallible: bool,
    logic: JoinLogic<T>,
) -> (RowStream<'s, T>, Option<RowStream<'s, T>>)
where
    Tr1: TraceReader<Time = T, Batch: Navigable> + 'static,
    Tr2: TraceReader<Time = T, Batch: Navigable> + 'static,
    for<'a> BatchCursor<Tr1>: Cursor<Key<'a> = &'a [u8], Val<'a> = &'a [u8], Time = T, Diff = i64>,
    for<'a> BatchCursor<Tr2>: Cursor<Key<'a> = &'a [u8], Val<'a> = &'a [u8], Time = T, Diff = i64>,
{
    let tactic = Tactic { logic: Rc::new(RefCell::new(logic)), batches: PhantomData };
    let joined = join_with_tactic(a, b, name, tactic);
    let mut builder = OperatorBuilder::new(format!("{name} rows"), joined.scope());
    let (oks, ok_stream) = builder.new_output();
    let (errs, err_stream) = builder.new_output();
    let mut oks = OutputBuilder::<T, FlatBuilder<T>>::from(oks);
    let mut errs = OutputBuilder::<T, FlatBuilder<T>>::from(errs);
    let mut input = builder.new_input(joined, Pipeline);
    builder.build(move |_| {
        move |_| {
            let (mut oks, mut errs) = (oks.activate(), errs.activate());
            input.for_each(|cap, data: &mut Joined<T>| {
                let ok_caps = cap.retain_stamp(0);
                let mut session = oks.session(&ok_caps);
                data.oks.iter_mut().for_each(|rows| session.give_container(rows));
                if !data.errs.is_empty() {
                    errs.session(&cap.retain_stamp(1)).give_container(&mut data.errs);
                }
            });
        }
    });
    let halves = Halves { oks: ok_stream, errs: err_stream };
    (halves.oks, fallible.then_some(halves.errs))
}

/// What a join has made in a while.
#[derive(Clone)]
struct Joined<T> {
    oks: Vec<Flat<T, i64>>,
    errs: Flat<T, i64>,
    /// Of how much of [`DRIVER_FUEL`], at least one.
    cost: i64,
}

impl<T> Default for Joined<T> {
    fn default() -> Self {
        Joined { oks: vec![], errs: Flat::default(), cost: 0 }
    }
}

/// The driver's fuel counts what this says: time, so that rows that the logic drops cost as well.
impl<T> Accountable for Joined<T> {
    fn record_count(&self) -> i64 {
        self.cost
    }
}

/// Makes the work that differential's driver schedules.
struct Tactic<T, B0, B1> {
    logic: Rc<RefCell<JoinLogic<T>>>,
    batches: PhantomData<(B0, B1)>,
}

impl<T, B0, B1> JoinTactic<T, B0, B1, Joined<T>> for Tactic<T, B0, B1>
where
    T: Time,
    B0: Navigable + 'static,
    B1: Navigable + 'static,
    for<'a> B0::Cursor: Cursor<Key<'a> = &'a [u8], Val<'a> = &'a [u8], Time = T, Diff = i64>,
    for<'a> B1::Cursor: Cursor<Key<'a> = &'a [u8], Val<'a> = &'a [u8], Time = T, Diff = i64>,
{
    fn prep(
        &mut self,
        left: Vec<B0>,
        right: Vec<B1>,
        fresh: Fresh,
        meet: T,
    ) -> Box<dyn Iterator<Item = Joined<T>>> {
        let ((left, left_batches), (right, right_batches)) = (cursor_list(left), cursor_list(right));
        // What has been there is consolidated to the times that may still come out; see differential's own.
        let (left_from, right_from) = match fresh {
            Fresh::Input0 => (None, Some(meet)),
            Fresh::Input1 => (Some(meet), None),
        };
        Box::new(Matching {
            left: Side { cursor: left, batches: left_batches, from: left_from, edits: vec![] },
            right: Side { cursor: right, batches: right_batches, from: right_from, edits: vec![] },
            block: None,
            logic: Rc::clone(&self.logic),
            out: Out::default(),
        })
    }
}

/// One input of a join.
struct Side<T, C: Cursor> {
    cursor: C,
    batches: C::Storage,
    /// Earlier times are moved forward to it.
    from: Option<T>,
    /// The times of the current val.
    edits: Vec<(T, i64)>,
}

impl<T: Time, C: ByteCursor<T>> Side<T, C> {
    /// Reads the times of the current val.
    fn read(&mut self) {
        let Side { cursor, batches, from, edits } = self;
        read(cursor, batches, from.as_ref(), edits);
    }
}

/// Reads the times of a cursor's current val, those before `from` as of then.
fn read<T: Time, C: ByteCursor<T>>(
    cursor: &mut C,
    batches: &C::Storage,
    from: Option<&T>,
    edits: &mut Vec<(T, i64)>,
) {
    edits.clear();
    cursor.map_times(batches, |time, diff| {
        let mut time = C::owned_time(time);
        if let Some(from) = from {
            time.join_assign(from);
        }
        edits.push((time, C::owned_diff(diff)));
    });
    if edits.len() > 1 {
        consolidate(edits);
    }
}

/// Some of the right side's vals at the current key, and how far they have been joined: the left's current
/// val, whose times have been read, up to time `edit` and with that up to update `at`.
struct Block<T> {
    vals: Flat<T, i64>,
    /// Whether any val has several times.
    changes: bool,
    edit: usize,
    at: usize,
}

/// The join of two lists of batches.
struct Matching<T: Time, L: Cursor, R: Cursor> {
    left: Side<T, L>,
    right: Side<T, R>,
    /// Within a key.
    block: Option<Block<T>>,
    logic: Rc<RefCell<JoinLogic<T>>>,
    out: Out<T>,
}

impl<T: Time, L: ByteCursor<T>, R: ByteCursor<T>> Matching<T, L, R> {
    /// Moves towards the next key that both sides have, or begins it; false where there is none.
    fn seek(&mut self, logic: &mut JoinLogic<T>) -> bool {
        let (left, right) = (&mut self.left, &mut self.right);
        let (Some(a), Some(b)) = (left.cursor.get_key(&left.batches), right.cursor.get_key(&right.batches))
        else {
            return false;
        };
        match a.cmp(b) {
            Ordering::Less => left.cursor.seek_key(&left.batches, b),
            Ordering::Greater => right.cursor.seek_key(&right.batches, a),
            Ordering::Equal => {
                self.open();
                self.replay(logic);
            }
        }
        true
    }
    /// Takes the next vals of the right side, and goes back to the first of the left; none end the key.
    fn open(&mut self) {
        let right = &mut self.right;
        let (mut vals, mut changes) = (Flat::default(), false);
        while let (Some(val), false) =
            (right.cursor.get_val(&right.batches).map(<[u8]>::to_vec), vals.is_full())
        {
            right.read();
            changes |= right.edits.len() > 1;
            right.edits.drain(..).for_each(|(time, diff)| vals.push(&val, &[], time, diff));
            right.cursor.step_val(&right.batches);
        }
        if vals.is_empty() && !right.cursor.val_valid(&right.batches) {
            self.close();
            return;
        }
        let left = &mut self.left;
        left.cursor.rewind_vals(&left.batches);
        if left.cursor.val_valid(&left.batches) {
            left.read();
        }
        self.block = Some(Block { vals, changes, edit: 0, at: 0 });
    }
    /// Joins a key whole and in the order of its times, where vals of both sides come and go and are few: of
    /// two counters then only what they showed at the same time meets, not all that they ever showed.
    fn replay(&mut self, logic: &mut JoinLogic<T>) {
        let (left, right) = (&mut self.left, &self.right);
        let whole = |block: &&mut Block<T>| block.changes && !right.cursor.val_valid(&right.batches);
        let Some(block) = self.block.as_mut().filter(whole) else { return };
        let (mut updates, mut changes) = (vec![], false);
        while let (Some(val), true) = (left.cursor.get_val(&left.batches), updates.len() < REPLAYED_MAX) {
            read(&mut left.cursor, &left.batches, left.from.as_ref(), &mut left.edits);
            changes |= left.edits.len() > 1;
            updates.extend(left.edits.drain(..).map(|(time, diff)| (val, time, diff)));
            left.cursor.step_val(&left.batches);
        }
        let key =
            left.cursor.get_key(&left.batches).filter(|_| changes && !left.cursor.val_valid(&left.batches));
        let Some(key) = key else {
            left.cursor.rewind_vals(&left.batches);
            left.read();
            return;
        };
        let (mut ours, mut theirs) = (ValueHistory::new(), ValueHistory::new());
        ours.load_iter(updates.into_iter(), None);
        theirs.load_iter(block.vals.iter().map(|(val, _, time, diff)| (val, time.clone(), *diff)), None);
        replayed(&mut ours, &mut theirs, |val, other, time, diff| {
            logic(key, val, other, time, diff, &mut self.out);
            self.out.spill();
        });
        self.close();
    }
    fn close(&mut self) {
        self.block = None;
        self.left.cursor.step_key(&self.left.batches);
        self.right.cursor.step_key(&self.right.batches);
    }
    /// Joins the left's current val with the block, or the rest of that; returns the pairs that were made.
    fn pairs(&mut self, logic: &mut JoinLogic<T>) -> usize {
        let Some(block) = &mut self.block else { return 0 };
        let left = &mut self.left;
        let (Some(key), Some(val)) = (left.cursor.get_key(&left.batches), left.cursor.get_val(&left.batches))
        else {
            self.open(); // the next block, or the end of the key
            return 1;
        };
        let mut pairs = 0;
        while let Some((time, diff)) = left.edits.get(block.edit) {
            while block.at < block.vals.len() {
                let (other, _, at, count) = block.vals.get(block.at);
                logic(key, val, other, time.join(at), diff * count, &mut self.out);
                pairs += 1;
                block.at += 1;
                if self.out.oks.is_full() || self.out.errs.is_full() {
                    return pairs;
                }
            }
            (block.edit, block.at) = (block.edit + 1, 0);
        }
        block.edit = 0;
        left.cursor.step_val(&left.batches);
        if left.cursor.val_valid(&left.batches) {
            left.read();
        }
        pairs + 1
    }
}

impl<T: Time, L: ByteCursor<T>, R: ByteCursor<T>> Iterator for Matching<T, L, R> {
    type Item = Joined<T>;
    fn next(&mut self) -> Option<Joined<T>> {
        let began = Instant::now();
        let logic = Rc::clone(&self.logic);
        let mut logic = logic.borrow_mut();
        let (mut steps, mut more) = (0, true);
        while more && steps < STEPS && !self.out.oks.is_full() && !self.out.errs.is_full() {
            if self.block.is_some() {
                steps += self.pairs(&mut logic);
            } else {
                more = self.seek(&mut logic);
                steps += 1;
            }
        }
        self.out.spill_all();
        let (oks, errs) = (self.out.take_full(), std::mem::take(&mut self.out.errs));
        if !more && oks.is_empty() && errs.is_empty() {
            return None;
        }
        let share = began.elapsed().as_nanos() as i64 * DRIVER_FUEL / TURN.as_nanos() as i64;
        Some(Joined { oks, errs, cost: share.max(1) })
    }
}

/// Pairs the edits of two histories, each with what the other shows by then.
fn replayed<'a, 'b, T: Time>(
    ours: &mut ValueHistory<&'a [u8], T, i64>,
    theirs: &mut ValueHistory<&'b [u8], T, i64>,
    mut pair: impl FnMut(&'a [u8], &'b [u8], T, i64),
) {
    while !ours.is_done() || !theirs.is_done() {
        let left_first = match (ours.time(), theirs.time()) {
            (Some(a), Some(b)) => a.cmp(b) == Ordering::Less,
            (a, _) => a.is_some(),
        };
        if left_first {
            let Some((val, time, diff)) = ours.edit().map(|(val, time, diff)| (val, time.clone(), *diff))
            else {
                break;
            };
            if let Some(meet) = ours.meet() {
                theirs.advance_buffer_by(meet);
            }
            for ((other, at), count) in theirs.buffer() {
                pair(val, other, time.join(at), diff * count);
            }
            ours.step();
        } else {
            let Some((other, at, count)) = theirs.edit().map(|(val, time, diff)| (val, time.clone(), *diff))
            else {
                break;
            };
            if let Some(meet) = theirs.meet() {
                ours.advance_buffer_by(meet);
            }
            for ((val, time), diff) in ours.buffer() {
                pair(val, other, time.join(&at), diff * count);
            }
            theirs.step();
        }
    }
}
