//! KEY VALUE: `keys` keys whose values are replaced round by round.
//!
//! Table: `(partition uint8, key uint8, offset uint8, value bytea)`. The first `snapshot_rounds`
//! rounds write every key; each later one replaces `batch_size` keys, in turn.

use super::{Generator, GeneratorError, Options, Outputs, STEP_ROWS};
use crate::rng::Rng;
use hw_types::datum::Datum;
use hw_types::row::{push_datum, push_uint};

/// See the module.
pub struct KeyValue {
    keys: u64,
    partitions: u64,
    snapshot_rounds: u64,
    value_bytes: usize,
    seed: u64,
    batch: u64,
}

impl KeyValue {
    /// Fails where an option makes no sense.
    pub fn new(options: &Options) -> Result<Self, GeneratorError> {
        if options.keys == 0 {
            return Err(GeneratorError::Option("KEYS"));
        }
        if options.partitions == 0 || options.partitions > options.keys {
            return Err(GeneratorError::Option("PARTITIONS"));
        }
        if options.snapshot_rounds == 0 {
            return Err(GeneratorError::Option("SNAPSHOT ROUNDS"));
        }
        if options.value_bytes > 1 << 20 {
            return Err(GeneratorError::Option("VALUE SIZE"));
        }
        Ok(KeyValue {
            keys: options.keys,
            partitions: options.partitions,
            snapshot_rounds: options.snapshot_rounds,
            value_bytes: options.value_bytes as usize,
            seed: options.seed,
            batch: options.batch_size.clamp(1, options.keys),
        })
    }

    fn push(&self, key: u64, round: u64, diff: i64, out: &mut Outputs) {
        let mut rng = Rng::new(&[self.seed, key, round]);
        let mut value = Vec::with_capacity(self.value_bytes + 8);
        while value.len() < self.value_bytes {
            value.extend_from_slice(&rng.next().to_le_bytes());
        }
        value.truncate(self.value_bytes);
        out.push("", diff, |row| {
            push_uint(row, key % self.partitions);
            push_uint(row, key);
            push_uint(row, round);
            push_datum(row, Datum::Bytes(&value));
        });
    }

    /// The round before `round` that wrote `key`, if any.
    fn written_before(&self, key: u64, round: u64) -> Option<u64> {
        if round <= self.snapshot_rounds {
            return round.checked_sub(1);
        }
        // Rounds after the snapshot write `batch` keys each, in turn.
        let ticks = round - self.snapshot_rounds;
        let written = (0..ticks).rev().take((self.keys / self.batch + 2) as usize);
        let last = written.map(|tick| (tick, tick * self.batch % self.keys));
        last.into_iter()
            .find(|(_, first)| (key + self.keys - first) % self.keys < self.batch)
            .map_or(Some(self.snapshot_rounds - 1), |(tick, _)| Some(self.snapshot_rounds + tick))
    }
}

impl Generator for KeyValue {
    fn step(&mut self, offset: u64, step: u64, _: i64, out: &mut Outputs) -> bool {
        let (first, count) = if offset < self.snapshot_rounds {
            (0, self.keys)
        } else {
            ((offset - self.snapshot_rounds) * self.batch % self.keys, self.batch)
        };
        let begin = step * STEP_ROWS;
        let end = (begin + STEP_ROWS).min(count);
        for n in begin..end {
            let key = (first + n) % self.keys;
            if let Some(before) = self.written_before(key, offset) {
                self.push(key, before, -1, out);
            }
            self.push(key, offset, 1, out);
        }
        end < count
    }
}
