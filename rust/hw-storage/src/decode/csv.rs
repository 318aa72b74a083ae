//! CSV: one record a payload, all columns text.

use super::{DecodeError, utf8};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use hw_types::row::push_text;

/// A record may have so many bytes of fields.
const RECORD_BYTES_MAX: usize = 16 << 20;

/// Decodes records of a fixed number of fields.
pub struct Csv {
    reader: Reader,
    columns: usize,
    fields: Vec<u8>,
    ends: Vec<usize>,
}

impl Csv {
    /// A decoder of records of `columns` fields.
    pub fn new(columns: usize, delimiter: &str) -> Result<Csv, DecodeError> {
        let &[delimiter] = delimiter.as_bytes() else {
            return Err(DecodeError("a CSV delimiter is one ASCII character".into()));
        };
        Ok(Csv {
            reader: ReaderBuilder::new().delimiter(delimiter).build(),
            columns,
            fields: vec![0; 4096],
            ends: vec![0; columns + 1],
        })
    }
    /// The number of columns.
    pub fn arity(&self) -> usize {
        self.columns
    }
    /// Appends one text datum a field.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        self.reader.reset();
        let (mut input, mut written, mut ended) = (payload, 0, 0);
        loop {
            let (result, read, wrote, ends) =
                self.reader.read_record(input, &mut self.fields[written..], &mut self.ends[ended..]);
            input = &input[read..];
            written += wrote;
            ended += ends;
            match result {
                ReadRecordResult::InputEmpty => {} // the next call, with no input, ends the record
                ReadRecordResult::OutputFull if self.fields.len() < RECORD_BYTES_MAX => {
                    self.fields.resize(self.fields.len() * 2, 0);
                }
                ReadRecordResult::OutputFull => return Err(DecodeError("CSV record is too long".into())),
                ReadRecordResult::OutputEndsFull => return Err(self.miscounted("more")),
                ReadRecordResult::Record | ReadRecordResult::End => break,
            }
        }
        if ended != self.columns {
            return Err(self.miscounted(&ended.to_string()));
        }
        if !input.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            return Err(DecodeError("more than one CSV record in a message".into()));
        }
        let mut start = 0;
        for end in &self.ends[..ended] {
            push_text(out, utf8(&self.fields[start..*end])?);
            start = *end;
        }
        Ok(())
    }
    fn miscounted(&self, got: &str) -> DecodeError {
        DecodeError(format!("CSV record has {got} fields where {} are declared", self.columns))
    }
}
