//! How many bytes values take.

use super::{CallInfo, Evaluated, Table, arg, lax, many};
use hw_types::arena::Arena;
use hw_types::datum::Datum;
use hw_types::row;

fn encoded(datum: Datum<'_>) -> i64 {
    let mut out = Vec::new();
    row::push_datum(&mut out, datum);
    out.len() as i64
}

/// Bytes of a value as it is kept.
fn column_size<'a>(args: &[Datum<'a>], _: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    Ok(match arg::<Datum<'a>>(args, 0)? {
        Datum::Null => Datum::Null,
        datum => Datum::Int(encoded(datum)),
    })
}

/// Bytes of a record's fields as a row, with what a row costs beside them.
fn row_size<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let fields = match arg::<Datum<'a>>(args, 0)? {
        Datum::Record(record) => record.items(arena).map(encoded).sum(),
        other => encoded(other),
    };
    // A row is a length and a pointer beside its bytes.
    Ok(Datum::Int(fields + std::mem::size_of::<Box<[u8]>>() as i64))
}

pub(super) const KERNELS: Table = &[("column_size", lax(column_size)), ("row_size", many(row_size))];
