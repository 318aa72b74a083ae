//! Operators and functions over jsonb.

use super::{CallInfo, Evaluated, Table, arg, kernel, lax};
use crate::calendar;
use crate::error::EvalError;
use crate::{format, parse};
use hw_types::arena::Arena;
use hw_types::datum::{Array, Datum, Jsonb};
use hw_types::interval::DAY_MICROS;
use hw_types::jsonb::{self, Value};
use hw_types::numeric::Numeric;
use hw_types::scalar::{BaseType, ScalarType};

type Result<T> = std::result::Result<T, EvalError>;

/// What a value is, as messages and `jsonb_typeof` call it.
pub(crate) fn kind(value: &Value<'_>) -> &'static str {
    match value {
        Value::Null => "null",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "boolean",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A document that `write` makes, in the arena.
pub(super) fn build<'a>(arena: &'a Arena, write: impl FnOnce(&mut Vec<u8>)) -> Datum<'a> {
    Datum::Jsonb(Jsonb(arena.build(write)))
}

/// The element at an index that counts from the end where it is negative.
pub(super) fn element<'a>(value: Jsonb<'a>, index: i64, arena: &'a Arena) -> Option<Jsonb<'a>> {
    let Value::Array(mut elements) = value.value(arena) else { return None };
    let len = elements.len() as i64;
    let at = if index < 0 { index.checked_add(len)? } else { index };
    elements.nth(usize::try_from(at).ok()?)
}

fn member<'a>(value: Jsonb<'a>, key: &str, arena: &'a Arena) -> Option<Jsonb<'a>> {
    match value.value(arena) {
        Value::Object(members) => members.get(key, arena),
        _ => None,
    }
}

pub(super) fn at_path<'a>(value: Jsonb<'a>, path: Array<'a>, arena: &'a Arena) -> Option<Jsonb<'a>> {
    path.items(arena).try_fold(value, |value, step| {
        let Datum::Text(step) = step else { return None };
        match value.value(arena) {
            Value::Object(members) => members.get(step, arena),
            Value::Array(_) => element(value, step.trim().parse().ok()?, arena),
            _ => None,
        }
    })
}

/// A value as `->>` gives it: strings without quotes, null as NULL.
pub(crate) fn unquoted<'a>(value: Jsonb<'a>, arena: &'a Arena) -> Datum<'a> {
    match value.value(arena) {
        Value::Null => Datum::Null,
        Value::String(text) => Datum::Text(text),
        _ => {
            let mut out = Vec::new();
            format::jsonb(value, &mut out);
            Datum::Text(arena.text(&String::from_utf8_lossy(&out)))
        }
    }
}

pub(super) fn unquoted_or_null<'a>(value: Option<Jsonb<'a>>, arena: &'a Arena) -> Datum<'a> {
    value.map_or(Datum::Null, |value| unquoted(value, arena))
}

fn ok<T>(value: T) -> Result<T> {
    Ok(value)
}

fn concat<'a>(a: Jsonb<'a>, b: Jsonb<'a>, arena: &'a Arena) -> Datum<'a> {
    match (a.value(arena), b.value(arena)) {
        (Value::Object(mut x), Value::Object(mut y)) => {
            let mut members = Vec::new();
            while let Some((key, value)) = x.next_in(arena).or_else(|| y.next_in(arena)) {
                members.push((key.to_owned(), value.0.to_vec()));
            }
            build(arena, |out| jsonb::push_members(out, members))
        }
        (x, y) => {
            let items = |value: Jsonb<'a>, view: Value<'a>| match view {
                Value::Array(elements) => elements.collect(),
                _ => vec![value],
            };
            let mut all = items(a, x);
            all.extend(items(b, y));
            array_of(&all, arena)
        }
    }
}

pub(super) fn array_of<'a>(items: &[Jsonb<'_>], arena: &'a Arena) -> Datum<'a> {
    build(arena, |out| {
        jsonb::push_array(out, items.len() as u32);
        items.iter().for_each(|item| out.extend_from_slice(item.0));
    })
}

fn cannot_delete<T>(message: &str) -> Result<T> {
    Err(EvalError::parameter(message))
}

fn delete_index<'a>(value: Jsonb<'a>, index: i64, arena: &'a Arena) -> Result<Datum<'a>> {
    match value.value(arena) {
        Value::Array(elements) => {
            let mut items: Vec<Jsonb<'a>> = elements.collect();
            let at = if index < 0 { index.saturating_add(items.len() as i64) } else { index };
            if let Some(at) = usize::try_from(at).ok().filter(|at| *at < items.len()) {
                items.remove(at);
            }
            Ok(array_of(&items, arena))
        }
        Value::Object(_) => cannot_delete("cannot delete from object using integer index"),
        _ => cannot_delete("cannot delete from scalar"),
    }
}

fn delete_key<'a>(value: Jsonb<'a>, key: &str, arena: &'a Arena) -> Result<Datum<'a>> {
    match value.value(arena) {
        Value::Array(elements) => {
            let is_key = |item: &Jsonb<'a>| matches!(item.value(arena), Value::String(text) if text == key);
            let items: Vec<Jsonb<'a>> = elements.filter(|item| !is_key(item)).collect();
            Ok(array_of(&items, arena))
        }
        Value::Object(mut members) => {
            let mut kept = Vec::new();
            while let Some((at, value)) = members.next_in(arena) {
                if at != key {
                    kept.push((at.to_owned(), value.0.to_vec()));
                }
            }
            Ok(build(arena, |out| jsonb::push_members(out, kept)))
        }
        _ => cannot_delete("cannot delete from scalar"),
    }
}

/// Whether `a` contains `b`; at the top an array also contains a scalar.
fn contains<'a>(a: Jsonb<'a>, b: Jsonb<'a>, top: bool, arena: &'a Arena) -> bool {
    match (a.value(arena), b.value(arena)) {
        (Value::Object(have), Value::Object(mut want)) => {
            while let Some((key, value)) = want.next_in(arena) {
                if !have.get(key, arena).is_some_and(|found| contains(found, value, false, arena)) {
                    return false;
                }
            }
            true
        }
        (Value::Array(have), Value::Array(want)) => {
            want.into_iter().all(|value| have.into_iter().any(|found| contains(found, value, false, arena)))
        }
        (Value::Array(_), Value::Object(_)) => false,
        (Value::Array(mut have), _) if top => have.any(|found| found == b),
        _ => a == b,
    }
}

pub(super) fn has_key<'a>(value: Jsonb<'a>, key: &str, arena: &'a Arena) -> bool {
    match value.value(arena) {
        Value::Object(members) => members.get(key, arena).is_some(),
        Value::Array(mut elements) => {
            elements.any(|item| matches!(item.value(arena), Value::String(text) if text == key))
        }
        Value::String(text) => text == key,
        _ => false,
    }
}

pub(super) fn parsed<'a>(text: &str, arena: &'a Arena) -> Result<Jsonb<'a>> {
    Ok(Jsonb(arena.bytes(&parse::json(text)?)))
}

fn array_length<'a>(value: Jsonb<'a>, arena: &'a Arena) -> Result<i64> {
    match value.value(arena) {
        Value::Array(elements) => Ok(elements.len() as i64),
        Value::Object(_) => Err(EvalError::parameter("cannot get array length of a non-array")),
        _ => Err(EvalError::parameter("cannot get array length of a scalar")),
    }
}

fn strip_nulls<'a>(value: Jsonb<'a>, arena: &'a Arena, out: &mut Vec<u8>) {
    match value.value(arena) {
        Value::Array(elements) => {
            jsonb::push_array(out, elements.len() as u32);
            elements.for_each(|item| strip_nulls(item, arena, out));
        }
        Value::Object(mut members) => {
            let mut kept = Vec::new();
            while let Some((key, value)) = members.next_in(arena) {
                if !value.is_json_null() {
                    let mut stripped = Vec::new();
                    strip_nulls(value, arena, &mut stripped);
                    kept.push((key.to_owned(), stripped));
                }
            }
            jsonb::push_members(out, kept);
        }
        _ => out.extend_from_slice(value.0),
    }
}

fn pretty(value: Jsonb<'_>) -> String {
    let mut out = Vec::new();
    format::jsonb_pretty(value, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// A document of an argument that is one, or NULL.
fn document<'a>(datum: &Datum<'a>) -> &'a [u8] {
    match datum {
        Datum::Jsonb(Jsonb(bytes)) => bytes,
        _ => jsonb::JSON_NULL,
    }
}

fn build_array<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let items: Vec<Jsonb<'a>> = args.iter().map(|datum| Jsonb(document(datum))).collect();
    Ok(array_of(&items, arena))
}

fn build_object<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let (pairs, odd) = args.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(EvalError::parameter("argument list must have even number of elements"));
    }
    let mut members = Vec::new();
    for [key, value] in pairs {
        let name = match key {
            Datum::Jsonb(key) if !key.is_json_null() => unquoted(*key, arena),
            Datum::Text(text) => Datum::Text(text),
            _ => return Err(EvalError::parameter("key cannot be null")),
        };
        let Datum::Text(name) = name else { return Err(EvalError::parameter("key cannot be null")) };
        members.push((name.to_owned(), document(value).to_vec()));
    }
    Ok(build(arena, |out| jsonb::push_members(out, members)))
}

fn to_jsonb<'a>(args: &[Datum<'a>], info: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let value: Datum<'a> = arg(args, 0)?;
    if value.is_null() {
        return Ok(Datum::Null);
    }
    let mut out = Vec::new();
    push_json(info.witness(1)?, value, arena, &mut out)?;
    Ok(Datum::Jsonb(Jsonb(arena.bytes(&out))))
}

/// Appends any value as a document: numbers and booleans as such, the rest in its text form.
pub(crate) fn push_json<'a>(
    ty: &ScalarType,
    value: Datum<'a>,
    arena: &'a Arena,
    out: &mut Vec<u8>,
) -> Result<()> {
    use BaseType as B;
    static TEXT: ScalarType = ScalarType::simple(BaseType::Text);
    let element = ty.element.as_deref().unwrap_or(&TEXT);
    match (value, ty.base) {
        (Datum::Null, _) => jsonb::push_null(out),
        (Datum::False, _) => jsonb::push_bool(out, false),
        (Datum::True, _) => jsonb::push_bool(out, true),
        (Datum::Jsonb(Jsonb(bytes)), _) => out.extend_from_slice(bytes),
        (Datum::Int(value), B::Int2 | B::Int4 | B::Int8 | B::Uint2 | B::Uint4 | B::Uint8 | B::Oid) => {
            jsonb::push_number(out, &Numeric::from(value));
        }
        (Datum::UInt(value), B::Uint8) => jsonb::push_number(out, &Numeric::from(value)),
        (Datum::Numeric(value), _) if value.is_finite() => jsonb::push_number(out, &value),
        (Datum::Float8(value), _) if value.is_finite() => push_float(value.to_string(), out),
        (Datum::Float4(value), _) if value.is_finite() => push_float(value.to_string(), out),
        (Datum::Int(micros), B::Timestamp) => jsonb::push_string(out, &iso(micros, "")),
        (Datum::Int(micros), B::Timestamptz) => jsonb::push_string(out, &iso(micros, "+00:00")),
        (Datum::Array(array), _) => {
            let dimensions = array.dimensions();
            push_dimensions(element, &dimensions, &mut array.items(arena), arena, out)?;
        }
        (Datum::List(list), _) => {
            jsonb::push_array(out, list.items(arena).count() as u32);
            list.items(arena).try_for_each(|item| push_json(element, item, arena, out))?;
        }
        (Datum::Map(map), _) => {
            jsonb::push_object(out, map.entries(arena).count() as u32);
            for (key, item) in map.entries(arena) {
                jsonb::push_string(out, key);
                push_json(element, item, arena, out)?;
            }
        }
        (Datum::Record(record), _) => {
            let mut members = Vec::new();
            for (i, item) in record.items(arena).enumerate() {
                let mut member = Vec::new();
                let field = ty.fields.get(i);
                push_json(field.map_or(&TEXT, |field| &field.ty.ty), item, arena, &mut member)?;
                members.push((field.map_or_else(|| format!("f{}", i + 1), |f| f.name.clone()), member));
            }
            jsonb::push_members(out, members);
        }
        (value, _) => jsonb::push_string(out, &format::to_text(ty, value)),
    }
    Ok(())
}

fn push_float(text: String, out: &mut Vec<u8>) {
    match Numeric::parse(&text) {
        Ok(number) => jsonb::push_number(out, &number),
        Err(_) => jsonb::push_string(out, &text),
    }
}

fn iso(micros: i64, zone: &str) -> String {
    let (days, of_day) = calendar::split(micros);
    let mut out = Vec::new();
    format::date(days, &mut out);
    out.push(b'T');
    format::time(of_day.rem_euclid(DAY_MICROS), &mut out);
    out.extend_from_slice(zone.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}

fn push_dimensions<'a>(
    ty: &ScalarType,
    dimensions: &[usize],
    items: &mut dyn Iterator<Item = Datum<'a>>,
    arena: &'a Arena,
    out: &mut Vec<u8>,
) -> Result<()> {
    let Some((len, rest)) = dimensions.split_first() else {
        jsonb::push_array(out, 0);
        return Ok(());
    };
    jsonb::push_array(out, *len as u32);
    for _ in 0..*len {
        if rest.is_empty() {
            push_json(ty, items.next().unwrap_or(Datum::Null), arena, out)?;
        } else {
            push_dimensions(ty, rest, items, arena, out)?;
        }
    }
    Ok(())
}

pub(super) const KERNELS: Table = &[
    kernel!("cat_jsonb_jsonb", arena, |a: Jsonb<'a>, b: Jsonb<'a>| ok(concat(a, b, arena))),
    kernel!("sub_jsonb_int8", arena, |a: Jsonb<'a>, b: i64| delete_index(a, b, arena)),
    kernel!("sub_jsonb_text", arena, |a: Jsonb<'a>, b: &str| delete_key(a, b, arena)),
    kernel!("get_jsonb_int8", arena, |a: Jsonb<'a>, b: i64| ok(element(a, b, arena))),
    kernel!("get_jsonb_text", arena, |a: Jsonb<'a>, b: &str| ok(member(a, b, arena))),
    kernel!("get_text_jsonb_int8", arena, |a: Jsonb<'a>, b: i64| {
        ok(unquoted_or_null(element(a, b, arena), arena))
    }),
    kernel!("get_text_jsonb_text", arena, |a: Jsonb<'a>, b: &str| {
        ok(unquoted_or_null(member(a, b, arena), arena))
    }),
    kernel!("get_path_jsonb_array", arena, |a: Jsonb<'a>, b: Array<'a>| ok(at_path(a, b, arena))),
    kernel!("get_path_text_jsonb_array", arena, |a: Jsonb<'a>, b: Array<'a>| {
        ok(unquoted_or_null(at_path(a, b, arena), arena))
    }),
    kernel!("contains_jsonb_jsonb", arena, |a: Jsonb<'a>, b: Jsonb<'a>| ok(contains(a, b, true, arena))),
    kernel!("contains_jsonb_text", arena, |a: Jsonb<'a>, b: &str| {
        ok(contains(a, parsed(b, arena)?, true, arena))
    }),
    kernel!("contains_text_jsonb", arena, |a: &str, b: Jsonb<'a>| {
        ok(contains(parsed(a, arena)?, b, true, arena))
    }),
    kernel!("contained_by_jsonb_jsonb", arena, |a: Jsonb<'a>, b: Jsonb<'a>| {
        ok(contains(b, a, true, arena))
    }),
    kernel!("contained_by_jsonb_text", arena, |a: Jsonb<'a>, b: &str| {
        ok(contains(parsed(b, arena)?, a, true, arena))
    }),
    kernel!("contained_by_text_jsonb", arena, |a: &str, b: Jsonb<'a>| {
        ok(contains(b, parsed(a, arena)?, true, arena))
    }),
    kernel!("has_key_jsonb_text", arena, |a: Jsonb<'a>, b: &str| ok(has_key(a, b, arena))),
    kernel!("jsonb_array_length_jsonb", arena, |a: Jsonb<'a>| array_length(a, arena)),
    kernel!("jsonb_pretty_jsonb", |a: Jsonb<'a>| ok(pretty(a))),
    kernel!("jsonb_strip_nulls_jsonb", arena, |a: Jsonb<'a>| {
        ok(build(arena, |out| strip_nulls(a, arena, out)))
    }),
    kernel!("jsonb_typeof_jsonb", arena, |a: Jsonb<'a>| ok(kind(&a.value(arena)))),
    ("jsonb_build_array", lax(build_array)),
    ("jsonb_build_object", lax(build_object)),
    ("to_jsonb", lax(to_jsonb)),
];
