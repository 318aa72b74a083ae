//! Encoding rows as JSON, the way sinks write it.
//!
//! Source: the checklist of sinks: numerics are strings, timestamps are strings of milliseconds
//! since the epoch with three fractional digits; integers, floats and booleans are JSON's own; all
//! other types are their text form.

use hw_types::arena::Arena;
use hw_types::datum::Datum;
use hw_types::relation::Column;
use hw_types::row::unpack;
use hw_types::scalar::{BaseType, ScalarType};

/// Appends the text form of a datum; `hw_expr` has the real one.
pub type ToText = fn(&ScalarType, Datum<'_>, &mut Vec<u8>);

/// Encodes rows of some columns.
pub struct JsonEncoder {
    columns: Vec<(usize, Vec<u8>, ScalarType)>,
    to_text: ToText,
}

impl JsonEncoder {
    /// An encoder of columns `chosen` of a relation, as members of an object, in that order.
    pub fn new(columns: &[Column], chosen: impl Iterator<Item = usize>, to_text: ToText) -> JsonEncoder {
        let named = chosen.map(|at| {
            let name = serde_json::to_vec(&columns[at].name).expect("a string is always JSON");
            (at, name, columns[at].ty.clone())
        });
        JsonEncoder { columns: named.collect(), to_text }
    }
    /// Appends `row`, a whole row of the relation, as a JSON object.
    pub fn encode(&self, row: &[u8], out: &mut Vec<u8>) {
        let arena = Arena::new();
        let mut datums = Vec::new();
        unpack(row, &arena, &mut datums);
        out.push(b'{');
        for (n, (at, name, ty)) in self.columns.iter().enumerate() {
            if n > 0 {
                out.push(b',');
            }
            out.extend_from_slice(name);
            out.push(b':');
            self.push(ty, datums[*at], out);
        }
        out.push(b'}');
    }
    fn push(&self, ty: &ScalarType, datum: Datum<'_>, out: &mut Vec<u8>) {
        match datum {
            Datum::Null => return out.extend_from_slice(b"null"),
            Datum::True => return out.extend_from_slice(b"true"),
            Datum::False => return out.extend_from_slice(b"false"),
            _ => {}
        }
        let mut text = Vec::new();
        match (ty.base, datum) {
            (BaseType::Timestamp | BaseType::Timestamptz, Datum::Int(micros)) => {
                let sign = if micros < 0 { "-" } else { "" };
                let magnitude = micros.unsigned_abs();
                let shown = format!("{sign}{}.{:03}", magnitude / 1_000, magnitude % 1_000);
                return push_string(shown.as_bytes(), out);
            }
            (BaseType::Jsonb, _) => return (self.to_text)(ty, datum, out),
            (base, Datum::Int(_) | Datum::UInt(_)) if is_integer(base) => {
                return (self.to_text)(ty, datum, out);
            }
            (_, Datum::Float4(value)) if value.is_finite() => return (self.to_text)(ty, datum, out),
            (_, Datum::Float8(value)) if value.is_finite() => return (self.to_text)(ty, datum, out),
            _ => (self.to_text)(ty, datum, &mut text),
        }
        push_string(&text, out);
    }
}

fn is_integer(base: BaseType) -> bool {
    use BaseType::{Int2, Int4, Int8, Oid, Uint2, Uint4, Uint8};
    matches!(base, Int2 | Int4 | Int8 | Uint2 | Uint4 | Uint8 | Oid)
}

fn push_string(text: &[u8], out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(text);
    serde_json::to_writer(out, text.as_ref()).expect("writing to memory does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_types::row::{push_datum, push_int, push_null, push_text};

    fn to_text(_: &ScalarType, datum: Datum<'_>, out: &mut Vec<u8>) {
        match datum {
            Datum::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Datum::Text(text) => out.extend_from_slice(text.as_bytes()),
            other => panic!("not in this test: {other:?}"),
        }
    }

    #[test]
    fn objects_have_the_chosen_columns_in_order() {
        let column =
            |name: &str, base: BaseType| Column { name: name.into(), ty: base.into(), nullable: true };
        let columns = [
            column("a", BaseType::Int4),
            column("b\"", BaseType::Text),
            column("t", BaseType::Timestamp),
            column("n", BaseType::Bool),
            column("z", BaseType::Text),
        ];
        let mut row = vec![];
        push_int(&mut row, -5);
        push_text(&mut row, "x\n\"");
        push_int(&mut row, 1_700_000_000_123_456);
        push_datum(&mut row, Datum::True);
        push_null(&mut row);
        let mut out = vec![];
        JsonEncoder::new(&columns, [1, 0, 2, 3, 4].into_iter(), to_text).encode(&row, &mut out);
        let want = r#"{"b\"":"x\n\"","a":-5,"t":"1700000000123.456","n":true,"z":null}"#;
        assert_eq!(String::from_utf8(out).expect("JSON is UTF-8"), want);
    }
}
