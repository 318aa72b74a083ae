//! Aggregates over all values of a group.

use hw_expr::aggregate::{Aggregate, Basic};

use super::{Compute, Part, Shape, at, keyed, negative, reduce_pair, resolve};
use crate::arrangement::arrange;
use crate::container::{RowStream, Time};
use crate::plan::AggregateExpr;
use crate::render::RenderError;

/// Computes one aggregate.
pub fn render<'s, T: Time>(
    rows: RowStream<'s, T>,
    shape: &Shape<'_>,
    index: usize,
    errs: &mut Vec<RowStream<'s, T>>,
) -> Result<Part<'s, T>, RenderError> {
    let aggregate = at(shape, index)?;
    let basic = resolve(aggregate, |aggregate| match aggregate {
        Aggregate::Basic(basic) => Some(basic),
        _ => None,
    })?;
    let rows = keyed(rows, "BasicKey", shape, std::slice::from_ref(&aggregate.expr), errs)?;
    let make = || finish(basic, aggregate.clone());
    let (arranged, failed) = reduce_pair(arrange(rows, "ArrangeBasic"), "Basic", &make);
    errs.push(failed);
    Ok(Part { aggregates: vec![index], arranged })
}

fn finish(basic: Basic, aggregate: AggregateExpr) -> Compute<i64> {
    Box::new(move |_, vals, out| {
        if vals.iter().any(|(_, diff)| *diff < 0) {
            return Err(negative("retractions of a value that does not exist"));
        }
        let times = |diff: i64| if aggregate.distinct { 1 } else { diff.unsigned_abs() };
        let values = vals.iter().map(|(val, diff)| (*val, times(*diff)));
        let mut row = vec![];
        basic.finish(values, &aggregate.order_by, &mut row)?;
        out.push((row, 1));
        Ok(())
    })
}
