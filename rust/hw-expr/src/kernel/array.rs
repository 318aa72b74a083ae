//! Functions over arrays that take them apart, put them together and say how large they are.

use super::container::{array_of, incompatible, one_dimension};
use super::{CallInfo, Evaluated, Table, arg, kernel, lax};
use crate::error::EvalError;
use hw_types::arena::Arena;
use hw_types::container::raw_items;
use hw_types::datum::{Array, Datum};
use hw_types::row;

type Result<T> = std::result::Result<T, EvalError>;

fn ok<T>(value: T) -> Result<T> {
    Ok(value)
}

/// An array of one dimension, or none.
fn vector<'a>(arena: &'a Arena, items: Vec<Datum<'a>>) -> Datum<'a> {
    let len = [items.len()];
    array_of(arena, if items.is_empty() { &[] } else { &len }, items.into_iter())
}

fn items_of<'a>(datum: Option<&Datum<'a>>, arena: &'a Arena) -> Result<Vec<Datum<'a>>> {
    match datum {
        Some(Datum::Array(array)) if array.dimensions().len() > 1 => {
            incompatible("argument must be empty or one-dimensional array")
        }
        Some(Datum::Array(array)) => Ok(array.items(arena).collect()),
        _ => Ok(Vec::new()),
    }
}

fn append<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let mut items = items_of(args.first(), arena)?;
    items.push(arg(args, 1)?);
    Ok(vector(arena, items))
}

fn prepend<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let mut items = items_of(args.get(1), arena)?;
    items.insert(0, arg(args, 0)?);
    Ok(vector(arena, items))
}

fn positions<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let Some(Datum::Array(array)) = args.first() else { return Ok(Datum::Null) };
    one_dimension(*array, "searching for elements in")?;
    let found = array.items(arena).enumerate().filter(|(_, item)| *item == args[1]);
    Ok(vector(arena, found.map(|(i, _)| Datum::Int(i as i64 + 1)).collect()))
}

fn replace<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let Some(Datum::Array(array)) = args.first() else { return Ok(Datum::Null) };
    let (from, to): (Datum<'a>, Datum<'a>) = (arg(args, 1)?, arg(args, 2)?);
    let items = array.items(arena).map(|item| if item == from { to } else { item });
    Ok(array_of(arena, &array.dimensions(), items))
}

fn shown_dimensions(array: Array<'_>) -> Option<String> {
    let dimensions = array.dimensions();
    (!dimensions.is_empty()).then(|| dimensions.iter().map(|len| format!("[1:{len}]")).collect())
}

fn dimension_count(array: Array<'_>) -> Option<i64> {
    Some(array.dimensions().len() as i64).filter(|count| *count > 0)
}

fn trim<'a>(array: Array<'a>, count: i64, arena: &'a Arena) -> Evaluated<'a> {
    let dimensions = array.dimensions();
    let len = dimensions.first().copied().unwrap_or(0);
    let Some(kept) = usize::try_from(count).ok().and_then(|count| len.checked_sub(count)) else {
        let message = format!("number of elements to trim must be between 0 and {len}");
        return Err(EvalError::raise("2202E", message));
    };
    if kept == 0 {
        return Ok(array_of(arena, &[], std::iter::empty()));
    }
    let inner: usize = dimensions[1..].iter().product();
    let shape: Vec<usize> = std::iter::once(kept).chain(dimensions[1..].iter().copied()).collect();
    Ok(array_of(arena, &shape, array.items(arena).take(kept * inner)))
}

fn overlaps(a: Array<'_>, b: Array<'_>) -> bool {
    raw_items(a.0).any(|item| item != row::NULL_BYTES && raw_items(b.0).any(|other| other == item))
}

/// `a[l:u][l:u]…`: the bounds in turn, NULL where one is left out; dimensions not named are whole.
fn slice<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let Some(Datum::Array(array)) = args.first() else { return Ok(Datum::Null) };
    let dimensions = array.dimensions();
    let bounds = args[1..].as_chunks::<2>().0;
    if bounds.len() > dimensions.len() {
        return Ok(array_of(arena, &[], std::iter::empty()));
    }
    let mut ranges = Vec::with_capacity(dimensions.len());
    for (i, len) in dimensions.iter().enumerate() {
        let bound = |datum: Option<&Datum<'a>>, open: i64| match datum {
            Some(Datum::Int(at)) => *at,
            _ => open,
        };
        let pair = bounds.get(i);
        let from = bound(pair.map(|pair| &pair[0]), 1).max(1);
        let to = bound(pair.map(|pair| &pair[1]), i64::MAX).min(*len as i64);
        if from > to {
            return Ok(array_of(arena, &[], std::iter::empty()));
        }
        ranges.push((from as usize - 1, to as usize));
    }
    let shape: Vec<usize> = ranges.iter().map(|(from, to)| to - from).collect();
    let within = |mut flat: usize| {
        ranges.iter().zip(&dimensions).rev().all(|((from, to), len)| {
            let at = flat % len;
            flat /= len;
            (*from..*to).contains(&at)
        })
    };
    let kept = array.items(arena).enumerate().filter(|(flat, _)| within(*flat)).map(|(_, item)| item);
    Ok(array_of(arena, &shape, kept))
}

pub(super) const KERNELS: Table = &[
    ("array_append_array_any", lax(append)),
    ("array_prepend_any_array", lax(prepend)),
    ("array_positions_array_any", lax(positions)),
    ("array_replace_array_any_any", lax(replace)),
    kernel!("array_ndims_array", |a: Array<'a>| ok(dimension_count(a))),
    kernel!("array_dims_array", |a: Array<'a>| ok(shown_dimensions(a))),
    kernel!("cardinality_array", |a: Array<'a>| ok(raw_items(a.0).count() as i64)),
    kernel!("trim_array_array_int4", arena, |a: Array<'a>, b: i64| trim(a, b, arena)),
    kernel!("overlaps_array_array", |a: Array<'a>, b: Array<'a>| ok(overlaps(a, b))),
    ("array_slice", lax(slice)),
];
