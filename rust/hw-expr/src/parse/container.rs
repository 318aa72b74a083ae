//! Arrays, lists, maps, records and ranges from text.

use super::push_from_text;
use crate::error::EvalError;
use hw_types::arena::Arena;
use hw_types::container::{self, Bound, Bounds, DIMENSIONS_MAX};
use hw_types::datum::{Array, Datum, List, Map, Range, Record};
use hw_types::row;
use hw_types::scalar::{BaseType, ScalarType};
use std::collections::BTreeMap;

type Result<T> = std::result::Result<T, EvalError>;

static TEXT: ScalarType = ScalarType::simple(BaseType::Text);
static INT2: ScalarType = ScalarType::simple(BaseType::Int2);

/// Containers within containers at most, so that hostile text cannot exhaust the stack.
const DEPTH_MAX: usize = 64;

pub(super) fn from_text(ty: &ScalarType, text: &str) -> Result<Vec<u8>> {
    match ty.base {
        BaseType::Array => array(element(ty), text),
        BaseType::Int2vector => vector(text),
        BaseType::List => list(ty, text),
        BaseType::Map => map(ty, text),
        BaseType::Record => record(ty, text),
        _ => range(element(ty), text),
    }
}

fn element(ty: &ScalarType) -> &ScalarType {
    ty.element.as_deref().unwrap_or(&TEXT)
}

fn malformed(kind: &'static str, text: &str) -> EvalError {
    EvalError::invalid(kind, text)
}

/// A cursor over a container's text.
struct Cursor<'t> {
    rest: &'t str,
}

impl<'t> Cursor<'t> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }
    fn take(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }
    /// A value up to one of `stops`: its text, or `None` for an unquoted NULL.
    fn word(&mut self, stops: &[char]) -> Option<Option<String>> {
        self.blanks();
        if self.take('"') {
            let mut out = String::new();
            loop {
                let c = self.peek()?;
                self.rest = &self.rest[c.len_utf8()..];
                match c {
                    '"' => break,
                    '\\' => {
                        let c = self.peek()?;
                        self.rest = &self.rest[c.len_utf8()..];
                        out.push(c);
                    }
                    c => out.push(c),
                }
            }
            self.blanks();
            return Some(Some(out));
        }
        let mut out = String::new();
        let mut kept = 0;
        while let Some(c) = self.peek().filter(|c| !stops.contains(c)) {
            if c == '"' || c == '{' {
                return None;
            }
            self.rest = &self.rest[c.len_utf8()..];
            if c == '\\' {
                let c = self.peek()?;
                self.rest = &self.rest[c.len_utf8()..];
                out.push(c);
                kept = out.len();
            } else {
                out.push(c);
                if !c.is_ascii_whitespace() {
                    kept = out.len();
                }
            }
        }
        out.truncate(kept);
        if out.is_empty() {
            return None;
        }
        Some(if out.eq_ignore_ascii_case("null") { None } else { Some(out) })
    }
}

impl Cursor<'_> {
    /// One element of an array, up to a brace or comma: its text, or `None` for an unquoted NULL.
    fn element(&mut self) -> std::result::Result<Option<String>, String> {
        let mut out = String::new();
        if self.take('"') {
            loop {
                let c = self.bump().ok_or("unterminated quoted string")?;
                match c {
                    '"' => return Ok(Some(out)),
                    '\\' => out.push(self.bump().ok_or("unterminated quoted string")?),
                    c => out.push(c),
                }
            }
        }
        let (mut kept, mut escaped) = (0, false);
        loop {
            let c = self.peek().ok_or("unterminated element")?;
            if matches!(c, '{' | '}' | ',' | '"') {
                break;
            }
            self.bump();
            if c == '\\' {
                out.push(self.bump().ok_or("unterminated element")?);
                (kept, escaped) = (out.len(), true);
            } else {
                out.push(c);
                if !c.is_ascii_whitespace() {
                    kept = out.len();
                }
            }
        }
        out.truncate(kept);
        Ok(if !escaped && out.eq_ignore_ascii_case("null") { None } else { Some(out) })
    }
    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }
}

fn push_word(ty: &ScalarType, word: Option<String>, out: &mut Vec<u8>) -> Result<()> {
    match word {
        None => row::push_null(out),
        Some(word) => push_from_text(ty, &word, out)?,
    }
    Ok(())
}

/// The shape of an array's text as far as it has been read.
#[derive(Default)]
struct Shape {
    /// Elements read at each open level of braces.
    counts: Vec<usize>,
    /// The length that the first braces of each level had.
    lengths: Vec<Option<usize>>,
    /// Whether an element has settled how many levels there are.
    settled: bool,
    /// Whether a comma or a closing brace must come next.
    delimited: bool,
    words: Vec<Option<String>>,
}

const MISMATCH: &str = "Multidimensional arrays must have sub-arrays with matching dimensions.";

impl Shape {
    fn open(&mut self) -> std::result::Result<(), String> {
        if self.delimited {
            return Err(unexpected('{'));
        }
        if self.counts.len() >= DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} levels of braces"));
        }
        self.counts.push(0);
        if self.counts.len() > self.lengths.len() {
            if self.settled {
                return Err(MISMATCH.into());
            }
            self.lengths.push(None);
        }
        Ok(())
    }
    fn close(&mut self) -> std::result::Result<(), String> {
        let Some(count) = self.counts.pop() else { return Err(unexpected('}')) };
        if count > 0 && !self.delimited {
            return Err(unexpected('}'));
        }
        if let Some(outer) = self.counts.last_mut() {
            *outer += 1;
        }
        self.delimited = true;
        let length = &mut self.lengths[self.counts.len()];
        match *length.get_or_insert(count) == count {
            true => Ok(()),
            false => Err(MISMATCH.into()),
        }
    }
    fn element(&mut self, word: Option<String>) -> std::result::Result<(), String> {
        let deepest = self.counts.len() == self.lengths.len();
        if self.delimited || !deepest {
            return Err("Unexpected array element.".into());
        }
        (self.settled, self.delimited) = (true, true);
        if let Some(count) = self.counts.last_mut() {
            *count += 1;
        }
        self.words.push(word);
        Ok(())
    }
    /// Reads the whole text.
    fn read(&mut self, text: &str) -> std::result::Result<(), String> {
        let mut cursor = Cursor { rest: text };
        cursor.blanks();
        match cursor.peek() {
            Some('{') => {}
            Some('[') => return Err("Specifying array lower bounds is not supported".into()),
            _ => return Err("Array value must start with \"{\"".into()),
        }
        loop {
            cursor.blanks();
            match cursor.peek() {
                None => return Err("Unexpected end of input.".into()),
                Some('{') => {
                    cursor.take('{');
                    self.open()?;
                }
                Some('}') => {
                    cursor.take('}');
                    self.close()?;
                    if self.counts.is_empty() {
                        break;
                    }
                }
                Some(',') => {
                    cursor.take(',');
                    if !self.delimited {
                        return Err(unexpected(','));
                    }
                    self.delimited = false;
                }
                Some(_) => {
                    let word = cursor.element()?;
                    self.element(word)?;
                }
            }
        }
        cursor.blanks();
        if cursor.rest.is_empty() { Ok(()) } else { Err("Junk after closing right brace.".into()) }
    }
}

fn unexpected(c: char) -> String {
    format!("Unexpected \"{c}\" character.")
}

fn array(ty: &ScalarType, text: &str) -> Result<Vec<u8>> {
    let mut shape = Shape::default();
    shape.read(text).map_err(|why| EvalError::invalid_because("array", why, text))?;
    let mut dimensions: Vec<usize> = shape.lengths.iter().map(|length| length.unwrap_or(0)).collect();
    if dimensions.contains(&0) {
        dimensions.clear();
    }
    if dimensions.len() > DIMENSIONS_MAX {
        let n = dimensions.len();
        let message =
            format!("number of array dimensions ({n}) exceeds the maximum allowed ({DIMENSIONS_MAX})");
        return Err(EvalError::raise("54000", message));
    }
    let mut body = Vec::new();
    for word in shape.words {
        push_word(ty, word, &mut body)?;
    }
    container::push_array_end(&mut body, &dimensions);
    Ok(Datum::Array(Array(&body)).to_bytes())
}

fn vector(text: &str) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    let mut count = 0;
    for word in text.split_ascii_whitespace() {
        push_from_text(&INT2, word, &mut body)?;
        count += 1;
    }
    let dimensions = if count == 0 { vec![] } else { vec![count] };
    container::push_array_end(&mut body, &dimensions);
    Ok(Datum::Array(Array(&body)).to_bytes())
}

/// The text of a nested container, braces and quotes matched.
fn nested<'t>(cursor: &mut Cursor<'t>) -> Option<&'t str> {
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for (at, c) in cursor.rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    let (inner, rest) = cursor.rest.split_at(at + 1);
                    cursor.rest = rest;
                    return Some(inner);
                }
            }
            _ => {}
        }
        if depth > DEPTH_MAX {
            return None;
        }
    }
    None
}

/// Reads a value of a list or map, which may be a container itself.
fn push_value(ty: &ScalarType, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<Option<()>> {
    cursor.blanks();
    if cursor.peek() == Some('{') {
        let Some(inner) = nested(cursor) else { return Ok(None) };
        push_from_text(ty, inner, out)?;
    } else {
        let Some(word) = cursor.word(&[',', '}']) else { return Ok(None) };
        push_word(ty, word, out)?;
    }
    cursor.blanks();
    Ok(Some(()))
}

fn list(ty: &ScalarType, text: &str) -> Result<Vec<u8>> {
    let bad = || malformed("list", text);
    let mut cursor = Cursor { rest: text.trim() };
    let mut body = Vec::new();
    if !cursor.take('{') {
        return Err(bad());
    }
    cursor.blanks();
    if !cursor.take('}') {
        loop {
            push_value(element(ty), &mut cursor, &mut body)?.ok_or_else(bad)?;
            if cursor.take('}') {
                break;
            }
            if !cursor.take(',') {
                return Err(bad());
            }
        }
    }
    if !cursor.rest.is_empty() {
        return Err(bad());
    }
    container::push_end(&mut body);
    Ok(Datum::List(List(&body)).to_bytes())
}

fn map(ty: &ScalarType, text: &str) -> Result<Vec<u8>> {
    let bad = || malformed("map", text);
    let mut cursor = Cursor { rest: text.trim() };
    let mut entries: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    if !cursor.take('{') {
        return Err(bad());
    }
    cursor.blanks();
    if !cursor.take('}') {
        loop {
            let key = cursor.word(&['=', ',', '}']).flatten().ok_or_else(bad)?;
            cursor.blanks();
            if !cursor.take('=') || !cursor.take('>') {
                return Err(bad());
            }
            let mut value = Vec::new();
            push_value(element(ty), &mut cursor, &mut value)?.ok_or_else(bad)?;
            entries.insert(key, value);
            if cursor.take('}') {
                break;
            }
            if !cursor.take(',') {
                return Err(bad());
            }
        }
    }
    if !cursor.rest.is_empty() {
        return Err(bad());
    }
    let mut body = Vec::new();
    for (key, value) in &entries {
        row::push_text(&mut body, key);
        body.extend_from_slice(value);
    }
    container::push_end(&mut body);
    Ok(Datum::Map(Map(&body)).to_bytes())
}

/// A field of a record or bound of a range: quotes doubled, nothing between commas is NULL.
fn field(cursor: &mut Cursor<'_>, stops: &[char]) -> Option<Option<String>> {
    let mut out = String::new();
    let (mut any, mut quoted) = (false, false);
    loop {
        let c = cursor.peek()?;
        if !quoted && stops.contains(&c) {
            return Some(any.then_some(out));
        }
        cursor.rest = &cursor.rest[c.len_utf8()..];
        any = true;
        match c {
            '"' if quoted && cursor.take('"') => out.push('"'),
            '"' => quoted = !quoted,
            '\\' => {
                let c = cursor.peek()?;
                cursor.rest = &cursor.rest[c.len_utf8()..];
                out.push(c);
            }
            c => out.push(c),
        }
    }
}

fn record(ty: &ScalarType, text: &str) -> Result<Vec<u8>> {
    let bad = || malformed("record", text);
    let mut cursor = Cursor { rest: text.trim() };
    let mut body = Vec::new();
    if !cursor.take('(') {
        return Err(bad());
    }
    for (i, column) in ty.fields.iter().enumerate() {
        if i > 0 && !cursor.take(',') {
            return Err(bad());
        }
        let word = field(&mut cursor, &[',', ')']).ok_or_else(bad)?;
        push_word(&column.ty.ty, word, &mut body)?;
    }
    if !cursor.take(')') || !cursor.rest.is_empty() {
        return Err(bad());
    }
    container::push_end(&mut body);
    Ok(Datum::Record(Record(&body)).to_bytes())
}

/// Reads a bound; one that is no value of its type makes the range malformed.
fn bound_from_text(ty: &ScalarType, word: &str, text: &str) -> Result<Vec<u8>> {
    super::from_text(ty, word).map_err(|error| match &error {
        EvalError::InvalidText(_) => EvalError::invalid_because("range", error.message(), text),
        _ => error,
    })
}

fn range(ty: &ScalarType, text: &str) -> Result<Vec<u8>> {
    let bad = |why: &str| EvalError::invalid_because("range", why, text);
    let trimmed = text.trim();
    if trimmed.eq_ignore_ascii_case("empty") {
        let mut body = Vec::new();
        container::push_range(&mut body, None);
        return Ok(Datum::Range(Range(&body)).to_bytes());
    }
    let mut cursor = Cursor { rest: trimmed };
    let lower_inclusive = cursor.take('[');
    if !lower_inclusive && !cursor.take('(') {
        return Err(bad("Missing left parenthesis or bracket."));
    }
    let lower = field(&mut cursor, &[',', ')', ']']).ok_or_else(|| bad("Unexpected end of input."))?;
    if !cursor.take(',') {
        return Err(bad("Missing comma after lower bound."));
    }
    let upper = field(&mut cursor, &[',', ')', ']']).ok_or_else(|| bad("Unexpected end of input."))?;
    let upper_inclusive = cursor.take(']');
    if !upper_inclusive && !cursor.take(')') {
        return Err(bad("Too many commas."));
    }
    if !cursor.rest.is_empty() {
        return Err(bad("Junk after right parenthesis or bracket."));
    }
    let encode = |word: Option<String>| word.map(|word| bound_from_text(ty, &word, text)).transpose();
    let (lower, upper) = (encode(lower)?, encode(upper)?);
    let arena = Arena::new();
    let bound = |bytes: &'_ Option<Vec<u8>>| -> Result<Option<Datum<'_>>> {
        Ok(match bytes {
            Some(bytes) => Some(row::read_datum(arena.bytes(bytes), &arena)?.0),
            None => None,
        })
    };
    let lower = bound(&lower)?.map(|value| Bound { value, inclusive: lower_inclusive });
    let upper = bound(&upper)?.map(|value| Bound { value, inclusive: upper_inclusive });
    let mut body = Vec::new();
    container::push_range(&mut body, canonical_range(ty.base, Bounds { lower, upper })?);
    Ok(Datum::Range(Range(&body)).to_bytes())
}

/// Brings a range into the form in which equal ranges are alike; `None` is the empty one.
///
/// Whole numbers and dates are discrete: their ranges become `[lower, upper)`.
pub(crate) fn canonical_range(base: BaseType, bounds: Bounds<'_>) -> Result<Option<Bounds<'_>>> {
    let Bounds { mut lower, mut upper } = bounds;
    if let (Some(lower), Some(upper)) = (&lower, &upper)
        && lower.value > upper.value
    {
        let message = "range lower bound must be less than or equal to range upper bound";
        return Err(EvalError::raise("22000", message));
    }
    let name = match base {
        BaseType::Int4 => Some(("integer", i64::from(i32::MAX))),
        BaseType::Int8 => Some(("bigint", i64::MAX)),
        BaseType::Date => Some(("date", crate::calendar::DATE_RANGE.1)),
        _ => None,
    };
    if let Some((name, most)) = name {
        let next = |bound: &mut Bound<'_>, inclusive: bool| -> Result<()> {
            let Datum::Int(value) = bound.value else { return Ok(()) };
            if bound.inclusive != inclusive {
                if value >= most {
                    return Err(EvalError::beyond(value, name));
                }
                *bound = Bound { value: Datum::Int(value + 1), inclusive };
            }
            Ok(())
        };
        if let Some(lower) = &mut lower {
            next(lower, true)?;
        }
        if let Some(upper) = &mut upper {
            next(upper, false)?;
        }
    }
    if let (Some(lower), Some(upper)) = (&lower, &upper)
        && (lower.value > upper.value
            || (lower.value == upper.value && !(lower.inclusive && upper.inclusive)))
    {
        return Ok(None);
    }
    Ok(Some(Bounds { lower, upper }))
}
