//! Table functions: each input row followed by each of the function's rows.
//!
//! A call may make any number of rows: the operator stops after some and goes on when others have run, so that
//! what comes of them is taken in meanwhile, and a dataflow that nobody waits for ends.

use std::collections::VecDeque;

use hw_expr::table::TableFunc;
use hw_types::row;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::CapabilitySet;
use timely::dataflow::operators::generic::{OutputBuilder, builder_rc::OperatorBuilder};

use super::bundle::{Bundle, Mapper};
use super::operators::{Halves, Out};
use super::{Context, RenderError, RenderTime};
use crate::container::{Flat, FlatBuilder, RowStream, Time};
use crate::expr::{EvalError, Expr, Mfp, ScalarExpr, Scratch, emptied};

/// Rows that are made before others run.
const FUEL: u64 = 100_000;

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
    /// Makes up to `fuel` rows of a call, after the first `skip`; whether those were all. Takes from `fuel`.
    fn call<T: Time>(
        &mut self,
        (full, time, diff): (&[u8], &T, i64),
        skip: u64,
        fuel: &mut u64,
        out: &mut Out<T>,
    ) -> bool {
        let Caller { func, args, columns, mapper, scratch, row: buffer } = self;
        let mut input = scratch.take();
        row::unpack(full, scratch.arena(), &mut input);
        let mut stopped = false;
        let result = args.iter().map(|arg| arg.eval(&input, scratch.arena())).collect::<Result<Vec<_>, _>>();
        let result = result.and_then(|args| {
            func.eval_from(&args, scratch.arena(), skip, &mut |made, count| {
                if made.len() != *columns {
                    return Err(EvalError::internal("a table function made other columns than planned"));
                }
                if *fuel == 0 {
                    stopped = true;
                    return Err(EvalError::internal("a table function is to go on later"));
                }
                *fuel -= 1;
                buffer.clear();
                buffer.extend_from_slice(full);
                made.iter().for_each(|datum| row::push_datum(buffer, *datum));
                mapper.map(buffer, time, diff * count, out);
                out.spill();
                Ok(())
            })
        });
        scratch.put(emptied(input));
        match result {
            Err(error) if !stopped => out.error(&error, time.clone(), diff),
            _ => {}
        }
        !stopped
    }
}

/// A container and how much of it is done: updates, and rows of the next update's call.
struct Todo<T: Time> {
    caps: [CapabilitySet<T>; 2],
    rows: Flat<T, i64>,
    next: usize,
    skip: u64,
}

fn call_all<'s, T: Time>(rows: RowStream<'s, T>, mut caller: Caller) -> Halves<'s, T> {
    let scope = rows.scope();
    let mut builder = OperatorBuilder::new("FlatMap".into(), rows.scope());
    let activator = scope.activator_for(builder.operator_info().address);
    let (oks, ok_stream) = builder.new_output();
    let (errs, err_stream) = builder.new_output();
    let mut oks = OutputBuilder::<T, FlatBuilder<T>>::from(oks);
    let mut errs = OutputBuilder::<T, FlatBuilder<T>>::from(errs);
    let mut input = builder.new_input(rows, Pipeline);
    builder.build(move |_| {
        let mut todo: VecDeque<Todo<T>> = VecDeque::new();
        let mut out = Out::default();
        move |_| {
            let (mut oks, mut errs) = (oks.activate(), errs.activate());
            input.for_each(|cap, data| {
                let caps = [cap.retain_stamp(0), cap.retain_stamp(1)];
                todo.push_back(Todo { caps, rows: std::mem::take(data), next: 0, skip: 0 });
            });
            let mut fuel = FUEL;
            while let (Some(work), true) = (todo.front_mut(), fuel > 0) {
                let mut session = oks.session(&work.caps[0]);
                while work.next < work.rows.len() && fuel > 0 {
                    let before = fuel;
                    // A call that makes no rows costs as well.
                    fuel -= 1;
                    let (full, _, time, diff) = work.rows.get(work.next);
                    if caller.call((full, time, *diff), work.skip, &mut fuel, &mut out) {
                        (work.next, work.skip) = (work.next + 1, 0);
                    } else {
                        work.skip += before - 1;
                    }
                    out.take_full().into_iter().for_each(|mut full| session.give_container(&mut full));
                }
                if !out.oks.is_empty() {
                    session.give_container(&mut out.oks);
                    out.oks.clear();
                }
                drop(session);
                if !out.errs.is_empty() {
                    errs.session(&work.caps[1]).give_container(&mut out.errs);
                    out.errs.clear();
                }
                if work.next == work.rows.len() {
                    todo.pop_front();
                }
            }
            if !todo.is_empty() {
                activator.activate();
            }
        }
    });
    Halves { oks: ok_stream, errs: err_stream }
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
    let caller = Caller {
        func: TableFunc::resolve(call.func).ok_or_else(unknown)?,
        args: call.exprs.iter().map(ScalarExpr::compile).collect::<Result<_, _>>()?,
        columns: call.columns,
        mapper: Mapper::new(mfp, context.as_of, context.until)?,
        scratch: Scratch::new(),
        row: vec![],
    };
    let mut errs = input.errs.clone();
    let rows = match key {
        None => input.stream("FlatMap", context.times())?,
        Some(_) => {
            let only_rows = Bundle { errs: vec![], ..input.clone() };
            let identity = Mfp::identity(input.arity);
            let read = only_rows.map("FlatMapInput", &identity, key, None, context.times())?;
            read.stream("FlatMapInput", context.times())?
        }
    };
    let halves = call_all(rows, caller);
    errs.push(halves.errs);
    Ok(Bundle::of_rows(mfp.output_arity(), halves.oks, errs))
}
