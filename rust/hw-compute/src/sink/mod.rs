//! Collections that leave a dataflow other than by an index.
//!
//! * [`materialized_view`]: into a shard, self-correcting.
//! * [`subscribe`]: to a client, as they become complete.

pub mod materialized_view;
pub mod subscribe;

use hw_types::flat::Updates;
use timely::progress::frontier::MutableAntichain;

use crate::container::run::Run;
use crate::plan::Frontier;

/// A frontier over a total order.
pub fn frontier_of(frontier: &MutableAntichain<u64>) -> Frontier {
    frontier.frontier().iter().copied().min()
}

/// Appends the updates of a run for which `keep` holds.
fn collect(run: &Run<u64, i64>, keep: impl Fn(u64) -> bool, into: &mut Updates) {
    for chunk in run.chunks() {
        for (row, _, time, diff) in chunk.iter().filter(|item| keep(*item.2)) {
            into.push(row, *time, *diff);
        }
    }
}
