//! What a dataflow renders: `headwater.ir.physical` and `headwater.ir.dataflow`, field by field.

use hw_types::order::ColumnOrder;
use hw_types::relation::RelationDesc;
use hw_types::scalar::ColumnType;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::expr::{ErrorFields, Mfp, ScalarExpr};
use crate::logging::Log;
use crate::selection::Selection;

/// The name of an object: `u12`, `s3`, `t7`.
pub type GlobalId = String;
/// A frontier over the system's times; `None` is the empty one.
pub type Frontier = Option<u64>;
/// The expressions by which a collection is arranged.
pub type ArrangementKey = Vec<ScalarExpr>;

/// A relation bound by an enclosing `Let`, or a global one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RelationId {
    /// Bound within the plan.
    Local {
        /// Its number.
        id: u64,
    },
    /// Imported, or built before in the same dataflow.
    Global {
        /// Its name.
        id: GlobalId,
    },
}

/// A bound on the rounds of a recursion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetRecLimit {
    /// At most so many.
    pub rounds: u64,
    /// Whether to stop there; otherwise it is an error to get there.
    pub return_at_limit: bool,
}

/// An aggregate over the rows of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AggregateExpr {
    /// The aggregate's kernel name.
    pub func: String,
    /// The argument, over the input's row.
    pub expr: ScalarExpr,
    /// The result's type.
    #[serde(rename = "type")]
    pub ty: ColumnType,
    /// Whether equal arguments count once.
    #[serde(default)]
    pub distinct: bool,
    /// The order over the fields of an argument that is a record.
    #[serde(default)]
    pub order_by: Vec<ColumnOrder>,
}

/// One binary step of a join.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JoinStage {
    /// Which input is looked up.
    pub lookup: usize,
    /// Over the row so far.
    pub stream_key: ArrangementKey,
    /// The arrangement that is looked up.
    pub lookup_key: ArrangementKey,
    /// The columns of the input that is looked up.
    pub lookup_arity: usize,
    /// Over the row so far followed by the input's row.
    pub closure: Mfp,
}

/// A source input, and the look-ups that complete its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JoinPath {
    /// The input that begins.
    pub source: usize,
    /// Its columns.
    pub source_arity: usize,
    /// The arrangement it is read from; none for the raw stream.
    pub source_key: Option<ArrangementKey>,
    /// Applied to its rows.
    pub initial: Mfp,
    /// The steps.
    pub stages: Vec<JoinStage>,
}

/// Which aggregates are computed how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReducePlan {
    /// As sums in the diff.
    #[serde(default)]
    pub accumulable: Vec<usize>,
    /// In stages.
    #[serde(default)]
    pub hierarchical: Vec<usize>,
    /// Over all values.
    #[serde(default)]
    pub basic: Vec<usize>,
    /// The stages of hierarchical ones: falling powers of two.
    #[serde(default)]
    pub buckets: Vec<u64>,
    /// Whether rows are only ever added: then hierarchical ones have no stages.
    #[serde(default)]
    pub monotonic: bool,
    /// Whether that is so only once the changes of a time are added up.
    #[serde(default)]
    pub must_consolidate: bool,
}

/// What a window frame counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameUnits {
    /// Rows.
    Rows,
    /// Distances in the order's only column.
    Range,
    /// Groups of peers.
    Groups,
}

/// Where a frame begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameBoundKind {
    /// With the partition's first row.
    UnboundedPreceding,
    /// So far before the current row.
    Preceding,
    /// With the current row, or its peers.
    CurrentRow,
    /// So far after the current row.
    Following,
    /// With the partition's last row.
    UnboundedFollowing,
}

/// One end of a frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameBound {
    /// Which.
    pub kind: FrameBoundKind,
    /// How many rows or groups away.
    #[serde(default)]
    pub offset: u64,
    /// The column that holds the value at which a frame by distances begins or ends.
    #[serde(default)]
    pub column: Option<usize>,
}

/// What is left out of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameExclusion {
    /// Nothing.
    #[default]
    NoOthers,
    /// The current row.
    CurrentRow,
    /// The current row and its peers.
    Group,
    /// The current row's peers but not itself.
    Ties,
}

/// The rows around the current one that a window function looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowFrame {
    /// The units of its ends.
    pub units: FrameUnits,
    /// Where it begins.
    pub start: FrameBound,
    /// Where it ends.
    pub end: FrameBound,
    /// What is left out.
    #[serde(default)]
    pub exclusion: FrameExclusion,
}

/// A window function: one value for each row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowFunction {
    /// The window function's name, or an aggregate's kernel.
    pub func: String,
    /// Columns of the input, or literals.
    pub args: Vec<ScalarExpr>,
    /// The frame.
    pub frame: WindowFrame,
    /// The result's type.
    #[serde(rename = "type")]
    pub ty: ColumnType,
    /// Whether rows whose first argument is NULL are passed over.
    #[serde(default)]
    pub ignore_nulls: bool,
    /// The column that tells which rows an aggregate takes.
    #[serde(default)]
    pub filter: Option<usize>,
    /// The order over the fields of an argument that is a record.
    #[serde(default)]
    pub order_by: Vec<ColumnOrder>,
}

/// One operator and what is below it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Plan {
    /// Rows present from the dataflow's as_of on, or an error.
    Constant {
        /// Rows and multiplicities.
        rows: Vec<(ByteBuf, i64)>,
        /// Columns.
        arity: usize,
        /// The error instead.
        #[serde(default)]
        error: Option<ErrorFields>,
    },
    /// An imported or bound collection.
    Get {
        /// What is read.
        id: RelationId,
        /// Its columns.
        arity: usize,
        /// Applied to the rows read.
        mfp: Mfp,
        /// The arrangement to read.
        #[serde(default)]
        key: Option<ArrangementKey>,
        /// Only these keys of it.
        #[serde(default)]
        lookups: Option<Vec<ByteBuf>>,
        /// Whether the bundle is passed on whole.
        #[serde(default)]
        pass_through: bool,
    },
    /// A binding.
    Let {
        /// Its number.
        id: u64,
        /// What is bound.
        value: Box<Plan>,
        /// Where it is known.
        body: Box<Plan>,
    },
    /// Mutually recursive bindings.
    LetRec {
        /// Their numbers.
        ids: Vec<u64>,
        /// Their definitions.
        values: Vec<Plan>,
        /// Bounds on their rounds.
        limits: Vec<Option<LetRecLimit>>,
        /// Their columns.
        arities: Vec<usize>,
        /// Where they are known.
        body: Box<Plan>,
    },
    /// Map, filter, project.
    Mfp {
        /// What is read.
        input: Box<Plan>,
        /// Applied to the rows read.
        mfp: Mfp,
        /// The arrangement to read.
        #[serde(default)]
        key: Option<ArrangementKey>,
        /// Only these keys of it.
        #[serde(default)]
        lookups: Option<Vec<ByteBuf>>,
    },
    /// A table function for each row.
    FlatMap {
        /// What is read.
        input: Box<Plan>,
        /// The table function.
        func: String,
        /// Its arguments.
        exprs: Vec<ScalarExpr>,
        /// Its columns.
        columns: Vec<ColumnType>,
        /// Applied to the input's row followed by the function's.
        mfp: Mfp,
        /// The arrangement to read.
        #[serde(default)]
        key: Option<ArrangementKey>,
    },
    /// Binary joins one after the other.
    LinearJoin {
        /// What is joined.
        inputs: Vec<Plan>,
        /// The order.
        path: JoinPath,
    },
    /// One path an input, over arrangements only.
    DeltaJoin {
        /// What is joined.
        inputs: Vec<Plan>,
        /// The paths.
        paths: Vec<JoinPath>,
    },
    /// Groups and their aggregates.
    Reduce {
        /// What is read.
        input: Box<Plan>,
        /// Its columns.
        input_arity: usize,
        /// The groups.
        key: ArrangementKey,
        /// The aggregates.
        aggregates: Vec<AggregateExpr>,
        /// How.
        plan: ReducePlan,
        /// Applied to the key's columns followed by the aggregates.
        mfp_after: Mfp,
        /// The arrangement to read.
        #[serde(default)]
        input_key: Option<ArrangementKey>,
    },
    /// The first rows of each group.
    TopK {
        /// What is read.
        input: Box<Plan>,
        /// Its columns.
        arity: usize,
        /// The groups.
        group_key: Vec<usize>,
        /// The order within a group.
        order_key: Vec<ColumnOrder>,
        /// How many, over the group's columns.
        limit: Option<ScalarExpr>,
        /// How many to leave out before.
        offset: u64,
        /// Whether rows are only ever added; the limit is a literal, and there are no stages.
        monotonic: bool,
        /// Whether that is so only once the changes of a time are added up.
        must_consolidate: bool,
        /// Stages: falling powers of two.
        buckets: Vec<u64>,
    },
    /// Each row followed by the values of window functions.
    Window {
        /// What is read.
        input: Box<Plan>,
        /// Its columns.
        arity: usize,
        /// The partition's columns.
        partition: Vec<usize>,
        /// The order within a partition; whole rows break ties.
        order: Vec<ColumnOrder>,
        /// The functions.
        functions: Vec<WindowFunction>,
    },
    /// All multiplicities negated.
    Negate {
        /// What is read.
        input: Box<Plan>,
    },
    /// Rows of positive multiplicity.
    Threshold {
        /// What is read.
        input: Box<Plan>,
        /// Its columns.
        arity: usize,
    },
    /// All inputs added.
    Union {
        /// What is read.
        inputs: Vec<Plan>,
        /// Whether to consolidate.
        #[serde(default)]
        consolidate: bool,
    },
    /// The input with more arrangements.
    ArrangeBy {
        /// What is read.
        input: Box<Plan>,
        /// Its columns.
        arity: usize,
        /// The arrangements.
        keys: Vec<ArrangementKey>,
    },
}

impl Plan {
    /// What it does, for people: its kind, and of which sort.
    pub fn operator(&self) -> String {
        let of = |id: &RelationId| match id {
            RelationId::Local { id } => format!("l{id}"),
            RelationId::Global { id } => id.clone(),
        };
        match self {
            Plan::Constant { .. } => "Constant".into(),
            Plan::Get { id, pass_through: true, .. } => format!("Get::PassArrangements {}", of(id)),
            Plan::Get { id, key: Some(_), .. } => format!("Get::Arrangement {}", of(id)),
            Plan::Get { id, .. } => format!("Get::Collection {}", of(id)),
            Plan::Let { .. } => "Let".into(),
            Plan::LetRec { .. } => "LetRec".into(),
            Plan::Mfp { .. } => "MapFilterProject".into(),
            Plan::FlatMap { func, .. } => format!("FlatMap {func}"),
            Plan::LinearJoin { .. } => "Join::Linear".into(),
            Plan::DeltaJoin { .. } => "Join::Delta".into(),
            Plan::Reduce { plan, .. } => format!("Reduce::{}", plan.kind()),
            Plan::TopK { monotonic, .. } => {
                format!("TopK::{}", if *monotonic { "Monotonic" } else { "Basic" })
            }
            Plan::Window { .. } => "Window".into(),
            Plan::Negate { .. } => "Negate".into(),
            Plan::Threshold { .. } => "Threshold".into(),
            Plan::Union { .. } => "Union".into(),
            Plan::ArrangeBy { .. } => "ArrangeBy".into(),
        }
    }
}

impl ReducePlan {
    /// Of which sort it is.
    fn kind(&self) -> &'static str {
        let some = [&self.accumulable, &self.hierarchical, &self.basic].map(|part| !part.is_empty());
        match some {
            [false, false, false] => "Distinct",
            [true, false, false] => "Accumulable",
            [false, true, false] => "Hierarchical",
            [false, false, true] => "Basic",
            _ => "Collation",
        }
    }
}

/// A durable collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceImport {
    /// Its name.
    pub id: GlobalId,
    /// Where it is.
    pub shard: String,
    /// Its columns.
    pub desc: RelationDesc,
    /// Whether its upper is the transaction shard's.
    #[serde(default)]
    pub table: bool,
    /// Applied to each row as it is read.
    #[serde(default)]
    pub mfp: Option<Mfp>,
    /// Which parts the shell need not fetch.
    #[serde(default)]
    pub selection: Option<Selection>,
}

/// What the workers know of themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogImport {
    /// Its name.
    pub id: GlobalId,
    /// Which log.
    pub log: Log,
    /// Its columns.
    pub desc: RelationDesc,
    /// Applied to each row.
    #[serde(default)]
    pub mfp: Option<Mfp>,
}

/// An arrangement that another dataflow exports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexImport {
    /// The index.
    pub id: GlobalId,
    /// What it arranges.
    pub on: GlobalId,
    /// By what.
    pub key: ArrangementKey,
    /// The columns of what it arranges.
    pub arity: usize,
}

/// An object and the plan that computes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BuildDesc {
    /// Its name.
    pub id: GlobalId,
    /// The plan.
    pub plan: Plan,
}

/// An arrangement kept for peeks and other dataflows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexExport {
    /// The index.
    pub id: GlobalId,
    /// What it arranges.
    pub on: GlobalId,
    /// By what.
    pub key: ArrangementKey,
    /// The columns of what it arranges.
    pub arity: usize,
}

/// Where a collection goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Sink {
    /// Into a shard.
    MaterializedView {
        /// Which.
        shard: String,
        /// Its columns.
        desc: RelationDesc,
    },
    /// To a client.
    Subscribe {
        /// Whether updates at the as_of are sent.
        with_snapshot: bool,
    },
}

/// A collection written somewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SinkExport {
    /// The sink.
    pub id: GlobalId,
    /// What is written.
    pub on: GlobalId,
    /// Where.
    pub sink: Sink,
}

/// One dataflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataflowDescription {
    /// For people.
    pub name: String,
    /// Durable collections read.
    pub sources: Vec<SourceImport>,
    /// Logs read.
    #[serde(default)]
    pub logs: Vec<LogImport>,
    /// Arrangements read.
    pub indexes: Vec<IndexImport>,
    /// What is computed, in order.
    pub objects: Vec<BuildDesc>,
    /// Arrangements kept.
    pub index_exports: Vec<IndexExport>,
    /// Collections written.
    pub sink_exports: Vec<SinkExport>,
    /// Exact from here on.
    pub as_of: Frontier,
    /// Not needed from here on.
    #[serde(default)]
    pub until: Frontier,
}

impl DataflowDescription {
    /// The names of what it computes, keeps or writes.
    pub fn all_ids(&self) -> impl Iterator<Item = &GlobalId> {
        self.objects.iter().map(|object| &object.id).chain(self.exports())
    }
    /// The names of what it keeps or writes.
    pub fn exports(&self) -> impl Iterator<Item = &GlobalId> {
        let indexes = self.index_exports.iter().map(|export| &export.id);
        indexes.chain(self.sink_exports.iter().map(|export| &export.id))
    }
}
