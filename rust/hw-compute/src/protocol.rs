//! What comes in and goes out: `headwater.compute.protocol`, field by field, and the framing of answers.
//!
//! Answers to reads travel on channel 1 as `u32 n (little-endian) | n bytes of MessagePack header | body`,
//! the body in the flat update codec; everything else is a MessagePack map on channel 0.

use bytes::Bytes;
use hw_types::order::ColumnOrder;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::expr::Mfp;
use crate::plan::{DataflowDescription, Frontier, GlobalId};
use crate::selection::Selection;

/// The channel of commands and of answers other than rows.
pub const CHANNEL_CONTROL: u8 = 0;
/// The channel of rows.
pub const CHANNEL_ROWS: u8 = 1;

/// What remains to be done to the rows of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowSetFinishing {
    /// The order.
    pub order_by: Vec<ColumnOrder>,
    /// How many rows.
    pub limit: Option<u64>,
    /// How many to leave out before.
    pub offset: u64,
    /// Which columns.
    pub project: Vec<usize>,
}

/// A read of an index at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peek {
    /// Names the answer.
    pub uuid: ByteBuf,
    /// The index.
    pub target: GlobalId,
    /// Only these keys.
    pub keys: Option<Vec<ByteBuf>>,
    /// When.
    pub timestamp: u64,
    /// Applied to full rows.
    pub mfp: Mfp,
    /// By which workers may cut their part.
    pub finishing: RowSetFinishing,
    /// Beyond it the answer is an error.
    pub result_bytes_max: u64,
}

/// What a replica is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ComputeCommand {
    /// Render a dataflow.
    CreateDataflow {
        /// Which.
        dataflow: Box<DataflowDescription>,
    },
    /// An export will not be read before `since`.
    AllowCompaction {
        /// The export.
        id: GlobalId,
        /// The empty frontier drops it.
        since: Frontier,
    },
    /// Read an index.
    Peek(Box<Peek>),
    /// Nobody waits for this peek any more.
    CancelPeek {
        /// Which.
        uuid: ByteBuf,
    },
    /// Say what the dataflows cost.
    Inspect {
        /// Comes back with the answers.
        token: u64,
    },
    /// The replayed history ends here.
    InitializationComplete {},
}

/// What a replica says, rows apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ComputeResponse {
    /// New uppers of exports on this process.
    Frontiers {
        /// The least over its workers.
        uppers: Vec<(GlobalId, Frontier)>,
    },
    /// The errors of an export on one worker have changed.
    Errors {
        /// The export.
        id: GlobalId,
        /// Which worker of all.
        worker: usize,
        /// Its errors, a bounded number of them.
        errors: Vec<ErrorReport>,
        /// How many distinct ones there are.
        total: u64,
    },
    /// The answer of one worker to `Inspect`.
    Inspected {
        /// Of the command.
        token: u64,
        /// Which worker of all.
        worker: usize,
        /// How many there are.
        workers: usize,
        /// The nodes of all dataflows.
        nodes: Vec<NodeReport>,
    },
    /// A dataflow could not be rendered.
    DataflowFailed {
        /// One of its exports.
        id: GlobalId,
        /// Why.
        message: String,
    },
}

/// One error of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReport {
    /// Five characters.
    pub sqlstate: String,
    /// What is wrong.
    pub message: String,
    /// For how many rows.
    pub count: i64,
}

/// What one node of a plan has cost a worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// An export of its dataflow.
    pub export: GlobalId,
    /// The object whose plan it is of.
    pub object: GlobalId,
    /// Its number in the plan, each node before what is below it.
    pub node: u64,
    /// Updates in its arrangements.
    pub records: u64,
    /// Bytes of its arrangements.
    pub bytes: u64,
    /// How long its operators have run.
    pub elapsed_ns: u64,
    /// The inputs of its stages, if it has any, the widest first.
    pub stages: Vec<StageReport>,
}

/// What the input of one stage of a reduction holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageReport {
    /// Updates.
    pub records: u64,
    /// Bytes.
    pub bytes: u64,
}

impl ComputeResponse {
    /// Its bytes.
    pub fn encode(&self) -> Bytes {
        rmp_serde::to_vec_named(self).expect("plain data always encodes").into()
    }
}

/// Why a read has no rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadError {
    /// Five characters.
    pub sqlstate: String,
    /// Lower case, no full stop.
    pub message: String,
}

/// The header of an answer that carries rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Header {
    /// The answer of this process to a peek.
    Peek {
        /// Which.
        uuid: ByteBuf,
        /// Whether this process has said all.
        last: bool,
        /// Why there are no rows.
        #[serde(default)]
        error: Option<ReadError>,
        /// Whether it was given up.
        #[serde(default)]
        canceled: bool,
    },
    /// The updates of a time range.
    Subscribe {
        /// The sink export.
        id: GlobalId,
        /// Where the range begins.
        lower: Frontier,
        /// Where it ends.
        upper: Frontier,
        /// Bytes of the error half at the end of the body.
        #[serde(default)]
        errors: usize,
    },
}

/// Puts an answer together.
pub fn frame(header: &Header, body: &[u8]) -> Bytes {
    let header = rmp_serde::to_vec_named(header).expect("plain data always encodes");
    let length = u32::try_from(header.len()).expect("headers are small");
    let mut out = Vec::with_capacity(4 + header.len() + body.len());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(body);
    out.into()
}

/// Between a replica's workers and the shell around them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ShellRequest {
    /// A dataflow wants the history of a shard.
    OpenSource {
        /// By which it is fed.
        token: u64,
        /// Which shard.
        shard: String,
        /// Whether its upper is the transaction shard's.
        table: bool,
        /// From when.
        as_of: Frontier,
        /// Until when.
        until: Frontier,
        /// Which parts need not be fetched.
        selection: Option<Selection>,
    },
    /// Nobody reads it any more.
    CloseSource {
        /// Which.
        token: u64,
    },
    /// A dataflow maintains a shard; its contents are fed back to it.
    OpenSink {
        /// By which it is fed and asked.
        token: u64,
        /// The export.
        id: GlobalId,
        /// Which shard.
        shard: String,
        /// Its `RelationDesc`.
        desc: ByteBuf,
        /// From when.
        as_of: Frontier,
    },
    /// The sink is dropped.
    CloseSink {
        /// Which.
        token: u64,
    },
    /// All workers of this process know what the sink should hold before `desired`.
    SinkFrontier {
        /// Which.
        token: u64,
        /// When.
        desired: Frontier,
    },
    /// The answer to a sink that was asked, by `tell`, for what is missing.
    SinkBatch {
        /// Which.
        token: u64,
        /// From when.
        lower: Frontier,
        /// Until when.
        upper: Frontier,
        /// Flat updates.
        updates: ByteBuf,
        /// Flat updates of the error half.
        errors: ByteBuf,
    },
}

impl ShellRequest {
    /// Its bytes.
    pub fn encode(&self) -> Bytes {
        rmp_serde::to_vec_named(self).expect("plain data always encodes").into()
    }
}
