//! COPY … TO STDOUT: rows as text, csv or binary, sent while they come.

use crate::codec;
use crate::connection::{Connection, Fault, Socket};
use crate::encode;
use crate::protocol::{CopyFormat, CopyKind, ErrorFields, Outcome, ResultColumn};
use crate::stream::RowStream;
use crate::wire::{self, Format};
use bytes::BufMut;
use hw_expr::format::PLAIN;
use hw_types::arena::Arena;

/// What binary data begin with.
pub const BINARY_SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Signature, no flags, no extension.
const BINARY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// COPY's options with the defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    /// Text, csv, binary.
    pub kind: CopyKind,
    /// Between fields.
    pub delimiter: u8,
    /// What stands for NULL.
    pub null: Vec<u8>,
    /// Around fields, csv only.
    pub quote: u8,
    /// Before a quote inside a quoted field.
    pub escape: u8,
    /// Whether the first line names columns.
    pub header: bool,
    /// Whether the names of the first line must be those of the columns.
    pub header_match: bool,
    /// Columns whose values are always quoted.
    pub force_quote: Vec<usize>,
    /// Columns in which nothing stands for NULL.
    pub force_not_null: Vec<usize>,
    /// Columns in which a quoted null string stands for NULL too.
    pub force_null: Vec<usize>,
    /// Bytes of a row that is read at most.
    pub row_bytes_max: usize,
}

impl CopyOptions {
    /// Fills in the defaults. What is given has been checked by the adapter: one ASCII character.
    pub fn new(format: &CopyFormat) -> Self {
        let csv = format.format == CopyKind::Csv;
        let first = |text: &str, default: u8| text.bytes().next().unwrap_or(default);
        let quote = first(&format.quote, b'"');
        CopyOptions {
            kind: format.format,
            delimiter: first(&format.delimiter, if csv { b',' } else { b'\t' }),
            null: format.null.clone().unwrap_or_else(|| if csv { "" } else { "\\N" }.to_owned()).into_bytes(),
            quote,
            escape: first(&format.escape, quote),
            header: format.header || format.header_match,
            header_match: format.header_match,
            force_quote: format.force_quote.clone(),
            force_not_null: format.force_not_null.clone(),
            force_null: format.force_null.clone(),
            row_bytes_max: format.row_bytes_max(),
        }
    }
}

/// Writes rows as CopyData messages.
pub struct CopyEncoder<'a> {
    options: CopyOptions,
    columns: &'a [ResultColumn],
    arena: Arena,
    field: Vec<u8>,
    /// What the first message begins with: clients expect the signature together with a row.
    prefix: &'static [u8],
}

impl<'a> CopyEncoder<'a> {
    /// An encoder for rows of `columns`.
    pub fn new(format: &CopyFormat, columns: &'a [ResultColumn]) -> Self {
        CopyEncoder {
            options: CopyOptions::new(format),
            columns,
            arena: Arena::new(),
            field: Vec::new(),
            prefix: &[],
        }
    }
    /// What comes before the rows.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if self.options.kind == CopyKind::Binary {
            self.prefix = BINARY_HEADER;
        } else if self.options.header {
            let at = wire::begin(out, wire::COPY_DATA);
            for (i, column) in self.columns.iter().enumerate() {
                if i > 0 {
                    out.put_u8(self.options.delimiter);
                }
                self.put(column.name.as_bytes(), false, out);
            }
            out.put_u8(b'\n');
            wire::end(out, at);
        }
    }
    /// What comes after the rows.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.options.kind == CopyKind::Binary {
            let at = wire::begin(out, wire::COPY_DATA);
            out.put_slice(std::mem::take(&mut self.prefix));
            out.put_i16(-1);
            wire::end(out, at);
        }
        wire::empty(out, wire::COPY_DONE);
    }
    /// Appends one row's message. On an error nothing is appended.
    pub fn row(&mut self, row: &[u8], out: &mut Vec<u8>) -> Result<(), ErrorFields> {
        let start = out.len();
        let at = wire::begin(out, wire::COPY_DATA);
        self.arena.reset();
        out.put_slice(self.prefix);
        let result = self.values(row, out);
        match result {
            Ok(()) => {
                self.prefix = &[];
                wire::end(out, at);
            }
            Err(_) => out.truncate(start),
        }
        result
    }
    fn values(&mut self, row: &[u8], out: &mut Vec<u8>) -> Result<(), ErrorFields> {
        let binary = self.options.kind == CopyKind::Binary;
        if binary {
            out.put_u16(self.columns.len() as u16);
        }
        let mut field = std::mem::take(&mut self.field);
        let mut rest = row;
        for (i, column) in self.columns.iter().enumerate() {
            let (datum, size) = encode::read(rest, &self.arena)?;
            rest = &rest[size..];
            field.clear();
            if i > 0 && !binary {
                out.put_u8(self.options.delimiter);
            }
            match (datum.is_null(), binary) {
                (true, true) => out.put_i32(-1),
                (true, false) => out.put_slice(&self.options.null),
                (false, true) => {
                    codec::write(&mut field, &column.ty, datum, Format::Binary, &PLAIN)?;
                    out.put_u32(field.len() as u32);
                    out.put_slice(&field);
                }
                (false, false) => {
                    codec::write(&mut field, &column.ty, datum, Format::Text, &PLAIN)?;
                    self.put(&field, self.options.force_quote.contains(&i), out);
                }
            }
        }
        if !binary {
            out.put_u8(b'\n');
        }
        self.field = field;
        Ok(())
    }
    fn put(&self, field: &[u8], quoted: bool, out: &mut Vec<u8>) {
        match self.options.kind {
            CopyKind::Csv => self.put_csv(field, quoted, out),
            _ => self.put_text(field, out),
        }
    }
    fn put_text(&self, field: &[u8], out: &mut Vec<u8>) {
        for byte in field {
            match byte {
                b'\\' => out.put_slice(b"\\\\"),
                b'\n' => out.put_slice(b"\\n"),
                b'\r' => out.put_slice(b"\\r"),
                b'\t' => out.put_slice(b"\\t"),
                0x08 => out.put_slice(b"\\b"),
                0x0b => out.put_slice(b"\\v"),
                0x0c => out.put_slice(b"\\f"),
                other if *other == self.options.delimiter => out.put_slice(&[b'\\', *other]),
                other => out.put_u8(*other),
            }
        }
    }
    fn put_csv(&self, field: &[u8], quoted: bool, out: &mut Vec<u8>) {
        let CopyOptions { delimiter, quote, escape, null, .. } = &self.options;
        let special = |byte: &u8| byte == delimiter || byte == quote || matches!(byte, b'\n' | b'\r');
        // A lone \. would read as the end of the data.
        let is_end = self.columns.len() == 1 && field == b"\\.";
        if !(quoted || is_end || field == null || field.iter().any(special)) {
            return out.put_slice(field);
        }
        out.put_u8(*quote);
        for byte in field {
            if byte == quote || byte == escape {
                out.put_u8(*escape);
            }
            out.put_u8(*byte);
        }
        out.put_u8(*quote);
    }
}

impl<S: Socket> Connection<S> {
    /// Sends a stream as COPY data, and the tag.
    pub(crate) async fn copy_out(
        &mut self,
        mut stream: Box<RowStream>,
        columns: &[ResultColumn],
        format: &CopyFormat,
    ) -> Result<(), Fault> {
        let mut encoder = CopyEncoder::new(format, columns);
        wire::copy_response(&mut self.out, b'H', format.format == CopyKind::Binary, columns.len());
        encoder.begin(&mut self.out);
        // A subscription may be silent for long: the client learns at once that it has begun.
        self.hurry();
        while self.fill(&mut stream).await? {
            while let Some(row) = stream.take() {
                if let Err(error) = encoder.row(row, &mut self.out) {
                    stream.end(Outcome::Failed, &error.sqlstate);
                    return Err(error.into());
                }
                self.flush_full(&mut stream).await?;
            }
            if stream.is_subscribe() {
                self.hurry();
            }
        }
        encoder.end(&mut self.out);
        wire::complete(&mut self.out, &format!("COPY {}", stream.rows));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_types::datum::Datum;
    use hw_types::row;
    use hw_types::scalar::BaseType;

    fn columns(bases: &[BaseType]) -> Vec<ResultColumn> {
        let column = |base: &BaseType| ResultColumn {
            name: "a,b".into(),
            ty: (*base).into(),
            oid: 0,
            type_size: -1,
            type_modifier: -1,
            table_oid: 0,
            column_number: 0,
        };
        bases.iter().map(column).collect()
    }

    fn copied(format: &CopyFormat, rows: &[&[Datum<'_>]]) -> Vec<u8> {
        let columns = columns(&[BaseType::Text, BaseType::Int4]);
        let mut encoder = CopyEncoder::new(format, &columns);
        let mut out = Vec::new();
        encoder.begin(&mut out);
        for row in rows {
            encoder.row(&row::pack(row.iter().copied()), &mut out).expect("well formed");
        }
        encoder.end(&mut out);
        let mut data = Vec::new();
        let mut rest = &out[..];
        while rest[0] == wire::COPY_DATA {
            let length = u32::from_be_bytes([rest[1], rest[2], rest[3], rest[4]]) as usize;
            data.extend_from_slice(&rest[5..1 + length]);
            rest = &rest[1 + length..];
        }
        assert_eq!(rest, b"c\0\0\0\x04");
        data
    }

    #[test]
    fn text_escapes_and_csv_quotes() {
        let rows: &[&[Datum<'_>]] = &[
            &[Datum::Text("a\tb\\\n"), Datum::Int(1)],
            &[Datum::Null, Datum::Null],
            &[Datum::Text(""), Datum::Int(-1)],
            &[Datum::Text("say \"x,y\""), Datum::Int(2)],
        ];
        let got = copied(&CopyFormat::default(), rows);
        assert_eq!(got, b"a\\tb\\\\\\n\t1\n\\N\t\\N\n\t-1\nsay \"x,y\"\t2\n");
        let csv = CopyFormat { format: CopyKind::Csv, header: true, ..CopyFormat::default() };
        let got = copied(&csv, rows);
        assert_eq!(got, b"\"a,b\",\"a,b\"\n\"a\tb\\\n\",1\n,\n\"\",-1\n\"say \"\"x,y\"\"\",2\n");
    }

    #[test]
    fn binary_has_signature_lengths_and_end() {
        let binary = CopyFormat { format: CopyKind::Binary, ..CopyFormat::default() };
        let got = copied(&binary, &[&[Datum::Text("x"), Datum::Null]]);
        let want = [BINARY_HEADER, b"\0\x02\0\0\0\x01x\xff\xff\xff\xff", b"\xff\xff"].concat();
        assert_eq!(got, want);
    }
}
