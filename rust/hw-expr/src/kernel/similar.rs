//! SQL's regular expressions, of SIMILAR TO and `substring(… SIMILAR … ESCAPE …)`.
//!
//! Source: PostgreSQL, section 9.7.2, and `similar_escape_internal`.

use super::pattern::compile_regex;
use super::{CallInfo, Evaluated, Table, arg, kernel, many};
use crate::error::EvalError;
use hw_types::arena::Arena;
use hw_types::datum::Datum;

type Result<T> = std::result::Result<T, EvalError>;

/// The character that takes another's meaning away; None where the text is empty.
fn escape_of(text: &str) -> Result<Option<char>> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (first, None) => Ok(first),
        _ => Err(EvalError::raise_with_hint(
            "22025",
            "invalid escape string",
            "Escape string must be empty or one character.",
        )),
    }
}

/// The regular expression that means what a pattern of SIMILAR TO does.
///
/// A pattern may have two separators, the escape and a double quote: they mark the part of the text
/// that `substring` is after, the first group. What is before it matches as little as it can.
fn similar_to_escape(pattern: &str, escape: &str) -> Result<String> {
    let escape = escape_of(escape)?;
    let mut out = String::with_capacity(pattern.len() + 8);
    let (mut in_class, mut separators) = (false, 0);
    out.push_str("^(?:");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            match chars.next() {
                Some('"') if !in_class => {
                    out.push_str(match separators {
                        0 => ")(",
                        1 => ")(?:",
                        _ => {
                            let message = "SQL regular expression may not contain more than two \
                                           escape-double-quote separators";
                            return Err(EvalError::raise("2200C", message));
                        }
                    });
                    separators += 1;
                }
                Some(c) => out.extend(['\\', c]),
                None => {}
            }
            continue;
        }
        if in_class {
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
            in_class = c != ']';
            continue;
        }
        match c {
            '[' => {
                in_class = true;
                out.push(c);
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '\\' | '.' | '^' | '$' => out.extend(['\\', c]),
            c => out.push(c),
        }
        let repeats = matches!(c, '%' | '*' | '+' | '?' | '}');
        if repeats && separators == 0 && has_separator(chars.as_str(), escape) {
            out.push('?');
        }
    }
    out.push_str(")$");
    Ok(out)
}

fn has_separator(rest: &str, escape: Option<char>) -> bool {
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape && chars.next() == Some('"') {
            return true;
        }
    }
    false
}

/// `substring(text SIMILAR pattern ESCAPE escape)`: the part between the separators, or all of it.
fn substring<'a>(args: &[Datum<'a>], _: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    let text: &'a str = arg(args, 0)?;
    let regex = compile_regex(&similar_to_escape(arg(args, 1)?, arg(args, 2)?)?, "")?;
    let found = regex.captures(text).and_then(|found| found.get(1).or_else(|| found.get(0)));
    Ok(found.map_or(Datum::Null, |part| Datum::Text(&text[part.range()])))
}

pub(super) const KERNELS: Table = &[
    kernel!("similar_to_escape_text", |a: &str| similar_to_escape(a, "\\")),
    kernel!("similar_to_escape_text_text", |a: &str, b: &str| similar_to_escape(a, b)),
    ("substring_text_text_text", many(substring)),
];
