//! Arithmetic on numerics: exact where the result has 39 digits, else rounded half away from zero.

use super::{Kind, MAX_DIGITS, Numeric, NumericError, POW10, digits_u128, to_u128};
use num_bigint::{BigInt, BigUint, Sign};
use std::cmp::Ordering;

type Result<T> = std::result::Result<T, NumericError>;

fn pow10(power: u32) -> BigUint {
    BigUint::from(10u8).pow(power)
}

impl Numeric {
    /// The coefficient with its sign.
    pub fn signed_coefficient(&self) -> BigInt {
        let sign = match self.kind {
            Kind::Negative => Sign::Minus,
            Kind::Zero => Sign::NoSign,
            _ => Sign::Plus,
        };
        BigInt::from_biguint(sign, self.big_coefficient())
    }
    /// `value × 10^exponent`, rounded to what a numeric can hold.
    pub fn from_bigint(value: BigInt, exponent: i32) -> Result<Numeric> {
        let (sign, magnitude) = value.into_parts();
        match to_u128(&magnitude) {
            Some(small) => Numeric::from_parts(sign == Sign::Minus, small, exponent),
            None => Numeric::from_big(sign == Sign::Minus, magnitude, exponent),
        }
    }
    /// Both coefficients at the lesser exponent, where they fit.
    fn aligned(&self, other: &Numeric) -> Option<(i128, i128, i32)> {
        let exponent = self.exponent().min(other.exponent());
        Some((self.scaled(exponent)?, other.scaled(exponent)?, exponent))
    }
    /// The signed coefficient at a lesser exponent, where it stays below `10^38`.
    fn scaled(&self, exponent: i32) -> Option<i128> {
        if self.is_zero() {
            return Some(0);
        }
        let power = usize::try_from(self.exponent() - exponent).ok()?;
        let magnitude = self.coefficient()?.checked_mul(*POW10.get(power)?)?;
        let value = i128::try_from(magnitude).ok().filter(|value| *value < POW10[38] as i128)?;
        Some(if self.is_negative() { -value } else { value })
    }
    fn big_aligned(&self, other: &Numeric) -> (BigInt, BigInt, i32) {
        let exponent = self.exponent().min(other.exponent());
        let at = |n: &Numeric| {
            let power = if n.is_zero() { 0 } else { (n.exponent() - exponent) as u32 };
            n.signed_coefficient() * BigInt::from(pow10(power))
        };
        (at(self), at(other), exponent)
    }
    /// The number negated.
    pub fn negated(self) -> Numeric {
        let kind = match self.kind {
            Kind::NegInfinity => Kind::Infinity,
            Kind::Negative => Kind::Positive,
            Kind::Positive => Kind::Negative,
            Kind::Infinity => Kind::NegInfinity,
            same => same,
        };
        Numeric { kind, ..self }
    }
    /// The magnitude.
    pub fn abs(self) -> Numeric {
        if self.is_negative() { self.negated() } else { self }
    }
    /// The sum.
    pub fn add(&self, other: &Numeric) -> Result<Numeric> {
        if !self.is_finite() || !other.is_finite() {
            return Ok(match (self.kind, other.kind) {
                (Kind::Nan, _) | (_, Kind::Nan) => Numeric::NAN,
                (Kind::Infinity, Kind::NegInfinity) | (Kind::NegInfinity, Kind::Infinity) => Numeric::NAN,
                (Kind::Infinity | Kind::NegInfinity, _) => *self,
                _ => *other,
            });
        }
        if let Some((a, b, exponent)) = self.aligned(other) {
            let sum = a + b;
            return Numeric::from_parts(sum < 0, sum.unsigned_abs(), exponent);
        }
        let (a, b, exponent) = self.big_aligned(other);
        Numeric::from_bigint(a + b, exponent)
    }
    /// The difference.
    pub fn sub(&self, other: &Numeric) -> Result<Numeric> {
        self.add(&other.negated())
    }
    /// The sign: -1, 0 or 1; NaN has 0.
    fn signum(&self) -> i32 {
        match self.kind {
            Kind::NegInfinity | Kind::Negative => -1,
            Kind::Zero | Kind::Nan => 0,
            Kind::Positive | Kind::Infinity => 1,
        }
    }
    /// The product.
    pub fn mul(&self, other: &Numeric) -> Result<Numeric> {
        let negative = self.is_negative() != other.is_negative();
        if !self.is_finite() || !other.is_finite() {
            let nan = self.kind == Kind::Nan || other.kind == Kind::Nan;
            return Ok(match (nan, self.signum() * other.signum()) {
                (true, _) | (_, 0) => Numeric::NAN,
                (_, 1) => Numeric::INFINITY,
                _ => Numeric::NEG_INFINITY,
            });
        }
        let exponent = self.exponent() + other.exponent();
        if let (Some(a), Some(b)) = (self.coefficient(), other.coefficient())
            && let Some(product) = a.checked_mul(b)
        {
            return Numeric::from_parts(negative, product, exponent);
        }
        Numeric::from_big(negative, self.big_coefficient() * other.big_coefficient(), exponent)
    }
    /// The quotient.
    pub fn div(&self, other: &Numeric) -> Result<Numeric> {
        if self.kind == Kind::Nan || other.kind == Kind::Nan {
            return Ok(Numeric::NAN);
        }
        if other.is_zero() {
            return Err(NumericError::DivisionByZero);
        }
        let negative = self.is_negative() != other.is_negative();
        match (self.is_finite(), other.is_finite()) {
            (false, false) => return Ok(Numeric::NAN),
            (false, true) if negative => return Ok(Numeric::NEG_INFINITY),
            (false, true) => return Ok(Numeric::INFINITY),
            (true, false) => return Ok(Numeric::ZERO),
            (true, true) if self.is_zero() => return Ok(Numeric::ZERO),
            (true, true) => {}
        }
        let exponent = self.exponent() - other.exponent();
        if let (Some(a), Some(b)) = (self.coefficient(), other.coefficient())
            && a % b == 0
        {
            return Numeric::from_parts(negative, a / b, exponent);
        }
        if let (Some(a), Some(b)) = (self.word(), other.word()) {
            return divide_words(negative, a, b, exponent);
        }
        // Two digits more than are kept, and a last one that says whether anything was cut.
        let (a, b) = (self.big_coefficient(), other.big_coefficient());
        let shift = MAX_DIGITS + 2 + self.digit_count().max(other.digit_count());
        let numerator = a * pow10(shift);
        let quotient = &numerator / &b;
        let exact = &quotient * &b == numerator;
        let marked = quotient * BigUint::from(10u8) + BigUint::from(u8::from(!exact));
        Numeric::from_big(negative, marked, exponent - shift as i32 - 1)
    }
    /// The coefficient where it fits a machine word.
    fn word(&self) -> Option<u64> {
        self.coefficient().and_then(|coefficient| u64::try_from(coefficient).ok())
    }
    /// What is left of the quotient cut to a whole number; it has the sign of `self`.
    pub fn rem(&self, other: &Numeric) -> Result<Numeric> {
        if self.kind == Kind::Nan || other.kind == Kind::Nan {
            return Ok(Numeric::NAN);
        }
        if other.is_zero() {
            return Err(NumericError::DivisionByZero);
        }
        if !self.is_finite() {
            return Ok(Numeric::NAN);
        }
        if !other.is_finite() {
            return Ok(*self);
        }
        if let Some((a, b, exponent)) = self.aligned(other) {
            let rest = a % b;
            return Numeric::from_parts(rest < 0, rest.unsigned_abs(), exponent);
        }
        let (a, b, exponent) = self.big_aligned(other);
        Numeric::from_bigint(a % b, exponent)
    }
    /// How many decimal digits the coefficient has.
    pub fn digit_count(&self) -> u32 {
        self.coefficient().map_or(MAX_DIGITS, digits_u128)
    }
    /// How many digits stand after the point.
    pub fn scale(&self) -> u32 {
        (-self.exponent()).max(0) as u32
    }
    /// The integer part's place: `10^magnitude <= |self| < 10^(magnitude + 1)`; 0 for zero.
    pub fn magnitude(&self) -> i32 {
        if self.is_zero() { 0 } else { self.exponent() + self.digit_count() as i32 - 1 }
    }
    /// Splits at `scale` digits after the point: what stands before, and how the rest compares with
    /// one half (`None`: there is no rest).
    fn split_at(&self, scale: i32) -> (BigUint, Option<Ordering>) {
        let drop = -scale - self.exponent();
        if drop <= 0 {
            return (self.big_coefficient() * pow10(drop.unsigned_abs()), None);
        }
        let unit = pow10(drop as u32);
        let coefficient = self.big_coefficient();
        let whole = &coefficient / &unit;
        let rest = coefficient - &whole * &unit;
        let order = (rest * BigUint::from(2u8)).cmp(&unit);
        (whole, Some(order))
    }
    fn cut(&self, scale: i32, away: impl FnOnce(Ordering) -> bool) -> Result<Numeric> {
        if !self.is_finite() || -scale <= self.exponent() {
            return Ok(*self);
        }
        let (mut whole, rest) = self.split_at(scale);
        if rest.is_some_and(away) {
            whole += BigUint::from(1u8);
        }
        Numeric::from_big(self.is_negative(), whole, -scale)
    }
    /// Rounds to `scale` digits after the point, half away from zero.
    pub fn round(&self, scale: i32) -> Result<Numeric> {
        self.cut(scale, Ordering::is_ge)
    }
    /// Cuts to `scale` digits after the point.
    pub fn trunc(&self, scale: i32) -> Result<Numeric> {
        self.cut(scale, |_| false)
    }
    /// The least whole number that is not less.
    pub fn ceil(&self) -> Result<Numeric> {
        let up = !self.is_negative();
        self.cut(0, |_| up)
    }
    /// The greatest whole number that is not greater.
    pub fn floor(&self) -> Result<Numeric> {
        let down = self.is_negative();
        self.cut(0, |_| down)
    }
    /// The whole number it rounds to, half away from zero; `None` where that is no `i128`, or where
    /// it is not finite.
    pub fn to_i128(&self) -> Option<i128> {
        if !self.is_finite() {
            return None;
        }
        let rounded = self.round(0).ok()?;
        if let Some(small) = rounded.scaled(0) {
            return Some(small);
        }
        i128::try_from(rounded.signed_coefficient() * BigInt::from(pow10(rounded.exponent() as u32))).ok()
    }
    /// The nearest float.
    pub fn to_f64(&self) -> f64 {
        match self.kind {
            Kind::Nan => f64::NAN,
            Kind::Infinity => f64::INFINITY,
            Kind::NegInfinity => f64::NEG_INFINITY,
            Kind::Zero => 0.0,
            _ => match self.scaled(0) {
                // Whole numbers below 2^53 are floats.
                Some(value) if value.unsigned_abs() < 1 << 53 => value as f64,
                _ => {
                    let sign = if self.is_negative() { "-" } else { "" };
                    let text = format!("{sign}{}e{}", self.big_coefficient(), self.exponent());
                    text.parse().unwrap_or(f64::NAN)
                }
            },
        }
    }
    /// The float's first `digits` digits: 15 for float8, 6 for float4, as PostgreSQL converts.
    pub fn from_f64(value: f64, digits: usize) -> Result<Numeric> {
        if value.is_nan() {
            return Ok(Numeric::NAN);
        }
        if value.is_infinite() {
            return Ok(if value > 0.0 { Numeric::INFINITY } else { Numeric::NEG_INFINITY });
        }
        Numeric::parse(&format!("{value:.*e}", digits - 1))
    }
}

/// `±a / b × 10^exponent` by long division, 19 digits a step.
fn divide_words(negative: bool, a: u64, b: u64, exponent: i32) -> Result<Numeric> {
    const STEPS: usize = 3;
    const STEP: usize = 19;
    let mut digits = [b'0'; 20 + STEPS * STEP + 1];
    super::write_digits(a / b, &mut digits[..20]);
    let mut rest = a % b;
    for step in 0..STEPS {
        let numerator = u128::from(rest) * POW10[STEP];
        let from = 20 + step * STEP;
        // The quotient is below 10^19, since the rest is below the divisor.
        super::write_digits((numerator / u128::from(b)) as u64, &mut digits[from..from + STEP]);
        rest = (numerator % u128::from(b)) as u64;
    }
    // A last digit says whether anything was cut.
    digits[20 + STEPS * STEP] += u8::from(rest != 0);
    Numeric::from_digits(negative, &digits, exponent - (STEPS * STEP) as i32 - 1)
}
