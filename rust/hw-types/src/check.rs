//! A thorough look at bytes from outside: every datum is read, at every depth.

use crate::arena::Arena;
use crate::container::{Bounds, raw_items};
use crate::datum::{Array, Datum, Jsonb, List, Map, Range, Record};
use crate::jsonb::{self, Value};
use crate::row::{RowError, read_datum};

/// Checks the first datum of `bytes`; returns its length.
pub(crate) fn check_datum(bytes: &[u8], arena: &Arena) -> Result<usize, RowError> {
    let (datum, len) = read_datum(bytes, arena)?;
    match datum {
        Datum::Jsonb(Jsonb(body)) => check_json(body, arena, 0)?,
        Datum::Array(Array(body)) => {
            let dimensions = Array(body).dimensions();
            let count = check_items(body, arena)?;
            let want = dimensions.iter().try_fold(1usize, |n, len| n.checked_mul(*len));
            if count != want.filter(|_| !dimensions.is_empty()).unwrap_or(0) {
                return Err(RowError::Malformed("array"));
            }
        }
        Datum::List(List(body)) | Datum::Record(Record(body)) => {
            check_items(body, arena)?;
        }
        Datum::Map(Map(body)) => check_map(body, arena)?,
        Datum::Range(Range(body)) => {
            if let Some(Bounds { lower, upper }) = Range(body).try_bounds(arena)? {
                for bound in [lower, upper].into_iter().flatten() {
                    check_datum(&bound.value.to_bytes(), arena)?;
                }
            }
        }
        _ => {}
    }
    Ok(len)
}

// `raw_items` cannot panic here: `read_datum` has skipped over all items already.
fn check_items(body: &[u8], arena: &Arena) -> Result<usize, RowError> {
    let mut count = 0;
    for item in raw_items(body) {
        check_datum(item, arena)?;
        count += 1;
    }
    Ok(count)
}

fn check_map(body: &[u8], arena: &Arena) -> Result<(), RowError> {
    let count = check_items(body, arena)?;
    let keys_are_texts = raw_items(body).step_by(2).all(|key| key.first() == Some(&crate::row::TEXT));
    if count % 2 == 0 && keys_are_texts { Ok(()) } else { Err(RowError::Malformed("map")) }
}

fn check_json(body: &[u8], arena: &Arena, depth: usize) -> Result<(), RowError> {
    if depth > jsonb::DEPTH_MAX {
        return Err(RowError::Depth);
    }
    match Jsonb(body).try_value(arena)? {
        // The elements cannot panic: `skip_value` has walked over all of them.
        Value::Array(elements) => elements.into_iter().try_for_each(|e| check_json(e.0, arena, depth + 1)),
        Value::Object(members) => check_members(members, arena, depth),
        _ => Ok(()),
    }
}

fn check_members<'a>(
    mut members: jsonb::Members<'a>,
    arena: &'a Arena,
    depth: usize,
) -> Result<(), RowError> {
    // Only a key can be malformed still: not a string, or not UTF-8.
    while let Some(member) = members.try_next(arena)? {
        check_json(member.1.0, arena, depth + 1)?;
    }
    Ok(())
}
