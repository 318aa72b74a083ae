//! The batcher and the wire codec against their definitions.

use std::collections::BTreeMap;

use differential_dataflow::batcher::Extract;
use differential_dataflow::dynamic::pointstamp::PointStamp;
use differential_dataflow::trace::{Cursor, Navigable};
use timely::dataflow::channels::ContainerBytes;
use timely::order::Product;
use timely::progress::Antichain;

use super::{RowBatch, RowBatcher};
use crate::container::wire::WireError;
use crate::container::{Dyn, Flat, Time};
use crate::tests::rng::Rng;

type All<T> = BTreeMap<(Vec<u8>, Vec<u8>, T), i64>;

/// Prefix-free: a length, and bytes from a small alphabet, so that there are ties.
fn random_row(rng: &mut Rng, len: u64) -> Vec<u8> {
    let n = rng.below(len);
    let mut row = vec![7, 7, 7, n as u8];
    row.extend((0..n).map(|_| rng.below(2) as u8 * 255));
    row
}

fn read<T: Time>(batch: &RowBatch<T, i64>) -> All<T> {
    let mut all = All::new();
    let mut cursor = batch.cursor();
    let mut last: Option<(Vec<u8>, Vec<u8>)> = None;
    while let Some(key) = cursor.get_key(batch) {
        while let Some(val) = cursor.get_val(batch) {
            let row = (key.to_vec(), val.to_vec());
            assert!(last.as_ref().is_none_or(|last| *last < row), "sorted");
            last = Some(row);
            cursor.map_times(batch, |time, diff| {
                assert_ne!(*diff, 0);
                let before = all.insert((key.to_vec(), val.to_vec(), time.clone()), *diff);
                assert!(before.is_none(), "consolidated");
            });
            cursor.step_val(batch);
        }
        cursor.step_key(batch);
    }
    assert_eq!(all.len(), batch.updates);
    all
}

/// Any interleaving of inserts and extracts gives the batches and the frontiers of the definition.
fn check_batcher<T: Time>(
    seed: u64,
    big: u64,
    frontiers: &[Antichain<T>],
    mut time: impl FnMut(&mut Rng, usize) -> T,
) {
    let mut rng = Rng(seed);
    let mut batcher = RowBatcher::<T, i64>::default();
    let mut held = All::<T>::new();
    for (step, upper) in frontiers.iter().enumerate() {
        for _ in 0..rng.below(4) {
            let mut container = Flat::default();
            for _ in 0..rng.below(big) {
                let (key, val) = (random_row(&mut rng, 6), random_row(&mut rng, 3));
                let (time, diff) = (time(&mut rng, step), rng.below(3) as i64 - 1);
                *held.entry((key.clone(), val.clone(), time.clone())).or_insert(0) += diff;
                container.push(&key, &val, time, diff);
            }
            batcher.add(&mut container);
        }
        held.retain(|_, diff| *diff != 0);
        let (batch, kept) = batcher.extract(upper.borrow());
        let got = batch.as_ref().map(read).unwrap_or_default();
        let (want, rest): (All<T>, All<T>) =
            held.into_iter().partition(|((_, _, time), _)| !upper.less_equal(time));
        assert!(got == want, "seed {seed}, batch {step}");
        // Every kept update is covered; the bound may be lower where updates cancelled in the future.
        assert!(rest.keys().all(|(_, _, time)| kept.less_equal(time)));
        assert!(kept.iter().all(|time| upper.less_equal(time)));
        held = rest;
    }
    assert!(held.is_empty());
}

#[test]
fn batcher_releases_what_is_before_the_frontier() {
    for seed in 1..40 {
        let mut frontiers: Vec<_> = (1..30).map(|i| Antichain::from_elem(i * 3)).collect();
        frontiers.push(Antichain::new());
        let far = |rng: &mut Rng| if rng.below(2) == 0 { 0 } else { rng.below(50) };
        check_batcher::<u64>(seed, 200, &frontiers, |rng, step| step as u64 * 3 + far(rng));
        check_batcher::<u64>(seed, 50, &frontiers, |rng, step| step as u64 * 3 + rng.below(3));
    }
}

#[test]
fn batcher_climbs_its_ladder() {
    let mut frontiers = vec![Antichain::from_elem(0); 12];
    frontiers.extend([Antichain::from_elem(1), Antichain::new()]);
    check_batcher::<u64>(3, 60_000, &frontiers, |rng, step| u64::from(step >= 13) + rng.below(2));
}

#[test]
fn batcher_serves_partially_ordered_times() {
    let at = |outer: u64, inner: u64| Product::new(outer, PointStamp::new([inner].into_iter().collect()));
    let mut frontiers: Vec<Antichain<Dyn>> = vec![];
    for outer in 0..5 {
        frontiers.extend((1..5).map(|inner| [at(outer, inner), at(outer + 1, 0)].into_iter().collect()));
        frontiers.push(Antichain::from_elem(at(outer + 1, 0)));
    }
    frontiers.push(Antichain::new());
    for seed in 1..40 {
        // Times at or beyond the frontier before.
        check_batcher::<Dyn>(seed, 100, &frontiers, |rng, step| {
            let from: Vec<Dyn> = match step.checked_sub(1).map(|step| &frontiers[step]) {
                None => vec![at(0, 0)],
                Some(frontier) => frontier.iter().cloned().collect(),
            };
            let base = &from[rng.below(from.len() as u64) as usize];
            let inner = base.inner.first().copied().unwrap_or(0);
            at(base.outer + rng.below(2), inner + rng.below(3))
        });
    }
}

fn random_container(n: u64) -> Flat<Dyn, i64> {
    let mut rng = Rng(1);
    let mut container = Flat::default();
    for _ in 0..n {
        let stamp = PointStamp::new((0..rng.below(3)).map(|_| rng.next()).collect());
        let time = Product::new(rng.next(), stamp);
        container.push(&random_row(&mut rng, 20), &random_row(&mut rng, 9), time, rng.next() as i64);
    }
    container
}

#[test]
fn containers_survive_the_wire() {
    for n in [0, 1, 3, 1000] {
        let container = random_container(n);
        let mut bytes = vec![];
        container.into_bytes(&mut bytes);
        assert_eq!((bytes.len(), bytes.len() % 8), (container.length_in_bytes(), 0));
        let back = Flat::<Dyn, i64>::decode(&bytes).expect("as written");
        assert!(container.iter().eq(back.iter()));
    }
}

#[test]
fn damaged_messages_are_errors_and_allocate_nothing() {
    let mut bytes = vec![];
    random_container(50).into_bytes(&mut bytes);
    for len in 0..bytes.len() {
        assert!(Flat::<Dyn, i64>::decode(&bytes[..len]).is_err());
    }
    let mut rng = Rng(7);
    for _ in 0..10_000 {
        let mut damaged = bytes.clone();
        let at = rng.below(bytes.len() as u64) as usize;
        damaged[at] = rng.next() as u8;
        if let Ok(container) = Flat::<Dyn, i64>::decode(&damaged) {
            assert!(container.iter().count() == 50);
        }
    }
    let huge = [u64::MAX.to_ne_bytes(), 0u64.to_ne_bytes()].concat();
    assert_eq!(Flat::<u64, i64>::decode(&huge).err(), Some(WireError::Ends));
    let large = [(1u64 << 40).to_ne_bytes(), 0u64.to_ne_bytes()].concat();
    assert!(matches!(Flat::<u64, i64>::decode(&large), Err(WireError::Short { .. })));
}
