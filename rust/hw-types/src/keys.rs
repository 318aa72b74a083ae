//! Which keys of a table are taken: what PRIMARY KEY and UNIQUE are enforced with.
//!
//! Equal values have equal bytes, so a key is the bytes of its columns. Only a 128-bit fingerprint of
//! them is kept, made with random secrets: two keys out of n meet by chance with probability n²/2¹²⁹,
//! one in 10²⁰ for a billion keys, and nobody can look for such a pair. An entry takes 17 bytes at a
//! load of at most 7/8.

use crate::flat::Updates;
use crate::row;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// Takes the low half of a fingerprint for its hash: it is one already.
#[derive(Default)]
struct Already(u64);

impl Hasher for Already {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }
    fn write_u128(&mut self, value: u128) {
        self.0 = value as u64;
    }
}

type Prehashed = BuildHasherDefault<Already>;

/// Columns whose values together may occur once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Positions in the row.
    pub columns: Vec<usize>,
    /// Rows with a NULL in the key never meet (NULLS DISTINCT).
    pub nulls_distinct: bool,
}

/// What a transaction would change, key by key, before it commits.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    nets: Vec<HashMap<u128, i64, Prehashed>>,
}

impl Changes {
    fn net(&self, key: usize, print: u128) -> i64 {
        self.nets.get(key).and_then(|nets| nets.get(&print)).copied().unwrap_or(0)
    }
    fn add(&mut self, other: &Changes) {
        self.nets.resize_with(self.nets.len().max(other.nets.len()), HashMap::default);
        for (nets, others) in self.nets.iter_mut().zip(&other.nets) {
            for (print, net) in others {
                *nets.entry(*print).or_default() += net;
            }
        }
    }
}

/// A row that may not be there: the number of the key, and the update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which key.
    pub key: usize,
    /// Which update of the batch.
    pub update: usize,
}

/// The keys of one table.
pub struct TableKeys {
    keys: Vec<Key>,
    taken: Vec<HashSet<u128, Prehashed>>,
    loading: Changes,
    secrets: (RandomState, RandomState),
}

impl TableKeys {
    /// An empty table with these keys.
    pub fn new(keys: Vec<Key>) -> Self {
        let taken = keys.iter().map(|_| HashSet::default()).collect();
        let secrets = (RandomState::new(), RandomState::new());
        TableKeys { keys, taken, loading: Changes::default(), secrets }
    }
    /// How many keys are taken, all constraints together.
    pub fn len(&self) -> usize {
        self.taken.iter().map(HashSet::len).sum()
    }
    /// Whether no key is taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    fn print(&self, key: &Key, row: &[u8], ends: &[usize]) -> Option<u128> {
        let (mut low, mut high) = (self.secrets.0.build_hasher(), self.secrets.1.build_hasher());
        for column in &key.columns {
            let start = if *column == 0 { 0 } else { ends[column - 1] };
            let datum = &row[start..ends[*column]];
            if key.nulls_distinct && datum == row::NULL_BYTES {
                return None;
            }
            low.write(datum);
            high.write(datum);
        }
        Some(u128::from(high.finish()) << 64 | u128::from(low.finish()))
    }
    /// The fingerprints of every row of a batch, row by row; None where a NULL lets it pass.
    fn prints(&self, batch: &Updates) -> Vec<Option<u128>> {
        let mut prints = Vec::with_capacity(batch.len() * self.keys.len());
        let mut ends = Vec::new();
        for (row, _, _) in batch.iter() {
            ends.clear();
            row::ends(row, &mut ends);
            prints.extend(self.keys.iter().map(|key| self.print(key, row, &ends)));
        }
        prints
    }
    fn changes(&self, batch: &Updates, prints: &[Option<u128>]) -> Changes {
        let mut changes = Changes { nets: self.keys.iter().map(|_| HashMap::default()).collect() };
        for (prints, diff) in prints.chunks(self.keys.len().max(1)).zip(&batch.diffs) {
            for (nets, print) in changes.nets.iter_mut().zip(prints) {
                if let Some(print) = print {
                    *nets.entry(*print).or_default() += diff;
                }
            }
        }
        changes
    }
    fn count(&self, key: usize, print: u128, pending: Option<&Changes>) -> i64 {
        i64::from(self.taken[key].contains(&print)) + pending.map_or(0, |pending| pending.net(key, print))
    }
    /// The first row by which a key would occur twice, were the batch added to the table and to
    /// what is `pending`. Within the batch only the sum counts: keys may move from row to row.
    fn violation(
        &self,
        batch: &Updates,
        prints: &[Option<u128>],
        changes: &Changes,
        pending: Option<&Changes>,
    ) -> Option<Violation> {
        for (update, prints) in prints.chunks(self.keys.len().max(1)).enumerate() {
            if batch.diffs[update] <= 0 {
                continue;
            }
            for (key, print) in prints.iter().enumerate() {
                let Some(print) = print else { continue };
                let net = changes.net(key, *print);
                if net > 0 && self.count(key, *print, pending) + net > 1 {
                    return Some(Violation { key, update });
                }
            }
        }
        None
    }
    /// Takes the batch's keys, or says which row may not be there; then nothing has changed.
    pub fn admit(&mut self, batch: &Updates) -> Result<(), Violation> {
        let prints = self.prints(batch);
        let changes = self.changes(batch, &prints);
        match self.violation(batch, &prints, &changes, None) {
            Some(violation) => Err(violation),
            None => {
                self.apply(&changes, 1);
                Ok(())
            }
        }
    }
    /// As [`TableKeys::admit`], but takes the keys for `pending` alone.
    pub fn admit_pending(&self, batch: &Updates, pending: &mut Changes) -> Result<(), Violation> {
        let prints = self.prints(batch);
        let changes = self.changes(batch, &prints);
        match self.violation(batch, &prints, &changes, Some(pending)) {
            Some(violation) => Err(violation),
            None => {
                pending.add(&changes);
                Ok(())
            }
        }
    }
    /// Takes back an admitted batch that was not written after all.
    pub fn retract(&mut self, batch: &Updates) {
        let prints = self.prints(batch);
        let changes = self.changes(batch, &prints);
        self.apply(&changes, -1);
    }
    /// Takes in part of a table as it is stored. Parts may come in any order, what retracts a row
    /// before the row; they count from [`TableKeys::loaded`] on.
    pub fn load(&mut self, batch: &Updates) {
        let prints = self.prints(batch);
        let changes = self.changes(batch, &prints);
        self.loading.add(&changes);
    }
    /// The whole table has been loaded.
    pub fn loaded(&mut self) {
        let changes = std::mem::take(&mut self.loading);
        self.apply(&changes, 1);
    }
    fn apply(&mut self, changes: &Changes, sign: i64) {
        for (taken, nets) in self.taken.iter_mut().zip(&changes.nets) {
            for (print, net) in nets {
                match (net * sign).signum() {
                    1 => drop(taken.insert(*print)),
                    -1 => drop(taken.remove(print)),
                    _ => {}
                }
            }
        }
    }
    /// The updates of a batch (all additions) whose keys are free; of rows that meet within the
    /// batch the first counts. `arbiter`: the only key that decides; None is all of them.
    pub fn free(&self, batch: &Updates, arbiter: Option<usize>, pending: Option<&Changes>) -> Updates {
        let prints = self.prints(batch);
        let mut seen: Vec<HashSet<u128, Prehashed>> = self.keys.iter().map(|_| HashSet::default()).collect();
        let mut out = Updates::new();
        for ((row, time, diff), prints) in batch.iter().zip(prints.chunks(self.keys.len().max(1))) {
            let decide = |key: usize| arbiter.is_none_or(|arbiter| arbiter == key);
            let mut known = prints.iter().enumerate().filter_map(|(key, print)| Some((key, (*print)?)));
            let conflicts = known.any(|(key, print)| {
                decide(key) && (seen[key].contains(&print) || self.count(key, print, pending) > 0)
            });
            if conflicts {
                continue;
            }
            // A row that stands twice in the batch meets itself.
            let keyed = prints.iter().enumerate().any(|(key, print)| decide(key) && print.is_some());
            for (seen, print) in seen.iter_mut().zip(prints) {
                seen.extend(*print);
            }
            out.push(row, time, if keyed { diff.min(1) } else { diff });
        }
        out
    }
}

/// The first added row of a batch that has a NULL in one of `columns`: its update, and the column.
pub fn first_null(batch: &Updates, columns: &[usize]) -> Option<(usize, usize)> {
    let mut ends = Vec::new();
    for (update, (row, _, diff)) in batch.iter().enumerate() {
        if diff <= 0 || !row.contains(&row::NULL_BYTES[0]) {
            continue;
        }
        ends.clear();
        row::ends(row, &mut ends);
        for column in columns {
            let start = if *column == 0 { 0 } else { ends[column - 1] };
            if &row[start..ends[*column]] == row::NULL_BYTES {
                return Some((update, *column));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datum::Datum;

    fn batch(rows: &[(&[i64], i64)]) -> Updates {
        let mut out = Updates::new();
        for (values, diff) in rows {
            // 0 stands for NULL.
            let datums = values.iter().map(|v| if *v == 0 { Datum::Null } else { Datum::Int(*v) });
            out.push(&row::pack(datums), 0, *diff);
        }
        out
    }

    fn keys(columns: &[&[usize]]) -> TableKeys {
        let key = |columns: &&[usize]| Key { columns: columns.to_vec(), nulls_distinct: true };
        TableKeys::new(columns.iter().map(key).collect())
    }

    #[test]
    fn a_key_is_taken_once() {
        let mut t = keys(&[&[0], &[1, 2]]);
        assert_eq!(t.admit(&batch(&[(&[1, 5, 6], 1), (&[2, 5, 7], 1)])), Ok(()));
        assert_eq!(t.admit(&batch(&[(&[1, 8, 8], 1)])), Err(Violation { key: 0, update: 0 }));
        assert_eq!(
            t.admit(&batch(&[(&[3, 9, 9], 1), (&[4, 5, 6], 1)])),
            Err(Violation { key: 1, update: 1 })
        );
        // The failed batch has left nothing behind.
        assert_eq!(t.admit(&batch(&[(&[3, 9, 9], 1)])), Ok(()));
        assert_eq!(t.len(), 6);
    }

    #[test]
    fn only_the_sum_of_a_batch_counts() {
        let mut t = keys(&[&[0]]);
        t.load(&batch(&[(&[1, 1], 1), (&[2, 1], 1), (&[9, 1], -1)]));
        t.load(&batch(&[(&[9, 1], 1)]));
        t.loaded();
        assert_eq!(t.len(), 2);
        // Every key moves by one.
        let moved = batch(&[(&[1, 1], -1), (&[2, 1], 1), (&[2, 1], -1), (&[3, 1], 1)]);
        assert_eq!(t.admit(&moved), Ok(()));
        assert!(t.admit(&batch(&[(&[3, 1], 1)])).is_err());
        assert_eq!(t.admit(&batch(&[(&[1, 1], 1)])), Ok(()));
        assert!(t.admit(&batch(&[(&[4, 1], 2)])).is_err());
        t.retract(&batch(&[(&[1, 1], 1)]));
        assert_eq!(t.admit(&batch(&[(&[1, 1], 1)])), Ok(()));
    }

    #[test]
    fn nulls_never_meet_unless_asked_to() {
        let mut t = keys(&[&[0, 1]]);
        assert_eq!(t.admit(&batch(&[(&[1, 0], 2)])), Ok(()));
        let mut t = TableKeys::new(vec![Key { columns: vec![0, 1], nulls_distinct: false }]);
        assert!(t.admit(&batch(&[(&[1, 0], 2)])).is_err());
    }

    #[test]
    fn pending_changes_count_for_their_transaction_alone() {
        let mut t = keys(&[&[0]]);
        assert_eq!(t.admit(&batch(&[(&[1], 1)])), Ok(()));
        let mut mine = Changes::default();
        assert_eq!(t.admit_pending(&batch(&[(&[2], 1)]), &mut mine), Ok(()));
        assert!(t.admit_pending(&batch(&[(&[2], 1)]), &mut mine).is_err());
        assert_eq!(t.admit_pending(&batch(&[(&[1], -1)]), &mut mine), Ok(()));
        assert_eq!(t.admit_pending(&batch(&[(&[1], 1)]), &mut mine), Ok(()));
        assert_eq!(t.admit_pending(&batch(&[(&[2], 1)]), &mut Changes::default()), Ok(()));
    }

    #[test]
    fn free_rows_are_those_that_meet_nothing() {
        let mut t = keys(&[&[0], &[1]]);
        assert_eq!(t.admit(&batch(&[(&[1, 10], 1)])), Ok(()));
        let rows = batch(&[(&[1, 11], 1), (&[2, 10], 1), (&[3, 12], 2), (&[3, 13], 1), (&[4, 14], 1)]);
        let shown =
            |u: &Updates| -> Vec<(Vec<u8>, i64)> { u.iter().map(|(r, _, d)| (r.to_vec(), d)).collect() };
        assert_eq!(shown(&t.free(&rows, None, None)), shown(&batch(&[(&[3, 12], 1), (&[4, 14], 1)])));
        let by_first = batch(&[(&[2, 10], 1), (&[3, 12], 1), (&[4, 14], 1)]);
        assert_eq!(shown(&t.free(&rows, Some(0), None)), shown(&by_first));
    }

    #[test]
    fn the_first_null_is_found() {
        let rows = batch(&[(&[0, 1], -1), (&[2, 0], 1), (&[0, 1], 1)]);
        assert_eq!(first_null(&rows, &[0]), Some((2, 0)));
        assert_eq!(first_null(&rows, &[0, 1]), Some((1, 1)));
        assert_eq!(first_null(&rows, &[]), None);
    }
}
