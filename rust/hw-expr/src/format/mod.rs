//! Values in PostgreSQL's text form and binary form.
//!
//! Materialize's deviations are kept: jsonb without blanks, numerics without trailing zeros, months of
//! intervals in full, bytea in hex, timestamps in ISO form and UTC, and text forms of lists (`{a,b}`)
//! and maps (`{a=>b}`), which PostgreSQL lacks.

mod binary;
mod style;

pub use binary::{binary, oid_of};
pub use style::{IntervalStyle, PLAIN, Style};

use crate::calendar::{self, HOUR, MINUTE, SECOND};
use hw_types::arena::Arena;
use hw_types::datum::{Array, Datum, Jsonb, Map, Range};
use hw_types::interval::Interval;
use hw_types::jsonb::Value;
use hw_types::numeric::Numeric;
use hw_types::scalar::{BaseType, ScalarType};
use std::io::Write;

/// Appends the text form; nothing for NULL, which has none.
pub fn text(ty: &ScalarType, datum: Datum<'_>, out: &mut Vec<u8>) {
    styled(&PLAIN, ty, datum, out);
}

/// Appends the text form that a session wants; nothing for NULL, which has none.
pub fn styled(style: &Style, ty: &ScalarType, datum: Datum<'_>, out: &mut Vec<u8>) {
    match datum {
        Datum::Null => {}
        Datum::False => out.push(b'f'),
        Datum::True => out.push(b't'),
        Datum::Int(value) => int(style, ty.base, value, out),
        Datum::UInt(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        Datum::Float4(value) if style.float_digits <= 0 && value.is_finite() => {
            style::rounded(value.into(), 6 + style.float_digits, out);
        }
        Datum::Float4(value) => float4(value, out),
        Datum::Float8(value) if style.float_digits <= 0 && value.is_finite() => {
            style::rounded(value, 15 + style.float_digits, out);
        }
        Datum::Float8(value) => float8(value, out),
        Datum::Numeric(value) => numeric(&value, out),
        Datum::Text(value) => bpchar(ty, value, out),
        Datum::Bytes(value) if style.bytea_escaped => style::escaped(value, out),
        Datum::Bytes(value) => bytea(value, out),
        Datum::Uuid(value) => uuid(value, out),
        Datum::Interval(value) => match style.intervals {
            IntervalStyle::Postgres => interval(&value, out),
            IntervalStyle::Verbose => style::verbose(&value, out),
            IntervalStyle::SqlStandard => style::sql_standard(&value, out),
            IntervalStyle::Iso8601 => style::iso_8601(&value, out),
        },
        Datum::Jsonb(value) => jsonb(value, out),
        Datum::Array(value) if ty.base == BaseType::Int2vector => vector(value, out),
        Datum::Array(value) => array(style, ty, value, out),
        Datum::List(value) => {
            let arena = Arena::new();
            items(style, element(ty), value.items(&arena), Nest::List, out);
        }
        Datum::Map(value) => map(style, ty, value, out),
        Datum::Record(value) => {
            let arena = Arena::new();
            record(style, ty, value.items(&arena), out);
        }
        Datum::Range(value) => range(style, ty, value, out),
    }
}

/// The text form as a string.
pub fn to_text(ty: &ScalarType, datum: Datum<'_>) -> String {
    let mut out = Vec::new();
    text(ty, datum, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

static TEXT: ScalarType = ScalarType::simple(BaseType::Text);

fn element(ty: &ScalarType) -> &ScalarType {
    ty.element.as_deref().unwrap_or(&TEXT)
}

fn int(style: &Style, base: BaseType, value: i64, out: &mut Vec<u8>) {
    match base {
        BaseType::Date => date(value, out),
        BaseType::Time => time(value, out),
        BaseType::Timestamp => timestamp(value, out),
        BaseType::Timestamptz => {
            let offset =
                style.zone.as_deref().and_then(|zone| crate::parse::zone::offset(zone, value, false));
            match offset {
                Some(offset) => timestamptz_in(value, offset, out),
                None => timestamptz(value, out),
            }
        }
        _ => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
    }
}

/// A blank-padded text shows its blanks.
fn bpchar(ty: &ScalarType, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(value.as_bytes());
    if let (BaseType::Bpchar, Some(len)) = (ty.base, ty.modifier) {
        let missing = usize::try_from(len).unwrap_or(0).saturating_sub(value.chars().count());
        out.resize(out.len() + missing, b' ');
    }
}

fn two(value: i64, out: &mut Vec<u8>) {
    out.push(b'0' + (value / 10) as u8);
    out.push(b'0' + (value % 10) as u8);
}

fn fraction(micros: i64, out: &mut Vec<u8>) {
    if micros == 0 {
        return;
    }
    let digits = format!("{micros:06}");
    out.push(b'.');
    out.extend_from_slice(digits.trim_end_matches('0').as_bytes());
}

fn year_month_day(days: i64, out: &mut Vec<u8>) -> bool {
    let (year, month, day) = calendar::civil_from_days(days);
    let shown = if year <= 0 { 1 - year } else { year };
    if shown < 10_000 {
        two(shown / 100, out);
        two(shown % 100, out);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(shown).as_bytes());
    }
    out.push(b'-');
    two(month, out);
    out.push(b'-');
    two(day, out);
    year <= 0
}

/// Appends a date.
pub fn date(days: i64, out: &mut Vec<u8>) {
    if year_month_day(days, out) {
        out.extend_from_slice(b" BC");
    }
}

/// Appends a time of day.
pub fn time(micros: i64, out: &mut Vec<u8>) {
    two(micros / HOUR, out);
    out.push(b':');
    two(micros / MINUTE % 60, out);
    out.push(b':');
    two(micros / SECOND % 60, out);
    fraction(micros % SECOND, out);
}

/// Appends a timestamp.
pub fn timestamp(micros: i64, out: &mut Vec<u8>) {
    stamp(micros, b"", out);
}

/// Appends a timestamp with the zone, which is UTC.
pub fn timestamptz(micros: i64, out: &mut Vec<u8>) {
    stamp(micros, b"+00", out);
}

/// Appends a timestamp as it is in a zone, with that zone's offset, both in microseconds.
pub fn timestamptz_in(micros: i64, offset: i64, out: &mut Vec<u8>) {
    let mut zone = Vec::new();
    let east = offset.unsigned_abs() as i64;
    zone.push(if offset < 0 { b'-' } else { b'+' });
    two(east / HOUR, &mut zone);
    for unit in [MINUTE, SECOND] {
        if east % (unit * 60) != 0 {
            zone.push(b':');
            two(east / unit % 60, &mut zone);
        }
    }
    stamp(micros.saturating_add(offset), &zone, out);
}

fn stamp(micros: i64, zone: &[u8], out: &mut Vec<u8>) {
    let (days, of_day) = calendar::split(micros);
    let before_christ = year_month_day(days, out);
    out.push(b' ');
    time(of_day, out);
    out.extend_from_slice(zone);
    if before_christ {
        out.extend_from_slice(b" BC");
    }
}

/// An interval's text.
pub fn interval_text(value: &Interval) -> String {
    let mut out = Vec::new();
    interval(value, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Appends an interval in PostgreSQL's own style, months in full as Materialize has them.
pub fn interval(value: &Interval, out: &mut Vec<u8>) {
    let (mut first, mut negative) = (true, false);
    let parts = [(value.months / 12, "year"), (value.months % 12, "month"), (value.days, "day")];
    for (count, unit) in parts {
        if count == 0 {
            continue;
        }
        let blank = if first { "" } else { " " };
        let plus = if negative && count > 0 { "+" } else { "" };
        let plural = if count == 1 { "" } else { "s" };
        write!(out, "{blank}{plus}{count} {unit}{plural}").expect("a vector takes all");
        (first, negative) = (false, count < 0);
    }
    if first || value.micros != 0 {
        if !first {
            out.push(b' ');
        }
        if value.micros < 0 {
            out.push(b'-');
        } else if negative {
            out.push(b'+');
        }
        let micros = value.micros.unsigned_abs();
        let (hour, minute) = (HOUR as u64, MINUTE as u64);
        write!(out, "{:02}:", micros / hour).expect("a vector takes all");
        two((micros / minute % 60) as i64, out);
        out.push(b':');
        two((micros / SECOND as u64 % 60) as i64, out);
        fraction((micros % SECOND as u64) as i64, out);
    }
}

/// Appends digits and exponent as C's `%g` would, given the shortest digits that read back.
fn shortest(scientific: &str, fixed_below: i32, out: &mut Vec<u8>) {
    // `scientific` is Rust's `{:e}`: digits with a point, `e`, the exponent.
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    out.extend_from_slice(sign.as_bytes());
    if !(-4..fixed_below).contains(&exponent) {
        out.extend_from_slice(mantissa.as_bytes());
        let mark = if exponent < 0 { '-' } else { '+' };
        write!(out, "e{mark}{:02}", exponent.abs()).expect("a vector takes all");
    } else if exponent < 0 {
        write!(out, "0.{:0<1$}{digits}", "", (-exponent - 1) as usize).expect("a vector takes all");
    } else {
        let whole = exponent as usize + 1;
        if digits.len() <= whole {
            write!(out, "{digits:0<whole$}").expect("a vector takes all");
        } else {
            let (before, after) = digits.split_at(whole);
            write!(out, "{before}.{after}").expect("a vector takes all");
        }
    }
}

/// Appends a double-precision float.
pub fn float8(value: f64, out: &mut Vec<u8>) {
    if value == 0.0 || (value.abs() < 1e15 && value == value.trunc()) {
        // Whole numbers are frequent, and quick to print.
        return out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    }
    match special(value) {
        Some(name) => out.extend_from_slice(name),
        None => shortest(&format!("{value:e}"), 15, out),
    }
}

/// Appends a single-precision float.
pub fn float4(value: f32, out: &mut Vec<u8>) {
    if value == 0.0 {
        return out.push(b'0');
    }
    match special(f64::from(value)) {
        Some(name) => out.extend_from_slice(name),
        None => shortest(&format!("{value:e}"), 6, out),
    }
}

fn special(value: f64) -> Option<&'static [u8]> {
    match value {
        value if value.is_nan() => Some(b"NaN"),
        f64::INFINITY => Some(b"Infinity"),
        f64::NEG_INFINITY => Some(b"-Infinity"),
        _ => None,
    }
}

/// Appends a numeric, without zeros at its end whatever scale its column declares.
pub fn numeric(value: &Numeric, out: &mut Vec<u8>) {
    write!(out, "{value}").expect("a vector takes all");
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends bytes in hex.
pub fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
}

fn bytea(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\x");
    hex(bytes, out);
}

fn uuid(value: [u8; 16], out: &mut Vec<u8>) {
    for (i, part) in [&value[..4], &value[4..6], &value[6..8], &value[8..10], &value[10..]].iter().enumerate()
    {
        if i > 0 {
            out.push(b'-');
        }
        hex(part, out);
    }
}

/// Appends a JSON document without blanks.
pub fn jsonb(value: Jsonb<'_>, out: &mut Vec<u8>) {
    let arena = Arena::new();
    json_value(value, &arena, None, out);
}

/// Appends a JSON document with a line an element, four blanks a level.
pub fn jsonb_pretty(value: Jsonb<'_>, out: &mut Vec<u8>) {
    let arena = Arena::new();
    json_value(value, &arena, Some(0), out);
}

fn new_line(level: Option<usize>, out: &mut Vec<u8>) {
    if let Some(level) = level {
        out.push(b'\n');
        out.resize(out.len() + level * 4, b' ');
    }
}

fn json_value<'a>(value: Jsonb<'a>, arena: &'a Arena, level: Option<usize>, out: &mut Vec<u8>) {
    let inner = level.map(|level| level + 1);
    match value.value(arena) {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Value::Number(value) => write!(out, "{value}").expect("a vector takes all"),
        Value::String(value) => json_string(value, out),
        Value::Array(elements) => {
            out.push(b'[');
            for (i, element) in elements.enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                new_line(inner, out);
                json_value(element, arena, inner, out);
            }
            new_line(level, out);
            out.push(b']');
        }
        Value::Object(mut members) => {
            out.push(b'{');
            let mut first = true;
            while let Some((key, value)) = members.next_in(arena) {
                if !std::mem::replace(&mut first, false) {
                    out.push(b',');
                }
                new_line(inner, out);
                json_string(key, out);
                out.extend_from_slice(if level.is_some() { b": " } else { b":" });
                json_value(value, arena, inner, out);
            }
            new_line(level, out);
            out.push(b'}');
        }
    }
}

/// Appends a JSON string with its quotes.
pub fn json_string(value: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut plain = 0;
    for (at, byte) in value.bytes().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x08 => b"\\b",
            0x0c => b"\\f",
            0..0x20 => b"",
            _ => continue,
        };
        out.extend_from_slice(&value.as_bytes()[plain..at]);
        out.extend_from_slice(escape);
        if escape.is_empty() {
            write!(out, "\\u{byte:04x}").expect("a vector takes all");
        }
        plain = at + 1;
    }
    out.extend_from_slice(&value.as_bytes()[plain..]);
    out.push(b'"');
}

/// Which characters make an element need quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nest {
    Array,
    List,
    Map,
    Record,
    Range,
}

fn needs_quotes(text: &[u8], nest: Nest) -> bool {
    let special = |byte: &u8| match byte {
        b'"' | b'\\' | b',' => true,
        b'{' | b'}' => matches!(nest, Nest::Array | Nest::List | Nest::Map),
        b'(' | b')' => matches!(nest, Nest::Record | Nest::Range),
        b'[' | b']' => nest == Nest::Range,
        b'=' | b'>' => nest == Nest::Map,
        byte => matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c),
    };
    let null = matches!(nest, Nest::Array | Nest::List | Nest::Map) && text.eq_ignore_ascii_case(b"null");
    text.is_empty() || null || text.iter().any(special)
}

/// Appends a value within a container, in quotes where it needs them.
fn quoted(style: &Style, ty: &ScalarType, datum: Datum<'_>, nest: Nest, out: &mut Vec<u8>) {
    let nested = matches!(datum, Datum::List(_) | Datum::Map(_)) && matches!(nest, Nest::List | Nest::Map);
    let mut plain = Vec::new();
    styled(style, ty, datum, &mut plain);
    if nested || !needs_quotes(&plain, nest) {
        return out.extend_from_slice(&plain);
    }
    out.push(b'"');
    for byte in plain {
        match (byte, nest) {
            (b'"' | b'\\', Nest::Record | Nest::Range) => out.extend_from_slice(&[byte, byte]),
            (b'"' | b'\\', _) => out.extend_from_slice(&[b'\\', byte]),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

fn items<'a>(
    style: &Style,
    ty: &ScalarType,
    items: impl Iterator<Item = Datum<'a>>,
    nest: Nest,
    out: &mut Vec<u8>,
) {
    out.push(b'{');
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        match item {
            Datum::Null => out.extend_from_slice(b"NULL"),
            item => quoted(style, ty, item, nest, out),
        }
    }
    out.push(b'}');
}

fn array(style: &Style, ty: &ScalarType, value: Array<'_>, out: &mut Vec<u8>) {
    let arena = Arena::new();
    let dimensions = value.dimensions();
    let mut elements = value.items(&arena);
    if dimensions.is_empty() {
        return out.extend_from_slice(b"{}");
    }
    dimension(style, element(ty), &dimensions, &mut elements, out);
}

fn dimension<'a>(
    style: &Style,
    ty: &ScalarType,
    dimensions: &[usize],
    elements: &mut impl Iterator<Item = Datum<'a>>,
    out: &mut Vec<u8>,
) {
    match dimensions {
        [] | [_] => {
            let count = dimensions.first().copied().unwrap_or(0);
            items(style, ty, elements.take(count), Nest::Array, out);
        }
        [first, rest @ ..] => {
            out.push(b'{');
            for i in 0..*first {
                if i > 0 {
                    out.push(b',');
                }
                // A plain reference keeps the recursion's type from growing.
                let elements: &mut dyn Iterator<Item = Datum<'a>> = elements;
                dimension_dyn(style, ty, rest, elements, out);
            }
            out.push(b'}');
        }
    }
}

fn dimension_dyn<'a>(
    style: &Style,
    ty: &ScalarType,
    dimensions: &[usize],
    mut elements: &mut dyn Iterator<Item = Datum<'a>>,
    out: &mut Vec<u8>,
) {
    dimension(style, ty, dimensions, &mut elements, out);
}

/// An int2vector: its numbers, with blanks between.
fn vector(value: Array<'_>, out: &mut Vec<u8>) {
    let arena = Arena::new();
    for (i, item) in value.items(&arena).enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        text(&TEXT, item, out);
    }
}

fn map(style: &Style, ty: &ScalarType, value: Map<'_>, out: &mut Vec<u8>) {
    let arena = Arena::new();
    out.push(b'{');
    for (i, (key, item)) in value.entries(&arena).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        quoted(style, &TEXT, Datum::Text(key), Nest::Map, out);
        out.extend_from_slice(b"=>");
        match item {
            Datum::Null => out.extend_from_slice(b"NULL"),
            item => quoted(style, element(ty), item, Nest::Map, out),
        }
    }
    out.push(b'}');
}

fn record<'a>(style: &Style, ty: &ScalarType, fields: impl Iterator<Item = Datum<'a>>, out: &mut Vec<u8>) {
    out.push(b'(');
    for (i, field) in fields.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        if !field.is_null() {
            let ty = ty.fields.get(i).map_or(&TEXT, |field| &field.ty.ty);
            quoted(style, ty, field, Nest::Record, out);
        }
    }
    out.push(b')');
}

fn range(style: &Style, ty: &ScalarType, value: Range<'_>, out: &mut Vec<u8>) {
    let arena = Arena::new();
    let Some(bounds) = value.bounds(&arena) else { return out.extend_from_slice(b"empty") };
    let inclusive = |bound: &Option<hw_types::container::Bound<'_>>| bound.is_some_and(|b| b.inclusive);
    out.push(if inclusive(&bounds.lower) { b'[' } else { b'(' });
    if let Some(bound) = bounds.lower {
        quoted(style, element(ty), bound.value, Nest::Range, out);
    }
    out.push(b',');
    if let Some(bound) = bounds.upper {
        quoted(style, element(ty), bound.value, Nest::Range, out);
    }
    out.push(if inclusive(&bounds.upper) { b']' } else { b')' });
}
