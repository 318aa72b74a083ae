//! Quoting, identifiers and `format`.

use super::text::text_array;
use super::{CallInfo, Evaluated, Table, kernel, lax};
use crate::error::{EvalError, Quoted};
use hw_types::arena::Arena;
use hw_types::datum::Datum;

type Result<T> = std::result::Result<T, EvalError>;

/// Bytes of an identifier at most.
const IDENTIFIER_BYTES_MAX: usize = 255;
/// Columns that one `%` of `format` may ask for.
const WIDTH_MAX: usize = 1_000_000;

/// Words that stand for something else where they are not quoted, sorted.
const RESERVED: &[&str] = &[
    "and",
    "array",
    "as",
    "asc",
    "between",
    "both",
    "case",
    "cast",
    "check",
    "cross",
    "current_date",
    "current_time",
    "current_timestamp",
    "current_user",
    "day",
    "default",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "envelope",
    "escape",
    "except",
    "false",
    "fetch",
    "filter",
    "for",
    "from",
    "full",
    "group",
    "having",
    "hour",
    "ilike",
    "in",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "minute",
    "month",
    "natural",
    "not",
    "notnull",
    "null",
    "nulls",
    "offset",
    "on",
    "options",
    "or",
    "order",
    "outer",
    "over",
    "overlaps",
    "qualify",
    "returning",
    "right",
    "second",
    "select",
    "similar",
    "some",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "using",
    "values",
    "variadic",
    "when",
    "where",
    "window",
    "with",
    "within",
    "year",
];

fn is_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && RESERVED.binary_search(&text).is_err()
}

/// The text as an identifier: quoted unless it may stand as it is.
fn quote_ident(text: &str) -> Result<String> {
    if text.len() > IDENTIFIER_BYTES_MAX {
        let len = text.len();
        let detail =
            format!("identifier too long (len: {len}, max: {IDENTIFIER_BYTES_MAX}, value: {})", Quoted(text));
        return Err(not_an_identifier(text, &detail));
    }
    Ok(if is_plain(text) { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) })
}

/// What a text lacks to be an identifier; `detail` may be empty.
fn not_an_identifier(text: &str, detail: &str) -> EvalError {
    let message = format!("string is not a valid identifier: {}", Quoted(text));
    match detail {
        "" => EvalError::parameter(message),
        detail => EvalError::raise_with_detail("22023", message, detail),
    }
}

/// The text as a string literal.
fn quote_literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    match text.contains('\\') {
        true => format!("E'{}'", doubled.replace('\\', "\\\\")),
        false => format!("'{doubled}'"),
    }
}

fn quote_nullable<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    Ok(match args.first() {
        Some(Datum::Text(text)) => Datum::Text(arena.text(&quote_literal(text))),
        _ => Datum::Text("NULL"),
    })
}

fn begins_identifier(c: char) -> bool {
    c.is_alphabetic() || c == '_' || !c.is_ascii() && !c.is_whitespace()
}

/// The parts of a dotted name: folded to lower case unless quoted. `strict` refuses what follows it.
pub(crate) fn parse_ident(text: &str, strict: bool) -> Result<Vec<String>> {
    let invalid = |detail| not_an_identifier(text, detail);
    let mut parts = Vec::new();
    let mut rest = text.trim_start();
    loop {
        let part = if let Some(body) = rest.strip_prefix('"') {
            let (part, tail) =
                quoted_part(body).ok_or_else(|| invalid("String has unclosed double quotes."))?;
            if part.is_empty() {
                return Err(invalid("Quoted identifier must not be empty."));
            }
            rest = tail;
            part
        } else {
            if !rest.starts_with(begins_identifier) {
                return Err(invalid(match (rest.starts_with('.'), parts.is_empty()) {
                    (true, _) => "No valid identifier before \".\".",
                    (false, true) => "",
                    (false, false) => "No valid identifier after \".\".",
                }));
            }
            let within = |c: char| begins_identifier(c) || c.is_ascii_digit() || c == '$';
            let end = rest.find(|c| !within(c)).unwrap_or(rest.len());
            let (part, tail) = rest.split_at(end);
            rest = tail;
            part.to_lowercase()
        };
        parts.push(part);
        rest = rest.trim_start();
        match rest.strip_prefix('.') {
            Some(tail) => rest = tail.trim_start(),
            None if rest.is_empty() || !strict => return Ok(parts),
            None => return Err(invalid("")),
        }
    }
}

/// A quoted part after its opening quote, and what follows; None where it is open.
fn quoted_part(body: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut chars = body.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '"' {
            part.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == '"') {
            chars.next();
            part.push('"');
        } else {
            return Some((part, &body[at + 1..]));
        }
    }
    None
}

fn identifier_array<'a>(text: &str, strict: bool, arena: &'a Arena) -> Result<Datum<'a>> {
    let parts = parse_ident(text, strict)?;
    Ok(text_array(parts.iter().map(|part| Some(part.as_str())), arena))
}

/// A name of at most `most` parts, normalised; `noun` is what messages call it.
fn normalize_name<'a>(text: &str, most: usize, noun: &str, arena: &'a Arena) -> Result<Datum<'a>> {
    let parts = parse_ident(text, true)?;
    if parts.len() > most {
        let message = format!("improper {noun} name (too many dotted names): {}", text.trim());
        return Err(EvalError::raise("42601", message));
    }
    // Names that are not fully written have NULL before them.
    let missing = std::iter::repeat_n(None, most - parts.len());
    Ok(text_array(missing.chain(parts.iter().map(|part| Some(part.as_str()))), arena))
}

/// What one `%` of a format asks for.
struct Specifier {
    /// Which argument, from 1, where it is named.
    position: Option<usize>,
    left: bool,
    width: Width,
    kind: char,
}

enum Width {
    Fixed(usize),
    /// From the next argument, or from one that is named.
    Argument(Option<usize>),
}

fn number(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Option<usize>> {
    let mut value: Option<usize> = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        chars.next();
        let next = value.unwrap_or(0) * 10 + digit as usize;
        if next > i32::MAX as usize {
            return Err(EvalError::raise("22003", "number is out of range"));
        }
        value = Some(next);
    }
    Ok(value)
}

fn unterminated() -> EvalError {
    EvalError::parameter("unterminated format() type specifier")
}

fn specifier(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Specifier> {
    let mut found = Specifier { position: None, left: false, width: Width::Fixed(0), kind: ' ' };
    let zero = || EvalError::parameter("format specifies argument 0, but arguments are numbered from 1");
    let mut leading = number(chars)?;
    if leading.is_some() && chars.peek() == Some(&'$') {
        chars.next();
        found.position = leading.take();
        if found.position == Some(0) {
            return Err(zero());
        }
    }
    if let Some(width) = leading {
        found.width = Width::Fixed(width);
    } else {
        while chars.peek() == Some(&'-') {
            chars.next();
            found.left = true;
        }
        if chars.peek() == Some(&'*') {
            chars.next();
            let at = number(chars)?;
            if at.is_some() && chars.next() != Some('$') {
                return Err(EvalError::parameter("width argument position must be ended by \"$\""));
            }
            if at == Some(0) {
                return Err(zero());
            }
            found.width = Width::Argument(at);
        } else if let Some(width) = number(chars)? {
            found.width = Width::Fixed(width);
        }
    }
    found.kind = chars.next().ok_or_else(unterminated)?;
    Ok(found)
}

/// `format(template, …)`: `%s`, `%I`, `%L` and `%%`, with positions and widths.
fn format_text<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let Some(Datum::Text(template)) = args.first() else { return Ok(Datum::Null) };
    let too_few = || EvalError::parameter("too few arguments for format()");
    let mut out = String::new();
    let mut chars = template.chars().peekable();
    let mut next = 1;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.peek() == Some(&'%') {
            chars.next();
            out.push('%');
            continue;
        }
        let found = specifier(&mut chars)?;
        let mut take = |at: Option<usize>| {
            let at = at.unwrap_or(next);
            next = at + 1;
            args.get(at).copied().ok_or_else(too_few)
        };
        let (width, left) = match found.width {
            Width::Fixed(width) => (width, found.left),
            Width::Argument(at) => {
                let value: i64 = match take(at)? {
                    Datum::Null => 0,
                    Datum::Text(text) => crate::parse::integer::<i32>(text, "integer")?.into(),
                    _ => return Err(EvalError::internal("format wants texts")),
                };
                (value.unsigned_abs() as usize, found.left || value < 0)
            }
        };
        if width > WIDTH_MAX {
            return Err(EvalError::raise("54000", "requested length too large"));
        }
        let value = take(found.position)?;
        let shown = match (found.kind, value) {
            ('s', Datum::Text(text)) => text.to_owned(),
            ('s', _) => String::new(),
            ('I', Datum::Text(text)) => quote_ident(text)?,
            ('I', _) => {
                return Err(EvalError::raise(
                    "22004",
                    "null values cannot be formatted as an SQL identifier",
                ));
            }
            ('L', Datum::Text(text)) => quote_literal(text),
            ('L', _) => "NULL".to_owned(),
            (other, _) => {
                let message = format!("unrecognized format() type specifier \"{other}\"");
                return Err(EvalError::parameter(message));
            }
        };
        let padding = " ".repeat(width.saturating_sub(shown.chars().count()));
        let (before, after) = if left { ("", padding.as_str()) } else { (padding.as_str(), "") };
        out.push_str(before);
        out.push_str(&shown);
        out.push_str(after);
    }
    Ok(Datum::Text(arena.text(&out)))
}

/// How many arguments are NULL, or are not.
fn count_nulls<'a>(args: &[Datum<'a>], null: bool) -> Evaluated<'a> {
    Ok(Datum::Int(args.iter().filter(|arg| arg.is_null() == null).count() as i64))
}

pub(super) const KERNELS: Table = &[
    kernel!("quote_ident_text", |a: &str| quote_ident(a)),
    kernel!("quote_literal_text", |a: &str| Ok::<_, EvalError>(quote_literal(a))),
    ("quote_nullable_text", lax(quote_nullable)),
    kernel!("parse_ident_text", arena, |a: &str| identifier_array(a, true, arena)),
    kernel!("parse_ident_text_bool", arena, |a: &str, b: bool| identifier_array(a, b, arena)),
    kernel!("mz_normalize_object_name_text", arena, |a: &str| normalize_name(a, 3, "relation", arena)),
    kernel!("mz_normalize_schema_name_text", arena, |a: &str| normalize_name(a, 2, "schema", arena)),
    ("format_text", lax(format_text)),
    ("num_nulls", lax(|args, _, _| count_nulls(args, true))),
    ("num_nonnulls", lax(|args, _, _| count_nulls(args, false))),
];
