//! Rows in an order asked for, as vals of an arrangement.
//!
//! A row's val is its sort key, memcomparable, then the row, then the sort key's length: so vals come in
//! the order asked for, ties in the order of whole rows.

use hw_types::order::ColumnOrder;
use hw_types::row;

const LENGTH_BYTES: usize = size_of::<u32>();

/// Appends one column of a sort key, so that memcmp gives the order asked for.
pub fn push_sort_key(datum: &[u8], by: &ColumnOrder, out: &mut Vec<u8>) {
    let null = datum == row::NULL_BYTES;
    // NULL's own byte is the greatest, so it needs a mark only where that is not what is wanted.
    if by.desc || !by.nulls_last {
        out.push(u8::from(null == by.nulls_last));
    }
    match by.desc {
        _ if null => out.extend_from_slice(datum),
        false => out.extend_from_slice(datum),
        true => out.extend(datum.iter().map(|byte| !byte)),
    }
}

/// The datum that a sort key was made of.
pub fn datum_of(sort_key: &[u8], by: &ColumnOrder) -> Vec<u8> {
    match sort_key.split_first() {
        Some((mark, datum)) if by.desc && *mark != u8::from(by.nulls_last) => {
            datum.iter().map(|byte| !byte).collect()
        }
        Some((_, datum)) if by.desc || !by.nulls_last => datum.to_vec(),
        _ => sort_key.to_vec(),
    }
}

/// Appends sort key, row, length.
pub fn push_val(row: &[u8], order: &[ColumnOrder], columns: &mut Vec<usize>, out: &mut Vec<u8>) {
    columns.clear();
    columns.push(0);
    row::ends(row, columns);
    let start = out.len();
    for by in order {
        push_sort_key(&row[columns[by.column]..columns[by.column + 1]], by, out);
    }
    let length = u32::try_from(out.len() - start).expect("a row is far below 4 GiB");
    out.extend_from_slice(row);
    out.extend_from_slice(&length.to_be_bytes());
}

fn split(val: &[u8]) -> (&[u8], &[u8]) {
    let (rest, length) = val.split_at(val.len() - LENGTH_BYTES);
    let length = length.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    rest.split_at(length as usize)
}

/// The sort key within a val.
pub fn key_of(val: &[u8]) -> &[u8] {
    split(val).0
}

/// The row within a val.
pub fn row_of(val: &[u8]) -> &[u8] {
    split(val).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_types::datum::Datum;
    use std::cmp::Ordering;

    #[test]
    fn sort_keys_order_as_order_by_does() {
        let values = [
            Datum::Null,
            Datum::Int(-7),
            Datum::Int(0),
            Datum::Int(900),
            Datum::Text("a"),
            Datum::Text("ab"),
        ];
        for desc in [false, true] {
            for nulls_last in [false, true] {
                let by = ColumnOrder { column: 0, desc, nulls_last };
                let key = |datum: &Datum<'_>| {
                    let (mut out, encoded) = (vec![], row::pack([*datum]));
                    push_sort_key(&encoded, &by, &mut out);
                    assert_eq!(datum_of(&out, &by), encoded);
                    (encoded, out)
                };
                for a in &values {
                    for b in &values {
                        let ((a, a_key), (b, b_key)) = (key(a), key(b));
                        let want = hw_types::order::compare_datums(&a, &b, desc, nulls_last);
                        assert_eq!(a_key.cmp(&b_key), want, "{a:?} {b:?} {by:?}");
                        assert_eq!(want == Ordering::Equal, a == b);
                    }
                }
            }
        }
    }

    #[test]
    fn vals_give_their_row_back() {
        let order = [ColumnOrder { column: 1, desc: true, nulls_last: false }];
        let row = row::pack([Datum::Int(5), Datum::Text("x")]);
        let mut val = vec![];
        push_val(&row, &order, &mut vec![], &mut val);
        assert_eq!(row_of(&val), row);
        assert_eq!(key_of(&val).len(), 1 + row::pack([Datum::Text("x")]).len());
    }
}
