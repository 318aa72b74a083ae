//! What operators do before others run: the frontier moves, however little that is and however much comes in.

use std::time::Duration;

use hw_types::flat::Updates;
use timely::dataflow::ProbeHandle;
use timely::dataflow::operators::Probe;

use super::plans::ints;
use super::world::{desc, part};
use crate::arrangement::arrange;
use crate::build::Moved;
use crate::render::operators::{LENGTH, Logic, flat_map, flat_map_arranged};
use crate::source::{Half, Reading, SharedFeed, source};

const COMMITS: u64 = 1000;

/// A source, maps, an arrangement and a read of it; and where its end is.
fn dataflow(worker: &mut timely::worker::Worker) -> (SharedFeed, ProbeHandle<u64>) {
    let probe = ProbeHandle::new();
    let feed = worker.dataflow::<u64, _, _>(|scope| {
        let reading = Reading {
            name: "rows",
            as_of: 0,
            until: None,
            desc: &desc(1),
            mfp: None,
            share: None,
            grows: false,
        };
        let (halves, feed) = source(scope, &reading, &Moved::default()).expect("a plan");
        let same =
            || -> Logic<u64> { Box::new(|key, val, time, diff, out| out.oks.push(key, val, *time, diff)) };
        let mapped = flat_map(halves.oks, "Map", same()).oks;
        let read = flat_map_arranged(arrange(mapped, "Arrange"), "Read", None, same());
        read.oks.probe_with(&probe);
        feed
    });
    (feed, probe)
}

/// A commit of one row.
fn commit(feed: &SharedFeed, time: u64) {
    let mut updates = Updates::new();
    updates.push(&ints(&[7]), time, 1);
    feed.borrow_mut().push(vec![part(Half::Ok, &updates)], Some(time + 1));
}

#[test]
fn small_commits_that_have_queued_up_are_read_together() {
    timely::execute_directly(|worker| {
        let (feed, probe) = dataflow(worker);
        (0..COMMITS).for_each(|time| commit(&feed, time));
        let steps = (1..=COMMITS).find(|_| {
            worker.step();
            !probe.less_than(&COMMITS)
        });
        feed.borrow_mut().push(vec![], None); // the end, which timely waits for
        assert!(steps.is_some_and(|steps| steps <= COMMITS / 20), "{steps:?}");
    });
}

#[test]
fn turns_that_are_over_before_they_began_get_somewhere() {
    LENGTH.set(Duration::ZERO);
    timely::execute_directly(|worker| {
        let (feed, probe) = dataflow(worker);
        for time in 0..COMMITS {
            commit(&feed, time);
            worker.step();
            let behind = time.saturating_sub(20);
            assert!(!probe.less_than(&behind), "at {time}, {behind} is not complete");
        }
        feed.borrow_mut().push(vec![], None);
    });
}
