//! Window functions, resolved; and what their aggregates hold of a set of rows.

use hw_expr::aggregate::{Accumulable, Aggregate, Basic, Hierarchical};
use hw_types::arena::Arena;
use hw_types::datum::Datum;
use hw_types::order::{ColumnOrder, column};
use hw_types::row;

use super::tree::{Entry, Measure};
use crate::expr::ScalarExpr;
use crate::plan::{FrameBoundKind, FrameExclusion, FrameUnits, WindowFrame, WindowFunction};
use crate::render::RenderError;

/// An argument: a column of the row, or an encoded literal.
#[derive(Clone, Debug)]
pub enum Arg {
    /// The column's number.
    Column(usize),
    /// Its datum.
    Literal(Vec<u8>),
}

impl Arg {
    fn new(expr: &ScalarExpr) -> Result<Self, RenderError> {
        match expr {
            ScalarExpr::Column { index } => Ok(Arg::Column(*index)),
            ScalarExpr::Literal { data, .. } => Ok(Arg::Literal(data.to_vec())),
            _ => Err(RenderError::Malformed("a window function's argument is computed".into())),
        }
    }
    /// Its encoded datum in `row`.
    pub fn of<'a>(&'a self, row: &'a [u8]) -> &'a [u8] {
        match self {
            Arg::Column(index) => column(row, *index),
            Arg::Literal(data) => data,
        }
    }
    /// Its value, where it is a whole number.
    pub fn int(&self, row: &[u8]) -> Option<i64> {
        let arena = Arena::new();
        match Datum::from_bytes(self.of(row), &arena) {
            Ok(Datum::Int(value)) => Some(value),
            Ok(Datum::UInt(value)) => i64::try_from(value).ok(),
            _ => None,
        }
    }
}

/// Which rows before and after `lag` and `lead` read.
#[derive(Clone, Debug)]
pub struct Shift {
    /// What is read there.
    pub value: Arg,
    /// How far away.
    pub distance: Arg,
    /// Where nothing is there.
    pub default: Arg,
    /// Whether to look at rows after the current one.
    pub forward: bool,
}

/// What is computed.
#[derive(Clone, Debug)]
pub enum Kind {
    /// The row's number.
    RowNumber,
    /// The number of the first of its peers.
    Rank,
    /// The number of its group of peers.
    DenseRank,
    /// The rank as a fraction of the other rows.
    PercentRank,
    /// The fraction of rows up to the last of its peers.
    CumeDist,
    /// Which of so many parts it is in.
    Ntile(Arg),
    /// `lag` and `lead`.
    Shift(Shift),
    /// The value of the frame's first row.
    First(Arg),
    /// The value of the frame's last row.
    Last(Arg),
    /// The value of the frame's row of that number.
    Nth(Arg, Arg),
    /// A sum; its slots begin there among those of all sums.
    Sum(Accumulable, Arg, usize),
    /// A minimum or maximum; its place among all of them.
    Extreme(Hierarchical, Arg, usize),
    /// Any other aggregate; with an order of its own, or in that of the rows.
    Basic(Basic, Arg, Vec<ColumnOrder>),
}

/// A window function, resolved.
#[derive(Clone, Debug)]
pub struct Function {
    /// What is computed.
    pub kind: Kind,
    /// Over which rows.
    pub frame: WindowFrame,
    /// Its place among those that pass over NULL.
    pub ignores: Option<usize>,
    /// Which rows an aggregate takes.
    pub filter: Option<usize>,
}

impl Function {
    /// Whether the frame of each row is its whole partition.
    pub fn is_whole(&self, ordered: bool) -> bool {
        use FrameBoundKind::{CurrentRow, UnboundedFollowing, UnboundedPreceding};
        if self.frame.exclusion != FrameExclusion::NoOthers {
            return false;
        }
        let all_peers = !ordered && self.frame.units != FrameUnits::Rows;
        let open = |kind, end| kind == end || (all_peers && kind == CurrentRow);
        open(self.frame.start.kind, UnboundedPreceding) && open(self.frame.end.kind, UnboundedFollowing)
    }
    /// Whether an aggregate takes the row.
    pub fn takes(&self, row: &[u8]) -> bool {
        self.filter.is_none_or(|filter| row_is_true(column(row, filter)))
    }
    /// The argument that NULLs of which are passed over.
    fn value(&self) -> Option<&Arg> {
        match &self.kind {
            Kind::Shift(Shift { value, .. }) | Kind::First(value) | Kind::Last(value) => Some(value),
            Kind::Nth(value, _) => Some(value),
            _ => None,
        }
    }
    /// Whether the function reads its argument from this row.
    pub fn counts(&self, row: &[u8]) -> bool {
        self.ignores.is_none() || self.value().is_some_and(|value| value.of(row) != row::NULL_BYTES)
    }
}

/// The functions of one operator.
#[derive(Clone, Debug)]
pub struct Functions {
    /// One a column.
    pub list: Vec<Function>,
    /// The order's columns.
    pub order: Vec<ColumnOrder>,
    slots: usize,
    extremes: usize,
    ignoring: usize,
}

impl Functions {
    /// Resolves functions.
    pub fn new(functions: &[WindowFunction], order: &[ColumnOrder]) -> Result<Self, RenderError> {
        let mut all = Functions { list: vec![], order: order.to_vec(), slots: 0, extremes: 0, ignoring: 0 };
        for function in functions {
            let frame = &function.frame;
            let by_distance = frame.units == FrameUnits::Range
                && (frame.start.column.is_some() || frame.end.column.is_some());
            if by_distance && order.len() != 1 {
                return Err(RenderError::Malformed("a frame by distance without one order column".into()));
            }
            let ignores = function.ignore_nulls.then(|| {
                all.ignoring += 1;
                all.ignoring - 1
            });
            let kind = all.kind(function)?;
            let frame = function.frame.clone();
            all.list.push(Function { kind, frame, ignores, filter: function.filter });
        }
        Ok(all)
    }
    fn kind(&mut self, function: &WindowFunction) -> Result<Kind, RenderError> {
        let name = &function.func;
        let arg = |index: usize| {
            let missing = || RenderError::Malformed(format!("{name} lacks arguments"));
            function.args.get(index).ok_or_else(missing).and_then(Arg::new)
        };
        let or = |index: usize, otherwise: Datum<'_>| match function.args.get(index) {
            Some(expr) => Arg::new(expr),
            None => Ok(Arg::Literal(otherwise.to_bytes())),
        };
        Ok(match name.as_str() {
            "row_number" => Kind::RowNumber,
            "rank" => Kind::Rank,
            "dense_rank" => Kind::DenseRank,
            "percent_rank" => Kind::PercentRank,
            "cume_dist" => Kind::CumeDist,
            "ntile" => Kind::Ntile(arg(0)?),
            "lag" | "lead" => Kind::Shift(Shift {
                value: arg(0)?,
                distance: or(1, Datum::Int(1))?,
                default: or(2, Datum::Null)?,
                forward: name == "lead",
            }),
            "first_value" => Kind::First(arg(0)?),
            "last_value" => Kind::Last(arg(0)?),
            "nth_value" => Kind::Nth(arg(0)?, arg(1)?),
            _ => match Aggregate::resolve(name) {
                Some(Aggregate::Accumulable(sum)) => {
                    self.slots += sum.slots();
                    Kind::Sum(sum, arg(0)?, self.slots - sum.slots())
                }
                Some(Aggregate::Hierarchical(extreme)) => {
                    self.extremes += 1;
                    Kind::Extreme(extreme, arg(0)?, self.extremes - 1)
                }
                Some(Aggregate::Basic(basic)) => Kind::Basic(basic, arg(0)?, function.order_by.clone()),
                None => {
                    return Err(RenderError::Malformed(format!("\"{name}\" is no window function")));
                }
            },
        })
    }
}

/// Adds a row's contribution to the slots of a sum, or takes it away.
pub fn explode(sum: Accumulable, arg: &Arg, row: &[u8], diff: i64, slots: &mut [i128]) {
    let arena = Arena::new();
    if let Ok(datum) = Datum::from_bytes(arg.of(row), &arena) {
        sum.explode(datum, diff, slots);
    }
}

/// What a set of rows comes to, for functions that can tell from it.
#[derive(Debug, Default)]
pub struct Summary {
    /// The slots of all sums; none stands for zeros.
    pub slots: Vec<i128>,
    /// The best value of each minimum and maximum; none stands for NULLs.
    pub extremes: Vec<Box<[u8]>>,
    /// Rows that count, for each function that passes over NULL.
    pub counting: Vec<usize>,
}

impl Summary {
    /// The best value of extreme `place`.
    pub fn extreme(&self, place: usize) -> &[u8] {
        self.extremes.get(place).map_or(row::NULL_BYTES, |value| value)
    }
    /// How many rows count for the function at `place` among those that pass over NULL.
    pub fn counting(&self, place: usize) -> usize {
        self.counting.get(place).copied().unwrap_or(0)
    }
    fn reserve(&mut self, functions: &Functions) {
        self.slots.resize(functions.slots, 0);
        self.extremes.resize(functions.extremes, row::NULL_BYTES.into());
        self.counting.resize(functions.ignoring, 0);
    }
}

impl Measure for Functions {
    type Summary = Summary;
    fn add(&self, summary: &mut Summary, entry: &Entry) {
        let row = entry.row();
        summary.reserve(self);
        for function in &self.list {
            match &function.kind {
                Kind::Sum(sum, arg, at) if function.takes(row) => {
                    explode(*sum, arg, row, 1, &mut summary.slots[*at..*at + sum.slots()]);
                }
                Kind::Extreme(extreme, arg, place) if function.takes(row) => {
                    let value = arg.of(row);
                    if extreme.prefers(value, &summary.extremes[*place]) {
                        summary.extremes[*place] = value.into();
                    }
                }
                _ => {}
            }
            if let Some(place) = function.ignores {
                summary.counting[place] += usize::from(function.counts(row));
            }
        }
    }
    fn subtract(&self, summary: &mut Summary, entry: &Entry) -> bool {
        let row = entry.row();
        summary.reserve(self);
        let mut told = true;
        for function in &self.list {
            match &function.kind {
                Kind::Sum(sum, arg, at) if function.takes(row) => {
                    explode(*sum, arg, row, -1, &mut summary.slots[*at..*at + sum.slots()]);
                }
                Kind::Extreme(_, arg, place) if function.takes(row) => {
                    let value = arg.of(row);
                    told &= value == row::NULL_BYTES || value != &*summary.extremes[*place];
                }
                _ => {}
            }
            if let Some(place) = function.ignores {
                summary.counting[place] -= usize::from(function.counts(row));
            }
        }
        told
    }
    fn merge(&self, summary: &mut Summary, other: &Summary) {
        summary.reserve(self);
        for (slot, more) in summary.slots.iter_mut().zip(&other.slots) {
            *slot = slot.wrapping_add(*more);
        }
        for function in &self.list {
            if let Kind::Extreme(extreme, _, place) = &function.kind
                && extreme.prefers(other.extreme(*place), &summary.extremes[*place])
            {
                summary.extremes[*place] = other.extreme(*place).into();
            }
        }
        for (count, more) in summary.counting.iter_mut().zip(&other.counting) {
            *count += more;
        }
    }
}

/// The datums that a basic aggregate takes from a row.
pub fn basic_value<'a>(function: &'a Function, arg: &'a Arg, row: &'a [u8]) -> Option<&'a [u8]> {
    function.takes(row).then(|| arg.of(row))
}

fn row_is_true(datum: &[u8]) -> bool {
    let arena = Arena::new();
    matches!(Datum::from_bytes(datum, &arena), Ok(Datum::True))
}
