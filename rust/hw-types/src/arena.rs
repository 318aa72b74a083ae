//! A bump arena for the bytes that evaluating an expression makes.

use std::cell::RefCell;

const CHUNK_BYTES: usize = 4096;

/// Bytes that live as long as the arena is not reset.
///
/// An operator owns one, hands it to every evaluation, and resets it after each row or batch.
#[derive(Default)]
pub struct Arena {
    // Chunks never grow past the capacity they were made with, so that their bytes never move.
    chunks: RefCell<Vec<Vec<u8>>>,
}

impl Arena {
    /// An empty arena; it allocates nothing before its first use.
    pub fn new() -> Self {
        Self::default()
    }
    /// Copies `bytes` into the arena.
    pub fn bytes(&self, bytes: &[u8]) -> &[u8] {
        if bytes.is_empty() {
            return &[];
        }
        let mut chunks = self.chunks.borrow_mut();
        if chunks.last().is_none_or(|chunk| chunk.capacity() - chunk.len() < bytes.len()) {
            chunks.push(Vec::with_capacity(CHUNK_BYTES.max(bytes.len())));
        }
        let chunk = chunks.last_mut().expect("a chunk was pushed just now");
        let start = chunk.len();
        chunk.extend_from_slice(bytes);
        let from = chunk[start..].as_ptr();
        // SAFETY: the chunk had room, so its buffer stays where it is until `reset` or drop, both of
        // which need the arena unborrowed; the bytes are initialized and never written again.
        unsafe { std::slice::from_raw_parts(from, bytes.len()) }
    }
    /// Copies `text` into the arena.
    pub fn text(&self, text: &str) -> &str {
        let bytes = self.bytes(text.as_bytes());
        // SAFETY: the bytes are a copy of a `str`.
        unsafe { std::str::from_utf8_unchecked(bytes) }
    }
    /// Lets `write` fill a buffer and keeps what it wrote.
    pub fn build(&self, write: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
        let mut buffer = Vec::new();
        write(&mut buffer);
        self.bytes(&buffer)
    }
    /// Forgets all bytes, keeping one chunk for the next use.
    pub fn reset(&mut self) {
        let chunks = self.chunks.get_mut();
        if chunks.len() > 1 {
            chunks.truncate(1);
        }
        if let Some(chunk) = chunks.first_mut() {
            chunk.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stay_where_they_are() {
        let arena = Arena::new();
        let parts: Vec<&str> = (0..5000).map(|i| arena.text(&format!("part {i}"))).collect();
        let large = arena.bytes(&[7; 100_000]);
        assert!(parts.iter().enumerate().all(|(i, part)| *part == format!("part {i}")));
        assert_eq!(large, &[7; 100_000]);
    }

    #[test]
    fn a_reset_arena_starts_anew() {
        let mut arena = Arena::new();
        arena.bytes(&[1; 5000]);
        arena.reset();
        assert_eq!(arena.text("again"), "again");
    }
}
