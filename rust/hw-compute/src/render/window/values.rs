//! The values of window functions for one row after the other of a partition.

use std::ops::Range;

use hw_expr::aggregate::{Accumulable, Hierarchical};
use hw_types::datum::Datum;
use hw_types::row;

use super::frames::{Parts, Place, frame};
use super::functions::{Arg, Function, Functions, Kind, Shift, Summary, basic_value, explode};
use super::tree::{Entry, Tree};
use crate::expr::EvalError;

/// Rows that are added to what the frame before came to, rather than folding the new one from summaries.
const STEP_MAX: usize = 32;

/// What an aggregate came to over the frame before.
#[derive(Default)]
struct Last {
    frame: Range<usize>,
    slots: Vec<i128>,
    best: Vec<u8>,
}

/// Evaluates rows of a partition that does not change meanwhile; fastest in order.
pub struct Evaluator<'a> {
    tree: &'a Tree<Functions>,
    place: Option<Place>,
    last: Vec<Last>,
}

type Evaluated = Result<(), EvalError>;

impl<'a> Evaluator<'a> {
    /// For the rows of `tree`.
    pub fn new(tree: &'a Tree<Functions>) -> Self {
        let last = tree.measure().list.iter().map(|_| Last::default()).collect();
        Evaluator { tree, place: None, last }
    }
    /// Appends the values of all functions for the row at `at`.
    pub fn row(&mut self, at: usize, out: &mut Vec<u8>) -> Evaluated {
        let place = Place::of(self.tree, at, self.place.take());
        let tree = self.tree;
        for (function, last) in tree.measure().list.iter().zip(&mut self.last) {
            value(tree, function, &place, last, out)?;
        }
        self.place = Some(place);
        Ok(())
    }
    /// Appends the value of one function.
    pub fn one(&mut self, at: usize, number: usize, out: &mut Vec<u8>) -> Evaluated {
        let place = Place::of(self.tree, at, self.place.take());
        let function = &self.tree.measure().list[number];
        value(self.tree, function, &place, &mut self.last[number], out)?;
        self.place = Some(place);
        Ok(())
    }
}

fn push_count(count: usize, out: &mut Vec<u8>) {
    row::push_int(out, i64::try_from(count).unwrap_or(i64::MAX));
}

fn push_fraction(count: usize, of: usize, out: &mut Vec<u8>) {
    // Positions are far below 2^53.
    let fraction = if of == 0 { 0.0 } else { count as f64 / of as f64 };
    row::push_datum(out, Datum::Float8(fraction));
}

fn value(
    tree: &Tree<Functions>,
    function: &Function,
    place: &Place,
    last: &mut Last,
    out: &mut Vec<u8>,
) -> Evaluated {
    match &function.kind {
        Kind::RowNumber => push_count(place.at + 1, out),
        Kind::Rank => push_count(place.peers.start + 1, out),
        Kind::DenseRank => push_count(place.group + 1, out),
        Kind::PercentRank => push_fraction(place.peers.start, tree.len() - 1, out),
        Kind::CumeDist => push_fraction(place.peers.end, tree.len(), out),
        Kind::Ntile(parts) => ntile(tree, parts, place, out)?,
        Kind::Shift(shift) => self::shift(tree, function, shift, place, out),
        Kind::First(value) => positional(tree, function, value, Some(0), place, out),
        Kind::Last(value) => positional(tree, function, value, None, place, out),
        Kind::Nth(value, number) => {
            let row = tree.get(place.at).row();
            match number.int(row) {
                None => row::push_null(out),
                Some(number) if number > 0 => {
                    let number = usize::try_from(number - 1).unwrap_or(usize::MAX);
                    positional(tree, function, value, Some(number), place, out);
                }
                Some(_) => {
                    return Err(EvalError::raise("22016", "argument of nth_value must be greater than zero"));
                }
            }
        }
        Kind::Sum(sum, arg, at) => {
            let parts = frame(tree, function, place);
            let run = Sum { tree, function, sum: *sum, arg, at: *at };
            row::push_datum(out, sum.finish(run.over(&parts, last))?);
        }
        Kind::Extreme(extreme, arg, number) => {
            let parts = frame(tree, function, place);
            let run = Extreme { tree, function, extreme: *extreme, arg, number: *number };
            run.over(&parts, last);
            out.extend_from_slice(&last.best);
        }
        Kind::Basic(basic, arg, order_by) => {
            let mut values = vec![];
            for part in frame(tree, function, place) {
                tree.visit(part, &mut |_, entry| {
                    values.extend(basic_value(function, arg, entry.row()));
                    true
                });
            }
            if order_by.is_empty() {
                basic.finish_in_order(values, out)?;
            } else {
                basic.finish(values.into_iter().map(|value| (value, 1)), order_by, out)?;
            }
        }
    }
    Ok(())
}

fn ntile(tree: &Tree<Functions>, parts: &Arg, place: &Place, out: &mut Vec<u8>) -> Evaluated {
    // As in PostgreSQL, what the partition's first row says goes for all.
    let Some(parts) = parts.int(tree.get(0).row()) else {
        row::push_null(out);
        return Ok(());
    };
    if parts <= 0 {
        return Err(EvalError::raise("22014", "argument of ntile must be greater than zero"));
    }
    let parts = usize::try_from(parts).unwrap_or(usize::MAX);
    let (size, larger) = (tree.len() / parts, tree.len() % parts);
    let in_larger = larger * (size + 1);
    let part = match place.at {
        at if at < in_larger => at / (size + 1),
        at => larger + (at - in_larger) / size,
    };
    push_count(part + 1, out);
    Ok(())
}

/// How many rows before `at` count for a function that passes over NULL; and where the `number`th is.
pub fn counted_before(tree: &Tree<Functions>, function: &Function, at: usize) -> usize {
    let Some(place) = function.ignores else { return at.min(tree.len()) };
    tree.counted_before(
        at,
        |summary| summary.counting(place),
        |entry| usize::from(function.counts(entry.row())),
    )
}

/// The position of the row that counts and before which `number` do; the end if there is none.
pub fn counted(tree: &Tree<Functions>, function: &Function, number: usize) -> usize {
    let Some(place) = function.ignores else { return number.min(tree.len()) };
    tree.counted(number, |summary| summary.counting(place), |entry| usize::from(function.counts(entry.row())))
}

fn shift(tree: &Tree<Functions>, function: &Function, shift: &Shift, place: &Place, out: &mut Vec<u8>) {
    let row = tree.get(place.at).row();
    let Some(distance) = shift.distance.int(row) else {
        row::push_null(out);
        return;
    };
    let forward = shift.forward == (distance >= 0);
    let distance = usize::try_from(distance.unsigned_abs()).unwrap_or(usize::MAX);
    let target = match distance {
        0 => Some(place.at),
        _ if forward => {
            let before = counted_before(tree, function, place.at + 1);
            Some(before.saturating_add(distance - 1)).map(|number| counted(tree, function, number))
        }
        _ => {
            let before = counted_before(tree, function, place.at);
            before.checked_sub(distance).map(|number| counted(tree, function, number))
        }
    };
    match target.filter(|target| *target < tree.len()) {
        Some(target) => out.extend_from_slice(shift.value.of(tree.get(target).row())),
        None => out.extend_from_slice(shift.default.of(row)),
    }
}

/// The value in the frame's row `number`, None for the last; NULL where there is none.
fn positional(
    tree: &Tree<Functions>,
    function: &Function,
    value: &Arg,
    number: Option<usize>,
    place: &Place,
    out: &mut Vec<u8>,
) {
    let parts = frame(tree, function, place);
    let span = |part: &Range<usize>| {
        counted_before(tree, function, part.start)..counted_before(tree, function, part.end)
    };
    let mut found = None;
    match number {
        None => found = parts.iter().rev().map(span).find(|span| !span.is_empty()).map(|span| span.end - 1),
        Some(mut left) => {
            for span in parts.iter().map(span) {
                if left < span.len() {
                    found = Some(span.start + left);
                    break;
                }
                left -= span.len();
            }
        }
    }
    match found.map(|number| counted(tree, function, number)) {
        Some(at) => out.extend_from_slice(value.of(tree.get(at).row())),
        None => row::push_null(out),
    }
}

struct Sum<'a> {
    tree: &'a Tree<Functions>,
    function: &'a Function,
    sum: Accumulable,
    arg: &'a Arg,
    at: usize,
}

impl Sum<'_> {
    fn over<'l>(&self, parts: &Parts, last: &'l mut Last) -> &'l [i128] {
        match &parts[..] {
            [part] if self.is_near(part, &last.frame) => {
                let before = std::mem::replace(&mut last.frame, part.clone());
                let Last { frame, slots, .. } = last;
                self.each(before.start..frame.start, -1, slots);
                self.each(frame.start..before.start, 1, slots);
                self.each(before.end..frame.end, 1, slots);
                self.each(frame.end..before.end, -1, slots);
            }
            _ => {
                last.slots.clear();
                last.slots.resize(self.sum.slots(), 0);
                parts.iter().for_each(|part| self.fold(part.clone(), &mut last.slots));
                last.frame = if parts.len() == 1 { parts[0].clone() } else { 0..0 };
            }
        }
        &last.slots
    }
    fn is_near(&self, part: &Range<usize>, before: &Range<usize>) -> bool {
        let moved = part.start.abs_diff(before.start) + part.end.abs_diff(before.end);
        !before.is_empty() && part.start < before.end && before.start < part.end && moved <= STEP_MAX
    }
    fn each(&self, range: Range<usize>, diff: i64, slots: &mut [i128]) {
        self.tree.visit(range, &mut |_, entry| {
            self.one(entry, diff, slots);
            true
        });
    }
    fn one(&self, entry: &Entry, diff: i64, slots: &mut [i128]) {
        if self.function.takes(entry.row()) {
            explode(self.sum, self.arg, entry.row(), diff, slots);
        }
    }
    fn fold(&self, range: Range<usize>, slots: &mut [i128]) {
        let ones = std::cell::RefCell::new(slots);
        let many = self.at..self.at + self.sum.slots();
        self.tree.fold(
            range,
            &mut |summary: &Summary| {
                let more = summary.slots.get(many.clone()).unwrap_or(&[]);
                for (slot, more) in ones.borrow_mut().iter_mut().zip(more) {
                    *slot = slot.wrapping_add(*more);
                }
            },
            &mut |entry| self.one(entry, 1, &mut ones.borrow_mut()),
        );
    }
}

struct Extreme<'a> {
    tree: &'a Tree<Functions>,
    function: &'a Function,
    extreme: Hierarchical,
    arg: &'a Arg,
    number: usize,
}

impl Extreme<'_> {
    /// Leaves the result in `last.best`.
    fn over(&self, parts: &Parts, last: &mut Last) {
        let mut rest: Parts = parts.clone();
        match &parts[..] {
            [part]
                if part.start == last.frame.start && !last.frame.is_empty() && last.frame.end <= part.end =>
            {
                rest[0].start = last.frame.end;
            }
            _ => {
                last.best.clear();
                row::push_null(&mut last.best);
            }
        }
        last.frame = if parts.len() == 1 { parts[0].clone() } else { 0..0 };
        let best = std::cell::RefCell::new(&mut last.best);
        let offer = |value: &[u8]| {
            let mut best = best.borrow_mut();
            if self.extreme.prefers(value, &best) {
                best.clear();
                best.extend_from_slice(value);
            }
        };
        for part in rest {
            self.tree.fold(
                part,
                &mut |summary: &Summary| offer(summary.extreme(self.number)),
                &mut |entry| {
                    if self.function.takes(entry.row()) {
                        offer(self.arg.of(entry.row()));
                    }
                },
            );
        }
    }
}
