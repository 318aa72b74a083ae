//! Aggregates, in the three ways that dataflows maintain them.
//!
//! * [`Accumulable`]: sums of fixed-width integers. A value's contribution, times its diff, is added
//!   to `i128` slots (wrapping: what overflows on the way is right once it comes back), so that a
//!   retraction undoes an insertion exactly, for floats too.
//! * [`Hierarchical`]: `min` and `max`, of any type, by encoded bytes.
//! * [`Basic`]: recomputed from the whole group.
//!
//! A group exists as long as it has rows: that count is the dataflow's, not an aggregate's.

mod accumulable;
mod basic;
mod floats;
mod ordered_set;
mod pairs;

pub use accumulable::Accumulable;
pub use basic::Basic;

use hw_types::row;

/// An aggregate, resolved by its kernel name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// Sums.
    Accumulable(Accumulable),
    /// Extremes.
    Hierarchical(Hierarchical),
    /// Everything else.
    Basic(Basic),
}

impl Aggregate {
    /// The aggregate of a kernel name.
    pub fn resolve(func: &str) -> Option<Aggregate> {
        Accumulable::resolve(func)
            .map(Aggregate::Accumulable)
            .or_else(|| Hierarchical::resolve(func).map(Aggregate::Hierarchical))
            .or_else(|| Basic::resolve(func).map(Aggregate::Basic))
    }
}

/// The least or the greatest value that is not NULL, in the order of encoded bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hierarchical {
    /// The least.
    Min,
    /// The greatest.
    Max,
}

impl Hierarchical {
    /// The aggregate of a kernel name.
    pub fn resolve(func: &str) -> Option<Hierarchical> {
        match func {
            "min" => Some(Hierarchical::Min),
            "max" => Some(Hierarchical::Max),
            _ => None,
        }
    }
    /// Whether `a` is to be preferred to `b`, both encoded datums; NULL never is.
    pub fn prefers(self, a: &[u8], b: &[u8]) -> bool {
        let null = row::NULL_BYTES;
        match (a == null, b == null) {
            (true, _) => false,
            (false, true) => true,
            (false, false) => match self {
                Hierarchical::Min => a < b,
                Hierarchical::Max => a > b,
            },
        }
    }
    /// The result over encoded datums: one of them, or NULL.
    pub fn reduce<'a>(self, values: impl IntoIterator<Item = &'a [u8]>) -> &'a [u8] {
        let mut best = row::NULL_BYTES;
        for value in values {
            if self.prefers(value, best) {
                best = value;
            }
        }
        best
    }
}

/// The names of all aggregates' kernels.
pub fn names() -> impl Iterator<Item = String> {
    let extremes = ["min", "max"].map(str::to_owned);
    accumulable::names().chain(extremes).chain(basic::names())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_types::datum::Datum;

    #[test]
    fn extremes_pass_over_null() {
        let values: Vec<Vec<u8>> =
            [Datum::Null, Datum::Int(-5), Datum::Int(300)].iter().map(Datum::to_bytes).collect();
        let of = |how: Hierarchical| how.reduce(values.iter().map(Vec::as_slice)).to_vec();
        assert_eq!(of(Hierarchical::Min), values[1]);
        assert_eq!(of(Hierarchical::Max), values[2]);
        assert_eq!(Hierarchical::Max.reduce([]), row::NULL_BYTES);
    }
}
