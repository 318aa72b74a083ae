//! COPY's text format: lines of fields, backslash escapes, `\.` at the end.

use crate::copy_in::Records;
use crate::copy_out::CopyOptions;
use crate::protocol::ErrorFields;
use std::borrow::Cow;

/// Reads lines out of chunks that break anywhere.
pub struct TextReader {
    delimiter: u8,
    null: Vec<u8>,
    header: bool,
    header_match: bool,
    row_bytes_max: usize,
    /// What has come of a line that is not complete.
    line: Vec<u8>,
    /// The last byte of `line` is a backslash that quotes what comes next.
    quoted: bool,
    ended: bool,
}

impl TextReader {
    /// Reads what `options` say.
    pub fn new(options: &CopyOptions) -> Self {
        TextReader {
            delimiter: options.delimiter,
            null: options.null.clone(),
            header: options.header,
            header_match: options.header_match,
            row_bytes_max: options.row_bytes_max,
            line: Vec::new(),
            quoted: false,
            ended: false,
        }
    }
    /// Takes a chunk.
    pub fn feed(&mut self, data: &[u8], records: &mut Records) -> Result<(), ErrorFields> {
        let mut rest = data;
        while !self.ended && !rest.is_empty() {
            let (part, ends) = self.next_part(rest);
            self.line.extend_from_slice(&rest[..part]);
            rest = &rest[part + usize::from(ends)..];
            if self.line.len() > self.row_bytes_max {
                return Err(records.too_long(self.row_bytes_max));
            }
            if ends {
                self.end_line(records)?;
            }
        }
        Ok(())
    }
    /// How much of `data` belongs to the line, and whether a line's end follows.
    fn next_part(&mut self, data: &[u8]) -> (usize, bool) {
        for (i, byte) in data.iter().enumerate() {
            match byte {
                _ if self.quoted => self.quoted = false,
                b'\\' => self.quoted = true,
                b'\n' => return (i, true),
                _ => {}
            }
        }
        (data.len(), false)
    }
    /// Takes the last line, which may lack its end.
    pub fn finish(&mut self, records: &mut Records) -> Result<(), ErrorFields> {
        if !self.ended && !self.line.is_empty() { self.end_line(records) } else { Ok(()) }
    }
    fn end_line(&mut self, records: &mut Records) -> Result<(), ErrorFields> {
        let mut line = std::mem::take(&mut self.line);
        self.quoted = false;
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        records.begin_line();
        if line == b"\\." {
            self.ended = true;
        } else if std::mem::take(&mut self.header) {
            if self.header_match {
                records.match_header(&self.split(&line))?;
            }
        } else {
            for field in self.split(&line) {
                records.field(field.as_deref())?;
            }
            records.end()?;
        }
        line.clear();
        self.line = line;
        Ok(())
    }
    /// The fields of a line; None is NULL.
    fn split<'a>(&self, line: &'a [u8]) -> Vec<Option<Cow<'a, [u8]>>> {
        let mut fields = Vec::new();
        let mut start = 0;
        let mut at = 0;
        while at < line.len() {
            match line[at] {
                b'\\' => at += 1,
                byte if byte == self.delimiter => {
                    fields.push(self.field(&line[start..at]));
                    start = at + 1;
                }
                _ => {}
            }
            at += 1;
        }
        fields.push(self.field(&line[start..]));
        fields
    }
    fn field<'a>(&self, raw: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        if raw == self.null {
            return None;
        }
        if !raw.contains(&b'\\') {
            return Some(Cow::Borrowed(raw));
        }
        let mut value = Vec::with_capacity(raw.len());
        unescape(raw, &mut value);
        Some(Cow::Owned(value))
    }
}

fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let Some((escaped, tail)) = rest.split_first() else {
            out.push(b'\\');
            return;
        };
        rest = tail;
        match escaped {
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(0x0b),
            b'0'..=b'7' => {
                let digits = 1 + tail.iter().take(2).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
                out.push(number(&raw[raw.len() - tail.len() - 1..][..digits], 8));
                rest = &tail[digits - 1..];
            }
            b'x' if tail.first().is_some_and(u8::is_ascii_hexdigit) => {
                let digits = tail.iter().take(2).take_while(|byte| byte.is_ascii_hexdigit()).count();
                out.push(number(&tail[..digits], 16));
                rest = &tail[digits..];
            }
            other => out.push(*other),
        }
    }
}

/// The number that digits write, cut to a byte as PostgreSQL does.
fn number(digits: &[u8], base: u32) -> u8 {
    let digit = |byte: &u8| char::from(*byte).to_digit(base).unwrap_or(0);
    (digits.iter().fold(0, |number, byte| number * base + digit(byte)) & 0xff) as u8
}

#[cfg(test)]
mod tests {
    use crate::copy_in::tests::{read, text};
    use crate::protocol::CopyFormat;

    #[test]
    fn lines_are_read_wherever_chunks_break() {
        let data = b"1\ta\\tb\n2\t\\N\r\n3\tx\\\ny\n4\t\\101\\x42\\q\\\\\n5\t\n\\.\nignored";
        let want = "1|a\tb\n2|NULL\n3|x\ny\n4|ABq\\\n5|\n";
        for size in [1, 2, 3, 7, 100] {
            assert_eq!(read(&CopyFormat::default(), data, size).map(text), Ok(want.to_owned()), "{size}");
        }
    }

    #[test]
    fn options_and_a_missing_last_end() {
        let format = CopyFormat {
            delimiter: "|".into(),
            null: Some("nil".into()),
            header: true,
            ..CopyFormat::default()
        };
        assert_eq!(read(&format, b"id|name\n1|nil\n2|a\\|b", 4).map(text), Ok("1|NULL\n2|a|b\n".to_owned()));
    }

    #[test]
    fn errors_name_line_and_column() {
        let error = |data: &[u8]| {
            let error = read(&CopyFormat::default(), data, 100).expect_err("malformed");
            (error.sqlstate.clone(), error.message.clone(), error.context.clone())
        };
        let case = |state: &str, message: &str, context: &str| (state.into(), message.into(), context.into());
        assert_eq!(error(b"1\ta\n2\n"), case("22P04", "missing data for column \"name\"", "COPY t, line 2"));
        assert_eq!(
            error(b"1\ta\tb\n"),
            case("22P04", "extra data after last expected column", "COPY t, line 1")
        );
        let (state, _, context) = error(b"1\ta\n2\tb\nx\tc\n");
        assert_eq!((state.as_str(), context.as_str()), ("22P02", "COPY t, line 3, column id: \"x\""));
    }
}
