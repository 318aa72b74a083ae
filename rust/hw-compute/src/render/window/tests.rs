//! Partitions under random changes against loops over all rows.

use std::collections::BTreeMap;

use hw_types::arena::Arena;
use hw_types::datum::Datum;
use hw_types::order::{ColumnOrder, column};
use hw_types::row;
use hw_types::scalar::{BaseType, ColumnType};

use super::functions::Functions;
use super::partition::Partition;
use super::tree::{Entry, Measure, Tree};
use crate::expr::ScalarExpr;
use crate::plan::{FrameBound, FrameBoundKind, FrameExclusion, FrameUnits, WindowFrame, WindowFunction};
use crate::render::ordered::{push_sort_key, push_val};
use crate::tests::rng::Rng;

/// Rows and how often each is there.
type Rows = BTreeMap<Vec<u8>, i64>;

// Columns: order, argument, whether the filter takes it, and the ends of frames by distance.
const ORDER: usize = 0;
const ARG: usize = 1;
const FILTER: usize = 2;
const BACK: usize = 3;
const FORTH: usize = 4;

fn random_row(rng: &mut Rng, spread: u64) -> Vec<u8> {
    let order = (rng.below(10) > 0).then(|| rng.below(spread) as i64);
    let arg = (rng.below(4) > 0).then(|| rng.below(9) as i64 - 4);
    let int = |value: Option<i64>| value.map_or(Datum::Null, Datum::Int);
    row::pack([
        int(order),
        int(arg),
        if rng.below(3) > 0 { Datum::True } else { Datum::Null },
        int(order.map(|order| order - 2)),
        int(order.map(|order| order + 1)),
    ])
}

fn literal(value: i64) -> ScalarExpr {
    ScalarExpr::Literal { data: Datum::Int(value).to_bytes(), ty: int8() }
}

fn int8() -> ColumnType {
    ColumnType { ty: BaseType::Int8.into(), nullable: true }
}

fn random_bound(rng: &mut Rng, units: FrameUnits, is_end: bool) -> FrameBound {
    use FrameBoundKind::{CurrentRow, Following, Preceding, UnboundedFollowing, UnboundedPreceding};
    let far = if is_end { UnboundedFollowing } else { UnboundedPreceding };
    let kind = [far, Preceding, CurrentRow, Following][rng.below(4) as usize];
    let by_distance = units == FrameUnits::Range && matches!(kind, Preceding | Following);
    let column = by_distance.then_some(if kind == Preceding { BACK } else { FORTH });
    FrameBound { kind, offset: rng.below(4), column }
}

fn random_frame(rng: &mut Rng) -> WindowFrame {
    use FrameExclusion::{CurrentRow, Group, NoOthers, Ties};
    let units = [FrameUnits::Rows, FrameUnits::Range, FrameUnits::Groups][rng.below(3) as usize];
    let (start, end) = (random_bound(rng, units, false), random_bound(rng, units, true));
    let exclusion = [NoOthers, NoOthers, NoOthers, CurrentRow, Group, Ties][rng.below(6) as usize];
    WindowFrame { units, start, end, exclusion }
}

const NAMES: [&str; 16] = [
    "row_number",
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
    "ntile",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "nth_value",
    "count",
    "sum_int4",
    "min",
    "max",
    "list_agg",
];

fn random_function(rng: &mut Rng) -> WindowFunction {
    let func = NAMES[rng.below(NAMES.len() as u64) as usize];
    let arg = ScalarExpr::Column { index: ARG };
    let args = match func {
        "lag" | "lead" => vec![arg, literal(rng.below(5) as i64 - 1), literal(77)],
        "nth_value" => vec![arg, literal(1 + rng.below(3) as i64)],
        "ntile" => vec![literal(1 + rng.below(4) as i64)],
        "row_number" | "rank" | "dense_rank" | "percent_rank" | "cume_dist" => vec![],
        _ => vec![arg],
    };
    let ignores = matches!(func, "lag" | "lead" | "first_value" | "last_value" | "nth_value");
    let aggregates = matches!(func, "count" | "sum_int4" | "min" | "max" | "list_agg");
    WindowFunction {
        func: func.into(),
        args,
        frame: random_frame(rng),
        ty: int8(),
        ignore_nulls: ignores && rng.below(2) == 0,
        filter: (aggregates && rng.below(3) == 0).then_some(FILTER),
        order_by: vec![],
    }
}

/// The values of functions for rows in order, by loops.
struct Oracle<'a> {
    rows: &'a [Vec<u8>],
    order: &'a [ColumnOrder],
}

impl Oracle<'_> {
    fn key(&self, at: usize) -> Vec<u8> {
        let mut key = vec![];
        for by in self.order {
            push_sort_key(column(&self.rows[at], by.column), by, &mut key);
        }
        key
    }
    fn group(&self, at: usize) -> i64 {
        (0..at).filter(|other| self.key(*other) != self.key(other + 1)).count() as i64
    }
    fn place(&self, units: FrameUnits, at: usize) -> i64 {
        if units == FrameUnits::Rows { at as i64 } else { self.group(at) }
    }
    fn inside(&self, frame: &WindowFrame, bound: &FrameBound, at: usize, other: usize, end: bool) -> bool {
        let offset = bound.offset as i64;
        let signed = match bound.kind {
            FrameBoundKind::UnboundedPreceding | FrameBoundKind::UnboundedFollowing => return true,
            FrameBoundKind::Preceding => -offset,
            FrameBoundKind::CurrentRow => 0,
            FrameBoundKind::Following => offset,
        };
        if let Some(column) = bound.column {
            let mut limit = vec![];
            push_sort_key(hw_types::order::column(&self.rows[at], column), &self.order[0], &mut limit);
            let there = self.key(other);
            return if end { there <= limit } else { there >= limit };
        }
        let (limit, there) = (self.place(frame.units, at) + signed, self.place(frame.units, other));
        if end { there <= limit } else { there >= limit }
    }
    fn frame(&self, function: &WindowFunction, at: usize) -> Vec<usize> {
        let frame = &function.frame;
        let peer = |other: usize| self.key(other) == self.key(at);
        let inside = |other: &usize| {
            self.inside(frame, &frame.start, at, *other, false)
                && self.inside(frame, &frame.end, at, *other, true)
                && match frame.exclusion {
                    FrameExclusion::NoOthers => true,
                    FrameExclusion::CurrentRow => *other != at,
                    FrameExclusion::Group => !peer(*other),
                    FrameExclusion::Ties => *other == at || !peer(*other),
                }
        };
        (0..self.rows.len()).filter(inside).collect()
    }
    fn int(&self, function: &WindowFunction, number: usize) -> i64 {
        let arena = Arena::new();
        match &function.args[number] {
            ScalarExpr::Literal { data, .. } => match Datum::from_bytes(data, &arena) {
                Ok(Datum::Int(value)) => value,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
    fn arg<'b>(&'b self, function: &'b WindowFunction, at: usize) -> &'b [u8] {
        match &function.args[0] {
            ScalarExpr::Column { index } => column(&self.rows[at], *index),
            ScalarExpr::Literal { data, .. } => data,
            other => panic!("{other:?}"),
        }
    }
    fn value(&self, function: &WindowFunction, at: usize) -> Vec<u8> {
        let len = self.rows.len();
        let first_peer = (0..len).find(|other| self.key(*other) == self.key(at));
        let first_peer = first_peer.expect("itself");
        let peers_end = (0..len).filter(|other| self.key(*other) <= self.key(at)).count();
        let int = |value: usize| Datum::Int(value as i64).to_bytes();
        let null = row::NULL_BYTES.to_vec();
        let counts = |other: &usize| !function.ignore_nulls || self.arg(function, *other) != row::NULL_BYTES;
        match function.func.as_str() {
            "row_number" => int(at + 1),
            "rank" => int(first_peer + 1),
            "dense_rank" => int(self.group(at) as usize + 1),
            "percent_rank" => {
                let of = if len == 1 { 0.0 } else { first_peer as f64 / (len - 1) as f64 };
                Datum::Float8(of).to_bytes()
            }
            "cume_dist" => Datum::Float8(peers_end as f64 / len as f64).to_bytes(),
            "ntile" => {
                let parts = self.int(function, 0) as usize;
                let mut left = at;
                for part in 0.. {
                    let size = len / parts + usize::from(part < len % parts);
                    if left < size {
                        return int(part + 1);
                    }
                    left -= size;
                }
                null
            }
            "lag" | "lead" => {
                let distance = self.int(function, 1) * if function.func == "lead" { 1 } else { -1 };
                let found = match distance {
                    0 => Some(at),
                    _ if distance > 0 => (at + 1..len).filter(counts).nth(distance as usize - 1),
                    _ => (0..at).rev().filter(counts).nth(-distance as usize - 1),
                };
                found.map_or_else(
                    || Datum::Int(self.int(function, 2)).to_bytes(),
                    |found| self.arg(function, found).to_vec(),
                )
            }
            "first_value" | "last_value" | "nth_value" => {
                let frame: Vec<usize> = self.frame(function, at).into_iter().filter(counts).collect();
                let found = match function.func.as_str() {
                    "first_value" => frame.first(),
                    "last_value" => frame.last(),
                    _ => frame.get(self.int(function, 1) as usize - 1),
                };
                found.map_or(null, |found| self.arg(function, *found).to_vec())
            }
            func => self.aggregate(func, function, at),
        }
    }
    fn aggregate(&self, func: &str, function: &WindowFunction, at: usize) -> Vec<u8> {
        let takes = |other: &usize| {
            function.filter.is_none_or(|filter| column(&self.rows[*other], filter) != row::NULL_BYTES)
        };
        let taken: Vec<&[u8]> = self
            .frame(function, at)
            .into_iter()
            .filter(takes)
            .map(|other| self.arg(function, other))
            .collect();
        let arena = Arena::new();
        let ints: Vec<i64> = taken
            .iter()
            .filter_map(|datum| match Datum::from_bytes(datum, &arena) {
                Ok(Datum::Int(value)) => Some(value),
                _ => None,
            })
            .collect();
        let or_null = |value: Option<i64>| value.map_or(Datum::Null, Datum::Int).to_bytes();
        match func {
            "count" => or_null(Some(ints.len() as i64)),
            "sum_int4" => or_null((!ints.is_empty()).then(|| ints.iter().sum())),
            "min" => or_null(ints.iter().min().copied()),
            "max" => or_null(ints.iter().max().copied()),
            _ if taken.is_empty() => row::NULL_BYTES.to_vec(),
            _ => {
                let mut body = taken.concat();
                hw_types::container::push_end(&mut body);
                Datum::List(hw_types::datum::List(&body)).to_bytes()
            }
        }
    }
}

/// Each row of one partition followed by the functions' values.
pub fn expected(rows: &Rows, functions: &[WindowFunction], order: &[ColumnOrder]) -> Rows {
    let mut vals: Vec<(Vec<u8>, Vec<u8>)> = vec![];
    for (full, count) in rows {
        let mut val = vec![];
        push_val(full, order, &mut vec![], &mut val);
        (0..*count).for_each(|_| vals.push((val.clone(), full.clone())));
    }
    vals.sort();
    let sorted: Vec<Vec<u8>> = vals.into_iter().map(|(_, full)| full).collect();
    let oracle = Oracle { rows: &sorted, order };
    let mut out = Rows::new();
    for (at, full) in sorted.iter().enumerate() {
        let mut with_values = full.clone();
        functions.iter().for_each(|function| with_values.extend(oracle.value(function, at)));
        *out.entry(with_values).or_insert(0) += 1;
    }
    out
}

fn apply(
    partition: &mut Partition,
    changes: &[(Vec<u8>, i64)],
    order: &[ColumnOrder],
    kept: &mut Rows,
) -> usize {
    let mut vals: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
    for (full, diff) in changes {
        let mut val = vec![];
        push_val(full, order, &mut vec![], &mut val);
        *vals.entry(val).or_insert(0) += diff;
    }
    let vals: Vec<(&[u8], i64)> =
        vals.iter().filter(|(_, diff)| **diff != 0).map(|(val, diff)| (&val[..], *diff)).collect();
    let mut emitted = 0;
    partition.apply(&vals, &mut |what, diff| {
        emitted += 1;
        let key = match what {
            Ok((full, values)) => [full, values].concat(),
            Err(error) => [b"error", error].concat(),
        };
        *kept.entry(key).or_insert(0) += diff;
    });
    kept.retain(|_, count| *count != 0);
    emitted
}

fn history(seed: u64, spread: u64, size: u64) {
    let mut rng = Rng(seed);
    let functions: Vec<WindowFunction> = (0..=rng.below(2)).map(|_| random_function(&mut rng)).collect();
    let order = [ColumnOrder { column: ORDER, desc: rng.below(2) == 0, nulls_last: rng.below(2) == 0 }];
    // Distances are counted upwards: an order that falls has its ends the other way round.
    let mut functions = functions;
    for function in functions.iter_mut().filter(|_| order[0].desc) {
        for bound in [&mut function.frame.start, &mut function.frame.end] {
            bound.column = bound.column.map(|column| if column == BACK { FORTH } else { BACK });
        }
    }
    let resolved = Functions::new(&functions, &order).expect("functions of the test");
    let mut partition = Partition::new(resolved.into());
    let (mut rows, mut kept) = (Rows::new(), Rows::new());
    for step in 0..30 {
        let mut changes = vec![];
        let count = if step == 0 { size } else { 1 + rng.below(3) };
        for _ in 0..count {
            let retract = rng.below(2) == 0 && !rows.is_empty();
            let full = if retract {
                rows.keys().nth(rng.below(rows.len() as u64) as usize).expect("below its length").clone()
            } else {
                random_row(&mut rng, spread)
            };
            let diff = if retract && step > 0 { -1 } else { 1 };
            *rows.entry(full.clone()).or_insert(0) += diff;
            rows.retain(|_, count| *count != 0);
            changes.push((full, diff));
        }
        apply(&mut partition, &changes, &order, &mut kept);
        let want = expected(&rows, &functions, &order);
        assert!(kept == want, "seed {seed} step {step}: {functions:#?} {order:?}");
    }
}

#[test]
fn changes_give_what_loops_give() {
    for seed in 1..120 {
        history(seed * 7919, 6, 4);
        history(seed * 104_729, 40, 25);
    }
}

fn running(func: &str, args: Vec<ScalarExpr>) -> WindowFunction {
    let unbounded = FrameBound { kind: FrameBoundKind::UnboundedPreceding, offset: 0, column: None };
    let current = FrameBound { kind: FrameBoundKind::CurrentRow, offset: 0, column: None };
    let frame = WindowFrame {
        units: FrameUnits::Rows,
        start: unbounded,
        end: current,
        exclusion: FrameExclusion::NoOthers,
    };
    let ty = int8();
    WindowFunction { func: func.into(), args, frame, ty, ignore_nulls: false, filter: None, order_by: vec![] }
}

/// Emitted updates when a row in the middle of 1000 gets another argument.
fn emitted(function: WindowFunction) -> usize {
    let order = [ColumnOrder { column: ORDER, desc: false, nulls_last: true }];
    let full = |order: i64, arg: i64| row::pack([Datum::Int(order), Datum::Int(arg), Datum::True]);
    let mut partition = Partition::new(Functions::new(&[function], &order).expect("a function").into());
    let mut kept = Rows::new();
    let rows: Vec<(Vec<u8>, i64)> = (0..1000).map(|number| (full(number, 1), 1)).collect();
    apply(&mut partition, &rows, &order, &mut kept);
    apply(&mut partition, &[(full(500, 1), -1), (full(500, 2), 1)], &order, &mut kept)
}

#[test]
fn a_change_emits_what_it_touches() {
    let arg = || vec![ScalarExpr::Column { index: ARG }];
    // The row itself: retracted and asserted.
    assert_eq!(emitted(running("row_number", vec![])), 2);
    assert_eq!(emitted(running("rank", vec![])), 2);
    assert_eq!(emitted(running("dense_rank", vec![])), 2);
    assert_eq!(emitted(running("count", arg())), 2);
    // Its neighbour as well.
    assert_eq!(emitted(running("lag", arg())), 4);
    assert_eq!(emitted(running("lead", arg())), 4);
    // A new maximum is seen by all rows after it, a value above the minimum by none.
    assert_eq!(emitted(running("min", arg())), 2);
    assert_eq!(emitted(running("max", arg())), 1000);
    assert_eq!(emitted(running("sum_int4", arg())), 1000);
    assert_eq!(emitted(running("first_value", arg())), 2);
}

#[test]
fn retractions_of_nothing_are_an_error_until_they_are_made_up_for() {
    let order = [ColumnOrder { column: ORDER, desc: false, nulls_last: true }];
    let full = |number: i64| row::pack([Datum::Int(number), Datum::Int(0), Datum::True]);
    let function = running("row_number", vec![]);
    let mut partition = Partition::new(Functions::new(&[function], &order).expect("a function").into());
    let mut kept = Rows::new();
    apply(&mut partition, &[(full(1), 1), (full(2), -1)], &order, &mut kept);
    assert!(kept.len() == 1 && kept.keys().all(|key| key.starts_with(b"error")));
    apply(&mut partition, &[(full(2), 1)], &order, &mut kept);
    assert_eq!(kept.keys().cloned().collect::<Vec<_>>(), [[full(1), Datum::Int(1).to_bytes()].concat()]);
    apply(&mut partition, &[(full(1), -1)], &order, &mut kept);
    assert!(kept.is_empty() && partition.is_empty());
}

/// Counts rows: what the tree itself does is all that is tested.
struct Counting;

impl Measure for Counting {
    type Summary = usize;
    fn add(&self, summary: &mut usize, _: &Entry) {
        *summary += 1;
    }
    fn subtract(&self, summary: &mut usize, _: &Entry) -> bool {
        *summary -= 1;
        true
    }
    fn merge(&self, summary: &mut usize, other: &usize) {
        *summary += other;
    }
}

#[test]
fn a_tree_is_a_sorted_list() {
    let mut rng = Rng(11);
    let order = [ColumnOrder { column: 0, desc: false, nulls_last: true }];
    let val = |key: i64, tie: i64| {
        let mut val = vec![];
        push_val(&row::pack([Datum::Int(key), Datum::Int(tie)]), &order, &mut vec![], &mut val);
        val
    };
    let mut tree = Tree::new(std::rc::Rc::new(Counting));
    let mut list: Vec<Vec<u8>> = vec![];
    for step in 0..6000 {
        // It grows, and shrinks to nothing at last.
        let grows = rng.below(3) < if step < 3500 { 2 } else { 0 };
        if grows {
            let new = val(rng.below(300) as i64, rng.below(5) as i64);
            list.insert(list.partition_point(|other| *other <= new), new.clone());
            tree.insert(Entry::new(&new));
        } else if !list.is_empty() {
            let old = list.remove(rng.below(list.len() as u64) as usize);
            assert!(tree.remove(&old).is_some());
        } else {
            assert!(tree.remove(&val(1, 1)).is_none());
        }
        if step % 97 == 0 || list.len() < 3 {
            assert_eq!((tree.len(), *tree.total()), (list.len(), list.len()));
            let mut at = 0;
            tree.visit(0..list.len(), &mut |_, entry| {
                assert_eq!(entry.val(), list[at]);
                at += 1;
                true
            });
            let heads: Vec<usize> = (0..list.len())
                .filter(|at| *at == 0 || tree.get(at - 1).key() != tree.get(*at).key())
                .collect();
            for (number, head) in heads.iter().enumerate() {
                assert_eq!(tree.group_start(number), *head);
                assert_eq!(tree.groups_before(*head), number);
            }
            assert_eq!(tree.group_start(heads.len()), list.len());
            let from = rng.below(list.len() as u64 + 1) as usize;
            let mut rows = 0;
            let ones = std::cell::Cell::new(0);
            tree.fold(from..list.len(), &mut |many| rows += many, &mut |_| ones.set(ones.get() + 1));
            assert_eq!(rows + ones.get(), list.len() - from);
        }
    }
}
