//! JSON documents as bytes in PostgreSQL's order: null, strings, numbers, booleans, arrays, objects.
//!
//! Containers of more elements are greater; of as many, element by element. An object's keys rise
//! bytewise and each stands once. PostgreSQL orders shorter keys first and a top-level empty array
//! before null; we do neither.
//!
//! | tag | value | what follows |
//! | --- | --- | --- |
//! | `10` | null | |
//! | `11` | string, key | escaped as texts are |
//! | `12` | number | as numerics are, with their tag |
//! | `13` `14` | false, true | |
//! | `15` | array | count (4 bytes), elements |
//! | `16` | object | count (4 bytes), key and value in turn |

use crate::arena::Arena;
use crate::datum::Jsonb;
use crate::numeric::Numeric;
use crate::row::{self, RowError};

const NULL: u8 = 0x10;
const STRING: u8 = 0x11;
const NUMBER: u8 = 0x12;
const FALSE: u8 = 0x13;
const TRUE: u8 = 0x14;
const ARRAY: u8 = 0x15;
const OBJECT: u8 = 0x16;

/// JSON's null.
pub const JSON_NULL: &[u8] = &[NULL];
/// Containers within containers at most.
pub const DEPTH_MAX: usize = 128;

/// One level of a document.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// JSON's null.
    Null,
    /// A string.
    String(&'a str),
    /// A number.
    Number(Numeric),
    /// True or false.
    Bool(bool),
    /// The elements.
    Array(Elements<'a>),
    /// The members, keys rising.
    Object(Members<'a>),
}

/// The elements of an array.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a> {
    left: usize,
    rest: &'a [u8],
}

/// The members of an object.
#[derive(Clone, Copy, Debug)]
pub struct Members<'a> {
    left: usize,
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    /// How many there are still.
    pub fn len(&self) -> usize {
        self.left
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'a> Members<'a> {
    /// How many there are still.
    pub fn len(&self) -> usize {
        self.left
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
    /// The next key and value; keys that hold U+0000 are unescaped into `arena`.
    pub fn next_in(&mut self, arena: &'a Arena) -> Option<(&'a str, Jsonb<'a>)> {
        self.try_next(arena).expect("rows are checked where they come in")
    }
    /// As [`Members::next_in`], for bytes that were not checked.
    pub fn try_next(&mut self, arena: &'a Arena) -> Result<Option<(&'a str, Jsonb<'a>)>, RowError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let (key, value, rest) = split_member(self.rest, arena)?;
        self.rest = rest;
        Ok(Some((key, value)))
    }
    /// The value of `key`.
    pub fn get(mut self, key: &str, arena: &'a Arena) -> Option<Jsonb<'a>> {
        while let Some((at, value)) = self.next_in(arena) {
            if at == key {
                return Some(value);
            }
        }
        None
    }
}

fn split_member<'a>(bytes: &'a [u8], arena: &'a Arena) -> Result<(&'a str, Jsonb<'a>, &'a [u8]), RowError> {
    let (&tag, text) = bytes.split_first().ok_or(RowError::Truncated)?;
    if tag != STRING {
        return Err(RowError::Malformed("jsonb key"));
    }
    let (raw, len) = row::read_escaped(text, arena)?;
    let key = std::str::from_utf8(raw).map_err(|_| RowError::Utf8)?;
    let rest = &bytes[1 + len..];
    let (value, rest) = rest.split_at(skip_value(rest)?);
    Ok((key, Jsonb(value), rest))
}

impl<'a> Iterator for Elements<'a> {
    type Item = Jsonb<'a>;
    fn next(&mut self) -> Option<Jsonb<'a>> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let (value, rest) =
            self.rest.split_at(skip_value(self.rest).expect("rows are checked where they come in"));
        self.rest = rest;
        Some(Jsonb(value))
    }
}

impl<'a> Jsonb<'a> {
    /// Its outermost level.
    ///
    /// # Panics
    /// On bytes that [`row::check`] refuses.
    pub fn value(&self, arena: &'a Arena) -> Value<'a> {
        self.try_value(arena).expect("rows are checked where they come in")
    }
    /// As [`Jsonb::value`], for bytes that were not checked.
    pub fn try_value(&self, arena: &'a Arena) -> Result<Value<'a>, RowError> {
        let Some((&tag, rest)) = self.0.split_first() else { return Err(RowError::Truncated) };
        Ok(match tag {
            NULL => Value::Null,
            STRING => {
                let (raw, _) = row::read_escaped(rest, arena)?;
                Value::String(std::str::from_utf8(raw).map_err(|_| RowError::Utf8)?)
            }
            NUMBER => {
                let (&kind, digits) = rest.split_first().ok_or(RowError::Truncated)?;
                if !(row::NUMERIC_FIRST..row::NUMERIC_FIRST + 6).contains(&kind) {
                    return Err(RowError::Tag(kind));
                }
                Value::Number(row::read_numeric(kind, digits)?.0)
            }
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            ARRAY | OBJECT => {
                let left = count(rest)?;
                let rest = &rest[4..];
                if tag == ARRAY {
                    Value::Array(Elements { left, rest })
                } else {
                    Value::Object(Members { left, rest })
                }
            }
            other => return Err(RowError::Tag(other)),
        })
    }
    /// Whether it is JSON's null.
    pub fn is_json_null(&self) -> bool {
        self.0 == JSON_NULL
    }
}

fn count(bytes: &[u8]) -> Result<usize, RowError> {
    let raw = bytes.first_chunk::<4>().ok_or(RowError::Truncated)?;
    Ok(u32::from_be_bytes(*raw) as usize)
}

/// The length of the first value of `bytes`.
pub fn skip_value(bytes: &[u8]) -> Result<usize, RowError> {
    let (mut at, mut left) = (0usize, 1usize);
    while left > 0 {
        left -= 1;
        let (&tag, rest) = bytes.get(at..).and_then(<[u8]>::split_first).ok_or(RowError::Truncated)?;
        at += 1 + match tag {
            NULL | FALSE | TRUE => 0,
            STRING => row::escaped_len(rest)?.0,
            NUMBER => match rest.first() {
                Some(kind) if (row::NUMERIC_FIRST..row::NUMERIC_FIRST + 6).contains(kind) => {
                    row::numeric_len(rest)?
                }
                Some(kind) => return Err(RowError::Tag(*kind)),
                None => return Err(RowError::Truncated),
            },
            ARRAY => {
                left += count(rest)?;
                4
            }
            OBJECT => {
                left += 2 * count(rest)?;
                4
            }
            other => return Err(RowError::Tag(other)),
        };
    }
    Ok(at)
}

/// Appends null.
pub fn push_null(out: &mut Vec<u8>) {
    out.push(NULL);
}

/// Appends a boolean.
pub fn push_bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { TRUE } else { FALSE });
}

/// Appends a number.
pub fn push_number(out: &mut Vec<u8>, value: &Numeric) {
    out.push(NUMBER);
    row::push_numeric(out, value);
}

/// Appends a string, or an object's key.
pub fn push_string(out: &mut Vec<u8>, value: &str) {
    out.push(STRING);
    row::push_escaped(out, value.as_bytes());
}

/// Appends an array's head; `count` values must follow.
pub fn push_array(out: &mut Vec<u8>, count: u32) {
    out.push(ARRAY);
    out.extend_from_slice(&count.to_be_bytes());
}

/// Appends an object's head; `count` keys and values must follow, the keys rising.
pub fn push_object(out: &mut Vec<u8>, count: u32) {
    out.push(OBJECT);
    out.extend_from_slice(&count.to_be_bytes());
}

/// Appends an object of these members in any order; of equal keys the last one wins.
pub fn push_members(out: &mut Vec<u8>, mut members: Vec<(String, Vec<u8>)>) {
    members.reverse();
    members.sort_by(|a, b| a.0.cmp(&b.0));
    members.dedup_by(|later, first| later.0 == first.0);
    push_object(out, members.len() as u32);
    for (key, value) in &members {
        push_string(out, key);
        out.extend_from_slice(value);
    }
}
