//! A collection sent to a client, each interval of times once it is complete.

use std::sync::Arc;

use hw_types::flat::Updates;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::Antichain;

use super::{collect, frontier_of};
use crate::arrangement::RowBatcher;
use crate::container::by_key;
use crate::gather::{Gather, before, least};
use crate::plan::{Frontier, GlobalId};
use crate::render::operators::Halves;

/// What a subscription asks for.
pub struct Subscribe {
    /// The sink export.
    pub id: GlobalId,
    /// Exact from here on.
    pub as_of: u64,
    /// Nothing from here on.
    pub until: Frontier,
    /// Whether updates at the as_of are sent.
    pub with_snapshot: bool,
}

impl Subscribe {
    fn wants(&self, time: u64) -> bool {
        (self.with_snapshot || time > self.as_of) && before(Some(time), self.until)
    }
}

/// Makes the operator. `worker` counts within the process, whose workers meet in `gather`.
pub fn subscribe(halves: Halves<'_, u64>, subscribe: Subscribe, worker: usize, gather: Arc<Gather>) {
    let mut builder = OperatorBuilder::new(format!("Subscribe {}", subscribe.id), halves.oks.scope());
    let mut oks = builder.new_input(halves.oks, by_key());
    let mut errs = builder.new_input(halves.errs, by_key());
    builder.build(move |_| {
        let (mut ok_batcher, mut err_batcher) = (RowBatcher::default(), RowBatcher::default());
        let mut said = Some(subscribe.as_of);
        move |frontiers| {
            oks.for_each(|_, data| ok_batcher.add(data));
            errs.for_each(|_, data| err_batcher.add(data));
            let mut upper = least(frontier_of(&frontiers[0]), frontier_of(&frontiers[1]));
            if !before(said, upper) {
                return;
            }
            let frontier = Antichain::from_iter(upper);
            let mut updates = [Updates::new(), Updates::new()];
            for (batcher, updates) in [&mut ok_batcher, &mut err_batcher].into_iter().zip(&mut updates) {
                let run = batcher.extract_run(frontier.borrow());
                collect(&run, |time| subscribe.wants(time), updates);
            }
            if !before(upper, subscribe.until) {
                upper = None; // all that was asked for is said
            }
            said = upper;
            let [oks, errs] = updates;
            gather.advance(worker, &subscribe.id, upper);
            gather.subscribe(worker, &subscribe.id, upper, oks, errs);
        }
    });
}
