//! Collections indexed in memory.
//!
//! An arrangement is differential's spine of `OrdValBatch`es over the [`Bytes`] layout: keys and vals as
//! offsets and bytes, times and diffs as columns, equal neighbours stored once. [`batcher::RowBatcher`]
//! makes its batches from the containers in flight.

pub mod batcher;
pub mod bytes;
mod future;
pub mod offsets;
pub mod sizes;

use std::marker::PhantomData;
use std::rc::Rc;

use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::trace::TraceReader;
use differential_dataflow::trace::implementations::Layout;
use differential_dataflow::trace::implementations::ord_neu::{BuilderInput, OrdValBatch, OrdValBuilder};
use differential_dataflow::trace::implementations::spine_fueled::Spine;
use timely::dataflow::channels::pact::Pipeline;

pub use batcher::RowBatcher;
pub use bytes::Bytes;
use offsets::Offsets;

use crate::container::{Diff, Flat, RowStream, Time, by_key};

/// The layout of batches at rest.
pub struct Rows<T, R>(PhantomData<(T, R)>);

impl<T: Time, R: Diff> Layout for Rows<T, R> {
    type KeyContainer = Bytes;
    type ValContainer = Bytes;
    type TimeContainer = Vec<T>;
    type DiffContainer = Vec<R>;
    type OffsetContainer = Offsets;
}

/// One immutable batch.
pub type RowBatch<T, R> = OrdValBatch<Rows<T, R>>;
/// The merge structure over batches.
pub type RowSpine<T, R> = Spine<Rc<RowBatch<T, R>>>;
/// A shared handle to an arrangement.
pub type RowTrace<T, R = i64> = TraceAgent<RowSpine<T, R>>;
/// An arrangement within a dataflow.
pub type RowArranged<'s, T, R = i64> = Arranged<'s, RowTrace<T, R>>;
/// Differential's own builder, from our container: the batcher and reduce both use it.
pub type RowBuilder<T, R> = OrdValBuilder<Rows<T, R>, Flat<T, R>>;

impl<T: Time, R: Diff> BuilderInput<Bytes, Bytes> for Flat<T, R> {
    type Key<'a> = &'a [u8];
    type Val<'a> = &'a [u8];
    type Time = T;
    type Diff = R;
    #[inline]
    fn into_parts<'a>((key, val, time, diff): Self::Item<'a>) -> (Self::Key<'a>, Self::Val<'a>, T, R) {
        (key, val, time.clone(), diff.clone())
    }
    #[inline]
    fn key_eq(this: &&[u8], other: &[u8]) -> bool {
        *this == other
    }
    #[inline]
    fn val_eq(this: &&[u8], other: &[u8]) -> bool {
        *this == other
    }
    fn key_val_upd_counts(chain: &[Self]) -> (usize, usize, usize) {
        let count = chain.iter().map(Flat::len).sum();
        (count, count, count)
    }
}

/// Arranges by key, each key on the worker that its hash names.
pub fn arrange<'s, T: Time, R: Diff>(rows: RowStream<'s, T, R>, name: &str) -> RowArranged<'s, T, R> {
    let arranged = arrange_core(rows, by_key(), name, RowBatcher::<T, R>::new);
    sizes::know(&arranged);
    arranged
}

/// The same without an exchange, for rows that are where they belong.
pub fn arrange_local<'s, T: Time, R: Diff>(rows: RowStream<'s, T, R>, name: &str) -> RowArranged<'s, T, R> {
    let arranged = arrange_core(rows, Pipeline, name, RowBatcher::<T, R>::new);
    sizes::know(&arranged);
    arranged
}

/// The bytes that the batches of a trace hold.
pub fn heap_bytes<T: Time, R: Diff>(trace: &RowTrace<T, R>) -> usize {
    let mut total = 0;
    trace.map_spans(|span| {
        total += span.inner.as_ref().map_or(0, |batch| batch_bytes(batch));
    });
    total
}

/// The bytes that a batch uses.
fn batch_bytes<T: Time, R: Diff>(batch: &RowBatch<T, R>) -> usize {
    let mut total = 0;
    batch_heap(batch, &mut |used, _| total += used);
    total
}

/// Visits the memory that a batch holds, piece by piece: the bytes used, and all.
fn batch_heap<T: Time, R: Diff>(batch: &RowBatch<T, R>, visit: &mut impl FnMut(usize, usize)) {
    let storage = &batch.storage;
    storage.keys.heap(visit);
    storage.vals.vals.heap(visit);
    storage.vals.offs.heap(visit);
    storage.upds.offs.heap(visit);
    let (times, diffs) = (&storage.upds.times, &storage.upds.diffs);
    visit(times.len() * size_of::<T>(), times.capacity() * size_of::<T>());
    visit(diffs.len() * size_of::<R>(), diffs.capacity() * size_of::<R>());
    let beyond = R::heap_bytes(diffs);
    visit(beyond, beyond);
}

#[cfg(test)]
mod tests;
