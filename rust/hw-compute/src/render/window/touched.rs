//! Which rows a change of some rows may give other values.
//!
//! A row is touched where its frame holds a changed row, or counts its way across one. Functions that look
//! at all rows before the current one are touched from a change on, but only as far as something is carried
//! over: after a row came and another went, or where a running minimum is what it was, nothing is.

use std::ops::Range;

use hw_types::order::column;

use super::frames::bound_key;
use super::functions::Arg;
use super::functions::{Function, Functions, Kind, Shift, explode};
use super::tree::Tree;
use super::values::{Evaluator, counted, counted_before};
use crate::plan::{FrameBound, FrameBoundKind, FrameExclusion, FrameUnits};

/// From one change in this many rows on, all rows are looked at.
const DENSE: usize = 8;

/// A changed row, as the partition is after all changes: where its equals are, and its peers.
struct Spot<'a> {
    val: &'a [u8],
    diff: i64,
    at: Range<usize>,
    peers: Range<usize>,
}

/// What tells whether rows behind a change are touched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carry {
    /// Always so.
    Always,
    /// The value of the first of them: those after it depend on it and on nothing else that came before.
    Value,
    /// What the changes add up to.
    Sums,
}

/// The ranges of touched rows, in order; `changes` are in order and have happened.
pub fn touched(tree: &Tree<Functions>, changes: &[(&[u8], i64)]) -> Vec<Range<usize>> {
    if changes.len() * DENSE >= tree.len() {
        return vec![Range { start: 0, end: tree.len() }];
    }
    let spots: Vec<Spot<'_>> = changes.iter().map(|(val, diff)| spot(tree, val, *diff)).collect();
    let mut ranges: Vec<Range<usize>> = spots.iter().map(|spot| spot.at.clone()).collect();
    for (number, function) in tree.measure().list.iter().enumerate() {
        Touch { tree, spots: &spots, function, number, ranges: &mut ranges }.all_of_it();
        if ranges.last() == Some(&(0..tree.len())) {
            return vec![Range { start: 0, end: tree.len() }];
        }
    }
    united(ranges)
}

fn spot<'a>(tree: &Tree<Functions>, val: &'a [u8], diff: i64) -> Spot<'a> {
    let key = crate::render::ordered::key_of(val);
    let from = tree.partition_point(|entry| entry.val() < val);
    let to = tree.partition_point(|entry| entry.val() <= val);
    let first = tree.partition_point(|entry| entry.key() < key);
    let end = tree.partition_point(|entry| entry.key() <= key);
    Spot { val, diff, at: from..to, peers: first..end }
}

fn united(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| range.start);
    let mut out: Vec<Range<usize>> = vec![];
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

struct Touch<'a> {
    tree: &'a Tree<Functions>,
    spots: &'a [Spot<'a>],
    function: &'a Function,
    number: usize,
    ranges: &'a mut Vec<Range<usize>>,
}

impl Touch<'_> {
    fn all_of_it(&mut self) {
        let frame = &self.function.frame;
        let plain = frame.exclusion == FrameExclusion::NoOthers && self.function.ignores.is_none();
        let from_first = frame.start.kind == FrameBoundKind::UnboundedPreceding;
        let to_last = frame.end.kind == FrameBoundKind::UnboundedFollowing;
        match &self.function.kind {
            Kind::RowNumber => self.after(Carry::Value, |spot| spot.at.start, |spot| spot.at.end),
            Kind::Rank | Kind::DenseRank => {
                self.after(Carry::Value, |spot| spot.at.start, |spot| spot.peers.end);
            }
            Kind::PercentRank | Kind::CumeDist | Kind::Ntile(_) => self.everything(),
            Kind::Shift(shift) => self.shift(shift),
            Kind::First(_) if plain && from_first => self.leading(1),
            Kind::First(_) if plain && to_last => self.local(&frame.start, &frame.start),
            Kind::Last(_) if plain && to_last => {
                let all = self.tree.len();
                match self.spots.iter().any(|spot| spot.at.end >= all) {
                    true => self.everything(),
                    false => self.local(&frame.start, &frame.start),
                }
            }
            Kind::Last(_) if plain && from_first => self.local(&frame.end, &frame.end),
            Kind::Nth(_, Arg::Literal(_)) if plain && from_first => {
                let number = match &self.function.kind {
                    Kind::Nth(_, number) => number.int(&[]).unwrap_or(0),
                    _ => 0,
                };
                self.leading(usize::try_from(number).unwrap_or(0));
            }
            Kind::First(_) | Kind::Last(_) if self.function.ignores.is_some() => self.framed(Carry::Value),
            Kind::Extreme(..) => self.framed(Carry::Value),
            Kind::Sum(..) => self.framed(Carry::Sums),
            _ => self.framed(Carry::Always),
        }
    }
    fn everything(&mut self) {
        self.ranges.push(0..self.tree.len());
    }
    fn shift(&mut self, shift: &Shift) {
        let Arg::Literal(_) = &shift.distance else { return self.everything() };
        let Some(distance) = shift.distance.int(&[]) else { return };
        let forward = shift.forward == (distance >= 0);
        let distance = usize::try_from(distance.unsigned_abs()).unwrap_or(usize::MAX);
        if distance == 0 {
            return;
        }
        for spot in self.spots {
            if forward {
                let before = counted_before(self.tree, self.function, spot.at.start);
                let from = before.checked_sub(distance);
                let from = from.map_or(0, |number| counted(self.tree, self.function, number));
                self.ranges.push(from..spot.at.end);
            } else {
                let before = counted_before(self.tree, self.function, spot.at.end);
                let last = counted(self.tree, self.function, before.saturating_add(distance - 1));
                self.ranges.push(spot.at.start..(last + 1).min(self.tree.len()));
            }
        }
    }
    /// For what stands in row `number` of a frame that begins with the partition.
    fn leading(&mut self, number: usize) {
        let end = &self.function.frame.end;
        if self.spots.iter().any(|spot| spot.at.start < number) {
            return self.everything();
        }
        for spot in self.spots {
            self.ranges.push(self.from(end, spot)..self.settled(end, spot));
        }
    }
    fn local(&mut self, start: &FrameBound, end: &FrameBound) {
        for spot in self.spots {
            self.ranges.push(self.from(end, spot)..self.to(start, spot));
        }
    }
    /// For what depends on all rows of the frame.
    fn framed(&mut self, carry: Carry) {
        let frame = &self.function.frame;
        if self.function.is_whole(!self.tree.measure().order.is_empty()) {
            if carry == Carry::Always || self.is_carried_at(0, self.tree.len()) {
                self.everything();
            }
            return;
        }
        let by_distance = frame.units == FrameUnits::Range && frame.end.column.is_some();
        let carry = match frame.exclusion {
            FrameExclusion::NoOthers if !by_distance => carry,
            _ => Carry::Always,
        };
        match (frame.start.kind, frame.end.kind) {
            (FrameBoundKind::UnboundedPreceding, FrameBoundKind::UnboundedFollowing) => self.everything(),
            (FrameBoundKind::UnboundedPreceding, _) => {
                let this = &*self;
                let ends: Vec<(usize, usize)> = (this.spots.iter())
                    .map(|spot| (this.from(&frame.end, spot), this.settled(&frame.end, spot)))
                    .collect();
                self.after_ends(carry, &ends);
            }
            _ => self.local(&frame.start, &frame.end),
        }
    }
    fn after(
        &mut self,
        carry: Carry,
        from: impl Fn(&Spot<'_>) -> usize,
        settled: impl Fn(&Spot<'_>) -> usize,
    ) {
        let ends: Vec<(usize, usize)> = self.spots.iter().map(|spot| (from(spot), settled(spot))).collect();
        self.after_ends(carry, &ends);
    }
    /// Each change touches the rows between its ends, and from there to the next whatever is carried.
    fn after_ends(&mut self, carry: Carry, ends: &[(usize, usize)]) {
        let mut sums = Sums::default();
        let mut settled = 0;
        for (index, (from, to)) in ends.iter().enumerate() {
            self.ranges.push(*from..*to);
            sums.add(self.function, &self.spots[index]);
            settled = settled.max(*to);
            let until = ends.get(index + 1).map_or(self.tree.len(), |next| next.0);
            let carried = settled < until
                && match carry {
                    Carry::Always => true,
                    Carry::Sums => !sums.is_zero(),
                    Carry::Value => self.is_carried_at(settled, until),
                };
            if carried {
                self.ranges.push(settled..until);
            }
        }
    }
    /// Whether the first row of a range that was there before has another value now.
    fn is_carried_at(&self, from: usize, until: usize) -> bool {
        let mut first = None;
        self.tree.visit(from..until, &mut |at, entry| {
            first = entry.output.is_some().then_some((at, entry));
            first.is_none()
        });
        let Some((at, entry)) = first else { return false };
        let Some(Ok(before)) = &entry.output else { return true };
        let mut value = vec![];
        let evaluated = Evaluator::new(self.tree).one(at, self.number, &mut value);
        evaluated.is_err() || column(before, self.number) != value
    }
    /// The first row whose frame ends at the change or after it; or that counts across it to its end.
    fn from(&self, end: &FrameBound, spot: &Spot<'_>) -> usize {
        let (tree, offset) = (self.tree, usize::try_from(end.offset).unwrap_or(usize::MAX));
        match (end.kind, self.function.frame.units) {
            (FrameBoundKind::UnboundedFollowing, _) => 0,
            (FrameBoundKind::Following, FrameUnits::Rows) => spot.at.start.saturating_sub(offset),
            (_, FrameUnits::Rows) => spot.at.start,
            (FrameBoundKind::Following, FrameUnits::Groups) => {
                let group = tree.groups_before(spot.peers.start);
                group.checked_sub(offset).map_or(0, |group| tree.group_start(group))
            }
            (FrameBoundKind::Preceding | FrameBoundKind::Following, FrameUnits::Range) => {
                let Some(bound) = end.column else { return 0 };
                let key = crate::render::ordered::key_of(spot.val);
                let from =
                    tree.partition_point(|entry| bound_key(tree.measure(), entry, bound).as_slice() < key);
                from.min(spot.at.start)
            }
            _ => spot.peers.start,
        }
    }
    /// The first row behind those whose frame begins at the change or before it.
    fn to(&self, start: &FrameBound, spot: &Spot<'_>) -> usize {
        let (tree, offset) = (self.tree, usize::try_from(start.offset).unwrap_or(usize::MAX));
        match (start.kind, self.function.frame.units) {
            (FrameBoundKind::UnboundedPreceding, _) => tree.len(),
            (FrameBoundKind::Preceding, FrameUnits::Rows) => {
                spot.at.end.saturating_add(offset).min(tree.len())
            }
            (_, FrameUnits::Rows) => spot.at.end,
            (FrameBoundKind::Preceding, FrameUnits::Groups) => self.groups_after(spot, offset),
            (FrameBoundKind::Preceding | FrameBoundKind::Following, FrameUnits::Range) => {
                let Some(bound) = start.column else { return tree.len() };
                let key = crate::render::ordered::key_of(spot.val);
                let to =
                    tree.partition_point(|entry| bound_key(tree.measure(), entry, bound).as_slice() <= key);
                to.max(spot.at.end)
            }
            _ => spot.peers.end,
        }
    }
    /// The first row whose frame, beginning with the partition, holds the change whole.
    fn settled(&self, end: &FrameBound, spot: &Spot<'_>) -> usize {
        let (tree, offset) = (self.tree, usize::try_from(end.offset).unwrap_or(usize::MAX));
        match (end.kind, self.function.frame.units) {
            (FrameBoundKind::Preceding, FrameUnits::Rows) => {
                spot.at.end.saturating_add(offset).min(tree.len())
            }
            (FrameBoundKind::Preceding, FrameUnits::Groups) => self.groups_after(spot, offset),
            (_, FrameUnits::Rows) => spot.at.end,
            _ => spot.peers.end,
        }
    }
    fn groups_after(&self, spot: &Spot<'_>, offset: usize) -> usize {
        let group = self.tree.groups_before(spot.peers.end);
        self.tree.group_start(group.saturating_add(offset))
    }
}

/// What changes add to a sum.
#[derive(Default)]
struct Sums(Vec<i128>);

impl Sums {
    fn add(&mut self, function: &Function, spot: &Spot<'_>) {
        let Kind::Sum(sum, arg, _) = &function.kind else { return };
        self.0.resize(sum.slots(), 0);
        let row = crate::render::ordered::row_of(spot.val);
        if function.takes(row) {
            explode(*sum, arg, row, spot.diff, &mut self.0);
        }
    }
    fn is_zero(&self) -> bool {
        self.0.iter().all(|slot| *slot == 0)
    }
}
