//! COPY … FROM STDIN: data are read here and given to Python as rows, in batches of bounded size.

use crate::codec;
use crate::connection::{Connection, End, Fault, Socket};
use crate::copy_binary::BinaryReader;
use crate::copy_csv::CsvReader;
use crate::copy_out::CopyOptions;
use crate::copy_text::TextReader;
use crate::frames::{self, Reader};
use crate::protocol::{Answer, CopyFormat, CopyKind, ErrorFields, Request, ResultColumn};
use crate::simple::unexpected;
use crate::wire::{self, Format};
use hw_types::flat::Updates;
use hw_types::row;
use serde_bytes::ByteBuf;

/// Bytes of rows in a batch, about.
pub const BATCH_BYTES: usize = 1 << 20;
/// Rows in a batch at most.
pub const BATCH_ROWS_MAX: usize = 32 << 10;
/// Characters of a bad value that an error shows.
const SHOWN_CHARACTERS: usize = 100;

/// Makes rows of fields as a reader finds them.
pub struct Records<'a> {
    table: &'a str,
    columns: &'a [ResultColumn],
    format: Format,
    line: u64,
    at: usize,
    row: Vec<u8>,
    /// Whole rows.
    pub rows: Updates,
}

/// Where records stop between two chunks of data.
#[derive(Debug, Default)]
pub struct Place {
    line: u64,
    at: usize,
    row: Vec<u8>,
}

impl<'a> Records<'a> {
    /// No rows yet, of these columns.
    pub fn new(table: &'a str, columns: &'a [ResultColumn], kind: CopyKind) -> Self {
        let format = if kind == CopyKind::Binary { Format::Binary } else { Format::Text };
        Records { table, columns, format, line: 0, at: 0, row: Vec::new(), rows: Updates::new() }
    }
    /// Goes on where another one stopped.
    pub fn resume(table: &'a str, columns: &'a [ResultColumn], kind: CopyKind, place: Place) -> Self {
        let Place { line, at, row } = place;
        Records { line, at, row, ..Records::new(table, columns, kind) }
    }
    /// The rows made, and where the next one goes on.
    pub fn stop(self) -> (Updates, Place) {
        (self.rows, Place { line: self.line, at: self.at, row: self.row })
    }
    /// The number of fields of a record.
    pub fn width(&self) -> usize {
        self.columns.len()
    }
    /// A line begins, for error messages.
    pub fn begin_line(&mut self) {
        self.line += 1;
    }
    /// The next field of the record; None is NULL.
    pub fn field(&mut self, value: Option<&[u8]>) -> Result<(), ErrorFields> {
        let Some(column) = self.columns.get(self.at) else {
            let error = ErrorFields::new("22P04", "extra data after last expected column");
            return Err(self.in_line(error));
        };
        self.at += 1;
        match value {
            None => row::push_null(&mut self.row),
            Some(value) => {
                codec::read(&mut self.row, &column.ty, value, self.format).map_err(|error| {
                    let place = format!("COPY {}, line {}, column {}", self.table, self.line, column.name);
                    if self.format == Format::Binary {
                        return error.within(place);
                    }
                    let shown: String =
                        String::from_utf8_lossy(value).chars().take(SHOWN_CHARACTERS).collect();
                    error.within(format!("{place}: \"{shown}\""))
                })?;
            }
        }
        Ok(())
    }
    /// The record ends.
    pub fn end(&mut self) -> Result<(), ErrorFields> {
        if let Some(missing) = self.columns.get(self.at) {
            let error = ErrorFields::new("22P04", format!("missing data for column \"{}\"", missing.name));
            return Err(self.in_line(error));
        }
        self.rows.push(&self.row, 0, 1);
        self.row.clear();
        self.at = 0;
        Ok(())
    }
    /// The first line of data with names, which must be those of the columns.
    pub fn match_header<T: AsRef<[u8]>>(&self, names: &[Option<T>]) -> Result<(), ErrorFields> {
        let error = |text: String| Err(self.in_line(ErrorFields::new("22P04", text)));
        if names.len() != self.columns.len() {
            let (got, expected) = (names.len(), self.columns.len());
            return error(format!("wrong number of fields in header line: got {got}, expected {expected}"));
        }
        for (i, (name, column)) in names.iter().zip(self.columns).enumerate() {
            let mismatch = format!("column name mismatch in header line field {}", i + 1);
            match name {
                None => {
                    return error(format!(
                        "{mismatch}: got null value (\"\\N\"), expected \"{}\"",
                        column.name
                    ));
                }
                Some(name) if name.as_ref() != column.name.as_bytes() => {
                    let got = String::from_utf8_lossy(name.as_ref());
                    return error(format!("{mismatch}: got \"{got}\", expected \"{}\"", column.name));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
    /// The error of a record that is longer than allowed.
    pub fn too_long(&self, bytes_max: usize) -> ErrorFields {
        let text = format!("a row of COPY data is longer than {bytes_max} bytes");
        let mut error = ErrorFields::new("54000", text);
        error.hint = "The system variable max_copy_from_row_size limits it.".to_owned();
        error.within(format!("COPY {}, line {}", self.table, self.line + 1))
    }
    /// The same error, and the line in which it happened.
    pub fn in_line(&self, error: ErrorFields) -> ErrorFields {
        error.within(format!("COPY {}, line {}", self.table, self.line))
    }
    fn is_full(&self) -> bool {
        self.rows.row_bytes() >= BATCH_BYTES || self.rows.len() >= BATCH_ROWS_MAX
    }
}

/// A reader of either format.
pub enum Lines {
    /// Text.
    Text(TextReader),
    /// Comma-separated values.
    Csv(Box<CsvReader>),
    /// Binary.
    Binary(BinaryReader),
}

impl Lines {
    /// A reader of this format.
    pub fn new(format: &CopyFormat) -> Self {
        let options = CopyOptions::new(format);
        match format.format {
            CopyKind::Text => Lines::Text(TextReader::new(&options)),
            CopyKind::Csv => Lines::Csv(Box::new(CsvReader::new(&options))),
            CopyKind::Binary => Lines::Binary(BinaryReader::new(options.row_bytes_max)),
        }
    }
    /// Takes a chunk.
    pub fn feed(&mut self, data: &[u8], records: &mut Records) -> Result<(), ErrorFields> {
        match self {
            Lines::Text(reader) => reader.feed(data, records),
            Lines::Csv(reader) => reader.feed(data, records),
            Lines::Binary(reader) => reader.feed(data, records),
        }
    }
    /// Takes what is left.
    pub fn finish(&mut self, records: &mut Records) -> Result<(), ErrorFields> {
        match self {
            Lines::Text(reader) => reader.finish(records),
            Lines::Csv(reader) => reader.finish(records),
            Lines::Binary(reader) => reader.finish(records),
        }
    }
}

/// Why COPY did not end well: Python has been told of it already, or has said it itself, or not.
enum CopyFault {
    Here(ErrorFields),
    There(ErrorFields),
    End(End),
}

impl From<ErrorFields> for CopyFault {
    fn from(error: ErrorFields) -> Self {
        CopyFault::Here(error)
    }
}

impl From<End> for CopyFault {
    fn from(end: End) -> Self {
        CopyFault::End(end)
    }
}

impl<S: Socket> Connection<S> {
    /// Reads a COPY's data to their end, and the tag.
    pub(crate) async fn copy_in(
        &mut self,
        table: &str,
        columns: &[ResultColumn],
        format: &CopyFormat,
        simple_sync: bool,
    ) -> Result<(), Fault> {
        match self.copy_rows(table, columns, format, simple_sync).await {
            Ok(tag) => {
                wire::complete(&mut self.out, &tag);
                Ok(())
            }
            Err(CopyFault::Here(error)) => {
                let fail = Request::CopyFail { error: error.clone() };
                match self.ask(&fail).await?.1 {
                    Answer::Failed { .. } => {}
                    _ => return Err(Fault::End(unexpected())),
                }
                self.session.dirty = false;
                // Python's copy of the error lacks the context, which only we know.
                Err(Fault::Error(error))
            }
            Err(CopyFault::There(error)) => {
                self.session.dirty = false;
                Err(Fault::Error(error))
            }
            Err(CopyFault::End(end)) => Err(Fault::End(end)),
        }
    }
    async fn copy_rows(
        &mut self,
        table: &str,
        columns: &[ResultColumn],
        format: &CopyFormat,
        sync: bool,
    ) -> Result<String, CopyFault> {
        let mut lines = Lines::new(format);
        let mut records = Records::new(table, columns, format.format);
        wire::copy_response(&mut self.out, b'G', format.format == CopyKind::Binary, columns.len());
        self.flush().await?;
        loop {
            let (kind, body) = self.next_frame().await?;
            match kind {
                b'd' => {
                    // A message may hold much more than a batch.
                    for chunk in body.chunks(BATCH_BYTES) {
                        lines.feed(chunk, &mut records)?;
                        if records.is_full() {
                            self.send_copied(&mut records).await?;
                        }
                    }
                }
                b'c' => break,
                b'f' => {
                    let why = Reader::new(body).cstr().map_err(End::from)?;
                    let text = format!("COPY from stdin failed: {}", String::from_utf8_lossy(&why));
                    return Err(ErrorFields::new("57014", text).into());
                }
                // libpq sends Sync together with Execute, before it knows of the COPY.
                b'H' | b'S' => {}
                b'X' => return Err(End::Gone.into()),
                other => {
                    let text = format!("unexpected message type 0x{other:02X} during COPY from stdin");
                    return Err(ErrorFields::new("08P01", text).into());
                }
            }
        }
        lines.finish(&mut records)?;
        if !records.rows.is_empty() {
            self.send_copied(&mut records).await?;
        }
        let sync = sync || frames::peek_kind(&self.input) == Some(b'S');
        match self.ask(&Request::CopyDone { sync }).await?.1 {
            Answer::Command { tag } => {
                self.session.dirty = !sync;
                Ok(tag)
            }
            Answer::Failed { error } => Err(CopyFault::There(error)),
            _ => Err(unexpected().into()),
        }
    }
    async fn send_copied(&mut self, records: &mut Records<'_>) -> Result<(), CopyFault> {
        let rows = std::mem::take(&mut records.rows);
        let rows = rows.encode().map_err(|error| ErrorFields::new("54000", error.to_string()))?;
        match self.ask(&Request::CopyData { rows: ByteBuf::from(rows) }).await?.1 {
            Answer::Synced => Ok(()),
            Answer::Failed { error } => Err(CopyFault::There(error)),
            _ => Err(unexpected().into()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use hw_types::arena::Arena;
    use hw_types::datum::Datum;
    use hw_types::scalar::BaseType;

    /// Reads `data` in chunks of `size` as rows of `(id int4, name text)`.
    pub(crate) fn read(format: &CopyFormat, data: &[u8], size: usize) -> Result<Updates, ErrorFields> {
        let column = |name: &str, base: BaseType| ResultColumn {
            name: name.into(),
            ty: base.into(),
            oid: 0,
            type_size: -1,
            type_modifier: -1,
            table_oid: 0,
            column_number: 0,
        };
        let columns = [column("id", BaseType::Int4), column("name", BaseType::Text)];
        let mut records = Records::new("t", &columns, format.format);
        let mut lines = Lines::new(format);
        for chunk in data.chunks(size) {
            lines.feed(chunk, &mut records)?;
        }
        lines.finish(&mut records)?;
        Ok(records.rows)
    }

    /// One line a row, fields between bars.
    pub(crate) fn text(rows: Updates) -> String {
        let mut out = String::new();
        for (bytes, _, _) in rows.iter() {
            let arena = Arena::new();
            let show = |datum: Datum<'_>| match datum {
                Datum::Int(value) => value.to_string(),
                Datum::Text(value) => value.to_owned(),
                _ => "NULL".to_owned(),
            };
            let fields: Vec<String> = row::RowReader::new(bytes, &arena).map(show).collect();
            out += &fields.join("|");
            out.push('\n');
        }
        out
    }
}
