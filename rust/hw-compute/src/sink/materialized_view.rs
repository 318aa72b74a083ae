//! A collection written to a shard, by every replica, self-correcting.
//!
//! What is to be written is *desired minus persisted*: the dataflow's result, minus what the shard says it
//! holds, which is fed back to the sink like a source. Whoever appended what is there (this replica, another,
//! or this one before a restart), the difference is what is missing.
//!
//! ```text
//!            persisted upper = lower          desired upper
//!   ------------------|-----------------------------|---------> time
//!    fed back, cancels|  a batch [lower, upper)     |  not known yet: kept unread
//! ```
//!
//! Both sides meet by hash of the row, on the workers of the process that writes: the first, since one batch
//! must be appended as a whole.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use hw_types::flat::Updates;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::Antichain;

use super::{collect, frontier_of};
use crate::arrangement::RowBatcher;
use crate::build::Moved;
use crate::container::run::{Run, sort};
use crate::container::{Flat, by_key_among};
use crate::gather::{before, least};
use crate::plan::Frontier;
use crate::render::operators::Halves;

/// One half's updates: desired minus persisted.
#[derive(Default)]
struct Half {
    incoming: RowBatcher<u64, i64>,
    /// Those before the last batch's upper, consolidated: what was given to be written and has not come
    /// back yet, or what another writer's batch left to be done.
    held: Run<u64, i64>,
}

impl Half {
    fn take(&mut self, container: &mut Flat<u64, i64>, negate: bool) {
        if negate {
            container.diffs.iter_mut().for_each(|diff| *diff = -*diff);
        }
        self.incoming.add(container);
    }
    /// The updates before `upper`, those before `from` moved forward to it.
    fn correct(&mut self, from: u64, upper: Frontier) -> Updates {
        let frontier = Antichain::from_iter(upper);
        let run = self.incoming.extract_run(frontier.borrow());
        let mut chunks = std::mem::take(&mut self.held).into_chunks();
        chunks.extend(run.into_chunks());
        for time in chunks.iter_mut().flat_map(|chunk| &mut chunk.times) {
            *time = (*time).max(from);
        }
        self.held = sort(&chunks);
        let mut updates = Updates::new();
        collect(&self.held, |time| before(Some(time), upper), &mut updates);
        updates
    }
}

/// The state of one worker's part of a sink.
pub struct Correction {
    oks: Half,
    errs: Half,
    as_of: u64,
    /// What the dataflow has computed, on this worker.
    desired: Frontier,
    /// What the shard is known to hold, on this worker.
    persisted: Frontier,
    writes: VecDeque<(Frontier, Frontier)>,
}

/// Shared by the worker's loop and its operator.
pub type SharedCorrection = Rc<RefCell<Correction>>;

impl Correction {
    fn new(as_of: u64) -> Self {
        Correction {
            oks: Half::default(),
            errs: Half::default(),
            as_of,
            desired: Some(0),
            persisted: Some(0),
            writes: VecDeque::new(),
        }
    }
    /// What the dataflow has computed; nothing is known before its as_of.
    pub fn desired(&self) -> Frontier {
        self.desired
    }
    /// Asks for the batch `[lower, upper)`.
    pub fn write(&mut self, lower: Frontier, upper: Frontier) {
        self.writes.push_back((lower, upper));
    }
    /// The next batch asked for, if both sides are complete up to it.
    pub fn next_batch(&mut self) -> Option<(Frontier, Frontier, Updates, Updates)> {
        let (lower, upper) = *self.writes.front()?;
        if before(self.persisted, lower) || before(self.desired, upper) {
            return None;
        }
        self.writes.pop_front();
        // Before its as_of the dataflow says nothing, so the shard stays as it is.
        let from = lower.unwrap_or(u64::MAX).max(self.as_of);
        Some((lower, upper, self.oks.correct(from, upper), self.errs.correct(from, upper)))
    }
}

/// Makes the operator; `writers` workers keep the corrections.
pub fn materialized_view<'s>(
    name: &str,
    desired: Halves<'s, u64>,
    persisted: Halves<'s, u64>,
    as_of: u64,
    writers: u64,
    moved: &Moved,
) -> SharedCorrection {
    let shared = Rc::new(RefCell::new(Correction::new(as_of)));
    let mut builder = OperatorBuilder::new(name.to_owned(), desired.oks.scope());
    let mut desired_oks = builder.new_input(desired.oks, by_key_among(writers));
    let mut desired_errs = builder.new_input(desired.errs, by_key_among(writers));
    let mut persisted_oks = builder.new_input(persisted.oks, by_key_among(writers));
    let mut persisted_errs = builder.new_input(persisted.errs, by_key_among(writers));
    let (state, moved) = (Rc::clone(&shared), Rc::clone(moved));
    builder.build(move |_| {
        move |frontiers| {
            let mut state = state.borrow_mut();
            desired_oks.for_each(|_, data| state.oks.take(data, false));
            desired_errs.for_each(|_, data| state.errs.take(data, false));
            persisted_oks.for_each(|_, data| state.oks.take(data, true));
            persisted_errs.for_each(|_, data| state.errs.take(data, true));
            state.desired = least(frontier_of(&frontiers[0]), frontier_of(&frontiers[1]));
            state.persisted = least(frontier_of(&frontiers[2]), frontier_of(&frontiers[3]));
            moved.set(true);
        }
    });
    shared
}
