//! Messages from clients: split out of the stream whole, then read with every bound checked.

use crate::protocol::ErrorFields;
use bytes::{Buf, Bytes, BytesMut};

/// A message's bytes at most before the client is let in.
pub const STARTUP_BYTES_MAX: usize = 10_000;
/// A message's type and length.
pub const HEADER_BYTES: usize = 5;

/// A message that breaks the protocol; the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation(pub &'static str);

impl Violation {
    /// What the client is told.
    pub fn fields(self) -> ErrorFields {
        ErrorFields::fatal("08P01", self.0)
    }
}

/// Takes the first message off `input`: its type and body. None while it is not all there.
pub fn split(input: &mut BytesMut, body_bytes_max: usize) -> Result<Option<(u8, Bytes)>, Violation> {
    let Some(header) = input.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let kind = header[0];
    let length = i32::from_be_bytes([header[1], header[2], header[3], header[4]]);
    let body = match usize::try_from(length) {
        Ok(length) if length >= 4 && length - 4 <= body_bytes_max => length - 4,
        _ => return Err(Violation("invalid message length")),
    };
    if input.len() < HEADER_BYTES + body {
        return Ok(None);
    }
    input.advance(HEADER_BYTES);
    Ok(Some((kind, input.split_to(body).freeze())))
}

/// The type of the first message of `input`, if its header is there.
pub fn peek_kind(input: &BytesMut) -> Option<u8> {
    (input.len() >= HEADER_BYTES).then(|| input[0])
}

/// Whether there is more in `input` than its first message.
pub fn is_more(input: &BytesMut) -> bool {
    let length = input.get(1..HEADER_BYTES).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    length.is_some_and(|length| input.len() > 1 + length as usize)
}

/// Takes the startup packet off `input`, which has a length but no type.
pub fn split_startup(input: &mut BytesMut) -> Result<Option<Bytes>, Violation> {
    let Some(header) = input.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*header) as usize;
    if !(8..=STARTUP_BYTES_MAX).contains(&length) {
        return Err(Violation("invalid length of startup packet"));
    }
    if input.len() < length {
        return Ok(None);
    }
    input.advance(4);
    Ok(Some(input.split_to(length - 4).freeze()))
}

/// Reads a message's body.
pub struct Reader(Bytes);

const SHORT: Violation = Violation("insufficient data left in message");

impl Reader {
    /// Reads `body`.
    pub fn new(body: Bytes) -> Self {
        Reader(body)
    }
    /// The next byte.
    pub fn u8(&mut self) -> Result<u8, Violation> {
        self.0.try_get_u8().map_err(|_| SHORT)
    }
    /// The next two bytes, a count.
    pub fn count(&mut self) -> Result<usize, Violation> {
        self.0.try_get_u16().map(usize::from).map_err(|_| SHORT)
    }
    /// The next two bytes, signed.
    pub fn i16(&mut self) -> Result<i16, Violation> {
        self.0.try_get_i16().map_err(|_| SHORT)
    }
    /// The next four bytes, signed.
    pub fn i32(&mut self) -> Result<i32, Violation> {
        self.0.try_get_i32().map_err(|_| SHORT)
    }
    /// The next four bytes.
    pub fn u32(&mut self) -> Result<u32, Violation> {
        self.0.try_get_u32().map_err(|_| SHORT)
    }
    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<Bytes, Violation> {
        if self.0.len() < count { Err(SHORT) } else { Ok(self.0.split_to(count)) }
    }
    /// A value of a Bind message: a length of -1 is NULL.
    pub fn value(&mut self) -> Result<Option<Bytes>, Violation> {
        match self.i32()? {
            -1 => Ok(None),
            length => match usize::try_from(length) {
                Ok(length) => self.bytes(length).map(Some),
                Err(_) => Err(SHORT),
            },
        }
    }
    /// The bytes up to a zero byte, which is taken too.
    pub fn cstr(&mut self) -> Result<Bytes, Violation> {
        match self.0.iter().position(|byte| *byte == 0) {
            Some(end) => {
                let text = self.0.split_to(end);
                self.0.advance(1);
                Ok(text)
            }
            None => Err(Violation("invalid string in message")),
        }
    }
    /// As [`Reader::cstr`], of UTF-8. The inner error is for the statement, not for the connection.
    pub fn text(&mut self) -> Result<Result<String, ErrorFields>, Violation> {
        Ok(utf8(&self.cstr()?).map(str::to_owned))
    }
    /// What is left.
    pub fn rest(self) -> Bytes {
        self.0
    }
    /// Checks that nothing is left.
    pub fn end(self) -> Result<(), Violation> {
        if self.0.is_empty() { Ok(()) } else { Err(Violation("invalid message format")) }
    }
}

/// Reads UTF-8, or says as PostgreSQL does where it is not.
pub fn utf8(bytes: &[u8]) -> Result<&str, ErrorFields> {
    std::str::from_utf8(bytes).map_err(|error| {
        let from = error.valid_up_to();
        let until = error.error_len().map_or(bytes.len(), |length| from + length);
        let shown: Vec<String> = bytes[from..until].iter().map(|byte| format!("0x{byte:02x}")).collect();
        ErrorFields::new("22021", format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_split_and_bounded() {
        let mut input = BytesMut::from(&b"Q\0\0\0\x06a\0S\0\0\0\x04X\0\0"[..]);
        assert_eq!(split(&mut input, 10), Ok(Some((b'Q', Bytes::from_static(b"a\0")))));
        assert_eq!(peek_kind(&input), Some(b'S'));
        assert!(is_more(&input));
        assert_eq!(split(&mut input, 10), Ok(Some((b'S', Bytes::new()))));
        assert!(!is_more(&BytesMut::from(&b"S\0\0\0\x04"[..])) && !is_more(&input));
        assert_eq!(split(&mut input, 10), Ok(None));
        for length in [-1i32, 0, 3, 15, i32::MAX] {
            let mut input = BytesMut::from(&b"Q"[..]);
            input.extend_from_slice(&length.to_be_bytes());
            assert!(split(&mut input, 10).is_err(), "{length}");
        }
    }

    #[test]
    fn reads_are_checked() {
        let mut reader = Reader::new(Bytes::from_static(b"ab\0\xff\xff\xff\xff\0\0\0\x09x"));
        assert_eq!(reader.cstr(), Ok(Bytes::from_static(b"ab")));
        assert_eq!(reader.value(), Ok(None));
        assert_eq!(reader.value(), Err(SHORT));
        assert!(Reader::new(Bytes::from_static(b"ab")).cstr().is_err());
        assert!(Reader::new(Bytes::from_static(b"\xff\xff\xff\xfe")).value().is_err());
    }

    #[test]
    fn broken_utf8_is_named() {
        let error = utf8(b"a\xc3(").expect_err("broken");
        assert_eq!(error.message, "invalid byte sequence for encoding \"UTF8\": 0xc3");
    }
}
