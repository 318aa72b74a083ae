//! How kernels read arguments and give results.

use crate::error::EvalError;
use hw_types::arena::Arena;
use hw_types::datum::{Array, Datum, Jsonb, List, Map, Range, Record};
use hw_types::interval::Interval;
use hw_types::numeric::Numeric;

/// A Rust type that some kind of datum is read as.
pub(crate) trait Arg<'a>: Sized {
    fn of(datum: Datum<'a>) -> Result<Self, EvalError>;
}

#[cold]
fn mismatch<T>(want: &str, got: Datum<'_>) -> Result<T, EvalError> {
    Err(EvalError::internal(format!("a kernel wants {want} and got {got:?}")))
}

macro_rules! read {
    ($ty:ty, $want:literal, $($pattern:pat => $value:expr),+) => {
        impl<'a> Arg<'a> for $ty {
            #[inline]
            fn of(datum: Datum<'a>) -> Result<Self, EvalError> {
                match datum {
                    $($pattern => Ok($value),)+
                    other => mismatch($want, other),
                }
            }
        }
    };
}

read!(i64, "a whole number", Datum::Int(value) => value);
read!(u64, "an unsigned whole number", Datum::Int(value) => value as u64, Datum::UInt(value) => value);
read!(f32, "a float4", Datum::Float4(value) => value);
read!(f64, "a float8", Datum::Float8(value) => value);
read!(Numeric, "a numeric", Datum::Numeric(value) => value);
read!(bool, "a boolean", Datum::True => true, Datum::False => false);
read!(&'a str, "a text", Datum::Text(value) => value);
read!(&'a [u8], "bytes", Datum::Bytes(value) => value);
read!(Interval, "an interval", Datum::Interval(value) => value);
read!(Jsonb<'a>, "a jsonb", Datum::Jsonb(value) => value);
read!(Array<'a>, "an array", Datum::Array(value) => value);
read!(List<'a>, "a list", Datum::List(value) => value);
read!(Map<'a>, "a map", Datum::Map(value) => value);
read!(Record<'a>, "a record", Datum::Record(value) => value);
read!(Range<'a>, "a range", Datum::Range(value) => value);
read!([u8; 16], "a uuid", Datum::Uuid(value) => value);

impl<'a> Arg<'a> for Datum<'a> {
    #[inline]
    fn of(datum: Datum<'a>) -> Result<Self, EvalError> {
        Ok(datum)
    }
}

/// A Rust type that becomes a datum; what it owns moves into the arena.
pub(crate) trait Ret<'a> {
    fn ret(self, arena: &'a Arena) -> Datum<'a>;
}

macro_rules! give {
    ($ty:ty, |$value:ident, $arena:ident| $datum:expr) => {
        impl<'a> Ret<'a> for $ty {
            #[inline]
            fn ret(self, $arena: &'a Arena) -> Datum<'a> {
                let $value = self;
                $datum
            }
        }
    };
}

give!(Datum<'a>, |value, _arena| value);
give!(i64, |value, _arena| Datum::Int(value));
give!(u64, |value, _arena| Datum::uint(value));
give!(f32, |value, _arena| Datum::Float4(value));
give!(f64, |value, _arena| Datum::Float8(value));
give!(Numeric, |value, _arena| Datum::Numeric(value));
give!(bool, |value, _arena| Datum::bool(value));
give!(Interval, |value, _arena| Datum::Interval(value));
give!(&'a str, |value, _arena| Datum::Text(value));
give!(&'a [u8], |value, _arena| Datum::Bytes(value));
give!(String, |value, arena| Datum::Text(arena.text(&value)));
give!(Vec<u8>, |value, arena| Datum::Bytes(arena.bytes(&value)));
give!([u8; 16], |value, _arena| Datum::Uuid(value));
give!(Jsonb<'a>, |value, _arena| Datum::Jsonb(value));

impl<'a, T: Ret<'a>> Ret<'a> for Option<T> {
    #[inline]
    fn ret(self, arena: &'a Arena) -> Datum<'a> {
        self.map_or(Datum::Null, |value| value.ret(arena))
    }
}
