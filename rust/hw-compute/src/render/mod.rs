//! From a plan to operators.
//!
//! [`render`] is generic over [`RenderTime`], which `u64` and [`Dyn`] implement: any nesting of recursion
//! uses two instantiations of every operator. A name stands for a [`Bundle`]: a raw stream of rows, streams
//! of errors, and arrangements. Every fallible operator has two outputs; errors bypass what follows and are
//! added to the errors of the result, each stream once however many ways lead there.
//!
//! * [`bundle`]: bundles, and map-filter-project over them; [`operators`], [`complete`]: what all is built
//!   from; [`thinning`]: rows from and to keys and vals.
//! * [`mod@best`]: the best rows of groups that only grow.
//! * [`mod@join`], [`join_linear`], [`join_delta`], [`reduce`], [`top_k`], [`window`], [`flat_map`], [`simple`]: one operator of
//!   the plan each, or a few; [`ordered`]: rows in an order asked for.
//! * [`mod@recursion`] renders `LetRec`.
//!
//! Times of what is read are moved forward to the dataflow's `as_of` wherever an arrangement is read, since
//! an imported one may hold older times; updates from `until` on are dropped where it costs nothing.

pub mod best;
pub mod bundle;
pub mod complete;
pub mod flat_map;
pub mod join;
pub mod join_delta;
pub mod join_linear;
pub mod operators;
pub mod ordered;
pub mod recursion;
pub mod reduce;
pub mod simple;
pub mod thinning;
pub mod top_k;
pub mod window;

use std::collections::HashMap;

use thiserror::Error;
use timely::dataflow::Scope;
use timely::progress::timestamp::Refines;

use crate::container::{Dyn, RowStream, Time};
use crate::expr::{PlanError, ScalarExpr};
use crate::inspect::SharedNodes;
use crate::plan::{GlobalId, JoinPath, Plan, RelationId};
use bundle::Bundle;
use operators::Halves;

/// Why a plan cannot be rendered: a bug of whoever made it, or a plan of another version.
#[derive(Debug, Error)]
pub enum RenderError {
    /// Nothing has this name.
    #[error("nothing is bound to {0:?}")]
    Unbound(RelationId),
    /// Lowering promised an arrangement.
    #[error("{0} reads an arrangement that is not there")]
    NoArrangement(String),
    /// An expression cannot be compiled.
    #[error(transparent)]
    Expression(#[from] PlanError),
    /// Parts of the plan do not fit together.
    #[error("malformed plan: {0}")]
    Malformed(String),
}

/// Where rendering is, and what it can see.
pub struct Context<'s, T: RenderTime> {
    /// The scope that operators are made in.
    pub scope: Scope<'s, T>,
    /// Exact from here on.
    pub as_of: u64,
    /// Not needed from here on.
    pub until: Option<u64>,
    /// How many scopes of recursion have been entered.
    pub level: usize,
    /// Imports, and objects built before.
    pub globals: HashMap<GlobalId, Bundle<'s, T>>,
    /// Bindings.
    pub locals: HashMap<u64, Bundle<'s, T>>,
    /// Which operators are made for which node of the plan.
    pub nodes: SharedNodes,
}

impl<'s, T: RenderTime> Context<'s, T> {
    /// The bounds on times that mappers need.
    pub fn times(&self) -> (u64, Option<u64>) {
        (self.as_of, self.until)
    }
    fn get(&self, id: &RelationId) -> Result<&Bundle<'s, T>, RenderError> {
        let found = match id {
            RelationId::Local { id } => self.locals.get(id),
            RelationId::Global { id } => self.globals.get(id),
        };
        found.ok_or_else(|| RenderError::Unbound(id.clone()))
    }
    /// Renders `body` with `bundle` bound to `id`.
    fn with_local<R>(&mut self, id: u64, bundle: Bundle<'s, T>, body: impl FnOnce(&mut Self) -> R) -> R {
        let shadowed = self.locals.insert(id, bundle);
        let result = body(self);
        match shadowed {
            Some(bundle) => self.locals.insert(id, bundle),
            None => self.locals.remove(&id),
        };
        result
    }
}

/// A time that plans can be rendered at.
pub trait RenderTime: Time + Refines<u64> {
    /// Renders recursive bindings; the result is what each stands for outside of the recursion.
    fn let_rec<'s>(
        context: &mut Context<'s, Self>,
        bindings: &[recursion::Binding<'_>],
    ) -> Result<Vec<Bundle<'s, Self>>, RenderError>;
    /// Renders a delta join.
    fn delta_join<'s>(
        context: &mut Context<'s, Self>,
        inputs: &[Bundle<'s, Self>],
        paths: &[JoinPath],
    ) -> Result<Bundle<'s, Self>, RenderError>;
    /// Computes window functions of rows as vals, by the keys of their partitions.
    fn window<'s>(keyed: RowStream<'s, Self>, functions: window::functions::Functions) -> Halves<'s, Self>;
}

impl RenderTime for u64 {
    fn let_rec<'s>(
        context: &mut Context<'s, u64>,
        bindings: &[recursion::Binding<'_>],
    ) -> Result<Vec<Bundle<'s, u64>>, RenderError> {
        recursion::enter(context, bindings)
    }
    fn delta_join<'s>(
        context: &mut Context<'s, u64>,
        inputs: &[Bundle<'s, u64>],
        paths: &[JoinPath],
    ) -> Result<Bundle<'s, u64>, RenderError> {
        join_delta::render(context, inputs, paths)
    }
    fn window<'s>(keyed: RowStream<'s, u64>, functions: window::functions::Functions) -> Halves<'s, u64> {
        window::maintain(keyed, functions)
    }
}

impl RenderTime for Dyn {
    fn let_rec<'s>(
        context: &mut Context<'s, Dyn>,
        bindings: &[recursion::Binding<'_>],
    ) -> Result<Vec<Bundle<'s, Dyn>>, RenderError> {
        recursion::nest(context, bindings)
    }
    /// Half joins compare times by a total order, which there is none of in recursion: the first path is
    /// a linear join, and over arrangements too.
    fn delta_join<'s>(
        context: &mut Context<'s, Dyn>,
        inputs: &[Bundle<'s, Dyn>],
        paths: &[JoinPath],
    ) -> Result<Bundle<'s, Dyn>, RenderError> {
        let path =
            paths.first().ok_or_else(|| RenderError::Malformed("a delta join without paths".into()))?;
        join_linear::render(context, inputs, path)
    }
    /// A partition's rows can be kept for one time only.
    fn window<'s>(keyed: RowStream<'s, Dyn>, functions: window::functions::Functions) -> Halves<'s, Dyn> {
        window::recompute(keyed, &functions)
    }
}

/// Renders a plan.
pub fn render<'s, T: RenderTime>(
    context: &mut Context<'s, T>,
    plan: &Plan,
) -> Result<Bundle<'s, T>, RenderError> {
    context.nodes.borrow_mut().begin(plan.operator());
    let from = context.scope.worker().peek_identifier();
    let mut bundle = render_node(context, plan)?;
    bundle.report_once();
    let to = context.scope.worker().peek_identifier();
    context.nodes.borrow_mut().end(from, to);
    Ok(bundle)
}

fn render_node<'s, T: RenderTime>(
    context: &mut Context<'s, T>,
    plan: &Plan,
) -> Result<Bundle<'s, T>, RenderError> {
    match plan {
        Plan::Constant { rows, arity, error } => Ok(simple::constant(context, rows, *arity, error.as_ref())),
        Plan::Get { id, mfp, key, lookups, pass_through, .. } => {
            let bundle = context.get(id)?;
            if *pass_through {
                return Ok(bundle.clone());
            }
            bundle.map("Get", mfp, key.as_deref(), simple::sorted(lookups.as_deref()), context.times())
        }
        Plan::Mfp { input, mfp, key, lookups } => {
            let bundle = render(context, input)?;
            bundle.map("Mfp", mfp, key.as_deref(), simple::sorted(lookups.as_deref()), context.times())
        }
        Plan::Let { id, value, body } => {
            let value = render(context, value)?;
            context.with_local(*id, value, |context| render(context, body))
        }
        Plan::LetRec { ids, values, limits, arities, body } => {
            let bindings = recursion::bindings(ids, values, limits, arities)?;
            let bundles = T::let_rec(context, &bindings)?;
            let shadowed = context.locals.clone();
            context.locals.extend(ids.iter().copied().zip(bundles));
            let result = render(context, body);
            context.locals = shadowed;
            result
        }
        Plan::FlatMap { .. } | Plan::Reduce { .. } | Plan::TopK { .. } | Plan::Window { .. } => {
            render_grouped(context, plan)
        }
        Plan::LinearJoin { inputs, path } => {
            let inputs = render_all(context, inputs)?;
            join_linear::render(context, &inputs, path)
        }
        Plan::DeltaJoin { inputs, paths } => {
            let inputs = render_all(context, inputs)?;
            T::delta_join(context, &inputs, paths)
        }
        Plan::Negate { input } => {
            let input = render(context, input)?;
            simple::negate(context, &input)
        }
        Plan::Threshold { input, arity } => {
            let input = render(context, input)?;
            simple::threshold(context, &input, *arity)
        }
        Plan::Union { inputs, consolidate } => {
            let inputs = render_all(context, inputs)?;
            simple::union(context, &inputs, *consolidate)
        }
        Plan::ArrangeBy { input, keys, .. } => {
            let mut bundle = render(context, input)?;
            for key in keys {
                bundle.arrange_by("ArrangeBy", key, context.times())?;
            }
            Ok(bundle)
        }
    }
}

/// The operators with a shape of their own.
fn render_grouped<'s, T: RenderTime>(
    context: &mut Context<'s, T>,
    plan: &Plan,
) -> Result<Bundle<'s, T>, RenderError> {
    match plan {
        Plan::FlatMap { input, func, exprs, columns, mfp, key } => {
            let input = render(context, input)?;
            let call = flat_map::Call { func, exprs, columns: columns.len() };
            flat_map::render(context, &input, &call, mfp, key.as_deref())
        }
        Plan::Reduce { input, input_arity, key, aggregates, plan, mfp_after, input_key } => {
            let input = render(context, input)?;
            let shape = reduce::Shape { input_arity: *input_arity, key, aggregates, plan };
            reduce::render(context, &input, &shape, mfp_after, input_key.as_deref())
        }
        Plan::TopK {
            input,
            arity,
            group_key,
            order_key,
            limit,
            offset,
            monotonic,
            must_consolidate,
            buckets,
        } => {
            let input = render(context, input)?;
            let shape = top_k::Shape {
                arity: *arity,
                group_key,
                order_key,
                limit: limit.as_ref(),
                offset: *offset,
                monotonic: *monotonic,
                must_consolidate: *must_consolidate,
                buckets,
            };
            top_k::render(context, &input, &shape)
        }
        Plan::Window { input, arity, partition, order, functions } => {
            let input = render(context, input)?;
            let shape = window::Shape { arity: *arity, partition, order, functions };
            window::render(context, &input, &shape)
        }
        _ => Err(RenderError::Malformed("an operator is rendered elsewhere".into())),
    }
}

fn render_all<'s, T: RenderTime>(
    context: &mut Context<'s, T>,
    plans: &[Plan],
) -> Result<Vec<Bundle<'s, T>>, RenderError> {
    plans.iter().map(|plan| render(context, plan)).collect()
}

/// The key of all of `arity` columns.
pub fn all_columns(arity: usize) -> Vec<ScalarExpr> {
    (0..arity).map(|index| ScalarExpr::Column { index }).collect()
}
