//! Materialized views that correct themselves, and subscriptions.

use super::plans::{col, dataflow, global, ints};
use super::rng::Rng;
use super::world::{Rows, Shard, Stored, World};
use crate::expr::Mfp;
use crate::plan::{DataflowDescription, Plan};
use crate::protocol::Header;

fn insert(row: &[i64], time: u64, diff: i64) -> Stored {
    Stored { error: false, row: ints(row), time, diff }
}

/// `SELECT a1, 10 / a0 FROM a`: some rows fail.
fn view(as_of: u64) -> DataflowDescription {
    let quotient = super::plans::call("div_int8_int8", vec![super::plans::lit(10), col(0)]);
    let mfp = Mfp { expressions: vec![quotient], projection: vec![1, 2], ..Mfp::identity(2) };
    let plan = Plan::Mfp { input: Box::new(global("a", 2)), mfp, key: None, lookups: None };
    dataflow("view", &[("a", 2)], as_of).object("o", plan).materialized("v", "o", 2)
}

fn want(a: &Shard, time: u64) -> (Rows, i64) {
    let (mut rows, mut failed) = (Rows::new(), 0);
    for (row, count) in a.at(time, false) {
        let arena = hw_types::arena::Arena::new();
        let mut columns = vec![];
        hw_types::row::unpack(&row, &arena, &mut columns);
        let ints: Vec<i64> = columns
            .iter()
            .map(|datum| match datum {
                hw_types::datum::Datum::Int(value) => *value,
                _ => unreachable!("only numbers are inserted"),
            })
            .collect();
        if ints[0] == 0 {
            failed += count;
        } else {
            *rows.entry(super::plans::ints(&[ints[1], 10 / ints[0]])).or_insert(0) += count;
        }
    }
    (rows, failed)
}

fn wait_written(world: &mut World, upper: u64) {
    world.wait("the view", |world| world.shards.get("v").filter(|shard| shard.upper >= upper).map(|_| ()));
}

fn check_at(world: &World, time: u64) {
    let (rows, failed) = want(&world.shards["a"], time);
    assert_eq!(world.shards["v"].at(time, false), rows, "rows at {time}");
    let errors: i64 = world.shards["v"].at(time, true).values().sum();
    assert_eq!(errors, failed, "errors at {time}");
}

fn random_changes(rng: &mut Rng, now: &mut Rows, time: u64) -> Vec<Stored> {
    let mut changes = vec![];
    for _ in 0..rng.below(5) {
        let row = ints(&[rng.below(4) as i64, rng.below(5) as i64]);
        let diff = if now.remove(&row).is_some() { -1 } else { 1 };
        if diff == 1 {
            now.insert(row.clone(), 1);
        }
        changes.push(Stored { error: false, row, time, diff });
    }
    changes
}

#[test]
fn a_view_follows_its_input_through_every_time() {
    for workers in [1, 2] {
        let (mut world, mut rng, mut now) = (World::new(workers), Rng(5), Rows::new());
        world.replica().create(view(0));
        for time in 1..30 {
            let changes = random_changes(&mut rng, &mut now, time);
            world.append("a", changes, time + 1);
            if rng.below(3) == 0 {
                wait_written(&mut world, time + 1);
            }
        }
        wait_written(&mut world, 30);
        (0..30).for_each(|time| check_at(&world, time));
    }
}

#[test]
fn competing_writers_agree() {
    for seed in 1..6 {
        let mut world = World::new(1);
        world.add_replica(2);
        let (mut rng, mut now) = (Rng(seed), Rows::new());
        world.replicas.iter().for_each(|replica| replica.create(view(0)));
        for time in 1..25 {
            let changes = random_changes(&mut rng, &mut now, time);
            world.append("a", changes, time + 1);
            // Now and then one of them is behind.
            let paused = rng.below(3) as usize;
            for (at, replica) in world.replicas.iter_mut().enumerate() {
                replica.paused = at == paused;
            }
            if rng.below(2) == 0 {
                wait_written(&mut world, time + 1);
            }
        }
        world.replicas.iter_mut().for_each(|replica| replica.paused = false);
        wait_written(&mut world, 25);
        (0..25).for_each(|time| check_at(&world, time));
    }
}

#[test]
fn a_restarted_view_continues_what_is_there() {
    let (mut world, mut rng, mut now) = (World::new(2), Rng(77), Rows::new());
    world.replica().create(view(0));
    for time in 1..10 {
        let changes = random_changes(&mut rng, &mut now, time);
        world.append("a", changes, time + 1);
    }
    wait_written(&mut world, 10);
    // The replica dies; the input goes on; the shard was written by a faulty version, too.
    world.replicas.clear();
    let faulty = Stored { error: false, row: ints(&[77, 77]), time: 10, diff: 1 };
    world.append("v", vec![faulty], 11);
    for time in 10..15 {
        let changes = random_changes(&mut rng, &mut now, time);
        world.append("a", changes, time + 1);
    }
    world.add_replica(1);
    world.replica().create(view(12));
    wait_written(&mut world, 15);
    (0..10).for_each(|time| check_at(&world, time));
    (12..15).for_each(|time| check_at(&world, time));
    // Between the old upper and the as_of nothing is said.
    assert_eq!(world.shards["v"].at(11, false), world.shards["v"].at(10, false));
}

#[test]
fn an_empty_shard_is_hydrated_at_the_as_of() {
    let mut world = World::new(2);
    world.append("a", vec![insert(&[2, 1], 3, 1), insert(&[5, 1], 7, 1), insert(&[2, 1], 8, -1)], 20);
    world.replica().create(view(9));
    wait_written(&mut world, 20);
    assert_eq!(world.shards["v"].at(8, false), Rows::new());
    check_at(&world, 9);
    assert_eq!(world.shards["v"].stored, vec![insert(&[1, 2], 9, 1)]);
}

#[test]
fn dropping_a_view_closes_what_it_opened() {
    let mut world = World::new(2);
    world.replica().create(view(0));
    world.append("a", vec![insert(&[2, 1], 1, 1)], 2);
    wait_written(&mut world, 2);
    assert_eq!(world.replica().open_sources(), 2);
    world.replica().allow_compaction("v", None);
    world.wait("the sources to close", |world| (world.replica().open_sources() == 0).then_some(()));
}

#[test]
fn processes_share_rows_and_one_of_them_writes() {
    let mut world = World::default();
    world.add_cluster(2);
    for replica in &world.replicas {
        replica.create(view(0));
        replica.create(dataflow("plain", &[("a", 2)], 0).index("i", "a", &[0], 2));
    }
    let (mut rng, mut now) = (Rng(31), Rows::new());
    for time in 1..12 {
        let changes = random_changes(&mut rng, &mut now, time);
        world.append("a", changes, time + 1);
    }
    wait_written(&mut world, 12);
    (0..12).for_each(|time| check_at(&world, time));
    assert_eq!(world.lost, 0, "nobody else writes");
    // Each process answers for its part of the index.
    let peek = world.peek_of("i", 2, 11);
    let mut got = vec![];
    for at in 0..2 {
        let uuid = world.send_peek(at, peek.clone());
        got.push(world.answer(at, &uuid).expect("rows"));
    }
    assert!(got.iter().all(|rows| !rows.is_empty()), "both have some");
    assert_eq!(got.into_iter().flatten().collect::<Rows>(), now);
}

fn subscribed(world: &mut World, upper: Option<u64>) -> Vec<(Vec<u8>, u64, i64)> {
    world.wait("the subscription", |world| {
        let said = world.replica().subscribed();
        let reached = |header: &Header| matches!(header, Header::Subscribe { upper: u, .. } if *u == upper);
        said.iter().any(|(header, ..)| reached(header)).then_some(())
    });
    let mut all = vec![];
    let mut frontier = None;
    for (header, oks, errs) in world.replica().subscribed() {
        let Header::Subscribe { lower, upper, .. } = header else { continue };
        assert!(frontier.is_none_or(|frontier| frontier == lower), "intervals join up");
        frontier = Some(upper);
        assert!(errs.is_empty());
        for (row, time, diff) in oks.iter() {
            assert!(lower.is_none_or(|lower| lower <= time) && upper.is_none_or(|upper| time < upper));
            all.push((row.to_vec(), time, diff));
        }
    }
    all.sort();
    all
}

fn subscription(as_of: u64, until: Option<u64>, with_snapshot: bool) -> World {
    let mut world = World::new(2);
    world.append("a", vec![insert(&[1, 1], 1, 1), insert(&[2, 2], 2, 1), insert(&[1, 1], 4, -1)], 5);
    let mut described = dataflow("s", &[("a", 2)], as_of).object("o", global("a", 2));
    described.until = until;
    world.replica().create(described.subscribe("s", "o", with_snapshot));
    world.append("a", vec![insert(&[3, 3], 6, 2), insert(&[3, 3], 7, -1), insert(&[4, 4], 7, 1)], 8);
    world
}

#[test]
fn subscriptions_send_the_snapshot_and_then_changes() {
    let mut world = subscription(3, None, true);
    let row = |n: i64| ints(&[n, n]);
    let changes = vec![(row(1), 4, -1), (row(3), 6, 2), (row(3), 7, -1), (row(4), 7, 1)];
    let mut all = vec![(row(1), 3, 1), (row(2), 3, 1)];
    all.extend(changes.clone());
    all.sort();
    assert_eq!(subscribed(&mut world, Some(8)), all);
    assert_eq!(subscribed(&mut subscription(3, None, false), Some(8)), changes);
}

#[test]
fn subscriptions_end_at_their_bound() {
    let mut world = subscription(3, Some(7), false);
    let row = |n: i64| ints(&[n, n]);
    assert_eq!(subscribed(&mut world, None), vec![(row(1), 4, -1), (row(3), 6, 2)]);
}
