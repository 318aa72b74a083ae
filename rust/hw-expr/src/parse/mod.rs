//! Values from PostgreSQL's text form and binary form, as encoded datums.

mod binary;
mod container;
mod datetime;
mod fields;
mod interval;
mod json;
pub mod zone;

pub use binary::from_binary;
pub use datetime::{date, time, timestamp, timestamptz, timestamptz_in};
pub use interval::interval;
pub use json::json;

pub(crate) use container::canonical_range;
pub(crate) use datetime::round_to as round_moment;

use crate::error::{EvalError, Quoted};
use hw_types::datum::{Datum, Jsonb};
use hw_types::numeric::{Numeric, NumericError};
use hw_types::row;
use hw_types::scalar::{BaseType, ScalarType};

type Result<T> = std::result::Result<T, EvalError>;

/// The encoded datum that `text` writes in type `ty`.
pub fn from_text(ty: &ScalarType, text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    push_from_text(ty, text, &mut out)?;
    Ok(out)
}

/// Appends the encoded datum that `text` writes in type `ty`; nothing is appended on error.
pub fn push_from_text(ty: &ScalarType, text: &str, out: &mut Vec<u8>) -> Result<()> {
    use BaseType as B;
    match ty.base {
        B::Bool => row::push_datum(out, Datum::bool(boolean(text)?)),
        B::Int2 => row::push_int(out, integer::<i16>(text, "smallint")?.into()),
        B::Int4 => row::push_int(out, integer::<i32>(text, "integer")?.into()),
        B::Int8 => row::push_int(out, integer::<i64>(text, "bigint")?),
        B::Uint2 => row::push_uint(out, integer::<u16>(text, "uint2")?.into()),
        B::Uint4 => row::push_uint(out, integer::<u32>(text, "uint4")?.into()),
        B::Uint8 => row::push_uint(out, integer::<u64>(text, "uint8")?),
        B::Oid | B::Regclass | B::Regproc | B::Regtype => row::push_int(out, oid(text)?),
        B::Float4 => row::push_datum(out, Datum::Float4(float4(text)?)),
        B::Float8 => row::push_datum(out, Datum::Float8(float8(text)?)),
        B::Numeric => row::push_datum(out, Datum::Numeric(rescale(&numeric(text)?, ty.modifier)?)),
        B::Text | B::Unknown | B::MzAclitem | B::Aclitem => row::push_text(out, checked(text)?),
        B::Name => row::push_text(out, truncate_name(checked(text)?)),
        B::Char => row::push_text(out, first_char(checked(text)?)),
        B::Varchar => {
            row::push_text(out, fit_length(checked(text)?, ty.modifier, false, "character varying")?)
        }
        B::Bpchar => {
            row::push_text(out, unpadded(fit_length(checked(text)?, ty.modifier, false, "character")?));
        }
        B::Bytea => row::push_datum(out, Datum::Bytes(&bytea(text)?)),
        B::Date => row::push_int(out, date(text)?),
        B::Time => row::push_int(out, time(text)?),
        B::Timestamp => row::push_int(out, datetime::round_to(timestamp(text)?, ty.modifier)?),
        B::Timestamptz => row::push_int(out, datetime::round_to(timestamptz(text)?, ty.modifier)?),
        B::MzTimestamp => row::push_uint(out, mz_timestamp(text)?),
        B::Interval => row::push_datum(out, Datum::Interval(interval(text)?)),
        B::Uuid => row::push_datum(out, Datum::Uuid(uuid(text)?)),
        B::Jsonb => row::push_datum(out, Datum::Jsonb(Jsonb(&json(text)?))),
        B::Array | B::Int2vector | B::List | B::Map | B::Record | B::Range => {
            out.extend_from_slice(&container::from_text(ty, text)?);
        }
    }
    Ok(())
}

fn blanks(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

fn checked(text: &str) -> Result<&str> {
    if text.contains('\0') {
        return Err(EvalError::raise("22021", "invalid byte sequence for encoding \"UTF8\": 0x00"));
    }
    Ok(text)
}

/// Reads a boolean: any prefix of true, false, yes, no, on, off; 1, 0.
pub fn boolean(text: &str) -> Result<bool> {
    let word = text.trim_matches(blanks).to_ascii_lowercase();
    match word.as_str() {
        "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => Ok(true),
        "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => Ok(false),
        _ => Err(EvalError::invalid("boolean", text)),
    }
}

/// Reads an integer of a machine type.
pub fn integer<T: std::str::FromStr<Err = std::num::ParseIntError>>(
    text: &str,
    name: &'static str,
) -> Result<T> {
    use std::num::IntErrorKind as K;
    let word = text.trim_matches(blanks);
    // Rust takes a leading plus as PostgreSQL does, and nothing else but digits.
    word.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        K::PosOverflow | K::NegOverflow => out_of_range(text, name),
        // An unsigned type calls a minus an invalid digit.
        K::InvalidDigit
            if word.len() > 1 && word.starts_with('-') && word[1..].bytes().all(|b| b.is_ascii_digit()) =>
        {
            out_of_range(text, name)
        }
        _ => EvalError::invalid_because(name, error.to_string(), text),
    })
}

fn out_of_range(text: &str, name: &str) -> EvalError {
    EvalError::raise("22003", format!("{} is out of range for type {name}", Quoted(text)))
}

fn oid(text: &str) -> Result<i64> {
    let value: i64 = integer(text, "oid")?;
    match value {
        0..=0xffff_ffff => Ok(value),
        -0x8000_0000..0 => Ok(value + (1 << 32)),
        _ => Err(out_of_range(text, "oid")),
    }
}

/// Reads a double-precision float.
pub fn float8(text: &str) -> Result<f64> {
    let word = text.trim_matches(blanks);
    let value: f64 = float_word(word).ok_or_else(|| EvalError::invalid("double precision", text))?;
    let finite_text = word.bytes().any(|b| b.is_ascii_digit());
    if finite_text && (value.is_infinite() || (value == 0.0 && has_nonzero_digit(word))) {
        return Err(EvalError::raise(
            "22003",
            format!("{} is out of range for type double precision", Quoted(word)),
        ));
    }
    Ok(value)
}

/// Reads a single-precision float.
pub fn float4(text: &str) -> Result<f32> {
    let word = text.trim_matches(blanks);
    // Parsing at the target's width rounds once.
    float_word::<f64>(word).ok_or_else(|| EvalError::invalid("real", text))?;
    let value: f32 = float_word(word).ok_or_else(|| EvalError::invalid("real", text))?;
    let finite_text = word.bytes().any(|b| b.is_ascii_digit());
    if finite_text && (value.is_infinite() || (value == 0.0 && has_nonzero_digit(word))) {
        return Err(EvalError::raise("22003", format!("\"{word}\" is out of range for type real")));
    }
    Ok(value)
}

fn float_word<T: std::str::FromStr>(word: &str) -> Option<T> {
    let lower = word.to_ascii_lowercase();
    let unsigned = lower.trim_start_matches(['+', '-']);
    let known = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || matches!(unsigned, "nan" | "inf" | "infinity");
    if !known || lower.len() - unsigned.len() > 1 {
        return None;
    }
    lower.parse().ok()
}

fn has_nonzero_digit(word: &str) -> bool {
    let mantissa = word.split(['e', 'E']).next().unwrap_or(word);
    mantissa.bytes().any(|b| (b'1'..=b'9').contains(&b))
}

/// Reads a numeric; infinities, which numeric results may be, are not read.
pub fn numeric(text: &str) -> Result<Numeric> {
    let word = text.trim_matches(blanks);
    match Numeric::parse(word) {
        Ok(value) if value.is_finite() || word.eq_ignore_ascii_case("nan") => Ok(value),
        Err(NumericError::Overflow | NumericError::Underflow) => Err(EvalError::raise(
            "22003",
            format!("{} is out of range for type numeric: exceeds maximum precision 39", Quoted(text)),
        )),
        _ => Err(EvalError::invalid("numeric", text)),
    }
}

/// Rounds to a declared scale, where there is one.
pub fn rescale(value: &Numeric, scale: Option<i64>) -> Result<Numeric> {
    let Some(scale) = scale.and_then(|scale| i32::try_from(scale).ok()) else { return Ok(*value) };
    let overflow = || EvalError::raise("22003", "numeric field overflow");
    let rounded = value.round(scale).map_err(|_| overflow())?;
    // With `scale` digits after the point, 39 - scale are left before it.
    if rounded.is_finite() && !rounded.is_zero() && rounded.magnitude() + 1 + scale > 39 {
        return Err(overflow());
    }
    Ok(rounded)
}

fn truncate_name(text: &str) -> &str {
    const NAME_BYTES: usize = 63;
    let mut end = NAME_BYTES.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn first_char(text: &str) -> &str {
    text.char_indices().nth(1).map_or(text, |(at, _)| &text[..at])
}

/// A blank-padded text is kept without its padding, so that equal values have equal bytes.
pub fn unpadded(text: &str) -> &str {
    text.trim_end_matches(' ')
}

/// Cuts to a declared length: blanks always, anything else only where `cut` allows.
pub fn fit_length<'t>(text: &'t str, length: Option<i64>, cut: bool, name: &str) -> Result<&'t str> {
    let Some(length) = length.and_then(|length| usize::try_from(length).ok()) else { return Ok(text) };
    let Some((at, _)) = text.char_indices().nth(length) else { return Ok(text) };
    if !cut && text[at..].bytes().any(|byte| byte != b' ') {
        return Err(EvalError::raise("22001", format!("value too long for type {name}({length})")));
    }
    Ok(&text[..at])
}

/// Reads bytes, in hex after `\x` or in escape form.
pub fn bytea(text: &str) -> Result<Vec<u8>> {
    if let Some(hex) = text.strip_prefix("\\x") {
        return unhex(hex);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    let octal = |byte: u8, max: u8| (b'0'..=max).contains(&byte).then(|| byte - b'0');
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            (b'\\', [b'\\', tail @ ..]) => {
                out.push(b'\\');
                rest = tail;
            }
            (b'\\', [a, b, c, tail @ ..]) => match (octal(*a, b'3'), octal(*b, b'7'), octal(*c, b'7')) {
                (Some(a), Some(b), Some(c)) => {
                    out.push(a * 64 + b * 8 + c);
                    rest = tail;
                }
                _ => return Err(invalid_bytea()),
            },
            (b'\\', _) => return Err(invalid_bytea()),
            _ => out.push(byte),
        }
    }
    Ok(out)
}

fn invalid_bytea() -> EvalError {
    EvalError::raise("22P02", "invalid input syntax for type bytea")
}

/// Reads hex digits; blanks between bytes are passed over.
pub fn unhex(hex: &str) -> Result<Vec<u8>> {
    let digit = |c: char| {
        c.to_digit(16)
            .map(|d| d as u8)
            .ok_or_else(|| EvalError::raise("22023", format!("invalid hexadecimal digit: \"{c}\"")))
    };
    let mut out = Vec::with_capacity(hex.len() / 2);
    let mut chars = hex.chars().filter(|c| !blanks(*c));
    while let Some(high) = chars.next() {
        let high = digit(high)?;
        let low = chars
            .next()
            .ok_or_else(|| EvalError::raise("22023", "invalid hexadecimal data: odd number of digits"))?;
        out.push(high * 16 + digit(low)?);
    }
    Ok(out)
}

/// Reads a UUID: hex digits, with hyphens or none, in braces or not.
pub fn uuid(text: &str) -> Result<[u8; 16]> {
    let invalid = || EvalError::invalid("uuid", text);
    let word = text.strip_prefix('{').and_then(|word| word.strip_suffix('}')).unwrap_or(text);
    let mut out = [0; 16];
    let mut rest = word.as_bytes();
    for (i, byte) in out.iter_mut().enumerate() {
        // A hyphen may follow any group of four digits.
        if i > 0 && i % 2 == 0 && rest.first() == Some(&b'-') {
            rest = &rest[1..];
        }
        let (pair, tail) = rest.split_at_checked(2).ok_or_else(invalid)?;
        let digits = std::str::from_utf8(pair).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        *byte = digits.and_then(|d| u8::from_str_radix(d, 16).ok()).ok_or_else(invalid)?;
        rest = tail;
    }
    if rest.is_empty() { Ok(out) } else { Err(invalid()) }
}

/// Reads a system time: milliseconds, or a moment with time zone.
pub fn mz_timestamp(text: &str) -> Result<u64> {
    let word = text.trim_matches(blanks);
    if let Ok(millis) = word.parse() {
        return Ok(millis);
    }
    let unread = |why: String| {
        EvalError::invalid_because("mz_timestamp", format!("could not parse mz_timestamp: {why}"), text)
    };
    let micros = timestamptz(word).map_err(|error| {
        let number = "could not parse as number of milliseconds since epoch";
        unread(format!("{number}; could not parse as date and time: {error}"))
    })?;
    u64::try_from(micros.div_euclid(1000)).map_err(|_| unread("out of range for mz_timestamp".into()))
}
