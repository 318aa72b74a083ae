//! SQL/JSON paths over jsonb.

use super::json::{array_of, parsed};
use super::{CallInfo, Evaluated, Table, arg, many};
use crate::error::EvalError;
use crate::format;
use hw_types::arena::Arena;
use hw_types::datum::{Datum, Jsonb};
use serde_json::Value;
use sql_json_path::{EvalError as PathError, JsonPath};
use std::borrow::Cow;
use std::sync::Arc;

type Result<T> = std::result::Result<T, EvalError>;

/// Bytes of a path at most, and brackets of any kind in it: its parser is recursive.
const PATH_BYTES_MAX: usize = 16 * 1024;
const PATH_BRACKETS_MAX: usize = 128;

/// A path as it was read, or why it is none.
pub(crate) type Path = Result<Arc<JsonPath>>;

fn read_path(text: &str) -> Path {
    let brackets = text.bytes().filter(|b| matches!(b, b'(' | b'[' | b'!' | b'-' | b'+')).count();
    if text.len() > PATH_BYTES_MAX || brackets > PATH_BRACKETS_MAX {
        return Err(EvalError::raise("54001", "jsonpath is too complex"));
    }
    if text.trim().is_empty() {
        return Err(EvalError::invalid("jsonpath", text));
    }
    let path = JsonPath::new(text).map_err(|error| syntax_error(text, &error.to_string()))?;
    Ok(Arc::new(path))
}

/// PostgreSQL's words for a path that cannot be read, from the reader's: `at position 7, error Tag at: …` where
/// the text is no path, and PostgreSQL's own words behind the comma where it is one that means nothing.
fn syntax_error(text: &str, said: &str) -> EvalError {
    let (position, why) =
        said.strip_prefix("at position ").and_then(|rest| rest.split_once(", ")).unwrap_or(("0", said));
    if !why.starts_with("error ") {
        return EvalError::raise("42601", why);
    }
    let rest = position.parse().ok().and_then(|at: usize| text.get(at..)).unwrap_or(text).trim_start();
    // PostgreSQL has read on to the end where a word is out of place, or a bracket is not closed.
    match rest.chars().next().filter(|c| !c.is_alphanumeric() && !matches!(c, '_' | '(' | '[' | '{')) {
        None => EvalError::raise("42601", "syntax error at end of jsonpath input"),
        Some(token) => {
            EvalError::raise("42601", format!("syntax error at or near \"{token}\" of jsonpath input"))
        }
    }
}

/// The path that argument 1 writes, read once where it is a literal.
fn path<'a>(args: &[Datum<'a>], info: &'a CallInfo) -> Result<Cow<'a, JsonPath>> {
    let text: &str = arg(args, 1)?;
    if !info.constants.get(1).is_some_and(Option::is_some) {
        return read_path(text).map(|path| Cow::Owned((*path).clone()));
    }
    match info.path.get_or_init(|| read_path(text)) {
        Ok(path) => Ok(Cow::Borrowed(path)),
        Err(error) => Err(error.clone()),
    }
}

fn document(value: Jsonb<'_>) -> Result<Value> {
    let mut text = Vec::new();
    format::jsonb(value, &mut text);
    serde_json::from_slice(&text).map_err(|error| EvalError::internal(error.to_string()))
}

/// PostgreSQL's code of what a path runs into.
fn raise(error: &PathError) -> EvalError {
    let code = match error {
        PathError::NoKey(_) | PathError::MemberAccess | PathError::WildcardMemberAccess => "2203A",
        PathError::ArrayAccess | PathError::WildcardArrayAccess | PathError::SizeNotArray => "22039",
        PathError::ArrayIndexOutOfBounds
        | PathError::ArrayIndexOutOfRange
        | PathError::ArrayIndexNotNumeric => "22033",
        PathError::NoVariable(_) => "42704",
        PathError::UnaryOperandNotNumeric(_) => "2203B",
        PathError::LeftOperandNotNumeric(_) | PathError::RightOperandNotNumeric(_) => "22038",
        PathError::MethodNotNumeric(_) | PathError::DoubleTypeError => "22036",
        PathError::KeyValueNotObject => "2203C",
        PathError::DateTimeTypeError(_) | PathError::InvalidDateTime(..) => "22031",
        PathError::DivisionByZero => return EvalError::DivisionByZero,
        PathError::ExpectSingleBoolean => "22038",
        PathError::VarsNotObject => "22023",
        _ => "22023",
    };
    EvalError::raise(code, error.to_string())
}

/// What the path finds: `jsonb_path_*(target, path [, vars [, silent]])`.
fn run(args: &[Datum<'_>], path: &JsonPath, silent: bool) -> Result<Option<Vec<Value>>> {
    let target = document(arg(args, 0)?)?;
    let vars = if args.len() > 2 { document(arg(args, 2)?)? } else { Value::Object(serde_json::Map::new()) };
    let silent = if args.len() > 3 { arg(args, 3)? } else { silent };
    match path.query_with_vars(&target, &vars) {
        Ok(found) => Ok(Some(found.into_iter().map(|value| value.into_owned()).collect())),
        Err(error) if silent && error.can_silent() => Ok(None),
        Err(error) => Err(raise(&error)),
    }
}

fn jsonb<'a>(value: &Value, arena: &'a Arena) -> Result<Jsonb<'a>> {
    parsed(&value.to_string(), arena)
}

fn exists<'a>(args: &[Datum<'a>], info: &'a CallInfo, silent: bool) -> Evaluated<'a> {
    let path = path(args, info)?;
    Ok(run(args, &path, silent)?.map_or(Datum::Null, |found| Datum::bool(!found.is_empty())))
}

fn matches<'a>(args: &[Datum<'a>], info: &'a CallInfo, operator: bool) -> Evaluated<'a> {
    let path = path(args, info)?;
    let silent = operator || (args.len() > 3 && arg(args, 3)?);
    match run(args, &path, operator)?.as_deref() {
        None | Some([Value::Null]) => Ok(Datum::Null),
        Some([Value::Bool(value)]) => Ok(Datum::bool(*value)),
        Some(_) if silent => Ok(Datum::Null),
        Some(_) => Err(EvalError::raise("22038", "single boolean result is expected")),
    }
}

fn query_array<'a>(args: &[Datum<'a>], info: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let path = path(args, info)?;
    let found = run(args, &path, false)?.unwrap_or_default();
    let items = found.iter().map(|value| jsonb(value, arena)).collect::<Result<Vec<_>>>()?;
    Ok(array_of(&items, arena))
}

fn query_first<'a>(args: &[Datum<'a>], info: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let path = path(args, info)?;
    let found = run(args, &path, false)?.unwrap_or_default();
    Ok(match found.first() {
        Some(value) => Datum::Jsonb(jsonb(value, arena)?),
        None => Datum::Null,
    })
}

/// The items that the path finds, for the table function.
pub(crate) fn query<'a>(args: &[Datum<'a>], arena: &'a Arena) -> Result<Vec<Jsonb<'a>>> {
    let path = read_path(arg(args, 1)?)?;
    let found = run(args, &path, false)?.unwrap_or_default();
    found.iter().map(|value| jsonb(value, arena)).collect()
}

pub(super) const KERNELS: Table = &[
    ("jsonb_path_exists", many(|args, info, _| exists(args, info, false))),
    ("jsonb_path_exists_operator", many(|args, info, _| exists(args, info, true))),
    ("jsonb_path_match", many(|args, info, _| matches(args, info, false))),
    ("jsonb_path_match_operator", many(|args, info, _| matches(args, info, true))),
    ("jsonb_path_query_array", many(query_array)),
    ("jsonb_path_query_first", many(query_first)),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The code and the message of a path that is none.
    fn refused(text: &str) -> (String, String) {
        let error = read_path(text).expect_err("no path");
        (error.sqlstate().to_owned(), error.message())
    }

    #[test]
    fn what_is_no_path_is_a_syntax_error_as_in_postgresql() {
        let at = |place: &str| ("42601".to_owned(), format!("syntax error at {place} of jsonpath input"));
        // As PostgreSQL 15 has it.
        for text in ["$.a b", "a.b", "$.a[", "$["] {
            assert_eq!(refused(text), at("end"), "{text}");
        }
        assert_eq!(refused("$.a )"), at("or near \")\""));
        assert_eq!(refused("$.a ?? b"), at("or near \"?\""));
        let root = ("42601".to_owned(), "@ is not allowed in root expressions".to_owned());
        assert_eq!(refused("@ + 1"), root);
        assert_eq!(refused("").0, "22P02");
        assert!(read_path("$.a[*] ? (@.b > 1)").is_ok());
    }
}
