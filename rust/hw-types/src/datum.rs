//! One value of a row, decoded as far as reading it needs.

use crate::interval::Interval;
use crate::numeric::Numeric;
use crate::row::{self, RowError};
use std::cmp::Ordering;

/// A value. Numbers are copied; texts and containers borrow the row's bytes or an arena's.
///
/// The physical kinds are fewer than SQL's types: dates, times, timestamps and object identifiers
/// are `Int`; the plan says which. A container's bytes are those that follow its tag in the row.
#[derive(Clone, Copy, Debug)]
pub enum Datum<'a> {
    /// SQL's NULL.
    Null,
    /// False.
    False,
    /// True.
    True,
    /// A whole number, also days, microseconds and identifiers.
    Int(i64),
    /// A whole number above `i64::MAX`; smaller ones are `Int`.
    UInt(u64),
    /// Single precision.
    Float4(f32),
    /// Double precision.
    Float8(f64),
    /// A decimal number.
    Numeric(Numeric),
    /// A text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A UUID.
    Uuid([u8; 16]),
    /// An interval.
    Interval(Interval),
    /// A JSON document.
    Jsonb(Jsonb<'a>),
    /// An array.
    Array(Array<'a>),
    /// A list.
    List(List<'a>),
    /// A map from text.
    Map(Map<'a>),
    /// A record.
    Record(Record<'a>),
    /// A range.
    Range(Range<'a>),
}

/// An encoded JSON value; see [`crate::jsonb`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jsonb<'a>(pub &'a [u8]);
/// An encoded array: elements, end, dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array<'a>(pub &'a [u8]);
/// An encoded list: elements, end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List<'a>(pub &'a [u8]);
/// An encoded map: keys (texts, rising) and values in turn, end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Map<'a>(pub &'a [u8]);
/// An encoded record: fields, end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a>(pub &'a [u8]);
/// An encoded range; see [`crate::container::Bounds`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range<'a>(pub &'a [u8]);

impl<'a> Datum<'a> {
    /// True or false.
    pub fn bool(value: bool) -> Datum<'static> {
        if value { Datum::True } else { Datum::False }
    }
    /// An unsigned number in its canonical form.
    pub fn uint(value: u64) -> Datum<'static> {
        i64::try_from(value).map_or(Datum::UInt(value), Datum::Int)
    }
    /// Whether it is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }
    /// Its row bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        row::push_datum(&mut out, *self);
        out
    }
    /// Compares as the row bytes compare: ascending, NULL last, NaN greatest.
    ///
    /// Values of different kinds compare by kind; the planner compares like with like.
    #[inline]
    pub fn compare(&self, other: &Datum<'_>) -> Ordering {
        match (self, other) {
            (Datum::Int(a), Datum::Int(b)) => a.cmp(b),
            _ => self.compare_rest(other),
        }
    }
    fn compare_rest(&self, other: &Datum<'_>) -> Ordering {
        use Datum as D;
        match (self, other) {
            (D::UInt(a), D::UInt(b)) => a.cmp(b),
            (D::Text(a), D::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (D::Float8(a), D::Float8(b)) => row::float8_bits(*a).cmp(&row::float8_bits(*b)),
            (D::Float4(a), D::Float4(b)) => row::float4_bits(*a).cmp(&row::float4_bits(*b)),
            (D::Numeric(a), D::Numeric(b)) => a.cmp(b),
            (D::Bytes(a), D::Bytes(b)) => a.cmp(b),
            (D::Uuid(a), D::Uuid(b)) => a.cmp(b),
            (D::Interval(a), D::Interval(b)) => a.cmp(b),
            (D::Jsonb(Jsonb(a)), D::Jsonb(Jsonb(b)))
            | (D::Array(Array(a)), D::Array(Array(b)))
            | (D::List(List(a)), D::List(List(b)))
            | (D::Map(Map(a)), D::Map(Map(b)))
            | (D::Record(Record(a)), D::Record(Record(b)))
            | (D::Range(Range(a)), D::Range(Range(b))) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
    /// The place of its kind, in the order of tags.
    fn rank(&self) -> u8 {
        match self {
            Datum::False => 0,
            Datum::True => 1,
            Datum::Int(_) => 2,
            Datum::UInt(_) => 3,
            Datum::Float4(_) => 4,
            Datum::Float8(_) => 5,
            Datum::Numeric(_) => 6,
            Datum::Text(_) => 7,
            Datum::Bytes(_) => 8,
            Datum::Uuid(_) => 9,
            Datum::Interval(_) => 10,
            Datum::Jsonb(_) => 11,
            Datum::Array(_) => 12,
            Datum::List(_) => 13,
            Datum::Map(_) => 14,
            Datum::Record(_) => 15,
            Datum::Range(_) => 16,
            Datum::Null => 17,
        }
    }
    /// Reads a row of one datum.
    pub fn from_bytes(bytes: &'a [u8], arena: &'a crate::arena::Arena) -> Result<Datum<'a>, RowError> {
        let (datum, len) = row::read_datum(bytes, arena)?;
        if len == bytes.len() { Ok(datum) } else { Err(RowError::Trailing) }
    }
}

impl PartialEq for Datum<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.compare(other) == Ordering::Equal
    }
}

impl Eq for Datum<'_> {}

impl PartialOrd for Datum<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(std::cmp::Ord::cmp(self, other))
    }
}

impl Ord for Datum<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(other)
    }
}

impl From<bool> for Datum<'_> {
    fn from(value: bool) -> Self {
        Datum::bool(value)
    }
}

impl From<i64> for Datum<'_> {
    fn from(value: i64) -> Self {
        Datum::Int(value)
    }
}

impl<'a> From<&'a str> for Datum<'a> {
    fn from(value: &'a str) -> Self {
        Datum::Text(value)
    }
}
