//! A partition, the values that were last given out for its rows, and what a change makes of them.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::functions::Functions;
use super::touched::touched;
use super::tree::{Entry, Output, Tree};
use super::values::Evaluator;
use crate::expr::EvalError;
use crate::render::reduce::negative;

/// Rows that are evaluated before their values are written into the tree.
const EVALUATED_MAX: usize = 4096;
/// From one change in this many rows on, the tree is built anew.
const DENSE: usize = 4;

/// What leaves: a row and its values, or an error's row; and its diff.
pub type Emit<'a> = &'a mut dyn FnMut(Result<(&[u8], &[u8]), &[u8]>, i64);

/// One partition.
pub struct Partition {
    tree: Tree<Functions>,
    /// Rows that were taken away before they came: while there are any the partition is an error.
    owed: BTreeMap<Box<[u8]>, i64>,
}

impl Partition {
    /// An empty partition.
    pub fn new(functions: Rc<Functions>) -> Self {
        Partition { tree: Tree::new(functions), owed: BTreeMap::new() }
    }
    /// Whether nothing is left of it.
    pub fn is_empty(&self) -> bool {
        self.tree.is_empty() && self.owed.is_empty()
    }
    /// Applies changes, in order of their vals, and emits what changes in the result.
    pub fn apply(&mut self, changes: &[(&[u8], i64)], emit: Emit<'_>) {
        let was_broken = !self.owed.is_empty();
        self.change(changes, emit);
        let is_broken = !self.owed.is_empty();
        if was_broken != is_broken {
            let error = negative("retractions of a row that does not exist").to_row();
            emit(Err(&error), if is_broken { 1 } else { -1 });
        }
        match (was_broken, is_broken) {
            (_, true) => {
                let all = 0..self.tree.len();
                self.tree.update(all, &mut |row, output| give(row, &output.take(), -1, emit));
            }
            (true, false) => self.evaluate(0..self.tree.len(), emit),
            (false, false) => {
                for range in touched(&self.tree, changes) {
                    self.evaluate(range, emit);
                }
            }
        }
    }
    fn change(&mut self, changes: &[(&[u8], i64)], emit: Emit<'_>) {
        if changes.len() * DENSE >= self.tree.len() {
            return self.rebuild(changes, emit);
        }
        for (val, diff) in changes {
            for _ in 0..self.paid(val, *diff) {
                self.tree.insert(Entry::new(val));
            }
            for taken in 0..-*diff {
                match self.tree.remove(val) {
                    Some(entry) => give(entry.row(), &entry.output, -1, emit),
                    None => {
                        *self.owed.entry((*val).into()).or_insert(0) += -*diff - taken;
                        break;
                    }
                }
            }
        }
    }
    /// What remains of an insertion after it has made up for retractions that came before it.
    fn paid(&mut self, val: &[u8], diff: i64) -> i64 {
        if diff <= 0 {
            return 0;
        }
        let Some(owed) = self.owed.get_mut(val) else { return diff };
        let paid = diff.min(*owed);
        *owed -= paid;
        if *owed == 0 {
            self.owed.remove(val);
        }
        diff - paid
    }
    fn rebuild(&mut self, changes: &[(&[u8], i64)], emit: Emit<'_>) {
        let mut old = self.tree.take_entries().into_iter().peekable();
        let mut entries = Vec::with_capacity(old.len() + changes.len());
        for (val, diff) in changes {
            while let Some(entry) = old.next_if(|entry| entry.val() < *val) {
                entries.push(entry);
            }
            let mut equal: Vec<Entry> = vec![];
            while let Some(entry) = old.next_if(|entry| entry.val() == *val) {
                equal.push(entry);
            }
            for _ in 0..self.paid(val, *diff) {
                equal.push(Entry::new(val));
            }
            for taken in 0..-*diff {
                match equal.pop() {
                    Some(entry) => give(entry.row(), &entry.output, -1, emit),
                    None => {
                        *self.owed.entry((*val).into()).or_insert(0) += -*diff - taken;
                        break;
                    }
                }
            }
            entries.append(&mut equal);
        }
        entries.extend(old);
        self.tree.rebuild(entries);
    }
    fn evaluate(&mut self, range: std::ops::Range<usize>, emit: Emit<'_>) {
        let mut from = range.start;
        let mut values = vec![];
        while from < range.end {
            let to = range.end.min(from + EVALUATED_MAX);
            let mut evaluator = Evaluator::new(&self.tree);
            let evaluated: Vec<Result<Box<[u8]>, EvalError>> = (from..to)
                .map(|at| {
                    values.clear();
                    evaluator.row(at, &mut values).map(|()| values.as_slice().into())
                })
                .collect();
            let mut evaluated = evaluated.into_iter();
            self.tree.update(from..to, &mut |row, output| {
                let Some(new) = evaluated.next() else { return };
                let new = Some(new.map_err(|error| error.to_row().into_boxed_slice()));
                if *output != new {
                    give(row, output, -1, emit);
                    give(row, &new, 1, emit);
                    *output = new;
                }
            });
            from = to;
        }
    }
}

fn give(row: &[u8], output: &Output, diff: i64, emit: Emit<'_>) {
    match output {
        None => {}
        Some(Ok(values)) => emit(Ok((row, values)), diff),
        Some(Err(error)) => emit(Err(error), diff),
    }
}

/// All rows of a partition that is there at once, with their values.
pub fn evaluate(functions: &Rc<Functions>, vals: &[(&[u8], i64)], out: &mut Vec<Output>) -> Vec<Entry> {
    let mut entries = vec![];
    for (val, diff) in vals {
        (0..*diff).for_each(|_| entries.push(Entry::new(val)));
    }
    let mut tree = Tree::from_sorted(Rc::clone(functions), entries);
    let mut evaluator = Evaluator::new(&tree);
    for at in 0..tree.len() {
        let mut values = vec![];
        let evaluated = evaluator.row(at, &mut values).map(|()| values.into_boxed_slice());
        out.push(Some(evaluated.map_err(|error| error.to_row().into_boxed_slice())));
    }
    tree.take_entries()
}
