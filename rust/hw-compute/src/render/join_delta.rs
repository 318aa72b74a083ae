//! Delta joins over shared arrangements, at `u64` times.
//!
//! A delta join of n inputs has n paths: path i takes the changes of input i and looks them up in the others,
//! one after the other, holding no state but the arrangements, which exist anyhow. Each result must come out
//! of exactly one path: a change of i at time t sees input j's updates at times `<= t` if j < i, and `< t` if
//! j > i. With a total order of times a comparison does it, and the output's time is the change's own.
//!
//! Two things make the comparison sound:
//! * Logical compaction of a trace is held one step *before* the earliest time that may still be looked up:
//!   compacting to `t` itself would make updates before `t` indistinguishable from those at `t`.
//! * Updates from before the dataflow's as_of are all moved to it, in the stream of changes as well as in the
//!   look-up, since different batches may have been compacted to different times. They are then ties, told
//!   apart by the inputs' order as any other.

use std::collections::VecDeque;

use differential_dataflow::trace::cursor::cursor_list;
use differential_dataflow::trace::{Cursor, TraceReader};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::{OutputBuilder, builder_rc::OperatorBuilder};
use timely::progress::Antichain;

use super::bundle::{Arrangement, Bundle, Mapper, concatenate};
use super::join::JoinLogic;
use super::join_linear::{input, joined};
use super::operators::{Halves, Logic, Out, Turn, flat_map};
use super::thinning::Splitter;
use super::{Context, RenderError};
use crate::arrangement::{RowArranged, RowBatcher, RowTrace};
use crate::container::run::Run;
use crate::container::{Flat, FlatBuilder, RowStream, by_key};
use crate::expr::mfp_can_fail;
use crate::plan::JoinPath;

/// Which updates of the other input a change sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum See {
    Before,
    UpTo,
}

/// Vals and look-ups between looks at the clock.
const STEPS: usize = 4096;

/// Sorted changes, how far they have been looked up, and the capabilities for both outputs.
struct Ready {
    run: Run<u64, i64>,
    chunk: usize,
    at: usize,
    /// The first val of the other input that the current change has not met, where it has met some.
    within: Option<Vec<u8>>,
    caps: [Capability<u64>; 2],
}

/// The state of a half join.
struct HalfJoin {
    as_of: u64,
    see: See,
    logic: JoinLogic<u64>,
    /// Changes whose time the arrangement is not complete at.
    waiting: RowBatcher<u64, i64>,
    caps: Option<[Capability<u64>; 2]>,
    ready: VecDeque<Ready>,
    out: Out<u64>,
}

impl HalfJoin {
    fn insert(&mut self, caps: [Capability<u64>; 2], data: &mut Flat<u64, i64>) {
        if self.caps.as_ref().is_none_or(|held| caps[0].time() < held[0].time()) {
            self.caps = Some(caps);
        }
        self.waiting.add(data);
    }
    /// Takes the changes at times at which the arrangement is complete.
    fn release(&mut self, complete: &Antichain<u64>) {
        let Some(caps) = self.caps.take_if(|caps| !complete.less_equal(caps[0].time())) else { return };
        let run = self.waiting.extract_run(complete.borrow());
        let left = self.waiting.retained().iter().min().copied();
        self.caps = left.map(|time| [caps[0].delayed(&time), caps[1].delayed(&time)]);
        if !run.is_empty() {
            self.ready.push_back(Ready { run, chunk: 0, at: 0, within: None, caps });
        }
    }
    /// The earliest time that may still be looked up, besides those that may still arrive.
    fn earliest(&self) -> Option<u64> {
        let waiting = self.caps.iter().map(|caps| *caps[0].time());
        waiting.chain(self.ready.iter().map(|ready| *ready.caps[0].time())).min()
    }
    /// Looks up some of the first ready changes; `ship` takes full containers.
    fn work(
        &mut self,
        trace: &mut RowTrace<u64>,
        turn: &Turn,
        mut ship: impl FnMut(&[Capability<u64>; 2], &mut Out<u64>),
    ) {
        let Some(ready) = self.ready.front_mut() else { return };
        let batches = trace.batches_through(Antichain::new().borrow());
        let (mut cursor, storage) = cursor_list(batches.expect("there is a cut at the end of all batches"));
        let mut steps = 0usize;
        while ready.chunk < ready.run.chunks().len() {
            let chunk = &ready.run.chunks()[ready.chunk];
            let (key, payload, time, diff) = chunk.get(ready.at);
            cursor.seek_key(&storage, key);
            if cursor.get_key(&storage) == Some(key) {
                if let Some(val) = ready.within.take() {
                    cursor.seek_val(&storage, &val);
                }
                while let Some(val) = cursor.get_val(&storage) {
                    steps += 1;
                    if steps.is_multiple_of(STEPS) && turn.is_over() {
                        ready.within = Some(val.to_vec());
                        return ship(&ready.caps, &mut self.out);
                    }
                    let mut sum = 0;
                    cursor.map_times(&storage, |at, diff| {
                        let at = (*at).max(self.as_of);
                        if at < *time || (at == *time && self.see == See::UpTo) {
                            sum += *diff;
                        }
                    });
                    if sum != 0 {
                        (self.logic)(key, payload, val, *time, diff * sum, &mut self.out);
                        if self.out.oks.is_full() || self.out.errs.is_full() {
                            ship(&ready.caps, &mut self.out);
                        }
                    }
                    cursor.step_val(&storage);
                }
                cursor.rewind_vals(&storage); // the next change may have the same key
            }
            ready.within = None; // what was to be met next may be gone
            ready.at += 1;
            if ready.at == chunk.len() {
                (ready.chunk, ready.at) = (ready.chunk + 1, 0);
            }
            steps += 1;
            if steps.is_multiple_of(STEPS) && turn.is_over() {
                break;
            }
        }
        ship(&ready.caps, &mut self.out);
        if ready.chunk == ready.run.chunks().len() {
            self.ready.pop_front();
        }
    }
}

/// Looks up `changes` (key: what to look up, val: payload) in `other`, not responding to its changes.
///
/// The changes wait in a batcher until `other` is complete at their time; they leave it sorted, so that
/// one forward pass of a cursor serves them all.
fn half_join<'s>(
    changes: RowStream<'s, u64>,
    other: RowArranged<'s, u64>,
    as_of: u64,
    see: See,
    logic: JoinLogic<u64>,
) -> Halves<'s, u64> {
    let scope = changes.scope();
    let mut trace = other.trace;
    // Look-ups read all batches and compare times: nothing stands against merging them.
    trace.set_physical_compaction(Antichain::new().borrow());
    let mut trace = Some(trace);
    let mut builder = OperatorBuilder::new("HalfJoin".into(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    let (oks, ok_stream) = builder.new_output();
    let (errs, err_stream) = builder.new_output();
    let mut oks = OutputBuilder::<u64, FlatBuilder<u64>>::from(oks);
    let mut errs = OutputBuilder::<u64, FlatBuilder<u64>>::from(errs);
    let mut input = builder.new_input(changes, by_key());
    // Of the batches only the frontier matters, and their times are never those of results.
    let none: Vec<(usize, Antichain<u64>)> = vec![];
    let mut batches = builder.new_input_connection(other.stream, Pipeline, none);
    builder.build(move |_| {
        let (waiting, out) = (RowBatcher::default(), Out::default());
        let mut join = HalfJoin { as_of, see, logic, waiting, caps: None, ready: VecDeque::new(), out };
        move |frontiers| {
            let (mut oks, mut errs) = (oks.activate(), errs.activate());
            input.for_each(|cap, data| {
                let caps = (cap.retain_least(0), cap.retain_least(1));
                if let (Some(ok), Some(err)) = caps {
                    join.insert([ok, err], data);
                }
            });
            batches.for_each(|_, _| ());
            join.release(&frontiers[1].frontier().to_owned());
            if let Some(trace) = &mut trace {
                let turn = Turn::begin();
                while !join.ready.is_empty() {
                    join.work(trace, &turn, |caps, out| {
                        if !out.oks.is_empty() {
                            oks.session(&caps[0]).give_container(&mut out.oks);
                            out.oks.clear();
                        }
                        if !out.errs.is_empty() {
                            errs.session(&caps[1]).give_container(&mut out.errs);
                            out.errs.clear();
                        }
                    });
                    if turn.is_over() {
                        break;
                    }
                }
            }
            if !join.ready.is_empty() {
                activator.activate();
            }
            let hold = frontiers[0].frontier().iter().copied().chain(join.earliest()).min();
            match (hold, &mut trace) {
                (Some(time), Some(trace)) => {
                    let hold = Antichain::from_elem(time.saturating_sub(1));
                    trace.set_logical_compaction(hold.borrow());
                }
                _ => trace = None,
            }
        }
    });
    Halves { oks: ok_stream, errs: err_stream }
}

fn here<'s>(
    bundle: &Bundle<'s, u64>,
    key: &[crate::expr::ScalarExpr],
) -> Result<RowArranged<'s, u64>, RenderError> {
    match bundle.arrangement(key) {
        Some(Arrangement::Here(arranged)) => Ok(arranged),
        _ => Err(RenderError::NoArrangement("a delta join".into())),
    }
}

/// See [`Plan::DeltaJoin`](crate::plan::Plan::DeltaJoin).
pub fn render<'s>(
    context: &mut Context<'s, u64>,
    inputs: &[Bundle<'s, u64>],
    paths: &[JoinPath],
) -> Result<Bundle<'s, u64>, RenderError> {
    let mut errs: Vec<_> = inputs.iter().flat_map(|input| input.errs.clone()).collect();
    let mut results = vec![];
    let mut arity = 0;
    for path in paths {
        let (rows, columns) = render_path(context, inputs, path, &mut errs)?;
        results.push(rows);
        arity = columns;
    }
    Ok(Bundle::of_rows(arity, concatenate(context.scope, results), errs))
}

fn render_path<'s>(
    context: &Context<'s, u64>,
    inputs: &[Bundle<'s, u64>],
    path: &JoinPath,
    errs: &mut Vec<RowStream<'s, u64>>,
) -> Result<(RowStream<'s, u64>, usize), RenderError> {
    let source = input(inputs, path.source)?;
    let key = path.source_key.as_deref();
    let key = key.ok_or_else(|| RenderError::Malformed("a delta path reads from no arrangement".into()))?;
    let mut mapper = Mapper::new(&path.initial, context.as_of, context.until)?;
    let changes = super::bundle::restored(key, source.arity, move |row, time, diff, out| {
        mapper.map(row, time, diff, out);
    });
    let changes = Arrangement::Here(here(source, key)?).flat_map("Changes", None, changes);
    if mfp_can_fail(&path.initial) {
        errs.push(changes.errs);
    }
    let (mut rows, mut arity) = (changes.oks, path.initial.output_arity());
    for stage in &path.stages {
        let mut splitter = Splitter::new(&stage.stream_key, arity)?;
        let split: Logic<u64> = Box::new(move |row, _, time, diff, out| {
            if let Err(error) = splitter.split(row, *time, diff, &mut out.oks) {
                out.error(&error, *time, diff);
            }
        });
        let keyed = flat_map(rows, "DeltaKey", split);
        if stage.stream_key.iter().any(crate::expr::can_fail) {
            errs.push(keyed.errs);
        }
        let other = here(input(inputs, stage.lookup)?, &stage.lookup_key)?;
        let see = if stage.lookup < path.source { See::UpTo } else { See::Before };
        let logic = joined(&stage.stream_key, arity, stage, context.times())?;
        let halves = half_join(keyed.oks, other, context.as_of, see, logic);
        if mfp_can_fail(&stage.closure) {
            errs.push(halves.errs);
        }
        (rows, arity) = (halves.oks, stage.closure.output_arity());
    }
    Ok((rows, arity))
}
