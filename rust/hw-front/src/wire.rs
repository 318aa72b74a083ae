//! Messages to clients, appended to an output buffer.

use crate::protocol::{ErrorFields, Parameter, ResultColumn};
use bytes::BufMut;

/// Begins a message and returns where its length goes.
#[inline]
pub fn begin(out: &mut Vec<u8>, kind: u8) -> usize {
    out.put_u8(kind);
    out.put_i32(0);
    out.len() - 4
}

/// Ends the message that began at `at`.
#[inline]
pub fn end(out: &mut [u8], at: usize) {
    let length = (out.len() - at) as u32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// A text with its end. Zero bytes inside would end it early and are left out.
fn cstr(out: &mut Vec<u8>, text: &str) {
    text.split('\0').for_each(|part| out.put_slice(part.as_bytes()));
    out.put_u8(0);
}

/// A message without a body: ParseComplete, NoData and the like.
pub fn empty(out: &mut Vec<u8>, kind: u8) {
    out.put_slice(&[kind, 0, 0, 0, 4]);
}

/// ParseComplete.
pub const PARSE_COMPLETE: u8 = b'1';
/// BindComplete.
pub const BIND_COMPLETE: u8 = b'2';
/// CloseComplete.
pub const CLOSE_COMPLETE: u8 = b'3';
/// NoData.
pub const NO_DATA: u8 = b'n';
/// EmptyQueryResponse.
pub const EMPTY_QUERY: u8 = b'I';
/// PortalSuspended.
pub const PORTAL_SUSPENDED: u8 = b's';
/// CopyDone.
pub const COPY_DONE: u8 = b'c';
/// CopyData.
pub const COPY_DATA: u8 = b'd';

/// AuthenticationOk.
pub fn authentication_ok(out: &mut Vec<u8>) {
    out.put_slice(b"R\0\0\0\x08\0\0\0\0");
}

/// ParameterStatus.
pub fn parameter_status(out: &mut Vec<u8>, name: &str, value: &str) {
    let at = begin(out, b'S');
    cstr(out, name);
    cstr(out, value);
    end(out, at);
}

/// BackendKeyData.
pub fn backend_key(out: &mut Vec<u8>, process_id: u32, secret: &[u8]) {
    let at = begin(out, b'K');
    out.put_u32(process_id);
    out.put_slice(secret);
    end(out, at);
}

/// NegotiateProtocolVersion.
pub fn negotiate(out: &mut Vec<u8>, version: u32, unknown_options: &[String]) {
    let at = begin(out, b'v');
    out.put_u32(version);
    out.put_u32(unknown_options.len() as u32);
    unknown_options.iter().for_each(|option| cstr(out, option));
    end(out, at);
}

/// ReadyForQuery.
pub fn ready(out: &mut Vec<u8>, status: u8) {
    out.put_slice(&[b'Z', 0, 0, 0, 5, status]);
}

/// CommandComplete.
pub fn complete(out: &mut Vec<u8>, tag: &str) {
    let at = begin(out, b'C');
    cstr(out, tag);
    end(out, at);
}

/// ErrorResponse.
pub fn error(out: &mut Vec<u8>, fields: &ErrorFields) {
    report(out, b'E', fields);
}

/// NoticeResponse.
pub fn notice(out: &mut Vec<u8>, fields: &ErrorFields) {
    report(out, b'N', fields);
}

fn report(out: &mut Vec<u8>, kind: u8, fields: &ErrorFields) {
    let at = begin(out, kind);
    let mut field = |kind: u8, text: &str| {
        if !text.is_empty() {
            out.put_u8(kind);
            cstr(out, text);
        }
    };
    field(b'S', &fields.severity);
    field(b'V', &fields.severity);
    field(b'C', &fields.sqlstate);
    field(b'M', &fields.message);
    field(b'D', &fields.detail);
    field(b'H', &fields.hint);
    field(b'W', &fields.context);
    field(b's', &fields.schema_name);
    field(b't', &fields.table_name);
    field(b'c', &fields.column_name);
    field(b'n', &fields.constraint_name);
    if fields.position > 0 {
        field(b'P', &fields.position.to_string());
    }
    out.put_u8(0);
    end(out, at);
}

/// ParameterDescription.
pub fn parameter_description(out: &mut Vec<u8>, parameters: &[Parameter]) {
    let at = begin(out, b't');
    out.put_u16(parameters.len() as u16);
    parameters.iter().for_each(|parameter| out.put_u32(parameter.oid));
    end(out, at);
}

/// RowDescription; `format` gives each column's.
pub fn row_description(out: &mut Vec<u8>, columns: &[ResultColumn], format: impl Fn(usize) -> Format) {
    let at = begin(out, b'T');
    out.put_u16(columns.len() as u16);
    for (i, column) in columns.iter().enumerate() {
        cstr(out, &column.name);
        out.put_u32(column.table_oid);
        out.put_i16(column.column_number);
        out.put_u32(column.oid);
        out.put_i16(column.type_size);
        out.put_i32(column.type_modifier);
        out.put_i16(format(i) as i16);
    }
    end(out, at);
}

/// CopyInResponse (`G`) or CopyOutResponse (`H`).
pub fn copy_response(out: &mut Vec<u8>, kind: u8, binary: bool, columns: usize) {
    let at = begin(out, kind);
    out.put_u8(u8::from(binary));
    out.put_u16(columns as u16);
    (0..columns).for_each(|_| out.put_i16(i16::from(binary)));
    end(out, at);
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum Format {
    /// As text.
    Text = 0,
    /// As the type's binary form.
    Binary = 1,
}

impl Format {
    /// Reads a format code.
    pub fn from_code(code: i16) -> Result<Format, ErrorFields> {
        match code {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            other => Err(ErrorFields::new("22023", format!("unsupported format code: {other}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_carries_what_is_known() {
        let mut out = Vec::new();
        let mut fields = ErrorFields::new("42601", "no\0pe");
        (fields.hint, fields.position) = ("h".into(), 7);
        error(&mut out, &fields);
        assert_eq!(&out[..], b"E\0\0\0\x26SERROR\0VERROR\0C42601\0Mnope\0Hh\0P7\0\0");
    }
}
