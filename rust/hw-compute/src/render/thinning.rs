//! Between full rows and the keys and vals of an arrangement.
//!
//! The key holds the values of the key's expressions; the val the row's columns that are not plain
//! columns of the key, in column order. So no column is stored twice, and the row can be restored.

use hw_types::row;

use crate::container::{Flat, Time};
use crate::expr::{EvalError, KeyPlan, PlanError, ScalarExpr, Scratch};

/// Columns `from..to` of a row, key or val.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    from: usize,
    to: usize,
}

/// Adds a column to a list of ranges, joining it to the last where it follows.
fn extend(ranges: &mut Vec<Range>, column: usize) {
    match ranges.last_mut() {
        Some(last) if last.to == column => last.to += 1,
        _ => ranges.push(Range { from: column, to: column + 1 }),
    }
}

/// The ends of a row's columns, found once and only as far as they are needed.
#[derive(Default)]
struct Ends(Vec<usize>);

impl Ends {
    fn find(&mut self, row: &[u8], columns: usize) {
        self.0.clear();
        self.0.push(0);
        let mut at = 0;
        for _ in 0..columns {
            at += row::skip(&row[at..]);
            self.0.push(at);
        }
    }
    fn slice<'a>(&self, row: &'a [u8], range: Range) -> &'a [u8] {
        // A range up to the last column needs no end but the row's.
        let to = self.0.get(range.to).copied().unwrap_or(row.len());
        &row[self.0[range.from]..to]
    }
}

fn pieces(columns: impl Iterator<Item = usize>) -> Vec<Range> {
    let mut ranges = vec![];
    columns.for_each(|column| extend(&mut ranges, column));
    ranges
}

/// How many ends must be found to cut `ranges` out of a row of `arity` columns.
fn demand(ranges: &[Range], arity: usize) -> usize {
    let needed = |range: &Range| if range.to >= arity { range.from } else { range.to };
    ranges.iter().map(needed).max().unwrap_or(0)
}

/// Appends values over full rows, copied undecoded where the expressions are plain columns.
pub struct Picker {
    plan: KeyPlan,
    /// The ranges, where there is nothing to compute.
    ranges: Option<Vec<Range>>,
    demand: usize,
    ends: Ends,
    scratch: Scratch,
}

impl Picker {
    /// The values of `exprs` over rows of `arity` columns.
    pub fn new(exprs: &[ScalarExpr], arity: usize) -> Result<Self, PlanError> {
        let plan = KeyPlan::new(exprs)?;
        let ranges = plan.columns().map(|columns| pieces(columns.iter().copied()));
        let demand = ranges.as_ref().map_or(0, |ranges| demand(ranges, arity));
        Ok(Picker { plan, ranges, demand, ends: Ends::default(), scratch: Scratch::new() })
    }
    /// Appends the values over `row`.
    #[inline]
    pub fn pick(&mut self, row: &[u8], out: &mut Vec<u8>) -> Result<(), EvalError> {
        let Some(ranges) = &self.ranges else { return self.plan.evaluate(row, &mut self.scratch, out) };
        self.ends.find(row, self.demand);
        ranges.iter().for_each(|range| out.extend_from_slice(self.ends.slice(row, *range)));
        Ok(())
    }
}

/// Splits full rows into key and val.
pub struct Splitter {
    key: Picker,
    val: Picker,
}

impl Splitter {
    /// Rows of `arity` columns by `key`.
    pub fn new(key: &[ScalarExpr], arity: usize) -> Result<Self, PlanError> {
        let plain = |column: usize| key.iter().any(|expr| is_column(expr, column));
        let val = (0..arity).filter(|column| !plain(*column)).map(|index| ScalarExpr::Column { index });
        let val: Vec<ScalarExpr> = val.collect();
        Ok(Splitter { key: Picker::new(key, arity)?, val: Picker::new(&val, arity)? })
    }
    /// Appends `row` split to `out`.
    pub fn split<T: Time>(
        &mut self,
        row: &[u8],
        time: T,
        diff: i64,
        out: &mut Flat<T, i64>,
    ) -> Result<(), EvalError> {
        let tail = out.tail();
        if let Err(error) = self.key.pick(row, tail) {
            out.abandon();
            return Err(error);
        }
        let key_end = tail.len();
        self.val.pick(row, tail)?;
        out.seal(key_end, time, diff);
        Ok(())
    }
}

fn is_column(expr: &ScalarExpr, column: usize) -> bool {
    matches!(expr, ScalarExpr::Column { index } if *index == column)
}

/// Puts full rows together from key and val.
pub struct Restorer {
    /// Whether from the key, and which columns of it or of the val.
    parts: Vec<(bool, Range)>,
    /// Columns of the key, and how many of their ends are needed.
    key: (usize, usize),
    val: (usize, usize),
    key_ends: Ends,
    val_ends: Ends,
}

impl Restorer {
    /// The inverse of [`Splitter`].
    pub fn new(key: &[ScalarExpr], arity: usize) -> Self {
        let mut parts: Vec<(bool, Range)> = vec![];
        let mut vals = 0;
        for column in 0..arity {
            let found = key.iter().position(|expr| is_column(expr, column));
            let from = found.unwrap_or(vals);
            vals += usize::from(found.is_none());
            match parts.last_mut() {
                Some((of_key, range)) if *of_key == found.is_some() && range.to == from => range.to += 1,
                _ => parts.push((found.is_some(), Range { from, to: from + 1 })),
            }
        }
        let of = |which: bool| -> Vec<Range> {
            parts.iter().filter(|part| part.0 == which).map(|part| part.1).collect()
        };
        let (key_demand, val_demand) = (demand(&of(true), key.len()), demand(&of(false), vals));
        Restorer {
            parts,
            key: (key.len(), key_demand),
            val: (vals, val_demand),
            key_ends: Ends::default(),
            val_ends: Ends::default(),
        }
    }
    /// Whether key followed by val is the row.
    pub fn is_plain(&self) -> bool {
        let key = |part: &(bool, Range)| *part == (true, Range { from: 0, to: self.key.0 });
        let val = |part: &(bool, Range)| *part == (false, Range { from: 0, to: self.val.0 });
        match &self.parts[..] {
            [] => self.key.0 == 0,
            [one] => key(one) || (self.key.0 == 0 && val(one)),
            [first, second] => key(first) && val(second),
            _ => false,
        }
    }
    /// Appends the row.
    pub fn restore(&mut self, key: &[u8], val: &[u8], out: &mut Vec<u8>) {
        self.key_ends.find(key, self.key.1);
        self.val_ends.find(val, self.val.1);
        for (of_key, range) in &self.parts {
            let piece =
                if *of_key { self.key_ends.slice(key, *range) } else { self.val_ends.slice(val, *range) };
            out.extend_from_slice(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_types::datum::Datum;

    fn column(index: usize) -> ScalarExpr {
        ScalarExpr::Column { index }
    }

    fn check(key: &[ScalarExpr], arity: usize, key_want: &[i64], val_want: &[i64]) {
        let int = |i: &i64| Datum::Int(*i * 1000);
        let full: Vec<i64> = (0..arity as i64).collect();
        let full = row::pack(full.iter().map(int));
        let mut out = Flat::default();
        let mut splitter = Splitter::new(key, arity).expect("columns");
        splitter.split(&full, 3u64, 1, &mut out).expect("columns never fail");
        let (got_key, got_val, ..) = out.get(0);
        assert_eq!(got_key, row::pack(key_want.iter().map(int)));
        assert_eq!(got_val, row::pack(val_want.iter().map(int)));
        let mut back = vec![];
        let mut restorer = Restorer::new(key, arity);
        restorer.restore(got_key, got_val, &mut back);
        assert_eq!(back, full);
        assert_eq!(restorer.is_plain(), [got_key, got_val].concat() == full);
    }

    #[test]
    fn rows_are_thinned_and_restored() {
        check(&[column(0)], 3, &[0], &[1, 2]);
        check(&[column(1)], 3, &[1], &[0, 2]);
        check(&[column(2), column(0)], 4, &[2, 0], &[1, 3]);
        check(&[column(0), column(1)], 2, &[0, 1], &[]);
        check(&[column(1), column(0)], 2, &[1, 0], &[]);
        check(&[], 3, &[], &[0, 1, 2]);
        check(&[column(1), column(1)], 2, &[1, 1], &[0]);
        check(&[], 0, &[], &[]);
    }

    #[test]
    fn computed_keys_leave_all_columns_in_the_val() {
        let data = row::pack([Datum::Int(7000)]);
        let ty = int8();
        check(&[ScalarExpr::Literal { data, ty }, column(1)], 3, &[7, 1], &[0, 2]);
    }

    fn int8() -> hw_types::scalar::ColumnType {
        hw_types::scalar::ColumnType { ty: hw_types::scalar::BaseType::Int8.into(), nullable: false }
    }
}
