//! JSON documents from text: a parser of our own, so that numbers stay exact and depth is bounded.

use crate::error::EvalError;
use hw_types::jsonb;
use hw_types::numeric::Numeric;

type Result<T> = std::result::Result<T, EvalError>;

/// Reads a document; returns it in the encoding of `hw_types::jsonb`.
pub fn json(text: &str) -> Result<Vec<u8>> {
    let mut reader = Reader { text: text.as_bytes(), at: 0 };
    let mut out = Vec::with_capacity(text.len());
    let parsed = reader.value(0, &mut out).and_then(|()| {
        reader.blanks();
        if reader.at == reader.text.len() { Ok(()) } else { Err(Fault::Syntax) }
    });
    match parsed {
        Ok(()) => Ok(out),
        Err(Fault::Syntax) => Err(EvalError::raise("22P02", "invalid input syntax for type json")),
        Err(Fault::Depth) => Err(EvalError::raise("54001", "json nests too deeply")),
        Err(Fault::Zero) => Err(EvalError::raise("22P05", "unsupported Unicode escape sequence")),
        Err(Fault::Number) => Err(EvalError::raise("22003", "number in json exceeds maximum precision 39")),
    }
}

enum Fault {
    Syntax,
    Depth,
    Zero,
    Number,
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

type Step<T> = std::result::Result<T, Fault>;

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }
    fn expect(&mut self, byte: u8) -> Step<()> {
        if self.peek() != Some(byte) {
            return Err(Fault::Syntax);
        }
        self.at += 1;
        Ok(())
    }
    fn word(&mut self, word: &[u8]) -> Step<()> {
        if !self.text[self.at..].starts_with(word) {
            return Err(Fault::Syntax);
        }
        self.at += word.len();
        Ok(())
    }
    fn value(&mut self, depth: usize, out: &mut Vec<u8>) -> Step<()> {
        if depth > jsonb::DEPTH_MAX {
            return Err(Fault::Depth);
        }
        self.blanks();
        match self.peek().ok_or(Fault::Syntax)? {
            b'n' => {
                self.word(b"null")?;
                jsonb::push_null(out);
            }
            b't' => {
                self.word(b"true")?;
                jsonb::push_bool(out, true);
            }
            b'f' => {
                self.word(b"false")?;
                jsonb::push_bool(out, false);
            }
            b'"' => {
                let text = self.string()?;
                jsonb::push_string(out, &text);
            }
            b'[' => self.array(depth, out)?,
            b'{' => self.object(depth, out)?,
            _ => self.number(out)?,
        }
        Ok(())
    }
    fn array(&mut self, depth: usize, out: &mut Vec<u8>) -> Step<()> {
        self.at += 1;
        let mut body = Vec::new();
        let mut count = 0;
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                self.value(depth + 1, &mut body)?;
                count += 1;
                self.blanks();
                match self.peek() {
                    Some(b',') => self.at += 1,
                    _ => break self.expect(b']')?,
                }
            }
        }
        jsonb::push_array(out, count);
        out.extend_from_slice(&body);
        Ok(())
    }
    fn object(&mut self, depth: usize, out: &mut Vec<u8>) -> Step<()> {
        self.at += 1;
        let mut members = Vec::new();
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                self.blanks();
                let key = self.string()?;
                self.blanks();
                self.expect(b':')?;
                let mut value = Vec::new();
                self.value(depth + 1, &mut value)?;
                members.push((key, value));
                self.blanks();
                match self.peek() {
                    Some(b',') => self.at += 1,
                    _ => break self.expect(b'}')?,
                }
            }
        }
        jsonb::push_members(out, members);
        Ok(())
    }
    fn number(&mut self, out: &mut Vec<u8>) -> Step<()> {
        let start = self.at;
        let digits = |reader: &mut Self| {
            let from = reader.at;
            while reader.peek().is_some_and(|b| b.is_ascii_digit()) {
                reader.at += 1;
            }
            if reader.at == from { Err(Fault::Syntax) } else { Ok(()) }
        };
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            digits(self)?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            digits(self)?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            digits(self)?;
        }
        let text = std::str::from_utf8(&self.text[start..self.at]).map_err(|_| Fault::Syntax)?;
        let number = Numeric::parse(text).map_err(|_| Fault::Number)?;
        jsonb::push_number(out, &number);
        Ok(())
    }
    fn string(&mut self) -> Step<String> {
        self.expect(b'"')?;
        let mut out = Vec::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = memchr::memchr2(b'"', b'\\', rest).ok_or(Fault::Syntax)?;
            if rest[..plain].iter().any(|b| *b < 0x20) {
                return Err(Fault::Syntax);
            }
            out.extend_from_slice(&rest[..plain]);
            self.at += plain + 1;
            if rest[plain] == b'"' {
                return String::from_utf8(out).map_err(|_| Fault::Syntax);
            }
            let escape = self.peek().ok_or(Fault::Syntax)?;
            self.at += 1;
            match escape {
                b'"' | b'\\' | b'/' => out.push(escape),
                b'b' => out.push(8),
                b'f' => out.push(12),
                b'n' => out.push(b'\n'),
                b'r' => out.push(b'\r'),
                b't' => out.push(b'\t'),
                b'u' => {
                    let c = self.unicode()?;
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => return Err(Fault::Syntax),
            }
        }
    }
    fn hex4(&mut self) -> Step<u32> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(Fault::Syntax)?;
        self.at += 4;
        let text = std::str::from_utf8(digits).map_err(|_| Fault::Syntax)?;
        if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Fault::Syntax);
        }
        u32::from_str_radix(text, 16).map_err(|_| Fault::Syntax)
    }
    fn unicode(&mut self) -> Step<char> {
        let first = self.hex4()?;
        let code = match first {
            0 => return Err(Fault::Zero),
            0xd800..0xdc00 => {
                self.word(b"\\u")?;
                let second = self.hex4()?;
                if !(0xdc00..0xe000).contains(&second) {
                    return Err(Fault::Syntax);
                }
                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            code => code,
        };
        char::from_u32(code).ok_or(Fault::Syntax)
    }
}
