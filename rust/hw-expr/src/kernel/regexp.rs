//! The regular-expression functions that count, locate and replace particular matches.

use super::pattern::{compile_regex, replacement};
use super::{CallInfo, Evaluated, Table, arg, many};
use crate::error::EvalError;
use hw_types::arena::Arena;
use hw_types::datum::Datum;
use regex::{Captures, Regex};

type Result<T> = std::result::Result<T, EvalError>;

/// A positive argument, or what it is where it is absent.
fn position(args: &[Datum<'_>], i: usize, name: &str, least: i64, absent: i64) -> Result<usize> {
    let value = match args.get(i) {
        None => absent,
        Some(Datum::Int(value)) => *value,
        Some(_) => return Err(EvalError::internal("a regular expression function wants a whole number")),
    };
    if value < least {
        return Err(EvalError::parameter(format!("invalid value for parameter \"{name}\": {value}")));
    }
    Ok(usize::try_from(value).unwrap_or(usize::MAX))
}

fn text<'a>(args: &[Datum<'a>], i: usize) -> Result<&'a str> {
    if args.len() > i { arg(args, i) } else { Ok("") }
}

/// The regular expression of arguments 1 and `flags`, which may not ask for all matches.
fn regex(args: &[Datum<'_>], flags: usize, name: &str) -> Result<Regex> {
    let flags = text(args, flags)?;
    if flags.contains('g') {
        let message = format!("{name}() does not support the \"global\" option");
        return Err(EvalError::parameter(message));
    }
    compile_regex(text(args, 1)?, flags)
}

/// The text from character `start`, from 1, and the byte it begins at; None where there is none.
fn from_character(text: &str, start: usize) -> Option<usize> {
    let skip = start.checked_sub(1)?;
    text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(skip)
}

/// The matches from a byte on, each with its groups.
fn matches<'t>(regex: &Regex, text: &'t str, mut at: usize) -> Vec<Captures<'t>> {
    let mut found = Vec::new();
    while let Some(captures) = regex.captures_at(text, at) {
        let Some(whole) = captures.get(0) else { break };
        let (end, empty) = (whole.end(), whole.is_empty());
        found.push(captures);
        at = match empty {
            false => end,
            true => match text[end..].chars().next() {
                Some(c) => end + c.len_utf8(),
                None => break,
            },
        };
        if at > text.len() {
            break;
        }
    }
    found
}

fn nth<'t>(regex: &Regex, text: &'t str, start: usize, n: usize) -> Option<Captures<'t>> {
    let at = from_character(text, start)?;
    matches(regex, text, at).into_iter().nth(n.checked_sub(1)?)
}

/// `regexp_count(text, pattern [, start [, flags]])`.
fn count<'a>(args: &[Datum<'a>], _: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    let start = position(args, 2, "start", 1, 1)?;
    let regex = regex(args, 3, "regexp_count")?;
    let text = text(args, 0)?;
    let found = from_character(text, start).map_or(0, |at| matches(&regex, text, at).len());
    Ok(Datum::Int(found as i64))
}

/// `regexp_like(text, pattern [, flags])`.
fn like<'a>(args: &[Datum<'a>], _: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    Ok(Datum::bool(regex(args, 2, "regexp_like")?.is_match(text(args, 0)?)))
}

/// `regexp_instr(text, pattern [, start [, n [, end [, flags [, group]]]]])`.
fn instr<'a>(args: &[Datum<'a>], _: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    let start = position(args, 2, "start", 1, 1)?;
    let n = position(args, 3, "n", 1, 1)?;
    let at_end = match args.get(4) {
        None | Some(Datum::Int(0)) => false,
        Some(Datum::Int(1)) => true,
        Some(_) => {
            let value: i64 = arg(args, 4)?;
            let message = format!("invalid value for parameter \"endoption\": {value}");
            return Err(EvalError::parameter(message));
        }
    };
    let group = position(args, 6, "subexpr", 0, 0)?;
    let regex = regex(args, 5, "regexp_instr")?;
    let text = text(args, 0)?;
    let found = nth(&regex, text, start, n).and_then(|captures| captures.get(group));
    Ok(Datum::Int(found.map_or(0, |found| {
        let byte = if at_end { found.end() } else { found.start() };
        text[..byte].chars().count() as i64 + 1
    })))
}

/// `regexp_substr(text, pattern [, start [, n [, flags [, group]]]])`.
fn substr<'a>(args: &[Datum<'a>], _: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    let start = position(args, 2, "start", 1, 1)?;
    let n = position(args, 3, "n", 1, 1)?;
    let group = position(args, 5, "subexpr", 0, 0)?;
    let regex = regex(args, 4, "regexp_substr")?;
    let text: &'a str = text(args, 0)?;
    let found = nth(&regex, text, start, n).and_then(|captures| captures.get(group));
    Ok(found.map_or(Datum::Null, |found| Datum::Text(&text[found.range()])))
}

/// `regexp_replace(text, pattern, with, start [, n [, flags]])`; an `n` of 0 replaces all.
fn replace<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let start = position(args, 3, "start", 1, 1)?;
    let n = position(args, 4, "n", 0, 1)?;
    let flags = text(args, 5)?.replace('g', "");
    let regex = compile_regex(text(args, 1)?, &flags)?;
    let (text, with): (&'a str, String) = (text(args, 0)?, replacement(text(args, 2)?));
    let Some(at) = from_character(text, start) else { return Ok(Datum::Text(text)) };
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (i, captures) in matches(&regex, text, at).iter().enumerate() {
        let Some(whole) = captures.get(0).filter(|_| n == 0 || i + 1 == n) else { continue };
        out.push_str(&text[copied..whole.start()]);
        captures.expand(&with, &mut out);
        copied = whole.end();
    }
    out.push_str(&text[copied..]);
    Ok(Datum::Text(arena.text(&out)))
}

pub(super) const KERNELS: Table = &[
    ("regexp_count", many(count)),
    ("regexp_like", many(like)),
    ("regexp_instr", many(instr)),
    ("regexp_substr", many(substr)),
    ("regexp_replace_nth", many(replace)),
];
