//! Constants, unions, negation, threshold.

use serde_bytes::ByteBuf;

use super::bundle::{Arrangement, Bundle, concatenate};
use super::complete::consolidate;
use super::operators::{constant as constant_stream, flat_map as flat_map_rows, reduce};
use super::{Context, RenderError, RenderTime, all_columns};
use crate::arrangement::arrange;
use crate::expr::{ErrorFields, error_row};

/// Look-ups in the order of the keys, each once.
pub fn sorted(lookups: Option<&[ByteBuf]>) -> Option<Vec<Vec<u8>>> {
    let mut lookups: Vec<Vec<u8>> = lookups?.iter().map(|key| key.to_vec()).collect();
    lookups.sort_unstable();
    lookups.dedup();
    Some(lookups)
}

/// See [`Plan::Constant`](crate::plan::Plan::Constant).
pub fn constant<'s, T: RenderTime>(
    context: &Context<'s, T>,
    rows: &[(ByteBuf, i64)],
    arity: usize,
    error: Option<&ErrorFields>,
) -> Bundle<'s, T> {
    let oks = if error.is_some() { &[] } else { rows };
    let oks = oks.iter().map(|(row, diff)| (row.to_vec(), *diff)).collect();
    let oks = constant_stream(context.scope, oks, context.as_of);
    let errs = error.map(|error| constant_stream(context.scope, vec![(error_row(error), 1)], context.as_of));
    Bundle::of_rows(arity, oks, errs.into_iter().collect())
}

/// See [`Plan::Negate`](crate::plan::Plan::Negate). Errors are not negated: an error on either side of a difference is an error of it.
pub fn negate<'s, T: RenderTime>(
    context: &Context<'s, T>,
    input: &Bundle<'s, T>,
) -> Result<Bundle<'s, T>, RenderError> {
    let rows = input.stream("Negate", context.times())?;
    let logic = Box::new(|row: &[u8], _: &[u8], time: &T, diff: i64, out: &mut super::operators::Out<T>| {
        out.oks.push(row, &[], time.clone(), -diff);
    });
    let negated = flat_map_rows(rows, "Negate", logic);
    Ok(Bundle::of_rows(input.arity, negated.oks, input.errs.clone()))
}

/// See [`Plan::Union`](crate::plan::Plan::Union).
pub fn union<'s, T: RenderTime>(
    context: &Context<'s, T>,
    inputs: &[Bundle<'s, T>],
    consolidated: bool,
) -> Result<Bundle<'s, T>, RenderError> {
    let rows: Result<Vec<_>, _> = inputs.iter().map(|input| input.stream("Union", context.times())).collect();
    let errs = inputs.iter().flat_map(|input| input.errs.clone()).collect();
    let mut rows = concatenate(context.scope, rows?);
    if consolidated {
        rows = consolidate(rows, "Union");
    }
    Ok(Bundle::of_rows(inputs.first().map_or(0, |input| input.arity), rows, errs))
}

/// See [`Plan::Threshold`](crate::plan::Plan::Threshold). Negative multiplicities are what it is there to drop, and no error.
pub fn threshold<'s, T: RenderTime>(
    context: &Context<'s, T>,
    input: &Bundle<'s, T>,
    arity: usize,
) -> Result<Bundle<'s, T>, RenderError> {
    let rows = input.stream("Threshold", context.times())?;
    let arranged = arrange(rows, "ArrangeThreshold");
    let positive = reduce(
        arranged,
        "Threshold",
        Box::new(|_, vals, out| {
            let count: i64 = vals.iter().map(|(_, diff)| *diff).sum();
            if count > 0 {
                out.push((vec![], count));
            }
        }),
    );
    let arrangements = vec![(all_columns(arity), Arrangement::Here(positive))];
    Ok(Bundle { arity, rows: None, errs: input.errs.clone(), arrangements })
}
