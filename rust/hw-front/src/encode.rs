//! Rows as DataRow messages, straight into the output buffer.

use crate::codec;
use crate::protocol::{ErrorFields, ResultColumn};
use crate::wire::{self, Format};
use bytes::BufMut;
use hw_expr::format::Style;
use hw_types::arena::Arena;
use hw_types::datum::Datum;
use hw_types::row;
use hw_types::scalar::ScalarType;

/// How rows of some columns are written.
pub struct RowEncoder {
    columns: Vec<(ScalarType, Format)>,
    style: Style,
    arena: Arena,
}

impl RowEncoder {
    /// An encoder for rows of `columns`, each in its `format`, texts in the session's `style`.
    pub fn new(columns: &[ResultColumn], style: Style, format: impl Fn(usize) -> Format) -> Self {
        let columns = columns.iter().enumerate().map(|(i, column)| (column.ty.clone(), format(i))).collect();
        RowEncoder { columns, style, arena: Arena::new() }
    }
    /// Appends a DataRow. On an error nothing is appended.
    pub fn encode(&mut self, row: &[u8], out: &mut Vec<u8>) -> Result<(), ErrorFields> {
        let start = out.len();
        let at = wire::begin(out, b'D');
        out.put_u16(self.columns.len() as u16);
        self.arena.reset();
        let result = self.values(row, out);
        match result {
            Ok(()) => wire::end(out, at),
            Err(_) => out.truncate(start),
        }
        result
    }
    fn values(&self, row: &[u8], out: &mut Vec<u8>) -> Result<(), ErrorFields> {
        let mut rest = row;
        for (ty, format) in &self.columns {
            let (datum, size) = read(rest, &self.arena)?;
            rest = &rest[size..];
            if datum.is_null() {
                out.put_i32(-1);
                continue;
            }
            let at = out.len();
            out.put_i32(0);
            codec::write(out, ty, datum, *format, &self.style)?;
            let length = (out.len() - at - 4) as u32;
            out[at..at + 4].copy_from_slice(&length.to_be_bytes());
        }
        if rest.is_empty() { Ok(()) } else { Err(malformed()) }
    }
}

/// Reads a datum of a row that came from elsewhere.
pub fn read<'a>(bytes: &'a [u8], arena: &'a Arena) -> Result<(Datum<'a>, usize), ErrorFields> {
    row::read_datum(bytes, arena).map_err(|_| malformed())
}

fn malformed() -> ErrorFields {
    ErrorFields::new("XX000", "a row does not have the columns that were announced")
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_expr::format::PLAIN;
    use hw_types::scalar::BaseType;

    fn column(base: BaseType) -> ResultColumn {
        ResultColumn {
            name: "c".into(),
            ty: base.into(),
            oid: 0,
            type_size: -1,
            type_modifier: -1,
            table_oid: 0,
            column_number: 0,
        }
    }

    #[test]
    fn rows_are_written_as_announced_or_not_at_all() {
        let columns = [column(BaseType::Int4), column(BaseType::Text), column(BaseType::Int8)];
        let formats = [Format::Binary, Format::Text, Format::Text];
        let mut encoder = RowEncoder::new(&columns, PLAIN.clone(), |i| formats[i]);
        let mut out = Vec::new();
        let row = row::pack([Datum::Int(-2), Datum::Text("hé"), Datum::Null]);
        encoder.encode(&row, &mut out).expect("well formed");
        assert_eq!(
            &out[..],
            b"D\0\0\0\x19\0\x03\0\0\0\x04\xff\xff\xff\xfe\0\0\0\x03h\xc3\xa9\xff\xff\xff\xff"
        );
        let before = out.clone();
        for row in [row::pack([Datum::Int(1)]), row::pack([Datum::Int(1); 4]), vec![0x30, 0x31]] {
            assert_eq!(encoder.encode(&row, &mut out).expect_err("malformed").sqlstate, "XX000");
            assert_eq!(out, before);
        }
    }
}
