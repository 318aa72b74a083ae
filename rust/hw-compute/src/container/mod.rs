//! Updates in flight: one columnar container for dataflow edges, exchange and the wire.
//!
//! A row is a memcomparable, prefix-free, canonical byte string. An update is `(key, val, time, diff)`;
//! a collection that is not arranged has its row as key and an empty val. Because keys are prefix-free,
//! comparing `key ++ val` with memcmp compares `(key, val)`: this is used everywhere.
//!
//! * [`flat`]: the container [`Flat`], generic over time and diff.
//! * [`time`]: the two times, `u64` and [`time::Dyn`], and what the engine asks of them.
//! * [`wire`]: columns on the wire, decoded with checks.
//! * [`run`]: sorted, consolidated runs of updates, their making and merging.

pub mod flat;
pub mod run;
pub mod time;
pub mod wire;

pub use flat::{Flat, Item};
pub use time::{Diff, Dyn, Time};

use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::{ExchangeCore, ParallelizationContract};

/// A stream of flat containers.
pub type RowStream<'s, T, R = i64> = Stream<'s, T, Flat<T, R>>;
/// The builder that operators over flat containers name.
pub type FlatBuilder<T, R = i64> = CapacityContainerBuilder<Flat<T, R>>;

/// Hash of a key; all bits are good, since timely masks the low ones.
#[inline]
pub fn hash(key: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut h = key.len() as u64;
    let (words, rest) = key.as_chunks::<8>();
    for word in words {
        h = (h.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(MULTIPLIER);
    }
    let mut last = [0u8; 8];
    last[..rest.len()].copy_from_slice(rest);
    h = (h.rotate_left(5) ^ u64::from_le_bytes(last)).wrapping_mul(MULTIPLIER);
    h ^ (h >> 32)
}

/// Exchange by hash of the key.
pub fn by_key<T: Time, R: Diff>() -> impl ParallelizationContract<T, Flat<T, R>> {
    ExchangeCore::<FlatBuilder<T, R>, _>::new(|item: &Item<'_, T, R>| hash(item.0))
}

/// Exchange by hash of the key among the first `workers` workers only.
pub fn by_key_among<T: Time, R: Diff>(workers: u64) -> impl ParallelizationContract<T, Flat<T, R>> {
    ExchangeCore::<FlatBuilder<T, R>, _>::new(move |item: &Item<'_, T, R>| hash(item.0) % workers)
}
