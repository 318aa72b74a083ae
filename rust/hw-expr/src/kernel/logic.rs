//! Comparisons, boolean logic and choices.

use super::{CallInfo, Compare, Evaluated, Kernel, Table, kernel, lax};
use crate::error::EvalError;
use hw_types::arena::Arena;
use hw_types::container::Items;
use hw_types::datum::Datum;

pub(super) const KERNELS: Table = &[
    ("eq", Kernel::Compare(Compare::Eq)),
    ("ne", Kernel::Compare(Compare::Ne)),
    ("lt", Kernel::Compare(Compare::Lt)),
    ("le", Kernel::Compare(Compare::Le)),
    ("gt", Kernel::Compare(Compare::Gt)),
    ("ge", Kernel::Compare(Compare::Ge)),
    ("and", Kernel::And),
    ("or", Kernel::Or),
    ("coalesce", Kernel::Coalesce),
    ("is_null", Kernel::IsNull),
    ("identity", Kernel::Identity),
    kernel!("not", |a: bool| Ok::<_, EvalError>(!a)),
    ("is_true", lax(|args, _, _| Ok(Datum::bool(matches!(args.first(), Some(Datum::True)))))),
    ("is_false", lax(|args, _, _| Ok(Datum::bool(matches!(args.first(), Some(Datum::False)))))),
    ("is_distinct", lax(|args, _, _| Ok(Datum::bool(args.first() != args.get(1))))),
    ("greatest", lax(greatest)),
    ("least", lax(least)),
    ("nullif", lax(nullif)),
    ("error_if_null", lax(error_if_null)),
    ("any_eq", lax(|args, _, arena| quantify(args, arena, Compare::Eq, true))),
    ("any_ne", lax(|args, _, arena| quantify(args, arena, Compare::Ne, true))),
    ("any_lt", lax(|args, _, arena| quantify(args, arena, Compare::Lt, true))),
    ("any_le", lax(|args, _, arena| quantify(args, arena, Compare::Le, true))),
    ("any_gt", lax(|args, _, arena| quantify(args, arena, Compare::Gt, true))),
    ("any_ge", lax(|args, _, arena| quantify(args, arena, Compare::Ge, true))),
    ("all_eq", lax(|args, _, arena| quantify(args, arena, Compare::Eq, false))),
    ("all_ne", lax(|args, _, arena| quantify(args, arena, Compare::Ne, false))),
    ("all_lt", lax(|args, _, arena| quantify(args, arena, Compare::Lt, false))),
    ("all_le", lax(|args, _, arena| quantify(args, arena, Compare::Le, false))),
    ("all_gt", lax(|args, _, arena| quantify(args, arena, Compare::Gt, false))),
    ("all_ge", lax(|args, _, arena| quantify(args, arena, Compare::Ge, false))),
];

fn greatest<'a>(args: &[Datum<'a>], _: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    Ok(args.iter().filter(|datum| !datum.is_null()).max().copied().unwrap_or(Datum::Null))
}

fn least<'a>(args: &[Datum<'a>], _: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    Ok(args.iter().filter(|datum| !datum.is_null()).min().copied().unwrap_or(Datum::Null))
}

fn nullif<'a>(args: &[Datum<'a>], _: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    match args {
        [a, b] if a == b => Ok(Datum::Null),
        [a, ..] => Ok(*a),
        [] => Err(EvalError::internal("nullif lacks its arguments")),
    }
}

fn error_if_null<'a>(args: &[Datum<'a>], _: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    match args {
        [Datum::Null, Datum::Text(message)] => Err(EvalError::raise("22004", *message)),
        [Datum::Null, ..] => Err(EvalError::raise("22004", "value is null")),
        [value, ..] => Ok(*value),
        [] => Err(EvalError::internal("error_if_null lacks its arguments")),
    }
}

/// `x op ANY (container)` and `x op ALL (container)`.
fn quantify<'a>(args: &[Datum<'a>], arena: &'a Arena, how: Compare, any: bool) -> Evaluated<'a> {
    let items: Items<'a> = match args.get(1) {
        Some(Datum::Array(array)) => array.items(arena),
        Some(Datum::List(list)) => list.items(arena),
        _ => return Ok(Datum::Null),
    };
    let mut null = false;
    for item in items {
        if args[0].is_null() || item.is_null() {
            null = true;
        } else if how.holds(args[0].compare(&item)) == any {
            return Ok(Datum::bool(any));
        }
    }
    Ok(if null { Datum::Null } else { Datum::bool(!any) })
}
