//! Decoding: one payload in, the datums of a fixed number of columns out, or an error that names
//! what is wrong.

mod csv;
mod json;

use hw_types::datum::Datum;
use hw_types::row::{push_datum, push_text};
use hw_types::scalar::{ColumnType, ScalarType};
use serde::Deserialize;
use thiserror::Error;

/// Why a payload can't be decoded. The text goes into the collection's error half.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct DecodeError(pub String);

/// Parses the text form of a value of a type, appending its datum; `hw_expr` has the real one.
pub type FromText = fn(&ScalarType, &str, &mut Vec<u8>) -> Result<(), String>;

/// The formats of `ir.ingestion`, field by field.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Format {
    Json {
        columns: Vec<(String, ColumnType)>,
    },
    Text,
    Bytes,
    Csv {
        columns: Vec<String>,
        #[serde(default)]
        header: bool,
        delimiter: String,
    },
}

/// Decodes payloads of one format.
pub enum Decoder {
    /// One jsonb column.
    Json,
    /// Declared columns, by name.
    JsonColumns(json::Columns),
    /// One text column.
    Text,
    /// One bytea column.
    Bytes,
    /// Text columns.
    Csv(Box<csv::Csv>),
}

impl Decoder {
    /// The decoder of a format.
    pub fn new(format: &Format, from_text: FromText) -> Result<Decoder, DecodeError> {
        Ok(match format {
            Format::Json { columns } if columns.is_empty() => Decoder::Json,
            Format::Json { columns } => Decoder::JsonColumns(json::Columns::new(columns, from_text)),
            Format::Text => Decoder::Text,
            Format::Bytes => Decoder::Bytes,
            Format::Csv { columns, delimiter, .. } => {
                Decoder::Csv(Box::new(csv::Csv::new(columns.len(), delimiter)?))
            }
        })
    }
    /// The number of columns a payload becomes.
    pub fn arity(&self) -> usize {
        match self {
            Decoder::Json | Decoder::Text | Decoder::Bytes => 1,
            Decoder::JsonColumns(columns) => columns.arity(),
            Decoder::Csv(csv) => csv.arity(),
        }
    }
    /// Appends the datums of `payload` to `out`; on error `out` is as it was.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let start = out.len();
        let result = match self {
            Decoder::Json => json::jsonb(payload, out),
            Decoder::JsonColumns(columns) => columns.decode(payload, out),
            Decoder::Text => utf8(payload).map(|text| push_text(out, text)),
            Decoder::Bytes => {
                push_datum(out, Datum::Bytes(payload));
                Ok(())
            }
            Decoder::Csv(csv) => csv.decode(payload, out),
        };
        if result.is_err() {
            out.truncate(start);
        }
        result
    }
}

/// `payload` as text that a row can hold.
pub(crate) fn utf8(payload: &[u8]) -> Result<&str, DecodeError> {
    let text = std::str::from_utf8(payload)
        .map_err(|error| DecodeError(format!("invalid UTF-8 at byte {}", error.valid_up_to())))?;
    if memchr_nul(payload) {
        return Err(DecodeError("null character is not permitted in text".into()));
    }
    Ok(text)
}

fn memchr_nul(bytes: &[u8]) -> bool {
    bytes.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_types::row::{push_int, push_null};
    use hw_types::scalar::BaseType;

    fn from_text(ty: &ScalarType, text: &str, out: &mut Vec<u8>) -> Result<(), String> {
        match ty.base {
            BaseType::Date if text == "1970-01-03" => {
                push_int(out, 2);
                Ok(())
            }
            _ => Err(format!("invalid input syntax for type {:?}: \"{text}\"", ty.base)),
        }
    }

    fn column(name: &str, base: BaseType) -> (String, ColumnType) {
        (name.into(), ColumnType { ty: base.into(), nullable: true })
    }

    fn declared() -> Decoder {
        let columns = vec![
            column("a", BaseType::Int4),
            column("b", BaseType::Text),
            column("c", BaseType::Float8),
            column("d", BaseType::Date),
            column("e", BaseType::Bool),
            column("f", BaseType::Jsonb),
        ];
        Decoder::new(&Format::Json { columns }, from_text).expect("valid")
    }

    #[test]
    fn declared_columns_are_matched_by_name() {
        let mut out = vec![];
        let payload = br#"{"x":[1,{"a":9}],"b":"q\u00e9\"","a":-7,"d":"1970-01-03","c":2,"e":true}"#;
        declared().decode(payload, &mut out).expect("valid");
        let mut want = vec![];
        push_int(&mut want, -7);
        push_text(&mut want, "qé\"");
        push_datum(&mut want, Datum::Float8(2.0));
        push_int(&mut want, 2);
        push_datum(&mut want, Datum::True);
        push_null(&mut want);
        assert_eq!(out, want);
    }

    #[test]
    fn values_of_the_wrong_type_are_errors_that_name_the_column() {
        for (payload, what) in [
            (&br#"{"a":"7"}"#[..], "column \"a\""),
            (br#"{"a":3000000000}"#, "column \"a\""),
            (br#"{"a":1.5}"#, "column \"a\""),
            (br#"{"b":5}"#, "column \"b\""),
            (br#"{"d":"soon"}"#, "column \"d\""),
            (br#"{"e":1}"#, "column \"e\""),
            (br#"[1]"#, "object"),
            (br#"{"a":1"#, "JSON"),
            (b"\xff", "UTF-8"),
            (br#"{"a":1} x"#, "JSON"),
        ] {
            let mut out = vec![1, 2, 3];
            let error = declared().decode(payload, &mut out).expect_err("malformed");
            assert!(error.0.contains(what), "{error} should speak of {what}");
            assert_eq!(out, [1, 2, 3]);
        }
    }

    #[test]
    fn the_last_of_several_members_of_one_name_counts() {
        let mut out = vec![];
        declared().decode(br#"{"a":1,"a":2}"#, &mut out).expect("valid");
        let mut want = vec![];
        push_int(&mut want, 2);
        assert!(out.starts_with(&want));
    }

    #[test]
    fn csv_wants_the_declared_number_of_fields() {
        let format =
            Format::Csv { columns: vec!["a".into(), "b".into()], header: false, delimiter: ",".into() };
        let mut decoder = Decoder::new(&format, from_text).expect("valid");
        let mut out = vec![];
        decoder.decode(b"x,\"y,\"\"z\"", &mut out).expect("valid");
        let mut want = vec![];
        push_text(&mut want, "x");
        push_text(&mut want, "y,\"z");
        assert_eq!(out, want);
        assert!(decoder.decode(b"x", &mut out).is_err());
        assert!(decoder.decode(b"x,y,z", &mut out).is_err());
        assert!(decoder.decode(b"x,y\nz,w", &mut out).is_err());
        assert_eq!(out, want);
    }

    #[test]
    fn text_must_be_utf8() {
        let mut decoder = Decoder::new(&Format::Text, from_text).expect("valid");
        let mut out = vec![];
        assert!(decoder.decode(b"\xc3\x28", &mut out).is_err());
        assert!(decoder.decode(b"a\0b", &mut out).is_err());
        decoder.decode("é".as_bytes(), &mut out).expect("valid");
    }

    #[test]
    fn json_becomes_jsonb() {
        let format = Format::Json { columns: vec![] };
        let mut decoder = Decoder::new(&format, from_text).expect("valid");
        let (mut a, mut b) = (vec![], vec![]);
        decoder.decode(br#" {"b": [1, null], "a": "x"} "#, &mut a).expect("valid");
        decoder.decode(br#"{"a":"x","b":[1.0,null]}"#, &mut b).expect("valid");
        assert_eq!(a, b);
        assert!(decoder.decode(b"{", &mut a).is_err());
    }
}
