//! From a Kafka message to updates: key and value decoded, metadata added, the envelope applied.

use super::kafka::{Envelope, Include, Output, SourceError};
use crate::decode::{Decoder, Format, FromText};
use crate::envelope::{Upsert, error_row};
use hw_types::container::push_end;
use hw_types::datum::{Datum, List, Record};
use hw_types::flat::Updates;
use hw_types::row::{push_datum, push_int, push_null, push_text, push_uint};
use rdkafka::message::{BorrowedMessage, Headers, Message};

/// Begins the key that errors of keys stand under: no datum begins with it.
const NO_KEY: u8 = 0xFF;

/// From a message to updates.
pub struct Decoding {
    key: Option<Decoder>,
    value: Decoder,
    include_key: bool,
    include: Vec<Include>,
    upsert: Option<Upsert>,
    inline_errors: bool,
    row: Vec<u8>,
    key_row: Vec<u8>,
}

impl Decoding {
    /// Fails where the options make no sense.
    pub fn new(options: &Output, from_text: FromText) -> Result<Decoding, SourceError> {
        let decoder = |format: &Format| {
            Decoder::new(format, from_text).map_err(|error| SourceError::Definite(error.to_string()))
        };
        let (upsert, inline_errors) = match &options.envelope {
            Envelope::None => (None, false),
            Envelope::Upsert { inline_errors } => (Some(Upsert::new()), inline_errors.is_some()),
            Envelope::Debezium => {
                return Err(SourceError::Definite("ENVELOPE DEBEZIUM is not supported for JSON".into()));
            }
        };
        let key = options.key_format.as_ref().map(decoder).transpose()?;
        Ok(Decoding {
            include_key: upsert.is_some() || !options.include_key.is_empty(),
            value: decoder(&options.value_format)?,
            key,
            include: options.include.clone(),
            upsert,
            inline_errors,
            row: Vec::new(),
            key_row: Vec::new(),
        })
    }
    /// Takes in the output's snapshot, where the envelope needs it.
    pub fn load(&mut self, rows: &Updates, errors: &Updates) {
        if let Some(upsert) = &mut self.upsert {
            upsert.load(rows, errors, self.key.as_ref().map_or(0, Decoder::arity));
        }
    }
    /// The keys that the envelope remembers, and their bytes.
    pub fn indexed(&self) -> (u64, u64) {
        self.upsert.as_ref().map_or((0, 0), |upsert| (upsert.len() as u64, upsert.bytes() as u64))
    }
    /// Appends what `message` changes.
    pub fn decode(&mut self, message: &BorrowedMessage<'_>, rows: &mut Updates, errors: &mut Updates) {
        let place = || format!("partition {}, offset {}", message.partition(), message.offset());
        self.key_row.clear();
        self.row.clear();
        if let Err(error) = self.decode_key(message) {
            let text = format!("failed to decode key ({}): {error}", place());
            self.fail_key(message, &text, rows, errors);
            return;
        }
        if self.include_key {
            self.row.extend_from_slice(&self.key_row);
        }
        let decoded = match message.payload() {
            None if self.upsert.is_some() => {
                if let Some(upsert) = &mut self.upsert {
                    upsert.delete(&self.key_row, rows, errors);
                }
                return;
            }
            None => {
                (0..self.value.arity()).for_each(|_| push_null(&mut self.row));
                Ok(())
            }
            Some(payload) => self.value.decode(payload, &mut self.row).map_err(|error| error.to_string()),
        };
        let decoded = match decoded {
            Ok(()) if self.inline_errors => {
                push_null(&mut self.row);
                Ok(())
            }
            Err(error) if self.inline_errors => {
                self.push_inline_error(&error);
                Ok(())
            }
            other => other,
        };
        let decoded = decoded.and_then(|()| self.push_metadata(message));
        match (decoded, &mut self.upsert) {
            (Ok(()), None) => rows.push(&self.row, 0, 1),
            (Ok(()), Some(upsert)) => upsert.upsert(&self.key_row, &self.row, rows, errors),
            (Err(error), None) => {
                let text = format!("failed to decode value ({}): {error}", place());
                errors.push(&error_row("22P02", &text, None), 0, 1);
            }
            (Err(error), Some(upsert)) => {
                let text = format!("failed to decode value ({}): {error}", place());
                upsert.fail(&self.key_row, &text, rows, errors);
            }
        }
    }
    /// A key that can't be decoded, or is null where one is needed. Under UPSERT its error stands under
    /// what there is of the key, until a record with the same and no value takes it back.
    fn fail_key(
        &mut self,
        message: &BorrowedMessage<'_>,
        text: &str,
        rows: &mut Updates,
        errors: &mut Updates,
    ) {
        let Some(upsert) = &mut self.upsert else {
            return errors.push(&error_row("22P02", text, None), 0, 1);
        };
        let mut key = vec![NO_KEY];
        key.extend_from_slice(message.key().unwrap_or_default());
        match message.payload() {
            None => upsert.delete(&key, rows, errors),
            Some(_) => upsert.fail(&key, text, rows, errors),
        }
    }
    /// Values are NULL and the error's text is the one field of a record.
    fn push_inline_error(&mut self, error: &str) {
        (0..self.value.arity()).for_each(|_| push_null(&mut self.row));
        let mut fields = Vec::new();
        push_text(&mut fields, error);
        push_end(&mut fields);
        push_datum(&mut self.row, Datum::Record(Record(&fields)));
    }
    fn decode_key(&mut self, message: &BorrowedMessage<'_>) -> Result<(), String> {
        let Some(decoder) = &mut self.key else { return Ok(()) };
        match message.key() {
            Some(key) => decoder.decode(key, &mut self.key_row).map_err(|error| error.to_string()),
            None if self.upsert.is_some() => Err("it is null".into()),
            None => {
                (0..decoder.arity()).for_each(|_| push_null(&mut self.key_row));
                Ok(())
            }
        }
    }
    fn push_metadata(&mut self, message: &BorrowedMessage<'_>) -> Result<(), String> {
        let row = &mut self.row;
        for include in &self.include {
            match include.what.as_str() {
                "partition" => push_int(row, message.partition().into()),
                "offset" => push_uint(row, message.offset().max(0) as u64),
                "timestamp" => match message.timestamp().to_millis() {
                    Some(millis) => push_int(row, millis.saturating_mul(1_000)),
                    None => push_null(row),
                },
                "headers" => push_headers(row, message)?,
                "header" => push_header(row, message, include)?,
                other => return Err(format!("unknown metadata column {other}")),
            }
        }
        Ok(())
    }
}

/// All headers, as a list of records (key text, value bytea).
fn push_headers(row: &mut Vec<u8>, message: &BorrowedMessage<'_>) -> Result<(), String> {
    let mut elements = Vec::new();
    for header in message.headers().iter().flat_map(|headers| headers.iter()) {
        let mut fields = Vec::new();
        push_text(&mut fields, crate::decode::utf8(header.key.as_bytes()).map_err(|error| error.0)?);
        match header.value {
            Some(value) => push_datum(&mut fields, Datum::Bytes(value)),
            None => push_null(&mut fields),
        }
        push_end(&mut fields);
        push_datum(&mut elements, Datum::Record(Record(&fields)));
    }
    push_end(&mut elements);
    push_datum(row, Datum::List(List(&elements)));
    Ok(())
}

/// The last header of a name.
fn push_header(row: &mut Vec<u8>, message: &BorrowedMessage<'_>, include: &Include) -> Result<(), String> {
    let headers = message.headers();
    let named = headers.iter().flat_map(|headers| headers.iter()).filter(|h| h.key == include.header);
    let Some(header) = named.last() else {
        return Err(format!("header \"{}\" is missing", include.header));
    };
    match header.value {
        None => push_null(row),
        Some(value) if include.as_bytes => push_datum(row, Datum::Bytes(value)),
        Some(value) => push_text(row, crate::decode::utf8(value).map_err(|error| error.0)?),
    }
    Ok(())
}
