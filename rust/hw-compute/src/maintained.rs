//! What a worker keeps of the dataflows it has rendered.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::build::{Alive, BuiltSink};
use crate::gather::before;
use crate::inspect::{SharedErrors, SharedNodes};
use crate::plan::{Frontier, GlobalId};

/// Where an import comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportedFrom {
    /// A shard or a log, by the token of its feed.
    Feed(u64),
    /// Another dataflow's index.
    Index,
}

/// How long an export took to pass the as_of of its dataflow.
#[derive(Clone, Copy, Debug)]
pub struct Hydration {
    began: Instant,
    as_of: u64,
    took: Option<Duration>,
}

impl Hydration {
    /// It begins now.
    pub fn begin(as_of: u64) -> Self {
        Hydration { began: Instant::now(), as_of, took: None }
    }
    /// Notes how far the export is.
    pub fn reached(&mut self, upper: Frontier) {
        if self.took.is_none() && before(Some(self.as_of), upper) {
            self.took = Some(self.began.elapsed());
        }
    }
    /// How long it took, if it has.
    pub fn took(&self) -> Option<Duration> {
        self.took
    }
}

/// A rendered dataflow.
pub struct Dataflow {
    /// Its index within timely, and its number for people.
    pub index: usize,
    /// What it exports and has not dropped.
    pub exports: HashSet<GlobalId>,
    /// What it computes, imports, and exports.
    pub objects: Vec<GlobalId>,
    /// What it reads.
    pub imports: Vec<(GlobalId, ImportedFrom)>,
    /// Its sources, sinks and logs.
    pub sources: Vec<u64>,
    /// See `sources`.
    pub sinks: Vec<u64>,
    /// See `sources`.
    pub logs: Vec<u64>,
    /// Its own life,
    pub alive: Alive,
    /// and those of the dataflows it reads from.
    pub _imported: Vec<Alive>,
    /// The nodes of its plans.
    pub nodes: SharedNodes,
    /// The errors of its exports.
    pub errors: Vec<(GlobalId, SharedErrors)>,
}

/// A sink and what was said of it.
pub struct SinkEntry {
    /// As it was built.
    pub built: BuiltSink,
    /// How far it is known what the shard should hold.
    pub said: Frontier,
    /// When that first was beyond the as_of.
    pub hydration: Hydration,
}
