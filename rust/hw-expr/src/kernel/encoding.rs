//! Texts in other encodings and normal forms, bytes changed in place, hashes.

use super::digest::sha1;
use super::text::{index, too_large};
use super::{Table, kernel};
use crate::error::EvalError;
use encoding_rs::Encoding;
use unicode_normalization::UnicodeNormalization;

type Result<T> = std::result::Result<T, EvalError>;

fn ok<T>(value: T) -> Result<T> {
    Ok(value)
}

/// The encoding of a name, whatever stands between its words.
fn encoding(name: &str) -> Result<&'static Encoding> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_', ' '], "");
    let wanted = plain(name);
    // PostgreSQL's names where the web has others.
    let known = match wanted.as_str() {
        "latin1" | "iso88591" => return Ok(encoding_rs::WINDOWS_1252),
        "win1250" | "win1251" | "win1252" | "win1253" | "win1254" | "win1255" | "win1256" | "win1257"
        | "win1258" => {
            format!("windows-{}", &wanted[3..])
        }
        "sjis" => "shift_jis".to_owned(),
        "eucjp" => "euc-jp".to_owned(),
        "euckr" => "euc-kr".to_owned(),
        "koi8" | "koi8r" => "koi8-r".to_owned(),
        wanted if wanted.starts_with("iso8859") => format!("iso-8859-{}", &wanted[7..]),
        _ => name.to_ascii_lowercase(),
    };
    let found = Encoding::for_label(known.as_bytes()).or_else(|| Encoding::for_label(wanted.as_bytes()));
    found.ok_or_else(|| EvalError::parameter(format!("invalid encoding name '{name}'")))
}

fn is_utf8(name: &str) -> bool {
    matches!(name.to_ascii_lowercase().as_str(), "utf8" | "utf-8")
}

/// Bytes of an encoding as a text.
pub(super) fn convert_from<'a>(bytes: &'a [u8], name: &str) -> Result<std::borrow::Cow<'a, str>> {
    if is_utf8(name) {
        let invalid = |why: String| {
            EvalError::raise("22021", format!("invalid byte sequence '{why}' for encoding '{name}'"))
        };
        if bytes.contains(&0) {
            return Err(invalid("0x00".into()));
        }
        return std::str::from_utf8(bytes).map(Into::into).map_err(|error| invalid(error.to_string()));
    }
    let found = encoding(name)?;
    found.decode_without_bom_handling_and_without_replacement(bytes).ok_or_else(|| {
        let bytes: Vec<String> = bytes.iter().take(8).map(|byte| format!("0x{byte:02x}")).collect();
        let message = format!("invalid byte sequence for encoding \"{}\": {}", found.name(), bytes.join(" "));
        EvalError::raise("22021", message)
    })
}

/// A text as bytes of an encoding.
fn convert_to(text: &str, name: &str) -> Result<Vec<u8>> {
    if is_utf8(name) {
        return Ok(text.as_bytes().to_vec());
    }
    let found = encoding(name)?;
    let (bytes, _, lossy) = found.encode(text);
    if lossy {
        let message = format!("character has no equivalent in encoding \"{}\"", found.name());
        return Err(EvalError::raise("22P05", message));
    }
    Ok(bytes.into_owned())
}

fn normalize(text: &str, form: &str) -> Result<String> {
    Ok(match form.to_ascii_lowercase().as_str() {
        "nfc" => text.nfc().collect(),
        "nfd" => text.nfd().collect(),
        "nfkc" => text.nfkc().collect(),
        "nfkd" => text.nfkd().collect(),
        _ => return Err(EvalError::parameter(format!("invalid normalization form: {form}"))),
    })
}

/// `\XXXX`, `\+XXXXXX`, `\uXXXX` and `\UXXXXXXXX` as the characters that they number.
fn unistr(text: &str) -> Result<String> {
    let bad = || EvalError::raise("42601", "invalid Unicode escape");
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(tail) = rest.strip_prefix('\\') {
            out.push('\\');
            rest = tail;
            continue;
        }
        let (skip, digits) = match rest.as_bytes().first() {
            Some(b'+') => (1, 6),
            Some(b'u') => (1, 4),
            Some(b'U') => (1, 8),
            _ => (0, 4),
        };
        let hex = rest.get(skip..skip + digits).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok()).ok_or_else(bad)?;
        rest = &rest[skip + digits..];
        let low =
            rest.strip_prefix('\\').map(|tail| tail.trim_start_matches('u')).and_then(|tail| tail.get(..4));
        match (code, low.and_then(|hex| u32::from_str_radix(hex, 16).ok())) {
            (0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) => {
                let code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                out.push(char::from_u32(code).ok_or_else(bad)?);
                let tail = &rest[1..];
                rest = &tail.trim_start_matches('u')[4..];
            }
            (code, _) => out.push(
                char::from_u32(code)
                    .filter(|c| *c != '\0')
                    .ok_or_else(|| EvalError::parameter(format!("invalid Unicode code point: {code:04X}")))?,
            ),
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn set_byte(bytes: &[u8], at: i64, value: i64) -> Result<Vec<u8>> {
    let at = index(at, bytes.len(), |at| at)?;
    let mut out = bytes.to_vec();
    out[at] = value as u8;
    Ok(out)
}

fn set_bit(bytes: &[u8], at: i64, value: i64) -> Result<Vec<u8>> {
    let at = index(at, bytes.len() * 8, |at| at)?;
    if !(0..=1).contains(&value) {
        return Err(EvalError::parameter("new bit must be 0 or 1"));
    }
    let mut out = bytes.to_vec();
    let mask = 1 << (at % 8);
    out[at / 8] = if value == 1 { out[at / 8] | mask } else { out[at / 8] & !mask };
    Ok(out)
}

/// The part of `len` items from `start`, from 1, and what goes before and behind it.
fn overlaid<T: Clone>(items: &[T], with: &[T], start: i64, len: i64) -> Result<Vec<T>> {
    if start <= 0 {
        return Err(EvalError::raise("22011", "negative substring length not allowed"));
    }
    let end = start.checked_add(len).ok_or(EvalError::OutOfRange("integer"))?;
    let at = |n: i64| usize::try_from(n - 1).unwrap_or(0).min(items.len());
    if items.len() + with.len() > super::text::RESULT_BYTES_MAX {
        return Err(too_large());
    }
    Ok([&items[..at(start)], with, &items[at(end)..]].concat())
}

fn overlay_text(text: &str, with: &str, start: i64, len: Option<i64>) -> Result<String> {
    let (items, put): (Vec<char>, Vec<char>) = (text.chars().collect(), with.chars().collect());
    let len = len.unwrap_or(put.len() as i64);
    Ok(overlaid(&items, &put, start, len)?.into_iter().collect())
}

fn trim_bytes<'a>(bytes: &'a [u8], set: &[u8], left: bool, right: bool) -> &'a [u8] {
    let mut from = bytes;
    while left && from.first().is_some_and(|byte| set.contains(byte)) {
        from = &from[1..];
    }
    while right && from.last().is_some_and(|byte| set.contains(byte)) {
        from = &from[..from.len() - 1];
    }
    from
}

fn byte_position(needle: &[u8], bytes: &[u8]) -> i64 {
    memchr::memmem::find(bytes, needle).map_or(0, |at| at as i64 + 1)
}

/// MurmurHash2 as Kafka's default partitioner computes it.
fn murmur2(bytes: &[u8]) -> i64 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ bytes.len() as u32;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    for (i, byte) in rest.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * i);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    i64::from((hash ^ (hash >> 15)) as i32)
}

/// A UUID of version 5. Source: RFC 9562, section 5.5.
fn uuid_v5(namespace: [u8; 16], name: &str) -> [u8; 16] {
    let hash = sha1(&[&namespace, name.as_bytes()].concat());
    let mut out = [0; 16];
    out.copy_from_slice(&hash[..16]);
    out[6] = out[6] & 0x0f | 0x50;
    out[8] = out[8] & 0x3f | 0x80;
    out
}

fn hex(value: u64) -> String {
    format!("{value:x}")
}

const UNITS: [(&str, u32); 6] = [("bytes", 0), ("kB", 10), ("MB", 20), ("GB", 30), ("TB", 40), ("PB", 50)];
/// A size is shown in the next unit from this many of one on.
const SHOWN_MAX: i128 = 10 * 1024;

/// A size in bytes with a unit that keeps it short. Source: PostgreSQL's `pg_size_pretty`.
fn size_pretty(size: i128) -> String {
    let half_rounded = |value: i128| if value < 0 { (value - 1) / 2 } else { (value + 1) / 2 };
    if size.abs() < SHOWN_MAX {
        return format!("{size} bytes");
    }
    // One bit more than the unit is kept, to round by.
    let mut value = size >> 9;
    for (name, _) in &UNITS[1..UNITS.len() - 1] {
        if value.abs() < 2 * SHOWN_MAX - 1 {
            return format!("{} {name}", half_rounded(value));
        }
        value >>= 10;
    }
    format!("{} PB", half_rounded(value))
}

fn size_bytes(text: &str) -> Result<i64> {
    let invalid = || EvalError::parameter(format!("invalid size: \"{text}\""));
    let trimmed = text.trim();
    let end =
        trimmed.find(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E')).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let number = hw_types::numeric::Numeric::parse(number.trim()).map_err(|_| invalid())?;
    let unit = unit.trim();
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" | "bytes" => 0,
        "kb" => 10,
        "mb" => 20,
        "gb" => 30,
        "tb" => 40,
        "pb" => 50,
        _ => return Err(invalid()),
    };
    let bytes = number.mul(&hw_types::numeric::Numeric::from(1i64 << shift))?.trunc(0)?;
    bytes.to_i128().and_then(|bytes| i64::try_from(bytes).ok()).ok_or(EvalError::OutOfRange("bigint"))
}

pub(super) const KERNELS: Table = &[
    kernel!("convert_from_bytea_text", |a: &'a [u8], b: &str| Ok::<_, EvalError>(
        convert_from(a, b)?.into_owned()
    )),
    kernel!("convert_to_text_text", |a: &str, b: &str| convert_to(a, b)),
    kernel!("convert_bytea_text_text", |a: &[u8], b: &str, c: &str| convert_to(&convert_from(a, b)?, c)),
    kernel!("length_bytea_text", |a: &'a [u8], b: &str| {
        Ok::<_, EvalError>(convert_from(a, b)?.chars().count() as i64)
    }),
    kernel!("normalize_text_text", |a: &str, b: &str| normalize(a, b)),
    kernel!("is_normalized_text_text", |a: &str, b: &str| Ok::<_, EvalError>(normalize(a, b)? == a)),
    kernel!("unistr_text", |a: &str| unistr(a)),
    kernel!("set_byte_bytea_int4_int4", |a: &[u8], b: i64, c: i64| set_byte(a, b, c)),
    kernel!("set_bit_bytea_int8_int4", |a: &[u8], b: i64, c: i64| set_bit(a, b, c)),
    kernel!("overlay_text_text_int4", |a: &str, b: &str, c: i64| overlay_text(a, b, c, None)),
    (
        "overlay_text_text_int4_int4",
        super::many(|args, _, arena| {
            let with = overlay_text(
                super::arg(args, 0)?,
                super::arg(args, 1)?,
                super::arg(args, 2)?,
                Some(super::arg(args, 3)?),
            )?;
            Ok(hw_types::datum::Datum::Text(arena.text(&with)))
        }),
    ),
    kernel!("overlay_bytea_bytea_int4", |a: &[u8], b: &[u8], c: i64| overlaid(a, b, c, b.len() as i64)),
    (
        "overlay_bytea_bytea_int4_int4",
        super::many(|args, _, arena| {
            let (bytes, with): (&[u8], &[u8]) = (super::arg(args, 0)?, super::arg(args, 1)?);
            let out = overlaid(bytes, with, super::arg(args, 2)?, super::arg(args, 3)?)?;
            Ok(hw_types::datum::Datum::Bytes(arena.bytes(&out)))
        }),
    ),
    kernel!("btrim_bytea_bytea", |a: &'a [u8], b: &[u8]| ok(trim_bytes(a, b, true, true))),
    kernel!("ltrim_bytea_bytea", |a: &'a [u8], b: &[u8]| ok(trim_bytes(a, b, true, false))),
    kernel!("rtrim_bytea_bytea", |a: &'a [u8], b: &[u8]| ok(trim_bytes(a, b, false, true))),
    kernel!("position_bytea_bytea", |a: &[u8], b: &[u8]| ok(byte_position(a, b))),
    kernel!("kafka_murmur2_text", |a: &str| ok(murmur2(a.as_bytes()))),
    kernel!("kafka_murmur2_bytea", |a: &[u8]| ok(murmur2(a))),
    kernel!("seahash_text", |a: &str| ok(seahash::hash(a.as_bytes()))),
    kernel!("seahash_bytea", |a: &[u8]| ok(seahash::hash(a))),
    kernel!("uuid_generate_v5_uuid_text", |a: [u8; 16], b: &str| ok(uuid_v5(a, b))),
    kernel!("to_hex_int4", |a: i64| ok(hex((a as u32).into()))),
    kernel!("to_hex_int8", |a: i64| ok(hex(a as u64))),
    kernel!("pg_size_pretty_int8", |a: i64| ok(size_pretty(a.into()))),
    kernel!("pg_size_pretty_numeric", |a: hw_types::numeric::Numeric| {
        Ok::<_, EvalError>(a.trunc(0)?.to_i128().map(size_pretty))
    }),
    kernel!("pg_size_bytes_text", |a: &str| size_bytes(a)),
];
