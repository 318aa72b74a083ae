//! LIKE and regular expressions, compiled once where the pattern is a literal.

use super::text::text_array;
use super::{CallInfo, Evaluated, Table, arg, many};
use crate::error::EvalError;
use hw_types::arena::Arena;
use hw_types::datum::Datum;
use regex::{Regex, RegexBuilder};
use std::borrow::Cow;

type Result<T> = std::result::Result<T, EvalError>;

/// Bytes of a regular expression at most.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a compiled regular expression at most.
const COMPILED_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Bytes of a LIKE pattern at most.
const LIKE_BYTES_MAX: usize = 8 * 1024;

/// A compiled LIKE pattern.
#[derive(Debug)]
pub(crate) enum Like {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Regex(Regex),
}

impl Like {
    fn compile(pattern: &str, any_case: bool) -> Result<Like> {
        if pattern.len() > LIKE_BYTES_MAX {
            return Err(EvalError::raise("54000", "LIKE pattern exceeds maximum length"));
        }
        let mut regex = String::with_capacity(pattern.len() + 8);
        let mut literal = String::new();
        let (mut singles, mut stars, mut first_star, mut last_star) = (0, 0, false, false);
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            last_star = c == '%';
            match c {
                '%' => {
                    first_star |= literal.is_empty() && singles == 0;
                    stars += 1;
                    regex.push_str(".*");
                    continue;
                }
                '_' => {
                    singles += 1;
                    regex.push('.');
                    continue;
                }
                '\\' => {
                    let c = chars
                        .next()
                        .ok_or_else(|| EvalError::raise("22025", "unterminated escape sequence in LIKE"))?;
                    literal.push(c);
                    regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
                }
                c => {
                    literal.push(c);
                    regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
                }
            }
        }
        if !any_case && singles == 0 {
            match (stars, first_star, last_star) {
                (0, _, _) => return Ok(Like::Exact(literal)),
                (1, true, _) => return Ok(Like::Suffix(literal)),
                (1, _, true) => return Ok(Like::Prefix(literal)),
                (2, true, true) => return Ok(Like::Contains(literal)),
                _ => {}
            }
        }
        let built = RegexBuilder::new(&format!("^(?:{regex})$"))
            .dot_matches_new_line(true)
            .case_insensitive(any_case)
            .size_limit(COMPILED_BYTES_MAX)
            .build();
        built.map(Like::Regex).map_err(|_| EvalError::raise("54000", "LIKE pattern is too complex"))
    }
    fn matches(&self, text: &str) -> bool {
        match self {
            Like::Exact(literal) => text == literal,
            Like::Prefix(literal) => text.starts_with(literal),
            Like::Suffix(literal) => text.ends_with(literal),
            Like::Contains(literal) => text.contains(literal),
            Like::Regex(regex) => regex.is_match(text),
        }
    }
}

/// PostgreSQL's escapes and directors in the regex crate's terms: `\m`, `\M`, `\y`, `\Y` and `\Z`,
/// `[[:<:]]` and `[[:>:]]`, and `***=` before a text that stands for itself.
fn escapes(pattern: &str) -> Cow<'_, str> {
    if let Some(literal) = pattern.strip_prefix("***=") {
        return Cow::Owned(regex::escape(literal));
    }
    let pattern = pattern.strip_prefix("***:").unwrap_or(pattern);
    if !pattern.contains(['\\', '[']) {
        return Cow::Borrowed(pattern);
    }
    let mut out = String::with_capacity(pattern.len());
    let (mut rest, mut in_class) = (pattern, false);
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        if !in_class && let Some((from, to)) = ESCAPES.iter().find(|(from, _)| rest.starts_with(from)) {
            out.push_str(to);
            taken = from.len();
        } else if c == '\\' {
            taken += rest[1..].chars().next().map_or(0, char::len_utf8);
            out.push_str(&rest[..taken]);
        } else {
            in_class = match c {
                '[' => true,
                ']' => false,
                _ => in_class,
            };
            out.push(c);
        }
        rest = &rest[taken..];
    }
    Cow::Owned(out)
}

const ESCAPES: [(&str, &str); 7] = [
    ("\\m", "\\b{start}"),
    ("\\M", "\\b{end}"),
    ("\\y", "\\b"),
    ("\\Y", "\\B"),
    ("\\Z", "\\z"),
    ("[[:<:]]", "\\b{start}"),
    ("[[:>:]]", "\\b{end}"),
];

/// Compiles a regular expression with PostgreSQL's flags: `i`, `c`, `n`, `m`, `s`, `x`, and `g`.
pub(crate) fn compile_regex(pattern: &str, flags: &str) -> Result<Regex> {
    let invalid = |reason: String| EvalError::raise("2201B", format!("invalid regular expression: {reason}"));
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(invalid("pattern too long".into()));
    }
    let mut builder = RegexBuilder::new(&escapes(pattern));
    builder.size_limit(COMPILED_BYTES_MAX).dot_matches_new_line(true);
    for flag in flags.chars() {
        match flag {
            'i' => builder.case_insensitive(true),
            'c' => builder.case_insensitive(false),
            'n' | 'm' => builder.multi_line(true).dot_matches_new_line(false),
            's' => builder.multi_line(false).dot_matches_new_line(true),
            'x' => builder.ignore_whitespace(true),
            'g' => &mut builder,
            other => {
                let message = format!("invalid regular expression flag: {other}");
                return Err(EvalError::parameter(message));
            }
        };
    }
    builder.build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => invalid("compiled pattern too big".into()),
        error => invalid(error.to_string().lines().last().unwrap_or("malformed pattern").to_owned()),
    })
}

/// What a call has compiled.
#[derive(Debug)]
pub(crate) enum Compiled {
    Like(Result<Like>),
    Regex(Result<Regex>),
}

/// The pattern argument `i`, where it is the same for all rows.
fn is_constant(info: &CallInfo, i: usize) -> bool {
    info.constants.get(i).is_some_and(Option::is_some)
}

fn like<'a>(args: &[Datum<'a>], info: &'a CallInfo, any_case: bool, negated: bool) -> Evaluated<'a> {
    let (text, pattern): (&str, &str) = (arg(args, 0)?, arg(args, 1)?);
    let matches = if is_constant(info, 1) {
        match info.pattern.get_or_init(|| Compiled::Like(Like::compile(pattern, any_case))) {
            Compiled::Like(Ok(like)) => like.matches(text),
            Compiled::Like(Err(error)) => return Err(error.clone()),
            Compiled::Regex(_) => return Err(EvalError::internal("a call holds another pattern")),
        }
    } else {
        Like::compile(pattern, any_case)?.matches(text)
    };
    Ok(Datum::bool(matches != negated))
}

/// Argument 1 as a regular expression with `flags`; both constant where it was compiled before.
fn regex<'a>(args: &[Datum<'a>], info: &'a CallInfo, flags: &str, constant: bool) -> Result<Cow<'a, Regex>> {
    let pattern: &str = arg(args, 1)?;
    if !constant || !is_constant(info, 1) {
        return compile_regex(pattern, flags).map(Cow::Owned);
    }
    match info.pattern.get_or_init(|| Compiled::Regex(compile_regex(pattern, flags))) {
        Compiled::Regex(Ok(regex)) => Ok(Cow::Borrowed(regex)),
        Compiled::Regex(Err(error)) => Err(error.clone()),
        Compiled::Like(_) => Err(EvalError::internal("a call holds another pattern")),
    }
}

fn matches<'a>(args: &[Datum<'a>], info: &'a CallInfo, flags: &str, negated: bool) -> Evaluated<'a> {
    let found = regex(args, info, flags, true)?.is_match(arg(args, 0)?);
    Ok(Datum::bool(found != negated))
}

/// The flags argument `i`, and whether it is absent or a literal.
fn flags<'a>(args: &[Datum<'a>], info: &CallInfo, i: usize) -> Result<(&'a str, bool)> {
    if args.len() <= i { Ok(("", true)) } else { Ok((arg(args, i)?, is_constant(info, i))) }
}

/// What a match captured: its groups, or the whole where it has none.
pub(crate) fn captures<'a>(captured: &regex::Captures<'_>, arena: &'a Arena) -> Datum<'a> {
    let first = usize::from(captured.len() > 1);
    let groups = (first..captured.len()).map(|i| captured.get(i).map(|group| group.as_str()));
    text_array(groups, arena)
}

fn regexp_match<'a>(args: &[Datum<'a>], info: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let (flags, constant) = flags(args, info, 2)?;
    if flags.contains('g') {
        return Err(EvalError::parameter("regexp_match() does not support the \"global\" option"));
    }
    let regex = regex(args, info, flags, constant)?;
    Ok(regex.captures(arg(args, 0)?).map_or(Datum::Null, |found| captures(&found, arena)))
}

/// PostgreSQL's replacement (`\1`, `\&`, `\\`) as the regex crate's.
pub(super) fn replacement(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '$' => out.push_str("$$"),
            '\\' => match chars.next() {
                Some('&') => out.push_str("${0}"),
                Some(digit @ '1'..='9') => out.push_str(&format!("${{{digit}}}")),
                Some('\\') | None => out.push('\\'),
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                }
            },
            c => out.push(c),
        }
    }
    out
}

fn regexp_replace<'a>(args: &[Datum<'a>], info: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let (flags, constant) = flags(args, info, 3)?;
    let regex = regex(args, info, flags, constant)?;
    let (text, with): (&'a str, &str) = (arg(args, 0)?, arg(args, 2)?);
    let with = replacement(with);
    let limit = usize::from(!flags.contains('g'));
    Ok(Datum::Text(match regex.replacen(text, limit, with.as_str()) {
        Cow::Borrowed(text) => arena.text(text),
        Cow::Owned(text) => arena.text(&text),
    }))
}

/// The parts between matches; an empty match splits between characters, not at the ends.
pub(crate) fn split<'t>(regex: &Regex, text: &'t str) -> Vec<&'t str> {
    let (mut parts, mut from) = (Vec::new(), 0);
    for found in regex.find_iter(text) {
        if found.is_empty() && (found.start() == 0 || found.start() == text.len()) {
            continue;
        }
        parts.push(&text[from..found.start()]);
        from = found.end();
    }
    parts.push(&text[from..]);
    parts
}

fn split_to_array<'a>(args: &[Datum<'a>], info: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let (flags, constant) = flags(args, info, 2)?;
    let regex = regex(args, info, flags, constant)?;
    Ok(text_array(split(&regex, arg(args, 0)?).into_iter().map(Some), arena))
}

/// The first group, or the whole match where there is none.
fn substring<'a>(args: &[Datum<'a>], info: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    let regex = regex(args, info, "", true)?;
    let text: &'a str = arg(args, 0)?;
    let found = regex.captures(text).and_then(|found| {
        let group = if found.len() > 1 { found.get(1) } else { found.get(0) };
        group.map(|group| &text[group.range()])
    });
    Ok(found.map_or(Datum::Null, Datum::Text))
}

pub(super) const KERNELS: Table = &[
    ("like_text_text", many(|args, info, _| like(args, info, false, false))),
    ("not_like_text_text", many(|args, info, _| like(args, info, false, true))),
    ("ilike_text_text", many(|args, info, _| like(args, info, true, false))),
    ("not_ilike_text_text", many(|args, info, _| like(args, info, true, true))),
    ("regex_text_text", many(|args, info, _| matches(args, info, "", false))),
    ("not_regex_text_text", many(|args, info, _| matches(args, info, "", true))),
    ("iregex_text_text", many(|args, info, _| matches(args, info, "i", false))),
    ("not_iregex_text_text", many(|args, info, _| matches(args, info, "i", true))),
    ("regexp_match_text_text", many(regexp_match)),
    ("regexp_match_text_text_text", many(regexp_match)),
    ("regexp_replace_text_text_text", many(regexp_replace)),
    ("regexp_replace_text_text_text_text", many(regexp_replace)),
    ("regexp_split_to_array_text_text", many(split_to_array)),
    ("regexp_split_to_array_text_text_text", many(split_to_array)),
    ("substring_text_text", many(substring)),
];
