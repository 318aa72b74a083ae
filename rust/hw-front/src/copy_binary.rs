//! COPY's binary format: a signature, tuples of counted fields, an end mark.

use crate::copy_in::Records;
use crate::copy_out::BINARY_SIGNATURE;
use crate::protocol::ErrorFields;

/// The bit of the header's flags that says that tuples begin with an object id.
const HAS_OIDS: u32 = 1 << 16;
/// Flags that a reader must know.
const CRITICAL: u32 = 0xffff_0000;

/// Reads tuples out of chunks that break anywhere.
pub struct BinaryReader {
    /// What has come of a tuple that is not complete.
    pending: Vec<u8>,
    header_read: bool,
    ended: bool,
    row_bytes_max: usize,
}

fn malformed(message: impl Into<String>) -> ErrorFields {
    ErrorFields::new("22P04", message)
}

/// Takes big-endian numbers and fields off the front; None where they have not come yet.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }
    fn u32(&mut self) -> Option<u32> {
        self.take(4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes)
    }
    fn i16(&mut self) -> Option<i16> {
        self.take(2).and_then(|bytes| bytes.try_into().ok()).map(i16::from_be_bytes)
    }
}

enum Step {
    /// More bytes are needed.
    Wait,
    /// This many bytes are done with.
    Used(usize),
    /// The end mark.
    End,
}

impl BinaryReader {
    /// A reader at the beginning of the data.
    pub fn new(row_bytes_max: usize) -> Self {
        BinaryReader { pending: Vec::new(), header_read: false, ended: false, row_bytes_max }
    }
    /// Takes a chunk.
    pub fn feed(&mut self, data: &[u8], records: &mut Records) -> Result<(), ErrorFields> {
        if self.ended {
            if data.is_empty() {
                return Ok(());
            }
            return Err(malformed("received copy data after EOF marker"));
        }
        self.pending.extend_from_slice(data);
        let pending = std::mem::take(&mut self.pending);
        let mut at = 0;
        loop {
            let rest = &pending[at..];
            let step = if self.header_read { tuple(rest, records)? } else { header(rest)? };
            match step {
                Step::Used(count) => {
                    at += count;
                    self.header_read = true;
                }
                Step::End => {
                    self.ended = true;
                    return match rest.len() {
                        2 => Ok(()),
                        _ => Err(malformed("received copy data after EOF marker")),
                    };
                }
                Step::Wait => {
                    if rest.len() > self.row_bytes_max {
                        return Err(records.too_long(self.row_bytes_max));
                    }
                    self.pending = rest.to_vec();
                    return Ok(());
                }
            }
        }
    }
    /// The data have ended; the end mark may be missing, but no part of a tuple.
    pub fn finish(&mut self, _records: &mut Records) -> Result<(), ErrorFields> {
        match (self.header_read, self.pending.is_empty()) {
            (false, _) => Err(malformed("COPY file signature not recognized")),
            (true, false) => Err(malformed("unexpected EOF in COPY data")),
            (true, true) => Ok(()),
        }
    }
}

fn header(data: &[u8]) -> Result<Step, ErrorFields> {
    let known = data.len().min(BINARY_SIGNATURE.len());
    if data[..known] != BINARY_SIGNATURE[..known] {
        return Err(malformed("COPY file signature not recognized"));
    }
    let mut cursor = Cursor(data);
    let (Some(_), Some(flags), Some(extension)) =
        (cursor.take(BINARY_SIGNATURE.len()), cursor.u32(), cursor.u32())
    else {
        return Ok(Step::Wait);
    };
    if flags & HAS_OIDS != 0 {
        return Err(malformed("invalid COPY file header (WITH OIDS)"));
    }
    if flags & CRITICAL != 0 {
        return Err(malformed("unrecognized critical flags in COPY file header"));
    }
    match cursor.take(extension as usize) {
        Some(_) => Ok(Step::Used(data.len() - cursor.0.len())),
        None => Ok(Step::Wait),
    }
}

/// Takes one tuple once it is there as a whole.
fn tuple(data: &[u8], records: &mut Records) -> Result<Step, ErrorFields> {
    let mut cursor = Cursor(data);
    let Some(count) = cursor.i16() else { return Ok(Step::Wait) };
    if count == -1 {
        return Ok(Step::End);
    }
    if usize::try_from(count) != Ok(records.width()) {
        records.begin_line();
        let text = format!("row field count is {count}, expected {}", records.width());
        return Err(records.in_line(malformed(text)));
    }
    let mut fields = Vec::with_capacity(records.width());
    for _ in 0..count {
        let Some(size) = cursor.u32() else { return Ok(Step::Wait) };
        match i32::from_ne_bytes(size.to_ne_bytes()) {
            -1 => fields.push(None),
            size if size < 0 => {
                records.begin_line();
                return Err(records.in_line(malformed("invalid field size")));
            }
            size => match cursor.take(size.unsigned_abs() as usize) {
                Some(value) => fields.push(Some(value)),
                None => return Ok(Step::Wait),
            },
        }
    }
    records.begin_line();
    for field in fields {
        records.field(field)?;
    }
    records.end()?;
    Ok(Step::Used(data.len() - cursor.0.len()))
}

#[cfg(test)]
mod tests {
    use crate::copy_in::tests::{read, text};
    use crate::protocol::{CopyFormat, CopyKind};

    const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

    fn binary() -> CopyFormat {
        CopyFormat { format: CopyKind::Binary, ..CopyFormat::default() }
    }

    fn data(tuples: &[u8]) -> Vec<u8> {
        [HEADER, tuples].concat()
    }

    #[test]
    fn tuples_are_read_wherever_chunks_break() {
        let all = data(
            b"\0\x02\0\0\0\x04\0\0\0\x07\0\0\0\x02ab\0\x02\0\0\0\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        );
        for size in [1, 2, 3, 11, 100] {
            assert_eq!(read(&binary(), &all, size).map(text), Ok("7|ab\n-1|NULL\n".to_owned()), "{size}");
        }
        // Without the end mark, as some clients leave it.
        assert_eq!(read(&binary(), &all[..all.len() - 2], 5).map(text), Ok("7|ab\n-1|NULL\n".to_owned()));
    }

    #[test]
    fn malformed_data_are_refused() {
        let error = |bytes: &[u8]| {
            let error = read(&binary(), bytes, 7).expect_err("malformed");
            (error.sqlstate.clone(), error.message.clone(), error.context.clone())
        };
        let case = |state: &str, message: &str, context: &str| (state.into(), message.into(), context.into());
        assert_eq!(error(b"1,2\n"), case("22P04", "COPY file signature not recognized", ""));
        assert_eq!(error(b""), case("22P04", "COPY file signature not recognized", ""));
        assert_eq!(
            error(&data(b"\0\x01")),
            case("22P04", "row field count is 1, expected 2", "COPY t, line 1")
        );
        assert_eq!(error(&data(b"\0\x02\0\0")), case("22P04", "unexpected EOF in COPY data", ""));
        assert_eq!(
            error(&data(b"\0\x02\xff\xff\xff\xfe")),
            case("22P04", "invalid field size", "COPY t, line 1")
        );
        let (state, _, context) = error(&data(b"\0\x02\0\0\0\x03\0\0\x01\xff\xff\xff\xff"));
        assert_eq!((state.as_str(), context.as_str()), ("22P03", "COPY t, line 1, column id"));
        assert_eq!(error(&data(b"\xff\xff\0")), case("22P04", "received copy data after EOF marker", ""));
    }
}
