//! The best rows of each key where rows are never taken away: kept in the diff, so that a group is one update
//! however many rows it has had, and what is not among the best is forgotten as it comes.

use std::io::Write;

use differential_dataflow::difference::{IsZero, Semigroup};
use smallvec::SmallVec;

use super::operators::{map_diffs, reduce};
use super::reduce::negative;
use crate::arrangement::{RowArranged, arrange};
use crate::container::wire::{Column, WireError, take, take_u64};
use crate::container::{RowStream, Time};

/// Bytes of a val that are held without an allocation: a number or a timestamp, and its sort key.
const INLINE_BYTES: usize = 24;

type Val = SmallVec<[u8; INLINE_BYTES]>;

/// The least vals that were added, each with how often, and so many at most in all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Best {
    /// How many more there may be.
    room: u64,
    /// In rising order, each once and at least once.
    vals: SmallVec<[(Val, u64); 1]>,
}

impl Best {
    /// Of one val, `count` times.
    fn of(val: &[u8], count: u64, keep: u64) -> Self {
        let kept = count.min(keep);
        let mut vals = SmallVec::new();
        if kept > 0 {
            vals.push((Val::from_slice(val), kept));
        }
        Best { room: keep - kept, vals }
    }
    fn add(&mut self, val: &Val, count: u64) {
        match self.vals.binary_search_by(|(held, _)| held.cmp(val)) {
            Ok(at) => self.vals[at].1 += count,
            Err(at) => self.vals.insert(at, (val.clone(), count)),
        }
        let mut excess = count.saturating_sub(self.room);
        self.room = self.room.saturating_sub(count);
        while let Some(last) = self.vals.last_mut().filter(|_| excess > 0) {
            let cut = last.1.min(excess);
            last.1 -= cut;
            excess -= cut;
            if last.1 == 0 {
                self.vals.pop();
            }
        }
    }
}

impl IsZero for Best {
    #[inline]
    fn is_zero(&self) -> bool {
        self.vals.is_empty()
    }
}

impl Semigroup for Best {
    #[inline]
    fn plus_equals(&mut self, other: &Self) {
        for (val, count) in &other.vals {
            // Most are none of the best, and nor are those after them.
            if self.room == 0 && self.vals.last().is_some_and(|last| last.0 <= *val) {
                return;
            }
            self.add(val, *count);
        }
    }
}

impl Column for Best {
    fn wire_len(column: &[Self]) -> usize {
        let val = |(val, _): &(Val, u64)| 16 + val.len().next_multiple_of(8);
        column.iter().map(|best| 16 + best.vals.iter().map(val).sum::<usize>()).sum()
    }
    fn wire_write<W: Write>(column: &[Self], writer: &mut W) -> std::io::Result<()> {
        for best in column {
            writer.write_all(&best.room.to_ne_bytes())?;
            writer.write_all(&(best.vals.len() as u64).to_ne_bytes())?;
            for (val, count) in &best.vals {
                writer.write_all(&count.to_ne_bytes())?;
                writer.write_all(&(val.len() as u64).to_ne_bytes())?;
                writer.write_all(val)?;
                writer.write_all(&[0; 8][..val.len().next_multiple_of(8) - val.len()])?;
            }
        }
        Ok(())
    }
    fn wire_read(from: &mut &[u8], count: usize) -> Result<Vec<Self>, WireError> {
        let mut out = Vec::with_capacity(count.min(from.len() / 16));
        for _ in 0..count {
            let room = take_u64(from)?;
            let len = take_u64(from)?;
            let mut vals = SmallVec::new();
            for _ in 0..len {
                let count = take_u64(from)?;
                let len = usize::try_from(take_u64(from)?).map_err(|_| WireError::Ends)?;
                let padded = take(from, len.checked_next_multiple_of(8).ok_or(WireError::Ends)?)?;
                vals.push((Val::from_slice(&padded[..len]), count));
            }
            out.push(Best { room, vals });
        }
        Ok(out)
    }
    fn heap_bytes(column: &[Self]) -> usize {
        let val = |(val, _): &(Val, u64)| if val.spilled() { val.capacity() } else { 0 };
        let spilled = |best: &Best| {
            if best.vals.spilled() { best.vals.capacity() * size_of::<(Val, u64)>() } else { 0 }
        };
        column.iter().map(|best| spilled(best) + best.vals.iter().map(val).sum::<usize>()).sum()
    }
}

/// From a key's best vals, in rising order and each with how often, to output vals with multiplicities.
pub type Finish = Box<dyn FnMut(&mut dyn Iterator<Item = (&[u8], u64)>, &mut Vec<(Vec<u8>, i64)>)>;

/// Keeps the `keep` least vals of each key. `what` says of whom a row was taken away where one is: it is an
/// error, and the row stays.
pub fn best<'s, T: Time>(
    rows: RowStream<'s, T>,
    name: &str,
    keep: u64,
    what: &'static str,
    mut finish: Finish,
    errs: &mut Vec<RowStream<'s, T>>,
) -> RowArranged<'s, T> {
    let (candidates, failed) = map_diffs(
        rows,
        &format!("{name}Best"),
        Box::new(move |key, val, time: &T, diff, out, failed| match u64::try_from(diff) {
            Ok(count) => out.push(key, &[], time.clone(), Best::of(val, count, keep)),
            Err(_) => failed.push(&negative(what).to_row(), &[], time.clone(), 1),
        }),
    );
    errs.push(failed);
    reduce(
        arrange(candidates, &format!("Arrange{name}")),
        name,
        Box::new(move |_, bests, out| {
            let vals = bests.iter().flat_map(|(_, best)| &best.vals);
            finish(&mut vals.map(|(val, count)| (&val[..], *count)), out);
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(keep: u64, vals: &[(&[u8], u64)]) -> Best {
        let mut sum = Best::of(&[], 0, keep);
        vals.iter().for_each(|(val, count)| sum.plus_equals(&Best::of(val, *count, keep)));
        sum
    }

    fn held(best: &Best) -> Vec<(&[u8], u64)> {
        best.vals.iter().map(|(val, count)| (&val[..], *count)).collect()
    }

    #[test]
    fn the_least_are_kept_in_whatever_order_they_come() {
        let vals: [(&[u8], u64); 5] = [(b"d", 1), (b"b", 2), (b"a", 1), (b"c", 5), (b"b", 1)];
        for keep in 0..12 {
            let mut singles: Vec<&[u8]> = vec![];
            vals.iter().for_each(|(val, count)| singles.extend(std::iter::repeat_n(*val, *count as usize)));
            singles.sort_unstable();
            singles.truncate(keep);
            let want: Vec<(&[u8], u64)> =
                singles.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u64)).collect();
            for turn in 0..vals.len() {
                let mut turned = vals;
                turned.rotate_left(turn);
                assert_eq!(held(&sum(keep as u64, &turned)), want, "{keep} of {turned:?}");
                // Parts may be added up first.
                let (left, right) = turned.split_at(2);
                let mut both = sum(keep as u64, left);
                both.plus_equals(&sum(keep as u64, right));
                assert_eq!(held(&both), want, "{keep} of {left:?} and {right:?}");
            }
        }
    }

    #[test]
    fn the_wire_gives_back_what_it_was_given() {
        let long = [7; 100];
        let column = vec![sum(3, &[(b"abc", 1), (&long, 9)]), sum(0, &[]), sum(1, &[(&[], 1)])];
        let mut bytes = vec![];
        Best::wire_write(&column, &mut bytes).expect("into memory");
        assert_eq!(bytes.len(), Best::wire_len(&column));
        assert_eq!(bytes.len() % 8, 0);
        assert_eq!(Best::wire_read(&mut &bytes[..], 3), Ok(column));
        for cut in 0..bytes.len() / 8 {
            assert!(Best::wire_read(&mut &bytes[..8 * cut], 3).is_err(), "cut at {cut}");
        }
    }
}
