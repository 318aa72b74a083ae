//! The columnar container [`Flat`].

use differential_dataflow::collection::containers::{Enter, Leave, Negate, ResultsIn};
use differential_dataflow::difference::Abelian;
use timely::container::{Accountable, DrainContainer, PushInto, SizableContainer};
use timely::progress::Timestamp;
use timely::progress::timestamp::{PathSummary, Refines};

/// `(key, val, time, diff)`, columnar: four allocations however many updates.
#[derive(Clone, Debug)]
pub struct Flat<T, R> {
    /// For each update the end of its key, and of its val, in `bytes`.
    pub(super) ends: Vec<[u32; 2]>,
    pub(super) bytes: Vec<u8>,
    /// One time an update.
    pub times: Vec<T>,
    /// One diff an update.
    pub diffs: Vec<R>,
}

impl<T, R> Default for Flat<T, R> {
    fn default() -> Self {
        Flat { ends: vec![], bytes: vec![], times: vec![], diffs: vec![] }
    }
}

/// Containers are shipped at this many updates,
pub(super) const SHIP_LEN: usize = 2048;
/// or bytes of rows: large enough to amortise a message, small enough to stay in cache.
pub(super) const SHIP_BYTES: usize = 64 << 10;

/// A borrowed update.
pub type Item<'a, T, R> = (&'a [u8], &'a [u8], &'a T, &'a R);

fn end(len: usize) -> u32 {
    u32::try_from(len).expect("containers ship at 64 KiB, and a row is far below 4 GiB")
}

impl<T, R> Flat<T, R> {
    /// The number of updates.
    #[inline]
    pub fn len(&self) -> usize {
        self.times.len()
    }
    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }
    /// The bytes of all keys and vals together.
    pub fn row_bytes(&self) -> usize {
        self.bytes.len()
    }
    /// Visits the memory held, piece by piece: the bytes used, and all.
    pub fn heap(&self, visit: &mut impl FnMut(usize, usize)) {
        visit(size_of_val(&self.ends[..]), self.ends.capacity() * size_of::<[u32; 2]>());
        visit(self.bytes.len(), self.bytes.capacity());
        visit(size_of_val(&self.times[..]), self.times.capacity() * size_of::<T>());
        visit(size_of_val(&self.diffs[..]), self.diffs.capacity() * size_of::<R>());
    }
    /// Whether it is time to ship.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len() >= SHIP_LEN || self.bytes.len() >= SHIP_BYTES
    }
    /// Forgets all updates and keeps the allocations.
    pub fn clear(&mut self) {
        self.ends.clear();
        self.bytes.clear();
        self.times.clear();
        self.diffs.clear();
    }
    /// Appends an update.
    #[inline]
    pub fn push(&mut self, key: &[u8], val: &[u8], time: T, diff: R) {
        self.bytes.extend_from_slice(key);
        let key_end = end(self.bytes.len());
        self.bytes.extend_from_slice(val);
        self.ends.push([key_end, end(self.bytes.len())]);
        self.times.push(time);
        self.diffs.push(diff);
    }
    /// The bytes, for writing the next update's key and val in place; [`Flat::seal`] ends it.
    #[inline]
    pub fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
    /// Ends the update whose key was written up to `key_end` (a length of `tail()`), and its val after it.
    #[inline]
    pub fn seal(&mut self, key_end: usize, time: T, diff: R) {
        self.ends.push([end(key_end), end(self.bytes.len())]);
        self.times.push(time);
        self.diffs.push(diff);
    }
    /// Forgets what was written to the tail since the last update.
    #[inline]
    pub fn abandon(&mut self) {
        let end = self.start(self.ends.len());
        self.bytes.truncate(end);
    }
    #[inline]
    fn start(&self, i: usize) -> usize {
        if i == 0 { 0 } else { self.ends[i - 1][1] as usize }
    }
    /// `key ++ val` of update `i`.
    #[inline]
    pub fn key_val(&self, i: usize) -> &[u8] {
        &self.bytes[self.start(i)..self.ends[i][1] as usize]
    }
    /// Update `i`.
    #[inline]
    pub fn get(&self, i: usize) -> Item<'_, T, R> {
        let [key, val] = self.ends[i];
        let (key, val) = (key as usize, val as usize);
        (&self.bytes[self.start(i)..key], &self.bytes[key..val], &self.times[i], &self.diffs[i])
    }
    /// Whether any update has bytes in its val.
    pub fn has_vals(&self) -> bool {
        self.ends.iter().any(|[key, val]| key != val)
    }
    pub(super) fn pop(&mut self) {
        self.ends.pop();
        self.times.pop();
        self.diffs.pop();
        self.abandon();
    }
    /// The updates in order.
    pub fn iter(&self) -> FlatIter<'_, T, R> {
        FlatIter { flat: self, next: 0 }
    }
    fn map_times<T2>(self, f: impl FnMut(T) -> T2) -> Flat<T2, R> {
        let times = self.times.into_iter().map(f).collect();
        Flat { ends: self.ends, bytes: self.bytes, times, diffs: self.diffs }
    }
}

/// The updates of a container in order.
pub struct FlatIter<'a, T, R> {
    flat: &'a Flat<T, R>,
    next: usize,
}

impl<'a, T, R> Iterator for FlatIter<'a, T, R> {
    type Item = Item<'a, T, R>;
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        (self.next < self.flat.len()).then(|| {
            self.next += 1;
            self.flat.get(self.next - 1)
        })
    }
}

// What timely asks of a container.

impl<T, R> Accountable for Flat<T, R> {
    #[inline]
    fn record_count(&self) -> i64 {
        self.len() as i64
    }
}

impl<T: 'static, R: 'static> DrainContainer for Flat<T, R> {
    type Item<'a> = Item<'a, T, R>;
    type DrainIter<'a> = FlatIter<'a, T, R>;
    fn drain(&mut self) -> FlatIter<'_, T, R> {
        self.iter()
    }
}

impl<T, R> SizableContainer for Flat<T, R> {
    #[inline]
    fn at_capacity(&self) -> bool {
        self.is_full()
    }
    #[inline]
    fn ensure_capacity(&mut self, stash: &mut Option<Self>) {
        if self.times.capacity() == 0 {
            *self = stash.take().unwrap_or_default();
            self.clear();
        }
    }
}

impl<T: Clone, R: Clone> PushInto<Item<'_, T, R>> for Flat<T, R> {
    #[inline]
    fn push_into(&mut self, (key, val, time, diff): Item<'_, T, R>) {
        self.push(key, val, time.clone(), diff.clone());
    }
}

// What differential's collections and variables ask of a container.

impl<T, R: Abelian> Negate for Flat<T, R> {
    fn negate(mut self) -> Self {
        self.diffs.iter_mut().for_each(Abelian::negate);
        self
    }
}

impl<T1: Timestamp, T2: Refines<T1>, R: 'static> Enter<T1, T2> for Flat<T1, R> {
    type InnerContainer = Flat<T2, R>;
    fn enter(self) -> Flat<T2, R> {
        self.map_times(T2::to_inner)
    }
}

impl<T1: Refines<T2>, T2: Timestamp, R: 'static> Leave<T1, T2> for Flat<T1, R> {
    type OuterContainer = Flat<T2, R>;
    fn leave(self) -> Flat<T2, R> {
        self.map_times(T1::to_outer)
    }
}

impl<T: Timestamp, R: Clone> ResultsIn<T::Summary> for Flat<T, R> {
    fn results_in(mut self, step: &T::Summary) -> Self {
        for time in &mut self.times {
            *time = step.results_in(time).expect("recursion ends long before 2^64 rounds");
        }
        self
    }
}
