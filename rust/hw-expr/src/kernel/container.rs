//! Operators, functions and constructors over arrays, lists, maps and records.

use super::{CallInfo, Evaluated, Table, arg, kernel, lax, many};
use crate::error::EvalError;
use crate::format;
use hw_types::arena::Arena;
use hw_types::container::{self, DIMENSIONS_MAX, raw_items};
use hw_types::datum::{Array, Datum, List, Map, Record};
use hw_types::row;
use hw_types::scalar::{BaseType, ScalarType};
use std::collections::BTreeMap;

type Result<T> = std::result::Result<T, EvalError>;

fn ok<T>(value: T) -> Result<T> {
    Ok(value)
}

fn build(arena: &Arena, write: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
    arena.build(write)
}

pub(super) fn array_of<'a>(
    arena: &'a Arena,
    dimensions: &[usize],
    items: impl Iterator<Item = Datum<'a>>,
) -> Datum<'a> {
    Datum::Array(Array(build(arena, |out| {
        items.for_each(|item| row::push_datum(out, item));
        container::push_array_end(out, dimensions);
    })))
}

fn list_of<'a>(arena: &'a Arena, items: impl Iterator<Item = Datum<'a>>) -> Datum<'a> {
    Datum::List(List(build(arena, |out| {
        items.for_each(|item| row::push_datum(out, item));
        container::push_end(out);
    })))
}

pub(super) fn incompatible<T>(what: &str) -> Result<T> {
    Err(EvalError::raise("2202E", what))
}

/// `ARRAY[…]`: arrays within nest, all of one shape.
fn array_make<'a>(args: &[Datum<'a>], info: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    if args.is_empty() {
        return Ok(array_of(arena, &[], std::iter::empty()));
    }
    // A nested array literal's elements are arrays of the same type as the result.
    let nested = args.iter().any(|datum| matches!(datum, Datum::Array(_)));
    let element_is_vector = info.ty.element.as_ref().is_some_and(|e| e.base == BaseType::Int2vector);
    if !nested || element_is_vector {
        return Ok(array_of(arena, &[args.len()], args.iter().copied()));
    }
    let shape = |datum: &Datum<'a>| match datum {
        Datum::Array(array) => array.dimensions(),
        _ => Vec::new(),
    };
    let inner = args.first().map(shape).unwrap_or_default();
    if let Some(other) = args.iter().map(shape).find(|other| *other != inner) {
        let count =
            |dimensions: &[usize]| dimensions.iter().product::<usize>() * usize::from(!dimensions.is_empty());
        return incompatible(&format!(
            "number of array elements ({}) does not match declared cardinality ({})",
            count(&other),
            count(&inner)
        ));
    }
    if inner.is_empty() {
        return Ok(array_of(arena, &[], std::iter::empty()));
    }
    let dimensions: Vec<usize> = std::iter::once(args.len()).chain(inner).collect();
    check_dimensions(dimensions.len())?;
    let items = args.iter().filter_map(|datum| match datum {
        Datum::Array(array) => Some(array.items(arena)),
        _ => None,
    });
    Ok(array_of(arena, &dimensions, items.flatten()))
}

fn check_dimensions(count: usize) -> Result<()> {
    if count <= DIMENSIONS_MAX {
        return Ok(());
    }
    let message =
        format!("number of array dimensions ({count}) exceeds the maximum allowed ({DIMENSIONS_MAX})");
    Err(EvalError::raise("54000", message))
}

fn array_cat<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let (a, b) = match args {
        [Datum::Array(a), Datum::Array(b)] => (*a, *b),
        [Datum::Null, other] | [other, ..] => return Ok(*other),
        [] => return Err(EvalError::internal("array_cat lacks its arguments")),
    };
    let (x, y) = (a.dimensions(), b.dimensions());
    let dimensions = match (x.as_slice(), y.as_slice()) {
        ([], _) => return Ok(Datum::Array(b)),
        (_, []) => return Ok(Datum::Array(a)),
        ([m, x_rest @ ..], [n, y_rest @ ..]) if x_rest == y_rest => {
            std::iter::once(m + n).chain(x_rest.iter().copied()).collect::<Vec<usize>>()
        }
        ([m, x_rest @ ..], y) if x_rest == y => std::iter::once(m + 1).chain(y.iter().copied()).collect(),
        (x, [n, y_rest @ ..]) if x == y_rest => std::iter::once(n + 1).chain(x.iter().copied()).collect(),
        _ => {
            let detail = match x.len().abs_diff(y.len()) {
                0 | 1 => "Arrays with differing dimensions are not compatible for concatenation.".to_owned(),
                _ => {
                    let (m, n) = (x.len(), y.len());
                    format!("Arrays of {m} and {n} dimensions are not compatible for concatenation.")
                }
            };
            let message = "cannot concatenate incompatible arrays";
            return Err(EvalError::raise_with_detail("2202E", message, detail));
        }
    };
    Ok(array_of(arena, &dimensions, a.items(arena).chain(b.items(arena))))
}

/// Elements of an array that a function may make.
const ARRAY_ITEMS_MAX: usize = 100_000_000;

fn array_fill<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let Some(Datum::Array(lengths)) = args.get(1) else {
        return Err(EvalError::raise("22004", "dimension array or low bound array must not be null"));
    };
    let mut dimensions = Vec::new();
    for item in lengths.items(arena) {
        match item {
            Datum::Int(len) if len >= 0 => dimensions.push(len as usize),
            Datum::Null => return Err(EvalError::raise("22004", "dimension values must not be null")),
            _ => return Err(EvalError::raise("54000", "array size exceeds the maximum allowed")),
        }
    }
    check_dimensions(dimensions.len())?;
    check_lower_bounds(args.get(2), dimensions.len(), arena)?;
    let count = dimensions.iter().try_fold(1usize, |n, len| n.checked_mul(*len));
    match count {
        Some(0) => Ok(array_of(arena, &[], std::iter::empty())),
        Some(_) if dimensions.is_empty() => Ok(array_of(arena, &[], std::iter::empty())),
        Some(count) if count <= ARRAY_ITEMS_MAX => {
            Ok(array_of(arena, &dimensions, std::iter::repeat_n(args[0], count)))
        }
        _ => Err(EvalError::raise(
            "54000",
            format!("array size exceeds the maximum allowed ({ARRAY_ITEMS_MAX})"),
        )),
    }
}

/// Arrays begin at 1: an explicit lower bound has to say so.
fn check_lower_bounds<'a>(bounds: Option<&Datum<'a>>, dimensions: usize, arena: &'a Arena) -> Result<()> {
    let bounds = match bounds {
        None => return Ok(()),
        Some(Datum::Array(bounds)) => bounds,
        Some(_) => {
            return Err(EvalError::raise("22004", "dimension array or low bound array must not be null"));
        }
    };
    if bounds.items(arena).count() != dimensions {
        return incompatible("wrong number of array subscripts");
    }
    for bound in bounds.items(arena) {
        match bound {
            Datum::Null => return Err(EvalError::raise("22004", "dimension values must not be null")),
            Datum::Int(1) => {}
            _ => {
                return Err(EvalError::raise(
                    "0A000",
                    "array_fill with non-default lower bounds not yet supported",
                ));
            }
        }
    }
    Ok(())
}

fn dimension(array: Array<'_>, n: i64) -> Option<i64> {
    let index = usize::try_from(n).ok()?.checked_sub(1)?;
    array.dimensions().get(index).map(|len| *len as i64)
}

pub(super) fn one_dimension(array: Array<'_>, what: &str) -> Result<()> {
    if array.dimensions().len() > 1 {
        let message = format!("{what} multidimensional arrays is not supported");
        return Err(EvalError::raise("0A000", message));
    }
    Ok(())
}

fn array_position<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let Some(Datum::Array(array)) = args.first() else { return Ok(Datum::Null) };
    one_dimension(*array, "searching for elements in")?;
    let start = match args.get(2) {
        None => 1,
        Some(Datum::Int(start)) => (*start).max(1),
        Some(_) if args[1].is_null() => return Ok(Datum::Null),
        Some(_) => return Err(EvalError::raise("22004", "initial position must not be null")),
    };
    let mut items = array.items(arena).enumerate().skip(usize::try_from(start - 1).unwrap_or(usize::MAX));
    Ok(items.find(|(_, item)| *item == args[1]).map_or(Datum::Null, |(i, _)| Datum::Int(i as i64 + 1)))
}

fn array_remove<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let Some(Datum::Array(array)) = args.first() else { return Ok(Datum::Null) };
    one_dimension(*array, "removing elements from")?;
    let kept: Vec<Datum<'a>> = array.items(arena).filter(|item| *item != args[1]).collect();
    let len = [kept.len()];
    Ok(array_of(arena, if kept.is_empty() { &[] } else { &len }, kept.into_iter()))
}

/// Arguments, then as many witnesses of their types.
fn array_to_string<'a>(args: &[Datum<'a>], info: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let count = args.len() / 2;
    let (Some(Datum::Array(array)), Some(Datum::Text(delimiter))) = (args.first(), args.get(1)) else {
        return Ok(Datum::Null);
    };
    let null = match args.get(2) {
        Some(Datum::Text(text)) if count > 2 => Some(*text),
        _ => None,
    };
    static TEXT: ScalarType = ScalarType::simple(BaseType::Text);
    let element = info.witness(count)?.element.as_deref().unwrap_or(&TEXT);
    let mut out = Vec::new();
    let mut first = true;
    for item in array.items(arena) {
        if item.is_null() && null.is_none() {
            continue;
        }
        if !std::mem::replace(&mut first, false) {
            out.extend_from_slice(delimiter.as_bytes());
        }
        match item {
            Datum::Null => out.extend_from_slice(null.unwrap_or_default().as_bytes()),
            item => format::text(element, item, &mut out),
        }
    }
    Ok(Datum::Text(arena.text(&String::from_utf8_lossy(&out))))
}

/// The element that the subscripts lead to, one a dimension; NULL where there is none.
fn array_index<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let array: Array<'a> = arg(args, 0)?;
    let dimensions = array.dimensions();
    if dimensions.len() != args.len() - 1 {
        return Ok(Datum::Null);
    }
    let mut flat = 0;
    for (i, len) in dimensions.iter().enumerate() {
        let at: i64 = arg(args, i + 1)?;
        match usize::try_from(at).ok().filter(|at| (1..=*len).contains(at)) {
            Some(at) => flat = flat * len + at - 1,
            None => return Ok(Datum::Null),
        }
    }
    Ok(array.items(arena).nth(flat).unwrap_or(Datum::Null))
}

fn list_index<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let mut value: Datum<'a> = arg(args, 0)?;
    for i in 1..args.len() {
        let at: i64 = arg(args, i)?;
        let Datum::List(list) = value else { return Ok(Datum::Null) };
        let index = usize::try_from(at).ok().and_then(|at| at.checked_sub(1));
        value = index.and_then(|index| list.items(arena).nth(index)).unwrap_or(Datum::Null);
    }
    Ok(value)
}

fn list_slice<'a>(list: List<'a>, from: i64, to: i64, arena: &'a Arena) -> Datum<'a> {
    let from = usize::try_from(from - 1).unwrap_or(0);
    let to = usize::try_from(to).unwrap_or(0);
    list_of(arena, list.items(arena).take(to).skip(from))
}

fn list_cat<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    Ok(match args {
        [Datum::List(a), Datum::List(b)] => list_of(arena, a.items(arena).chain(b.items(arena))),
        [Datum::Null, other] | [other, ..] => *other,
        [] => Datum::Null,
    })
}

fn list_append<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    Ok(match args {
        [Datum::List(list), item] => list_of(arena, list.items(arena).chain([*item])),
        [_, item] => list_of(arena, [*item].into_iter()),
        _ => Datum::Null,
    })
}

fn list_prepend<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    Ok(match args {
        [item, Datum::List(list)] => list_of(arena, [*item].into_iter().chain(list.items(arena))),
        [item, _] => list_of(arena, [*item].into_iter()),
        _ => Datum::Null,
    })
}

fn list_remove<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    Ok(match args {
        [Datum::List(list), item] => list_of(arena, list.items(arena).filter(|have| have != item)),
        _ => Datum::Null,
    })
}

fn list_n_layers<'a>(_: &[Datum<'a>], info: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    let (mut layers, mut ty) = (0, info.witness(1)?);
    while let (BaseType::List, Some(element)) = (ty.base, ty.element.as_deref()) {
        layers += 1;
        ty = element;
    }
    Ok(Datum::Int(layers))
}

/// The longest list at a layer, the list itself being layer 1; NULL where there is none.
fn list_length_max<'a>(args: &[Datum<'a>], info: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let (list, layer): (List<'a>, i64) = (arg(args, 0)?, arg(args, 1)?);
    let (mut layers, mut ty) = (0, info.witness(2)?);
    while let (BaseType::List, Some(element)) = (ty.base, ty.element.as_deref()) {
        layers += 1;
        ty = element;
    }
    if !(1..=layers).contains(&layer) {
        let message = format!("invalid layer: {layer}; must use value within [1, {layers}]");
        return Err(EvalError::parameter(message));
    }
    let mut lists = vec![list];
    for _ in 1..layer {
        let inner = lists.iter().flat_map(|list| list.items(arena)).filter_map(|item| match item {
            Datum::List(list) => Some(list),
            _ => None,
        });
        lists = inner.collect();
    }
    let longest = lists.iter().map(|list| raw_items(list.0).count() as i64).max();
    Ok(longest.map_or(Datum::Null, Datum::Int))
}

/// A map of records of key and value; later entries win, those without key are passed over.
fn map_build<'a>(list: List<'a>, arena: &'a Arena) -> Datum<'a> {
    let mut entries = BTreeMap::new();
    for item in list.items(arena) {
        let Datum::Record(record) = item else { continue };
        let mut fields = record.items(arena);
        if let (Some(Datum::Text(key)), Some(value)) = (fields.next(), fields.next()) {
            entries.insert(key, value);
        }
    }
    map_of(arena, entries.into_iter())
}

fn map_make<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let mut entries = BTreeMap::new();
    for [key, value] in args.as_chunks::<2>().0 {
        match key {
            Datum::Text(key) => entries.insert(*key, *value),
            _ => return Err(EvalError::raise("22004", "map key cannot be null")),
        };
    }
    Ok(map_of(arena, entries.into_iter()))
}

fn map_of<'a>(arena: &'a Arena, entries: impl Iterator<Item = (&'a str, Datum<'a>)>) -> Datum<'a> {
    Datum::Map(Map(build(arena, |out| {
        for (key, value) in entries {
            row::push_text(out, key);
            row::push_datum(out, value);
        }
        container::push_end(out);
    })))
}

fn record_make<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    Ok(Datum::Record(Record(build(arena, |out| {
        args.iter().for_each(|item| row::push_datum(out, *item));
        container::push_end(out);
    }))))
}

fn list_make<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    Ok(list_of(arena, args.iter().copied()))
}

fn record_get<'a>(record: Record<'a>, index: i64, arena: &'a Arena) -> Datum<'a> {
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    record.items(arena).nth(index).unwrap_or(Datum::Null)
}

/// Whether each element of `b` is one of `a`; NULL equals nothing.
fn all_within(a: &[u8], b: &[u8]) -> bool {
    raw_items(b).all(|want| want != row::NULL_BYTES && raw_items(a).any(|have| have == want))
}

fn map_contains<'a>(a: Map<'a>, b: Map<'a>, arena: &'a Arena) -> bool {
    b.entries(arena).all(|(key, value)| a.get(key, arena) == Some(value))
}

fn has_keys<'a>(map: Map<'a>, keys: Array<'a>, all: bool, arena: &'a Arena) -> bool {
    let mut found = keys.items(arena).map(|key| match key {
        Datum::Text(key) => map.get(key, arena).is_some(),
        _ => false,
    });
    if all { found.all(|found| found) } else { found.any(|found| found) }
}

pub(super) const KERNELS: Table = &[
    ("array_make", lax(array_make)),
    ("list_make", lax(list_make)),
    ("map_make", lax(map_make)),
    ("record_make", lax(record_make)),
    kernel!("record_get", arena, |a: Record<'a>, b: i64| ok(record_get(a, b, arena))),
    ("array_index", many(array_index)),
    ("list_index", many(list_index)),
    kernel!("list_slice", arena, |a: List<'a>, b: i64, c: i64| ok(list_slice(a, b, c, arena))),
    ("array_cat_array_array", lax(array_cat)),
    ("array_fill_any_array", lax(array_fill)),
    ("array_fill_any_array_array", lax(array_fill)),
    kernel!("array_length_array_int8", |a: Array<'a>, b: i64| ok(dimension(a, b))),
    kernel!("array_lower_array_int8", |a: Array<'a>, b: i64| ok(dimension(a, b).map(|_| 1i64))),
    kernel!("array_upper_array_int8", |a: Array<'a>, b: i64| ok(dimension(a, b))),
    ("array_position_array_any", lax(array_position)),
    ("array_position_array_any_int4", lax(array_position)),
    ("array_remove_array_any", lax(array_remove)),
    ("array_to_string_array_text", lax(array_to_string)),
    ("array_to_string_array_text_text", lax(array_to_string)),
    ("list_cat_list_list", lax(list_cat)),
    ("list_append_list_any", lax(list_append)),
    ("list_prepend_any_list", lax(list_prepend)),
    ("list_remove_list_any", lax(list_remove)),
    kernel!("list_length_list", |a: List<'a>| ok(raw_items(a.0).count() as i64)),
    (
        "list_length_max",
        lax(|args, info, arena| {
            if args[0].is_null() || args[1].is_null() {
                Ok(Datum::Null)
            } else {
                list_length_max(args, info, arena)
            }
        }),
    ),
    ("list_n_layers_list", lax(list_n_layers)),
    kernel!("map_build_list", arena, |a: List<'a>| ok(map_build(a, arena))),
    kernel!("map_length_map", |a: Map<'a>| ok(raw_items(a.0).count() as i64 / 2)),
    kernel!("get_map_text", arena, |a: Map<'a>, b: &str| ok(a.get(b, arena))),
    kernel!("has_key_map_text", arena, |a: Map<'a>, b: &str| ok(a.get(b, arena).is_some())),
    kernel!("has_all_keys_map_array", arena, |a: Map<'a>, b: Array<'a>| ok(has_keys(a, b, true, arena))),
    kernel!("has_any_key_map_array", arena, |a: Map<'a>, b: Array<'a>| ok(has_keys(a, b, false, arena))),
    kernel!("contains_map_map", arena, |a: Map<'a>, b: Map<'a>| ok(map_contains(a, b, arena))),
    kernel!("contained_by_map_map", arena, |a: Map<'a>, b: Map<'a>| ok(map_contains(b, a, arena))),
    kernel!("contains_array_array", |a: Array<'a>, b: Array<'a>| ok(all_within(a.0, b.0))),
    kernel!("contained_by_array_array", |a: Array<'a>, b: Array<'a>| ok(all_within(b.0, a.0))),
    kernel!("contains_list_list", |a: List<'a>, b: List<'a>| ok(all_within(a.0, b.0))),
    kernel!("contained_by_list_list", |a: List<'a>, b: List<'a>| ok(all_within(b.0, a.0))),
];
