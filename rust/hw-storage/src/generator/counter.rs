//! COUNTER: 1, 2, 3 …, of which the last `max_cardinality` stay. CLOCK: the time, one row.

use super::{Generator, Outputs};
use hw_types::row::push_int;

/// `counter (counter int8)`.
pub struct Counter {
    max_cardinality: Option<u64>,
}

impl Counter {
    /// A counter that keeps at most `max_cardinality` rows.
    pub fn new(max_cardinality: Option<u64>) -> Self {
        Counter { max_cardinality }
    }
}

impl Generator for Counter {
    fn step(&mut self, offset: u64, _: u64, _: i64, out: &mut Outputs) -> bool {
        let value = offset as i64 + 1;
        out.push("", 1, |row| push_int(row, value));
        if let Some(max) = self.max_cardinality {
            let gone = value - max as i64;
            if gone > 0 {
                out.push("", -1, |row| push_int(row, gone));
            }
        }
        false
    }
}

/// `clock (time timestamptz)`: round `offset` is at `offset` ticks after the epoch, so that a clock
/// whose rounds are made when they are due shows the time.
pub struct Clock {
    tick_micros: u64,
    first: u64,
}

impl Clock {
    /// A clock that ticks so often, and whose first round ever is `first`.
    pub fn new(tick_micros: u64, first: u64) -> Self {
        Clock { tick_micros, first }
    }
}

impl Generator for Clock {
    fn step(&mut self, offset: u64, _: u64, _: i64, out: &mut Outputs) -> bool {
        let micros = |offset: u64| offset.saturating_mul(self.tick_micros) as i64;
        if offset > self.first {
            out.push("", -1, |row| push_int(row, micros(offset - 1)));
        }
        out.push("", 1, |row| push_int(row, micros(offset)));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::round;

    #[test]
    fn the_counter_keeps_its_cardinality() {
        let mut counter = Counter::new(Some(3));
        let mut rows = 0;
        for offset in 0..10 {
            rows += round(&mut counter, offset, 0).0[""].diffs.iter().sum::<i64>();
            assert_eq!(rows, (offset as i64 + 1).min(3));
        }
    }
}
