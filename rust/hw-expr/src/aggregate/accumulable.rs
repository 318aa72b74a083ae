//! Aggregates that are sums.
//!
//! Slot 0 counts the values that are not NULL. What the others hold goes by the argument's type:
//!
//! | argument | slots |
//! | --- | --- |
//! | integers | the sum; for bits, packed counts of how many have each set |
//! | float | limbs of 64 bits, as [`super::floats`] says; packed counts of specials |
//! | numeric | three limbs in base 10²⁷, the least worth 10⁻³⁹; packed counts of specials |
//! | interval | months, days, microseconds |
//!
//! The variance family holds a sum and a sum of squares, both as numerics or floats are held; statistics of
//! pairs hold what [`super::pairs`] says.

use super::floats::{FLOATS, PRODUCTS, add_float, add_product, ratio, root_of_ratio, sum_of};
use super::pairs::{self, Statistic};
use crate::error::EvalError;
use hw_types::datum::Datum;
use hw_types::interval::Interval;
use hw_types::numeric::{Numeric, POW10};
use num_bigint::BigInt;

/// What a value is, as far as sums care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Argument {
    Integer,
    Float4,
    Float8,
    Numeric,
    Interval,
}

/// What is made of the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finish {
    Count,
    BoolAnd,
    BoolOr,
    /// `mz_all`, `mz_any`: as AND and OR over the group, where NULL counts.
    All,
    Any,
    /// A sum that must fit `int8`, `uint8`, or nothing.
    SumInt8,
    SumUint8,
    Sum,
    Avg,
    /// Bit by bit.
    Bits(BitOperation, BitType),
    /// Of pairs of floats.
    Pairs(Statistic),
    Variance {
        sample: bool,
        root: bool,
    },
}

/// How bits are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BitOperation {
    And,
    Or,
    Xor,
}

/// The type of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BitType {
    bits: u32,
    signed: bool,
}

/// Counts that share a slot.
const BITS_A_SLOT: u32 = 3;

impl BitType {
    fn slots(self) -> usize {
        self.bits.div_ceil(BITS_A_SLOT) as usize
    }
    fn explode(self, value: u64, diff: i128, slots: &mut [i128]) {
        for bit in (0..self.bits).filter(|bit| value >> bit & 1 == 1) {
            let (slot, place) = ((bit / BITS_A_SLOT) as usize, bit % BITS_A_SLOT);
            add(&mut slots[slot], diff.wrapping_shl(place * SPECIAL_BITS));
        }
    }
    fn finish(self, operation: BitOperation, count: i128, slots: &[i128]) -> Datum<'static> {
        let mut value = 0u64;
        for bit in 0..self.bits {
            let (slot, place) = ((bit / BITS_A_SLOT) as usize, bit % BITS_A_SLOT);
            let set = slots[slot] >> (place * SPECIAL_BITS) & ((1 << SPECIAL_BITS) - 1);
            let is_set = match operation {
                BitOperation::And => set == count,
                BitOperation::Or => set > 0,
                BitOperation::Xor => set & 1 == 1,
            };
            value |= u64::from(is_set) << bit;
        }
        let unused = u64::BITS - self.bits;
        // The sign bit fills what is above it.
        if self.signed { Datum::Int((value << unused).cast_signed() >> unused) } else { Datum::uint(value) }
    }
}

/// An aggregate that is a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accumulable {
    argument: Argument,
    finish: Finish,
}

const NUMERIC_LIMBS: usize = 3;
const NUMERIC_BASE: u128 = POW10[27];
/// Squares need twice the digits before the point and after it.
const SQUARE_LIMBS: usize = 6;
/// Bits of each count in a slot of packed counts of NaN, ∞ and −∞.
pub(super) const SPECIAL_BITS: u32 = 42;

const INTEGERS: [&str; 6] = ["int2", "int4", "int8", "uint2", "uint4", "uint8"];

impl Accumulable {
    /// The aggregate of a kernel name.
    pub fn resolve(func: &str) -> Option<Accumulable> {
        let plain = |finish| Some(Accumulable { argument: Argument::Integer, finish });
        match func {
            "count" => return plain(Finish::Count),
            "bool_and" => return plain(Finish::BoolAnd),
            "bool_or" => return plain(Finish::BoolOr),
            "mz_all" => return plain(Finish::All),
            "mz_any" => return plain(Finish::Any),
            _ => {}
        }
        if let Some(finish) = Statistic::resolve(func) {
            return Some(Accumulable { argument: Argument::Float8, finish: Finish::Pairs(finish) });
        }
        let (word, ty) = func.rsplit_once('_')?;
        let argument = match ty {
            "float4" => Argument::Float4,
            "float8" => Argument::Float8,
            "numeric" => Argument::Numeric,
            "interval" => Argument::Interval,
            other if INTEGERS.contains(&other) => Argument::Integer,
            _ => return None,
        };
        let finish = match word {
            "sum" => match ty {
                "int2" | "int4" => Finish::SumInt8,
                "uint2" | "uint4" => Finish::SumUint8,
                _ => Finish::Sum,
            },
            "avg" => Finish::Avg,
            "bit_and" | "bit_or" | "bit_xor" if argument == Argument::Integer => {
                let operation = match word {
                    "bit_and" => BitOperation::And,
                    "bit_or" => BitOperation::Or,
                    _ => BitOperation::Xor,
                };
                let bytes: u32 = ty.trim_start_matches(|c: char| c.is_alphabetic()).parse().ok()?;
                Finish::Bits(operation, BitType { bits: 8 * bytes, signed: ty.starts_with("int") })
            }
            "var_samp" => Finish::Variance { sample: true, root: false },
            "var_pop" => Finish::Variance { sample: false, root: false },
            "stddev_samp" => Finish::Variance { sample: true, root: true },
            "stddev_pop" => Finish::Variance { sample: false, root: true },
            _ => return None,
        };
        let is_variance = matches!(finish, Finish::Variance { .. });
        (argument != Argument::Interval || !is_variance).then_some(Accumulable { argument, finish })
    }
    /// How many slots it needs.
    pub fn slots(&self) -> usize {
        match (self.finish, self.argument) {
            (Finish::Count, _) => 1,
            (Finish::BoolAnd | Finish::BoolOr, _) => 2,
            (Finish::All | Finish::Any, _) => 3,
            (Finish::Bits(_, ty), _) => 1 + ty.slots(),
            (Finish::Pairs(_), _) => pairs::SLOTS,
            (Finish::Variance { .. }, Argument::Float4 | Argument::Float8) => {
                2 + FLOATS.count + PRODUCTS.count
            }
            (Finish::Variance { .. }, _) => 2 + NUMERIC_LIMBS + SQUARE_LIMBS,
            (_, Argument::Integer) => 2,
            (_, Argument::Float4 | Argument::Float8) => 2 + FLOATS.count,
            (_, Argument::Numeric) => 2 + NUMERIC_LIMBS,
            (_, Argument::Interval) => 4,
        }
    }
    /// Whether most groups need the slot: those that do not should come after all that do, where zeros at the
    /// end need not be held.
    pub fn is_near(&self, slot: usize) -> bool {
        let (Argument::Float4 | Argument::Float8) = self.argument else { return true };
        match self.finish {
            Finish::Pairs(_) => pairs::is_near(slot),
            Finish::Variance { .. } if slot >= 2 + FLOATS.count => slot < 2 + FLOATS.count + PRODUCTS.near,
            _ => slot < 2 + FLOATS.near,
        }
    }
    /// Adds a value's contribution, `diff` times, to its slots.
    pub fn explode(&self, datum: Datum<'_>, diff: i64, slots: &mut [i128]) {
        let diff = i128::from(diff);
        if let Finish::Pairs(_) = self.finish {
            return pairs::explode(datum, diff, slots);
        }
        if datum.is_null() {
            if matches!(self.finish, Finish::All | Finish::Any) {
                add(&mut slots[2], diff);
            }
            return;
        }
        add(&mut slots[0], diff);
        match self.finish {
            Finish::Count => {}
            Finish::BoolAnd | Finish::BoolOr | Finish::All | Finish::Any => {
                if datum == Datum::True {
                    add(&mut slots[1], diff);
                }
            }
            Finish::Bits(_, ty) => match datum {
                Datum::Int(value) => ty.explode(value.cast_unsigned(), diff, &mut slots[1..]),
                Datum::UInt(value) => ty.explode(value, diff, &mut slots[1..]),
                _ => {}
            },
            Finish::Variance { .. } => self.explode_squares(datum, diff, &mut slots[1..]),
            _ => self.explode_sum(datum, diff, &mut slots[1..]),
        }
    }
    fn explode_sum(&self, datum: Datum<'_>, diff: i128, slots: &mut [i128]) {
        match (self.argument, datum) {
            (Argument::Interval, Datum::Interval(value)) => {
                add(&mut slots[0], i128::from(value.months) * diff);
                add(&mut slots[1], i128::from(value.days) * diff);
                add(&mut slots[2], i128::from(value.micros) * diff);
            }
            (_, Datum::Int(value)) => add(&mut slots[0], i128::from(value).wrapping_mul(diff)),
            (_, Datum::UInt(value)) => add(&mut slots[0], i128::from(value).wrapping_mul(diff)),
            (_, Datum::Float4(value)) => add_float(f64::from(value), diff, slots),
            (_, Datum::Float8(value)) => add_float(value, diff, slots),
            (_, Datum::Numeric(value)) => add_numeric::<NUMERIC_LIMBS>(&value, 39, diff, slots),
            _ => {}
        }
    }
    fn explode_squares(&self, datum: Datum<'_>, diff: i128, slots: &mut [i128]) {
        let value = match datum {
            Datum::Float4(value) => return add_float_square(f64::from(value), diff, slots),
            Datum::Float8(value) => return add_float_square(value, diff, slots),
            Datum::Int(value) => Numeric::from(value),
            Datum::UInt(value) => Numeric::from(value),
            Datum::Numeric(value) => value,
            _ => return,
        };
        // Slots: specials and sum, then the sum of squares, whose specials say nothing new.
        let (sum, squares) = slots.split_at_mut(1 + NUMERIC_LIMBS);
        add_numeric::<NUMERIC_LIMBS>(&value, 39, diff, sum);
        if value.is_finite() {
            let square = value.signed_coefficient().pow(2);
            add_limbs::<SQUARE_LIMBS>(square, 2 * value.exponent() + 78, diff, squares);
        }
    }
    /// The result over a group's slots.
    pub fn finish(&self, slots: &[i128]) -> Result<Datum<'static>, EvalError> {
        let count = slots[0];
        match self.finish {
            Finish::Count => return Ok(Datum::Int(clamp(count))),
            Finish::All | Finish::Any => return Ok(self.finish_quantified(slots)),
            Finish::Pairs(statistic) => return Ok(statistic.finish(slots)),
            _ if count == 0 => return Ok(Datum::Null),
            Finish::BoolAnd => return Ok(Datum::bool(slots[1] == count)),
            Finish::BoolOr => return Ok(Datum::bool(slots[1] > 0)),
            Finish::Bits(operation, ty) => return Ok(ty.finish(operation, count, &slots[1..])),
            Finish::SumInt8 => {
                return i64::try_from(slots[1]).map(Datum::Int).map_err(|_| EvalError::OutOfRange("bigint"));
            }
            Finish::SumUint8 => {
                return u64::try_from(slots[1]).map(Datum::uint).map_err(|_| EvalError::OutOfRange("uint8"));
            }
            Finish::Sum | Finish::Avg | Finish::Variance { .. } => {}
        }
        match (self.finish, self.argument) {
            (Finish::Variance { sample, root }, Argument::Float4 | Argument::Float8) => {
                float_variance(slots, sample, root)
            }
            (Finish::Variance { sample, root }, _) => numeric_variance(slots, sample, root),
            (_, Argument::Interval) => self.finish_interval(slots),
            (Finish::Avg, Argument::Float4 | Argument::Float8) => {
                Ok(Datum::Float8(float_sum(&slots[1..])? / count as f64))
            }
            (_, Argument::Float4) => {
                let sum = float_sum(&slots[1..])?;
                let narrow = sum as f32;
                if narrow.is_infinite() && sum.is_finite() {
                    return Err(EvalError::FloatOverflow);
                }
                Ok(Datum::Float4(narrow))
            }
            (_, Argument::Float8) => Ok(Datum::Float8(float_sum(&slots[1..])?)),
            (finish, argument) => {
                let sum = match argument {
                    Argument::Integer => Numeric::from_bigint(BigInt::from(slots[1]), 0)?,
                    _ => numeric_sum(&slots[1..]),
                };
                let count = Numeric::from_bigint(BigInt::from(count), 0)?;
                Ok(Datum::Numeric(if finish == Finish::Avg { sum.div(&count)? } else { sum }))
            }
        }
    }
    fn finish_quantified(&self, slots: &[i128]) -> Datum<'static> {
        let (count, truths, nulls) = (slots[0], slots[1], slots[2]);
        let decided = if self.finish == Finish::All { count > truths } else { truths > 0 };
        match (decided, nulls > 0) {
            (true, _) => Datum::bool(self.finish == Finish::Any),
            (false, true) => Datum::Null,
            (false, false) => Datum::bool(self.finish == Finish::All),
        }
    }
    fn finish_interval(&self, slots: &[i128]) -> Result<Datum<'static>, EvalError> {
        let out = |_| EvalError::IntervalOutOfRange;
        let (months, days, micros) = (slots[1], slots[2], slots[3]);
        if self.finish != Finish::Avg {
            let interval = Interval::new(
                i32::try_from(months).map_err(|_| EvalError::IntervalOutOfRange)?,
                i32::try_from(days).map_err(|_| EvalError::IntervalOutOfRange)?,
                i64::try_from(micros).map_err(out)?,
            );
            return Ok(Datum::Interval(interval));
        }
        let sum = Interval::new(
            i32::try_from(months).map_err(|_| EvalError::IntervalOutOfRange)?,
            i32::try_from(days).map_err(|_| EvalError::IntervalOutOfRange)?,
            i64::try_from(micros).map_err(out)?,
        );
        crate::kernel::interval_divide(&sum, slots[0] as f64).map(Datum::Interval)
    }
}

pub(super) fn add(slot: &mut i128, value: i128) {
    *slot = slot.wrapping_add(value);
}

pub(super) fn clamp(count: i128) -> i64 {
    i64::try_from(count).unwrap_or(if count < 0 { i64::MIN } else { i64::MAX })
}

/// Counts a value that no sum holds: 0 NaN, 1 ∞, 2 −∞.
pub(super) fn add_special(which: u32, diff: i128, slot: &mut i128) {
    add(slot, diff.wrapping_shl(which * SPECIAL_BITS));
}

/// The special that a sum with these counts is, if any.
pub(super) fn special(packed: i128) -> Option<f64> {
    let mask = (1i128 << SPECIAL_BITS) - 1;
    let count = |which: u32| (packed >> (which * SPECIAL_BITS)) & mask;
    match (count(0) != 0, count(1) != 0, count(2) != 0) {
        (true, _, _) | (_, true, true) => Some(f64::NAN),
        (_, true, _) => Some(f64::INFINITY),
        (_, _, true) => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// Slots: specials, limbs of the sum, limbs of the sum of squares.
fn add_float_square(value: f64, diff: i128, slots: &mut [i128]) {
    add_float(value, diff, slots);
    if value.is_finite() {
        add_product(value, value, diff, &mut slots[1 + FLOATS.count..]);
    }
}

fn float_sum(slots: &[i128]) -> Result<f64, EvalError> {
    let Some(special) = special(slots[0]) else {
        let sum = sum_of(&slots[1..=FLOATS.count]);
        return if sum.is_infinite() { Err(EvalError::FloatOverflow) } else { Ok(sum) };
    };
    Ok(special)
}

/// Slots: specials, limbs; `scale` is the power of ten that the least limb divides by.
fn add_numeric<const LIMBS: usize>(value: &Numeric, scale: i32, diff: i128, slots: &mut [i128]) {
    use hw_types::numeric::Kind;
    match value.kind() {
        Kind::Zero => {}
        Kind::Nan => add_special(0, diff, &mut slots[0]),
        Kind::Infinity => add_special(1, diff, &mut slots[0]),
        Kind::NegInfinity => add_special(2, diff, &mut slots[0]),
        Kind::Negative | Kind::Positive => {
            let shift = value.exponent() + scale;
            match value.coefficient() {
                Some(coefficient) if shift >= 0 => {
                    let diff = if value.is_negative() { -diff } else { diff };
                    add_decimal::<LIMBS>(coefficient, shift as usize, diff, &mut slots[1..]);
                }
                _ => add_limbs::<LIMBS>(value.signed_coefficient(), shift, diff, &mut slots[1..]),
            }
        }
    }
}

/// Adds `coefficient × 10^shift` to limbs in base 10²⁷, without a big number where it can.
fn add_decimal<const LIMBS: usize>(coefficient: u128, shift: usize, diff: i128, limbs: &mut [i128]) {
    let (first, within) = (shift / 27, shift % 27);
    // The part of the coefficient that stays in the first limb has 27 - within digits.
    let (mut rest, low) = (coefficient / POW10[27 - within], coefficient % POW10[27 - within]);
    add(&mut limbs[first], ((low * POW10[within]) as i128).wrapping_mul(diff));
    let mut limb = first + 1;
    while rest != 0 && limb < LIMBS {
        add(&mut limbs[limb], ((rest % NUMERIC_BASE) as i128).wrapping_mul(diff));
        rest /= NUMERIC_BASE;
        limb += 1;
    }
}

fn add_limbs<const LIMBS: usize>(coefficient: BigInt, shift: i32, diff: i128, limbs: &mut [i128]) {
    let mut rest = coefficient * BigInt::from(10u8).pow(shift.max(0).unsigned_abs());
    let base = BigInt::from(NUMERIC_BASE);
    for slot in limbs.iter_mut().take(LIMBS) {
        let limb = i128::try_from(&rest % &base).unwrap_or(0);
        add(slot, limb.wrapping_mul(diff));
        rest /= &base;
    }
}

fn total(limbs: &[i128]) -> BigInt {
    let base = BigInt::from(NUMERIC_BASE);
    limbs.iter().rev().fold(BigInt::ZERO, |total, limb| total * &base + BigInt::from(*limb))
}

fn numeric_special(packed: i128) -> Option<Numeric> {
    special(packed).map(|value| match value {
        value if value.is_nan() => Numeric::NAN,
        value if value > 0.0 => Numeric::INFINITY,
        _ => Numeric::NEG_INFINITY,
    })
}

/// Beyond what numeric holds the sum is infinite, so that it can come back.
fn numeric_sum(slots: &[i128]) -> Numeric {
    numeric_special(slots[0]).unwrap_or_else(|| {
        let sum = total(&slots[1..=NUMERIC_LIMBS]);
        let negative = sum.sign() == num_bigint::Sign::Minus;
        let beyond = if negative { Numeric::NEG_INFINITY } else { Numeric::INFINITY };
        Numeric::from_bigint(sum, -39).unwrap_or(beyond)
    })
}

fn float_variance(slots: &[i128], sample: bool, root: bool) -> Result<Datum<'static>, EvalError> {
    if sample && slots[0] <= 1 {
        return Ok(Datum::Null);
    }
    if special(slots[1]).is_some() {
        return Ok(Datum::Float8(f64::NAN));
    }
    // n·Σx² − (Σx)² is exact; one division rounds once.
    let count = BigInt::from(slots[0]);
    let sum = FLOATS.total(&slots[2..]);
    let squares = PRODUCTS.total(&slots[2 + FLOATS.count..]);
    let spread = &count * squares - &sum * &sum;
    let divisor = if sample { &count * (&count - 1) } else { &count * &count };
    let of: fn(&BigInt, &BigInt, i32) -> f64 = if root { root_of_ratio } else { ratio };
    let result = of(&spread, &divisor, -PRODUCTS.scale);
    if result.is_infinite() { Err(EvalError::FloatOverflow) } else { Ok(Datum::Float8(result)) }
}

fn numeric_variance(slots: &[i128], sample: bool, root: bool) -> Result<Datum<'static>, EvalError> {
    if sample && slots[0] <= 1 {
        return Ok(Datum::Null);
    }
    if special(slots[1]).is_some() {
        return Ok(Datum::Numeric(Numeric::NAN));
    }
    // n·Σx² − (Σx)² is exact, at 10⁻⁷⁸; one division rounds once.
    let count = BigInt::from(slots[0]);
    let sum = total(&slots[2..2 + NUMERIC_LIMBS]);
    let squares = total(&slots[2 + NUMERIC_LIMBS..]);
    let spread = &count * squares - &sum * &sum;
    let divisor = if sample { &count * (&count - 1) } else { &count * &count };
    let shift = 60;
    let quotient = spread * BigInt::from(10u8).pow(shift) / divisor;
    let variance = Numeric::from_bigint(quotient, -78 - shift as i32)?;
    Ok(Datum::Numeric(if root { crate::kernel::numeric_sqrt(&variance)? } else { variance }))
}

/// The names of all accumulable aggregates' kernels.
pub(super) fn names() -> impl Iterator<Item = String> {
    let types = INTEGERS.iter().copied().chain(["float4", "float8", "numeric", "interval"]);
    let words =
        ["sum", "avg", "bit_and", "bit_or", "bit_xor", "var_samp", "var_pop", "stddev_samp", "stddev_pop"];
    let typed = types.flat_map(move |ty| words.map(|word| format!("{word}_{ty}")));
    let plain = ["count", "bool_and", "bool_or", "mz_all", "mz_any"].map(str::to_owned);
    typed.filter(|name| Accumulable::resolve(name).is_some()).chain(plain).chain(pairs::names())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(func: &str, values: &[(Datum<'_>, i64)]) -> Result<Datum<'static>, EvalError> {
        let aggregate = Accumulable::resolve(func).expect("known");
        let mut slots = vec![0; aggregate.slots()];
        values.iter().for_each(|(datum, diff)| aggregate.explode(*datum, *diff, &mut slots));
        aggregate.finish(&slots)
    }
    fn numeric(text: &str) -> Datum<'static> {
        Datum::Numeric(Numeric::parse(text).expect("a number"))
    }

    #[test]
    fn counts_and_sums_pass_over_null() {
        let values = [(Datum::Int(3), 2), (Datum::Null, 5), (Datum::Int(-1), 1)];
        assert_eq!(run("count", &values), Ok(Datum::Int(3)));
        assert_eq!(run("sum_int4", &values), Ok(Datum::Int(5)));
        assert_eq!(run("sum_int8", &values), Ok(numeric("5")));
        assert_eq!(run("sum_int4", &[(Datum::Null, 1)]), Ok(Datum::Null));
        assert_eq!(run("avg_int4", &values), Ok(numeric("1.66666666666666666666666666666666666667")));
    }

    #[test]
    fn overflow_is_an_error_that_can_be_retracted() {
        let big = Datum::Int(i64::MAX);
        assert_eq!(run("sum_int4", &[(big, 2)]), Err(EvalError::OutOfRange("bigint")));
        assert_eq!(run("sum_int4", &[(big, 2), (big, -1)]), Ok(big));
    }

    #[test]
    fn floats_retract_exactly() {
        let huge = Datum::Float8(1e30);
        let values = [(Datum::Float8(0.1), 1), (huge, 1), (Datum::Float8(0.2), 1), (huge, -1)];
        assert_eq!(run("sum_float8", &values), Ok(Datum::Float8(0.1 + 0.2)));
        let inf = Datum::Float8(f64::INFINITY);
        assert_eq!(run("sum_float8", &[(inf, 1), (Datum::Float8(1.0), 1)]), Ok(inf));
        assert_eq!(
            run("sum_float8", &[(inf, 1), (inf, -1), (Datum::Float8(1.0), 1)]),
            Ok(Datum::Float8(1.0))
        );
        let nan = Datum::Float8(f64::NAN);
        assert_eq!(run("sum_float8", &[(inf, 1), (Datum::Float8(f64::NEG_INFINITY), 1)]), Ok(nan));
    }

    #[test]
    fn floats_sum_over_their_whole_range() {
        let float = |value: f64| (Datum::Float8(value), 1);
        let (huge, tiny) = (1e300, 5e-324);
        assert_eq!(run("sum_float8", &[float(huge), float(tiny), float(-huge)]), Ok(Datum::Float8(tiny)));
        let most = f64::MAX;
        assert_eq!(run("sum_float8", &[float(most), float(most)]), Err(EvalError::FloatOverflow));
        assert_eq!(run("sum_float8", &[float(most), float(most), float(-most)]), Ok(Datum::Float8(most)));
        // SELECT stddev(x) FROM (VALUES (1e200), (-1e200)) t(x)
        let Ok(Datum::Float8(spread)) = run("stddev_samp_float8", &[float(1e200), float(-1e200)]) else {
            panic!("no number")
        };
        assert!((spread / 1.414_213_562_373_095e200 - 1.0).abs() < 1e-15);
        let far = [float(1e9 + 1.0), float(1e9 + 2.0), float(1e9 + 3.0)];
        assert_eq!(run("var_samp_float8", &far), Ok(Datum::Float8(1.0)));
    }

    #[test]
    fn numerics_sum_beyond_their_range_and_back() {
        let most = numeric("999999999999999999999999999999999999999");
        let tiny = numeric("0.000000000000000000000000000000000000001");
        assert_eq!(run("sum_numeric", &[(most, 2)]), Ok(Datum::Numeric(Numeric::INFINITY)));
        assert_eq!(run("sum_numeric", &[(most, 2), (most, -1)]), Ok(most));
        assert_eq!(run("sum_numeric", &[(most, 1), (tiny, 1), (most, -1)]), Ok(tiny));
        assert_eq!(run("sum_numeric", &[(numeric("NaN"), 1), (tiny, 1)]), Ok(numeric("NaN")));
    }

    #[test]
    fn variance_agrees_with_postgresql() {
        // SELECT variance(x), stddev(x), var_pop(x) FROM (VALUES (1), (2), (4)) t(x)
        let values = [(Datum::Int(1), 1), (Datum::Int(2), 1), (Datum::Int(4), 1)];
        assert_eq!(run("var_samp_int4", &values), Ok(numeric("2.33333333333333333333333333333333333333")));
        assert_eq!(run("stddev_samp_int4", &values).map(|d| d.to_bytes()[..6].to_vec()), {
            Ok(numeric("1.52752523165194").to_bytes()[..6].to_vec())
        });
        assert_eq!(run("var_samp_int4", &values[..1]), Ok(Datum::Null));
        assert_eq!(run("var_pop_int4", &values[..1]), Ok(numeric("0")));
    }

    #[test]
    fn booleans() {
        let values = [(Datum::True, 2), (Datum::False, 1), (Datum::Null, 1)];
        assert_eq!(run("bool_and", &values), Ok(Datum::False));
        assert_eq!(run("bool_or", &values), Ok(Datum::True));
        assert_eq!(run("mz_all", &values[..1]), Ok(Datum::True));
        assert_eq!(run("mz_any", &values[2..]), Ok(Datum::Null));
        assert_eq!(run("bool_and", &values[2..]), Ok(Datum::Null));
    }

    proptest! {
        #[test]
        fn float_sums_come_back_to_nothing(values in prop::collection::vec((any::<f64>(), 1i64..5), 0..20)) {
            let aggregate = Accumulable::resolve("sum_float8").expect("known");
            let mut slots = vec![0; aggregate.slots()];
            for (value, diff) in &values {
                aggregate.explode(Datum::Float8(*value), *diff, &mut slots);
            }
            for (value, diff) in values.iter().rev() {
                aggregate.explode(Datum::Float8(*value), -diff, &mut slots);
            }
            prop_assert!(slots.iter().all(|slot| *slot == 0));
        }

        #[test]
        fn one_float_is_its_own_sum(value in -1e30f64..1e30) {
            let sum = run("sum_float8", &[(Datum::Float8(value), 1)]);
            let Ok(Datum::Float8(sum)) = sum else { panic!("no sum") };
            prop_assert_eq!(sum, value);
        }

        #[test]
        fn numeric_sums_are_exact(values in prop::collection::vec((-1_000_000_000i64..1_000_000_000, -20i32..5), 1..20)) {
            let values: Vec<Numeric> = values
                .iter()
                .map(|(v, e)| Numeric::from_parts(*v < 0, v.unsigned_abs().into(), *e).expect("small"))
                .collect();
            let want = values.iter().try_fold(Numeric::ZERO, |sum, v| sum.add(v));
            let datums: Vec<_> = values.iter().map(|v| (Datum::Numeric(*v), 1)).collect();
            prop_assert_eq!(run("sum_numeric", &datums), Ok(Datum::Numeric(want.expect("small"))));
        }
    }
}
