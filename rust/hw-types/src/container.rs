//! Arrays, lists, maps, records and ranges as bytes.
//!
//! Elements are datums; `00` ends them, and sorts before every tag, so that a shorter one that begins
//! alike is less. An array's dimensions come after its elements: a count byte, and where that is
//! above one, each length (4 bytes). A range is `01` (empty) or `02`, its lower bound (`00` where
//! there is none, else the datum and `01` inclusive, `02` exclusive) and its upper bound (`ff` where
//! there is none, else the datum and `01` exclusive, `02` inclusive).

use crate::arena::Arena;
use crate::datum::{Array, Datum, List, Map, Range, Record};
use crate::row::{self, END, RowError, RowReader};

/// Dimensions of an array at most.
pub const DIMENSIONS_MAX: usize = 6;

const RANGE_EMPTY: u8 = 1;
const RANGE_BOUNDS: u8 = 2;
const LOWER_NONE: u8 = 0;
const UPPER_NONE: u8 = 0xff;

pub(crate) fn skip_container(is_array: bool, bytes: &[u8], depth: usize) -> Result<usize, RowError> {
    if depth > row::DEPTH_MAX {
        return Err(RowError::Depth);
    }
    let mut at = 0;
    loop {
        match bytes.get(at) {
            Some(&END) => break,
            Some(_) => at += row::skip_datum(&bytes[at..], depth)?,
            None => return Err(RowError::Truncated),
        }
    }
    at += 1;
    if is_array {
        let dimensions = usize::from(*bytes.get(at).ok_or(RowError::Truncated)?);
        if dimensions > DIMENSIONS_MAX {
            return Err(RowError::Malformed("array"));
        }
        at += 1 + if dimensions > 1 { dimensions * 4 } else { 0 };
    }
    Ok(at)
}

pub(crate) fn skip_range(bytes: &[u8], depth: usize) -> Result<usize, RowError> {
    if depth > row::DEPTH_MAX {
        return Err(RowError::Depth);
    }
    match bytes.first() {
        Some(&RANGE_EMPTY) => return Ok(1),
        Some(&RANGE_BOUNDS) => {}
        Some(_) => return Err(RowError::Malformed("range")),
        None => return Err(RowError::Truncated),
    }
    let mut at = 1;
    for none in [LOWER_NONE, UPPER_NONE] {
        let rest = bytes.get(at..).ok_or(RowError::Truncated)?;
        at += match rest.first() {
            Some(tag) if *tag == none => 1,
            Some(_) => row::skip_datum(rest, depth)? + 1,
            None => return Err(RowError::Truncated),
        };
    }
    Ok(at)
}

/// The datums of a container.
#[derive(Clone, Copy)]
pub struct Items<'a> {
    rest: &'a [u8],
    arena: &'a Arena,
}

impl<'a> Items<'a> {
    fn new(bytes: &'a [u8], arena: &'a Arena) -> Self {
        Items { rest: bytes, arena }
    }
    /// What follows the items read so far.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Datum<'a>;
    fn next(&mut self) -> Option<Datum<'a>> {
        if self.rest.first().is_none_or(|tag| *tag == END) {
            return None;
        }
        let mut reader = RowReader::new(self.rest, self.arena);
        let item = reader.next();
        self.rest = reader.rest();
        item
    }
}

/// The bytes of each item of a container.
pub fn raw_items(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.first().is_none_or(|tag| *tag == END) {
            return None;
        }
        let (item, tail) = rest.split_at(row::skip(rest));
        rest = tail;
        Some(item)
    })
}

impl<'a> Array<'a> {
    /// The elements of all dimensions in order.
    pub fn items(&self, arena: &'a Arena) -> Items<'a> {
        Items::new(self.0, arena)
    }
    /// The length of each dimension; none where the array is empty.
    pub fn dimensions(&self) -> Vec<usize> {
        let items = raw_items(self.0);
        let (count, len) = items.fold((0, 0), |(count, len), item| (count + 1, len + item.len()));
        let tail = self.0.get(len + 1..).unwrap_or(&[]);
        match tail.first() {
            None | Some(0) => Vec::new(),
            Some(1) => vec![count],
            Some(_) => {
                tail[1..].as_chunks::<4>().0.iter().map(|raw| u32::from_be_bytes(*raw) as usize).collect()
            }
        }
    }
}

impl<'a> List<'a> {
    /// The elements.
    pub fn items(&self, arena: &'a Arena) -> Items<'a> {
        Items::new(self.0, arena)
    }
}

impl<'a> Record<'a> {
    /// The fields.
    pub fn items(&self, arena: &'a Arena) -> Items<'a> {
        Items::new(self.0, arena)
    }
}

impl<'a> Map<'a> {
    /// The keys and values, keys rising.
    pub fn entries(&self, arena: &'a Arena) -> impl Iterator<Item = (&'a str, Datum<'a>)> + use<'a> {
        let mut items = Items::new(self.0, arena);
        std::iter::from_fn(move || match (items.next()?, items.next()?) {
            (Datum::Text(key), value) => Some((key, value)),
            _ => None,
        })
    }
    /// The value of `key`.
    pub fn get(&self, key: &str, arena: &'a Arena) -> Option<Datum<'a>> {
        self.entries(arena).find(|(at, _)| *at == key).map(|(_, value)| value)
    }
}

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound<'a> {
    /// Where it is.
    pub value: Datum<'a>,
    /// Whether the value itself is within.
    pub inclusive: bool,
}

/// Both ends of a range that is not empty; `None` where it has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds<'a> {
    /// Where it begins.
    pub lower: Option<Bound<'a>>,
    /// Where it ends.
    pub upper: Option<Bound<'a>>,
}

impl<'a> Range<'a> {
    /// Its ends, `None` where it is empty.
    pub fn bounds(&self, arena: &'a Arena) -> Option<Bounds<'a>> {
        self.try_bounds(arena).expect("rows are checked where they come in")
    }
    /// As [`Range::bounds`], for bytes that were not checked.
    pub fn try_bounds(&self, arena: &'a Arena) -> Result<Option<Bounds<'a>>, RowError> {
        if self.0.first() == Some(&RANGE_EMPTY) {
            return Ok(None);
        }
        let mut at = 1;
        let mut bound = |none: u8, inclusive: u8| -> Result<Option<Bound<'a>>, RowError> {
            let rest = self.0.get(at..).ok_or(RowError::Truncated)?;
            if rest.first() == Some(&none) {
                at += 1;
                return Ok(None);
            }
            let (value, len) = row::read_datum(rest, arena)?;
            let flag = rest.get(len).ok_or(RowError::Truncated)?;
            at += len + 1;
            Ok(Some(Bound { value, inclusive: *flag == inclusive }))
        };
        let lower = bound(LOWER_NONE, 1)?;
        let upper = bound(UPPER_NONE, 2)?;
        Ok(Some(Bounds { lower, upper }))
    }
}

/// Appends a container's end after its elements.
pub fn push_end(out: &mut Vec<u8>) {
    out.push(END);
}

/// Appends an array's end and dimensions after its elements; an empty array has none.
pub fn push_array_end(out: &mut Vec<u8>, dimensions: &[usize]) {
    out.push(END);
    out.push(dimensions.len() as u8);
    if dimensions.len() > 1 {
        dimensions.iter().for_each(|len| out.extend_from_slice(&(*len as u32).to_be_bytes()));
    }
}

/// Appends a range's body; `None` is the empty range. Discrete ranges come in canonical form.
pub fn push_range(out: &mut Vec<u8>, bounds: Option<Bounds<'_>>) {
    let Some(bounds) = bounds else {
        out.push(RANGE_EMPTY);
        return;
    };
    out.push(RANGE_BOUNDS);
    match bounds.lower {
        None => out.push(LOWER_NONE),
        Some(bound) => {
            row::push_datum(out, bound.value);
            out.push(if bound.inclusive { 1 } else { 2 });
        }
    }
    match bounds.upper {
        None => out.push(UPPER_NONE),
        Some(bound) => {
            row::push_datum(out, bound.value);
            out.push(if bound.inclusive { 2 } else { 1 });
        }
    }
}
