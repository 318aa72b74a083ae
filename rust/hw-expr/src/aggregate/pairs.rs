//! Covariance, correlation and regression, of pairs `(y, x)` of which neither is NULL.
//!
//! The slots hold the exact count, sums, and sums of squares and products; each result rounds but once or twice.

use hw_types::arena::Arena;
use hw_types::datum::Datum;
use num_bigint::BigInt;

use super::accumulable::{add, clamp, special};
use super::floats::{FLOATS, PRODUCTS, add_float, add_product, ratio, to_float};

// Slots: the count, specials and sum of y, specials and sum of x, sums of yy, xx and xy.
const Y: usize = 1;
const X: usize = Y + 1 + FLOATS.count;
const YY: usize = X + 1 + FLOATS.count;
const XX: usize = YY + PRODUCTS.count;
const XY: usize = XX + PRODUCTS.count;
/// How many slots a statistic needs.
pub const SLOTS: usize = XY + PRODUCTS.count;

/// What is made of the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    Corr,
    CovarPop,
    CovarSamp,
    AvgX,
    AvgY,
    Count,
    Intercept,
    R2,
    Slope,
    Sxx,
    Sxy,
    Syy,
}

const NAMES: [(&str, Statistic); 12] = [
    ("corr", Statistic::Corr),
    ("covar_pop", Statistic::CovarPop),
    ("covar_samp", Statistic::CovarSamp),
    ("regr_avgx", Statistic::AvgX),
    ("regr_avgy", Statistic::AvgY),
    ("regr_count", Statistic::Count),
    ("regr_intercept", Statistic::Intercept),
    ("regr_r2", Statistic::R2),
    ("regr_slope", Statistic::Slope),
    ("regr_sxx", Statistic::Sxx),
    ("regr_sxy", Statistic::Sxy),
    ("regr_syy", Statistic::Syy),
];
const TYPES: &str = "_float8_float8";

/// The names of all kernels.
pub fn names() -> impl Iterator<Item = String> {
    NAMES.iter().map(|(name, _)| format!("{name}{TYPES}"))
}

/// Adds a record's contribution.
pub fn explode(datum: Datum<'_>, diff: i128, slots: &mut [i128]) {
    let Datum::Record(record) = datum else { return };
    let arena = Arena::new();
    let mut fields = record.items(&arena);
    let (Some(Datum::Float8(y)), Some(Datum::Float8(x))) = (fields.next(), fields.next()) else { return };
    add(&mut slots[0], diff);
    add_float(y, diff, &mut slots[Y..X]);
    add_float(x, diff, &mut slots[X..YY]);
    if x.is_finite() && y.is_finite() {
        add_product(y, y, diff, &mut slots[YY..XX]);
        add_product(x, x, diff, &mut slots[XX..XY]);
        add_product(x, y, diff, &mut slots[XY..SLOTS]);
    }
}

/// Whether most groups need the slot.
pub fn is_near(slot: usize) -> bool {
    let (from, near) = match slot {
        ..X => (Y + 1, FLOATS.near),
        X..YY => (X + 1, FLOATS.near),
        YY..XX => (YY, PRODUCTS.near),
        XX..XY => (XX, PRODUCTS.near),
        _ => (XY, PRODUCTS.near),
    };
    slot < from + near
}

/// Sums as whole numbers, in the worth of the least limb; spreads are n times too large.
struct Sums {
    count: BigInt,
    y: BigInt,
    x: BigInt,
    yy: BigInt,
    xx: BigInt,
    xy: BigInt,
}

impl Sums {
    fn new(slots: &[i128]) -> Self {
        let count = BigInt::from(slots[0]);
        let (y, x) = (FLOATS.total(&slots[Y + 1..X]), FLOATS.total(&slots[X + 1..YY]));
        let spread = |products: &[i128], a: &BigInt, b: &BigInt| &count * PRODUCTS.total(products) - a * b;
        let yy = spread(&slots[YY..XX], &y, &y);
        let xx = spread(&slots[XX..XY], &x, &x);
        let xy = spread(&slots[XY..SLOTS], &x, &y);
        Sums { y, x, yy, xx, xy, count }
    }
}

impl Statistic {
    /// The statistic of a kernel name.
    pub fn resolve(func: &str) -> Option<Statistic> {
        let word = func.strip_suffix(TYPES)?;
        NAMES.iter().find(|(name, _)| *name == word).map(|(_, statistic)| *statistic)
    }
    /// The result over a group's slots.
    pub fn finish(self, slots: &[i128]) -> Datum<'static> {
        let pairs = slots[0];
        if self == Statistic::Count {
            return Datum::Int(clamp(pairs));
        }
        if pairs == 0 || (self == Statistic::CovarSamp && pairs == 1) {
            return Datum::Null;
        }
        let alone = match self {
            Statistic::AvgX => Some(special(slots[X]).map(Datum::Float8)),
            Statistic::AvgY => Some(special(slots[Y]).map(Datum::Float8)),
            _ => None,
        };
        if let Some(Some(infinite)) = alone {
            return infinite;
        }
        if alone.is_none() && (special(slots[X]).is_some() || special(slots[Y]).is_some()) {
            return Datum::Float8(f64::NAN);
        }
        let Sums { count, y, x, yy, xx, xy } = Sums::new(slots);
        let product = |of: &BigInt, by: &BigInt| Datum::Float8(ratio(of, by, -PRODUCTS.scale));
        let nothing = BigInt::ZERO;
        match self {
            Statistic::Count => Datum::Null,
            Statistic::AvgX => Datum::Float8(ratio(&x, &count, -FLOATS.scale)),
            Statistic::AvgY => Datum::Float8(ratio(&y, &count, -FLOATS.scale)),
            Statistic::CovarPop => product(&xy, &(&count * &count)),
            Statistic::CovarSamp => product(&xy, &(&count * (&count - 1))),
            Statistic::Sxx => product(&xx, &count),
            Statistic::Sxy => product(&xy, &count),
            Statistic::Syy => product(&yy, &count),
            Statistic::Corr if xx == nothing || yy == nothing => Datum::Null,
            Statistic::Corr => {
                let spread = to_float(&(xx * yy), -2 * PRODUCTS.scale).sqrt();
                let correlation = to_float(&xy, -PRODUCTS.scale) / spread;
                // Rounding may leave a little more than everything.
                Datum::Float8(correlation.clamp(-1.0, 1.0))
            }
            Statistic::R2 | Statistic::Slope | Statistic::Intercept if xx == nothing => Datum::Null,
            Statistic::R2 if yy == nothing => Datum::Float8(1.0),
            Statistic::R2 => Datum::Float8(ratio(&(&xy * &xy), &(xx * yy), 0)),
            Statistic::Slope => Datum::Float8(ratio(&xy, &xx, 0)),
            Statistic::Intercept => Datum::Float8(ratio(&(y * &xx - x * xy), &(count * xx), -FLOATS.scale)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_types::datum::Record;
    use hw_types::{container, row};

    fn run(func: &str, pairs: &[(f64, f64)]) -> Datum<'static> {
        let mut slots = vec![0; SLOTS];
        for (y, x) in pairs {
            let mut body = row::pack([Datum::Float8(*y), Datum::Float8(*x)]);
            container::push_end(&mut body);
            explode(Datum::Record(Record(&body)), 1, &mut slots);
        }
        Statistic::resolve(&format!("{func}{TYPES}")).expect("known").finish(&slots)
    }

    #[test]
    fn statistics_agree_with_postgresql() {
        // SELECT corr(y, x), … FROM (VALUES (1, 1), (2, 3), (4, 4), (8, 5)) t(y, x)
        let pairs = [(1.0, 1.0), (2.0, 3.0), (4.0, 4.0), (8.0, 5.0)];
        for (func, want) in [
            ("covar_pop", 3.5625),
            ("covar_samp", 4.75),
            ("corr", 0.8984458631125747),
            ("regr_slope", 1.6285714285714286),
            ("regr_intercept", -1.5428571428571427),
            ("regr_r2", 0.8072049689440994),
            ("regr_avgx", 3.25),
            ("regr_avgy", 3.75),
            ("regr_sxx", 8.75),
            ("regr_sxy", 14.25),
            ("regr_syy", 28.75),
        ] {
            let Datum::Float8(got) = run(func, &pairs) else { panic!("{func} is no number") };
            assert!((got - want).abs() < 1e-12, "{func}: {got} {want}");
        }
        assert_eq!(run("regr_count", &pairs), Datum::Int(4));
        assert_eq!(run("corr", &pairs[..1]), Datum::Null);
        assert_eq!(run("covar_samp", &pairs[..1]), Datum::Null);
        assert_eq!(run("covar_pop", &pairs[..1]), Datum::Float8(0.0));
        assert_eq!(run("regr_count", &[]), Datum::Int(0));
    }

    #[test]
    fn far_from_zero_nothing_is_lost() {
        let pairs = [(1e9 + 1.0, 1e9 + 2.0), (1e9 + 2.0, 1e9 + 4.0), (1e9 + 3.0, 1e9 + 6.0)];
        assert_eq!(run("regr_slope", &pairs), Datum::Float8(0.5));
        assert_eq!(run("corr", &pairs), Datum::Float8(1.0));
        assert_eq!(run("covar_pop", &pairs), Datum::Float8(4.0 / 3.0));
    }
}
