//! The flat update codec: a batch of `(row, time, diff)` as one byte string.
//!
//! Layout, little-endian: `u32 n`, `u32 len`, `n × u32` ends of rows in the bytes, `n × u64` times,
//! `n × i64` diffs, `len` bytes of rows. It serves inline parts, results of peeks, subscriptions,
//! and whatever rows Python passes on without looking at them. A batch holds less than 4 GiB.

use thiserror::Error;

/// Why bytes are not a batch.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FlatError {
    /// Shorter or longer than its header says.
    #[error("flat batch has {got} bytes where its header says {want}")]
    Length {
        /// What the header says, in bytes.
        want: usize,
        /// What there is, in bytes.
        got: usize,
    },
    /// Ends of rows that do not rise to the length of the bytes.
    #[error("flat batch has ends of rows that do not fit")]
    Ends,
    /// More than a batch can address.
    #[error("flat batch would exceed 4 GiB")]
    TooLarge,
}

/// Updates `(row, time, diff)`, columnar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Updates {
    ends: Vec<u32>,
    bytes: Vec<u8>,
    /// One time an update.
    pub times: Vec<u64>,
    /// One diff an update.
    pub diffs: Vec<i64>,
}

const HEADER_BYTES: usize = 8;
const UPDATE_BYTES: usize = 4 + 8 + 8;

impl Updates {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }
    /// The number of updates.
    pub fn len(&self) -> usize {
        self.times.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }
    /// The bytes of all rows together.
    pub fn row_bytes(&self) -> usize {
        self.bytes.len()
    }
    /// Appends an update.
    ///
    /// # Panics
    /// Where the batch would exceed 4 GiB: callers bound their batches far below.
    pub fn push(&mut self, row: &[u8], time: u64, diff: i64) {
        self.push_with(|out| out.extend_from_slice(row), time, diff);
    }
    /// Appends an update whose row `write` appends to the bytes in place.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>), time: u64, diff: i64) {
        write(&mut self.bytes);
        self.ends.push(u32::try_from(self.bytes.len()).expect("batches are bounded far below 4 GiB"));
        self.times.push(time);
        self.diffs.push(diff);
    }
    /// The row of update `i`.
    pub fn row(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.bytes[start..self.ends[i] as usize]
    }
    /// The updates in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], u64, i64)> {
        (0..self.len()).map(|i| (self.row(i), self.times[i], self.diffs[i]))
    }
    /// Sorts by row and time and sums diffs; what cancels is dropped.
    pub fn consolidate(&self) -> Updates {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        order.sort_unstable_by(|a, b| {
            let (a, b) = (*a as usize, *b as usize);
            self.row(a).cmp(self.row(b)).then(self.times[a].cmp(&self.times[b]))
        });
        let mut out = Updates::new();
        let mut at = 0;
        while at < order.len() {
            let first = order[at] as usize;
            let mut diff = 0;
            while at < order.len() {
                let i = order[at] as usize;
                if self.times[i] != self.times[first] || self.row(i) != self.row(first) {
                    break;
                }
                diff += self.diffs[i];
                at += 1;
            }
            if diff != 0 {
                out.push(self.row(first), self.times[first], diff);
            }
        }
        out
    }
    /// The contents once all times have passed: diffs summed over all times; what cancels is
    /// dropped. Times are 0.
    pub fn consolidate_times(&self) -> Updates {
        let mut all = self.clone();
        all.times.fill(0);
        all.consolidate()
    }
    /// Appends the batch's bytes to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) -> Result<(), FlatError> {
        let n = u32::try_from(self.len()).map_err(|_| FlatError::TooLarge)?;
        let len = u32::try_from(self.bytes.len()).map_err(|_| FlatError::TooLarge)?;
        out.reserve(HEADER_BYTES + self.len() * UPDATE_BYTES + self.bytes.len());
        out.extend_from_slice(&n.to_le_bytes());
        out.extend_from_slice(&len.to_le_bytes());
        self.ends.iter().for_each(|end| out.extend_from_slice(&end.to_le_bytes()));
        self.times.iter().for_each(|time| out.extend_from_slice(&time.to_le_bytes()));
        self.diffs.iter().for_each(|diff| out.extend_from_slice(&diff.to_le_bytes()));
        out.extend_from_slice(&self.bytes);
        Ok(())
    }
    /// The batch's bytes.
    pub fn encode(&self) -> Result<Vec<u8>, FlatError> {
        let mut out = Vec::new();
        self.encode_into(&mut out)?;
        Ok(out)
    }
    /// Reads a batch, checking lengths and ends; rows themselves are not looked into.
    pub fn decode(from: &[u8]) -> Result<Updates, FlatError> {
        let short = FlatError::Length { want: HEADER_BYTES, got: from.len() };
        let Some((n, rest)) = from.split_first_chunk::<4>() else { return Err(short) };
        let Some((len, rest)) = rest.split_first_chunk::<4>() else { return Err(short) };
        let (n, len) = (u32::from_le_bytes(*n) as usize, u32::from_le_bytes(*len) as usize);
        let want = HEADER_BYTES + n * UPDATE_BYTES + len;
        if from.len() != want {
            return Err(FlatError::Length { want, got: from.len() });
        }
        let (ends, rest) = rest.split_at(n * 4);
        let (times, rest) = rest.split_at(n * 8);
        let (diffs, bytes) = rest.split_at(n * 8);
        let ends: Vec<u32> = ends.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
        let rising = ends.windows(2).all(|pair| pair[0] <= pair[1]);
        if !rising || ends.last().map_or(0, |end| *end as usize) != len {
            return Err(FlatError::Ends);
        }
        Ok(Updates {
            ends,
            bytes: bytes.to_vec(),
            times: times.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect(),
            diffs: diffs.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_survive_the_codec() {
        let mut batch = Updates::new();
        batch.push(b"abc", 3, 1);
        batch.push(b"", 4, -2);
        batch.push(b"zz", u64::MAX, i64::MIN);
        let bytes = batch.encode().expect("small");
        assert_eq!(Updates::decode(&bytes), Ok(batch));
    }

    #[test]
    fn malformed_bytes_are_errors() {
        assert!(Updates::decode(b"").is_err());
        assert!(Updates::decode(&[1, 0, 0, 0, 0, 0, 0, 0]).is_err());
        let mut batch = Updates::new();
        batch.push(b"abc", 3, 1);
        let mut bytes = batch.encode().expect("small");
        bytes[8] = 9;
        assert_eq!(Updates::decode(&bytes), Err(FlatError::Ends));
    }

    #[test]
    fn consolidation_sums_and_drops() {
        let mut batch = Updates::new();
        for (row, time, diff) in [(b"b", 1, 1), (b"a", 1, 2), (b"b", 1, -1), (b"a", 1, 3), (b"a", 0, 1)] {
            batch.push(row, time, diff);
        }
        let got = batch.consolidate();
        let got: Vec<_> = got.iter().collect();
        assert_eq!(got, vec![(&b"a"[..], 0, 1), (&b"a"[..], 1, 5)]);
    }
}
