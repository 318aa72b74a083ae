//! Encoding rows the way sinks write them: as JSON, as text or as bytes.
//!
//! JSON, by type: numerics are strings, timestamps are strings of milliseconds since the epoch with
//! three fractional digits; integers, floats and booleans are JSON's own; arrays and lists are JSON's
//! arrays, records and maps its objects; all other types are their text form.

use crate::decode::Format;
use hw_types::arena::Arena;
use hw_types::datum::{Array, Datum, List};
use hw_types::relation::Column;
use hw_types::row::unpack;
use hw_types::scalar::{BaseType, ScalarType};

/// Appends the text form of a datum; `hw_expr` has the real one.
pub type ToText = fn(&ScalarType, Datum<'_>, &mut Vec<u8>);

/// Encodes some columns of rows in one format.
pub enum Encoder {
    /// An object whose members are the columns.
    Json(JsonEncoder),
    /// The text form of one column; nothing for NULL.
    Text(usize, ScalarType, ToText),
    /// The bytes of one column; nothing for NULL.
    Bytes(usize),
}

impl Encoder {
    /// An encoder of columns `chosen` of a relation; says why there can't be one.
    pub fn new(
        format: &Format,
        columns: &[Column],
        chosen: &[usize],
        to_text: ToText,
    ) -> Result<Encoder, String> {
        let one = |what| match chosen {
            [at] => Ok((*at, &columns[*at].ty)),
            _ => Err(format!("FORMAT {what} writes one column, and there are {}", chosen.len())),
        };
        match format {
            Format::Json { .. } => {
                Ok(Encoder::Json(JsonEncoder::new(columns, chosen.iter().copied(), to_text)))
            }
            Format::Text => one("TEXT").map(|(at, ty)| Encoder::Text(at, ty.clone(), to_text)),
            Format::Bytes => match one("BYTES")? {
                (at, ty) if ty.base == BaseType::Bytea => Ok(Encoder::Bytes(at)),
                _ => Err("FORMAT BYTES writes a column of type bytea".into()),
            },
            Format::Csv { .. } => Err("sinks do not write FORMAT CSV".into()),
        }
    }
    /// Encodes `row`, a whole row of the relation.
    pub fn encode(&self, row: &[u8]) -> Option<Vec<u8>> {
        let arena = Arena::new();
        let mut datums = Vec::new();
        let mut out = Vec::with_capacity(row.len() * 2);
        match self {
            Encoder::Json(json) => json.encode(row, &mut out),
            Encoder::Text(at, ty, to_text) => {
                unpack(row, &arena, &mut datums);
                match datums[*at] {
                    Datum::Null => return None,
                    datum => to_text(ty, datum, &mut out),
                }
            }
            Encoder::Bytes(at) => {
                unpack(row, &arena, &mut datums);
                let Datum::Bytes(bytes) = datums[*at] else { return None };
                out.extend_from_slice(bytes);
            }
        }
        Some(out)
    }
}

/// Encodes some columns of rows as JSON objects.
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
        let arena = Arena::new();
        match datum {
            Datum::Null => return out.extend_from_slice(b"null"),
            Datum::True => return out.extend_from_slice(b"true"),
            Datum::False => return out.extend_from_slice(b"false"),
            Datum::Array(array) => return self.push_array(ty, &array, out),
            Datum::List(list) => return self.push_list(ty, &list, out),
            Datum::Record(record) => {
                let fields = ty.fields.iter().zip(record.items(&arena));
                let named = fields.map(|(field, item)| (field.name.as_str(), &field.ty.ty, item));
                return self.push_members(named, out);
            }
            Datum::Map(map) => {
                let element = ty.element.as_deref().unwrap_or(ty);
                return self.push_members(map.entries(&arena).map(|(k, v)| (k, element, v)), out);
            }
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
    fn push_list(&self, ty: &ScalarType, list: &List<'_>, out: &mut Vec<u8>) {
        let arena = Arena::new();
        let element = ty.element.as_deref().unwrap_or(ty);
        out.push(b'[');
        for (n, item) in list.items(&arena).enumerate() {
            if n > 0 {
                out.push(b',');
            }
            self.push(element, item, out);
        }
        out.push(b']');
    }
    /// An array's elements are one list; brackets go where a dimension begins and ends.
    fn push_array(&self, ty: &ScalarType, array: &Array<'_>, out: &mut Vec<u8>) {
        let arena = Arena::new();
        let element = ty.element.as_deref().unwrap_or(ty);
        let dimensions = array.dimensions();
        // How many elements one bracket of each dimension but the first spans.
        let spans: Vec<usize> = (1..dimensions.len()).map(|at| dimensions[at..].iter().product()).collect();
        out.push(b'[');
        let mut count = 0;
        for item in array.items(&arena) {
            if count > 0 {
                spans.iter().filter(|span| count % **span == 0).for_each(|_| out.push(b']'));
                out.push(b',');
            }
            spans.iter().filter(|span| count % **span == 0).for_each(|_| out.push(b'['));
            self.push(element, item, out);
            count += 1;
        }
        if count > 0 {
            spans.iter().for_each(|_| out.push(b']'));
        }
        out.push(b']');
    }
    fn push_members<'d>(
        &self,
        members: impl Iterator<Item = (&'d str, &'d ScalarType, Datum<'d>)>,
        out: &mut Vec<u8>,
    ) {
        out.push(b'{');
        for (n, (name, ty, datum)) in members.enumerate() {
            if n > 0 {
                out.push(b',');
            }
            push_string(name.as_bytes(), out);
            out.push(b':');
            self.push(ty, datum, out);
        }
        out.push(b'}');
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
    use hw_types::container::{push_array_end, push_end};
    use hw_types::datum::Map;
    use hw_types::row::{push_datum, push_int, push_null, push_text};

    fn to_text(_: &ScalarType, datum: Datum<'_>, out: &mut Vec<u8>) {
        match datum {
            Datum::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Datum::Text(text) => out.extend_from_slice(text.as_bytes()),
            other => panic!("not in this test: {other:?}"),
        }
    }

    fn one(ty: ScalarType, datum: Datum<'_>) -> (Vec<Column>, Vec<u8>) {
        let mut row = vec![];
        push_datum(&mut row, datum);
        (vec![Column { name: "c".into(), ty, nullable: true }], row)
    }

    #[test]
    fn arrays_lists_maps_and_records_are_json_too() {
        let int = ScalarType::from(BaseType::Int4);
        let of = |base: BaseType| ScalarType { element: Some(Box::new(int.clone())), ..base.into() };
        let mut numbers = vec![];
        (1..=4).for_each(|n| push_int(&mut numbers, n));
        let mut array = numbers.clone();
        push_array_end(&mut array, &[2, 2]);
        let mut list = numbers;
        push_end(&mut list);
        let mut map = vec![];
        push_text(&mut map, "k\"");
        push_int(&mut map, 7);
        push_end(&mut map);
        let cases = [
            (of(BaseType::Array), Datum::Array(Array(&array)), r#"{"c":[[1,2],[3,4]]}"#),
            (of(BaseType::List), Datum::List(List(&list)), r#"{"c":[1,2,3,4]}"#),
            (of(BaseType::Map), Datum::Map(Map(&map)), r#"{"c":{"k\"":7}}"#),
        ];
        for (ty, datum, want) in cases {
            let (columns, row) = one(ty, datum);
            let json = Encoder::new(&Format::Json { columns: vec![] }, &columns, &[0], to_text);
            let got = json.expect("valid").encode(&row).expect("JSON is never absent");
            assert_eq!(String::from_utf8(got).expect("JSON is UTF-8"), want);
        }
    }

    #[test]
    fn text_and_bytes_write_one_column() {
        let (columns, row) = one(BaseType::Int4.into(), Datum::Int(12));
        let text = Encoder::new(&Format::Text, &columns, &[0], to_text).expect("valid");
        assert_eq!(text.encode(&row), Some(b"12".to_vec()));
        assert!(Encoder::new(&Format::Bytes, &columns, &[0], to_text).is_err());
        assert!(Encoder::new(&Format::Text, &columns, &[], to_text).is_err());
        let (columns, row) = one(BaseType::Bytea.into(), Datum::Bytes(b"\x00\xff"));
        let bytes = Encoder::new(&Format::Bytes, &columns, &[0], to_text).expect("valid");
        assert_eq!(bytes.encode(&row), Some(b"\x00\xff".to_vec()));
        let (_, null) = one(BaseType::Bytea.into(), Datum::Null);
        assert_eq!(bytes.encode(&null), None);
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
