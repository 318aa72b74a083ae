//! What running dataflows cost: time and arrangements of each node of their plans; and their errors.
//!
//! Nodes are numbered as they are rendered, each before what is below it; whoever made the plan counts alike.
//! An operator belongs to the innermost node that was being rendered when it was made.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use timely::logging::{StartStop, TimelyEvent, TimelyEventBuilder};
use timely::worker::Worker as TimelyWorker;

use crate::arrangement::sizes::{self, Size};
use crate::container::RowStream;
use crate::expr::EvalError;
use crate::plan::GlobalId;
use crate::protocol::{ErrorReport, NodeReport, StageReport};
use crate::render::complete::stateful;

/// Distinct errors of an export that are told; there may be as many as rows.
const ERRORS_MAX: usize = 1000;

/// The operators of one node of one object's plan, those of the nodes below it among them.
#[derive(Clone, Debug)]
struct Range {
    object: GlobalId,
    node: u64,
    from: usize,
    to: usize,
}

/// The nodes of a dataflow.
#[derive(Debug, Default)]
pub struct Nodes {
    object: GlobalId,
    next: u64,
    ranges: Vec<Range>,
}

/// Shared by the scopes of a dataflow.
pub type SharedNodes = Rc<RefCell<Nodes>>;

impl Nodes {
    /// What is rendered now belongs to `object`, whose nodes are counted from 0.
    pub fn begin_object(&mut self, object: &GlobalId) {
        self.object = object.clone();
        self.next = 0;
    }
    /// The number of the node whose rendering begins.
    pub fn begin(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }
    /// The node has been rendered: its operators have these numbers.
    pub fn end(&mut self, node: u64, from: usize, to: usize) {
        self.ranges.push(Range { object: self.object.clone(), node, from, to });
    }
    /// The place of the innermost node that made `operator`.
    fn owner(&self, operator: usize) -> Option<usize> {
        // Inner nodes end before outer ones.
        self.ranges.iter().position(|range| (range.from..range.to).contains(&operator))
    }
}

/// How long operators have run.
#[derive(Default)]
pub struct Elapsed {
    started: HashMap<usize, Duration>,
    total: HashMap<usize, Duration>,
    addresses: HashMap<usize, Vec<usize>>,
    /// Scopes run whatever is within them: their own time says nothing.
    scopes: HashSet<Vec<usize>>,
}

impl Elapsed {
    /// Begins to count.
    pub fn of(timely: &TimelyWorker) -> Rc<RefCell<Elapsed>> {
        let elapsed = Rc::<RefCell<Elapsed>>::default();
        if let Some(mut register) = timely.log_register() {
            let shared = Rc::clone(&elapsed);
            register.insert::<TimelyEventBuilder, _>("timely", move |_, events| {
                let mut elapsed = shared.borrow_mut();
                for (time, event) in events.iter_mut().flat_map(|events| events.drain(..)) {
                    elapsed.take(time, event);
                }
            });
        }
        elapsed
    }
    fn take(&mut self, time: Duration, event: TimelyEvent) {
        match event {
            TimelyEvent::Operates(operates) => {
                if let Some((_, parent)) = operates.addr.split_last() {
                    self.scopes.insert(parent.to_vec());
                }
                self.addresses.insert(operates.id, operates.addr);
            }
            TimelyEvent::Schedule(schedule) => match schedule.start_stop {
                StartStop::Start => {
                    self.started.insert(schedule.id, time);
                }
                StartStop::Stop => {
                    if let Some(began) = self.started.remove(&schedule.id) {
                        *self.total.entry(schedule.id).or_default() += time.saturating_sub(began);
                    }
                }
            },
            TimelyEvent::Shutdown(shutdown) => {
                self.started.remove(&shutdown.id);
                self.total.remove(&shutdown.id);
                if let Some(address) = self.addresses.remove(&shutdown.id) {
                    self.scopes.remove(&address);
                }
            }
            _ => {}
        }
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
    elapsed: &Elapsed,
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
    for (operator, time) in &elapsed.total {
        let address = elapsed.addresses.get(operator);
        if address.is_some_and(|address| elapsed.scopes.contains(address)) {
            continue;
        }
        if let Some(report) = report_of(&mut reports, nodes, *operator) {
            report.elapsed_ns += u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
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
        let outer = nodes.begin();
        let inner = nodes.begin();
        nodes.end(inner, 3, 5);
        nodes.end(outer, 2, 7);
        let node = |operator: usize| nodes.owner(operator).map(|at| nodes.ranges[at].node);
        assert_eq!(
            (2..8).map(node).collect::<Vec<_>>(),
            [Some(outer), Some(inner), Some(inner), Some(outer), Some(outer), None]
        );
    }
}
