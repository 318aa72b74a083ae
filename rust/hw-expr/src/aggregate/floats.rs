//! Sums of floats and of their products, in limbs of 64 bits: exact for all floats.
//!
//! A float is a whole number of 2⁻¹⁰⁷⁴, a product of two a whole number of 2⁻²¹⁴⁸. Limbs stand in the order of
//! their worth, but begin with those that numbers near one have, and go round: so that most sums need but the
//! first few.

use num_bigint::{BigInt, BigUint, Sign};

use super::accumulable::{add, add_special};

/// Limbs that go round.
pub struct Limbs {
    /// How many there are.
    pub count: usize,
    /// Which stands first.
    first: usize,
    /// How many numbers near one have.
    pub near: usize,
    /// The least is worth two to the minus this.
    pub scale: i32,
}

/// Of a sum of floats: 2⁻¹⁰⁷⁴ to 2¹⁰²⁴, first those from 2⁻¹¹⁴ on.
pub const FLOATS: Limbs = Limbs { count: 33, first: 15, near: 4, scale: 1074 };
/// Of a sum of products: 2⁻²¹⁴⁸ to 2²⁰⁴⁸, first those from 2⁻²²⁸ on.
pub const PRODUCTS: Limbs = Limbs { count: 67, first: 30, near: 8, scale: 2 * FLOATS.scale };

impl Limbs {
    fn place(&self, limb: usize) -> usize {
        (limb + self.count - self.first) % self.count
    }
    /// Adds `value` times two to the `shift` times the worth of the least limb.
    fn add(&self, value: u128, shift: i32, diff: i128, slots: &mut [i128]) {
        let shift = shift.max(0).unsigned_abs();
        let (mut limb, mut place) = ((shift / 64) as usize, shift % 64);
        let (mut rest, mut room) = (value, 64 - place);
        while rest != 0 {
            // The lowest limb takes what fits above the bits it begins with.
            let taken = rest & ((1u128 << room) - 1);
            add(&mut slots[self.place(limb)], ((taken << place) as i128).wrapping_mul(diff));
            rest >>= room;
            (limb, room, place) = (limb + 1, 64, 0);
        }
    }
    /// The limbs as one number, in the worth of the least.
    pub fn total(&self, slots: &[i128]) -> BigInt {
        let limb = |limb: usize| slots[self.place(limb)];
        let lowest = (0..self.count).find(|at| limb(*at) != 0).unwrap_or(self.count);
        let high_first = (lowest..self.count).rev().map(limb);
        let total = high_first.fold(BigInt::ZERO, |total, limb| (total << 64) + BigInt::from(limb));
        total << (64 * lowest)
    }
}

/// A float's magnitude as a mantissa times two to a power.
fn parts(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let mantissa = bits & ((1 << 52) - 1);
    match ((bits >> 52) & 0x7ff) as i32 {
        0 => (mantissa, -1074),
        raw => (mantissa | (1 << 52), raw - 1075),
    }
}

/// Slots: specials, limbs.
pub fn add_float(value: f64, diff: i128, slots: &mut [i128]) {
    if value.is_nan() {
        return add_special(0, diff, &mut slots[0]);
    }
    if value.is_infinite() {
        return add_special(if value > 0.0 { 1 } else { 2 }, diff, &mut slots[0]);
    }
    let (mantissa, exponent) = parts(value);
    let diff = if value < 0.0 { -diff } else { diff };
    FLOATS.add(u128::from(mantissa), exponent + FLOATS.scale, diff, &mut slots[1..]);
}

/// Slots: limbs of products. Both values must be finite.
pub fn add_product(a: f64, b: f64, diff: i128, slots: &mut [i128]) {
    let ((mantissa, exponent), (other, other_exponent)) = (parts(a), parts(b));
    let diff = if (a < 0.0) == (b < 0.0) { diff } else { -diff };
    let product = u128::from(mantissa) * u128::from(other);
    PRODUCTS.add(product, exponent + other_exponent + PRODUCTS.scale, diff, slots);
}

/// A sum; infinite beyond what floats hold.
pub fn sum_of(limbs: &[i128]) -> f64 {
    to_float(&FLOATS.total(limbs), -FLOATS.scale)
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
    let float = scaled(top as f64, exponent);
    if value.sign() == Sign::Minus { -float } else { float }
}

/// `value` times two to a power, which alone may be beyond floats.
fn scaled(value: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    value * 2f64.powi(half) * 2f64.powi(exponent - half)
}

/// The float nearest to `of / by`, times two to the `scale`.
pub fn ratio(of: &BigInt, by: &BigInt, scale: i32) -> f64 {
    // Enough bits that dropping those below decides no rounding but a tie's.
    let extra = (by.bits() + 128).saturating_sub(of.bits());
    let quotient = (of << extra) / by;
    to_float(&quotient, scale - i32::try_from(extra).unwrap_or(i32::MAX))
}

/// The square root of `of / by`, times two to the `scale`, which is even; of what may itself be beyond floats.
pub fn root_of_ratio(of: &BigInt, by: &BigInt, scale: i32) -> f64 {
    let bits = |number: &BigInt| i32::try_from(number.bits()).unwrap_or(i32::MAX);
    let even = (bits(of) - bits(by)) & !1;
    scaled(ratio(of, by, -even).sqrt(), (even + scale) / 2)
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
        assert_eq!(root_of_ratio(&big(8), &big(2), 2), 4.0);
        assert_eq!(root_of_ratio(&(big(1) << 4000), &big(1), -2000), 2f64.powi(1000));
    }

    proptest! {
        #[test]
        fn products_are_exact(a in -1e15f64..1e15, b in -1e-9f64..1e15) {
            let mut slots = [0; PRODUCTS.count];
            add_product(a, b, 1, &mut slots);
            prop_assert_eq!(to_float(&PRODUCTS.total(&slots), -PRODUCTS.scale), a * b);
            add_product(a, b, -1, &mut slots);
            prop_assert!(slots.iter().all(|slot| *slot == 0));
        }

        #[test]
        fn floats_come_back(value in any::<f64>()) {
            prop_assume!(value.is_finite());
            let mut slots = [0; 1 + FLOATS.count];
            add_float(value, 1, &mut slots);
            prop_assert_eq!(sum_of(&slots[1..]), value);
        }
    }
}
