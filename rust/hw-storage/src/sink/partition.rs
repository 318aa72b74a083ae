//! Which partition of its topic a record goes to.

use hw_expr::scalar::Expr;
use hw_types::arena::Arena;
use hw_types::datum::Datum;
use hw_types::row::unpack;

/// Chooses by an expression over the row, or by the key's hash.
pub struct Partitioner {
    by: Option<Expr>,
    count: u64,
}

impl Partitioner {
    /// For a topic of `count` partitions, at least one.
    pub fn new(by: Option<Expr>, count: u64) -> Partitioner {
        Partitioner { by, count }
    }
    /// The topic has `count` partitions now, at least one.
    pub fn set_count(&mut self, count: u64) {
        self.count = count;
    }
    /// The partition of `row` under the encoded `key`. Rows without key, and those whose expression is
    /// NULL or fails, go to the first.
    ///
    /// Source: PARTITION BY in the checklist of sinks; SeaHash is what others use there, so that a
    /// topic written by both keeps each key in one partition.
    pub fn partition(&self, row: &[u8], key: Option<&[u8]>) -> i32 {
        let hash = match (&self.by, key) {
            (Some(by), _) => evaluated(by, row),
            (None, Some(key)) => seahash::hash(key),
            (None, None) => 0,
        };
        i32::try_from(hash % self.count).unwrap_or(0)
    }
}

fn evaluated(by: &Expr, row: &[u8]) -> u64 {
    let arena = Arena::new();
    let mut columns = Vec::new();
    unpack(row, &arena, &mut columns);
    match by.eval(&columns, &arena) {
        Ok(Datum::Int(value)) => u64::try_from(value).unwrap_or(0),
        Ok(Datum::UInt(value)) => value,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_expr::scalar::ScalarExpr;
    use hw_types::row::{push_int, push_null, push_uint};

    #[test]
    fn rows_go_where_the_expression_says() {
        let by = || Some(ScalarExpr::Column { index: 1 }.compile().expect("valid"));
        let row = |value: Option<u64>| {
            let mut row = vec![];
            push_int(&mut row, -1);
            match value {
                Some(value) => push_uint(&mut row, value),
                None => push_null(&mut row),
            }
            row
        };
        let mut partitioner = Partitioner::new(by(), 3);
        assert_eq!(partitioner.partition(&row(Some(7)), Some(b"k")), 1);
        assert_eq!(partitioner.partition(&row(Some(u64::MAX)), None), 0);
        assert_eq!(partitioner.partition(&row(None), Some(b"k")), 0);
        partitioner.set_count(5);
        assert_eq!(partitioner.partition(&row(Some(7)), None), 2);
    }

    #[test]
    fn without_an_expression_the_key_decides() {
        let partitioner = Partitioner::new(None, 4);
        let of = |key: &[u8]| partitioner.partition(&[], Some(key));
        assert_eq!(partitioner.partition(&[], None), 0);
        assert_eq!(of(b"a"), of(b"a"));
        let all: std::collections::BTreeSet<i32> = (0..100u8).map(|key| of(&[key])).collect();
        assert_eq!(all, (0..4).collect());
    }
}
