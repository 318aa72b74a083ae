//! Functions over text and bytes.

use super::{CallInfo, Evaluated, Table, kernel, lax};
use crate::error::EvalError;
use crate::{format, parse};
use hw_types::arena::Arena;
use hw_types::container;
use hw_types::datum::{Array, Datum};
use hw_types::row;

type Result<T> = std::result::Result<T, EvalError>;

/// Bytes of a text that a function may make; PostgreSQL's limit is near.
pub(super) const RESULT_BYTES_MAX: usize = 100 * 1024 * 1024;

fn ok<T>(value: T) -> Result<T> {
    Ok(value)
}

fn count(n: usize) -> Result<i64> {
    i32::try_from(n).map(i64::from).map_err(|_| EvalError::OutOfRange("integer"))
}

fn characters(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

pub(super) fn too_large() -> EvalError {
    EvalError::raise("54000", "requested length too large")
}

/// The byte at which character `n`, from 0, begins; the end where there are not so many.
fn offset(text: &str, n: usize) -> usize {
    if text.is_ascii() {
        return n.min(text.len());
    }
    text.char_indices().nth(n).map_or(text.len(), |(at, _)| at)
}

/// Characters from `start`, from 1, that lie in the text; `len` counts from `start` even before 1.
fn substring(text: &str, start: i64, len: Option<i64>) -> Result<&str> {
    let end = match len {
        Some(len) if len < 0 => {
            return Err(EvalError::raise("22011", "negative substring length not allowed"));
        }
        Some(len) => start.saturating_add(len).max(1),
        None => i64::MAX,
    };
    let start = start.max(1);
    if end <= start {
        return Ok("");
    }
    let from = offset(text, usize::try_from(start - 1).unwrap_or(usize::MAX));
    let rest = &text[from..];
    Ok(&rest[..offset(rest, usize::try_from(end - start).unwrap_or(usize::MAX))])
}

fn byte_substring(bytes: &[u8], start: i64, len: Option<i64>) -> Result<&[u8]> {
    let end = match len {
        Some(len) if len < 0 => {
            return Err(EvalError::raise("22011", "negative substring length not allowed"));
        }
        Some(len) => start.saturating_add(len).max(1),
        None => i64::MAX,
    };
    let at = |n: i64| usize::try_from(n - 1).unwrap_or(usize::MAX).min(bytes.len());
    let start = start.max(1);
    Ok(if end <= start { &[] } else { &bytes[at(start)..at(end)] })
}

fn trim<'a>(text: &'a str, set: &str, left: bool, right: bool) -> &'a str {
    let within = |c: char| set.contains(c);
    let text = if left { text.trim_start_matches(within) } else { text };
    if right { text.trim_end_matches(within) } else { text }
}

fn position(needle: &str, text: &str) -> Result<i64> {
    text.find(needle).map_or(Ok(0), |at| count(characters(&text[..at]) + 1))
}

fn pad(text: &str, width: i64, fill: &str, left: bool) -> Result<String> {
    let width = usize::try_from(width).unwrap_or(0);
    if width > RESULT_BYTES_MAX {
        return Err(too_large());
    }
    let have = characters(text);
    if width <= have {
        return Ok(text[..offset(text, width)].to_owned());
    }
    let padding: String = fill.chars().cycle().take(if fill.is_empty() { 0 } else { width - have }).collect();
    Ok(if left { padding + text } else { text.to_owned() + &padding })
}

fn repeat(text: &str, times: i64) -> Result<String> {
    let times = usize::try_from(times).unwrap_or(0);
    match text.len().checked_mul(times) {
        Some(len) if len <= RESULT_BYTES_MAX => Ok(text.repeat(times)),
        _ => Err(too_large()),
    }
}

/// The first `n` characters; for a negative `n` all but the last `-n`.
fn left(text: &str, n: i64) -> &str {
    let take = if n >= 0 { n } else { (characters(text) as i64).saturating_add(n).max(0) };
    &text[..offset(text, usize::try_from(take).unwrap_or(usize::MAX))]
}

fn right(text: &str, n: i64) -> &str {
    let len = characters(text) as i64;
    // The negation of the least integer is itself, as PostgreSQL has it.
    let skip = if n >= 0 { (len - n.min(len)).max(0) } else { i64::from((n as i32).wrapping_neg()).max(0) };
    &text[offset(text, usize::try_from(skip).unwrap_or(usize::MAX))..]
}

fn replace(text: &str, from: &str, to: &str) -> Result<String> {
    if from.is_empty() {
        return Ok(text.to_owned());
    }
    // Bound before building: a short pattern may blow up a long text.
    let grown = text.len() / from.len() * to.len();
    if grown > RESULT_BYTES_MAX {
        return Err(too_large());
    }
    Ok(text.replace(from, to))
}

fn split_part<'a>(text: &'a str, delimiter: &str, n: i64) -> Result<&'a str> {
    if n == 0 {
        return Err(EvalError::parameter("field position must be greater than zero"));
    }
    let index = usize::try_from(n.unsigned_abs() - 1).unwrap_or(usize::MAX);
    if delimiter.is_empty() {
        return Ok(if index == 0 { text } else { "" });
    }
    let field = if n > 0 { text.split(delimiter).nth(index) } else { text.rsplit(delimiter).nth(index) };
    Ok(field.unwrap_or(""))
}

fn initcap(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut within = false;
    for c in text.chars() {
        if within {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        within = c.is_alphanumeric();
    }
    out
}

fn translate(text: &str, from: &str, to: &str) -> String {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    text.chars()
        .filter_map(|c| match from.iter().position(|f| *f == c) {
            Some(at) => to.get(at).copied(),
            None => Some(c),
        })
        .collect()
}

fn chr(code: i64) -> Result<String> {
    if code == 0 {
        return Err(EvalError::raise("54000", "null character not permitted"));
    }
    if (0xd800..0xe000).contains(&code) {
        let message = format!("requested character not valid for encoding: {code}");
        return Err(EvalError::raise("54000", message));
    }
    let c = u32::try_from(code).ok().and_then(char::from_u32);
    c.map(String::from).ok_or_else(|| {
        EvalError::raise("54000", format!("requested character too large for encoding: {code}"))
    })
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// PostgreSQL breaks base64 after this many characters.
const BASE64_LINE: usize = 76;

fn encode(bytes: &[u8], how: &str) -> Result<String> {
    let mut out = Vec::new();
    match how.to_ascii_lowercase().as_str() {
        "hex" => format::hex(bytes, &mut out),
        "base64" => {
            for chunk in bytes.chunks(3) {
                let word =
                    chunk.iter().fold(0u32, |w, b| (w << 8) | u32::from(*b)) << (8 * (3 - chunk.len()));
                if out.len() % (BASE64_LINE + 1) == BASE64_LINE {
                    out.push(b'\n');
                }
                for i in 0..4 {
                    let digit = BASE64[(word >> (18 - 6 * i)) as usize & 63];
                    out.push(if i <= chunk.len() { digit } else { b'=' });
                }
            }
        }
        "escape" => {
            for byte in bytes {
                match byte {
                    0 | 128.. => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    byte => out.push(*byte),
                }
            }
        }
        _ => return Err(EvalError::parameter(format!("unrecognized encoding: \"{how}\""))),
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn decode(text: &str, how: &str) -> Result<Vec<u8>> {
    match how.to_ascii_lowercase().as_str() {
        "hex" => parse::unhex(text),
        "base64" => decode_base64(text),
        "escape" => parse::bytea(text),
        _ => Err(EvalError::parameter(format!("unrecognized encoding: \"{how}\""))),
    }
}

fn decode_base64(text: &str) -> Result<Vec<u8>> {
    let bad = |message: String| EvalError::parameter(message);
    let (mut word, mut have, mut pad) = (0u32, 0, 0);
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for c in text.chars().filter(|c| !matches!(c, ' ' | '\t' | '\n' | '\r')) {
        let digit = if c == '=' {
            if have < 2 {
                return Err(bad("unexpected \"=\" while decoding base64 sequence".into()));
            }
            pad += 1;
            0
        } else {
            let found = BASE64.iter().position(|b| char::from(*b) == c).filter(|_| pad == 0);
            found
                .ok_or_else(|| bad(format!("invalid symbol \"{c}\" found while decoding base64 sequence")))?
                as u32
        };
        word = (word << 6) | digit;
        have += 1;
        if have == 4 {
            out.extend_from_slice(&word.to_be_bytes()[1..4 - pad.min(2)]);
            (word, have) = (0, 0);
        }
    }
    if have != 0 {
        let hint = "Input data is missing padding, is truncated, or is otherwise corrupted.";
        return Err(EvalError::raise_with_hint("22023", "invalid base64 end sequence", hint));
    }
    Ok(out)
}

pub(super) fn index<T>(i: i64, len: usize, get: impl FnOnce(usize) -> T) -> Result<T> {
    match usize::try_from(i).ok().filter(|i| *i < len) {
        Some(i) => Ok(get(i)),
        None => {
            let last = len as i64 - 1;
            Err(EvalError::raise("2202E", format!("index {i} out of valid range, 0..{last}")))
        }
    }
}

fn concat<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let parts = args.iter().filter_map(text_of);
    Ok(Datum::Text(arena.text(&parts.collect::<String>())))
}

fn text_of<'a>(datum: &Datum<'a>) -> Option<&'a str> {
    match datum {
        Datum::Text(text) => Some(text),
        _ => None,
    }
}

fn concat_ws<'a>(args: &[Datum<'a>], _: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    match args {
        [Datum::Text(separator), rest @ ..] => {
            let parts: Vec<&str> = rest.iter().filter_map(text_of).collect();
            Ok(Datum::Text(arena.text(&parts.join(separator))))
        }
        _ => Ok(Datum::Null),
    }
}

/// Texts as an array of one dimension.
pub(crate) fn text_array<'a, 't>(
    items: impl Iterator<Item = Option<&'t str>>,
    arena: &'a Arena,
) -> Datum<'a> {
    let (mut body, mut len) = (Vec::new(), 0);
    for item in items {
        row::push_datum(&mut body, item.map_or(Datum::Null, Datum::Text));
        len += 1;
    }
    container::push_array_end(&mut body, if len == 0 { &[] } else { std::slice::from_ref(&len) });
    Datum::Array(Array(arena.bytes(&body)))
}

/// The parts between delimiters; a NULL delimiter splits into characters.
pub(crate) fn string_to_array<'a>(args: &[Datum<'a>], arena: &'a Arena) -> Evaluated<'a> {
    let Some(Datum::Text(text)) = args.first() else { return Ok(Datum::Null) };
    let null = args.get(2).and_then(text_of);
    let item = |part: &'a str| Some(part).filter(|part| Some(*part) != null);
    if text.is_empty() {
        return Ok(text_array(std::iter::empty(), arena));
    }
    Ok(match args.get(1) {
        // Nothing to split at leaves the text whole, NULL string or not.
        Some(Datum::Text("")) => text_array(std::iter::once(Some(*text)), arena),
        Some(Datum::Text(delimiter)) => text_array(text.split(*delimiter).map(item), arena),
        _ => {
            let ends = text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()]);
            text_array(ends.map(item), arena)
        }
    })
}

/// An ESCAPE character's LIKE pattern as one that escapes by backslash.
fn like_escape(pattern: &str, escape: &str) -> Result<String> {
    let mut chars = escape.chars();
    let escape = chars.next();
    if chars.next().is_some() {
        let hint = "Escape string must be empty or one character.";
        return Err(EvalError::raise_with_hint("22025", "invalid escape string", hint));
    }
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            c if Some(c) == escape => {
                let next = rest
                    .next()
                    .ok_or_else(|| EvalError::raise("22025", "unterminated escape sequence in LIKE"))?;
                out.push('\\');
                out.push(next);
            }
            '\\' => out.push_str("\\\\"),
            c => out.push(c),
        }
    }
    Ok(out)
}

/// CRC-32 as zlib computes it.
fn crc32(bytes: &[u8]) -> i64 {
    let step = |crc: u32, byte: &u8| {
        let mut crc = crc ^ u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
        crc
    };
    i64::from(!bytes.iter().fold(!0, step))
}

pub(super) const KERNELS: Table = &[
    kernel!("cat_text_text", |a: &str, b: &str| ok([a, b].concat())),
    kernel!("cat_bytea_bytea", |a: &[u8], b: &[u8]| ok([a, b].concat())),
    kernel!("ascii_text", |a: &str| ok(a.chars().next().map_or(0, |c| i64::from(u32::from(c))))),
    kernel!("bit_count_bytea", |a: &[u8]| ok(a.iter().map(|b| i64::from(b.count_ones())).sum::<i64>())),
    kernel!("bit_length_bytea", |a: &[u8]| count(a.len() * 8)),
    kernel!("bit_length_text", |a: &str| count(a.len() * 8)),
    kernel!("btrim_text", |a: &'a str| ok(trim(a, " ", true, true))),
    kernel!("btrim_text_text", |a: &'a str, b: &str| ok(trim(a, b, true, true))),
    kernel!("ltrim_text", |a: &'a str| ok(trim(a, " ", true, false))),
    kernel!("ltrim_text_text", |a: &'a str, b: &str| ok(trim(a, b, true, false))),
    kernel!("rtrim_text", |a: &'a str| ok(trim(a, " ", false, true))),
    kernel!("rtrim_text_text", |a: &'a str, b: &str| ok(trim(a, b, false, true))),
    kernel!("length_text", |a: &str| count(characters(a))),
    kernel!("length_bytea", |a: &[u8]| count(a.len())),
    kernel!("octet_length_text", |a: &str| count(a.len())),
    kernel!("octet_length_bytea", |a: &[u8]| count(a.len())),
    kernel!("chr_int4", |a: i64| chr(a)),
    ("concat", lax(concat)),
    ("concat_ws", lax(concat_ws)),
    kernel!("constant_time_eq_bytea_bytea", |a: &[u8], b: &[u8]| ok(constant_time_eq(a, b))),
    kernel!("constant_time_eq_text_text", |a: &str, b: &str| {
        ok(constant_time_eq(a.as_bytes(), b.as_bytes()))
    }),
    kernel!("crc32_text", |a: &str| ok(crc32(a.as_bytes()))),
    kernel!("crc32_bytea", |a: &[u8]| ok(crc32(a))),
    kernel!("decode_text_text", |a: &str, b: &str| decode(a, b)),
    kernel!("encode_bytea_text", |a: &[u8], b: &str| encode(a, b)),
    kernel!("get_bit_bytea_int4", |a: &[u8], b: i64| {
        index(b, a.len() * 8, |i| i64::from(a[i / 8] >> (i % 8) & 1))
    }),
    kernel!("get_byte_bytea_int4", |a: &[u8], b: i64| index(b, a.len(), |i| i64::from(a[i]))),
    kernel!("initcap_text", |a: &str| ok(initcap(a))),
    kernel!("left_text_int4", |a: &'a str, b: i64| ok(left(a, b))),
    kernel!("right_text_int4", |a: &'a str, b: i64| ok(right(a, b))),
    kernel!("like_escape_text_text", |a: &str, b: &str| like_escape(a, b)),
    kernel!("lower_text", |a: &str| ok(a.to_lowercase())),
    kernel!("upper_text", |a: &str| ok(a.to_uppercase())),
    kernel!("lpad_text_int4", |a: &str, b: i64| pad(a, b, " ", true)),
    kernel!("lpad_text_int4_text", |a: &str, b: i64, c: &str| pad(a, b, c, true)),
    kernel!("rpad_text_int4", |a: &str, b: i64| pad(a, b, " ", false)),
    kernel!("rpad_text_int4_text", |a: &str, b: i64, c: &str| pad(a, b, c, false)),
    kernel!("position_text_text", |a: &str, b: &str| position(a, b)),
    kernel!("strpos_text_text", |a: &str, b: &str| position(b, a)),
    kernel!("repeat_text_int4", |a: &str, b: i64| repeat(a, b)),
    kernel!("replace_text_text_text", |a: &str, b: &str, c: &str| replace(a, b, c)),
    kernel!("reverse_text", |a: &str| ok(a.chars().rev().collect::<String>())),
    kernel!("split_part_text_text_int4", |a: &'a str, b: &str, c: i64| split_part(a, b, c)),
    kernel!("starts_with_text_text", |a: &str, b: &str| ok(a.starts_with(b))),
    ("string_to_array_text_text", lax(|args, _, arena| string_to_array(args, arena))),
    ("string_to_array_text_text_text", lax(|args, _, arena| string_to_array(args, arena))),
    kernel!("substring_text_int4", |a: &'a str, b: i64| substring(a, b, None)),
    kernel!("substring_text_int4_int4", |a: &'a str, b: i64, c: i64| substring(a, b, Some(c))),
    kernel!("substring_bytea_int4", |a: &'a [u8], b: i64| byte_substring(a, b, None)),
    kernel!("substring_bytea_int4_int4", |a: &'a [u8], b: i64, c: i64| byte_substring(a, b, Some(c))),
    kernel!("translate_text_text_text", |a: &str, b: &str, c: &str| ok(translate(a, b, c))),
];

fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}
