//! The encoding of rows: each datum memcomparable, prefix-free, canonical, delimiting itself.
//!
//! A row is its datums one after the other. The first byte of a datum, its *tag*, says its kind and,
//! for whole numbers, sign and length:
//!
//! | tag | datum | what follows |
//! | --- | --- | --- |
//! | `00` | end of a container | |
//! | `02` `03` | false, true | |
//! | `10`…`17` | negative whole number of 8…1 bytes | magnitude, complemented |
//! | `18` | zero | |
//! | `19`…`20` | positive whole number of 1…8 bytes | magnitude |
//! | `24` `25` | float4, float8 | bits, ordered |
//! | `28`…`2d` | numeric −∞, −, 0, +, ∞, NaN | exponent and pairs of digits |
//! | `30` `31` | text, bytes | `00` as `00 ff`, then `00 00` |
//! | `32` | uuid | 16 bytes |
//! | `33` | interval | estimate (10 bytes), months, days |
//! | `38` | jsonb | see [`crate::jsonb`] |
//! | `40`…`43` | array, list, map, record | datums, `00`; an array's dimensions |
//! | `44` | range | see [`crate::container`] |
//! | `fe` | NULL | |
//!
//! Everything that reads checks lengths: malformed bytes are [`RowError`]s. [`RowReader`] is for rows
//! that were checked where they came in ([`check`]) and panics on what [`check`] would have refused.

use crate::arena::Arena;
use crate::container::{skip_container, skip_range};
use crate::datum::{Array, Datum, Jsonb, List, Map, Range, Record};
use crate::interval::{DAY_MICROS, Interval, MONTH_DAYS};
use crate::jsonb::skip_value;
use crate::numeric::{Kind, Numeric};
use thiserror::Error;

pub(crate) const END: u8 = 0x00;
const FALSE: u8 = 0x02;
const TRUE: u8 = 0x03;
const ZERO: u8 = 0x18;
const INT_FIRST: u8 = ZERO - 8;
const INT_LAST: u8 = ZERO + 8;
const FLOAT4: u8 = 0x24;
const FLOAT8: u8 = 0x25;
pub(crate) const NUMERIC_FIRST: u8 = 0x28;
const NUMERIC_LAST: u8 = 0x2d;
pub(crate) const TEXT: u8 = 0x30;
const BYTES: u8 = 0x31;
const UUID: u8 = 0x32;
const INTERVAL: u8 = 0x33;
const JSONB: u8 = 0x38;
pub(crate) const ARRAY: u8 = 0x40;
const LIST: u8 = 0x41;
const MAP: u8 = 0x42;
const RECORD: u8 = 0x43;
const RANGE: u8 = 0x44;
const NULL: u8 = 0xfe;

/// NULL, encoded.
pub const NULL_BYTES: &[u8] = &[NULL];

const INTERVAL_BYTES: usize = 18;
/// Containers within containers at most.
pub const DEPTH_MAX: usize = 128;

/// Why bytes are not a row.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RowError {
    /// The bytes end within a datum.
    #[error("row ends within a datum")]
    Truncated,
    /// Bytes remain where none are expected.
    #[error("row has bytes after its last datum")]
    Trailing,
    /// No datum begins with this byte.
    #[error("row has an unknown tag {0:#04x}")]
    Tag(u8),
    /// A text is not UTF-8.
    #[error("row has a text that is not UTF-8")]
    Utf8,
    /// A datum's payload is not one that was ever written.
    #[error("row has a malformed {0}")]
    Malformed(&'static str),
    /// Containers nest deeper than [`DEPTH_MAX`].
    #[error("row nests too deeply")]
    Depth,
}

/// Appends a datum's encoding.
pub fn push_datum(out: &mut Vec<u8>, datum: Datum<'_>) {
    match datum {
        Datum::Null => out.push(NULL),
        Datum::False => out.push(FALSE),
        Datum::True => out.push(TRUE),
        Datum::Int(value) => push_int(out, value),
        Datum::UInt(value) => push_magnitude(out, value),
        Datum::Float4(value) => {
            out.push(FLOAT4);
            out.extend_from_slice(&float4_bits(value).to_be_bytes());
        }
        Datum::Float8(value) => {
            out.push(FLOAT8);
            out.extend_from_slice(&float8_bits(value).to_be_bytes());
        }
        Datum::Numeric(value) => push_numeric(out, &value),
        Datum::Text(value) => push_text(out, value),
        Datum::Bytes(value) => {
            out.push(BYTES);
            push_escaped(out, value);
        }
        Datum::Uuid(value) => {
            out.push(UUID);
            out.extend_from_slice(&value);
        }
        Datum::Interval(value) => push_interval(out, &value),
        Datum::Jsonb(Jsonb(bytes)) => push_tagged(out, JSONB, bytes),
        Datum::Array(Array(bytes)) => push_tagged(out, ARRAY, bytes),
        Datum::List(List(bytes)) => push_tagged(out, LIST, bytes),
        Datum::Map(Map(bytes)) => push_tagged(out, MAP, bytes),
        Datum::Record(Record(bytes)) => push_tagged(out, RECORD, bytes),
        Datum::Range(Range(bytes)) => push_tagged(out, RANGE, bytes),
    }
}

fn push_tagged(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

/// Appends NULL.
pub fn push_null(out: &mut Vec<u8>) {
    out.push(NULL);
}

/// Appends a whole number.
#[inline]
pub fn push_int(out: &mut Vec<u8>, value: i64) {
    if value > 0 {
        push_magnitude(out, value as u64);
    } else if value == 0 {
        out.push(ZERO);
    } else {
        let magnitude = value.unsigned_abs();
        let len = 8 - (magnitude.leading_zeros() / 8) as usize;
        let mut buffer = [0; 9];
        buffer[1..].copy_from_slice(&(!magnitude).to_be_bytes());
        buffer[8 - len] = ZERO - len as u8;
        out.extend_from_slice(&buffer[8 - len..]);
    }
}

#[inline]
fn push_magnitude(out: &mut Vec<u8>, magnitude: u64) {
    let len = 8 - (magnitude.leading_zeros() / 8) as usize;
    let mut buffer = [0; 9];
    buffer[1..].copy_from_slice(&magnitude.to_be_bytes());
    buffer[8 - len] = ZERO + len as u8;
    out.extend_from_slice(&buffer[8 - len..]);
}

/// Appends an unsigned whole number.
pub fn push_uint(out: &mut Vec<u8>, value: u64) {
    if value == 0 { out.push(ZERO) } else { push_magnitude(out, value) }
}

/// Appends a text.
#[inline]
pub fn push_text(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 3);
    out.push(TEXT);
    push_escaped(out, text.as_bytes());
}

/// Appends bytes with zeros escaped, and the end.
pub(crate) fn push_escaped(out: &mut Vec<u8>, mut bytes: &[u8]) {
    while let Some(zero) = memchr::memchr(0, bytes) {
        out.extend_from_slice(&bytes[..=zero]);
        out.push(0xff);
        bytes = &bytes[zero + 1..];
    }
    out.extend_from_slice(bytes);
    out.extend_from_slice(&[0, 0]);
}

pub(crate) fn push_numeric(out: &mut Vec<u8>, value: &Numeric) {
    out.push(NUMERIC_FIRST + value.kind() as u8);
    if matches!(value.kind(), Kind::Negative | Kind::Positive) {
        value.encode(out);
    }
}

fn push_interval(out: &mut Vec<u8>, value: &Interval) {
    out.push(INTERVAL);
    let estimate = value.estimate() + (1i128 << 79);
    out.extend_from_slice(&estimate.to_be_bytes()[6..]);
    out.extend_from_slice(&((value.months as u32) ^ (1 << 31)).to_be_bytes());
    out.extend_from_slice(&((value.days as u32) ^ (1 << 31)).to_be_bytes());
}

/// A float's bits so that they order as SQL orders floats.
#[inline]
pub(crate) fn float8_bits(value: f64) -> u64 {
    let value = if value.is_nan() { f64::NAN.copysign(1.0) } else { value + 0.0 };
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
}

/// As [`float8_bits`].
#[inline]
pub(crate) fn float4_bits(value: f32) -> u32 {
    let value = if value.is_nan() { f32::NAN.copysign(1.0) } else { value + 0.0 };
    let bits = value.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | (1 << 31) }
}

fn float8_of(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits })
}

fn float4_of(bits: u32) -> f32 {
    f32::from_bits(if bits >> 31 == 1 { bits & !(1 << 31) } else { !bits })
}

fn chunk<const N: usize>(bytes: &[u8]) -> Result<[u8; N], RowError> {
    bytes.first_chunk::<N>().copied().ok_or(RowError::Truncated)
}

/// Reads the first datum of `bytes`, and says how many bytes it took.
///
/// What must be unescaped goes into `arena`; containers are borrowed without being looked into.
#[inline]
pub fn read_datum<'a>(bytes: &'a [u8], arena: &'a Arena) -> Result<(Datum<'a>, usize), RowError> {
    let Some((&tag, rest)) = bytes.split_first() else { return Err(RowError::Truncated) };
    match tag {
        INT_FIRST..=INT_LAST => read_int(tag, rest),
        TEXT => {
            let (raw, len) = read_escaped(rest, arena)?;
            let text = std::str::from_utf8(raw).map_err(|_| RowError::Utf8)?;
            Ok((Datum::Text(text), 1 + len))
        }
        NULL => Ok((Datum::Null, 1)),
        FALSE => Ok((Datum::False, 1)),
        TRUE => Ok((Datum::True, 1)),
        FLOAT8 => Ok((Datum::Float8(float8_of(u64::from_be_bytes(chunk(rest)?))), 9)),
        FLOAT4 => Ok((Datum::Float4(float4_of(u32::from_be_bytes(chunk(rest)?))), 5)),
        NUMERIC_FIRST..=NUMERIC_LAST => {
            let (value, len) = read_numeric(tag, rest)?;
            Ok((Datum::Numeric(value), 1 + len))
        }
        _ => read_rare(tag, bytes, rest, arena),
    }
}

fn read_rare<'a>(
    tag: u8,
    bytes: &'a [u8],
    rest: &'a [u8],
    arena: &'a Arena,
) -> Result<(Datum<'a>, usize), RowError> {
    let len = match tag {
        BYTES => {
            let (raw, len) = read_escaped(rest, arena)?;
            return Ok((Datum::Bytes(raw), 1 + len));
        }
        UUID => return Ok((Datum::Uuid(chunk(rest)?), 17)),
        INTERVAL => return Ok((Datum::Interval(read_interval(rest)?), 1 + INTERVAL_BYTES)),
        _ => try_skip(bytes)?,
    };
    let body = &bytes[1..len];
    let datum = match tag {
        JSONB => Datum::Jsonb(Jsonb(body)),
        ARRAY => Datum::Array(Array(body)),
        LIST => Datum::List(List(body)),
        MAP => Datum::Map(Map(body)),
        RECORD => Datum::Record(Record(body)),
        RANGE => Datum::Range(Range(body)),
        _ => return Err(RowError::Tag(tag)),
    };
    Ok((datum, len))
}

#[inline]
fn read_int<'a>(tag: u8, rest: &[u8]) -> Result<(Datum<'a>, usize), RowError> {
    let len = tag.abs_diff(ZERO) as usize;
    // Eight bytes are read at once where the row has them, which it mostly has.
    let raw = match rest.first_chunk::<8>() {
        Some(word) if len > 0 => u64::from_be_bytes(*word) >> (64 - 8 * len),
        _ => rest.get(..len).ok_or(RowError::Truncated)?.iter().fold(0, |n, b| (n << 8) | u64::from(*b)),
    };
    if tag >= ZERO {
        return Ok((Datum::uint(raw), 1 + len));
    }
    let mask = u64::MAX >> (64 - 8 * len);
    let magnitude = !raw & mask;
    if magnitude > 1 << 63 {
        return Err(RowError::Malformed("whole number"));
    }
    Ok((Datum::Int((magnitude as i64).wrapping_neg()), 1 + len))
}

/// The length of escaped bytes with their end, and whether any zero is escaped.
pub(crate) fn escaped_len(bytes: &[u8]) -> Result<(usize, bool), RowError> {
    let mut at = 0;
    let mut escapes = false;
    loop {
        at += memchr::memchr(0, &bytes[at..]).ok_or(RowError::Truncated)?;
        match bytes.get(at + 1) {
            Some(0) => return Ok((at + 2, escapes)),
            Some(0xff) => escapes = true,
            Some(_) => return Err(RowError::Malformed("text")),
            None => return Err(RowError::Truncated),
        }
        at += 2;
    }
}

pub(crate) fn read_escaped<'a>(bytes: &'a [u8], arena: &'a Arena) -> Result<(&'a [u8], usize), RowError> {
    let (len, escapes) = escaped_len(bytes)?;
    let raw = &bytes[..len - 2];
    if !escapes {
        return Ok((raw, len));
    }
    let mut plain = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(zero) = memchr::memchr(0, rest) {
        plain.extend_from_slice(&rest[..=zero]);
        rest = &rest[zero + 2..];
    }
    plain.extend_from_slice(rest);
    Ok((arena.bytes(&plain), len))
}

pub(crate) fn read_numeric(tag: u8, rest: &[u8]) -> Result<(Numeric, usize), RowError> {
    match tag - NUMERIC_FIRST {
        0 => Ok((Numeric::NEG_INFINITY, 0)),
        2 => Ok((Numeric::ZERO, 0)),
        4 => Ok((Numeric::INFINITY, 0)),
        5 => Ok((Numeric::NAN, 0)),
        kind => Numeric::decode(kind == 1, rest).ok_or(RowError::Malformed("numeric")),
    }
}

fn read_interval(rest: &[u8]) -> Result<Interval, RowError> {
    let raw: [u8; INTERVAL_BYTES] = chunk(rest)?;
    let mut wide = [0; 16];
    wide[6..].copy_from_slice(&raw[..10]);
    let estimate = i128::from_be_bytes(wide) - (1i128 << 79);
    let months = (u32::from_be_bytes(chunk(&raw[10..])?) ^ (1 << 31)) as i32;
    let days = (u32::from_be_bytes(chunk(&raw[14..])?) ^ (1 << 31)) as i32;
    let whole = (i64::from(months) * MONTH_DAYS + i64::from(days)) as i128 * i128::from(DAY_MICROS);
    let micros = i64::try_from(estimate - whole).map_err(|_| RowError::Malformed("interval"))?;
    Ok(Interval { months, days, micros })
}

pub(crate) fn numeric_len(bytes: &[u8]) -> Result<usize, RowError> {
    let flip = match bytes.first().ok_or(RowError::Truncated)? - NUMERIC_FIRST {
        1 => 0xff,
        3 => 0,
        _ => return Ok(1),
    };
    let digits = bytes.get(2..).ok_or(RowError::Truncated)?;
    let last = digits.iter().position(|b| (b ^ flip) & 1 == 0).ok_or(RowError::Truncated)?;
    Ok(3 + last)
}

/// The length of the first datum of `bytes`, 0 where `bytes` is empty.
///
/// # Panics
/// On bytes that [`check`] refuses.
#[inline]
pub fn skip(bytes: &[u8]) -> usize {
    if bytes.is_empty() {
        return 0;
    }
    try_skip(bytes).expect("rows are checked where they come in")
}

/// The length of the first datum of `bytes`.
#[inline]
pub fn try_skip(bytes: &[u8]) -> Result<usize, RowError> {
    skip_datum(bytes, 0)
}

pub(crate) fn skip_datum(bytes: &[u8], depth: usize) -> Result<usize, RowError> {
    let Some((&tag, rest)) = bytes.split_first() else { return Err(RowError::Truncated) };
    let len = 1 + match tag {
        INT_FIRST..=INT_LAST => tag.abs_diff(ZERO) as usize,
        TEXT | BYTES => escaped_len(rest)?.0,
        NULL | FALSE | TRUE => 0,
        FLOAT8 => 8,
        FLOAT4 => 4,
        NUMERIC_FIRST..=NUMERIC_LAST => numeric_len(bytes)? - 1,
        UUID => 16,
        INTERVAL => INTERVAL_BYTES,
        JSONB => skip_value(rest)?,
        ARRAY | LIST | MAP | RECORD => skip_container(tag == ARRAY, rest, depth + 1)?,
        RANGE => skip_range(rest, depth + 1)?,
        other => return Err(RowError::Tag(other)),
    };
    if len > bytes.len() { Err(RowError::Truncated) } else { Ok(len) }
}

/// Checks that `bytes` are a row of `arity` datums, all of them readable to the last byte.
pub fn check(bytes: &[u8], arity: usize) -> Result<(), RowError> {
    let mut arena = Arena::new();
    let mut at = 0;
    for _ in 0..arity {
        at += crate::check::check_datum(&bytes[at..], &arena)?;
        arena.reset();
    }
    if at == bytes.len() { Ok(()) } else { Err(RowError::Trailing) }
}

/// The datums of a row in order; for rows that were checked where they came in.
#[derive(Clone, Copy)]
pub struct RowReader<'a> {
    rest: &'a [u8],
    arena: &'a Arena,
}

impl<'a> RowReader<'a> {
    /// Reads `row`, unescaping into `arena` where it must.
    pub fn new(row: &'a [u8], arena: &'a Arena) -> Self {
        RowReader { rest: row, arena }
    }
    /// The bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for RowReader<'a> {
    type Item = Datum<'a>;
    #[inline]
    fn next(&mut self) -> Option<Datum<'a>> {
        let (&tag, tail) = self.rest.split_first()?;
        // Whole numbers of fewer than eight bytes are the most frequent, and need no checks but this.
        let len = tag.abs_diff(ZERO) as usize;
        if len < 8
            && let Some(word) = tail.first_chunk::<8>()
        {
            let raw = u64::from_be_bytes(*word);
            // The first shift takes 8 bits more where there are no bytes at all.
            let magnitude = if tag >= ZERO { raw } else { !raw } >> 8 >> (56 - 8 * len);
            let value = if tag >= ZERO { magnitude as i64 } else { -(magnitude as i64) };
            self.rest = &tail[len..];
            return Some(Datum::Int(value));
        }
        let (datum, len) = read_datum(self.rest, self.arena).expect("rows are checked where they come in");
        self.rest = &self.rest[len..];
        Some(datum)
    }
}

/// Appends all datums of a row to `into`.
#[inline]
pub fn unpack<'a>(row: &'a [u8], arena: &'a Arena, into: &mut Vec<Datum<'a>>) {
    into.extend(RowReader::new(row, arena));
}

/// Appends the offsets at which the datums of a row end.
pub fn ends(row: &[u8], into: &mut Vec<usize>) {
    let mut at = 0;
    while at < row.len() {
        at += skip(&row[at..]);
        into.push(at);
    }
}

/// The bytes of each datum of a row.
pub fn split(row: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = row;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (datum, tail) = rest.split_at(skip(rest));
        rest = tail;
        Some(datum)
    })
}

/// The row of these datums.
pub fn pack<'a>(datums: impl IntoIterator<Item = Datum<'a>>) -> Vec<u8> {
    let mut out = Vec::new();
    datums.into_iter().for_each(|datum| push_datum(&mut out, datum));
    out
}
