//! Table functions: each input row followed by each of the function's rows.

use hw_expr::table::TableFunc;
use hw_types::row;

use super::bundle::{Bundle, Mapper, restored};
use super::operators::{Out, flat_map};
use super::{Context, RenderError, RenderTime};
use crate::container::Time;
use crate::expr::{EvalError, Expr, Mfp, ScalarExpr, Scratch, emptied};

/// A call of a table function.
pub struct Call<'a> {
    /// Its kernel name.
    pub func: &'a str,
    /// Its arguments, over the input's row.
    pub exprs: &'a [ScalarExpr],
    /// How many columns it makes.
    pub columns: usize,
}

/// A compiled call, and what is done with its rows.
struct Caller {
    func: TableFunc,
    args: Vec<Expr>,
    columns: usize,
    mapper: Mapper,
    scratch: Scratch,
    row: Vec<u8>,
}

impl Caller {
    fn call<T: Time>(&mut self, full: &[u8], time: &T, diff: i64, out: &mut Out<T>) {
        let Caller { func, args, columns, mapper, scratch, row: buffer } = self;
        let mut input = scratch.take();
        row::unpack(full, scratch.arena(), &mut input);
        let result = args.iter().map(|arg| arg.eval(&input, scratch.arena())).collect::<Result<Vec<_>, _>>();
        let result = result.and_then(|args| {
            func.eval(&args, scratch.arena(), &mut |made, count| {
                if made.len() != *columns {
                    return Err(EvalError::internal("a table function made other columns than planned"));
                }
                buffer.clear();
                buffer.extend_from_slice(full);
                made.iter().for_each(|datum| row::push_datum(buffer, *datum));
                mapper.map(buffer, time, diff * count, out);
                out.spill();
                Ok(())
            })
        });
        scratch.put(emptied(input));
        if let Err(error) = result {
            out.error(&error, time.clone(), diff);
        }
    }
}

/// See [`Plan::FlatMap`](crate::plan::Plan::FlatMap).
pub fn render<'s, T: RenderTime>(
    context: &Context<'s, T>,
    input: &Bundle<'s, T>,
    call: &Call<'_>,
    mfp: &Mfp,
    key: Option<&[ScalarExpr]>,
) -> Result<Bundle<'s, T>, RenderError> {
    let unknown = || RenderError::Malformed(format!("no table function is named \"{}\"", call.func));
    let mut caller = Caller {
        func: TableFunc::resolve(call.func).ok_or_else(unknown)?,
        args: call.exprs.iter().map(ScalarExpr::compile).collect::<Result<_, _>>()?,
        columns: call.columns,
        mapper: Mapper::new(mfp, context.as_of, context.until)?,
        scratch: Scratch::new(),
        row: vec![],
    };
    let halves = match key {
        Some(key) => {
            let missing = || RenderError::NoArrangement(format!("table function {}", call.func));
            let arrangement = input.arrangement(key).ok_or_else(missing)?;
            let logic =
                restored(key, input.arity, move |row, time, diff, out| caller.call(row, time, diff, out));
            arrangement.flat_map("FlatMap", None, logic)
        }
        None => {
            let rows = input.stream("FlatMap", context.times())?;
            flat_map(
                rows,
                "FlatMap",
                Box::new(move |row, _, time, diff, out| caller.call(row, time, diff, out)),
            )
        }
    };
    let mut errs = input.errs.clone();
    errs.push(halves.errs);
    Ok(Bundle::of_rows(mfp.output_arity(), halves.oks, errs))
}
