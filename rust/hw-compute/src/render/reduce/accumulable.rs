//! Aggregates as sums in the diff: consolidation does the aggregation.

use std::io::Write;
use std::rc::Rc;

use differential_dataflow::difference::{IsZero, Semigroup};
use hw_expr::aggregate::{Accumulable, Aggregate};
use hw_types::arena::Arena;
use hw_types::datum::Datum;
use hw_types::row;
use smallvec::SmallVec;

use super::{Compute, Part, Shape, at, keyed, negative, once, reduce_pair, resolve};
use crate::arrangement::arrange;
use crate::container::wire::{Column, WireError, take, take_u64};
use crate::container::{RowStream, Time};
use crate::expr::{EvalError, Expr, ScalarExpr, Scratch, can_fail, emptied};
use crate::render::operators::{flat_map_arranged, map_diffs};
use crate::render::thinning::Picker;
use crate::render::{Context, RenderError, RenderTime};

/// Slots held without an allocation: a count and a sum, or a sum and an average's count.
const INLINE_SLOTS: usize = 3;

/// A row count, and the slots of all aggregates, one after the other.
///
/// A group may be dropped only if all are zero: a count of zero alone, with retractions ahead of
/// insertions, is not enough. Slots wrap, as `hw-expr` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Accum {
    /// Rows.
    pub count: i64,
    /// Slots; none stands for zeros.
    pub slots: SmallVec<[i128; INLINE_SLOTS]>,
}

impl IsZero for Accum {
    #[inline]
    fn is_zero(&self) -> bool {
        self.count == 0 && self.slots.iter().all(|slot| *slot == 0)
    }
}

impl Semigroup for Accum {
    #[inline]
    fn plus_equals(&mut self, other: &Self) {
        self.count = self.count.wrapping_add(other.count);
        if self.slots.len() < other.slots.len() {
            self.slots.resize(other.slots.len(), 0);
        }
        for (slot, more) in self.slots.iter_mut().zip(&other.slots) {
            *slot = slot.wrapping_add(*more);
        }
    }
}

impl Column for Accum {
    fn wire_len(column: &[Self]) -> usize {
        column.iter().map(|accum| 16 + 16 * accum.slots.len()).sum()
    }
    fn wire_write<W: Write>(column: &[Self], writer: &mut W) -> std::io::Result<()> {
        for accum in column {
            writer.write_all(&accum.count.to_ne_bytes())?;
            writer.write_all(&(accum.slots.len() as u64).to_ne_bytes())?;
            for slot in &accum.slots {
                writer.write_all(&slot.to_ne_bytes())?;
            }
        }
        Ok(())
    }
    fn wire_read(from: &mut &[u8], count: usize) -> Result<Vec<Self>, WireError> {
        let mut out = Vec::with_capacity(count.min(from.len() / 16));
        for _ in 0..count {
            let rows = take_u64(from)? as i64;
            let len = take_u64(from)? as usize;
            let bytes = take(from, len.checked_mul(16).ok_or(WireError::Ends)?)?;
            let slots = bytes.as_chunks::<16>().0.iter().map(|slot| i128::from_ne_bytes(*slot)).collect();
            out.push(Accum { count: rows, slots });
        }
        Ok(out)
    }
    fn heap_bytes(column: &[Self]) -> usize {
        let spilled = |accum: &&Accum| accum.slots.spilled();
        column.iter().filter(spilled).map(|accum| accum.slots.capacity() * size_of::<i128>()).sum()
    }
}

/// One aggregate and where its slots are: those that most groups need before the others of all aggregates.
#[derive(Clone)]
struct Slots {
    aggregate: Accumulable,
    places: Rc<[usize]>,
}

impl Slots {
    /// Gives all slots of all aggregates their places.
    fn all(aggregates: &[Accumulable]) -> Vec<Slots> {
        let near =
            |aggregate: &Accumulable| (0..aggregate.slots()).filter(|slot| aggregate.is_near(*slot)).count();
        let mut next: usize = 0;
        let mut far: usize = aggregates.iter().map(near).sum();
        let mut give = |is_near: bool| {
            let counter: &mut usize = if is_near { &mut next } else { &mut far };
            *counter += 1;
            *counter - 1
        };
        let place = |aggregate: &Accumulable| -> Rc<[usize]> {
            (0..aggregate.slots()).map(|slot| give(aggregate.is_near(slot))).collect()
        };
        let places: Vec<Rc<[usize]>> = aggregates.iter().map(place).collect();
        let both = aggregates.iter().zip(places);
        both.map(|(aggregate, places)| Slots { aggregate: *aggregate, places }).collect()
    }
    /// Adds a value's contribution to a group's; `buffer` is for the slots of this aggregate.
    fn explode(&self, datum: Datum<'_>, diff: i64, accum: &mut Accum, buffer: &mut Vec<i128>) {
        buffer.clear();
        buffer.resize(self.places.len(), 0);
        self.aggregate.explode(datum, diff, buffer);
        for (value, place) in buffer.iter().zip(self.places.iter()).filter(|(value, _)| **value != 0) {
            if accum.slots.len() <= *place {
                accum.slots.resize(place + 1, 0);
            }
            accum.slots[*place] = accum.slots[*place].wrapping_add(*value);
        }
    }
    /// The result for a group.
    fn finish(&self, accum: &Accum, buffer: &mut Vec<i128>) -> Result<Datum<'static>, EvalError> {
        buffer.clear();
        buffer.extend(self.places.iter().map(|place| accum.slots.get(*place).copied().unwrap_or(0)));
        self.aggregate.finish(buffer)
    }
}

/// Computes all accumulable aggregates of a reduction.
pub fn render<'s, T: RenderTime>(
    context: &Context<'s, T>,
    rows: RowStream<'s, T>,
    shape: &Shape<'_>,
    errs: &mut Vec<RowStream<'s, T>>,
) -> Result<Part<'s, T>, RenderError> {
    let mut aggregates = vec![];
    for index in &shape.plan.accumulable {
        let accumulable = |aggregate| match aggregate {
            Aggregate::Accumulable(accumulable) => Some(accumulable),
            _ => None,
        };
        aggregates.push(resolve(at(shape, *index)?, accumulable)?);
    }
    let slots = Slots::all(&aggregates);
    let exprs: Vec<_> = shape.plan.accumulable.iter().map(|index| &shape.aggregates[*index]).collect();
    let plain: Vec<(Slots, ScalarExpr)> = slots
        .iter()
        .zip(&exprs)
        .filter(|(_, aggregate)| !aggregate.distinct)
        .map(|(slots, aggregate)| (slots.clone(), aggregate.expr.clone()))
        .collect();
    let mut exploded = vec![explode(rows.clone(), shape, plain, errs)?];
    for (slots, aggregate) in slots.iter().zip(&exprs).filter(|(_, aggregate)| aggregate.distinct) {
        exploded.push(explode_distinct(rows.clone(), shape, &aggregate.expr, slots.clone(), errs)?);
    }
    let exploded = match exploded.len() {
        1 => exploded.remove(0),
        _ => timely::dataflow::operators::core::Concatenate::concatenate(&context.scope, exploded),
    };
    let make = || finish(slots.clone());
    let (arranged, failed) = reduce_pair(arrange(exploded, "ArrangeAccumulable"), "Accumulable", &make);
    errs.push(failed);
    Ok(Part { aggregates: shape.plan.accumulable.clone(), arranged })
}

/// Each row's contribution: one to the count, and its arguments to their slots.
fn explode<'s, T: Time>(
    rows: RowStream<'s, T>,
    shape: &Shape<'_>,
    aggregates: Vec<(Slots, ScalarExpr)>,
    errs: &mut Vec<RowStream<'s, T>>,
) -> Result<RowStream<'s, T, Accum>, RenderError> {
    let fallible = shape.key.iter().chain(aggregates.iter().map(|(_, expr)| expr)).any(can_fail);
    let mut key = Picker::new(shape.key, shape.input_arity)?;
    let compiled: Result<Vec<(Slots, Expr)>, RenderError> =
        aggregates.iter().map(|(slots, expr)| Ok((slots.clone(), expr.compile()?))).collect();
    let compiled = compiled?;
    let mut scratch = Scratch::new();
    let mut buffer = vec![];
    let (oks, failed) = map_diffs(
        rows,
        "Explode",
        Box::new(move |full, _, time, diff, out, failed| {
            let mut accum = Accum { count: diff, slots: SmallVec::new() };
            let tail = out.tail();
            let mut columns = scratch.take();
            row::unpack(full, scratch.arena(), &mut columns);
            let result = key.pick(full, tail).and_then(|()| {
                compiled.iter().try_for_each(|(at, expr)| {
                    let datum = expr.eval(&columns, scratch.arena())?;
                    at.explode(datum, diff, &mut accum, &mut buffer);
                    Ok(())
                })
            });
            scratch.put(emptied(columns));
            match result {
                Ok(()) => {
                    let end = tail.len();
                    out.seal(end, time.clone(), accum);
                }
                Err(error) => {
                    out.abandon();
                    failed.push(&error.to_row(), &[], time.clone(), diff);
                }
            }
        }),
    );
    if fallible {
        errs.push(failed);
    }
    Ok(oks)
}

/// The contribution of distinct arguments, to the slots of one aggregate and not to the count.
fn explode_distinct<'s, T: Time>(
    rows: RowStream<'s, T>,
    shape: &Shape<'_>,
    expr: &ScalarExpr,
    slots: Slots,
    errs: &mut Vec<RowStream<'s, T>>,
) -> Result<RowStream<'s, T, Accum>, RenderError> {
    // Key and argument together are a key: what is distinct is their combination.
    let both: Vec<ScalarExpr> = shape.key.iter().chain([expr]).cloned().collect();
    let pairs = Shape { key: &both, input_arity: shape.input_arity, aggregates: &[], plan: shape.plan };
    let rows = keyed(rows, "DistinctArgument", &pairs, &[], errs)?;
    let (distinct, failed) = reduce_pair(arrange(rows, "ArrangeDistinctArgument"), "DistinctArgument", &once);
    errs.push(failed);
    let rows = flat_map_arranged(
        distinct,
        "DistinctArgumentRows",
        None,
        Box::new(|key, _, time: &T, diff, out| out.oks.push(key, &[], time.clone(), diff)),
    );
    let keys = shape.key.len();
    let mut arena = Arena::new();
    let mut buffer = vec![];
    let logic = Box::new(
        move |full: &[u8],
              _: &[u8],
              time: &T,
              diff: i64,
              out: &mut crate::container::Flat<T, Accum>,
              _: &mut crate::container::Flat<T, i64>| {
            let key_end: usize = row::split(full).take(keys).map(<[u8]>::len).sum();
            let mut accum = Accum { count: 0, slots: SmallVec::new() };
            if let Some(datum) = row::RowReader::new(&full[key_end..], &arena).next() {
                slots.explode(datum, diff, &mut accum, &mut buffer);
            }
            arena.reset();
            out.push(&full[..key_end], &[], time.clone(), accum);
        },
    );
    Ok(map_diffs(rows.oks, "ExplodeDistinct", logic).0)
}

/// From sums to values.
fn finish(slots: Vec<Slots>) -> Compute<Accum> {
    let mut buffer = vec![];
    Box::new(move |_, vals, out| {
        let Some((_, accum)) = vals.first() else { return Ok(()) };
        if accum.count < 0 {
            return Err(negative("negative accumulation in a group"));
        }
        if accum.count == 0 {
            return Err(negative("no rows, but a non-zero accumulation in a group"));
        }
        let mut row = vec![];
        for slots in &slots {
            row::push_datum(&mut row, slots.finish(accum, &mut buffer)?);
        }
        out.push((row, 1));
        Ok(())
    })
}
