//! What running dataflows cost: time and arrangements of each node of their plans; and their errors.
//!
//! Nodes are numbered as they are rendered, each before what is below it; whoever made the plan counts alike.
//! An operator belongs to the innermost node that was being rendered when it was made.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::arrangement::sizes::{self, Size};
use crate::container::RowStream;
use crate::expr::EvalError;
use crate::logging::events::Events;
use crate::plan::GlobalId;
use crate::protocol::{ErrorReport, NodeReport, StageReport};
use crate::render::complete::stateful;

/// Distinct errors of an export that are told; there may be as many as rows.
const ERRORS_MAX: usize = 1000;

/// The operators of one node of one object's plan, those of the nodes below it among them.
#[derive(Clone, Debug)]
pub struct Range {
    /// The object.
    pub object: GlobalId,
    /// Its number within the object.
    pub node: u64,
    /// What it does.
    pub operator: String,
    /// The number of the node that it is an input of.
    pub parent: Option<u64>,
    /// How many nodes it is below.
    pub nesting: usize,
    /// Its operators, and those of the nodes that are its inputs, have numbers from here,
    pub from: usize,
    /// its own from here, inputs being rendered before,
    pub own: usize,
    /// until before here.
    pub to: usize,
}

/// A node that is being rendered.
#[derive(Debug)]
struct Open {
    node: u64,
    operator: String,
    /// Where the operators of its inputs end, as far as those have been rendered.
    inputs_end: usize,
}

/// The nodes of a dataflow.
#[derive(Debug, Default)]
pub struct Nodes {
    object: GlobalId,
    next: u64,
    ranges: Vec<Range>,
    /// What is being rendered, the innermost last.
    open: Vec<Open>,
}

/// Shared by the scopes of a dataflow.
pub type SharedNodes = Rc<RefCell<Nodes>>;

impl Nodes {
    /// What is rendered now belongs to `object`, whose nodes are counted from 0.
    pub fn begin_object(&mut self, object: &GlobalId) {
        self.object = object.clone();
        self.next = 0;
    }
    /// The rendering of a node begins; it is the next in number.
    pub fn begin(&mut self, operator: impl Into<String>) {
        self.open.push(Open { node: self.next, operator: operator.into(), inputs_end: 0 });
        self.next += 1;
    }
    /// The node that was begun last has been rendered: its operators have these numbers.
    pub fn end(&mut self, from: usize, to: usize) {
        let Some(Open { node, operator, inputs_end }) = self.open.pop() else { return };
        let (object, parent) = (self.object.clone(), self.open.last().map(|open| open.node));
        if let Some(outer) = self.open.last_mut() {
            outer.inputs_end = to;
        }
        let (own, nesting) = (from.max(inputs_end), self.open.len());
        self.ranges.push(Range { object, node, operator, parent, nesting, from, own, to });
    }
    /// What has been rendered, inner nodes before outer ones.
    pub fn ranges(&self) -> impl Iterator<Item = &Range> {
        self.ranges.iter()
    }
    /// The place of the innermost node that made `operator`.
    fn owner(&self, operator: usize) -> Option<usize> {
        // Inner nodes end before outer ones.
        self.ranges.iter().position(|range| (range.from..range.to).contains(&operator))
    }
}

/// By object and node.
type Reports = BTreeMap<(GlobalId, u64), NodeReport>;

/// The report of the node that made `operator`.
fn report_of<'r>(reports: &'r mut Reports, nodes: &Nodes, operator: usize) -> Option<&'r mut NodeReport> {
    let range = &nodes.ranges[nodes.owner(operator)?];
    reports.get_mut(&(range.object.clone(), range.node))
}

/// What each node of a dataflow has cost this worker, in the order in which they were rendered.
pub fn report(
    export: &GlobalId,
    nodes: &Nodes,
    events: &Events,
    sizes: &HashMap<usize, Size>,
) -> Vec<NodeReport> {
    let mut reports = Reports::new();
    for range in &nodes.ranges {
        reports.entry((range.object.clone(), range.node)).or_insert_with(|| NodeReport {
            export: export.clone(),
            object: range.object.clone(),
            node: range.node,
            ..NodeReport::default()
        });
    }
    for (operator, size) in sizes {
        if let Some(report) = report_of(&mut reports, nodes, *operator) {
            report.records += size.records as u64;
            report.bytes += size.bytes as u64;
            if let Some(stage) = size.stage {
                // Several reductions of one node have equal stages.
                report.stages.resize(report.stages.len().max(stage + 1), StageReport::default());
                report.stages[stage].records += size.records as u64;
                report.stages[stage].bytes += size.bytes as u64;
            }
        }
    }
    for (number, operator) in &events.operators {
        if events.is_scope(operator) {
            continue;
        }
        if let Some(report) = report_of(&mut reports, nodes, *number) {
            report.elapsed_ns += u64::try_from(operator.elapsed.as_nanos()).unwrap_or(u64::MAX);
        }
    }
    reports.into_values().collect()
}

/// The sizes of all arrangements of this thread, by operator.
pub fn arrangement_sizes() -> HashMap<usize, Size> {
    sizes::all()
}

/// The errors of an export, each with its multiplicity.
#[derive(Default)]
pub struct Errors {
    held: RefCell<BTreeMap<Vec<u8>, i64>>,
    changed: Cell<bool>,
}

/// Shared by the operator that collects them and the worker that tells of them.
pub type SharedErrors = Rc<Errors>;

impl Errors {
    /// The errors, if they have changed since the last time; and how many there are.
    pub fn take(&self) -> Option<(Vec<ErrorReport>, u64)> {
        if !self.changed.replace(false) {
            return None;
        }
        let held = self.held.borrow();
        let told = held.iter().take(ERRORS_MAX).map(|(error, count)| {
            let error = EvalError::from_row(error)
                .unwrap_or_else(|_| EvalError::internal("an error that cannot be read"));
            ErrorReport { sqlstate: error.sqlstate().to_owned(), message: error.message(), count: *count }
        });
        Some((told.collect(), held.len() as u64))
    }
    /// For how many rows there are errors.
    pub fn count(&self) -> i64 {
        self.held.borrow().values().sum()
    }
}

/// Collects the errors of an export; sets `moved` when there is something to tell.
pub fn collect_errors(errs: RowStream<'_, u64>, moved: &Rc<Cell<bool>>) -> SharedErrors {
    let errors = SharedErrors::default();
    let (shared, moved) = (Rc::clone(&errors), Rc::clone(moved));
    stateful(
        errs,
        "Errors",
        Box::new(move |error, changes, _, _| {
            let mut held = shared.held.borrow_mut();
            let count = held.entry(error.to_vec()).or_insert(0);
            *count += changes.iter().map(|(_, diff)| diff).sum::<i64>();
            if *count == 0 {
                held.remove(error);
            }
            shared.changed.set(true);
            moved.set(true);
        }),
        None,
    );
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_belong_to_the_innermost_node() {
        let mut nodes = Nodes::default();
        nodes.begin_object(&"u1".to_owned());
        nodes.begin("Negate");
        nodes.begin("Get");
        nodes.end(3, 5);
        nodes.end(2, 7);
        let (outer, inner) = (0, 1);
        assert_eq!(nodes.ranges().map(|range| (range.own, range.to)).collect::<Vec<_>>(), [(3, 5), (5, 7)]);
        assert_eq!(nodes.ranges().map(|range| range.parent).collect::<Vec<_>>(), [Some(outer), None]);
        let node = |operator: usize| nodes.owner(operator).map(|at| nodes.ranges[at].node);
        assert_eq!(
            (2..8).map(node).collect::<Vec<_>>(),
            [Some(outer), Some(inner), Some(inner), Some(outer), Some(outer), None]
        );
    }
}
