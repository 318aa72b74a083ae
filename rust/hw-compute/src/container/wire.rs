//! Columns of fixed types on the wire, in multiples of eight bytes, decoded with checks.
//!
//! The other end is a worker of the same replica, but a damaged or foreign message must end in a named
//! error rather than in memory exhausted or read out of bounds.

use std::io::Write;

use differential_dataflow::dynamic::pointstamp::PointStamp;
use thiserror::Error;
use timely::bytes::arc::Bytes as WireBytes;
use timely::dataflow::channels::ContainerBytes;
use timely::order::Product;

use super::Dyn;
use super::flat::Flat;

/// Why bytes are not a container.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum WireError {
    /// Shorter than its header says.
    #[error("message ends {missing} bytes early")]
    Short {
        /// How many bytes are missing.
        missing: usize,
    },
    /// Ends of rows that do not rise to the length of the bytes.
    #[error("message has ends of rows that do not fit")]
    Ends,
}

/// A fixed type that can write a column of itself, in a multiple of eight bytes.
pub trait Column: Sized + Clone + Send + 'static {
    /// The column's length on the wire, in bytes.
    fn wire_len(column: &[Self]) -> usize;
    /// Writes the column.
    fn wire_write<W: Write>(column: &[Self], writer: &mut W) -> std::io::Result<()>;
    /// Reads `count` values and advances `from` past them.
    fn wire_read(from: &mut &[u8], count: usize) -> Result<Vec<Self>, WireError>;
    /// What the values hold beside themselves, in bytes.
    fn heap_bytes(_column: &[Self]) -> usize {
        0
    }
}

/// Takes `len` bytes.
pub fn take<'a>(from: &mut &'a [u8], len: usize) -> Result<&'a [u8], WireError> {
    let Some((taken, rest)) = from.split_at_checked(len) else {
        return Err(WireError::Short { missing: len - from.len() });
    };
    *from = rest;
    Ok(taken)
}

/// Takes one machine word.
pub fn take_u64(from: &mut &[u8]) -> Result<u64, WireError> {
    let Some((word, rest)) = from.split_first_chunk::<8>() else {
        return Err(WireError::Short { missing: 8 - from.len() });
    };
    *from = rest;
    Ok(u64::from_ne_bytes(*word))
}

macro_rules! plain_column { ($($t:ty),*) => { $(
    impl Column for $t {
        fn wire_len(column: &[Self]) -> usize {
            size_of_val(column).next_multiple_of(8)
        }
        fn wire_write<W: Write>(column: &[Self], writer: &mut W) -> std::io::Result<()> {
            let bytes: &[u8] = bytemuck::cast_slice(column);
            writer.write_all(bytes)?;
            writer.write_all(&[0; 8][..bytes.len().next_multiple_of(8) - bytes.len()])
        }
        fn wire_read(from: &mut &[u8], count: usize) -> Result<Vec<Self>, WireError> {
            let len = count.checked_mul(size_of::<$t>()).ok_or(WireError::Ends)?;
            let bytes = take(from, len.checked_next_multiple_of(8).ok_or(WireError::Ends)?)?;
            // One copy; needs no alignment of `bytes`, and the length has been checked before.
            let mut out = vec![<$t as bytemuck::Zeroable>::zeroed(); count];
            bytemuck::cast_slice_mut::<$t, u8>(&mut out).copy_from_slice(&bytes[..len]);
            Ok(out)
        }
    }
)* } }
plain_column!(u64, i64, [u32; 2]);

impl Column for Dyn {
    fn wire_len(column: &[Self]) -> usize {
        column.iter().map(|time| 16 + 8 * time.inner.len()).sum()
    }
    fn wire_write<W: Write>(column: &[Self], writer: &mut W) -> std::io::Result<()> {
        for time in column {
            writer.write_all(&time.outer.to_ne_bytes())?;
            writer.write_all(&(time.inner.len() as u64).to_ne_bytes())?;
            writer.write_all(bytemuck::cast_slice(&time.inner[..]))?;
        }
        Ok(())
    }
    fn wire_read(from: &mut &[u8], count: usize) -> Result<Vec<Self>, WireError> {
        // Each takes at least two words: nothing larger than the message is allocated.
        let mut out = Vec::with_capacity(count.min(from.len() / 16));
        for _ in 0..count {
            let outer = take_u64(from)?;
            let len = take_u64(from)? as usize;
            let words = take(from, len.checked_mul(8).ok_or(WireError::Ends)?)?;
            let words = words.as_chunks::<8>().0;
            let inner = words.iter().map(|word| u64::from_ne_bytes(*word)).collect();
            out.push(Product::new(outer, PointStamp::new(inner)));
        }
        Ok(out)
    }
}

const HEADER_BYTES: usize = 16;

impl<T: Column, R: Column> Flat<T, R> {
    /// Reads a container, checking lengths and ends; rows themselves are not looked into.
    pub fn decode(mut from: &[u8]) -> Result<Self, WireError> {
        let from = &mut from;
        let count = take_u64(from)? as usize;
        let len = take_u64(from)? as usize;
        let ends = <[u32; 2]>::wire_read(from, count)?;
        let times = T::wire_read(from, count)?;
        let diffs = R::wire_read(from, count)?;
        let padded = len.checked_next_multiple_of(8).ok_or(WireError::Ends)?;
        let bytes = take(from, padded)?[..len].to_vec();
        let rising = ends.as_flattened().is_sorted();
        if !rising || ends.last().map_or(0, |end| end[1] as usize) != len {
            return Err(WireError::Ends);
        }
        Ok(Flat { ends, bytes, times, diffs })
    }
    fn write<W: Write>(&self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(&(self.len() as u64).to_ne_bytes())?;
        writer.write_all(&(self.bytes.len() as u64).to_ne_bytes())?;
        <[u32; 2]>::wire_write(&self.ends, writer)?;
        T::wire_write(&self.times, writer)?;
        R::wire_write(&self.diffs, writer)?;
        writer.write_all(&self.bytes)?;
        writer.write_all(&[0; 8][..self.bytes.len().next_multiple_of(8) - self.bytes.len()])
    }
}

/// One copy a column each way. Keeping the received bytes and reading in place would pin timely's
/// megabyte slab for as long as a batcher keeps the container, and it copies every update once anyhow.
impl<T: Column, R: Column> ContainerBytes for Flat<T, R> {
    fn from_bytes(bytes: WireBytes) -> Self {
        // timely offers no way to refuse: a peer that sends garbage ends the replica, which restarts.
        Self::decode(&bytes).unwrap_or_else(|error| panic!("message from another worker: {error}"))
    }
    fn length_in_bytes(&self) -> usize {
        HEADER_BYTES
            + <[u32; 2]>::wire_len(&self.ends)
            + T::wire_len(&self.times)
            + R::wire_len(&self.diffs)
            + self.bytes.len().next_multiple_of(8)
    }
    fn into_bytes<W: Write>(&self, writer: &mut W) {
        self.write(writer).expect("timely writes into memory that it has sized by length_in_bytes");
    }
}
