//! Sorted, consolidated runs of updates: how they are made from containers, and merged.

use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;

use super::flat::{SHIP_BYTES, SHIP_LEN};
use super::{Diff, Flat, Time};

/// Eight bytes of `bytes` from `skip`, such that `prefix(a) < prefix(b)` implies `a < b`.
#[inline]
fn prefix(bytes: &[u8], skip: usize) -> u64 {
    let rest = &bytes[skip.min(bytes.len())..];
    if let Some(word) = rest.first_chunk::<8>() {
        return u64::from_be_bytes(*word);
    }
    let mut word = [0; 8];
    word[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(word)
}

#[inline]
fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

/// A sorted and consolidated list of chunks, with bounds on its times.
pub struct Run<T, R> {
    chunks: Vec<Flat<T, R>>,
    len: usize,
    /// Every time is at or beyond an element of `lower`, and at or before `upper`.
    lower: Antichain<T>,
    upper: T,
}

impl<T: Time, R: Diff> Default for Run<T, R> {
    fn default() -> Self {
        Run { chunks: vec![], len: 0, lower: Antichain::new(), upper: T::minimum() }
    }
}

impl<T: Time, R: Diff> Run<T, R> {
    /// The chunks, in order.
    pub fn chunks(&self) -> &[Flat<T, R>] {
        &self.chunks
    }
    /// The chunks, owned.
    pub fn into_chunks(self) -> Vec<Flat<T, R>> {
        self.chunks
    }
    /// The number of updates.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// A lower bound on the times.
    pub fn lower(&self) -> &Antichain<T> {
        &self.lower
    }
    /// Whether all times are before `frontier`.
    pub fn all_before(&self, frontier: AntichainRef<T>) -> bool {
        !frontier.less_equal(&self.upper)
    }
    /// Whether all times are at or beyond `frontier`.
    pub fn all_beyond(&self, frontier: AntichainRef<T>) -> bool {
        self.lower.iter().all(|time| frontier.less_equal(time))
    }
}

/// Accepts updates in order, consolidates neighbours, and makes a [`Run`] of them.
pub struct RunMaker<T, R> {
    run: Run<T, R>,
    out: Flat<T, R>,
    last: u64,
}

impl<T: Time, R: Diff> Default for RunMaker<T, R> {
    fn default() -> Self {
        RunMaker { run: Run::default(), out: Flat::default(), last: 0 }
    }
}

impl<T: Time, R: Diff> RunMaker<T, R> {
    /// Appends update `i` of `from`; `pre` is its prefix, which settles most comparisons with the one before.
    #[inline]
    pub fn push(&mut self, pre: u64, from: &Flat<T, R>, i: usize) {
        let time = &from.times[i];
        if let Some(n) = self.out.len().checked_sub(1) {
            if pre == self.last && &self.out.times[n] == time && self.out.key_val(n) == from.key_val(i) {
                self.out.diffs[n].plus_equals(&from.diffs[i]);
                return;
            }
            self.settle();
            if self.out.len() >= 4 * SHIP_LEN || self.out.row_bytes() >= 4 * SHIP_BYTES {
                self.ship();
            }
        }
        self.last = pre;
        let (key, val, time, diff) = from.get(i);
        self.out.push(key, val, time.clone(), diff.clone());
    }
    /// The last update is complete: drop it if it came to nothing, otherwise account for its time.
    #[inline]
    fn settle(&mut self) {
        let Some(n) = self.out.len().checked_sub(1) else { return };
        if self.out.diffs[n].is_zero() {
            self.out.pop();
            return;
        }
        if n > 0 && self.out.times[n] == self.out.times[n - 1] {
            return;
        }
        let time = &self.out.times[n];
        self.run.lower.insert_ref(time);
        self.run.upper.join_assign(time);
    }
    fn ship(&mut self) {
        if !self.out.is_empty() {
            self.run.len += self.out.len();
            self.run.chunks.push(std::mem::take(&mut self.out));
        }
    }
    /// The run.
    pub fn done(mut self) -> Run<T, R> {
        self.settle();
        self.ship();
        self.run
    }
}

/// Sorts and consolidates.
///
/// The sort is of sixteen-byte entries by an eight-byte prefix, taken after the longest prefix that all
/// updates have in common (the tag and the leading zeros of an integer, say); only ties look at the bytes.
pub fn sort<T: Time, R: Diff>(input: &[Flat<T, R>]) -> Run<T, R> {
    let mut maker = RunMaker::default();
    let Some(first) = input.iter().find(|chunk| !chunk.is_empty()).map(|chunk| chunk.key_val(0)) else {
        return maker.done();
    };
    let mut skip = first.len();
    for chunk in input {
        for i in 0..chunk.len() {
            let bytes = chunk.key_val(i);
            if bytes.len() < skip || bytes[..skip] != first[..skip] {
                skip = common(first, bytes);
            }
        }
    }
    let mut index: Vec<(u64, u32, u32)> = Vec::with_capacity(input.iter().map(Flat::len).sum());
    for (c, chunk) in input.iter().enumerate() {
        index.extend((0..chunk.len()).map(|i| (prefix(chunk.key_val(i), skip), c as u32, i as u32)));
    }
    index.sort_unstable_by_key(|entry| entry.0);
    let at = |entry: &(u64, u32, u32)| (&input[entry.1 as usize], entry.2 as usize);
    for group in index.chunk_by_mut(|a, b| a.0 == b.0) {
        if group.len() > 1 {
            group.sort_unstable_by(|a, b| {
                let ((x, i), (y, j)) = (at(a), at(b));
                x.key_val(i).cmp(y.key_val(j)).then_with(|| x.times[i].cmp(&y.times[j]))
            });
        }
        for entry in group {
            let (chunk, i) = at(entry);
            maker.push(entry.0, chunk, i);
        }
    }
    maker.done()
}

/// The head of one run in a merge.
struct Head {
    pre: u64,
    run: usize,
    chunk: usize,
    pos: usize,
}

/// A heap of the heads of sorted runs, compared by prefix first.
struct Merge<'a, T, R> {
    runs: &'a [Run<T, R>],
    heads: Vec<Head>,
    skip: usize,
}

impl<'a, T: Time, R: Diff> Merge<'a, T, R> {
    /// All `runs` hold at least one update.
    fn new(runs: &'a [Run<T, R>]) -> Self {
        // Sorted runs: what the first and the last of all have in common, all have in common.
        let first = runs[0].chunks[0].key_val(0);
        let shared = |run: &Run<T, R>| {
            let last = &run.chunks[run.chunks.len() - 1];
            common(first, run.chunks[0].key_val(0)).min(common(first, last.key_val(last.len() - 1)))
        };
        let skip = runs.iter().map(shared).min().unwrap_or(0);
        let head =
            |run: usize| Head { pre: prefix(runs[run].chunks[0].key_val(0), skip), run, chunk: 0, pos: 0 };
        let mut merge = Merge { runs, heads: (0..runs.len()).map(head).collect(), skip };
        (0..runs.len() / 2).rev().for_each(|at| merge.sift(at));
        merge
    }
    #[inline]
    fn less(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.heads[a], &self.heads[b]);
        if a.pre != b.pre {
            return a.pre < b.pre;
        }
        let (x, y) = (&self.runs[a.run].chunks[a.chunk], &self.runs[b.run].chunks[b.chunk]);
        let order = x.key_val(a.pos).cmp(y.key_val(b.pos));
        order.then_with(|| x.times[a.pos].cmp(&y.times[b.pos])).is_lt()
    }
    fn sift(&mut self, mut at: usize) {
        loop {
            let mut min = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.heads.len() && self.less(child, min) {
                    min = child;
                }
            }
            if min == at {
                return;
            }
            self.heads.swap(at, min);
            at = min;
        }
    }
    fn run(mut self) -> Run<T, R> {
        let mut maker = RunMaker::default();
        while let Some(top) = self.heads.first_mut() {
            let chunks = &self.runs[top.run].chunks;
            maker.push(top.pre, &chunks[top.chunk], top.pos);
            top.pos += 1;
            if top.pos == chunks[top.chunk].len() {
                (top.chunk, top.pos) = (top.chunk + 1, 0);
            }
            if top.chunk == chunks.len() {
                self.heads.swap_remove(0);
            } else {
                top.pre = prefix(chunks[top.chunk].key_val(top.pos), self.skip);
            }
            self.sift(0);
        }
        maker.done()
    }
}

/// Merges any number of runs at once.
pub fn merge<T: Time, R: Diff>(mut runs: Vec<Run<T, R>>) -> Run<T, R> {
    runs.retain(|run| run.len > 0);
    if runs.len() <= 1 {
        return runs.pop().unwrap_or_default();
    }
    Merge::new(&runs).run()
}
