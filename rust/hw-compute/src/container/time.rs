//! The two times of the engine, and what it asks of times and diffs.

use differential_dataflow::difference::Semigroup;
use differential_dataflow::dynamic::pointstamp::PointStamp;
use differential_dataflow::lattice::Lattice;
use timely::order::Product;
use timely::progress::Timestamp;

use super::wire::Column;

/// The time inside recursion: the outer time, and one coordinate for each scope entered.
pub type Dyn = Product<u64, PointStamp<u64>>;

/// What the engine asks of a time.
pub trait Time: Timestamp + Lattice + Column + Default + Ord {
    /// The system's time: monotone, that is `a <= b` implies `a.outer() <= b.outer()`.
    fn outer(&self) -> u64;
    /// The same time with the system's part moved forward to at least `outer`.
    fn advanced_to(&self, outer: u64) -> Self;
}

impl Time for u64 {
    #[inline]
    fn outer(&self) -> u64 {
        *self
    }
    #[inline]
    fn advanced_to(&self, outer: u64) -> Self {
        (*self).max(outer)
    }
}

impl Time for Dyn {
    #[inline]
    fn outer(&self) -> u64 {
        self.outer
    }
    #[inline]
    fn advanced_to(&self, outer: u64) -> Self {
        Product::new(self.outer.max(outer), self.inner.clone())
    }
}

/// What the engine asks of a diff: `i64`, and vectors of accumulators.
pub trait Diff: Semigroup + Column + Ord + 'static {}
impl<R: Semigroup + Column + Ord + 'static> Diff for R {}
