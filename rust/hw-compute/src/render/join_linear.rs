//! Binary joins one after the other, each intermediate result arranged.

use super::bundle::{Arrangement, Bundle, Mapper, arrange_rows};
use super::join::JoinLogic;
use super::thinning::Restorer;
use super::{Context, RenderError, RenderTime};
use crate::container::{RowStream, Time};
use crate::expr::mfp_can_fail;
use crate::plan::{ArrangementKey, JoinPath, JoinStage};

/// The result so far: rows, or the arrangement of an input that nothing has been done to.
enum SoFar<'s, T: RenderTime> {
    Rows(RowStream<'s, T>),
    Arranged(Arrangement<'s, T>),
}

/// See [`Plan::LinearJoin`](crate::plan::Plan::LinearJoin).
pub fn render<'s, T: RenderTime>(
    context: &mut Context<'s, T>,
    inputs: &[Bundle<'s, T>],
    path: &JoinPath,
) -> Result<Bundle<'s, T>, RenderError> {
    let mut errs: Vec<_> = inputs.iter().flat_map(|input| input.errs.clone()).collect();
    let source = input(inputs, path.source)?;
    let whole = path
        .stages
        .first()
        .filter(|stage| path.initial.is_identity() && path.source_key.as_ref() == Some(&stage.stream_key));
    let mut so_far = match whole.and_then(|stage| source.arrangement(&stage.stream_key)) {
        Some(arrangement) => SoFar::Arranged(arrangement),
        None => {
            let only_rows = Bundle { errs: vec![], ..source.clone() };
            let key = path.source_key.as_deref();
            let mapped = only_rows.map("JoinSource", &path.initial, key, None, context.times())?;
            errs.extend(mapped.errs.clone());
            SoFar::Rows(mapped.stream("JoinSource", context.times())?)
        }
    };
    let mut arity = if path.stages.is_empty() { path.initial.output_arity() } else { path.source_arity };
    for (step, stage) in path.stages.iter().enumerate() {
        let arranged = match so_far {
            SoFar::Arranged(arrangement) => arrangement,
            SoFar::Rows(rows) => {
                arity = if step == 0 { path.initial.output_arity() } else { arity };
                let (arranged, failed) = arrange_rows(rows, "ArrangeJoin", &stage.stream_key, arity)?;
                errs.extend(failed);
                Arrangement::Here(arranged)
            }
        };
        let lookup = input(inputs, stage.lookup)?;
        let missing = || RenderError::NoArrangement(format!("join with input {}", stage.lookup));
        let other = lookup.arrangement(&stage.lookup_key).ok_or_else(missing)?;
        let logic = joined(&stage.stream_key, arity, stage, context.times())?;
        let (rows, failed) = arranged.join(other, "Join", mfp_can_fail(&stage.closure), logic);
        errs.extend(failed);
        arity = stage.closure.output_arity();
        so_far = SoFar::Rows(rows);
    }
    match so_far {
        SoFar::Rows(rows) => Ok(Bundle::of_rows(arity, rows, errs)),
        SoFar::Arranged(_) => Err(RenderError::Malformed("a join without stages".into())),
    }
}

/// An input by number.
pub fn input<'a, 's, T: Time + timely::progress::timestamp::Refines<u64>>(
    inputs: &'a [Bundle<'s, T>],
    index: usize,
) -> Result<&'a Bundle<'s, T>, RenderError> {
    inputs.get(index).ok_or_else(|| RenderError::Malformed(format!("a join has no input {index}")))
}

/// Puts both rows together and applies the stage's closure.
pub fn joined<T: Time>(
    stream_key: &ArrangementKey,
    arity: usize,
    stage: &JoinStage,
    times: (u64, Option<u64>),
) -> Result<JoinLogic<T>, RenderError> {
    if stage.closure.input_arity != arity + stage.lookup_arity {
        let (got, want) = (stage.closure.input_arity, arity + stage.lookup_arity);
        return Err(RenderError::Malformed(format!(
            "a join's closure takes {got} columns where there are {want}"
        )));
    }
    let mut left = Restorer::new(stream_key, arity);
    let mut right = Restorer::new(&stage.lookup_key, stage.lookup_arity);
    let mut mapper = Mapper::new(&stage.closure, times.0, times.1)?;
    let mut row = vec![];
    Ok(Box::new(move |key, val, other, time, diff, out| {
        row.clear();
        left.restore(key, val, &mut row);
        right.restore(key, other, &mut row);
        mapper.map(&row, &time, diff, out);
    }))
}
