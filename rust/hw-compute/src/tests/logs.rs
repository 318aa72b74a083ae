//! What workers know of themselves, read like any collection.

use hw_types::arena::Arena;
use hw_types::datum::Datum;
use hw_types::row::{check, unpack};

use super::plans::{dataflow, ints};
use super::world::{Rows, Stored, World, desc};
use crate::logging::Log;
use crate::plan::{DataflowDescription, LogImport};

/// Every log, and how many columns it has.
const LOGS: [(Log, usize); 31] = [
    (Log::ActivePeeks, 5),
    (Log::ArrangementBatches, 2),
    (Log::ArrangementRecords, 2),
    (Log::ArrangementHeapSize, 2),
    (Log::ArrangementHeapCapacity, 2),
    (Log::ArrangementHeapAllocations, 2),
    (Log::ArrangementSharing, 2),
    (Log::BatcherRecords, 2),
    (Log::BatcherSize, 2),
    (Log::BatcherCapacity, 2),
    (Log::BatcherAllocations, 2),
    (Log::Channels, 7),
    (Log::DataflowGlobalIds, 3),
    (Log::DataflowAddresses, 3),
    (Log::ErrorCounts, 3),
    (Log::Exports, 3),
    (Log::Frontiers, 3),
    (Log::HydrationTimes, 3),
    (Log::ImportFrontiers, 4),
    (Log::LirMapping, 8),
    (Log::MessageBatchCountsReceived, 3),
    (Log::MessageBatchCountsSent, 3),
    (Log::MessageCountsReceived, 3),
    (Log::MessageCountsSent, 3),
    (Log::OperatorDurations, 3),
    (Log::OperatorHydrationStatuses, 4),
    (Log::Operators, 3),
    (Log::PeekDurations, 3),
    (Log::PrometheusMetrics, 6),
    (Log::SchedulingElapsed, 2),
    (Log::SchedulingParks, 3),
];

/// An index of a log, by its first column.
fn index_of(log: Log, arity: usize, id: &str, as_of: u64) -> DataflowDescription {
    let import = LogImport { id: "log".into(), log, desc: desc(arity), mfp: None };
    let mut described = dataflow(id, &[], as_of).index(id, "log", &[0], arity);
    described.logs.push(import);
    described
}

/// Two workers that maintain an index of 100 rows, complete before 2.
fn busy() -> World {
    let mut world = World::new(2);
    world.replica().create(dataflow("i", &[("a", 2)], 0).index("i", "a", &[0], 2));
    let numbers = (0..100).map(|n| Stored { error: false, row: ints(&[n % 7, n]), time: 1, diff: 1 });
    world.append("a", numbers.collect(), 2);
    assert_eq!(world.peek("i", 2, 1).map(|rows| rows.len()), Ok(100));
    world
}

/// The log at a time, as an index made at that time has it.
fn read(world: &mut World, log: Log, arity: usize) -> Rows {
    world.replica().create(index_of(log, arity, "l", 5));
    let rows = world.peek("l", arity, 5).expect("rows");
    world.replica().allow_compaction("l", None);
    rows
}

/// The rows' texts and numbers, for comparison.
fn shown(rows: &Rows) -> Vec<String> {
    let arena = Arena::new();
    let mut shown = vec![];
    for (row, count) in rows {
        let mut datums = vec![];
        unpack(row, &arena, &mut datums);
        let text = datums.iter().map(|datum| match datum {
            Datum::Text(text) => (*text).to_owned(),
            Datum::Int(value) => value.to_string(),
            other => format!("{other:?}"),
        });
        shown.push(format!("{} x{count}", text.collect::<Vec<_>>().join(" ")));
    }
    shown.sort_unstable();
    shown
}

#[test]
fn every_log_has_rows_of_its_columns() {
    let mut world = busy();
    for (log, arity) in LOGS {
        let rows = read(&mut world, log, arity);
        for (row, count) in &rows {
            assert_eq!(check(row, arity), Ok(()), "{log:?}");
            assert!(*count > 0, "{log:?}");
        }
        let idle = [Log::ActivePeeks, Log::ErrorCounts];
        let waits = [Log::BatcherRecords, Log::BatcherSize, Log::BatcherCapacity, Log::BatcherAllocations];
        assert!(!rows.is_empty() || idle.contains(&log) || waits.contains(&log), "{log:?} is empty");
    }
}

#[test]
fn a_log_says_what_is_so_before_its_reader_is_built() {
    let mut world = busy();
    assert_eq!(shown(&read(&mut world, Log::Exports, 3)), ["i 0 0 x1", "i 1 0 x1"]);
    assert_eq!(shown(&read(&mut world, Log::Frontiers, 3)), ["i 0 2 x1", "i 1 2 x1"]);
    assert_eq!(shown(&read(&mut world, Log::ImportFrontiers, 4)), ["i a 0 2 x1", "i a 1 2 x1"]);
    let records = read(&mut world, Log::ArrangementRecords, 2);
    assert_eq!(records.values().sum::<i64>(), 100, "of both workers");
    let nodes = shown(&read(&mut world, Log::LirMapping, 8));
    assert!(nodes[0].starts_with("i 0 0 Index Null 0 "), "{nodes:?}");
    assert_eq!(nodes.len(), 2, "{nodes:?}");
}

#[test]
fn a_log_that_is_read_follows_what_changes_with_the_clock() {
    let mut world = busy();
    world.replica().create(index_of(Log::Exports, 3, "l", 5));
    assert_eq!(
        world.peek("l", 3, 5).map(|rows| shown(&rows)),
        Ok(vec!["i 0 0 x1".into(), "i 1 0 x1".into()])
    );
    let then = world.wait("the clock", |world| world.replica().upper("l").filter(|upper| *upper > 6));
    world.replica().allow_compaction("i", None);
    let later = world.wait("a change", |world| {
        let upper = world.replica().upper("l").filter(|upper| *upper > then)?;
        Some(upper - 1)
    });
    let rows = world.peek("l", 3, later).expect("rows");
    // By then the log's own index is listed too, and the other one is gone, or will be next time.
    assert!(shown(&rows).iter().any(|row| row.starts_with("l ")), "{rows:?}");
    let gone = world.wait("the end of the other", |world| {
        let upper = world.replica().upper("l").filter(|upper| *upper > later + 1)?;
        let rows = world.peek("l", 3, upper - 1).expect("rows");
        (!shown(&rows).iter().any(|row| row.starts_with("i "))).then_some(rows)
    });
    assert_eq!(gone.len(), 2, "one for each worker");
}

#[test]
fn a_read_of_one_time_closes_its_log() {
    let mut world = busy();
    let mut described = index_of(Log::Operators, 3, "l", 5);
    described.until = Some(6);
    world.replica().create(described);
    assert!(world.peek("l", 3, 5).is_ok_and(|rows| !rows.is_empty()));
    world.wait("the end of time", |world| world.replica().upper("l").is_none().then_some(()));
}
