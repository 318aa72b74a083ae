//! A subscription's updates as rows for a client, in the form that was asked for.

use crate::protocol::Envelope;
use hw_types::datum::Datum;
use hw_types::flat::Updates;
use hw_types::order;
use hw_types::row;

/// What the rows of a subscription look like.
pub struct Shape {
    /// The dataflow's columns.
    pub arity: usize,
    /// Whether frontiers are rows too.
    pub progress: bool,
    /// How updates are written.
    pub envelope: Envelope,
}

impl Shape {
    /// Appends the row that tells of a frontier.
    pub fn push_progress(&self, out: &mut Updates, frontier: u64) {
        let nulls = match &self.envelope {
            Envelope::Diffs | Envelope::Ordered { .. } | Envelope::Upsert { .. } => 1 + self.arity,
            Envelope::Debezium { key } => 1 + key.len() + 2 * (self.arity - key.len()),
        };
        let write = |bytes: &mut Vec<u8>| {
            row::push_uint(bytes, frontier);
            row::push_datum(bytes, Datum::True);
            (0..nulls).for_each(|_| row::push_null(bytes));
        };
        out.push_with(write, 0, 1);
    }
    /// Appends the rows of updates that are consolidated and in order of time.
    pub fn push_updates<'a>(&self, out: &mut Updates, updates: impl Iterator<Item = (&'a [u8], u64, i64)>) {
        let mut updates = updates.peekable();
        let mut moment: Vec<(&[u8], i64)> = Vec::new();
        while let Some((_, time, _)) = updates.peek().copied() {
            moment.clear();
            while let Some((data, _, diff)) = updates.next_if(|(_, other, _)| *other == time) {
                moment.push((data, diff));
            }
            match &self.envelope {
                Envelope::Diffs => self.push_diffs(out, time, &moment),
                Envelope::Ordered { order_by } => {
                    let mut rows: Vec<Vec<u8>> =
                        moment.iter().map(|(data, diff)| with_diff(data, *diff)).collect();
                    rows.sort_by(|a, b| order::compare(a, b, order_by));
                    rows.iter().for_each(|row| self.push(out, time, |bytes| bytes.extend_from_slice(row)));
                }
                Envelope::Upsert { key } => self.push_keyed(out, time, &moment, key, false),
                Envelope::Debezium { key } => self.push_keyed(out, time, &moment, key, true),
            }
        }
    }
    fn push(&self, out: &mut Updates, time: u64, write: impl FnOnce(&mut Vec<u8>)) {
        let whole = |bytes: &mut Vec<u8>| {
            row::push_uint(bytes, time);
            if self.progress {
                row::push_datum(bytes, Datum::False);
            }
            write(bytes);
        };
        out.push_with(whole, 0, 1);
    }
    fn push_diffs(&self, out: &mut Updates, time: u64, moment: &[(&[u8], i64)]) {
        for (data, diff) in moment {
            self.push(out, time, |bytes| {
                row::push_int(bytes, *diff);
                bytes.extend_from_slice(data);
            });
        }
    }
    /// One row for every key that changes at `time`: what became of its row.
    fn push_keyed(&self, out: &mut Updates, time: u64, moment: &[(&[u8], i64)], key: &[usize], pairs: bool) {
        let mut rows: Vec<(Keyed<'_>, i64)> =
            moment.iter().map(|(data, diff)| (Keyed::of(data, key), *diff)).collect();
        rows.sort_by(|a, b| a.0.key.cmp(&b.0.key).then(a.1.cmp(&b.1)));
        let values = self.arity - key.len();
        for group in rows.chunk_by(|a, b| a.0.key == b.0.key) {
            let (state, before, after) = match group {
                [(new, 1)] => (if pairs { "insert" } else { "upsert" }, None, Some(new)),
                [(old, -1)] => ("delete", Some(old), None),
                [(old, -1), (new, 1)] => ("upsert", Some(old), Some(new)),
                _ => ("key_violation", None, None),
            };
            self.push(out, time, |bytes| {
                row::push_text(bytes, state);
                bytes.extend_from_slice(&group[0].0.key);
                let sides = [before.filter(|_| pairs), after];
                for side in if pairs { &sides[..] } else { &sides[1..] } {
                    match side {
                        Some(row) => row.values.iter().for_each(|value| bytes.extend_from_slice(value)),
                        None => (0..values).for_each(|_| row::push_null(bytes)),
                    }
                }
            });
        }
    }
}

fn with_diff(data: &[u8], diff: i64) -> Vec<u8> {
    let mut row = Vec::with_capacity(data.len() + 2);
    row::push_int(&mut row, diff);
    row.extend_from_slice(data);
    row
}

/// A row in two: its key, in the order of the key's columns, and the other columns.
struct Keyed<'a> {
    key: Vec<u8>,
    values: Vec<&'a [u8]>,
}

impl<'a> Keyed<'a> {
    fn of(data: &'a [u8], key: &[usize]) -> Self {
        let datums: Vec<&[u8]> = row::split(data).collect();
        let values =
            datums.iter().enumerate().filter(|(i, _)| !key.contains(i)).map(|(_, datum)| *datum).collect();
        Keyed { key: key.iter().flat_map(|i| datums[*i]).copied().collect(), values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_types::arena::Arena;
    use hw_types::order::ColumnOrder;

    fn shown(rows: &Updates) -> Vec<String> {
        let show = |row: &[u8]| {
            let arena = Arena::new();
            let text = |datum: Datum<'_>| match datum {
                Datum::Int(value) => value.to_string(),
                Datum::UInt(value) => value.to_string(),
                Datum::Text(value) => value.to_owned(),
                Datum::True => "t".to_owned(),
                Datum::False => "f".to_owned(),
                _ => "-".to_owned(),
            };
            row::RowReader::new(row, &arena).map(text).collect::<Vec<_>>().join(" ")
        };
        rows.iter().map(|(row, _, _)| show(row)).collect()
    }

    fn rows(envelope: Envelope, progress: bool, updates: &[(i64, i64, u64, i64)]) -> Vec<String> {
        let mut given = Updates::new();
        for (a, b, time, diff) in updates {
            given.push(&row::pack([Datum::Int(*a), Datum::Int(*b)]), *time, *diff);
        }
        let shape = Shape { arity: 2, progress, envelope };
        let mut out = Updates::new();
        shape.push_updates(&mut out, given.iter());
        if progress {
            shape.push_progress(&mut out, 9);
        }
        shown(&out)
    }

    const UPDATES: &[(i64, i64, u64, i64)] = &[
        (1, 10, 5, 1),
        (2, 20, 5, 1),
        (1, 10, 6, -1),
        (1, 11, 6, 1),
        (2, 20, 6, -1),
        (1, 12, 7, 1),
        (1, 13, 7, 1),
    ];

    #[test]
    fn upsert_says_what_became_of_each_key() {
        let got = rows(Envelope::Upsert { key: vec![0] }, false, UPDATES);
        let want = ["5 upsert 1 10", "5 upsert 2 20", "6 upsert 1 11", "6 delete 2 -", "7 key_violation 1 -"];
        assert_eq!(got, want);
        let got = rows(Envelope::Upsert { key: vec![1] }, true, &UPDATES[..1]);
        assert_eq!(got, ["5 f upsert 10 1", "9 t - - -"]);
    }

    #[test]
    fn debezium_has_both_sides() {
        let got = rows(Envelope::Debezium { key: vec![0] }, true, UPDATES);
        let want = [
            "5 f insert 1 - 10",
            "5 f insert 2 - 20",
            "6 f upsert 1 10 11",
            "6 f delete 2 20 -",
            "7 f key_violation 1 - -",
            "9 t - - - -",
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn ordered_sorts_within_a_time() {
        let order = |column, desc| ColumnOrder { column, desc, nulls_last: !desc };
        let got = rows(Envelope::Ordered { order_by: vec![order(2, true), order(0, false)] }, false, UPDATES);
        let want = ["5 1 2 20", "5 1 1 10", "6 -1 2 20", "6 1 1 11", "6 -1 1 10", "7 1 1 13", "7 1 1 12"];
        assert_eq!(got, want);
    }

    #[test]
    fn diffs_come_as_they_are() {
        assert_eq!(rows(Envelope::Diffs, true, &UPDATES[..1]), ["5 f 1 1 10", "9 t - - -"]);
    }
}
