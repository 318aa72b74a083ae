//! Operators that wait for times to complete: what came before a frontier leaves consolidated, by time.

use std::cell::Cell;
use std::rc::Rc;

use timely::dataflow::operators::generic::{OutputBuilder, builder_rc::OperatorBuilder};
use timely::dataflow::operators::{Capability, CapabilitySet, Operator};
use timely::progress::frontier::AntichainRef;
use timely::progress::{Antichain, Timestamp};

use super::operators::{Halves, Out};
use crate::arrangement::RowBatcher;
use crate::arrangement::sizes::{self, Size};
use crate::container::{FlatBuilder, RowStream, Time, by_key};

/// The capabilities that a batcher's contents need: like differential's arrange operator.
struct Held<T: Timestamp>(Vec<Capability<T>>);

impl<T: Time> Held<T> {
    fn insert(&mut self, caps: &CapabilitySet<T>) {
        for cap in caps.iter() {
            if !self.0.iter().any(|held| held.time().less_equal(cap.time())) {
                self.0.retain(|held| !cap.time().less_equal(held.time()));
                self.0.push(cap.clone());
            }
        }
    }
    /// Those before `frontier`; what stays is to be [renewed](Self::renew).
    fn retire(&mut self, frontier: AntichainRef<'_, T>) -> Vec<Capability<T>> {
        let (retired, kept) = self.0.drain(..).partition(|cap| !frontier.less_equal(cap.time()));
        self.0 = kept;
        retired
    }
    /// Holds `times` and no more.
    fn renew(&mut self, retired: Vec<Capability<T>>, times: AntichainRef<'_, T>) {
        let all: Vec<_> = retired.into_iter().chain(self.0.drain(..)).collect();
        for time in times.iter() {
            let from = all.iter().find(|cap| cap.time().less_equal(time));
            self.0.push(from.expect("each update came with a capability at or before it").delayed(time));
        }
    }
}

/// Consolidates updates at each time as it completes.
pub fn consolidate<'s, T: Time>(rows: RowStream<'s, T>, name: &str) -> RowStream<'s, T> {
    rows.unary_frontier::<FlatBuilder<T>, _, _, _>(by_key(), name, move |_, _| {
        let mut batcher = RowBatcher::<T, i64>::default();
        let mut held = Held::<T>(vec![]);
        let mut last = Antichain::from_elem(T::minimum());
        move |(input, frontier), output| {
            input.for_each(|cap, data| {
                held.insert(&cap.retain_stamp(0));
                batcher.add(data);
            });
            if last.borrow() == frontier.frontier() {
                return;
            }
            last = frontier.frontier().to_owned();
            let retired = held.retire(last.borrow());
            if retired.is_empty() {
                return;
            }
            let run = batcher.extract_run(last.borrow());
            let caps: CapabilitySet<T> = retired.iter().cloned().collect();
            let mut session = output.session(&caps);
            for mut chunk in run.into_chunks() {
                session.give_container(&mut chunk);
            }
            drop(session);
            held.renew(retired, batcher.retained());
        }
    })
}

/// Applied to the changes of one key at one time: key, vals and diffs in order, time.
pub type StateLogic = Box<dyn FnMut(&[u8], &[(&[u8], i64)], &u64, &mut Out<u64>)>;

/// Applies `logic` to each key's changes, one time after the other: for logic that keeps state, of a size
/// that it tells where it keeps much.
pub fn stateful<'s>(
    rows: RowStream<'s, u64>,
    name: &str,
    mut logic: StateLogic,
    size: Option<Rc<Cell<Size>>>,
) -> Halves<'s, u64> {
    let mut builder = OperatorBuilder::new(name.to_owned(), rows.scope());
    if let Some(size) = size {
        sizes::know_state(builder.operator_info().global_id, &size);
    }
    let (oks, ok_stream) = builder.new_output();
    let (errs, err_stream) = builder.new_output();
    let mut oks = OutputBuilder::<u64, FlatBuilder<u64>>::from(oks);
    let mut errs = OutputBuilder::<u64, FlatBuilder<u64>>::from(errs);
    let mut input = builder.new_input(rows, by_key());
    builder.build(move |_| {
        let mut batcher = RowBatcher::<u64, i64>::default();
        let mut held = [Held(vec![]), Held(vec![])];
        let mut last = Antichain::from_elem(0);
        let mut out = Out::default();
        move |frontiers| {
            let (mut oks, mut errs) = (oks.activate(), errs.activate());
            input.for_each(|cap, data| {
                held[0].insert(&cap.retain_stamp(0));
                held[1].insert(&cap.retain_stamp(1));
                batcher.add(data);
            });
            if last.borrow() == frontiers[0].frontier() {
                return;
            }
            last = frontiers[0].frontier().to_owned();
            let [ok_caps, err_caps] = [0, 1].map(|output: usize| held[output].retire(last.borrow()));
            if ok_caps.is_empty() {
                return;
            }
            let chunks = batcher.extract_run(last.borrow()).into_chunks();
            let mut updates: Vec<(u64, &[u8], &[u8], i64)> = vec![];
            for (key, val, time, diff) in chunks.iter().flat_map(|chunk| chunk.iter()) {
                updates.push((*time, key, val, *diff));
            }
            // Within a time the order of keys and vals stays.
            updates.sort_by_key(|update| update.0);
            let mut changes = vec![];
            for group in updates.chunk_by(|a, b| a.0 == b.0 && a.1 == b.1) {
                let (time, key, ..) = group[0];
                changes.clear();
                changes.extend(group.iter().map(|(_, _, val, diff)| (*val, *diff)));
                logic(key, &changes, &time, &mut out);
                let full = out.take_full();
                if !full.is_empty() || !out.oks.is_empty() {
                    let cap = capability(&ok_caps, time);
                    let mut session = oks.session(&cap);
                    full.into_iter().for_each(|mut full| session.give_container(&mut full));
                    session.give_container(&mut out.oks);
                    out.oks.clear();
                }
                if !out.errs.is_empty() {
                    let cap = capability(&err_caps, time);
                    errs.session(&cap).give_container(&mut out.errs);
                    out.errs.clear();
                }
            }
            drop(updates);
            held[0].renew(ok_caps, batcher.retained());
            held[1].renew(err_caps, batcher.retained());
        }
    });
    Halves { oks: ok_stream, errs: err_stream }
}

fn capability(caps: &[Capability<u64>], time: u64) -> CapabilitySet<u64> {
    let from = caps.iter().find(|cap| *cap.time() <= time);
    let cap = from.expect("each update came with a capability at or before it").delayed(&time);
    std::iter::once(cap).collect()
}
