//! Changing a jsonb at a path, taking parts out of it, and making one of texts.

use super::json::{array_of, at_path, build, element, has_key, unquoted_or_null};
use super::{CallInfo, Evaluated, Table, arg, kernel, lax, many};
use crate::error::EvalError;
use hw_types::arena::Arena;
use hw_types::datum::{Array, Datum, Jsonb};
use hw_types::jsonb::{self, Value};

type Result<T> = std::result::Result<T, EvalError>;

fn ok<T>(value: T) -> Result<T> {
    Ok(value)
}

/// What is done where the path ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edit {
    /// Replaces what is there; puts a new member or element where that is allowed.
    Set {
        create: bool,
    },
    /// Puts a new member, or an element before or after the one that is there.
    Insert {
        after: bool,
    },
    Delete,
}

/// The steps of a path. Raises: 22004 for one that is NULL.
fn steps<'a>(path: Array<'a>, arena: &'a Arena) -> Result<Vec<&'a str>> {
    path.items(arena)
        .enumerate()
        .map(|(i, step)| match step {
            Datum::Text(text) => Ok(text),
            _ => Err(EvalError::raise("22004", format!("path element at position {} is null", i + 1))),
        })
        .collect()
}

/// The path of an edit, the value it puts, and how deep the path has been followed.
struct Change<'a> {
    steps: Vec<&'a str>,
    value: &'a [u8],
    edit: Edit,
}

impl<'a> Change<'a> {
    fn apply(&self, value: Jsonb<'a>, depth: usize, arena: &'a Arena, out: &mut Vec<u8>) -> Result<()> {
        match value.value(arena) {
            Value::Object(_) => self.object(value, depth, arena, out),
            Value::Array(_) => self.array(value, depth, arena, out),
            _ => {
                out.extend_from_slice(value.0);
                Ok(())
            }
        }
    }
    fn object(&self, value: Jsonb<'a>, depth: usize, arena: &'a Arena, out: &mut Vec<u8>) -> Result<()> {
        let Value::Object(mut members) = value.value(arena) else { return Ok(()) };
        let (step, last) = (self.steps[depth], depth + 1 == self.steps.len());
        let (mut kept, mut found) = (Vec::new(), false);
        while let Some((key, item)) = members.next_in(arena) {
            if key != step {
                kept.push((key.to_owned(), item.0.to_vec()));
                continue;
            }
            found = true;
            if !last {
                let mut inner = Vec::new();
                self.apply(item, depth + 1, arena, &mut inner)?;
                kept.push((key.to_owned(), inner));
                continue;
            }
            match self.edit {
                Edit::Delete => {}
                Edit::Set { .. } => kept.push((key.to_owned(), self.value.to_vec())),
                Edit::Insert { .. } => {
                    return Err(EvalError::parameter("cannot replace existing key"));
                }
            }
        }
        let creates = matches!(self.edit, Edit::Set { create: true } | Edit::Insert { .. });
        if last && !found && creates {
            kept.push((step.to_owned(), self.value.to_vec()));
        }
        jsonb::push_members(out, kept);
        Ok(())
    }
    fn array(&self, value: Jsonb<'a>, depth: usize, arena: &'a Arena, out: &mut Vec<u8>) -> Result<()> {
        let Value::Array(elements) = value.value(arena) else { return Ok(()) };
        let (step, last) = (self.steps[depth], depth + 1 == self.steps.len());
        let index: i64 = step.trim().parse::<i32>().map(i64::from).map_err(|_| {
            let position = depth + 1;
            let message = format!("path element at position {position} is not an integer: \"{step}\"");
            EvalError::raise("22P02", message)
        })?;
        let mut items: Vec<Vec<u8>> = elements.map(|item| item.0.to_vec()).collect();
        let len = items.len() as i64;
        let at = if index < 0 { index + len } else { index };
        let there = usize::try_from(at).ok().filter(|at| *at < items.len());
        match (there, last, self.edit) {
            (Some(at), false, _) => {
                let mut inner = Vec::new();
                self.apply(Jsonb(arena.bytes(&items[at])), depth + 1, arena, &mut inner)?;
                items[at] = inner;
            }
            (Some(at), true, Edit::Delete) => {
                items.remove(at);
            }
            (Some(at), true, Edit::Set { .. }) => items[at] = self.value.to_vec(),
            (Some(at), true, Edit::Insert { after }) => {
                items.insert(at + usize::from(after), self.value.to_vec())
            }
            // Beyond an end, the value goes there.
            (None, true, Edit::Set { create: true } | Edit::Insert { .. }) => {
                let end = if at < 0 { 0 } else { items.len() };
                items.insert(end, self.value.to_vec());
            }
            (None, ..) => {}
        }
        jsonb::push_array(out, items.len() as u32);
        items.iter().for_each(|item| out.extend_from_slice(item));
        Ok(())
    }
}

fn edit<'a>(
    value: Jsonb<'a>,
    path: Array<'a>,
    new: &'a [u8],
    edit: Edit,
    arena: &'a Arena,
) -> Result<Datum<'a>> {
    let scalar = !matches!(value.value(arena), Value::Object(_) | Value::Array(_));
    if scalar {
        let verb = if edit == Edit::Delete { "delete" } else { "set" };
        return Err(EvalError::parameter(format!("cannot {verb} path in scalar")));
    }
    let steps = steps(path, arena)?;
    if steps.is_empty() {
        return Ok(Datum::Jsonb(value));
    }
    let mut out = Vec::new();
    Change { steps, value: new, edit }.apply(value, 0, arena, &mut out)?;
    Ok(Datum::Jsonb(Jsonb(arena.bytes(&out))))
}

fn flag(args: &[Datum<'_>], i: usize, absent: bool) -> Result<bool> {
    if args.len() > i { arg(args, i) } else { Ok(absent) }
}

fn set<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let new: Jsonb<'a> = arg(args, 2)?;
    let create = flag(args, 3, true)?;
    edit(arg(args, 0)?, arg(args, 1)?, new.0, Edit::Set { create }, arena)
}

fn insert<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let new: Jsonb<'a> = arg(args, 2)?;
    let after = flag(args, 3, false)?;
    edit(arg(args, 0)?, arg(args, 1)?, new.0, Edit::Insert { after }, arena)
}

/// `jsonb_set_lax`: as `jsonb_set`, with a choice of what a NULL value does.
fn set_lax<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let (target, path) = (args[0], args[1]);
    if target.is_null() || path.is_null() || args.get(3).is_some_and(Datum::is_null) {
        return Ok(Datum::Null);
    }
    let create = flag(args, 3, true)?;
    if let Datum::Jsonb(new) = args[2] {
        return edit(arg(args, 0)?, arg(args, 1)?, new.0, Edit::Set { create }, arena);
    }
    let treatment = match args.get(4) {
        None => "use_json_null",
        Some(Datum::Text(text)) => text,
        Some(_) => {
            let message = "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"";
            return Err(EvalError::parameter(message));
        }
    };
    match treatment {
        "raise_exception" => Err(EvalError::raise("22004", "JSON value must not be null")),
        "use_json_null" => edit(arg(args, 0)?, arg(args, 1)?, jsonb::JSON_NULL, Edit::Set { create }, arena),
        "delete_key" => edit(arg(args, 0)?, arg(args, 1)?, &[], Edit::Delete, arena),
        "return_target" => Ok(target),
        _ => {
            let message = "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"";
            Err(EvalError::parameter(message))
        }
    }
}

fn delete_keys<'a>(value: Jsonb<'a>, keys: Array<'a>, arena: &'a Arena) -> Result<Datum<'a>> {
    let keys: Vec<&str> = keys
        .items(arena)
        .filter_map(|key| match key {
            Datum::Text(text) => Some(text),
            _ => None,
        })
        .collect();
    match value.value(arena) {
        Value::Array(elements) => {
            let goes =
                |item: &Jsonb<'a>| matches!(item.value(arena), Value::String(text) if keys.contains(&text));
            let items: Vec<Jsonb<'a>> = elements.filter(|item| !goes(item)).collect();
            Ok(array_of(&items, arena))
        }
        Value::Object(mut members) => {
            let mut kept = Vec::new();
            while let Some((key, item)) = members.next_in(arena) {
                if !keys.contains(&key) {
                    kept.push((key.to_owned(), item.0.to_vec()));
                }
            }
            Ok(build(arena, |out| jsonb::push_members(out, kept)))
        }
        _ => Err(EvalError::parameter("cannot delete from scalar")),
    }
}

fn has_keys<'a>(value: Jsonb<'a>, keys: Array<'a>, all: bool, arena: &'a Arena) -> bool {
    let mut found = keys.items(arena).filter_map(|key| match key {
        Datum::Text(key) => Some(has_key(value, key, arena)),
        _ => None,
    });
    if all { found.all(|found| found) } else { found.any(|found| found) }
}

/// `jsonb_extract_path(from, step, …)`.
fn extract<'a>(args: &[Datum<'a>], arena: &'a Arena) -> Result<Option<Jsonb<'a>>> {
    let path = super::text::text_array(
        args[1..].iter().map(|step| match step {
            Datum::Text(text) => Some(*text),
            _ => None,
        }),
        arena,
    );
    match path {
        Datum::Array(path) => Ok(at_path(arg(args, 0)?, path, arena)),
        _ => Err(EvalError::internal("a path is no array")),
    }
}

/// An object of texts: keys and values in turn, or pairs of them.
fn object<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let first: Array<'a> = arg(args, 0)?;
    let items: Vec<Datum<'a>> = first.items(arena).collect();
    let pairs: Vec<(Datum<'a>, Datum<'a>)> = if args.len() > 1 {
        let values: Vec<Datum<'a>> = arg::<Array<'a>>(args, 1)?.items(arena).collect();
        if values.len() != items.len() {
            return Err(EvalError::raise("2202E", "mismatched array dimensions"));
        }
        items.into_iter().zip(values).collect()
    } else {
        match first.dimensions().as_slice() {
            [] => Vec::new(),
            [len] if len % 2 != 0 => {
                return Err(EvalError::raise("2202E", "array must have even number of elements"));
            }
            [_] | [_, 2] => items.as_chunks::<2>().0.iter().map(|[key, value]| (*key, *value)).collect(),
            [_, _] => return Err(EvalError::raise("2202E", "array must have two columns")),
            _ => return Err(EvalError::raise("2202E", "wrong number of array subscripts")),
        }
    };
    let mut members = Vec::new();
    for (key, value) in pairs {
        let Datum::Text(key) = key else {
            return Err(EvalError::raise("22004", "null value not allowed for object key"));
        };
        let mut item = Vec::new();
        match value {
            Datum::Text(text) => jsonb::push_string(&mut item, text),
            _ => jsonb::push_null(&mut item),
        }
        members.push((key.to_owned(), item));
    }
    Ok(build(arena, |out| jsonb::push_members(out, members)))
}

/// A jsonb's subscript: a text is a key or, of an array, an index.
fn subscript<'a>(value: Jsonb<'a>, step: &str, arena: &'a Arena) -> Option<Jsonb<'a>> {
    match value.value(arena) {
        Value::Object(members) => members.get(step, arena),
        Value::Array(_) => element(value, step.trim().parse().ok()?, arena),
        _ => None,
    }
}

pub(super) const KERNELS: Table = &[
    ("jsonb_set", many(set)),
    ("jsonb_set_lax", lax(set_lax)),
    ("jsonb_insert", many(insert)),
    kernel!("delete_path_jsonb_array", arena, |a: Jsonb<'a>, b: Array<'a>| {
        edit(a, b, &[], Edit::Delete, arena)
    }),
    kernel!("sub_jsonb_array", arena, |a: Jsonb<'a>, b: Array<'a>| delete_keys(a, b, arena)),
    kernel!("has_all_keys_jsonb_array", arena, |a: Jsonb<'a>, b: Array<'a>| ok(has_keys(a, b, true, arena))),
    kernel!("has_any_key_jsonb_array", arena, |a: Jsonb<'a>, b: Array<'a>| ok(has_keys(a, b, false, arena))),
    (
        "jsonb_extract_path",
        many(|args, _, arena| Ok(extract(args, arena)?.map_or(Datum::Null, Datum::Jsonb))),
    ),
    ("jsonb_extract_path_text", many(|args, _, arena| Ok(unquoted_or_null(extract(args, arena)?, arena)))),
    ("jsonb_object", many(object)),
    kernel!("subscript_jsonb_text", arena, |a: Jsonb<'a>, b: &str| ok(subscript(a, b, arena))),
];
