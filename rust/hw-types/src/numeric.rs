//! Decimal numbers of at most 39 digits, with NaN and infinities.
//!
//! Finite values are `±coefficient × 10^exponent`, the coefficient below `10^39` and not a multiple
//! of ten, so that equal values have equal fields. At most 39 digits stand after the point, and the
//! magnitude is below `10^39`: what is longer is rounded half away from zero, as PostgreSQL rounds.

mod arithmetic;

use num_bigint::BigUint;
use std::cmp::Ordering;
use std::fmt;
use thiserror::Error;

/// Decimal digits of a coefficient at most.
pub const MAX_DIGITS: u32 = 39;
/// Digits after the point at most.
pub const MAX_SCALE: i32 = 39;

const POW10_LEN: usize = 39;
/// `10^i` for `i < 39`: all that fit an `u128`.
pub const POW10: [u128; POW10_LEN] = {
    let mut table = [1u128; POW10_LEN];
    let mut i = 1;
    while i < POW10_LEN {
        table[i] = table[i - 1] * 10;
        i += 1;
    }
    table
};

/// Why a result is not a numeric.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NumericError {
    /// `|x| >= 10^39`.
    #[error("value overflows numeric format")]
    Overflow,
    /// `0 < |x| < 10^-40`.
    #[error("value underflows numeric format")]
    Underflow,
    /// Division by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// The text is not a number.
    #[error("invalid input syntax for type numeric")]
    Syntax,
}

/// What a numeric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Below everything.
    NegInfinity,
    /// Less than zero.
    Negative,
    /// Zero.
    Zero,
    /// Greater than zero.
    Positive,
    /// Above everything but NaN.
    Infinity,
    /// Not a number: equal to itself and above everything.
    Nan,
}

/// A decimal number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Numeric {
    // The coefficient in three limbs, least first; 10^39 needs 130 bits.
    lo: u64,
    mid: u64,
    hi: u8,
    kind: Kind,
    exponent: i16,
}

impl Numeric {
    /// Zero.
    pub const ZERO: Numeric = Numeric::special(Kind::Zero);
    /// Not a number.
    pub const NAN: Numeric = Numeric::special(Kind::Nan);
    /// Above all finite numbers.
    pub const INFINITY: Numeric = Numeric::special(Kind::Infinity);
    /// Below all finite numbers.
    pub const NEG_INFINITY: Numeric = Numeric::special(Kind::NegInfinity);

    const fn special(kind: Kind) -> Numeric {
        Numeric { lo: 0, mid: 0, hi: 0, kind, exponent: 0 }
    }
    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }
    /// Whether it is neither NaN nor infinite.
    pub fn is_finite(&self) -> bool {
        matches!(self.kind, Kind::Negative | Kind::Zero | Kind::Positive)
    }
    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        matches!(self.kind, Kind::Negative | Kind::NegInfinity)
    }
    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.kind == Kind::Zero
    }
    /// The power of ten that the coefficient is multiplied by.
    pub fn exponent(&self) -> i32 {
        i32::from(self.exponent)
    }
    /// The coefficient where it fits, which it does up to 38 digits.
    pub fn coefficient(&self) -> Option<u128> {
        (self.hi == 0).then(|| self.low_bits())
    }
    fn low_bits(&self) -> u128 {
        (u128::from(self.mid) << 64) | u128::from(self.lo)
    }
    /// The coefficient.
    pub fn big_coefficient(&self) -> BigUint {
        (BigUint::from(self.hi) << 128) | BigUint::from(self.low_bits())
    }
    fn raw(negative: bool, hi: u8, low: u128, exponent: i32) -> Numeric {
        let kind = if negative { Kind::Negative } else { Kind::Positive };
        Numeric { lo: low as u64, mid: (low >> 64) as u64, hi, kind, exponent: exponent as i16 }
    }
    /// The digits of the coefficient as text, and their number.
    fn digits(&self) -> ([u8; MAX_DIGITS as usize], usize) {
        let mut digits = [0; MAX_DIGITS as usize];
        let len = match self.coefficient() {
            Some(c) => match u64::try_from(c) {
                Ok(word) => {
                    let len = digits_u64(word) as usize;
                    write_digits(word, &mut digits[..len]);
                    len
                }
                Err(_) => write_wide(c, &mut digits),
            },
            None => {
                let text = self.big_coefficient().to_str_radix(10);
                digits[..text.len()].copy_from_slice(text.as_bytes());
                text.len()
            }
        };
        (digits, len)
    }
    /// `±coefficient × 10^exponent`, rounded to what a numeric can hold.
    pub fn from_parts(negative: bool, coefficient: u128, exponent: i32) -> Result<Numeric, NumericError> {
        if coefficient == 0 {
            return Ok(Numeric::ZERO);
        }
        let (coefficient, zeros) = strip_zeros(coefficient);
        let exponent = exponent + zeros;
        let adjusted = exponent + digits_u128(coefficient) as i32 - 1;
        if adjusted >= MAX_DIGITS as i32 {
            return Err(NumericError::Overflow);
        }
        if adjusted < -MAX_SCALE {
            return Err(NumericError::Underflow);
        }
        if exponent < -MAX_SCALE {
            return Numeric::from_big(negative, BigUint::from(coefficient), exponent);
        }
        Ok(Numeric::raw(negative, 0, coefficient, exponent))
    }
    /// As [`Numeric::from_parts`], for coefficients of any size.
    pub fn from_big(negative: bool, coefficient: BigUint, exponent: i32) -> Result<Numeric, NumericError> {
        let text = coefficient.to_str_radix(10).into_bytes();
        Numeric::from_digits(negative, &text, exponent)
    }
    /// As [`Numeric::from_parts`], for a coefficient written as ASCII digits.
    fn from_digits(negative: bool, digits: &[u8], exponent: i32) -> Result<Numeric, NumericError> {
        let zeros = digits.iter().take_while(|d| **d == b'0').count();
        let digits = &digits[zeros..];
        if digits.is_empty() {
            return Ok(Numeric::ZERO);
        }
        let len = i32::try_from(digits.len()).map_err(|_| NumericError::Overflow)?;
        let adjusted = exponent.saturating_add(len - 1);
        if adjusted >= MAX_DIGITS as i32 {
            return Err(NumericError::Overflow);
        }
        if adjusted < -MAX_SCALE {
            return Err(NumericError::Underflow);
        }
        let keep = (len.min(MAX_DIGITS as i32)).min(adjusted + 1 + MAX_SCALE).max(0) as usize;
        let mut kept: Vec<u8> = digits[..keep].to_vec();
        let mut exponent = exponent + (digits.len() - keep) as i32;
        if digits.get(keep).is_some_and(|d| *d >= b'5') && increment(&mut kept) {
            kept.insert(0, b'1');
        }
        while kept.last() == Some(&b'0') {
            kept.pop();
            exponent += 1;
        }
        if kept.is_empty() {
            return Ok(Numeric::ZERO);
        }
        if exponent + kept.len() as i32 > MAX_DIGITS as i32 {
            return Err(NumericError::Overflow);
        }
        let split = kept.len().min(38);
        let low = kept[..split].iter().fold(0u128, |c, d| c * 10 + u128::from(d - b'0'));
        Ok(match kept.get(split) {
            None => Numeric::raw(negative, 0, low, exponent),
            Some(last) => {
                let (hi, low) = times_ten(low, last - b'0');
                Numeric::raw(negative, hi, low, exponent)
            }
        })
    }
    /// Appends the memcomparable form without its tag; see [`crate::row`].
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let (digits, len) = self.digits();
        let flip = if self.kind == Kind::Negative { 0xff } else { 0 };
        let adjusted = self.exponent() + len as i32 - 1;
        out.push((adjusted + 0x80) as u8 ^ flip);
        let mut pairs = digits[..len].chunks(2).peekable();
        while let Some(pair) = pairs.next() {
            let value = (pair[0] - b'0') * 10 + pair.get(1).map_or(0, |d| d - b'0');
            out.push((value * 2 + u8::from(pairs.peek().is_some())) ^ flip);
        }
    }
    /// Reads what [`Numeric::encode`] wrote, and how many bytes that was.
    pub(crate) fn decode(negative: bool, from: &[u8]) -> Option<(Numeric, usize)> {
        Numeric::decode_short(negative, from).or_else(|| Numeric::decode_long(negative, from))
    }
    /// Up to 18 digits, which fit a machine word; `None` leaves the rest to [`Numeric::decode_long`].
    #[inline]
    fn decode_short(negative: bool, from: &[u8]) -> Option<(Numeric, usize)> {
        const PAIRS: usize = 9;
        let flip = if negative { 0xff } else { 0 };
        let (first, rest) = from.split_first()?;
        let adjusted = i32::from(first ^ flip) - 0x80;
        let mut word = 0u64;
        for (i, byte) in rest.iter().take(PAIRS).enumerate() {
            let byte = byte ^ flip;
            let pair = u64::from(byte / 2);
            if pair > 99 {
                return None;
            }
            if byte & 1 == 1 {
                word = word * 100 + pair;
                continue;
            }
            let odd = pair % 10 == 0;
            word = if odd { word * 10 + pair / 10 } else { word * 100 + pair };
            let exponent = adjusted - (2 * i as i32 + i32::from(!odd));
            let valid = adjusted < MAX_DIGITS as i32 && exponent >= -MAX_SCALE && word != 0;
            return valid.then(|| (Numeric::raw(negative, 0, u128::from(word), exponent), i + 2));
        }
        None
    }
    fn decode_long(negative: bool, from: &[u8]) -> Option<(Numeric, usize)> {
        let flip = if negative { 0xff } else { 0 };
        let adjusted = i32::from(from.first()? ^ flip) - 0x80;
        let (mut low, mut hi, mut count, mut at) = (0u128, 0u8, 0i32, 1);
        loop {
            let byte = from.get(at)? ^ flip;
            let (pair, more) = (byte / 2, byte & 1 == 1);
            if pair > 99 || at > 20 {
                return None;
            }
            at += 1;
            if !more && pair % 10 == 0 {
                if count == 38 {
                    (hi, low) = times_ten(low, pair / 10);
                } else {
                    low = low * 10 + u128::from(pair / 10);
                }
                count += 1;
                break;
            }
            if count == 38 {
                return None;
            }
            low = low * 100 + u128::from(pair);
            count += 2;
            if !more {
                break;
            }
        }
        let exponent = adjusted - (count - 1);
        if adjusted >= MAX_DIGITS as i32 || exponent < -MAX_SCALE || (low == 0 && hi == 0) {
            return None;
        }
        Some((Numeric::raw(negative, hi, low, exponent), at))
    }
    /// Reads PostgreSQL's text form: sign, digits, point, exponent; `NaN`, `Infinity`, `inf`.
    pub fn parse(text: &str) -> Result<Numeric, NumericError> {
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
        let (negative, body) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if body.eq_ignore_ascii_case("nan") {
            return Ok(Numeric::NAN);
        }
        if body.eq_ignore_ascii_case("infinity") || body.eq_ignore_ascii_case("inf") {
            return Ok(if negative { Numeric::NEG_INFINITY } else { Numeric::INFINITY });
        }
        let (mantissa, exponent) = match body.find(['e', 'E']) {
            Some(at) => (&body[..at], parse_exponent(&body[at + 1..])?),
            None => (body, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digit = |b: &u8| b.is_ascii_digit();
        if (whole.is_empty() && fraction.is_empty())
            || !whole.as_bytes().iter().all(digit)
            || !fraction.as_bytes().iter().all(digit)
        {
            return Err(NumericError::Syntax);
        }
        let scale = i32::try_from(fraction.len()).map_err(|_| NumericError::Overflow)?;
        let exponent = exponent - scale;
        if whole.len() + fraction.len() <= 38 {
            let fold = |c: u128, d: &u8| c * 10 + u128::from(d - b'0');
            let c = fraction.as_bytes().iter().fold(whole.as_bytes().iter().fold(0, fold), fold);
            return Numeric::from_parts(negative, c, exponent);
        }
        let digits = [whole.as_bytes(), fraction.as_bytes()].concat();
        Numeric::from_digits(negative, &digits, exponent)
    }
    fn magnitude_cmp(&self, other: &Numeric) -> Ordering {
        let (a, n) = self.digits();
        let (b, m) = other.digits();
        let (ea, eb) = (self.exponent() + n as i32, other.exponent() + m as i32);
        ea.cmp(&eb).then_with(|| a[..n].cmp(&b[..m]))
    }
}

impl Ord for Numeric {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.kind as u8).cmp(&(other.kind as u8)) {
            Ordering::Equal if self.kind == Kind::Positive => self.magnitude_cmp(other),
            Ordering::Equal if self.kind == Kind::Negative => other.magnitude_cmp(self),
            order => order,
        }
    }
}

impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Nan => return f.write_str("NaN"),
            Kind::Infinity => return f.write_str("Infinity"),
            Kind::NegInfinity => return f.write_str("-Infinity"),
            Kind::Zero => return f.write_str("0"),
            Kind::Negative => f.write_str("-")?,
            Kind::Positive => {}
        }
        let (digits, len) = self.digits();
        let digits = std::str::from_utf8(&digits[..len]).map_err(|_| fmt::Error)?;
        let exponent = self.exponent();
        if exponent >= 0 {
            return write!(f, "{digits}{:0<1$}", "", exponent as usize);
        }
        let point = len as i32 + exponent;
        if point > 0 {
            let (whole, fraction) = digits.split_at(point as usize);
            write!(f, "{whole}.{fraction}")
        } else {
            write!(f, "0.{:0<1$}{digits}", "", (-point) as usize)
        }
    }
}

impl fmt::Debug for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Numeric({self})")
    }
}

impl From<i64> for Numeric {
    fn from(value: i64) -> Self {
        Numeric::from_i128(i128::from(value))
    }
}

impl From<u64> for Numeric {
    fn from(value: u64) -> Self {
        Numeric::from_i128(i128::from(value))
    }
}

impl Numeric {
    /// The number, which must be below `10^38` in magnitude, as all machine words are.
    ///
    /// # Panics
    /// Where it is not.
    pub fn from_i128(value: i128) -> Numeric {
        Numeric::from_parts(value < 0, value.unsigned_abs(), 0).expect("the caller bounds the number")
    }
}

/// `low × 10 + digit`, in 136 bits.
fn times_ten(low: u128, digit: u8) -> (u8, u128) {
    let bottom = (low & u128::from(u64::MAX)) * 10 + u128::from(digit);
    let top = (low >> 64) * 10 + (bottom >> 64);
    ((top >> 64) as u8, (top << 64) | (bottom & u128::from(u64::MAX)))
}

/// A positive number without its last zeros, and how many those were.
fn strip_zeros(mut value: u128) -> (u128, i32) {
    let mut zeros = 0;
    while value > u128::from(u64::MAX) {
        if !value.is_multiple_of(10) {
            return (value, zeros);
        }
        value /= 10;
        zeros += 1;
    }
    // Machine words divide ten times faster.
    let mut word = value as u64;
    while word.is_multiple_of(10) {
        word /= 10;
        zeros += 1;
    }
    (u128::from(word), zeros)
}

/// Adds one to a decimal; true where a digit more is needed, all digits then being zero.
fn increment(digits: &mut [u8]) -> bool {
    for digit in digits.iter_mut().rev() {
        if *digit == b'9' {
            *digit = b'0';
        } else {
            *digit += 1;
            return false;
        }
    }
    true
}

fn parse_exponent(text: &str) -> Result<i32, NumericError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NumericError::Syntax);
    }
    // Beyond this every nonzero number over- or underflows; zero does not care.
    Ok(text.parse::<i32>().map_or(if text.starts_with('-') { -1_000_000 } else { 1_000_000 }, |e| {
        e.clamp(-1_000_000, 1_000_000)
    }))
}

/// The decimal digits of a positive number.
pub(crate) fn digits_u128(value: u128) -> u32 {
    match u64::try_from(value) {
        Ok(word) => digits_u64(word),
        Err(_) => value.ilog10() + 1,
    }
}

fn digits_u64(value: u64) -> u32 {
    value.checked_ilog10().map_or(0, |log| log + 1)
}

/// Writes a number's digits into exactly as many bytes.
fn write_digits(mut value: u64, into: &mut [u8]) {
    for digit in into.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// As [`write_digits`], of a number beyond a machine word; returns how many there are.
fn write_wide(value: u128, into: &mut [u8; MAX_DIGITS as usize]) -> usize {
    const HALF: u128 = POW10[19];
    let len = digits_u128(value) as usize;
    // At most 39 digits: 19, 19 and one.
    let (rest, low) = (value / HALF, (value % HALF) as u64);
    let (top, middle) = (rest / HALF, (rest % HALF) as u64);
    write_digits(low, &mut into[len - 19..len]);
    let rest_len = len - 19;
    let middle_len = rest_len.min(19);
    write_digits(middle, &mut into[rest_len - middle_len..rest_len]);
    if rest_len > 19 {
        write_digits(top as u64, &mut into[..rest_len - 19]);
    }
    len
}

/// The number where it fits.
pub(crate) fn to_u128(big: &BigUint) -> Option<u128> {
    u128::try_from(big).ok()
}
