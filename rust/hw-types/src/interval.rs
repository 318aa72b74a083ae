//! Intervals: months, days and microseconds, ordered as PostgreSQL estimates them.

use std::cmp::Ordering;

/// Microseconds of a day of 24 hours.
pub const DAY_MICROS: i64 = 86_400_000_000;
/// Days PostgreSQL takes a month to have when it compares intervals.
pub const MONTH_DAYS: i64 = 30;

/// A span of time in three parts that do not convert into each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interval {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

impl Interval {
    /// An interval of its three parts.
    pub const fn new(months: i32, days: i32, micros: i64) -> Self {
        Interval { months, days, micros }
    }
    /// The length in microseconds with months of 30 days and days of 24 hours.
    pub fn estimate(&self) -> i128 {
        let days = i64::from(self.months) * MONTH_DAYS + i64::from(self.days);
        i128::from(days) * i128::from(DAY_MICROS) + i128::from(self.micros)
    }
}

impl Ord for Interval {
    fn cmp(&self, other: &Self) -> Ordering {
        self.estimate()
            .cmp(&other.estimate())
            .then(self.months.cmp(&other.months))
            .then(self.days.cmp(&other.days))
    }
}

impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
