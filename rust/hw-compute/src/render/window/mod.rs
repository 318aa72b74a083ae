//! Window functions: each row of a partition followed by what they say of it.
//!
//! Outside of recursion times are totally ordered, and [`maintain`] keeps each partition as a tree of rows in
//! order: a change costs the rows whose values it may change, and a few walks from the root. Within recursion
//! a partition is computed anew whenever it changes, by the reduction that everything else is made of.
//!
//! * [`tree`]: rows in order, with summaries; [`functions`]: what is computed, and what summaries hold.
//! * [`frames`]: a row's frame; [`values`]: the functions' values for a row.
//! * [`touched`]: which rows a change may give other values; [`partition`]: changes in, changes out.

pub mod frames;
pub mod functions;
pub mod partition;
pub mod touched;
pub mod tree;
pub mod values;

#[cfg(test)]
pub mod tests;

use std::cell::Cell;
use std::rc::Rc;

use hw_types::order::ColumnOrder;
use rustc_hash::FxHashMap;

use super::bundle::Bundle;
use super::complete::stateful;
use super::operators::{Halves, Logic, Out, flat_map, flat_map_arranged};
use super::ordered::push_val;
use super::reduce::{Compute, negative, reduce_pair};
use super::thinning::Picker;
use super::{Context, RenderError, RenderTime};
use crate::arrangement::arrange;
use crate::arrangement::sizes::Size;
use crate::container::{RowStream, Time};
use crate::expr::ScalarExpr;
use crate::plan::WindowFunction;
use functions::Functions;
use partition::Partition;

/// What is computed.
pub struct Shape<'a> {
    /// The input's columns.
    pub arity: usize,
    /// The partition's columns.
    pub partition: &'a [usize],
    /// The order within a partition.
    pub order: &'a [ColumnOrder],
    /// The functions.
    pub functions: &'a [WindowFunction],
}

/// See [`Plan::Window`](crate::plan::Plan::Window).
pub fn render<'s, T: RenderTime>(
    context: &mut Context<'s, T>,
    input: &Bundle<'s, T>,
    shape: &Shape<'_>,
) -> Result<Bundle<'s, T>, RenderError> {
    let rows = input.stream("Window", context.times())?;
    let columns: Vec<ScalarExpr> =
        shape.partition.iter().map(|index| ScalarExpr::Column { index: *index }).collect();
    let mut key = Picker::new(&columns, shape.arity)?;
    let order = shape.order.to_vec();
    let mut ends = vec![];
    let logic: Logic<T> = Box::new(move |row, _, time, diff, out| {
        let tail = out.oks.tail();
        if let Err(error) = key.pick(row, tail) {
            out.oks.abandon();
            return out.error(&error, time.clone(), diff);
        }
        let key_end = tail.len();
        push_val(row, &order, &mut ends, tail);
        out.oks.seal(key_end, time.clone(), diff);
    });
    let keyed = flat_map(rows, "WindowKey", logic).oks;
    let functions = Functions::new(shape.functions, shape.order)?;
    let halves = T::window(keyed, functions);
    let mut errs = input.errs.clone();
    errs.push(halves.errs);
    Ok(Bundle::of_rows(shape.arity + shape.functions.len(), halves.oks, errs))
}

/// Bytes of a kept row beside its own and its values': the entry, and two allocations.
const ENTRY_BYTES: i64 = 80;

/// Keeps partitions and emits what changes in them, time by time.
pub fn maintain<'s>(keyed: RowStream<'s, u64>, functions: Functions) -> Halves<'s, u64> {
    let functions = Rc::new(functions);
    let mut partitions: FxHashMap<Box<[u8]>, Partition> = FxHashMap::default();
    let mut row_and_values = vec![];
    let size = Rc::new(Cell::new(Size::default()));
    let held = Rc::clone(&size);
    let logic = Box::new(move |key: &[u8], changes: &[(&[u8], i64)], time: &u64, out: &mut Out<u64>| {
        let (mut records, mut bytes) = (0, 0);
        let mut emit = |what: Result<(&[u8], &[u8]), &[u8]>, diff: i64| match what {
            Ok((row, values)) => {
                row_and_values.clear();
                row_and_values.extend_from_slice(row);
                row_and_values.extend_from_slice(values);
                records += diff;
                bytes += diff * (row_and_values.len() as i64 + ENTRY_BYTES);
                out.oks.push(&row_and_values, &[], *time, diff);
                out.spill();
            }
            Err(error) => out.errs.push(error, &[], *time, diff),
        };
        let known = partitions.get_mut(key);
        let is_empty = match known {
            Some(partition) => {
                partition.apply(changes, &mut emit);
                partition.is_empty()
            }
            None => {
                let mut partition = Partition::new(Rc::clone(&functions));
                partition.apply(changes, &mut emit);
                let is_empty = partition.is_empty();
                partitions.insert(key.into(), partition);
                is_empty
            }
        };
        if is_empty {
            partitions.remove(key);
        }
        let before = held.get();
        held.set(Size {
            records: before.records.saturating_add_signed(records as isize),
            bytes: before.bytes.saturating_add_signed(bytes as isize),
            ..before
        });
    });
    stateful(keyed, "Window", logic, Some(size))
}

/// Computes partitions anew whenever they change.
pub fn recompute<'s, T: Time>(keyed: RowStream<'s, T>, functions: &Functions) -> Halves<'s, T> {
    let functions = Rc::new(functions.clone());
    let make = || -> Compute<i64> {
        let functions = Rc::clone(&functions);
        Box::new(move |_, vals, out| {
            if vals.iter().any(|(_, diff)| *diff < 0) {
                return Err(negative("retractions of a row that does not exist"));
            }
            let mut outputs = vec![];
            let entries = partition::evaluate(&functions, vals, &mut outputs);
            for (entry, output) in entries.iter().zip(outputs) {
                // An error's row is marked by a byte, which demultiplexing takes away.
                let marked = match output {
                    Some(Ok(values)) => [&[0][..], entry.row(), &values].concat(),
                    Some(Err(error)) => [&[1][..], &error].concat(),
                    None => continue,
                };
                out.push((marked, 1));
            }
            Ok(())
        })
    };
    let (oks, errs) = reduce_pair(arrange(keyed, "ArrangeWindow"), "Window", &make);
    let logic: Logic<T> = Box::new(|_, val, time, diff, out| match val.split_first() {
        Some((0, row)) => out.oks.push(row, &[], time.clone(), diff),
        Some((_, error)) => out.errs.push(error, &[], time.clone(), diff),
        None => {}
    });
    let halves = flat_map_arranged(oks, "WindowRows", None, logic);
    let errs = super::bundle::concatenate(halves.errs.scope(), vec![halves.errs.clone(), errs]);
    Halves { oks: halves.oks, errs }
}
