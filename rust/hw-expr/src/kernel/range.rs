//! Operators and functions over ranges.

use super::{CallInfo, Evaluated, Table, arg, kernel, lax};
use crate::error::EvalError;
use crate::parse::canonical_range;
use hw_types::arena::Arena;
use hw_types::container::{self, Bound, Bounds};
use hw_types::datum::{Datum, Range};
use hw_types::scalar::BaseType;
use std::cmp::Ordering;

type Result<T> = std::result::Result<T, EvalError>;
type View<'a> = Option<Bounds<'a>>;

fn ok<T>(value: T) -> Result<T> {
    Ok(value)
}

fn encode<'a>(bounds: View<'_>, arena: &'a Arena) -> Datum<'a> {
    Datum::Range(Range(arena.build(|out| container::push_range(out, bounds))))
}

/// Compares lower bounds: none is least, inclusive before exclusive.
fn lowers(a: &Option<Bound<'_>>, b: &Option<Bound<'_>>) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, _) => Ordering::Less,
        (_, None) => Ordering::Greater,
        (Some(a), Some(b)) => a.value.compare(&b.value).then(b.inclusive.cmp(&a.inclusive)),
    }
}

/// Compares upper bounds: none is greatest, exclusive before inclusive.
fn uppers(a: &Option<Bound<'_>>, b: &Option<Bound<'_>>) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, _) => Ordering::Greater,
        (_, None) => Ordering::Less,
        (Some(a), Some(b)) => a.value.compare(&b.value).then(a.inclusive.cmp(&b.inclusive)),
    }
}

/// Whether everything below `upper` lies before everything above `lower`.
fn ends_before(upper: &Option<Bound<'_>>, lower: &Option<Bound<'_>>) -> bool {
    match (upper, lower) {
        (Some(upper), Some(lower)) => match upper.value.compare(&lower.value) {
            Ordering::Less => true,
            Ordering::Equal => !(upper.inclusive && lower.inclusive),
            Ordering::Greater => false,
        },
        _ => false,
    }
}

/// Whether the ranges touch with nothing between and nothing in common.
fn touches(upper: &Option<Bound<'_>>, lower: &Option<Bound<'_>>) -> bool {
    match (upper, lower) {
        (Some(upper), Some(lower)) => upper.value == lower.value && upper.inclusive != lower.inclusive,
        _ => false,
    }
}

fn contains(a: View<'_>, b: View<'_>) -> bool {
    match (a, b) {
        (_, None) => true,
        (None, _) => false,
        (Some(a), Some(b)) => lowers(&a.lower, &b.lower).is_le() && uppers(&a.upper, &b.upper).is_ge(),
    }
}

fn contains_value(range: View<'_>, value: Datum<'_>) -> bool {
    let point = Some(Bound { value, inclusive: true });
    contains(range, Some(Bounds { lower: point, upper: point }))
}

fn both<'a>(
    a: Range<'a>,
    b: Range<'a>,
    arena: &'a Arena,
    f: impl FnOnce(&Bounds<'a>, &Bounds<'a>) -> bool,
) -> bool {
    match (a.bounds(arena), b.bounds(arena)) {
        (Some(a), Some(b)) => f(&a, &b),
        _ => false,
    }
}

fn overlaps(a: &Bounds<'_>, b: &Bounds<'_>) -> bool {
    !ends_before(&a.upper, &b.lower) && !ends_before(&b.upper, &a.lower)
}

fn adjacent(a: &Bounds<'_>, b: &Bounds<'_>) -> bool {
    touches(&a.upper, &b.lower) || touches(&b.upper, &a.lower)
}

fn union<'a>(a: Range<'a>, b: Range<'a>, arena: &'a Arena) -> Evaluated<'a> {
    let (x, y) = match (a.bounds(arena), b.bounds(arena)) {
        (None, _) => return Ok(Datum::Range(b)),
        (_, None) => return Ok(Datum::Range(a)),
        (Some(x), Some(y)) => (x, y),
    };
    if !overlaps(&x, &y) && !adjacent(&x, &y) {
        return Err(EvalError::raise("22000", "result of range union would not be contiguous"));
    }
    let lower = if lowers(&x.lower, &y.lower).is_le() { x.lower } else { y.lower };
    let upper = if uppers(&x.upper, &y.upper).is_ge() { x.upper } else { y.upper };
    Ok(encode(Some(Bounds { lower, upper }), arena))
}

/// The least range that holds both.
fn merge<'a>(a: Range<'a>, b: Range<'a>, arena: &'a Arena) -> Datum<'a> {
    match (a.bounds(arena), b.bounds(arena)) {
        (None, _) => Datum::Range(b),
        (_, None) => Datum::Range(a),
        (Some(x), Some(y)) => encode(
            Some(Bounds {
                lower: if lowers(&x.lower, &y.lower).is_le() { x.lower } else { y.lower },
                upper: if uppers(&x.upper, &y.upper).is_ge() { x.upper } else { y.upper },
            }),
            arena,
        ),
    }
}

fn intersection<'a>(a: Range<'a>, b: Range<'a>, arena: &'a Arena) -> Datum<'a> {
    let common = match (a.bounds(arena), b.bounds(arena)) {
        (Some(x), Some(y)) if overlaps(&x, &y) => Some(Bounds {
            lower: if lowers(&x.lower, &y.lower).is_ge() { x.lower } else { y.lower },
            upper: if uppers(&x.upper, &y.upper).is_le() { x.upper } else { y.upper },
        }),
        _ => None,
    };
    encode(common, arena)
}

fn flip(bound: Option<Bound<'_>>) -> Option<Bound<'_>> {
    bound.map(|bound| Bound { inclusive: !bound.inclusive, ..bound })
}

fn difference<'a>(a: Range<'a>, b: Range<'a>, arena: &'a Arena) -> Evaluated<'a> {
    let (x, y) = match (a.bounds(arena), b.bounds(arena)) {
        (Some(x), Some(y)) if overlaps(&x, &y) => (x, y),
        _ => return Ok(Datum::Range(a)),
    };
    let left = lowers(&x.lower, &y.lower).is_lt();
    let right = uppers(&x.upper, &y.upper).is_gt();
    match (left, right) {
        (true, true) => Err(EvalError::raise("22000", "result of range difference would not be contiguous")),
        (false, false) => Ok(encode(None, arena)),
        (true, false) => Ok(encode(Some(Bounds { lower: x.lower, upper: flip(y.lower) }), arena)),
        (false, true) => Ok(encode(Some(Bounds { lower: flip(y.upper), upper: x.upper }), arena)),
    }
}

fn make<'a>(args: &[Datum<'a>], info: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let (lower, upper) = (arg::<Datum<'a>>(args, 0)?, arg::<Datum<'a>>(args, 1)?);
    let (lower_inclusive, upper_inclusive) = match args.get(2) {
        None | Some(Datum::Text("[)")) => (true, false),
        Some(Datum::Text("[]")) => (true, true),
        Some(Datum::Text("()")) => (false, false),
        Some(Datum::Text("(]")) => (false, true),
        Some(Datum::Null) => {
            return Err(EvalError::raise("22000", "range constructor flags argument must not be null"));
        }
        Some(_) => return Err(EvalError::raise("42601", "invalid range bound flags")),
    };
    let bound = |value: Datum<'a>, inclusive| (!value.is_null()).then_some(Bound { value, inclusive });
    let bounds = Bounds { lower: bound(lower, lower_inclusive), upper: bound(upper, upper_inclusive) };
    let base = info.ty.element.as_ref().map_or(BaseType::Unknown, |element| element.base);
    Ok(encode(canonical_range(base, bounds)?, arena))
}

fn end<'a>(
    range: Range<'a>,
    arena: &'a Arena,
    of: impl FnOnce(Bounds<'a>) -> Option<Bound<'a>>,
) -> Option<Bound<'a>> {
    range.bounds(arena).and_then(of)
}

type R<'a> = Range<'a>;

pub(super) const KERNELS: Table = &[
    ("range_make", lax(make)),
    kernel!("add_range_range", arena, |a: R<'a>, b: R<'a>| union(a, b, arena)),
    kernel!("sub_range_range", arena, |a: R<'a>, b: R<'a>| difference(a, b, arena)),
    kernel!("mul_range_range", arena, |a: R<'a>, b: R<'a>| ok(intersection(a, b, arena))),
    kernel!("range_merge_range_range", arena, |a: R<'a>, b: R<'a>| ok(merge(a, b, arena))),
    kernel!("overlaps_range_range", arena, |a: R<'a>, b: R<'a>| ok(both(a, b, arena, overlaps))),
    kernel!("adjacent_range_range", arena, |a: R<'a>, b: R<'a>| ok(both(a, b, arena, adjacent))),
    kernel!("before_range_range", arena, |a: R<'a>, b: R<'a>| {
        ok(both(a, b, arena, |a, b| ends_before(&a.upper, &b.lower)))
    }),
    kernel!("after_range_range", arena, |a: R<'a>, b: R<'a>| {
        ok(both(a, b, arena, |a, b| ends_before(&b.upper, &a.lower)))
    }),
    kernel!("not_extend_right_range_range", arena, |a: R<'a>, b: R<'a>| {
        ok(both(a, b, arena, |a, b| uppers(&a.upper, &b.upper).is_le()))
    }),
    kernel!("not_extend_left_range_range", arena, |a: R<'a>, b: R<'a>| {
        ok(both(a, b, arena, |a, b| lowers(&a.lower, &b.lower).is_ge()))
    }),
    kernel!("contains_range_range", arena, |a: R<'a>, b: R<'a>| ok(contains(
        a.bounds(arena),
        b.bounds(arena)
    ))),
    kernel!("contained_by_range_range", arena, |a: R<'a>, b: R<'a>| {
        ok(contains(b.bounds(arena), a.bounds(arena)))
    }),
    kernel!("contains_range_any", arena, |a: R<'a>, b: Datum<'a>| ok(contains_value(a.bounds(arena), b))),
    kernel!("contained_by_any_range", arena, |a: Datum<'a>, b: R<'a>| ok(contains_value(b.bounds(arena), a))),
    kernel!("lower_range", arena, |a: R<'a>| ok(end(a, arena, |b| b.lower).map(|bound| bound.value))),
    kernel!("upper_range", arena, |a: R<'a>| ok(end(a, arena, |b| b.upper).map(|bound| bound.value))),
    kernel!("lower_inc_range", arena, |a: R<'a>| ok(end(a, arena, |b| b.lower).is_some_and(|b| b.inclusive))),
    kernel!("upper_inc_range", arena, |a: R<'a>| ok(end(a, arena, |b| b.upper).is_some_and(|b| b.inclusive))),
    kernel!("isempty_range", arena, |a: R<'a>| ok(a.bounds(arena).is_none())),
    kernel!("lower_inf_range", arena, |a: R<'a>| ok(a.bounds(arena).is_some_and(|b| b.lower.is_none()))),
    kernel!("upper_inf_range", arena, |a: R<'a>| ok(a.bounds(arena).is_some_and(|b| b.upper.is_none()))),
];
