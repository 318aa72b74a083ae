//! Byte strings at rest.

use differential_dataflow::trace::implementations::BatchContainer;
use timely::container::PushInto;

use super::offsets::Offsets;

/// A list of byte strings: offsets and bytes, and no offsets at all while all strings are of one length.
#[derive(Debug)]
pub struct Bytes {
    /// Where each string begins, and where the last ends.
    offsets: Offsets,
    bytes: Vec<u8>,
}

impl Default for Bytes {
    fn default() -> Self {
        let mut offsets = Offsets::default();
        offsets.push(0);
        Bytes { offsets, bytes: vec![] }
    }
}

impl Bytes {
    /// Appends a string.
    #[inline]
    pub fn push_slice(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.offsets.push(self.bytes.len());
    }
    /// String `i`.
    #[inline]
    pub fn at(&self, i: usize) -> &[u8] {
        &self.bytes[self.offsets.at(i)..self.offsets.at(i + 1)]
    }
    /// Visits the memory held, piece by piece: the bytes used, and all.
    pub fn heap(&self, visit: &mut impl FnMut(usize, usize)) {
        visit(self.bytes.len(), self.bytes.capacity());
        self.offsets.heap(visit);
    }
}

impl BatchContainer for Bytes {
    type Owned = Vec<u8>;
    type ReadItem<'a> = &'a [u8];
    #[inline]
    fn into_owned(item: &[u8]) -> Vec<u8> {
        item.to_vec()
    }
    #[inline]
    fn clone_onto(item: &[u8], other: &mut Vec<u8>) {
        other.clear();
        other.extend_from_slice(item);
    }
    #[inline]
    fn push_ref(&mut self, item: &[u8]) {
        self.push_slice(item);
    }
    #[inline]
    fn push_own(&mut self, item: &Vec<u8>) {
        self.push_slice(item);
    }
    fn clear(&mut self) {
        *self = Self::default();
    }
    fn with_capacity(_: usize) -> Self {
        Self::default()
    }
    fn merge_capacity(a: &Self, b: &Self) -> Self {
        let mut merged = Self::default();
        merged.bytes.reserve(a.bytes.len() + b.bytes.len());
        merged
    }
    #[inline]
    fn reborrow<'b, 'a: 'b>(item: &'a [u8]) -> &'b [u8] {
        item
    }
    #[inline]
    fn index(&self, i: usize) -> &[u8] {
        self.at(i)
    }
    #[inline]
    fn len(&self) -> usize {
        self.offsets.count() - 1
    }
}

impl PushInto<&[u8]> for Bytes {
    #[inline]
    fn push_into(&mut self, string: &[u8]) {
        self.push_slice(string);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_mixed_lengths_come_back() {
        let row = |i: u8| vec![i; if i < 50 { 4 } else { i as usize % 7 }];
        let mut list = Bytes::default();
        (0..100u8).for_each(|i| list.push_slice(&row(i)));
        assert_eq!(list.len(), 100);
        assert!((0..100u8).all(|i| list.at(i as usize) == row(i)));
    }

    #[test]
    fn strings_of_one_length_cost_their_bytes() {
        let mut list = Bytes::default();
        (0..1000u32).for_each(|i| list.push_slice(&i.to_be_bytes()));
        let mut used = 0;
        list.heap(&mut |piece, _| used += piece);
        assert_eq!(used, 4000);
    }
}
