//! What Python lends: the transaction shard, as it stands, until it is taken back.
//!
//! Times follow the wall clock, one round one time: `[.., upper)` is complete. More rounds than
//! milliseconds would run ahead of the clock, and of everything that follows it. Beyond
//! [`LEAD_MS_MAX`] rounds therefore share a time: it stays *open*, no reader sees it yet, until a
//! round closes it: the next one that the clock has moved for, or one that brings no rows.

use crate::version::TOKEN_BYTES;

/// Rounds have times of their own while these are ahead of the clock by less, in milliseconds.
pub const LEAD_MS_MAX: u64 = 10;

/// See the module.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The transaction shard.
    pub shard: String,
    /// Its newest version.
    pub seqno: u64,
    /// All times before it are complete.
    pub upper: u64,
    /// Whether something was written at `upper` already.
    pub open: bool,
    /// The owner's.
    pub epoch: u64,
    /// Rows that were made for another version of the catalog are not taken.
    pub catalog_version: u64,
    /// The bytes of one table's rows in a round, at most.
    pub inline_bytes_max: usize,
    /// Starts every token; the rest counts.
    pub token: [u8; TOKEN_BYTES / 2],
}

impl Grant {
    /// The time of the next round, and whether it stays open; `fresh` asks for a complete one.
    pub fn next_time(&self, now_ms: u64, fresh: bool) -> (u64, bool) {
        let time = self.upper.max(now_ms);
        (time, !fresh && time >= now_ms.saturating_add(LEAD_MS_MAX))
    }
    /// The token of the next round.
    pub fn next_token(&self) -> [u8; TOKEN_BYTES] {
        let mut token = [0; TOKEN_BYTES];
        let (start, count) = token.split_at_mut(TOKEN_BYTES / 2);
        start.copy_from_slice(&self.token);
        count.copy_from_slice(&(self.seqno + 1).to_be_bytes());
        token
    }
    /// Notes a round that was committed.
    pub fn committed(&mut self, time: u64, open: bool) {
        self.seqno += 1;
        self.open = open;
        self.upper = if open { time } else { time + 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(upper: u64) -> Grant {
        Grant {
            shard: "txns".to_owned(),
            seqno: 7,
            upper,
            open: false,
            epoch: 1,
            catalog_version: 1,
            inline_bytes_max: 1 << 16,
            token: [0; 8],
        }
    }

    #[test]
    fn times_follow_the_clock_and_lead_it_by_a_bound() {
        let mut grant = grant(100);
        let mut times = Vec::new();
        for _ in 0..14 {
            let (time, open) = grant.next_time(200, false);
            grant.committed(time, open);
            times.push((time, open));
        }
        assert_eq!(times[0], (200, false));
        assert_eq!(times[9], (209, false));
        assert_eq!(times[10..], [(210, true); 4]);
        // One millisecond later the time is closed, by a round of its own.
        assert_eq!(grant.next_time(201, false), (210, false));
        assert_eq!(grant.seqno, 21);
    }

    #[test]
    fn a_fresh_time_is_complete() {
        assert_eq!(grant(300).next_time(200, true), (300, false));
        assert_eq!(grant(100).next_time(200, true), (200, false));
    }
}
