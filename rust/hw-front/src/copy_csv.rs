//! COPY's csv format: quoted fields may hold delimiters, quotes and line ends.
//!
//! `csv-core` does not say whether a field was quoted, and NULL depends on it: an empty field is
//! NULL, a quoted empty one is not.

use crate::copy_in::Records;
use crate::copy_out::CopyOptions;
use crate::protocol::ErrorFields;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Outside quotes.
    Plain,
    /// Inside quotes.
    Quoted,
    /// After an escape character inside quotes, which may have been the closing quote.
    Escape,
}

/// Reads records out of chunks that break anywhere.
pub struct CsvReader {
    options: CopyOptions,
    state: State,
    field: Vec<u8>,
    /// Part of the field was quoted.
    quoted: bool,
    /// Something of the record has come.
    begun: bool,
    /// The fields of the record before this one, None is NULL; kept to recognize the end mark.
    fields: Vec<Option<Vec<u8>>>,
    record_bytes: usize,
    /// The last byte was a carriage return that ended a record.
    carriage: bool,
    header: bool,
    ended: bool,
}

impl CsvReader {
    /// Reads what `options` say.
    pub fn new(options: &CopyOptions) -> Self {
        CsvReader {
            options: options.clone(),
            state: State::Plain,
            field: Vec::new(),
            quoted: false,
            begun: false,
            fields: Vec::new(),
            record_bytes: 0,
            carriage: false,
            header: options.header,
            ended: false,
        }
    }
    /// Takes a chunk.
    pub fn feed(&mut self, data: &[u8], records: &mut Records) -> Result<(), ErrorFields> {
        for byte in data {
            if self.ended {
                return Ok(());
            }
            self.byte(*byte, records)?;
        }
        if self.record_bytes > self.options.row_bytes_max {
            return Err(records.too_long(self.options.row_bytes_max));
        }
        Ok(())
    }
    fn byte(&mut self, byte: u8, records: &mut Records) -> Result<(), ErrorFields> {
        let CopyOptions { delimiter, quote, escape, .. } = self.options;
        if std::mem::take(&mut self.carriage) && byte == b'\n' {
            return Ok(());
        }
        self.record_bytes += 1;
        if self.state == State::Escape {
            // With escape and quote the same character, only another quote makes it an escape.
            if byte == quote || (byte == escape && escape != quote) {
                self.state = State::Quoted;
                self.field.push(byte);
                return Ok(());
            }
            if escape == quote {
                self.state = State::Plain;
            } else {
                self.state = State::Quoted;
                self.field.push(escape);
            }
        }
        match (self.state, byte) {
            (State::Quoted, b) if b == escape && escape != quote => self.state = State::Escape,
            (State::Quoted, b) if b == quote && escape == quote => self.state = State::Escape,
            (State::Quoted, b) if b == quote => self.state = State::Plain,
            (State::Quoted, b) => {
                if b == b'\n' {
                    records.begin_line();
                }
                self.field.push(b);
            }
            (_, b) if b == quote => {
                self.begun = true;
                self.quoted = true;
                self.state = State::Quoted;
            }
            (_, b) if b == delimiter => {
                self.begun = true;
                self.end_field();
            }
            (_, b'\n') => self.end_record(records)?,
            (_, b'\r') => {
                self.carriage = true;
                self.end_record(records)?;
            }
            (_, b) => {
                self.begun = true;
                self.field.push(b);
            }
        }
        Ok(())
    }
    /// Takes the last record, which may lack its end.
    pub fn finish(&mut self, records: &mut Records) -> Result<(), ErrorFields> {
        if self.ended {
            return Ok(());
        }
        match self.state {
            State::Quoted => return Err(ErrorFields::new("22P04", "unterminated CSV quoted field")),
            State::Escape if self.options.escape != self.options.quote => {
                return Err(ErrorFields::new("22P04", "unterminated CSV quoted field"));
            }
            State::Plain | State::Escape => {}
        }
        if self.begun { self.end_record(records) } else { Ok(()) }
    }
    fn end_field(&mut self) {
        let field = std::mem::take(&mut self.field);
        let column = self.fields.len();
        let quoted = std::mem::take(&mut self.quoted);
        let may_be_null = match quoted {
            true => self.options.force_null.contains(&column),
            false => !self.options.force_not_null.contains(&column),
        };
        let null = may_be_null && field == self.options.null;
        self.fields.push((!null).then_some(field));
    }
    fn end_record(&mut self, records: &mut Records) -> Result<(), ErrorFields> {
        let end_mark = self.fields.is_empty() && !self.quoted && self.field == b"\\.";
        self.end_field();
        self.state = State::Plain;
        self.begun = false;
        self.record_bytes = 0;
        records.begin_line();
        let fields = std::mem::take(&mut self.fields);
        if end_mark {
            self.ended = true;
            return Ok(());
        }
        if std::mem::take(&mut self.header) {
            return if self.options.header_match { records.match_header(&fields) } else { Ok(()) };
        }
        for field in &fields {
            records.field(field.as_deref())?;
        }
        records.end()
    }
}

#[cfg(test)]
mod tests {
    use crate::copy_in::tests::{read, text};
    use crate::protocol::{CopyFormat, CopyKind};

    fn csv() -> CopyFormat {
        CopyFormat { format: CopyKind::Csv, ..CopyFormat::default() }
    }

    #[test]
    fn records_are_read_wherever_chunks_break() {
        let data = b"1,\"a,\"\"b\"\"\nc\"\r\n2,\n3,\"\"\n4,x\"y\"z\n\\.\nignored";
        let want = "1|a,\"b\"\nc\n2|NULL\n3|\n4|xyz\n";
        for size in [1, 2, 3, 100] {
            assert_eq!(read(&csv(), data, size).map(text), Ok(want.to_owned()), "{size}");
        }
    }

    #[test]
    fn options_change_every_character() {
        let format = CopyFormat {
            delimiter: ";".into(),
            null: Some("\\N".into()),
            quote: "'".into(),
            escape: "\\".into(),
            header: true,
            ..csv()
        };
        let got = read(&format, b"id;name\n1;'it\\'s \\\\ \\x'\n2;\\N\n3;", 5).map(text);
        assert_eq!(got, Ok("1|it's \\ \\x\n2|NULL\n3|\n".to_owned()));
    }

    #[test]
    fn errors_name_line_and_column() {
        let error = read(&csv(), b"1,\"a\nb\"\nx,c\n", 3).expect_err("malformed");
        assert_eq!(
            (error.sqlstate.as_str(), error.context.as_str()),
            ("22P02", "COPY t, line 3, column id: \"x\"")
        );
        let error = read(&csv(), b"1,\"a", 3).expect_err("malformed");
        assert_eq!(error.message, "unterminated CSV quoted field");
        let error = read(&csv(), b"\n", 3).expect_err("malformed");
        assert_eq!(error.message, "missing data for column \"name\"");
    }
}
