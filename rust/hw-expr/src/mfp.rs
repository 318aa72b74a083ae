//! Map, filter, project, fused; and the times between which a row holds.

use crate::error::EvalError;
use crate::scalar::{Expr, PlanError, ScalarExpr};
use hw_types::arena::Arena;
use hw_types::datum::Datum;
use hw_types::row;
use serde::{Deserialize, Serialize};

/// A condition, evaluated as soon as the first `support` columns are there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predicate {
    /// How many columns it needs.
    pub support: usize,
    /// What must be true.
    pub expr: ScalarExpr,
}

/// The plan, field by field as in `headwater.ir.physical`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mfp {
    /// The input's columns.
    pub input_arity: usize,
    /// Columns made, each over those before it.
    #[serde(default)]
    pub expressions: Vec<ScalarExpr>,
    /// Conditions, sorted by support.
    #[serde(default)]
    pub predicates: Vec<Predicate>,
    /// The output's columns.
    #[serde(default)]
    pub projection: Vec<usize>,
    /// The row holds from the greatest of these on.
    #[serde(default)]
    pub lower_bounds: Vec<ScalarExpr>,
    /// The row holds up to, and without, the least of these.
    #[serde(default)]
    pub upper_bounds: Vec<ScalarExpr>,
}

/// When a row holds: from `lower`, up to and without `upper`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first time.
    pub lower: u64,
    /// The first time no more; `None` where it holds for ever.
    pub upper: Option<u64>,
}

/// A compiled plan.
#[derive(Debug)]
pub struct MfpPlan {
    input_arity: usize,
    steps: Vec<Step>,
    projection: Vec<usize>,
    lower_bounds: Vec<Expr>,
    upper_bounds: Vec<Expr>,
    identity: bool,
    /// How many of the input's columns anything reads.
    demand: usize,
}

#[derive(Debug)]
enum Step {
    Map(Expr),
    Filter(Expr),
}

impl Mfp {
    /// The plan that changes nothing.
    pub fn identity(arity: usize) -> Mfp {
        Mfp {
            input_arity: arity,
            expressions: Vec::new(),
            predicates: Vec::new(),
            projection: (0..arity).collect(),
            lower_bounds: Vec::new(),
            upper_bounds: Vec::new(),
        }
    }
    /// Whether rows pass unchanged.
    pub fn is_identity(&self) -> bool {
        self.expressions.is_empty()
            && self.predicates.is_empty()
            && self.lower_bounds.is_empty()
            && self.upper_bounds.is_empty()
            && self.projection.len() == self.input_arity
            && self.projection.iter().enumerate().all(|(i, column)| i == *column)
    }
    /// Whether rows come and go with time alone.
    pub fn is_temporal(&self) -> bool {
        !self.lower_bounds.is_empty() || !self.upper_bounds.is_empty()
    }
    /// The number of columns of the output.
    pub fn output_arity(&self) -> usize {
        self.projection.len()
    }
    /// Resolves kernels and interleaves maps and filters.
    pub fn compile(&self) -> Result<MfpPlan, PlanError> {
        let mut steps = Vec::with_capacity(self.expressions.len() + self.predicates.len());
        let mut predicates = self.predicates.iter().peekable();
        for have in self.input_arity..=self.input_arity + self.expressions.len() {
            while let Some(predicate) = predicates.next_if(|p| p.support <= have) {
                steps.push(Step::Filter(predicate.expr.compile()?));
            }
            if let Some(expr) = self.expressions.get(have - self.input_arity) {
                steps.push(Step::Map(expr.compile()?));
            }
        }
        for predicate in predicates {
            steps.push(Step::Filter(predicate.expr.compile()?));
        }
        let compile = |bounds: &[ScalarExpr]| {
            bounds.iter().map(ScalarExpr::compile).collect::<Result<Vec<Expr>, PlanError>>()
        };
        Ok(MfpPlan {
            input_arity: self.input_arity,
            steps,
            projection: self.projection.clone(),
            lower_bounds: compile(&self.lower_bounds)?,
            upper_bounds: compile(&self.upper_bounds)?,
            identity: self.is_identity(),
            demand: self.demand(),
        })
    }
    fn demand(&self) -> usize {
        let mut demand = 0;
        let mut see = |index: usize| {
            if index < self.input_arity {
                demand = demand.max(index + 1);
            }
        };
        self.projection.iter().copied().for_each(&mut see);
        let bounds = self.lower_bounds.iter().chain(&self.upper_bounds);
        let predicates = self.predicates.iter().map(|predicate| &predicate.expr);
        self.expressions.iter().chain(predicates).chain(bounds).for_each(|expr| expr.columns(&mut see));
        // Columns that are made follow the input's, all of which must then be there.
        if self.expressions.is_empty() { demand } else { self.input_arity }
    }
}

impl MfpPlan {
    /// Whether rows pass unchanged.
    pub fn is_identity(&self) -> bool {
        self.identity
    }
    /// Whether rows come and go with time alone.
    pub fn is_temporal(&self) -> bool {
        !self.lower_bounds.is_empty() || !self.upper_bounds.is_empty()
    }
    /// The number of columns of the input.
    pub fn input_arity(&self) -> usize {
        self.input_arity
    }
    /// The number of columns of the output.
    pub fn output_arity(&self) -> usize {
        self.projection.len()
    }
    /// Evaluates over decoded columns, to which it appends those it makes; appends the output's row
    /// to `out` and returns true where the row passes. Temporal bounds are not looked at.
    pub fn evaluate<'a>(
        &'a self,
        columns: &mut Vec<Datum<'a>>,
        arena: &'a Arena,
        out: &mut Vec<u8>,
    ) -> Result<bool, EvalError> {
        if !self.map_and_filter(columns, arena)? {
            return Ok(false);
        }
        self.projection.iter().for_each(|column| row::push_datum(out, columns[*column]));
        Ok(true)
    }
    /// As [`MfpPlan::evaluate`], and says when the row holds; `None` where it never does.
    pub fn evaluate_temporal<'a>(
        &'a self,
        columns: &mut Vec<Datum<'a>>,
        arena: &'a Arena,
        out: &mut Vec<u8>,
    ) -> Result<Option<Validity>, EvalError> {
        if !self.map_and_filter(columns, arena)? {
            return Ok(None);
        }
        let Some(validity) = self.validity(columns, arena)? else { return Ok(None) };
        self.projection.iter().for_each(|column| row::push_datum(out, columns[*column]));
        Ok(Some(validity))
    }
    /// As [`MfpPlan::evaluate`], over an encoded row. `scratch` keeps its allocation between rows.
    pub fn evaluate_row(
        &self,
        row: &[u8],
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<bool, EvalError> {
        if self.identity {
            out.extend_from_slice(row);
            return Ok(true);
        }
        let mut columns = scratch.take();
        columns.extend(row::RowReader::new(row, &scratch.arena).take(self.demand));
        let passes = self.evaluate(&mut columns, &scratch.arena, out);
        scratch.put(emptied(columns));
        passes
    }
    /// As [`MfpPlan::evaluate_temporal`], over an encoded row.
    pub fn evaluate_row_temporal(
        &self,
        row: &[u8],
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<Option<Validity>, EvalError> {
        let mut columns = scratch.take();
        columns.extend(row::RowReader::new(row, &scratch.arena).take(self.demand));
        let validity = self.evaluate_temporal(&mut columns, &scratch.arena, out);
        scratch.put(emptied(columns));
        validity
    }
    fn map_and_filter<'a>(
        &'a self,
        columns: &mut Vec<Datum<'a>>,
        arena: &'a Arena,
    ) -> Result<bool, EvalError> {
        for step in &self.steps {
            match step {
                Step::Map(expr) => {
                    let value = expr.eval(columns, arena)?;
                    columns.push(value);
                }
                Step::Filter(expr) => {
                    if !matches!(expr.eval(columns, arena)?, Datum::True) {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }
    fn validity<'a>(
        &'a self,
        columns: &[Datum<'a>],
        arena: &'a Arena,
    ) -> Result<Option<Validity>, EvalError> {
        let (mut lower, mut upper) = (0, None);
        for bound in &self.lower_bounds {
            match moment(bound.eval(columns, arena)?)? {
                Some(time) => lower = lower.max(time),
                None => return Ok(None),
            }
        }
        for bound in &self.upper_bounds {
            match moment(bound.eval(columns, arena)?)? {
                Some(time) => upper = Some(upper.map_or(time, |least: u64| least.min(time))),
                None => return Ok(None),
            }
        }
        Ok((upper.is_none_or(|upper| lower < upper)).then_some(Validity { lower, upper }))
    }
}

fn moment(datum: Datum<'_>) -> Result<Option<u64>, EvalError> {
    match datum {
        Datum::Null => Ok(None),
        Datum::Int(time) => Ok(Some(time.max(0) as u64)),
        Datum::UInt(time) => Ok(Some(time)),
        _ => Err(EvalError::internal("a temporal bound is not a time")),
    }
}

/// What evaluating row after row needs, kept to be used again.
#[derive(Default)]
pub struct Scratch {
    arena: Arena,
    columns: Vec<Datum<'static>>,
}

impl Scratch {
    /// Nothing allocated yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// An empty vector of datums, which [`Scratch::put`] takes back.
    pub fn take(&mut self) -> Vec<Datum<'static>> {
        std::mem::take(&mut self.columns)
    }
    /// Where datums of this row live.
    pub fn arena(&self) -> &Arena {
        &self.arena
    }
    /// Takes the vector back, emptied by [`emptied`], and forgets what is in the arena.
    pub fn put(&mut self, columns: Vec<Datum<'static>>) {
        self.columns = columns;
        self.arena.reset();
    }
}

/// An empty vector with the allocation of `from`: collecting in place keeps it.
pub fn emptied(mut from: Vec<Datum<'_>>) -> Vec<Datum<'static>> {
    from.clear();
    from.into_iter().map(|_| Datum::Null).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_types::scalar::{BaseType, ColumnType};

    fn ty(base: BaseType) -> ColumnType {
        ColumnType { ty: base.into(), nullable: true }
    }
    fn column(index: usize) -> ScalarExpr {
        ScalarExpr::Column { index }
    }
    fn int(value: i64) -> ScalarExpr {
        ScalarExpr::Literal { data: Datum::Int(value).to_bytes(), ty: ty(BaseType::Int4) }
    }
    fn call(func: &str, args: Vec<ScalarExpr>) -> ScalarExpr {
        ScalarExpr::Call { func: func.into(), args, ty: ty(BaseType::Int4) }
    }

    fn sample() -> Mfp {
        Mfp {
            input_arity: 3,
            expressions: vec![call("add_int4_int4", vec![column(0), column(1)])],
            predicates: vec![
                Predicate { support: 1, expr: call("gt", vec![column(0), int(1)]) },
                Predicate { support: 4, expr: call("lt", vec![column(3), int(100)]) },
            ],
            projection: vec![3, 2],
            lower_bounds: vec![],
            upper_bounds: vec![],
        }
    }

    #[test]
    fn rows_are_mapped_filtered_and_projected() {
        let plan = sample().compile().expect("known kernels");
        let mut scratch = Scratch::new();
        let mut run = |a, b| {
            let mut out = Vec::new();
            let row = row::pack([a, b, Datum::Text("x")]);
            plan.evaluate_row(&row, &mut scratch, &mut out).map(|passes| passes.then_some(out))
        };
        assert_eq!(run(Datum::Int(2), Datum::Int(3)), Ok(Some(row::pack([Datum::Int(5), Datum::Text("x")]))));
        assert_eq!(run(Datum::Int(1), Datum::Int(3)), Ok(None));
        assert_eq!(run(Datum::Int(2), Datum::Int(98)), Ok(None));
        assert_eq!(run(Datum::Int(2), Datum::Null), Ok(None));
        let overflow = run(Datum::Int(2), Datum::Int(i32::MAX.into()));
        assert_eq!(overflow, Err(EvalError::FieldOverflow));
    }

    #[test]
    fn temporal_bounds_meet() {
        let mfp =
            Mfp { lower_bounds: vec![column(0)], upper_bounds: vec![column(1), int(50)], ..Mfp::identity(2) };
        let plan = mfp.compile().expect("columns only");
        let mut scratch = Scratch::new();
        let mut run = |a, b| {
            let mut out = Vec::new();
            plan.evaluate_row_temporal(&row::pack([a, b]), &mut scratch, &mut out).expect("times")
        };
        assert_eq!(run(Datum::Int(5), Datum::Int(9)), Some(Validity { lower: 5, upper: Some(9) }));
        assert_eq!(run(Datum::Int(5), Datum::Int(90)), Some(Validity { lower: 5, upper: Some(50) }));
        assert_eq!(run(Datum::Int(9), Datum::Int(9)), None);
        assert_eq!(run(Datum::Null, Datum::Int(9)), None);
    }

    #[test]
    fn and_or_hide_errors_only_where_decided() {
        let fails = || call("eq", vec![call("div_int4_int4", vec![int(1), column(0)]), int(1)]);
        let check = |func: &str, other: Datum<'static>| {
            let literal = ScalarExpr::Literal { data: other.to_bytes(), ty: ty(BaseType::Bool) };
            let expr = call(func, vec![fails(), literal]).compile().expect("known");
            let arena = Arena::new();
            expr.eval(&[Datum::Int(0)], &arena).map(|datum| datum.to_bytes())
        };
        assert_eq!(check("and", Datum::False), Ok(Datum::False.to_bytes()));
        assert_eq!(check("and", Datum::Null), Err(EvalError::DivisionByZero));
        assert_eq!(check("or", Datum::True), Ok(Datum::True.to_bytes()));
        assert_eq!(check("or", Datum::False), Err(EvalError::DivisionByZero));
    }
}
