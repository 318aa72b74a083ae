//! Functions over whole numbers and decimals beyond the operators, and trigonometry in degrees.

use super::arithmetic::{BIGINT, INTEGER};
use super::{CallInfo, Evaluated, Table, arg, kernel, lax, many};
use crate::error::EvalError;
use hw_types::arena::Arena;
use hw_types::container::raw_items;
use hw_types::datum::{Array, Datum};
use hw_types::numeric::Numeric;
use hw_types::row;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

type Result<T> = std::result::Result<T, EvalError>;

/// The greatest factorial that a numeric holds is that of this number.
const FACTORIAL_MAX: i64 = 34;

fn ok<T>(value: T) -> Result<T> {
    Ok(value)
}

fn divisor(a: i64, b: i64) -> u64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn bounded(value: u64, name: &'static str) -> Result<i64> {
    let most = if name == INTEGER { i32::MAX as u64 } else { i64::MAX as u64 };
    if value <= most { Ok(value as i64) } else { Err(EvalError::OutOfRange(name)) }
}

fn multiple(a: i64, b: i64, name: &'static str) -> Result<i64> {
    if a == 0 || b == 0 {
        return Ok(0);
    }
    let product = (a.unsigned_abs() / divisor(a, b)).checked_mul(b.unsigned_abs());
    product.map_or(Err(EvalError::OutOfRange(name)), |value| bounded(value, name))
}

fn numeric_divisor(a: &Numeric, b: &Numeric) -> Result<Numeric> {
    if !a.is_finite() || !b.is_finite() {
        return Ok(Numeric::NAN);
    }
    let (mut a, mut b) = (a.abs(), b.abs());
    while !b.is_zero() {
        (a, b) = (b, a.rem(&b)?);
    }
    Ok(a)
}

fn numeric_multiple(a: &Numeric, b: &Numeric) -> Result<Numeric> {
    if !a.is_finite() || !b.is_finite() {
        return Ok(Numeric::NAN);
    }
    if a.is_zero() || b.is_zero() {
        return Ok(Numeric::ZERO);
    }
    Ok(a.div(&numeric_divisor(a, b)?)?.mul(b)?.abs())
}

fn factorial(n: i64) -> Result<Numeric> {
    if n < 0 {
        return Err(EvalError::raise("22003", "factorial of a negative number is undefined"));
    }
    if n > FACTORIAL_MAX {
        return Err(EvalError::NumericOverflow);
    }
    (2..=n).try_fold(Numeric::from(1i64), |product, k| Ok(product.mul(&Numeric::from(k))?))
}

/// The quotient without its fraction.
fn whole_quotient(a: &Numeric, b: &Numeric) -> Result<Numeric> {
    if !a.is_finite() || !b.is_finite() {
        return Ok(a.div(b)?);
    }
    Ok(a.sub(&a.rem(b)?)?.div(b)?.trunc(0)?)
}

fn scale(value: &Numeric) -> Option<i64> {
    value.is_finite().then(|| i64::from(value.scale()))
}

fn numeric_sign(value: &Numeric) -> Numeric {
    match (*value == Numeric::NAN, value.is_zero(), value.is_negative()) {
        (true, ..) => Numeric::NAN,
        (_, true, _) => Numeric::ZERO,
        (.., negative) => Numeric::from(if negative { -1i64 } else { 1 }),
    }
}

fn float_sign(value: f64) -> f64 {
    if value == 0.0 || value.is_nan() { value } else { value.signum() }
}

fn bucket_error(message: &str) -> EvalError {
    EvalError::raise("2201G", message)
}

fn bucket_count(count: i64) -> Result<i64> {
    if count > 0 { Ok(count) } else { Err(bucket_error("count must be greater than zero")) }
}

/// Which of `count` equal parts of the bounds the operand lies in; 0 and `count + 1` are outside.
fn float_bucket<'a>(args: &[Datum<'a>], _: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    let (x, low, high): (f64, f64, f64) = (arg(args, 0)?, arg(args, 1)?, arg(args, 2)?);
    let count = bucket_count(arg(args, 3)?)?;
    if x.is_nan() || low.is_nan() || high.is_nan() {
        return Err(bucket_error("operand, lower bound, and upper bound cannot be NaN"));
    }
    if low.is_infinite() || high.is_infinite() {
        return Err(bucket_error("lower and upper bounds must be finite"));
    }
    if low == high {
        return Err(bucket_error("lower bound cannot equal upper bound"));
    }
    let (x, low, high) = if low < high { (x, low, high) } else { (-x, -low, -high) };
    let bucket = if x < low {
        0
    } else if x >= high {
        count + 1
    } else {
        (count as f64 * ((x - low) / (high - low))) as i64 + 1
    };
    Ok(Datum::Int(bucket))
}

fn numeric_bucket<'a>(args: &[Datum<'a>], _: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    let (x, low, high): (Numeric, Numeric, Numeric) = (arg(args, 0)?, arg(args, 1)?, arg(args, 2)?);
    let count = bucket_count(arg(args, 3)?)?;
    if [x, low, high].contains(&Numeric::NAN) {
        return Err(bucket_error("operand, lower bound, and upper bound cannot be NaN"));
    }
    if !low.is_finite() || !high.is_finite() {
        return Err(bucket_error("lower and upper bounds must be finite"));
    }
    if low == high {
        return Err(bucket_error("lower bound cannot equal upper bound"));
    }
    let (x, low, high) =
        if low < high { (x, low, high) } else { (x.negated(), low.negated(), high.negated()) };
    let bucket = if x < low {
        0
    } else if x >= high {
        count + 1
    } else {
        let part = Numeric::from(count).mul(&x.sub(&low)?)?;
        let index = whole_quotient(&part, &high.sub(&low)?)?;
        index.to_i128().and_then(|i| i64::try_from(i).ok()).unwrap_or(count) + 1
    };
    Ok(Datum::Int(bucket))
}

/// How many of the rising thresholds the operand has reached.
fn threshold_bucket<'a>(operand: Datum<'a>, thresholds: Array<'a>) -> Result<i64> {
    if thresholds.dimensions().len() > 1 {
        return Err(EvalError::raise("2202E", "thresholds must be one-dimensional array"));
    }
    let mut encoded = Vec::new();
    row::push_datum(&mut encoded, operand);
    let items: Vec<&[u8]> = raw_items(thresholds.0).collect();
    if items.contains(&row::NULL_BYTES) {
        return Err(EvalError::raise("22004", "thresholds array must not contain NULLs"));
    }
    Ok(items.partition_point(|item| *item <= encoded.as_slice()) as i64)
}

fn infinite(name: &str) -> EvalError {
    EvalError::infinite(name)
}

/// The sine of degrees from 0 to 90, exact where it is rational.
fn sine_of_quarter(x: f64) -> f64 {
    if x <= 30.0 { x.to_radians().sin() / 30f64.to_radians().sin() / 2.0 } else { cosine_of_sixth(90.0 - x) }
}

fn cosine_of_quarter(x: f64) -> f64 {
    if x <= 60.0 { cosine_of_sixth(x) } else { sine_of_quarter(90.0 - x) }
}

fn cosine_of_sixth(x: f64) -> f64 {
    let part = 1.0 - x.to_radians().cos();
    1.0 - part / (1.0 - 60f64.to_radians().cos()) / 2.0
}

/// Brings degrees into the first quarter: the angle, and the signs of its sine and cosine.
fn quarter(x: f64) -> (f64, f64, f64) {
    let (mut x, mut sine, mut cosine) = (x % 360.0, 1.0, 1.0);
    if x < 0.0 {
        (x, sine) = (-x, -1.0);
    }
    if x > 180.0 {
        (x, sine) = (360.0 - x, -sine);
    }
    if x > 90.0 {
        (x, cosine) = (180.0 - x, -1.0);
    }
    (x, sine, cosine)
}

fn in_degrees(name: &str, x: f64, f: impl FnOnce(f64, f64, f64) -> f64) -> Result<f64> {
    if x.is_nan() {
        return Ok(x);
    }
    if x.is_infinite() {
        return Err(infinite(name));
    }
    let (x, sine, cosine) = quarter(x);
    // A negative zero is of no use to anyone.
    Ok(f(x, sine, cosine) + 0.0)
}

fn arcsine_of_quarter(x: f64) -> f64 {
    if x <= 0.5 { x.asin() / 0.5f64.asin() * 30.0 } else { 90.0 - x.acos() / 0.5f64.acos() * 60.0 }
}

fn of_unit(name: &str, x: f64, f: impl FnOnce(f64) -> f64) -> Result<f64> {
    if x.is_nan() || x.abs() <= 1.0 {
        return Ok(f(x));
    }
    let message = format!("function {name} is defined for numbers between -1 and 1 inclusive");
    Err(EvalError::raise("22003", message))
}

fn arcsine(x: f64) -> f64 {
    if x >= 0.0 { arcsine_of_quarter(x) } else { -arcsine_of_quarter(-x) }
}

/// 64 bits that nobody can tell beforehand: SipHash of a counter, keyed by the system's randomness.
fn draw() -> u64 {
    static KEYS: OnceLock<RandomState> = OnceLock::new();
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    KEYS.get_or_init(RandomState::new).hash_one(COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// A number from 0 to 1, another for each row. Arguments only keep calls apart.
fn random<'a>(_: &[Datum<'a>], _: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    // As many bits as a float's mantissa has.
    Ok(Datum::Float8((draw() >> 11) as f64 / (1u64 << 53) as f64))
}

/// A UUID of version 4. Source: RFC 9562, section 5.4.
fn random_uuid<'a>(_: &[Datum<'a>], _: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    let mut out = [0; 16];
    out[..8].copy_from_slice(&draw().to_be_bytes());
    out[8..].copy_from_slice(&draw().to_be_bytes());
    out[6] = out[6] & 0x0f | 0x40;
    out[8] = out[8] & 0x3f | 0x80;
    Ok(Datum::Uuid(out))
}

pub(super) const KERNELS: Table = &[
    ("random", lax(random)),
    ("gen_random_uuid", lax(random_uuid)),
    kernel!("gcd_int4_int4", |a: i64, b: i64| bounded(divisor(a, b), INTEGER)),
    kernel!("gcd_int8_int8", |a: i64, b: i64| bounded(divisor(a, b), BIGINT)),
    kernel!("gcd_numeric_numeric", |a: Numeric, b: Numeric| numeric_divisor(&a, &b)),
    kernel!("lcm_int4_int4", |a: i64, b: i64| multiple(a, b, INTEGER)),
    kernel!("lcm_int8_int8", |a: i64, b: i64| multiple(a, b, BIGINT)),
    kernel!("lcm_numeric_numeric", |a: Numeric, b: Numeric| numeric_multiple(&a, &b)),
    kernel!("factorial_int8", |a: i64| factorial(a)),
    kernel!("whole_quotient_numeric_numeric", |a: Numeric, b: Numeric| whole_quotient(&a, &b)),
    kernel!("scale_numeric", |a: Numeric| ok(scale(&a))),
    kernel!("sign_numeric", |a: Numeric| ok(numeric_sign(&a))),
    kernel!("sign_float8", |a: f64| ok(float_sign(a))),
    kernel!("trunc_numeric_int4", |a: Numeric, b: i64| a.trunc(b.clamp(-80, 80) as i32)),
    ("width_bucket_float8", many(float_bucket)),
    ("width_bucket_numeric", many(numeric_bucket)),
    kernel!("width_bucket_any_array", |a: Datum<'a>, b: Array<'a>| threshold_bucket(a, b)),
    kernel!("atan2_float8_float8", |a: f64, b: f64| ok(a.atan2(b))),
    kernel!("sind_float8", |a: f64| in_degrees("sind", a, |x, sine, _| sine * sine_of_quarter(x))),
    kernel!("cosd_float8", |a: f64| in_degrees("cosd", a, |x, _, cosine| cosine * cosine_of_quarter(x))),
    kernel!("tand_float8", |a: f64| {
        in_degrees("tand", a, |x, sine, cosine| {
            sine * cosine * (sine_of_quarter(x) / cosine_of_quarter(x))
                / (sine_of_quarter(45.0) / cosine_of_quarter(45.0))
        })
    }),
    kernel!("cotd_float8", |a: f64| {
        in_degrees("cotd", a, |x, sine, cosine| {
            sine * cosine * (cosine_of_quarter(x) / sine_of_quarter(x))
                / (cosine_of_quarter(45.0) / sine_of_quarter(45.0))
        })
    }),
    kernel!("asind_float8", |a: f64| of_unit("asind", a, arcsine)),
    kernel!("acosd_float8", |a: f64| {
        of_unit("acosd", a, |x| {
            if x >= 0.0 { 90.0 - arcsine_of_quarter(x) } else { 90.0 + arcsine_of_quarter(-x) }
        })
    }),
    kernel!("atand_float8", |a: f64| ok(a.atan() / 1f64.atan() * 45.0)),
    kernel!("atan2d_float8_float8", |a: f64, b: f64| ok(a.atan2(b) / 1f64.atan() * 45.0)),
];
