//! Offsets at rest: no bytes while they rise evenly, two bytes each as long as the strides are small.

use differential_dataflow::trace::implementations::BatchContainer;

/// Offsets of one block share a base.
const BLOCK_LEN: usize = 64;

/// A list of non-decreasing offsets.
///
/// It begins with an *even* stretch `first, second, second + stride, second + 2 × stride, …`, which costs
/// nothing: rows of one length, unique keys, and updates that equal their neighbour are of this form.
/// What follows is stored as a base for each block and a 16-bit distance for each offset; from the first
/// distance that does not fit (a row of more than some hundred bytes on average) whole offsets follow.
#[derive(Debug, Default)]
pub struct Offsets {
    first: usize,
    second: usize,
    stride: usize,
    even: usize,
    bases: Vec<u64>,
    near: Vec<u16>,
    far: Vec<u64>,
}

impl Offsets {
    /// Appends an offset, not before the last.
    #[inline]
    pub fn push(&mut self, offset: usize) {
        if self.near.is_empty() && self.far.is_empty() {
            match self.even {
                0 => self.first = offset,
                1 => self.second = offset,
                2 => self.stride = offset - self.second,
                n if offset == self.second + (n - 1) * self.stride => {}
                _ => return self.push_uneven(offset),
            }
            self.even += 1;
        } else {
            self.push_uneven(offset);
        }
    }
    fn push_uneven(&mut self, offset: usize) {
        if self.far.is_empty() {
            if self.near.len().is_multiple_of(BLOCK_LEN) {
                self.bases.push(offset as u64);
            }
            let base = self.bases[self.bases.len() - 1];
            if let Ok(distance) = u16::try_from(offset as u64 - base) {
                return self.near.push(distance);
            }
        }
        self.far.push(offset as u64);
    }
    /// Offset `i`.
    #[inline]
    pub fn at(&self, i: usize) -> usize {
        if i < self.even {
            return if i == 0 { self.first } else { self.second + (i - 1) * self.stride };
        }
        let i = i - self.even;
        if i < self.near.len() {
            self.bases[i / BLOCK_LEN] as usize + usize::from(self.near[i])
        } else {
            self.far[i - self.near.len()] as usize
        }
    }
    /// The number of offsets.
    #[inline]
    pub fn count(&self) -> usize {
        self.even + self.near.len() + self.far.len()
    }
    /// Visits the memory held, piece by piece: the bytes used, and all.
    pub fn heap(&self, visit: &mut impl FnMut(usize, usize)) {
        visit(8 * self.bases.len(), 8 * self.bases.capacity());
        visit(2 * self.near.len(), 2 * self.near.capacity());
        visit(8 * self.far.len(), 8 * self.far.capacity());
    }
}

impl BatchContainer for Offsets {
    type Owned = usize;
    type ReadItem<'a> = usize;
    #[inline]
    fn into_owned<'a>(item: usize) -> usize {
        item
    }
    #[inline]
    fn reborrow<'b, 'a: 'b>(item: usize) -> usize {
        item
    }
    #[inline]
    fn push_ref(&mut self, item: usize) {
        self.push(item);
    }
    #[inline]
    fn push_own(&mut self, item: &usize) {
        self.push(*item);
    }
    fn clear(&mut self) {
        *self = Self::default();
    }
    fn with_capacity(_: usize) -> Self {
        Self::default()
    }
    fn merge_capacity(a: &Self, b: &Self) -> Self {
        // What two uneven lists hold, their merge will hold nearly; even ones may stay even.
        let mut merged = Self::default();
        if !a.near.is_empty() || !b.near.is_empty() {
            merged.near.reserve(a.near.len() + b.near.len());
            merged.bases.reserve(a.bases.len() + b.bases.len());
        }
        merged
    }
    #[inline]
    fn index(&self, i: usize) -> usize {
        self.at(i)
    }
    #[inline]
    fn len(&self) -> usize {
        self.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(offsets: &[usize]) -> usize {
        let mut list = Offsets::default();
        offsets.iter().for_each(|offset| list.push(*offset));
        assert_eq!(list.count(), offsets.len());
        assert!((0..offsets.len()).all(|i| list.at(i) == offsets[i]));
        let mut used = 0;
        list.heap(&mut |piece, _| used += piece);
        used
    }

    #[test]
    fn even_lists_cost_nothing() {
        assert_eq!(check(&(0..1000).collect::<Vec<_>>()), 0);
        assert_eq!(check(&(0..1000).map(|i| i * 13).collect::<Vec<_>>()), 0);
        assert_eq!(check(&std::iter::once(0).chain([1; 999]).collect::<Vec<_>>()), 0);
    }

    #[test]
    fn uneven_lists_cost_two_bytes_and_a_little() {
        let offsets: Vec<usize> = (0..6400).map(|i| i * 9 + i % 2).collect();
        assert!(check(&offsets) < 6400 * 22 / 10);
    }

    #[test]
    fn long_rows_and_large_offsets_are_exact() {
        let mut offsets = vec![0, 3, 9];
        offsets.extend((1..200).map(|i| i << 33));
        offsets.extend((0..10).map(|i| (200 << 33) + i));
        check(&offsets);
    }
}
