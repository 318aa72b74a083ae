//! JSON: whole as jsonb, or member by member into declared columns.

use super::{DecodeError, FromText, utf8};
use hw_types::datum::Datum;
use hw_types::jsonb;
use hw_types::numeric::Numeric;
use hw_types::row::{push_datum, push_int, push_null, push_text, push_uint};
use hw_types::scalar::{BaseType, ColumnType, ScalarType};
use rustc_hash::FxHashMap;
use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// JSON nests at most so deep; serde_json's own limit is the same.
const DEPTH_MAX: usize = 128;

/// Appends the payload as one jsonb datum.
pub fn jsonb(payload: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let value: serde_json::Value = serde_json::from_str(utf8(payload)?).map_err(malformed)?;
    let mut bytes = Vec::with_capacity(payload.len());
    push_value(&value, &mut bytes, 0)?;
    push_datum(out, Datum::Jsonb(hw_types::datum::Jsonb(&bytes)));
    Ok(())
}

fn push_value(value: &serde_json::Value, out: &mut Vec<u8>, depth: usize) -> Result<(), DecodeError> {
    use serde_json::Value;
    if depth > DEPTH_MAX {
        return Err(DecodeError(format!("JSON is nested deeper than {DEPTH_MAX} levels")));
    }
    match value {
        Value::Null => jsonb::push_null(out),
        Value::Bool(value) => jsonb::push_bool(out, *value),
        Value::Number(number) => {
            let number = Numeric::parse(number.as_str()).map_err(|error| DecodeError(error.to_string()))?;
            jsonb::push_number(out, &number);
        }
        Value::String(text) => {
            utf8(text.as_bytes())?;
            jsonb::push_string(out, text);
        }
        Value::Array(items) => {
            let count =
                u32::try_from(items.len()).map_err(|_| DecodeError("JSON array is too long".into()))?;
            jsonb::push_array(out, count);
            for item in items {
                push_value(item, out, depth + 1)?;
            }
        }
        Value::Object(members) => {
            let mut encoded = Vec::with_capacity(members.len());
            for (name, member) in members {
                utf8(name.as_bytes())?;
                let mut bytes = Vec::new();
                push_value(member, &mut bytes, depth + 1)?;
                encoded.push((name.clone(), bytes));
            }
            jsonb::push_members(out, encoded);
        }
    }
    Ok(())
}

fn malformed(error: serde_json::Error) -> DecodeError {
    DecodeError(format!("invalid JSON: {error}"))
}

/// Declared columns.
pub struct Columns {
    by_name: FxHashMap<String, usize>,
    columns: Vec<(String, ColumnType)>,
    from_text: FromText,
}

impl Columns {
    /// Columns matched by name; the first of two columns of one name is filled.
    pub fn new(columns: &[(String, ColumnType)], from_text: FromText) -> Columns {
        let mut by_name = FxHashMap::default();
        for (at, (name, _)) in columns.iter().enumerate() {
            by_name.entry(name.clone()).or_insert(at);
        }
        Columns { by_name, columns: columns.to_vec(), from_text }
    }
    /// The number of columns.
    pub fn arity(&self) -> usize {
        self.columns.len()
    }
    /// Appends one datum a column.
    pub fn decode(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let text = utf8(payload)?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let members = reader.deserialize_map(Members(self)).map_err(|error| {
            if error.is_data() { DecodeError("JSON value is not an object".into()) } else { malformed(error) }
        })?;
        reader.end().map_err(malformed)?;
        for ((name, column), member) in self.columns.iter().zip(members) {
            let raw = member.map_or("null", RawValue::get);
            if raw == "null" {
                if !column.nullable {
                    return Err(DecodeError(format!("column \"{name}\" is null or missing")));
                }
                push_null(out);
                continue;
            }
            push_typed(&column.ty, raw, self.from_text, out)
                .map_err(|error| DecodeError(format!("column \"{name}\": {error}")))?;
        }
        Ok(())
    }
}

struct Members<'a>(&'a Columns);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Vec<Option<&'de RawValue>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = vec![None; self.0.columns.len()];
        while let Some(name) = map.next_key::<Name<'de>>()? {
            match self.0.by_name.get(name.0.as_ref()) {
                Some(at) => members[*at] = Some(map.next_value::<&'de RawValue>()?),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(members)
    }
}

/// A member's name, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Appends a JSON value, not null, as a datum of type `ty`.
fn push_typed(ty: &ScalarType, raw: &str, from_text: FromText, out: &mut Vec<u8>) -> Result<(), String> {
    let wrong = || format!("{} is not of type {}", excerpt(raw), name_of(ty));
    match ty.base {
        BaseType::Bool => match raw {
            "true" => push_datum(out, Datum::True),
            "false" => push_datum(out, Datum::False),
            _ => return Err(wrong()),
        },
        BaseType::Int2 => push_int(out, raw.parse::<i16>().map_err(|_| wrong())?.into()),
        BaseType::Int4 => push_int(out, raw.parse::<i32>().map_err(|_| wrong())?.into()),
        BaseType::Int8 => push_int(out, raw.parse().map_err(|_| wrong())?),
        BaseType::Uint2 => push_uint(out, raw.parse::<u16>().map_err(|_| wrong())?.into()),
        BaseType::Uint4 => push_uint(out, raw.parse::<u32>().map_err(|_| wrong())?.into()),
        BaseType::Uint8 => push_uint(out, raw.parse().map_err(|_| wrong())?),
        BaseType::Float4 if is_number(raw) => {
            push_datum(out, Datum::Float4(raw.parse().map_err(|_| wrong())?));
        }
        BaseType::Float8 if is_number(raw) => {
            push_datum(out, Datum::Float8(raw.parse().map_err(|_| wrong())?));
        }
        BaseType::Numeric if is_number(raw) => return from_text(ty, raw, out),
        BaseType::Jsonb => return jsonb(raw.as_bytes(), out).map_err(|error| error.0),
        BaseType::Text if raw.starts_with('"') => push_text(out, &string(raw)?),
        _ if raw.starts_with('"') => return from_text(ty, &string(raw)?, out),
        _ => return Err(wrong()),
    }
    Ok(())
}

fn string(raw: &str) -> Result<Cow<'_, str>, String> {
    let plain = &raw[1..raw.len() - 1];
    if !plain.contains('\\') {
        return Ok(Cow::Borrowed(plain));
    }
    let text: String = serde_json::from_str(raw).map_err(|error| error.to_string())?;
    utf8(text.as_bytes()).map_err(|error| error.0)?;
    Ok(Cow::Owned(text))
}

fn is_number(raw: &str) -> bool {
    raw.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

fn name_of(ty: &ScalarType) -> String {
    format!("{:?}", ty.base).to_lowercase()
}

fn excerpt(raw: &str) -> String {
    const EXCERPT_CHARS: usize = 60;
    let mut text: String = raw.chars().take(EXCERPT_CHARS).collect();
    if text.len() < raw.len() {
        text.push('…');
    }
    text
}
