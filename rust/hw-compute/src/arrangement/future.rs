//! Updates that a frontier held back, by how far away they are.

use timely::container::PushInto;
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;

use crate::container::{Diff, Flat, Item, Time};

/// Buckets by distance of the outer time, a radix heap.
///
/// Bucket `i` holds what differs from `last` in bit `i - 1` and in none above. A frontier's advance touches
/// only the buckets it reaches into, and each update moves at most 64 times, to a lower bucket each time: a
/// temporal filter's retractions, spread over a day, are not looked at on every tick.
pub struct Future<T, R> {
    last: u64,
    buckets: Vec<Bucket<T, R>>,
}

struct Bucket<T, R> {
    chunks: Vec<Flat<T, R>>,
    lower: Antichain<T>,
}

const BUCKETS: usize = u64::BITS as usize + 1;

impl<T: Time, R: Diff> Default for Future<T, R> {
    fn default() -> Self {
        let bucket = || Bucket { chunks: vec![], lower: Antichain::new() };
        Future { last: 0, buckets: std::iter::repeat_with(bucket).take(BUCKETS).collect() }
    }
}

impl<T: Time, R: Diff> Future<T, R> {
    /// Keeps an update.
    pub fn insert(&mut self, (key, val, time, diff): Item<'_, T, R>) {
        let bucket = &mut self.buckets[64 - (time.outer() ^ self.last).leading_zeros() as usize];
        bucket.lower.insert_ref(time);
        match bucket.chunks.last_mut() {
            Some(chunk) if !chunk.is_full() => chunk.push(key, val, time.clone(), diff.clone()),
            _ => {
                let mut chunk = Flat::default();
                chunk.push(key, val, time.clone(), diff.clone());
                bucket.chunks.push(chunk);
            }
        }
    }
    /// Moves what `upper` releases into `ready`.
    pub fn advance(&mut self, upper: AntichainRef<T>, ready: &mut Vec<Flat<T, R>>) {
        if let Some(last) = upper.iter().map(Time::outer).min() {
            self.last = self.last.max(last);
        }
        for i in 0..self.buckets.len() {
            if self.buckets[i].lower.iter().all(|time| upper.less_equal(time)) {
                continue; // also where it is empty
            }
            self.buckets[i].lower.clear();
            for chunk in std::mem::take(&mut self.buckets[i].chunks) {
                let mut out = Flat::default();
                for item in chunk.iter() {
                    if upper.less_equal(item.2) { self.insert(item) } else { out.push_into(item) }
                }
                if !out.is_empty() {
                    ready.push(out);
                }
            }
        }
    }
    /// What is kept.
    pub fn chunks(&self) -> impl Iterator<Item = &Flat<T, R>> {
        self.buckets.iter().flat_map(|bucket| bucket.chunks.iter())
    }
    /// Lower bounds of what is kept.
    pub fn lowers(&self) -> impl Iterator<Item = &T> {
        self.buckets.iter().flat_map(|bucket| bucket.lower.iter())
    }
}
