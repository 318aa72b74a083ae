//! Sums of floats and of their products, in limbs of 64 bits.
//!
//! A float is a whole number of 2⁻¹¹²: digits below are dropped, and what is beyond 2¹⁴⁴ counts as infinite.
//! The product of two is exact.

use num_bigint::{BigInt, BigUint, Sign};

use super::accumulable::{add, add_special};

/// Limbs of a sum.
pub const FLOAT_LIMBS: usize = 4;
/// The least limb is worth two to the minus this.
pub const FLOAT_SCALE: i32 = 112;
const FLOAT_BITS: i32 = 256;
/// Limbs of a sum of products: twice the bits, and one into which the highest runs over.
pub const PRODUCT_LIMBS: usize = 2 * FLOAT_LIMBS + 1;
/// The least limb of a product is worth two to the minus this.
pub const PRODUCT_SCALE: i32 = 2 * FLOAT_SCALE;

/// A float's magnitude as a mantissa times two to a power.
fn parts(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let mantissa = bits & ((1 << 52) - 1);
    match ((bits >> 52) & 0x7ff) as i32 {
        0 => (mantissa, -1074),
        raw => (mantissa | (1 << 52), raw - 1075),
    }
}

/// Whether a sum can hold the value.
pub fn is_held(value: f64) -> bool {
    value.is_finite() && parts(value).1 + FLOAT_SCALE + 53 <= FLOAT_BITS
}

/// Slots: specials, limbs.
pub fn add_float(value: f64, diff: i128, slots: &mut [i128]) {
    if value.is_nan() {
        return add_special(0, diff, &mut slots[0]);
    }
    if !is_held(value) {
        return add_special(if value > 0.0 { 1 } else { 2 }, diff, &mut slots[0]);
    }
    let (mantissa, exponent) = parts(value);
    let diff = if value < 0.0 { -diff } else { diff };
    add_shifted(u128::from(mantissa), exponent + FLOAT_SCALE, diff, &mut slots[1..]);
}

/// Slots: limbs. Both values must be [held](is_held).
pub fn add_product(a: f64, b: f64, diff: i128, slots: &mut [i128]) {
    let ((mantissa, exponent), (other, other_exponent)) = (parts(a), parts(b));
    let diff = if (a < 0.0) == (b < 0.0) { diff } else { -diff };
    // What a sum of the values drops is no part of the product either: the moments belong together.
    let product = u128::from(kept(mantissa, exponent)) * u128::from(kept(other, other_exponent));
    add_shifted(product, exponent + other_exponent + PRODUCT_SCALE, diff, slots);
}

/// A mantissa without the digits below the least limb's.
fn kept(mantissa: u64, exponent: i32) -> u64 {
    let dropped = (-(exponent + FLOAT_SCALE)).max(0).unsigned_abs();
    if dropped >= u64::BITS { 0 } else { mantissa >> dropped << dropped }
}

fn add_shifted(value: u128, shift: i32, diff: i128, slots: &mut [i128]) {
    let mut rest = if shift < 0 { value.checked_shr(shift.unsigned_abs()).unwrap_or(0) } else { value };
    let shift = shift.max(0).unsigned_abs();
    let (mut limb, within) = ((shift / 64) as usize, shift % 64);
    // The lowest limb takes what fits above the bits it begins with.
    let mut room = 64 - within;
    let mut place = within;
    while rest != 0 {
        let taken = rest & ((1u128 << room) - 1);
        add(&mut slots[limb], ((taken << place) as i128).wrapping_mul(diff));
        rest >>= room;
        (limb, room, place) = (limb + 1, 64, 0);
    }
}

/// Limbs as one number.
pub fn big(limbs: &[i128]) -> BigInt {
    limbs.iter().rev().fold(BigInt::ZERO, |total, limb| (total << 64) + BigInt::from(*limb))
}

/// A sum.
pub fn sum_of(limbs: &[i128]) -> f64 {
    to_float(&big(limbs), -FLOAT_SCALE)
}

/// The float nearest to `value` times two to the `scale`.
pub fn to_float(value: &BigInt, scale: i32) -> f64 {
    let magnitude: &BigUint = value.magnitude();
    let dropped = magnitude.bits().saturating_sub(64);
    let mut top = (magnitude >> dropped).iter_u64_digits().next().unwrap_or(0);
    // Whether anything was dropped decides a tie, and nothing else can.
    if magnitude.trailing_zeros().is_some_and(|zeros| zeros < dropped) {
        top |= 1;
    }
    let exponent = i32::try_from(dropped).unwrap_or(i32::MAX).saturating_add(scale);
    let half = exponent / 2;
    let float = top as f64 * 2f64.powi(half) * 2f64.powi(exponent - half);
    if value.sign() == Sign::Minus { -float } else { float }
}

/// The float nearest to `of / by`, times two to the `scale`.
pub fn ratio(of: &BigInt, by: &BigInt, scale: i32) -> f64 {
    // Enough bits that dropping those below decides no rounding but a tie's.
    let extra = (by.bits() + 128).saturating_sub(of.bits());
    let quotient = (of << extra) / by;
    to_float(&quotient, scale - i32::try_from(extra).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ratios_round_once() {
        let big = BigInt::from;
        assert_eq!(ratio(&big(1), &big(3), 0), 1.0 / 3.0);
        assert_eq!(ratio(&big(-2), &big(3), 1), -4.0 / 3.0);
        assert_eq!(ratio(&big(0), &big(3), 0), 0.0);
    }

    proptest! {
        #[test]
        fn products_are_exact(a in -1e15f64..1e15, b in -1e-9f64..1e15) {
            let mut slots = [0; PRODUCT_LIMBS];
            add_product(a, b, 1, &mut slots);
            prop_assert_eq!(to_float(&big(&slots), -PRODUCT_SCALE), a * b);
            add_product(a, b, -1, &mut slots);
            prop_assert!(slots.iter().all(|slot| *slot == 0));
        }

        #[test]
        fn floats_come_back(value in any::<f64>()) {
            prop_assume!(is_held(value) && (value == 0.0 || value.abs() > 1e-15));
            let mut slots = [0; 1 + FLOAT_LIMBS];
            add_float(value, 1, &mut slots);
            prop_assert_eq!(sum_of(&slots[1..]), value);
        }
    }
}
